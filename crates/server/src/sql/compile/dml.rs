//! INSERT, UPDATE, DELETE and the values they assign.

use super::{Compiler, Frag, Output, Shape, assignable, cast_call, literal, relation_name};
use crate::sql::catalog::{Column, Identity, Kind, Relation, stored};
use crate::sql::error::{Result, SqlError};
use crate::sql::types::Type;
use crate::sql::{fold, parse_expr, quote, walk};
use sqlparser::ast::{
    Assignment, AssignmentTarget, ConflictTarget, Delete, Expr, FromTable, Insert, ObjectName,
    OnConflictAction, OnInsert, SetExpr, TableFactor, TableObject, TableWithJoins, Update,
    UpdateTableFromKind,
};

/// A compiled INSERT, UPDATE or DELETE.
pub(in crate::sql) type Changed = (String, Vec<Output>);

impl Compiler<'_> {
    /// INSERT. Columns left out get their defaults here, so that SQLite's own rules never apply.
    pub(in crate::sql) fn insert(&mut self, insert: &Insert) -> Result<Changed> {
        self.writes = true;
        self.overriding = insert.overwrite;
        let TableObject::TableName(name) = &insert.table else {
            return Err(SqlError::unsupported("INSERT into this kind of table"));
        };
        let relation = self.target(name)?;
        self.check(&relation, 'a')?;
        self.changes.push((relation.name.clone(), 'a'));
        if insert.returning.is_some() {
            self.check(&relation, 'r')?;
        }
        let alias = insert
            .table_alias
            .as_ref()
            .map_or_else(|| relation.base().to_owned(), |alias| fold(&alias.alias));
        let mut targets = self.insert_targets(&relation, &insert.columns)?;
        if let Some(SetExpr::Values(values)) = insert.source.as_deref().map(|query| &*query.body)
            && insert.columns.is_empty()
            && values.rows.iter().any(|row| row.content.len() > targets.len())
        {
            // Generated columns may be named, or counted, if they get DEFAULT.
            targets = relation.columns.iter().collect();
        }
        let types: Vec<Type> = targets.iter().map(|column| column.typed().ty).collect();
        let width_error = |more: &str| SqlError::syntax(format!("INSERT has more {more}"));
        let omitted: Vec<&Column> =
            relation.columns.iter().filter(|c| !c.generated && !targets.contains(c)).collect();
        let rows = match insert.source.as_deref() {
            None => vec![targets.iter().map(|column| self.default_of(column)).collect::<Result<Vec<_>>>()?],
            Some(query) => match &*query.body {
                SetExpr::Values(values) if query.with.is_none() && query.limit_clause.is_none() => {
                    let mut rows = Vec::new();
                    for row in &values.rows {
                        if row.content.len() > targets.len() {
                            return Err(width_error("expressions than target columns"));
                        }
                        if row.content.len() < targets.len() && !insert.columns.is_empty() {
                            return Err(width_error("target columns than expressions"));
                        }
                        let mut items = Vec::new();
                        for (expr, column) in row.content.iter().zip(&targets) {
                            if !(column.generated && is_default(expr)) {
                                items.push(self.assigned(expr, column)?);
                            }
                        }
                        for column in targets[row.content.len()..].iter().filter(|c| !c.generated) {
                            items.push(self.default_of(column)?);
                        }
                        rows.push(items);
                    }
                    rows
                }
                _ => return self.insert_select(insert, &relation, &alias, &targets, &types, &omitted),
            },
        };
        targets.retain(|column| !column.generated);
        let mut defaults = Vec::new();
        for column in &omitted {
            defaults.push(self.default_of(column)?);
        }
        let rows: Vec<String> = rows
            .into_iter()
            .map(|row| format!("({})", row.iter().chain(&defaults).cloned().collect::<Vec<_>>().join(", ")))
            .collect();
        let source = format!("VALUES {}", rows.join(", "));
        self.finish_insert(insert, &relation, &alias, &targets, &omitted, &source)
    }

    fn insert_select(
        &mut self,
        insert: &Insert,
        relation: &Relation,
        alias: &str,
        targets: &[&Column],
        types: &[Type],
        omitted: &[&Column],
    ) -> Result<Changed> {
        let query = insert.source.as_deref().ok_or_else(|| SqlError::syntax("INSERT has no source"))?;
        let (sql, columns) = match &*query.body {
            SetExpr::Values(values) => self.values(values, Some(types))?,
            _ => self.query(query)?,
        };
        if columns.len() > targets.len() {
            return Err(SqlError::syntax("INSERT has more expressions than target columns"));
        }
        if columns.len() < targets.len() && !insert.columns.is_empty() {
            return Err(SqlError::syntax("INSERT has more target columns than expressions"));
        }
        let mut items = Vec::new();
        let mut names = Vec::new();
        for (index, (output, column)) in columns.iter().zip(targets).enumerate() {
            let name = quote(&format!("c{index}"));
            items.push(self.assign(Frag::new(name.clone(), output.typed), column)?);
            names.push(name);
        }
        for column in targets[columns.len()..].iter().chain(omitted) {
            items.push(self.default_of(column)?);
        }
        let (names, items) = (names.join(", "), items.join(", "));
        // WHERE keeps SQLite from taking ON CONFLICT for a join's ON.
        let source =
            format!("SELECT {items} FROM (WITH \"w\" ({names}) AS ({sql}) SELECT * FROM \"w\") WHERE 1");
        self.finish_insert(insert, relation, alias, targets, omitted, &source)
    }

    fn finish_insert(
        &mut self,
        insert: &Insert,
        relation: &Relation,
        alias: &str,
        targets: &[&Column],
        omitted: &[&Column],
        source: &str,
    ) -> Result<Changed> {
        let names: Vec<String> = targets.iter().chain(omitted).map(|column| quote(&column.name)).collect();
        let table = quote(&relation.name);
        let mut sql = format!("INSERT INTO {table} AS {} ({}) {source}", quote(alias), names.join(", "));
        self.open_table(alias, relation)?;
        if let Some(on) = &insert.on {
            sql += &self.on_conflict(on, relation)?;
        }
        let returning = self.returning(insert.returning.as_deref(), &mut sql)?;
        self.close_scope();
        Ok((sql, returning))
    }

    fn insert_targets<'r>(&self, relation: &'r Relation, names: &[ObjectName]) -> Result<Vec<&'r Column>> {
        if names.is_empty() {
            return Ok(relation.columns.iter().filter(|column| !column.generated).collect());
        }
        let mut targets: Vec<&Column> = Vec::new();
        for name in names {
            let (_, column) = relation_name(name)?;
            let found = relation
                .column(&column)
                .ok_or_else(|| no_column(relation, &column).at(walk::start_of(name)))?;
            if targets.contains(&found) {
                let message = format!("column \"{column}\" specified more than once");
                return Err(SqlError::new("42701", message).at(walk::start_of(name)));
            }
            targets.push(found);
        }
        Ok(targets)
    }

    fn on_conflict(&mut self, on: &OnInsert, relation: &Relation) -> Result<String> {
        let OnInsert::OnConflict(conflict) = on else {
            return Err(SqlError::unsupported("ON DUPLICATE KEY UPDATE"));
        };
        let columns = match &conflict.conflict_target {
            None => None,
            Some(ConflictTarget::Columns(columns)) => Some(columns.iter().map(fold).collect::<Vec<_>>()),
            Some(ConflictTarget::OnConstraint(name)) => {
                let (_, name) = relation_name(name)?;
                let found = relation.constraints.iter().find(|constraint| constraint.name == name);
                let message = format!("constraint \"{name}\" for table \"{}\" does not exist", relation.name);
                Some(found.ok_or_else(|| SqlError::new("42704", message))?.columns.clone())
            }
        };
        let mut sql = " ON CONFLICT".to_owned();
        if let Some(columns) = &columns {
            let refs: Vec<&str> = columns.iter().map(String::as_str).collect();
            if self.context.catalog.unique_name(&relation.name, &refs).is_none() {
                let message =
                    "there is no unique or exclusion constraint matching the ON CONFLICT specification";
                return Err(SqlError::new("42P10", message));
            }
            sql +=
                &format!(" ({})", columns.iter().map(|column| quote(column)).collect::<Vec<_>>().join(", "));
        }
        match &conflict.action {
            OnConflictAction::DoNothing => sql += " DO NOTHING",
            OnConflictAction::DoUpdate(_) if columns.is_none() => {
                let message = "ON CONFLICT DO UPDATE requires inference specification or constraint name";
                return Err(SqlError::syntax(message));
            }
            OnConflictAction::DoUpdate(update) => {
                self.check(relation, 'w')?;
                self.check(relation, 'r')?;
                self.also_visible("excluded", relation)?;
                // A bare name means the existing row, not the proposed one.
                if let Some(table) = self.scopes.last_mut().and_then(|scope| scope.tables.last_mut()) {
                    table.columns.iter_mut().for_each(|column| column.not_null = false);
                }
                let set = self.assignments(&update.assignments, relation)?;
                sql += &format!(" DO UPDATE SET {set}");
                if let Some(selection) = &update.selection {
                    sql += &format!(" WHERE {}", self.condition("WHERE", selection)?);
                }
                if let Some(scope) = self.scopes.last_mut() {
                    scope.tables.truncate(1);
                }
            }
        }
        Ok(sql)
    }

    /// UPDATE.
    pub(in crate::sql) fn update(&mut self, update: &Update) -> Result<Changed> {
        self.writes = true;
        if !update.order_by.is_empty() || update.limit.is_some() || !update.table.joins.is_empty() {
            return Err(SqlError::unsupported("this clause of UPDATE"));
        }
        let (relation, alias) = self.aliased_target(&update.table)?;
        self.check(&relation, 'w')?;
        self.changes.push((relation.name.clone(), 'w'));
        if update.selection.is_some() || update.returning.is_some() {
            self.check(&relation, 'r')?;
        }
        let table = self.open_table(&alias, &relation)?;
        let from = match &update.from {
            None => String::new(),
            Some(UpdateTableFromKind::AfterSet(tables) | UpdateTableFromKind::BeforeSet(tables)) => {
                let tables =
                    tables.iter().map(|table| self.table_with_joins(table)).collect::<Result<Vec<_>>>()?;
                format!(" FROM {}", tables.join(", "))
            }
        };
        let set = self.assignments(&update.assignments, &relation)?;
        let mut sql = format!("UPDATE {table} AS {} SET {set}{from}", quote(&alias));
        if let Some(selection) = &update.selection {
            sql += &format!(" WHERE {}", self.condition("WHERE", selection)?);
        }
        let returning = self.returning(update.returning.as_deref(), &mut sql)?;
        self.close_scope();
        Ok((sql, returning))
    }

    fn assignments(&mut self, assignments: &[Assignment], relation: &Relation) -> Result<String> {
        let mut items = Vec::new();
        for assignment in assignments {
            let name = match &assignment.target {
                AssignmentTarget::ColumnName(name) => name,
                AssignmentTarget::Tuple(names) => {
                    items.push(self.row_assignment(names, &assignment.value, relation)?);
                    continue;
                }
            };
            let (_, name_text) = relation_name(name)?;
            let column = relation
                .column(&name_text)
                .ok_or_else(|| no_column(relation, &name_text).at(walk::start_of(name)))?;
            let value = self.assigned(&assignment.value, column)?;
            items.push(format!("{} = {value}", quote(&column.name)));
        }
        Ok(items.join(", "))
    }

    /// `(a, b) = (1, 2)` and `(a, b) = (SELECT …)`
    fn row_assignment(&mut self, names: &[ObjectName], value: &Expr, relation: &Relation) -> Result<String> {
        let columns = self.insert_targets(relation, names)?;
        let quoted: Vec<String> = columns.iter().map(|column| quote(&column.name)).collect();
        match value {
            Expr::Tuple(values) if values.len() == columns.len() => {
                let mut items = Vec::new();
                for (name, (value, column)) in quoted.iter().zip(values.iter().zip(&columns)) {
                    items.push(format!("{name} = {}", self.assigned(value, column)?));
                }
                Ok(items.join(", "))
            }
            Expr::Subquery(query) => {
                let (sql, outputs) = self.query(query)?;
                if outputs.len() != columns.len() {
                    return Err(SqlError::syntax("number of columns does not match number of values"));
                }
                let (mut names, mut items) = (Vec::new(), Vec::new());
                for (index, (output, column)) in outputs.iter().zip(&columns).enumerate() {
                    let name = format!("\"c{index}\"");
                    items.push(self.assign(Frag::new(name.clone(), output.typed), column)?);
                    names.push(name);
                }
                let (names, items) = (names.join(", "), items.join(", "));
                Ok(format!(
                    "({}) = (WITH \"w\" ({names}) AS ({sql}) SELECT {items} FROM \"w\")",
                    quoted.join(", ")
                ))
            }
            _ => Err(SqlError::syntax("number of columns does not match number of values")),
        }
    }

    /// DELETE.
    pub(in crate::sql) fn delete(&mut self, delete: &Delete) -> Result<Changed> {
        self.writes = true;
        let (FromTable::WithFromKeyword(from) | FromTable::WithoutKeyword(from)) = &delete.from;
        let [target] = from.as_slice() else {
            return Err(SqlError::unsupported("DELETE from several tables"));
        };
        if !delete.order_by.is_empty() || delete.limit.is_some() || !target.joins.is_empty() {
            return Err(SqlError::unsupported("this clause of DELETE"));
        }
        let (relation, alias) = self.aliased_target(target)?;
        self.check(&relation, 'd')?;
        self.changes.push((relation.name.clone(), 'd'));
        if delete.selection.is_some() || delete.returning.is_some() {
            self.check(&relation, 'r')?;
        }
        let table = self.open_table(&alias, &relation)?;
        let mut sql = format!("DELETE FROM {table} AS {}", quote(&alias));
        match &delete.using {
            Some(using) => {
                // SQLite joins in a subquery only: pick the rows there, by their row id.
                let tables =
                    using.iter().map(|table| self.table_with_joins(table)).collect::<Result<Vec<_>>>()?;
                let condition =
                    delete.selection.as_ref().map(|expr| self.condition("WHERE", expr)).transpose()?;
                let condition = condition.unwrap_or_else(|| "1".to_owned());
                let (row, tables) = (format!("{}.\"rowid\"", quote(&alias)), tables.join(", "));
                let inner =
                    format!("SELECT {row} FROM {table} AS {}, {tables} WHERE {condition}", quote(&alias));
                sql += &format!(" WHERE {row} IN ({inner})");
            }
            None => {
                if let Some(selection) = &delete.selection {
                    sql += &format!(" WHERE {}", self.condition("WHERE", selection)?);
                }
            }
        }
        let returning = self.returning(delete.returning.as_deref(), &mut sql)?;
        self.close_scope();
        Ok((sql, returning))
    }

    fn returning(
        &mut self,
        items: Option<&[sqlparser::ast::SelectItem]>,
        sql: &mut String,
    ) -> Result<Vec<Output>> {
        let Some(items) = items else { return Ok(Vec::new()) };
        // SQLite knows the columns there without their table's alias only.
        if let Some(table) = self.scopes.last_mut().and_then(|scope| scope.tables.first_mut()) {
            for column in &mut table.columns {
                column.sql = Some(quote(&column.name));
            }
        }
        let (texts, columns) = self.projection(items)?;
        *sql += &format!(" RETURNING {}", texts.join(", "));
        Ok(columns)
    }

    /// The table that a statement changes.
    pub(in crate::sql) fn target(&self, name: &ObjectName) -> Result<Relation> {
        let (schema, table) = relation_name(name)?;
        let place = walk::start_of(name);
        if matches!(schema.as_deref(), Some("pg_catalog" | "information_schema")) {
            let message = format!("permission denied: \"{table}\" is a system catalog");
            return Err(SqlError::new("42501", message).at(place));
        }
        let relation = self.with_rows(name)?;
        match relation.kind {
            Kind::Table => Ok(relation.clone()),
            Kind::View => Err(SqlError::new("55000", format!("cannot change view \"{table}\"")).at(place)),
            Kind::Materialized { .. } => {
                let message = format!("cannot change materialized view \"{table}\"");
                Err(SqlError::new("42809", message).at(place))
            }
            _ => Err(SqlError::new("42809", format!("\"{table}\" is not a table")).at(place)),
        }
    }

    /// The table or materialized view of a name.
    pub(in crate::sql) fn target_with_rows(&self, name: &ObjectName) -> Result<Relation> {
        match self.with_rows(name) {
            Ok(relation) if matches!(relation.kind, Kind::Materialized { .. }) => Ok(relation.clone()),
            _ => self.target(name),
        }
    }

    fn with_rows(&self, name: &ObjectName) -> Result<&Relation> {
        let (schema, table) = relation_name(name)?;
        let place = walk::start_of(name);
        let relation = self.context.find(schema.as_deref(), &table);
        relation.ok_or_else(|| {
            let shown = schema.map(|schema| format!("{schema}.{table}")).unwrap_or_else(|| table.clone());
            SqlError::new("42P01", format!("relation \"{shown}\" does not exist")).at(place)
        })
    }

    fn aliased_target(&self, table: &TableWithJoins) -> Result<(Relation, String)> {
        let TableFactor::Table { name, alias, .. } = &table.relation else {
            return Err(SqlError::unsupported("changing a subquery"));
        };
        let relation = self.target(name)?;
        let alias = alias.as_ref().map_or_else(|| relation.base().to_owned(), |alias| fold(&alias.name));
        Ok((relation, alias))
    }

    /// The value that an expression gives to a column: DEFAULT, or converted to its type.
    fn assigned(&mut self, expr: &Expr, column: &Column) -> Result<String> {
        if is_default(expr) {
            return self.default_of(column);
        }
        if column.generated {
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
            let detail = format!("Column \"{}\" is a generated column.", column.name);
            return Err(SqlError::new("428C9", message).detail(detail).at(walk::start(expr)));
        }
        if column.identity == Some(Identity::Always) && !self.overriding {
            let message = format!("cannot insert a non-DEFAULT value into column \"{}\"", column.name);
            let detail =
                format!("Column \"{}\" is an identity column defined as GENERATED ALWAYS.", column.name);
            return Err(SqlError::new("428C9", message).detail(detail).at(walk::start(expr)));
        }
        let frag = self.expr(expr)?;
        self.assign(frag, column).map_err(|error| error.at(walk::start(expr)))
    }

    /// Converts a fragment to a column's type, with the checks of an assignment.
    pub(in crate::sql) fn assign(&mut self, frag: Frag, column: &Column) -> Result<String> {
        let (from, to) = (frag.ty(), column.typed());
        let not_null = frag.not_null;
        let sql = match &frag.shape {
            Shape::Null => "NULL".to_owned(),
            Shape::Literal(text) => return Ok(literal(&self.read(to, text, false)?)),
            Shape::Param(_) => {
                let frag = self.coerce(frag, to.ty)?;
                if modified(to) { cast_call(&frag, to, false).sql } else { frag.sql }
            }
            Shape::Typed if !assignable(from, to.ty) => {
                let message = format!(
                    "column \"{}\" is of type {} but expression is of type {from}",
                    column.name, to.ty
                );
                let hint = "You will need to rewrite or cast the expression.";
                return Err(SqlError::new("42804", message).hint(hint));
            }
            Shape::Typed if from == to.ty && (frag.typed == to || !modified(to)) => frag.sql,
            Shape::Typed => cast_call(&frag, to, false).sql,
        };
        // SQLite would number a NULL in a row-id key, and Postgres refuses it.
        if column.not_null && to.ty.is_integer() && !not_null {
            return Ok(format!(
                "sb_not_null({sql}, {})",
                literal(&crate::engine::Value::Text(column.name.clone()))
            ));
        }
        Ok(sql)
    }

    /// A column's default as SQLite text.
    pub(in crate::sql) fn default_of(&mut self, column: &Column) -> Result<String> {
        let Some(text) = &column.default else {
            return self.assign(Shape::Null.into(), column);
        };
        let scopes = std::mem::take(&mut self.scopes);
        let frag = self.expr(&parse_expr(text)?)?;
        let sql = self.assign(frag, column);
        self.scopes = scopes;
        sql
    }
}

