//! FROM: tables, subqueries, joins, and the names that they make visible.

use super::{Compiler, Origin, Scope, ScopeColumn, ScopeTable, relation_name};
use crate::sql::catalog::{Column, Kind, Relation, stored};
use crate::sql::ddl::materialized::not_populated;
use crate::sql::error::{Result, SqlError};
use crate::sql::types::{Type, Typed};
use crate::sql::{fold, quote, walk};
use sqlparser::ast::{
    Expr, FunctionArg, FunctionArgExpr, FunctionArguments, Join, JoinConstraint, JoinOperator, ObjectName,
    TableAlias, TableFactor, TableWithJoins,
};

impl Compiler<'_> {
    pub(super) fn table_with_joins(&mut self, table: &TableWithJoins) -> Result<String> {
        let mut sql = self.table_factor(&table.relation)?;
        for join in &table.joins {
            sql += &self.join(join)?;
        }
        Ok(sql)
    }

    fn join(&mut self, join: &Join) -> Result<String> {
        let left: Vec<String> = self.scopes.last().map(visible).unwrap_or_default();
        let before = self.scopes.last().map_or(0, |scope| scope.tables.len());
        let (word, constraint, outer) = match &join.join_operator {
            JoinOperator::Join(c) | JoinOperator::Inner(c) => ("JOIN", c, (false, false)),
            JoinOperator::Left(c) | JoinOperator::LeftOuter(c) => ("LEFT JOIN", c, (false, true)),
            JoinOperator::Right(c) | JoinOperator::RightOuter(c) => ("RIGHT JOIN", c, (true, false)),
            JoinOperator::FullOuter(c) => ("FULL JOIN", c, (true, true)),
            JoinOperator::CrossJoin(c) => ("CROSS JOIN", c, (false, false)),
            _ => return Err(SqlError::unsupported("this kind of join")),
        };
        let right = self.table_factor(&join.relation)?;
        if let Some(scope) = self.scopes.last_mut() {
            for (index, table) in scope.tables.iter_mut().enumerate() {
                if (outer.0 && index < before) || (outer.1 && index >= before) {
                    for column in &mut table.columns {
                        column.not_null = false;
                        column.origin = column.origin.map(|origin| Origin { outer: true, ..origin });
                    }
                }
            }
        }
        let using = match constraint {
            JoinConstraint::On(expr) => {
                let condition = self.condition("JOIN/ON", expr)?;
                return Ok(format!(" {word} {right} ON {condition}"));
            }
            JoinConstraint::None => return Ok(format!(" {word} {right}")),
            JoinConstraint::Using(names) => names
                .iter()
                .map(|name| relation_name(name).map(|(_, name)| name))
                .collect::<Result<Vec<_>>>()?,
            JoinConstraint::Natural => {
                let tables = self.scopes.last().map(|scope| &scope.tables[before..]).unwrap_or_default();
                let names = tables.iter().flat_map(|t| &t.columns).map(|column| column.name.clone());
                names.filter(|name| left.contains(name)).collect()
            }
        };
        if using.is_empty() {
            return Ok(format!(" {word} {right}"));
        }
        if let Some(scope) = self.scopes.last_mut() {
            for name in &using {
                let count = scope.tables.iter().flat_map(|t| &t.columns).filter(|c| c.name == *name).count();
                if count < 2 {
                    let message = format!("column \"{name}\" specified in USING clause does not exist");
                    return Err(SqlError::new("42703", message));
                }
                if !scope.merged.contains(name) {
                    scope.merged.push(name.clone());
                }
            }
        }
        let names: Vec<String> = using.iter().map(|name| quote(name)).collect();
        Ok(format!(" {word} {right} USING ({})", names.join(", ")))
    }

    fn table_factor(&mut self, factor: &TableFactor) -> Result<String> {
        match factor {
            TableFactor::Table { name, alias, args: None, sample: None, with_ordinality: false, .. } => {
                let (schema, table) = relation_name(name)?;
                let (sql, columns) =
                    self.relation(schema.as_deref(), &table, true).map_err(|e| e.at(walk::start_of(name)))?;
                let alias_name = alias.as_ref().map_or_else(|| table.clone(), |alias| fold(&alias.name));
                if alias.as_ref().is_some_and(|alias| !alias.columns.is_empty()) {
                    let inner = format!("(SELECT * FROM {sql})");
                    return self.aliased(&inner, columns, alias.as_ref(), &alias_name);
                }
                self.add_table(&alias_name, columns)?;
                Ok(format!("{sql} AS {}", quote(&alias_name)))
            }
            TableFactor::Derived { lateral: false, subquery, alias, .. } => {
                // A derived table can't see its neighbours.
                let here = self.scopes.pop();
                let result = self.query(subquery);
                self.scopes.extend(here);
                let (sql, outputs) = result?;
                let columns = outputs.into_iter().map(|o| ScopeColumn {
                    name: o.name,
                    typed: o.typed,
                    not_null: false,
                    sql: None,
                    origin: None,
                });
                let name =
                    alias.as_ref().map_or_else(|| "unnamed_subquery".to_owned(), |alias| fold(&alias.name));
                self.aliased(&format!("({sql})"), columns.collect(), alias.as_ref(), &name)
            }
            TableFactor::Table { name, alias, args: Some(args), with_ordinality, .. } => {
                if let [FunctionArg::Unnamed(FunctionArgExpr::Expr(array))] = args.args.as_slice()
                    && relation_name(name).is_ok_and(|(_, name)| name == "unnest")
                {
                    return self.unnest(array, alias.as_ref(), *with_ordinality);
                }
                if super::json::rows_of(&relation_name(name)?.1).is_some() {
                    return self.json_table(name, &args.args, alias.as_ref(), *with_ordinality);
                }
                let list = FunctionArguments::List(sqlparser::ast::FunctionArgumentList {
                    duplicate_treatment: None,
                    args: args.args.clone(),
                    clauses: Vec::new(),
                });
                let (sql, typed) = self.set_function(name, &list)?;
                let (_, function) = relation_name(name)?;
                let alias_name = alias.as_ref().map_or_else(|| function.clone(), |alias| fold(&alias.name));
                let mut columns = vec![ScopeColumn {
                    name: alias_name.clone(),
                    typed,
                    not_null: false,
                    sql: None,
                    origin: None,
                }];
                if !with_ordinality {
                    return self.aliased(&sql, columns, alias.as_ref(), &alias_name);
                }
                let (name, typed) = ("ordinality".to_owned(), Type::Int8.into());
                columns.push(ScopeColumn { name, typed, not_null: true, sql: None, origin: None });
                let sql = format!("(SELECT *, row_number() OVER () FROM {sql})");
                self.aliased(&sql, columns, alias.as_ref(), &alias_name)
            }
            TableFactor::UNNEST { alias, array_exprs, with_offset: false, with_ordinality, .. } => {
                match array_exprs.as_slice() {
                    [array] => self.unnest(array, alias.as_ref(), *with_ordinality),
                    arrays => self.unnest_several(arrays, alias.as_ref(), *with_ordinality),
                }
            }
            TableFactor::NestedJoin { table_with_joins, alias: None } => {
                Ok(format!("({})", self.table_with_joins(table_with_joins)?))
            }
            TableFactor::Derived { lateral: true, subquery, alias, .. } => {
                let name =
                    alias.as_ref().map_or_else(|| "unnamed_subquery".to_owned(), |alias| fold(&alias.name));
                self.lateral(subquery, alias.as_ref(), &name)
            }
            other => Err(SqlError::unsupported(format!("FROM item {other}"))),
        }
    }

    /// An array's elements in FROM; the array may be made of the columns of the tables before it.
    fn unnest(&mut self, array: &Expr, alias: Option<&TableAlias>, ordinality: bool) -> Result<String> {
        let array = self.expr(array)?;
        let (source, element) = self.element_source(array)?;
        let name = alias.map_or_else(|| "unnest".to_owned(), |alias| fold(&alias.name));
        let given = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
        let column = |index: usize, fallback: &str, ty: Type, sql: String| ScopeColumn {
            name: given.get(index).map_or_else(|| fallback.to_owned(), |column| fold(&column.name)),
            typed: ty.into(),
            not_null: false,
            sql: Some(sql),
            origin: None,
        };
        let of = quote(&name);
        let mut columns = vec![column(0, &name, element, format!("{of}.\"value\""))];
        if ordinality {
            columns.push(column(1, "ordinality", Type::Int8, format!("({of}.\"key\" + 1)")));
        }
        self.add_table(&name, columns)?;
        Ok(format!("{source} AS {of}"))
    }

    /// A subquery that sees the tables before it. SQLite's own functions in FROM can, its subqueries can't:
    /// the rows become one JSON array, and that steps through them.
    fn lateral(
        &mut self,
        query: &sqlparser::ast::Query,
        alias: Option<&TableAlias>,
        name: &str,
    ) -> Result<String> {
        let (sql, outputs) = self.query(query)?;
        let given = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
        let of = quote(name);
        let mut columns = Vec::new();
        for (index, output) in outputs.iter().enumerate() {
            if output.typed.ty == Type::Bytea {
                return Err(SqlError::unsupported("bytea in a LATERAL subquery"));
            }
            columns.push(ScopeColumn {
                name: given.get(index).map_or_else(|| output.name.clone(), |column| fold(&column.name)),
                typed: output.typed,
                not_null: false,
                sql: Some(format!("({of}.\"value\" ->> {index})")),
                origin: None,
            });
        }
        self.add_table(name, columns)?;
        let names: Vec<String> = (0..outputs.len()).map(|index| format!("\"c{index}\"")).collect();
        let names = names.join(", ");
        Ok(format!(
            "json_each((WITH \"w\" ({names}) AS ({sql}) SELECT json_group_array(json_array({names})) FROM \"w\")) AS {of}"
        ))
    }

    /// A function on documents in FROM; the document may be made of the columns of the tables before it.
    fn json_table(
        &mut self,
        name: &ObjectName,
        args: &[FunctionArg],
        alias: Option<&TableAlias>,
        ordinality: bool,
    ) -> Result<String> {
        let (_, function) = relation_name(name)?;
        let mut frags = Vec::new();
        for arg in args {
            let FunctionArg::Unnamed(FunctionArgExpr::Expr(expr)) = arg else {
                return Err(SqlError::unsupported(format!("argument {arg}")));
            };
            frags.push(self.expr(expr)?);
        }
        let missing = || SqlError::new("42883", format!("function {function} does not exist"));
        let rows = self.json_rows(&function, &frags)?.ok_or_else(missing)?;
        let name = alias.map_or_else(|| function.clone(), |alias| fold(&alias.name));
        let given = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
        let of = quote(&name);
        let pairs = rows.columns.len() == 2;
        let mut columns = Vec::new();
        for (index, (column, ty)) in rows.columns.iter().enumerate() {
            let sql = if pairs { format!("({of}.\"value\" ->> {index})") } else { format!("{of}.\"value\"") };
            columns.push((*column, *ty, sql));
        }
        if ordinality {
            columns.push(("ordinality", Type::Int8, format!("({of}.\"key\" + 1)")));
        }
        let column = |(index, (fallback, ty, sql)): (usize, (&str, Type, String))| ScopeColumn {
            name: given.get(index).map_or_else(|| fallback.to_owned(), |column| fold(&column.name)),
            typed: ty.into(),
            not_null: false,
            sql: Some(sql),
            origin: None,
        };
        self.add_table(&name, columns.into_iter().enumerate().map(column).collect())?;
        Ok(format!("json_each(sb_json_rows({}, '{}')) AS {of}", rows.document, rows.what))
    }

    /// Several arrays side by side; the shorter ones end in NULLs.
    fn unnest_several(
        &mut self,
        arrays: &[Expr],
        alias: Option<&TableAlias>,
        ordinality: bool,
    ) -> Result<String> {
        let name = alias.map_or_else(|| "unnest".to_owned(), |alias| fold(&alias.name));
        let of = quote(&name);
        let position = format!("({of}.\"key\" + 1)");
        let mut frags = Vec::new();
        for array in arrays {
            frags.push(self.unnested(array)?);
        }
        let given = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
        let column = |index: usize, fallback: &str, ty: Type, sql: String| ScopeColumn {
            name: given.get(index).map_or_else(|| fallback.to_owned(), |column| fold(&column.name)),
            typed: ty.into(),
            not_null: false,
            sql: Some(sql),
            origin: None,
        };
        let mut columns = Vec::new();
        for (index, frag) in frags.iter().enumerate() {
            let ty = frag.ty();
            let missing = || SqlError::new("42883", format!("function unnest({ty}) does not exist"));
            let element = ty.element().ok_or_else(missing)?;
            let sql = format!("sb_array_get({}, {position}, {})", frag.sql, element.oid());
            columns.push(column(index, "unnest", element, sql));
        }
        if ordinality {
            columns.push(column(frags.len(), "ordinality", Type::Int8, position));
        }
        let longest = super::array::longest(&frags);
        self.add_table(&name, columns)?;
        Ok(format!("json_each(sb_array_values({longest}, {})) AS {of}", Type::Text.oid()))
    }

    /// A subquery in FROM under its alias. A CTE gives the columns their names, whatever the inner ones are.
    fn aliased(
        &mut self,
        sql: &str,
        mut columns: Vec<ScopeColumn>,
        alias: Option<&TableAlias>,
        name: &str,
    ) -> Result<String> {
        let given = alias.map(|alias| &alias.columns[..]).unwrap_or_default();
        if given.len() > columns.len() {
            let message = format!(
                "table \"{name}\" has {} columns available but {} columns specified",
                columns.len(),
                given.len()
            );
            return Err(SqlError::new("42P10", message));
        }
        for (column, new) in columns.iter_mut().zip(given) {
            column.name = fold(&new.name);
        }
        let names: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        self.add_table(name, columns)?;
        let names = names.join(", ");
        Ok(format!("(WITH \"w\" ({names}) AS (SELECT * FROM {sql}) SELECT * FROM \"w\") AS {}", quote(name)))
    }

    fn add_table(&mut self, alias: &str, columns: Vec<ScopeColumn>) -> Result<()> {
        let Some(scope) = self.scopes.last_mut() else { return Ok(()) };
        if scope.tables.iter().any(|table| table.alias == alias) {
            return Err(SqlError::new("42712", format!("table name \"{alias}\" specified more than once")));
        }
        scope.tables.push(ScopeTable { alias: alias.to_owned(), columns });
        Ok(())
    }

    /// Opens a scope with one table in it, for INSERT, UPDATE, DELETE and CHECK.
    pub(in crate::sql) fn open_table(&mut self, alias: &str, table: &Relation) -> Result<String> {
        self.scopes.push(Scope::default());
        self.add_table(alias, columns_of(table))?;
        Ok(stored(&table.name))
    }

    /// Adds the same table under another name, as `excluded` in an upsert.
    pub(super) fn also_visible(&mut self, alias: &str, table: &Relation) -> Result<()> {
        self.add_table(alias, columns_of(table))
    }

    /// Opens a scope with columns that no relation has yet, for CREATE TABLE's expressions.
    pub(in crate::sql) fn open_columns(&mut self, alias: &str, columns: &[(String, Typed)]) {
        let columns = columns.iter();
        let columns = columns.map(|(name, typed)| ScopeColumn {
            name: name.clone(),
            typed: *typed,
            not_null: false,
            sql: None,
            origin: None,
        });
        let table = ScopeTable { alias: alias.to_owned(), columns: columns.collect() };
        self.scopes.push(Scope { tables: vec![table], ..Scope::default() });
    }

    /// Closes the innermost scope.
    pub(in crate::sql) fn close_scope(&mut self) {
        self.scopes.pop();
    }

    /// Notes that the innermost query aggregates.
    pub(super) fn note_aggregate(&mut self) {
        if let Some(scope) = self.scopes.last_mut() {
            scope.aggregates = true;
        }
    }

    /// A relation's text and columns; `read` says that its rows are read.
    fn relation(
        &mut self,
        schema: Option<&str>,
        name: &str,
        read: bool,
    ) -> Result<(String, Vec<ScopeColumn>)> {
        if schema.is_none()
            && let Some((_, columns)) = self.ctes.iter().rev().find(|(cte, _)| cte == name)
        {
            let columns = columns.iter();
            let columns = columns.map(|o| ScopeColumn {
                name: o.name.clone(),
                typed: o.typed,
                not_null: false,
                sql: None,
                origin: None,
            });
            return Ok((quote(name), columns.collect()));
        }
        let user = self.context.find(schema, name);
        if user.is_none()
            && let Some((sql, columns)) = self.system_relation(schema, name)
        {
            let columns = columns.into_iter().map(|(name, ty)| ScopeColumn {
                name: name.to_owned(),
                typed: ty.into(),
                not_null: false,
                sql: None,
                origin: None,
            });
            return Ok((sql, columns.collect()));
        }
        let shown = schema.map(|schema| format!("{schema}.{name}")).unwrap_or_else(|| name.to_owned());
        let relation =
            user.ok_or_else(|| SqlError::new("42P01", format!("relation \"{shown}\" does not exist")))?;
        if read {
            self.check(relation, 'r')?;
        }
        if let Some(empty) = self.context.unpopulated(relation, true).filter(|_| read && !self.defining) {
            return Err(not_populated(empty));
        }
        let sql = stored(&relation.name);
        if let Kind::Index { .. } | Kind::Sequence = relation.kind {
            let message = format!("cannot open relation \"{name}\"");
            return Err(SqlError::new("42809", message).detail("This operation is not supported for it."));
        }
        Ok((sql, columns_of(relation)))
    }
}

/// What a table makes visible.
fn columns_of(relation: &Relation) -> Vec<ScopeColumn> {
    let column = |(number, c): (i16, &Column)| ScopeColumn {
        name: c.name.clone(),
        typed: c.typed(),
        not_null: c.not_null,
        sql: None,
        origin: Some(Origin { table: relation.oid, column: number, outer: false }),
    };
    (1..).zip(&relation.columns).map(column).collect()
}

fn visible(scope: &Scope) -> Vec<String> {
    scope.tables.iter().flat_map(|table| &table.columns).map(|column| column.name.clone()).collect()
}
