//! ALTER TABLE: each operation changes our definition of the table, and then SQLite's.

use super::table::renamed;
use super::{Maker, names_of};
use crate::sql::catalog::{Column, Constraint, Kind, Relation, query_key, stored};
use crate::sql::compile::{Compiler, relation_name};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Step;
use crate::sql::{fold, quote, walk};
use sqlparser::ast::{
    AlterIndexOperation, AlterTable, AlterTableOperation, ColumnDef, Expr, Ident, ObjectName,
    RenameTableNameKind, TableConstraint,
};

impl Maker<'_, '_> {
    pub(super) fn alter_table(&mut self, alter: &AlterTable) -> Result<&'static str> {
        let (schema, name) = relation_name(&alter.name)?;
        let known = self.compiler.context.find(schema.as_deref(), &name);
        if alter.if_exists && known.is_none() {
            self.steps.push(Step::Notice(format!("relation \"{name}\" does not exist, skipping")));
            return Ok("ALTER TABLE");
        }
        let kept = known.is_some_and(|relation| matches!(relation.kind, Kind::Materialized { .. }));
        let renames = |operation: &AlterTableOperation| match operation {
            AlterTableOperation::RenameTable { .. } | AlterTableOperation::OwnerTo { .. } => true,
            AlterTableOperation::RenameColumn { .. } => kept,
            _ => false,
        };
        // ALTER TABLE renames views, indexes and sequences too.
        let mut relation = match known {
            Some(relation) if relation.kind != Kind::Table && alter.operations.iter().all(renames) => {
                relation.clone()
            }
            _ => self.compiler.target(&alter.name)?,
        };
        self.must_own(&relation)?;
        for operation in &alter.operations {
            self.alter_operation(&mut relation, operation)?;
        }
        self.put(relation);
        Ok("ALTER TABLE")
    }

    /// ALTER INDEX … RENAME TO
    pub(super) fn alter_index(
        &mut self,
        name: &ObjectName,
        operation: &AlterIndexOperation,
    ) -> Result<&'static str> {
        let AlterIndexOperation::RenameIndex { index_name } = operation;
        let (schema, from) = relation_name(name)?;
        let (_, to) = relation_name(index_name)?;
        let index = self.compiler.context.find(schema.as_deref(), &from);
        if let Some(index) = index.filter(|index| matches!(index.kind, Kind::Index { .. })) {
            let mut index = index.clone();
            self.must_own(&index)?;
            self.rename(&mut index, &to)?;
            self.put(index);
            return Ok("ALTER INDEX");
        }
        // The index behind a key goes by the constraint's name.
        let holds =
            |r: &&Relation| r.constraints.iter().any(|c| matches!(c.kind, 'p' | 'u') && c.name == from);
        let table = self.catalog.relations.values().find(holds).cloned();
        let message = || SqlError::new("42P01", format!("relation \"{from}\" does not exist"));
        let mut table = table.ok_or_else(message)?;
        self.must_own(&table)?;
        self.rename_constraint(&mut table, &from, &to)?;
        self.put(table);
        Ok("ALTER INDEX")
    }

    fn alter_operation(&mut self, relation: &mut Relation, operation: &AlterTableOperation) -> Result<()> {
        match operation {
            AlterTableOperation::AddConstraint { constraint, .. } => {
                self.add_constraint(relation, constraint)
            }
            AlterTableOperation::DropConstraint { name, if_exists, drop_behavior } => {
                let cascade = matches!(drop_behavior, Some(sqlparser::ast::DropBehavior::Cascade));
                self.drop_constraint(relation, name, *if_exists, cascade)
            }
            AlterTableOperation::RenameConstraint { old_name, new_name } => {
                self.rename_constraint(relation, &fold(old_name), &fold(new_name))
            }
            AlterTableOperation::AddColumn { column_def, if_not_exists, .. } => {
                self.add_column(relation, column_def, *if_not_exists)
            }
            AlterTableOperation::DropColumn { column_names, if_exists, drop_behavior, .. } => {
                let cascade = matches!(drop_behavior, Some(sqlparser::ast::DropBehavior::Cascade));
                for ident in column_names {
                    if relation.column(&fold(ident)).is_some() || !if_exists {
                        self.drop_column(relation, ident, cascade)?;
                    }
                }
                Ok(())
            }
            AlterTableOperation::RenameColumn { old_column_name, new_column_name } => {
                self.rename_column(relation, old_column_name, &fold(new_column_name))
            }
            AlterTableOperation::RenameTable { table_name } => {
                let (RenameTableNameKind::As(to) | RenameTableNameKind::To(to)) = table_name;
                let (_, to) = relation_name(to)?;
                self.rename(relation, &to)
            }
            AlterTableOperation::AlterColumn { column_name, op } => {
                self.alter_column(relation, column_name, op)
            }
            AlterTableOperation::OwnerTo { new_owner } => {
                let owner = match new_owner {
                    sqlparser::ast::Owner::Ident(name) => fold(name),
                    _ => self.compiler.context.user.to_owned(),
                };
                self.give_to(relation, owner)
            }
            AlterTableOperation::ValidateConstraint { .. } | AlterTableOperation::SetOptionsParens { .. } => {
                Ok(())
            }
            other => Err(SqlError::unsupported(format!("ALTER TABLE {other}"))),
        }
    }

    /// OWNER TO
    pub(super) fn give_to(&self, relation: &mut Relation, owner: String) -> Result<()> {
        if !self.compiler.context.cluster.roles().iter().any(|role| role.name == owner) {
            return Err(SqlError::new("42704", format!("role \"{owner}\" does not exist")));
        }
        // What it was given by others it now has anyway, and what it gave it gave as the owner.
        relation.grants.retain(|grant| grant.grantee != owner);
        for grant in relation.grants.iter_mut().filter(|grant| grant.grantor == owner) {
            grant.grantor.clear();
        }
        relation.owner = owner;
        Ok(())
    }

    fn add_constraint(&mut self, relation: &mut Relation, constraint: &TableConstraint) -> Result<()> {
        let before = relation.clone();
        self.table_constraint(relation, constraint)?;
        let Some(added) = relation.constraints.last().cloned() else { return Ok(()) };
        self.rewrite(relation)?;
        self.make_key(relation, &added);
        for column in &added.columns {
            if before.column(column).is_some_and(|column| !column.not_null) && added.kind == 'p' {
                self.refuse_nulls(relation, column);
            }
        }
        self.refuse_violations(relation, &added)
    }

    pub(super) fn refuse_nulls(&mut self, relation: &Relation, column: &str) {
        let sql = format!("SELECT 1 FROM {} WHERE {} IS NULL LIMIT 1", stored(&relation.name), quote(column));
        let message = format!("column \"{column}\" of relation \"{}\" contains null values", relation.base());
        self.steps.push(Step::Refuse { sql, error: SqlError::new("23502", message) });
    }

    /// The rows that are there must keep a new constraint.
    fn refuse_violations(&mut self, relation: &Relation, added: &Constraint) -> Result<()> {
        let (name, table) = (&added.name, relation.base());
        if added.kind == 'c' {
            self.compiler.open_columns("", &names_of(relation));
            let condition = self.compiler.condition("CHECK", &crate::sql::parse_expr(&added.definition)?);
            self.compiler.close_scope();
            let sql =
                format!("SELECT 1 FROM {} WHERE {} IS FALSE LIMIT 1", stored(&relation.name), condition?);
            let message =
                format!("check constraint \"{name}\" of relation \"{table}\" is violated by some row");
            self.steps.push(Step::Refuse { sql, error: SqlError::new("23514", message) });
        } else if added.kind == 'f' {
            let sql = format!("PRAGMA foreign_key_check({})", quote(&relation.name));
            let message =
                format!("insert or update on table \"{table}\" violates foreign key constraint \"{name}\"");
            self.steps.push(Step::Refuse { sql, error: SqlError::new("23503", message) });
        }
        Ok(())
    }

    fn drop_constraint(
        &mut self,
        relation: &mut Relation,
        name: &Ident,
        if_exists: bool,
        cascade: bool,
    ) -> Result<()> {
        let folded = fold(name);
        let found = relation.constraints.iter().position(|constraint| constraint.name == folded);
        let Some(index) = found else {
            let message =
                format!("constraint \"{folded}\" of relation \"{}\" does not exist", relation.shown());
            if if_exists {
                self.steps.push(Step::Notice(format!("{message}, skipping")));
                return Ok(());
            }
            return Err(SqlError::new("42704", message).at(name.span.start));
        };
        let dropped = relation.constraints[index].clone();
        if matches!(dropped.kind, 'p' | 'u') {
            self.release_key(relation, &dropped.columns, cascade, &format!("constraint {folded}"))?;
        }
        relation.constraints.remove(index);
        self.drop_key(relation, &dropped);
        self.rewrite(relation)?;
        self.settle_row_id(relation, &dropped)
    }

    /// A column that was the row id lies nowhere else: it is written into the rows.
    pub(super) fn settle_row_id(&mut self, relation: &Relation, dropped: &Constraint) -> Result<()> {
        let (true, Some(column)) = (dropped.row_id, dropped.columns.first()) else { return Ok(()) };
        let table = stored(&relation.name);
        self.sql(format!("REINDEX {table}"));
        self.sql(format!("UPDATE {table} SET {} = \"rowid\"", quote(column)));
        Ok(())
    }

    /// Foreign keys that need a key of this table go with it, or keep it.
    fn release_key(
        &mut self,
        relation: &mut Relation,
        columns: &[String],
        cascade: bool,
        what: &str,
    ) -> Result<()> {
        let needs = |c: &Constraint| {
            c.foreign.as_ref().is_some_and(|f| f.table == relation.name && f.columns == *columns)
        };
        let others = self.catalog.relations.values().filter(|r| r.name != relation.name);
        let others: Vec<Relation> = others.filter(|r| r.constraints.iter().any(needs)).cloned().collect();
        let itself = relation.constraints.iter().any(needs);
        if (itself || !others.is_empty()) && !cascade {
            let dependent = others.first().unwrap_or(relation);
            let message = format!(
                "cannot drop {what} on table {} because other objects depend on it",
                relation.shown()
            );
            let detail = format!("a foreign key of table {} depends on it", dependent.shown());
            return Err(SqlError::new("2BP01", message)
                .detail(detail)
                .hint("Use DROP ... CASCADE to drop the dependent objects too."));
        }
        for mut other in others {
            other.constraints.retain(|c| !needs(c));
            self.rewrite(&other)?;
            self.put(other);
        }
        let name = relation.name.clone();
        let needs =
            |c: &Constraint| c.foreign.as_ref().is_some_and(|f| f.table == name && f.columns == *columns);
        relation.constraints.retain(|c| !needs(c));
        Ok(())
    }

    fn rename_constraint(&mut self, relation: &mut Relation, from: &str, to: &str) -> Result<()> {
        let found = relation.constraints.iter().position(|constraint| constraint.name == from);
        let message = || format!("constraint \"{from}\" for table \"{}\" does not exist", relation.shown());
        let index = found.ok_or_else(|| SqlError::new("42704", message()))?;
        if relation.constraints.iter().any(|constraint| constraint.name == to) {
            let message = format!("constraint \"{to}\" for relation \"{}\" already exists", relation.shown());
            return Err(SqlError::new("42710", message));
        }
        self.drop_key(relation, &relation.constraints[index].clone());
        to.clone_into(&mut relation.constraints[index].name);
        self.make_key(relation, &relation.constraints[index].clone());
        self.rewrite(relation)
    }

    fn add_column(
        &mut self,
        relation: &mut Relation,
        definition: &ColumnDef,
        if_not_exists: bool,
    ) -> Result<()> {
        let name = fold(&definition.name);
        if relation.column(&name).is_some() {
            let message = format!("column \"{name}\" of relation \"{}\" already exists", relation.shown());
            if !if_not_exists {
                return Err(SqlError::new("42701", message).at(definition.name.span.start));
            }
            self.steps.push(Step::Notice(format!("{message}, skipping")));
            return Ok(());
        }
        let column = self.column(relation, definition)?;
        let (table, storage) = (stored(&relation.name), column.typed().ty.info().storage);
        if column.generated {
            self.try_generated(relation, &column)?;
        }
        self.sql(format!("ALTER TABLE {table} ADD COLUMN {} {storage}", quote(&name)));
        let before = relation.constraints.len();
        relation.columns.push(column.clone());
        self.column_constraints(relation, definition)?;
        let not_null = relation.column(&name).is_some_and(|column| column.not_null);
        self.sql_default(relation, &column)?;
        self.rewrite(relation)?;
        if not_null {
            self.refuse_nulls(relation, &name);
        }
        for added in &relation.constraints[before..] {
            self.make_key(relation, added);
            self.refuse_violations(relation, added)?;
        }
        Ok(())
    }

    /// What a generated column is, for SQLite.
    fn generated(&mut self, relation: &Relation, column: &Column) -> Result<String> {
        let source = crate::sql::parse_expr(column.default.as_deref().unwrap_or_default())?;
        self.compiler.open_columns("", &names_of(relation));
        let sql = self.compiler.expr(&source).and_then(|frag| self.compiler.assign(frag, column));
        self.compiler.close_scope();
        sql
    }

    /// Lets SQLite judge a generated column before a table's text has it: SQLite adds no stored ones, and virtual ones
    /// cost nothing.
    fn try_generated(&mut self, relation: &Relation, column: &Column) -> Result<()> {
        let (table, name) = (stored(&relation.name), quote(&column.name));
        let sql = self.generated(relation, column)?;
        self.sql(format!("ALTER TABLE {table} ADD COLUMN {name} ANY GENERATED ALWAYS AS ({sql}) VIRTUAL"));
        self.sql(format!("ALTER TABLE {table} DROP COLUMN {name}"));
        Ok(())
    }

    /// Gives the rows that are there the default of a new column.
    fn sql_default(&mut self, relation: &Relation, column: &Column) -> Result<()> {
        if column.default.is_some() {
            let default = if column.generated {
                self.generated(relation, column)?
            } else {
                self.compiler.default_of(column)?
            };
            self.sql(format!("UPDATE {} SET {} = {default}", stored(&relation.name), quote(&column.name)));
        }
        Ok(())
    }

    pub(super) fn drop_column(
        &mut self,
        relation: &mut Relation,
        ident: &Ident,
        cascade: bool,
    ) -> Result<()> {
        let name = fold(ident);
        let column =
            relation.column(&name).ok_or_else(|| missing(relation, &name).at(ident.span.start))?.clone();
        if relation.columns.iter().any(|c| c.generated && c.name != name && uses(c.default.as_deref(), &name))
        {
            let message = format!(
                "cannot drop column {name} of table {} because other objects depend on it",
                relation.shown()
            );
            return Err(SqlError::new("2BP01", message));
        }
        self.release_views(relation, &name, cascade)?;
        // 1. Indexes and constraints that read it go with it.
        let indexes: Vec<Relation> = self.catalog.indexes(&relation.name).cloned().collect();
        for index in indexes {
            let reads = |c: &Column| c.name == name || uses(c.default.as_deref(), &name);
            if index.columns.iter().any(reads) || uses(index.definition.as_deref(), &name) {
                self.sql(format!("DROP INDEX {}", stored(&index.name)));
                self.steps.push(Step::Remove(index.name));
            }
        }
        let reads =
            |c: &Constraint| c.columns.contains(&name) || (c.kind == 'c' && uses(Some(&c.definition), &name));
        for dropped in relation.constraints.clone().into_iter().filter(reads) {
            if matches!(dropped.kind, 'p' | 'u') {
                self.release_key(relation, &dropped.columns, cascade, &format!("column {name}"))?;
            }
            self.drop_key(relation, &dropped);
            relation.constraints.retain(|c| c.name != dropped.name);
        }
        self.rewrite(relation)?;
        // 2. Its sequence.
        if let Some(sequence) = own_sequence(self.catalog, relation, &column) {
            self.steps.push(Step::Remove(sequence));
        }
        relation.columns.retain(|column| column.name != name);
        self.sql(format!("ALTER TABLE {} DROP COLUMN {}", stored(&relation.name), quote(&name)));
        Ok(())
    }

    /// Views that read the column go with it, or keep it.
    fn release_views(&mut self, relation: &Relation, column: &str, cascade: bool) -> Result<()> {
        let readers = self.readers(relation);
        let Some(view) = readers.iter().find(|view| self.view_reads(view, column)) else { return Ok(()) };
        if cascade {
            return self.drop_readers(relation);
        }
        let table = relation.shown();
        let message =
            format!("cannot drop column {column} of table {table} because other objects depend on it");
        let detail = format!("view {} depends on column {column} of table {table}", view.shown());
        let hint = "Use DROP ... CASCADE to drop the dependent objects too.";
        Err(SqlError::new("2BP01", message).detail(detail).hint(hint))
    }

    pub(super) fn view_reads(&self, view: &Relation, column: &str) -> bool {
        let text = view.definition.as_deref().unwrap_or_default();
        let Ok(statements) = crate::sql::parse(text) else { return true };
        let read = walk::any_expr(&statements, &mut |expr| {
            let last = match expr {
                Expr::Identifier(ident) => Some(ident),
                Expr::CompoundIdentifier(parts) => parts.last(),
                _ => None,
            };
            last.is_some_and(|ident| fold(ident) == column)
        });
        // A star was taken for the columns that there were.
        read || (text.contains('*') && view.column(column).is_some())
    }

    fn rename_column(&mut self, relation: &mut Relation, old: &Ident, new: &str) -> Result<()> {
        let (place, old) = (old.span.start, fold(old));
        if relation.column(new).is_some() {
            let message = format!("column \"{new}\" of relation \"{}\" already exists", relation.shown());
            return Err(SqlError::new("42701", message));
        }
        let column = relation.columns.iter_mut().find(|column| column.name == old);
        match column {
            Some(column) => new.clone_into(&mut column.name),
            None => return Err(missing(relation, &old).at(place)),
        }
        for column in relation.columns.iter_mut().filter(|column| column.generated) {
            column.default = column.default.as_deref().map(|text| renamed(text, &old, new));
        }
        for constraint in &mut relation.constraints {
            constraint.columns.iter_mut().filter(|name| **name == old).for_each(|name| new.clone_into(name));
            if constraint.kind == 'c' {
                constraint.definition = renamed(&constraint.definition, &old, new);
            }
        }
        let (table, key) = (stored(&relation.name), relation.name.clone());
        self.sql(format!("ALTER TABLE {table} RENAME COLUMN {} TO {}", quote(&old), quote(new)));
        let indexes: Vec<Relation> = self.catalog.indexes(&key).cloned().collect();
        for mut index in indexes {
            for column in &mut index.columns {
                if column.name == old {
                    new.clone_into(&mut column.name);
                }
                column.default = column.default.as_deref().map(|text| renamed(text, &old, new));
            }
            index.definition = index.definition.as_deref().map(|text| renamed(text, &old, new));
            self.put(index);
        }
        // Those who refer to the column.
        let referring = |c: &Constraint| c.foreign.as_ref().is_some_and(|f| f.table == key);
        let others = self.catalog.relations.values().filter(|r| r.name != key);
        let others: Vec<Relation> = others.filter(|r| r.constraints.iter().any(referring)).cloned().collect();
        for mut other in others {
            rename_referred(&mut other, &key, &old, new);
            self.put(other);
        }
        rename_referred(relation, &key, &old, new);
        for mut view in self.readers(relation) {
            view.definition =
                view.definition.as_deref().map(|text| super::drop::view_renamed(text, &old, new));
            self.put(view);
        }
        Ok(())
    }

    /// RENAME TO, for every kind of relation.
    fn rename(&mut self, relation: &mut Relation, to: &str) -> Result<()> {
        let key = relation.sibling(to);
        self.free(&key, false)?;
        let old = relation.name.clone();
        match relation.kind {
            Kind::Table | Kind::Materialized { .. } => {
                self.sql(format!("ALTER TABLE {} RENAME TO {}", stored(&old), quote(&key)));
            }
            Kind::View | Kind::Index { .. } => {}
            _ => return Err(SqlError::unsupported(format!("renaming a {}", relation.kind.noun()))),
        }
        match relation.kind {
            Kind::Table => {}
            Kind::Materialized { .. } => self.sql(format!("DROP VIEW {}", stored(&query_key(&old)))),
            kind => self.sql(format!("DROP {} {}", kind.noun().to_ascii_uppercase(), stored(&old))),
        }
        self.steps.push(Step::Remove(old.clone()));
        relation.name = key;
        match relation.kind {
            Kind::Index { .. } => {
                let table = relation.parent.as_deref().and_then(|table| self.catalog.get(table)).cloned();
                if let Some(table) = table {
                    self.make_index(relation, &table)?;
                }
            }
            Kind::View => self.make_view(relation)?,
            Kind::Materialized { .. } => self.make_query(relation, true)?,
            _ => {}
        }
        for mut view in self.readers_of(&old) {
            let text = view.definition.as_deref().unwrap_or_default();
            view.definition =
                Some(super::drop::relation_renamed(text, crate::sql::catalog::split(&old).1, to));
            self.put(view);
        }
        let refers = |r: &Relation| {
            r.parent.as_ref() == Some(&old)
                || r.constraints.iter().any(|c| c.foreign.as_ref().is_some_and(|f| f.table == old))
        };
        let others: Vec<Relation> =
            self.catalog.relations.values().filter(|r| r.name != old && refers(r)).cloned().collect();
        let moved = |mut other: Relation| {
            if other.parent.as_ref() == Some(&old) {
                other.parent = Some(relation.name.clone());
            }
            for foreign in other.constraints.iter_mut().filter_map(|c| c.foreign.as_mut()) {
                if foreign.table == old {
                    foreign.table.clone_from(&relation.name);
                }
            }
            other
        };
        let others: Vec<Relation> = others.into_iter().map(moved).collect();
        others.into_iter().for_each(|other| self.put(other));
        let name = relation.name.clone();
        for foreign in relation.constraints.iter_mut().filter_map(|c| c.foreign.as_mut()) {
            if foreign.table == old {
                foreign.table.clone_from(&name);
            }
        }
        Ok(())
    }
}

fn rename_referred(relation: &mut Relation, table: &str, old: &str, new: &str) {
    for foreign in relation.constraints.iter_mut().filter_map(|c| c.foreign.as_mut()) {
        if foreign.table == table {
            foreign.columns.iter_mut().filter(|name| *name == old).for_each(|name| new.clone_into(name));
        }
    }
}

fn uses(text: Option<&str>, column: &str) -> bool {
    text.is_some_and(|text| Compiler::reads(text, column))
}

pub(super) fn missing(relation: &Relation, name: &str) -> SqlError {
    let message = format!("column \"{name}\" of relation \"{}\" does not exist", relation.shown());
    SqlError::new("42703", message)
}

/// The sequence behind a column, if it has one of its own.
pub(super) fn own_sequence(
    catalog: &crate::sql::catalog::Catalog,
    relation: &Relation,
    column: &Column,
) -> Option<String> {
    let key = crate::sql::sequence_key(column.default.as_deref()?)?;
    let sequence = catalog.get(&key)?;
    (sequence.parent.as_ref() == Some(&relation.name)).then_some(key)
}
