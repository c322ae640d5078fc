//! ALTER TABLE, TRUNCATE and DROP.

use super::{Maker, index_columns, storage_line};
use crate::sql::catalog::{Kind, Relation};
use crate::sql::compile::relation_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Step;
use crate::sql::{fold, quote};
use sqlparser::ast::{
    AlterColumnOperation, AlterTable, AlterTableOperation, ColumnOption, ObjectName, ObjectType,
    RenameTableNameKind, TableConstraint, Truncate, TruncateIdentityOption, visit_relations,
};
use std::ops::ControlFlow;

impl Maker<'_, '_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<&'static str> {
        let (_, name) = relation_name(&alter.name)?;
        if alter.if_exists && self.catalog.get(&name).is_none() {
            self.steps.push(Step::Notice(format!("relation \"{name}\" does not exist, skipping")));
            return Ok("ALTER TABLE");
        }
        let mut relation = self.compiler.target(&alter.name)?;
        self.must_own(&relation)?;
        for operation in &alter.operations {
            self.alter_operation(&mut relation, operation)?;
        }
        self.put(relation);
        Ok("ALTER TABLE")
    }

    fn alter_operation(&mut self, relation: &mut Relation, operation: &AlterTableOperation) -> Result<()> {
        let table = quote(&relation.name);
        let missing = |relation: &Relation, name: &str| {
            let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.name);
            SqlError::new("42703", message)
        };
        match operation {
            AlterTableOperation::AddConstraint { constraint, .. } => {
                let columns = match constraint {
                    TableConstraint::PrimaryKey(key) => index_columns(&key.columns)?,
                    TableConstraint::Unique(key) => index_columns(&key.columns)?,
                    TableConstraint::Check(_) => return self.add_check(relation, constraint),
                    _ => {
                        return Err(SqlError::unsupported("adding a foreign key to an existing table"));
                    }
                };
                self.table_constraint(relation, constraint, &mut Vec::new())?;
                let Some(added) = relation.constraints.last() else { return Ok(()) };
                let columns: Vec<String> = columns.iter().map(|column| quote(&fold(column))).collect();
                let sql =
                    format!("CREATE UNIQUE INDEX {} ON {table} ({})", quote(&added.name), columns.join(", "));
                self.sql(sql);
            }
            AlterTableOperation::AddColumn { column_def, if_not_exists, .. } => {
                let name = fold(&column_def.name);
                if relation.column(&name).is_some() {
                    let message =
                        format!("column \"{name}\" of relation \"{}\" already exists", relation.name);
                    if !if_not_exists {
                        return Err(SqlError::new("42701", message));
                    }
                    self.steps.push(Step::Notice(format!("{message}, skipping")));
                    return Ok(());
                }
                let plain = |o: &ColumnOption| {
                    matches!(o, ColumnOption::NotNull | ColumnOption::Null | ColumnOption::Default(_))
                };
                if let Some(other) = column_def.options.iter().find(|option| !plain(&option.option)) {
                    return Err(SqlError::unsupported(format!("adding a column with {}", other.option)));
                }
                let column = self.column(&relation.name, column_def)?;
                let line = storage_line(&column.name, column.typed());
                self.sql(format!("ALTER TABLE {table} ADD COLUMN {line}"));
                if column.default.is_some() {
                    let default = self.compiler.default_of(&column)?;
                    self.sql(format!("UPDATE {table} SET {} = {default}", quote(&column.name)));
                }
                if column.not_null {
                    self.sql(not_null_trigger(&relation.name, &column.name, "INSERT"));
                    self.sql(not_null_trigger(&relation.name, &column.name, "UPDATE"));
                    self.sql(format!("UPDATE {table} SET {0} = {0}", quote(&column.name)));
                }
                relation.columns.push(column);
            }
            AlterTableOperation::DropColumn { column_names, if_exists, .. } => {
                for ident in column_names {
                    let name = fold(ident);
                    if relation.column(&name).is_none() && *if_exists {
                        continue;
                    }
                    relation.column(&name).ok_or_else(|| missing(relation, &name).at(ident.span.start))?;
                    self.sql(format!("ALTER TABLE {table} DROP COLUMN {}", quote(&name)));
                    relation.columns.retain(|column| column.name != name);
                }
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                let (old, new) = (fold(old_column_name), fold(new_column_name));
                if relation.column(&new).is_some() {
                    let message =
                        format!("column \"{new}\" of relation \"{}\" already exists", relation.name);
                    return Err(SqlError::new("42701", message));
                }
                let column = relation.columns.iter_mut().find(|column| column.name == old);
                match column {
                    Some(column) => column.name.clone_from(&new),
                    None => return Err(missing(relation, &old).at(old_column_name.span.start)),
                }
                for name in
                    relation.constraints.iter_mut().flat_map(|c| &mut c.columns).filter(|name| **name == old)
                {
                    name.clone_from(&new);
                }
                self.sql(format!("ALTER TABLE {table} RENAME COLUMN {} TO {}", quote(&old), quote(&new)));
            }
            AlterTableOperation::RenameTable { table_name } => {
                let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = table_name;
                let (_, to) = relation_name(to)?;
                self.free(&to, false)?;
                self.sql(format!("ALTER TABLE {table} RENAME TO {}", quote(&to)));
                self.steps.push(Step::Remove(relation.name.clone()));
                let children =
                    self.catalog.relations.values().filter(|r| r.parent.as_ref() == Some(&relation.name));
                let moved: Vec<_> =
                    children.map(|r| Relation { parent: Some(to.clone()), ..r.clone() }).collect();
                moved.into_iter().for_each(|child| self.put(child));
                relation.name = to;
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                let name = fold(column_name);
                let column = relation.columns.iter_mut().find(|column| column.name == name);
                let Some(column) = column else {
                    return Err(missing(relation, &name).at(column_name.span.start));
                };
                match op {
                    AlterColumnOperation::SetDefault { value } => column.default = Some(value.to_string()),
                    AlterColumnOperation::DropDefault => column.default = None,
                    AlterColumnOperation::SetNotNull if column.not_null => {}
                    AlterColumnOperation::SetNotNull => {
                        column.not_null = true;
                        let table = relation.name.clone();
                        self.sql(not_null_trigger(&table, &name, "INSERT"));
                        self.sql(not_null_trigger(&table, &name, "UPDATE"));
                        // The trigger looks at every row that is there.
                        self.sql(format!("UPDATE {0} SET {1} = {1}", quote(&table), quote(&name)));
                        return Ok(());
                    }
                    other => return Err(SqlError::unsupported(format!("ALTER COLUMN {other}"))),
                }
                let column = column.clone();
                self.compiler.default_of(&column)?;
            }
            AlterTableOperation::OwnerTo { .. } => {}
            other => return Err(SqlError::unsupported(format!("ALTER TABLE {other}"))),
        }
        Ok(())
    }

    /// SQLite can't add a check to a table that exists; triggers refuse what it would.
    fn add_check(&mut self, relation: &mut Relation, constraint: &TableConstraint) -> Result<()> {
        let known: Vec<_> = relation.columns.iter().map(|c| (c.name.clone(), c.typed())).collect();
        self.compiler.open_columns("NEW", &known);
        let mut clauses = Vec::new();
        let added = self.table_constraint(relation, constraint, &mut clauses);
        self.compiler.close_scope();
        added?;
        let Some((_, condition)) = clauses.first().and_then(|clause| clause.split_once(" CHECK ")) else {
            return Ok(());
        };
        let Some(name) = relation.constraints.last().map(|added| added.name.clone()) else { return Ok(()) };
        let message = format!("CHECK constraint failed: {name}").replace('\'', "''");
        for event in ["INSERT", "UPDATE"] {
            let trigger = format!("__sb_{}_{name}_{}", relation.name, event.to_ascii_lowercase());
            self.sql(format!(
                "CREATE TRIGGER {} BEFORE {event} ON {} WHEN {condition} IS FALSE BEGIN SELECT RAISE(ABORT, '{message}'); END",
                quote(&trigger),
                quote(&relation.name)
            ));
        }
        if let Some(column) = relation.columns.iter().find(|column| !column.generated) {
            self.sql(format!("UPDATE {0} SET {1} = {1}", quote(&relation.name), quote(&column.name)));
        }
        Ok(())
    }

    /// The views that read a relation.
    fn readers(&self, name: &str) -> Vec<String> {
        let views = self.catalog.relations.values().filter(|relation| relation.kind == Kind::View);
        let reads = |view: &&Relation| {
            let parsed = crate::sql::parse(view.definition.as_deref().unwrap_or_default());
            let reader = |read: &ObjectName| match relation_name(read) {
                Ok((_, read)) if read == name => ControlFlow::Break(()),
                _ => ControlFlow::Continue(()),
            };
            parsed.is_ok_and(|statements| visit_relations(&statements, reader).is_break())
        };
        views.filter(reads).map(|view| view.name.clone()).collect()
    }

    /// Drops the views that read a relation, and those that read them.
    fn drop_readers(&mut self, name: &str) -> Result<()> {
        for view in self.readers(name) {
            self.drop_readers(&view)?;
            let gone = |step: &Step| matches!(step, Step::Remove(removed) if *removed == view);
            if self.steps.iter().any(gone) {
                continue;
            }
            if let Some(relation) = self.catalog.get(&view) {
                self.must_own(relation)?;
            }
            self.steps.push(Step::Notice(format!("drop cascades to view {view}")));
            self.sql(format!("DROP VIEW {}", quote(&view)));
            self.steps.push(Step::Remove(view));
        }
        Ok(())
    }

    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<&'static str> {
        for target in &truncate.table_names {
            let relation = self.compiler.target(&target.name)?;
            self.compiler.check(&relation, 'D')?;
            self.sql(format!("DELETE FROM {}", quote(&relation.name)));
            if matches!(truncate.identity, Some(TruncateIdentityOption::Restart)) {
                let owned = self.catalog.relations.values();
                let owned =
                    owned.filter(|r| r.kind == Kind::Sequence && r.parent.as_ref() == Some(&relation.name));
                let names: Vec<String> = owned.map(|sequence| sequence.name.clone()).collect();
                self.steps.extend(names.into_iter().map(Step::RestartSequence));
            }
        }
        Ok("TRUNCATE TABLE")
    }

    pub(super) fn drop(
        &mut self,
        object: ObjectType,
        if_exists: bool,
        names: &[ObjectName],
        cascade: bool,
    ) -> Result<&'static str> {
        let (noun, tag) = match object {
            ObjectType::Table => ("table", "DROP TABLE"),
            ObjectType::View => ("view", "DROP VIEW"),
            ObjectType::Index => ("index", "DROP INDEX"),
            ObjectType::Sequence => ("sequence", "DROP SEQUENCE"),
            other => return Err(SqlError::unsupported(format!("DROP {other}"))),
        };
        let names =
            names.iter().map(|name| relation_name(name).map(|(_, name)| name)).collect::<Result<Vec<_>>>()?;
        for name in &names {
            let Some(relation) = self.catalog.get(name) else {
                if if_exists {
                    self.steps.push(Step::Notice(format!("{noun} \"{name}\" does not exist, skipping")));
                    continue;
                }
                return Err(SqlError::new("42P01", format!("{noun} \"{name}\" does not exist")));
            };
            self.must_own(relation)?;
            if relation.kind.noun() != noun {
                return Err(SqlError::new("42809", format!("\"{name}\" is not a {noun}")));
            }
            if let Some(view) = self.readers(name).into_iter().find(|view| !names.contains(view)) {
                let message = format!("cannot drop {noun} {name} because other objects depend on it");
                let detail = format!("view {view} depends on {noun} {name}");
                if !cascade {
                    return Err(SqlError::new("2BP01", message)
                        .detail(detail)
                        .hint("Use DROP ... CASCADE to drop the dependent objects too."));
                }
                self.drop_readers(name)?;
            }
            if noun == "table" {
                let refers = |r: &&Relation| {
                    let wanted = format!("REFERENCES {name}(");
                    r.constraints.iter().any(|c| c.kind == 'f' && c.definition.contains(&wanted))
                };
                let dependent =
                    self.catalog.relations.values().filter(|r| !names.contains(&r.name)).find(refers);
                if let Some(dependent) = dependent {
                    let message = format!("cannot drop table {name} because other objects depend on it");
                    let detail =
                        format!("A foreign key of table {} depends on table {name}.", dependent.name);
                    let error = SqlError::new("2BP01", message).detail(detail);
                    return Err(if cascade {
                        SqlError::unsupported("DROP TABLE … CASCADE over foreign keys")
                    } else {
                        error
                    });
                }
                let owned = self.catalog.relations.values().filter(|r| r.parent.as_ref() == Some(name));
                let owned: Vec<String> = owned.map(|r| r.name.clone()).collect();
                self.steps.extend(owned.into_iter().map(Step::Remove));
            }
            if noun != "sequence" {
                self.sql(format!("DROP {} {}", noun.to_ascii_uppercase(), quote(name)));
            }
            self.steps.push(Step::Remove(name.clone()));
        }
        Ok(tag)
    }
}

/// SQLite can't add NOT NULL to a column that exists; a trigger refuses what the constraint would.
fn not_null_trigger(table: &str, column: &str, event: &str) -> String {
    let name = quote(&format!("__sb_{table}_{column}_{}", event.to_ascii_lowercase()));
    let (on, message) =
        (quote(table), format!("NOT NULL constraint failed: {table}.{column}").replace('\'', "''"));
    let column = quote(column);
    format!(
        "CREATE TRIGGER {name} BEFORE {event} ON {on} WHEN NEW.{column} IS NULL BEGIN SELECT RAISE(ABORT, '{message}'); END"
    )
}