fn is_default(expr: &Expr) -> bool {
    matches!(expr, Expr::Identifier(ident) if ident.quote_style.is_none() && fold(ident) == "default")
}

fn modified(typed: crate::sql::types::Typed) -> bool {
    typed.typmod >= 0
}

fn no_column(relation: &Relation, column: &str) -> SqlError {
    let message = format!("column \"{column}\" of relation \"{}\" does not exist", relation.name);
    SqlError::new("42703", message)
}

impl Compiler<'_> {
    /// The INSERT that COPY runs for each row, and the types of the fields.
    pub(in crate::sql) fn copy_row(
        &mut self,
        table: &ObjectName,
        names: &[String],
    ) -> Result<(String, Vec<crate::sql::types::Typed>)> {
        let relation = self.target(table)?;
        self.check(&relation, 'a')?;
        let mut targets = Vec::new();
        for name in names {
            targets.push(relation.column(name).ok_or_else(|| no_column(&relation, name))?);
        }
        if names.is_empty() {
            targets.extend(relation.columns.iter().filter(|column| !column.generated));
        }
        let mut values = Vec::new();
        for (index, column) in targets.iter().enumerate() {
            let parameter = self.parameter(index, column.typed().ty)?;
            let parameter = Frag { typed: column.typed(), ..parameter };
            values.push(self.assign(parameter, column)?);
        }
        let omitted: Vec<&Column> =
            relation.columns.iter().filter(|c| !c.generated && !targets.contains(c)).collect();
        for column in &omitted {
            values.push(self.default_of(column)?);
        }
        let columns: Vec<String> = targets.iter().chain(&omitted).map(|column| quote(&column.name)).collect();
        let (table, columns, values) = (stored(&relation.name), columns.join(", "), values.join(", "));
        let sql = format!("INSERT INTO {table} ({columns}) VALUES ({values})");
        Ok((sql, targets.iter().map(|column| column.typed()).collect()))
    }
}
