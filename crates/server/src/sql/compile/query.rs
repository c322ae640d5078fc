//! SELECT: grouping, set operations, common table expressions, ORDER BY and LIMIT.

use super::{Before, Compiler, Frag, Output, Scope, Shape};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use crate::sql::{fold, quote, walk};
use sqlparser::ast::{
    Distinct, Expr, GroupByExpr, LimitClause, OrderByExpr, OrderByKind, OrderBySort, Query, Select,
    SelectItem, SetExpr, Statement, Value, WindowSpec,
};

impl Compiler<'_> {
    /// Compiles a query into SQLite's text and its result columns.
    pub(in crate::sql) fn query(&mut self, query: &Query) -> Result<(String, Vec<Output>)> {
        if query.for_clause.is_some() || !query.pipe_operators.is_empty() || query.settings.is_some() {
            return Err(SqlError::unsupported("this clause of SELECT"));
        }
        // FOR UPDATE is stronger here: the statement takes the database's write lock.
        self.writes |= !query.locks.is_empty();
        let outer_ctes = self.ctes.len();
        let mut sql = self.with(query)?;
        self.depth += 1;
        let body = self.body_with_order(query);
        self.depth -= 1;
        let body = body?;
        sql += &body.0;
        self.ctes.truncate(outer_ctes);
        Ok((sql, body.1))
    }

    /// An INSERT, UPDATE or DELETE with its WITH.
    pub(in crate::sql) fn changing_query(&mut self, query: &Query) -> Result<super::dml::Changed> {
        let statement = changing(&query.body).ok_or_else(|| SqlError::syntax("expected a change"))?;
        let with = self.with(query)?;
        let (sql, columns) = self.change(statement)?;
        Ok((with + &sql, columns))
    }

    fn change(&mut self, statement: &Statement) -> Result<super::dml::Changed> {
        match statement {
            Statement::Insert(insert) => self.insert(insert),
            Statement::Update(update) => self.update(update),
            Statement::Delete(delete) => self.delete(delete),
            _ => Err(SqlError::unsupported("this statement within WITH")),
        }
    }

    fn with(&mut self, query: &Query) -> Result<String> {
        let Some(with) = &query.with else { return Ok(String::new()) };
        let mut tables = Vec::new();
        for cte in &with.cte_tables {
            let name = fold(&cte.alias.name);
            let names: Vec<String> = cte.alias.columns.iter().map(|column| fold(&column.name)).collect();
            if let Some(statement) = changing(&cte.query.body) {
                let place = cte.alias.name.span.start;
                if self.depth > 0 || !self.scopes.is_empty() {
                    let message =
                        "WITH clause containing a data-modifying statement must be at the top level";
                    return Err(SqlError::new("0A000", message).at(place));
                }
                let inner = self.with(&cte.query)?;
                let (sql, columns) = self.change(statement).map_err(|error| error.at(place))?;
                let table = format!("__sb_cte{}", self.before.len());
                let columns = renamed(columns, &names)?;
                let inner = inner
                    .strip_prefix("WITH ")
                    .map(|rest| rest.trim_start_matches("RECURSIVE ").trim_end().to_owned());
                let seen: Vec<String> = tables.iter().cloned().chain(inner).collect();
                let prefix = if seen.is_empty() {
                    String::new()
                } else {
                    format!("WITH RECURSIVE {} ", seen.join(", "))
                };
                self.before.push(Before { table: table.clone(), sql: prefix + &sql, width: columns.len() });
                if !columns.is_empty() {
                    tables.push(format!(
                        "{} ({}) AS (SELECT * FROM \"temp\".{})",
                        quote(&name),
                        quoted(&columns),
                        quote(&table)
                    ));
                }
                self.ctes.push((name, columns));
                continue;
            }
            // A recursive query sees itself with the columns of its first branch.
            if with.recursive
                && let SetExpr::SetOperation { left, .. } = &*cte.query.body
            {
                let (_, columns) = self.set_expr(left)?;
                self.ctes.push((name.clone(), renamed(columns, &names)?));
                let (sql, columns) = self.query(&cte.query)?;
                self.ctes.pop();
                let columns = renamed(columns, &names)?;
                tables.push(format!("{} ({}) AS ({sql})", quote(&name), quoted(&columns)));
                self.ctes.push((name, columns));
                continue;
            }
            let (sql, columns) = self.query(&cte.query)?;
            let columns = renamed(columns, &names)?;
            tables.push(format!("{} ({}) AS ({sql})", quote(&name), quoted(&columns)));
            self.ctes.push((name, columns));
        }
        if tables.is_empty() {
            return Ok(String::new());
        }
        let recursive = if with.recursive { "RECURSIVE " } else { "" };
        Ok(format!("WITH {recursive}{} ", tables.join(", ")))
    }

    fn body_with_order(&mut self, query: &Query) -> Result<(String, Vec<Output>)> {
        let order = match &query.order_by {
            None => &[][..],
            Some(order) => match &order.kind {
                OrderByKind::Expressions(list) => list,
                OrderByKind::All(_) => return Err(SqlError::unsupported("ORDER BY ALL")),
            },
        };
        let expanded = match &*query.body {
            SetExpr::Select(select) => super::grouping::expanded(select)?,
            _ => None,
        };
        let (mut sql, columns) = match expanded.as_ref().unwrap_or(&query.body) {
            SetExpr::Select(select) => self.select(select, order)?,
            body => {
                let (mut sql, columns) = self.set_expr(body)?;
                let mut terms = Vec::new();
                for term in order {
                    let Some(index) = output_index(&term.expr, &columns)? else {
                        return Err(SqlError::unsupported("ORDER BY an expression of a set operation")
                            .at(walk::start(&term.expr)));
                    };
                    let frag = Frag::new((index + 1).to_string(), columns[index].typed);
                    terms.push(order_term(&frag, term)?);
                }
                if !terms.is_empty() {
                    sql = format!("{sql} ORDER BY {}", terms.join(", "));
                }
                (sql, columns)
            }
        };
        sql += &self.limit(query)?;
        Ok((sql, columns))
    }

    fn limit(&mut self, query: &Query) -> Result<String> {
        let (limit, offset) = match (&query.limit_clause, &query.fetch) {
            (None, None) => return Ok(String::new()),
            (None, Some(fetch)) if !fetch.with_ties && !fetch.percent => (fetch.quantity.as_ref(), None),
            (Some(LimitClause::LimitOffset { limit, offset, limit_by }), None) if limit_by.is_empty() => {
                (limit.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            (Some(LimitClause::LimitOffset { limit: None, offset, .. }), Some(fetch)) if !fetch.with_ties => {
                (fetch.quantity.as_ref(), offset.as_ref().map(|offset| &offset.value))
            }
            _ => return Err(SqlError::unsupported("this form of LIMIT")),
        };
        // Postgres evaluates them without the query's columns in sight.
        let scopes = std::mem::take(&mut self.scopes);
        let number = |this: &mut Self, expr: &Expr, name: &str| {
            this.expr_as(expr, Type::Int8).map(|frag| format!("sb_limit({}, '{name}')", frag.sql))
        };
        let limit_sql = match limit {
            Some(limit) => number(self, limit, "LIMIT")?,
            None if query.fetch.is_some() => "1".to_owned(),
            None => "-1".to_owned(),
        };
        let mut sql = format!(" LIMIT {limit_sql}");
        if let Some(offset) = offset {
            sql += &format!(" OFFSET {}", number(self, offset, "OFFSET")?);
        }
        self.scopes = scopes;
        Ok(sql)
    }

    pub(super) fn select(&mut self, select: &Select, order: &[OrderByExpr]) -> Result<(String, Vec<Output>)> {
        if select.into.is_some()
            || select.qualify.is_some()
            || select.top.is_some()
            || !select.lateral_views.is_empty()
        {
            return Err(SqlError::unsupported("this clause of SELECT").at(select.select_token.0.span.start));
        }
        self.scopes.push(Scope::default());
        let result = self.select_in_scope(select, order);
        self.scopes.pop();
        result
    }

    fn select_in_scope(&mut self, select: &Select, order: &[OrderByExpr]) -> Result<(String, Vec<Output>)> {
        let mut from = Vec::new();
        for table in &select.from {
            from.push(self.table_with_joins(table)?);
        }
        let selection = select.selection.as_ref().map(|expr| self.condition("WHERE", expr)).transpose()?;
        let sets = self.set_items(select)?;
        from.extend(sets);
        let (items, columns) = self.projection(&select.projection)?;
        if let Some(scope) = self.scopes.last_mut() {
            scope.sets.clear();
        }
        let mut sql = "SELECT ".to_owned();
        let mut first_of = None;
        match &select.distinct {
            None | Some(Distinct::All) => {}
            Some(Distinct::Distinct) => sql += "DISTINCT ",
            Some(Distinct::On(keys)) => first_of = Some(self.first_of(keys, order, &columns)?),
        }
        sql += &items.join(", ");
        for (name, item) in first_of.iter().flat_map(|first| &first.added) {
            sql += &format!(", {item} AS {name}");
        }
        if !from.is_empty() {
            sql += &format!(" FROM {}", from.join(", "));
        }
        if let Some(condition) = selection {
            sql += &format!(" WHERE {condition}");
        }
        let group = self.group_by(select, &columns)?;
        sql += &group;
        if let Some(having) = &select.having {
            if group.is_empty() {
                sql += " GROUP BY NULL";
            }
            sql += &format!(" HAVING {}", self.condition("HAVING", having)?);
        }
        let mut windows = Vec::new();
        for window in &select.named_window {
            let sqlparser::ast::NamedWindowExpr::WindowSpec(spec) = &window.1 else {
                return Err(SqlError::unsupported("a window named after another"));
            };
            windows.push(format!("{} AS ({})", quote(&fold(&window.0)), self.window(spec)?));
        }
        if !windows.is_empty() {
            sql += &format!(" WINDOW {}", windows.join(", "));
        }
        if let Some(first) = first_of {
            return Ok((first.wrapped(&sql, &columns), columns));
        }
        let mut terms = Vec::new();
        for term in order {
            let frag = match output_index(&term.expr, &columns)? {
                Some(index) => Frag::new((index + 1).to_string(), columns[index].typed),
                None => {
                    let frag = self.expr(&term.expr)?;
                    self.settle(frag)?
                }
            };
            terms.push(order_term(&frag, term)?);
        }
        if !terms.is_empty() {
            sql += &format!(" ORDER BY {}", terms.join(", "));
        }
        Ok((sql, columns))
    }

    /// DISTINCT ON: which columns the inner query must have more, and how they pick the first row of each group.
    fn first_of(&mut self, keys: &[Expr], order: &[OrderByExpr], columns: &[Output]) -> Result<FirstOf> {
        let mut first = FirstOf { added: Vec::new(), keys: Vec::new(), terms: Vec::new() };
        for (index, key) in keys.iter().enumerate() {
            let place = match output_index(key, columns) {
                Ok(Some(at)) if matches!(key, Expr::Value(_)) => format!("\"c{at}\""),
                _ => {
                    let frag = self.expr(key)?;
                    let frag = self.settle(frag)?;
                    let name = format!("\"k{index}\"");
                    first.added.push((name.clone(), frag.sql.clone()));
                    Frag { sql: name, ..frag }.comparable()
                }
            };
            first.keys.push(place);
        }
        for (index, term) in order.iter().enumerate() {
            if index < keys.len() && !keys.contains(&term.expr) {
                let at = output_index(&term.expr, columns)?;
                let same =
                    keys.iter().any(|key| at.is_some() && output_index(key, columns).ok().flatten() == at);
                if !same {
                    let message = "SELECT DISTINCT ON expressions must match initial ORDER BY expressions";
                    return Err(SqlError::new("42P10", message).at(walk::start(&term.expr)));
                }
            }
            let frag = match output_index(&term.expr, columns)? {
                Some(at) => Frag::new(format!("\"c{at}\""), columns[at].typed),
                None => {
                    let frag = self.expr(&term.expr)?;
                    let frag = self.settle(frag)?;
                    let name = format!("\"o{index}\"");
                    first.added.push((name.clone(), frag.sql.clone()));
                    Frag { sql: name, not_null: false, ..frag }
                }
            };
            first.terms.push(order_term(&frag, term)?);
        }
        Ok(first)
    }

    fn group_by(&mut self, select: &Select, columns: &[Output]) -> Result<String> {
        let GroupByExpr::Expressions(list, modifiers) = &select.group_by else {
            return Err(SqlError::unsupported("GROUP BY ALL"));
        };
        if !modifiers.is_empty() {
            return Err(SqlError::unsupported("this modifier of GROUP BY"));
        }
        let mut keys = Vec::new();
        for expr in list {
            if let Expr::Rollup(_) | Expr::Cube(_) | Expr::GroupingSets(_) = expr {
                return Err(SqlError::unsupported("grouping sets").at(walk::start(expr)));
            }
            // A name means an input column first, then an output column.
            let key = match self.expr(expr) {
                Ok(frag) if !matches!(expr, Expr::Value(_)) => self.settle(frag)?.comparable(),
                result => match output_index(expr, columns)? {
                    Some(index) => (index + 1).to_string(),
                    None => result?.sql,
                },
            };
            keys.push(key);
        }
        self.check_grouping(select, list)?;
        Ok(if keys.is_empty() { String::new() } else { format!(" GROUP BY {}", keys.join(", ")) })
    }

    /// Refuses a bare column beside an aggregate, which SQLite would answer with any row's value.
    fn check_grouping(&self, select: &Select, keys: &[Expr]) -> Result<()> {
        let grouped = !keys.is_empty() || self.scopes.last().is_some_and(|scope| scope.aggregates);
        if !grouped {
            return Ok(());
        }
        // Grouping by a primary key determines the other columns: leave such statements alone.
        let key_columns =
            keys.iter().any(|key| matches!(key, Expr::CompoundIdentifier(_) | Expr::Function(_)));
        let ordinals = keys.iter().any(|key| matches!(key, Expr::Value(_)));
        for item in &select.projection {
            let (SelectItem::UnnamedExpr(expr) | SelectItem::ExprWithAlias { expr, .. }) = item else {
                continue;
            };
            let Expr::Identifier(ident) = expr else { continue };
            let name = fold(ident);
            let in_keys = keys.iter().any(|key| matches!(key, Expr::Identifier(key) if fold(key) == name));
            let owner = self
                .scopes
                .last()
                .and_then(|s| s.tables.iter().find(|t| t.columns.iter().any(|c| c.name == name)));
            let Some(owner) = owner else { continue };
            if in_keys || ordinals || key_columns || self.has_key(&owner.alias, keys) {
                continue;
            }
            let message = format!(
                "column \"{}.{name}\" must appear in the GROUP BY clause or be used in an aggregate function",
                owner.alias
            );
            return Err(SqlError::new("42803", message).at(ident.span.start));
        }
        Ok(())
    }

    fn has_key(&self, table: &str, keys: &[Expr]) -> bool {
        let Some(relation) = self.context.find(None, table) else { return !keys.is_empty() };
        let primary = relation.constraints.iter().find(|constraint| constraint.kind == 'p');
        let named = |column: &String| {
            keys.iter().any(|k| matches!(k, Expr::Identifier(ident) if fold(ident) == *column))
        };
        primary.is_some_and(|primary| primary.columns.iter().all(named))
    }

    /// The inside of OVER ( … ).
    pub(super) fn window(&mut self, spec: &WindowSpec) -> Result<String> {
        let mut parts = Vec::new();
        if let Some(name) = &spec.window_name {
            parts.push(quote(&fold(name)));
        }
        let mut keys = Vec::new();
        for expr in &spec.partition_by {
            let frag = self.expr(expr)?;
            keys.push(self.settle(frag)?.comparable());
        }
        if !keys.is_empty() {
            parts.push(format!("PARTITION BY {}", keys.join(", ")));
        }
        let mut terms = Vec::new();
        for term in &spec.order_by {
            let frag = self.expr(&term.expr)?;
            let frag = self.settle(frag)?;
            terms.push(order_term(&frag, term)?);
        }
        if !terms.is_empty() {
            parts.push(format!("ORDER BY {}", terms.join(", ")));
        }
        if let Some(frame) = &spec.window_frame {
            let start = self.frame_bound(&frame.start_bound)?;
            parts.push(match &frame.end_bound {
                Some(end) => format!("{} BETWEEN {start} AND {}", frame.units, self.frame_bound(end)?),
                None => format!("{} {start}", frame.units),
            });
        }
        Ok(parts.join(" "))
    }

    fn frame_bound(&mut self, bound: &sqlparser::ast::WindowFrameBound) -> Result<String> {
        use sqlparser::ast::WindowFrameBound as Bound;
        Ok(match bound {
            Bound::CurrentRow => "CURRENT ROW".to_owned(),
            Bound::Preceding(None) => "UNBOUNDED PRECEDING".to_owned(),
            Bound::Following(None) => "UNBOUNDED FOLLOWING".to_owned(),
            Bound::Preceding(Some(expr)) => format!("{} PRECEDING", self.expr_as(expr, Type::Int8)?.sql),
            Bound::Following(Some(expr)) => format!("{} FOLLOWING", self.expr_as(expr, Type::Int8)?.sql),
        })
    }
}

/// The statement of a body that changes something.
pub(in crate::sql) fn changing(body: &SetExpr) -> Option<&Statement> {
    match body {
        SetExpr::Insert(statement) | SetExpr::Update(statement) | SetExpr::Delete(statement) => {
            Some(statement)
        }
        _ => None,
    }
}

/// How DISTINCT ON picks its rows.
struct FirstOf {
    /// More columns of the inner query, with their names.
    added: Vec<(String, String)>,
    keys: Vec<String>,
    terms: Vec<String>,
}

impl FirstOf {
    /// The first row of each group of the inner query.
    fn wrapped(&self, sql: &str, columns: &[Output]) -> String {
        let own = (0..columns.len()).map(|index| format!("\"c{index}\""));
        let names: Vec<String> = own.chain(self.added.iter().map(|(name, _)| name.clone())).collect();
        let shown = columns.iter().enumerate();
        let shown: Vec<String> =
            shown.map(|(index, column)| format!("\"c{index}\" AS {}", quote(&column.name))).collect();
        let (names, shown, keys) = (names.join(", "), shown.join(", "), self.keys.join(", "));
        let order = if self.terms.is_empty() {
            String::new()
        } else {
            format!(" ORDER BY {}", self.terms.join(", "))
        };
        format!(
            "WITH \"w\" ({names}) AS ({sql}), \"r\" AS (SELECT *, row_number() OVER (PARTITION BY {keys}{order}) AS \"rn\" \
             FROM \"w\") SELECT {shown} FROM \"r\" WHERE \"rn\" = 1{order}"
        )
    }
}

fn renamed(mut columns: Vec<Output>, names: &[String]) -> Result<Vec<Output>> {
    if names.len() > columns.len() {
        return Err(SqlError::new("42P10", "WITH query has fewer columns than names"));
    }
    for (column, name) in columns.iter_mut().zip(names) {
        column.name.clone_from(name);
    }
    Ok(columns)
}

fn quoted(columns: &[Output]) -> String {
    columns.iter().map(|column| quote(&column.name)).collect::<Vec<_>>().join(", ")
}

/// The output column that a bare name or a number in ORDER BY or GROUP BY means.
fn output_index(expr: &Expr, columns: &[Output]) -> Result<Option<usize>> {
    match expr {
        Expr::Identifier(ident) => {
            let name = fold(ident);
            Ok(columns.iter().position(|column| column.name == name))
        }
        Expr::Value(value) => match &value.value {
            Value::Number(text, _) => {
                let index = text.parse::<usize>().ok().filter(|index| (1..=columns.len()).contains(index));
                let message = format!("ORDER BY position {text} is not in select list");
                index.map(|index| Some(index - 1)).ok_or_else(|| SqlError::new("42P10", message))
            }
            _ => Ok(None),
        },
        _ => Ok(None),
    }
}

/// A sort term; NULLs are the largest values in Postgres and the smallest in SQLite.
pub(super) fn order_term(frag: &Frag, term: &OrderByExpr) -> Result<String> {
    if term.with_fill.is_some() {
        return Err(SqlError::unsupported("WITH FILL"));
    }
    if let Some(OrderBySort::Using(operator)) = &term.options.sort {
        return Err(SqlError::unsupported(format!("ORDER BY … USING {operator}")));
    }
    let descending = matches!(term.options.sort, Some(OrderBySort::Desc));
    let collate = frag.ty().collation().map(|name| format!(" COLLATE {name}")).unwrap_or_default();
    let direction = if descending { " DESC" } else { "" };
    let nulls = match term.options.nulls_first {
        None if frag.not_null => "",
        Some(first) if first => " NULLS FIRST",
        Some(_) => " NULLS LAST",
        None if descending => " NULLS FIRST",
        None => " NULLS LAST",
    };
    Ok(format!("{}{collate}{direction}{nulls}", frag.sql))
}

impl From<Shape> for Frag {
    fn from(shape: Shape) -> Self {
        Self { shape, ..Self::new("NULL", Type::Unknown) }
    }
}
