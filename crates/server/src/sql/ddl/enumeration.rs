//! CREATE TYPE … AS ENUM, ALTER TYPE … ADD VALUE and RENAME, DROP TYPE.

use super::Maker;
use crate::engine::Value;
use crate::sql::catalog::{Column, Kind, Relation, split, stored, type_key};
use crate::sql::compile::{literal, relation_name};
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Step;
use crate::sql::spelling::TYPE_OWNER;
use crate::sql::{fold, labels, parse_expr, quote, walk};
use sqlparser::ast::{
    AlterType, AlterTypeAddValuePosition, AlterTypeOperation, Expr, Ident, ObjectName,
    UserDefinedTypeRepresentation, Value as Literal,
};
use sqlparser::dialect::PostgreSqlDialect;
use sqlparser::tokenizer::{Token, Tokenizer};

impl Maker<'_, '_> {
    pub(super) fn create_type(
        &mut self,
        name: &ObjectName,
        representation: Option<&UserDefinedTypeRepresentation>,
    ) -> Result<&'static str> {
        let Some(UserDefinedTypeRepresentation::Enum { labels: given }) = representation else {
            return Err(SqlError::unsupported("CREATE TYPE of anything but an enumeration"));
        };
        let (schema, base) = relation_name(name)?;
        let of_table = self.new_key(schema.as_deref(), &base)?;
        let schema = split(&of_table).0.to_owned();
        self.may_create(&schema)?;
        let key = type_key(&schema, &base);
        // A table is a type of its own name.
        let row = self.catalog.get(&of_table).is_some_and(|r| r.kind.has_rows());
        if row || self.catalog.get(&key).is_some() {
            return Err(SqlError::new("42710", format!("type \"{base}\" already exists")));
        }
        let labels: Vec<String> = given.iter().map(|label| label.value.clone()).collect();
        let values = labels::values(&labels).map_err(|error| match error.code {
            "42710" => {
                let message = "duplicate key value violates unique constraint \"pg_enum_typid_label_index\"";
                SqlError::new("23505", message)
            }
            _ => error,
        })?;
        let mut relation = self.relation(&key, Kind::Enum);
        relation.labels = values;
        self.put(relation);
        Ok("CREATE TYPE")
    }

    pub(super) fn alter_type(&mut self, alter: &AlterType) -> Result<&'static str> {
        let mut found = self.named_type(&alter.name)?;
        self.must_own(&found)?;
        let add = match &alter.operation {
            AlterTypeOperation::AddValue(add) => add,
            AlterTypeOperation::RenameValue(owner) if owner.from.value == TYPE_OWNER => {
                self.give_to(&mut found, self.role_named(&owner.to))?;
                self.put(found);
                return Ok("ALTER TYPE");
            }
            AlterTypeOperation::RenameValue(rename) => {
                return self.rename_value(found, &rename.from.value, &rename.to.value);
            }
            AlterTypeOperation::Rename(rename) => return self.rename_type(found, &rename.new_name),
        };
        let place = |neighbour: &str| {
            let missing = || SqlError::new("22023", format!("\"{neighbour}\" is not an existing enum label"));
            found.labels.iter().position(|value| labels::label(value) == neighbour).ok_or_else(missing)
        };
        let at = match &add.position {
            None => None,
            Some(AlterTypeAddValuePosition::Before(label)) => Some(place(&label.value)?),
            Some(AlterTypeAddValuePosition::After(label)) => Some(place(&label.value)? + 1),
        };
        match labels::insert(&mut found.labels, &add.value.value, at) {
            Err(error) if add.if_not_exists && error.code == "42710" => {
                self.steps.push(Step::Notice(format!("{}, skipping", error.message)));
            }
            result => {
                result?;
                self.put(found);
            }
        }
        Ok("ALTER TYPE")
    }

    fn role_named(&self, name: &Ident) -> String {
        let context = self.compiler.context;
        match fold(name) {
            name if name == "current_user" || name == "current_role" => context.user.to_owned(),
            name if name == "session_user" => context.login.to_owned(),
            name => name,
        }
    }

    /// RENAME VALUE: a value holds its label, so every row that has it is changed.
    fn rename_value(&mut self, mut found: Relation, old: &str, new: &str) -> Result<&'static str> {
        let (before, after) = labels::rename(&mut found.labels, old, new)?;
        self.refuse_mention(&found, |token| matches!(token, Token::SingleQuotedString(text) if text == old))?;
        let (before, after) = (literal(&Value::Text(before)), literal(&Value::Text(after)));
        let tables: Vec<Relation> =
            self.catalog.relations.values().filter(|r| r.kind == Kind::Table).cloned().collect();
        for mut table in tables {
            let stored = stored(&table.name);
            let mut defaults = false;
            for column in &mut table.columns {
                let (ty, name) = (column.typed().ty, quote(&column.name));
                if ty.enumeration() != Some(found.enum_type().oid()) {
                    continue;
                }
                if let Some(default) = &mut column.default {
                    let renamed = relabelled(default, old, new);
                    defaults |= *default != renamed;
                    *default = renamed;
                }
                self.sql(if ty.element().is_some() {
                    let renamed = format!("sb_array_replace({name}, {before}, {after})");
                    format!("UPDATE {stored} SET {name} = {renamed} WHERE {name} <> {renamed}")
                } else {
                    format!("UPDATE {stored} SET {name} = {after} WHERE {name} = {before}")
                });
            }
            if defaults {
                self.put(table);
            }
        }
        self.put(found);
        Ok("ALTER TYPE")
    }

    /// RENAME TO
    fn rename_type(&mut self, found: Relation, new: &Ident) -> Result<&'static str> {
        let (old, new) = (found.base().to_owned(), fold(new));
        let key = type_key(found.schema(), &new);
        let of_table = found.sibling(&new);
        let row = self.catalog.get(&of_table).is_some_and(|r| r.kind.has_rows());
        if row || self.catalog.get(&key).is_some() {
            return Err(SqlError::new("42710", format!("type \"{new}\" already exists")));
        }
        self.refuse_mention(&found, |token| match token {
            Token::Word(word) if word.quote_style.is_none() => word.value.to_lowercase() == old,
            Token::Word(word) => word.value == old,
            _ => false,
        })?;
        self.steps.push(Step::Remove(found.name.clone()));
        self.put(Relation { name: key, ..found });
        Ok("ALTER TYPE")
    }

    /// A view, a check, an index or a generated column is kept as it was written, and can't follow another name.
    fn refuse_mention(&self, found: &Relation, mentions: impl Fn(&Token) -> bool) -> Result<()> {
        for relation in self.catalog.relations.values().filter(|r| r.kind.is_relation()) {
            let own = relation.columns.iter().filter(|column| {
                let index = matches!(relation.kind, Kind::Index { .. });
                column.generated || index || column.typed().ty.enumeration() != Some(found.enum_type().oid())
            });
            let texts = own.filter_map(|column| column.default.as_deref());
            let texts =
                texts.chain(relation.constraints.iter().map(|constraint| constraint.definition.as_str()));
            for text in texts.chain(relation.definition.as_deref()) {
                let tokens = Tokenizer::new(&PostgreSqlDialect {}, text).tokenize().unwrap_or_default();
                if tokens.iter().any(&mentions) {
                    let (kind, name) = (relation.kind.noun(), relation.shown());
                    let what =
                        format!("a new name that the definition of {kind} {name} would have to follow");
                    return Err(SqlError::unsupported(what).hint("Drop it, rename, and create it again."));
                }
            }
        }
        Ok(())
    }

    pub(super) fn drop_types(
        &mut self,
        if_exists: bool,
        names: &[ObjectName],
        cascade: bool,
    ) -> Result<&'static str> {
        for name in names {
            let found = match self.named_type(name) {
                Err(error) if if_exists && error.code == "42704" => {
                    self.steps.push(Step::Notice(format!("{}, skipping", error.message)));
                    continue;
                }
                found => found?,
            };
            self.must_own(&found)?;
            let tables = if cascade { self.drop_columns_of(&found)? } else { Vec::new() };
            self.refuse_used(&found, &tables)?;
            self.steps.push(Step::Remove(found.name));
        }
        Ok("DROP TYPE")
    }

    /// Drops the columns that have a type, and gives back their tables.
    fn drop_columns_of(&mut self, found: &Relation) -> Result<Vec<Relation>> {
        let uses = |column: &Column| column.typed().ty.enumeration() == Some(found.enum_type().oid());
        let tables = self.catalog.relations.values().filter(|r| r.kind == Kind::Table);
        let tables: Vec<Relation> = tables.filter(|r| r.columns.iter().any(uses)).cloned().collect();
        for table in &tables {
            let mut changed = table.clone();
            for column in table.columns.iter().filter(|column| uses(column)) {
                let (name, shown) = (&column.name, table.shown());
                self.steps.push(Step::Notice(format!("drop cascades to column {name} of table {shown}")));
                self.drop_column(&mut changed, &Ident::with_quote('"', name), true)?;
            }
            self.put(changed);
        }
        Ok(tables)
    }

    /// A type that a column has stays, unless its table goes as well.
    pub(super) fn refuse_used(&self, found: &Relation, going: &[Relation]) -> Result<()> {
        let uses_type = |column: &Column| column.typed().ty.enumeration() == Some(found.enum_type().oid());
        let uses = |r: &&Relation| {
            r.columns.iter().any(uses_type)
                && !matches!(r.kind, Kind::Index { .. })
                && !going.iter().any(|other| other.name == r.name)
                && !self.is_gone(&r.name)
        };
        let Some(user) = self.catalog.relations.values().find(uses) else { return Ok(()) };
        let name = found.shown();
        let columns = user.columns.iter().find(|column| uses_type(column));
        let column = columns.map_or("", |column| &column.name);
        let detail =
            format!("column {column} of {} {} depends on type {name}", user.kind.noun(), user.shown());
        let message = format!("cannot drop type {name} because other objects depend on it");
        Err(SqlError::new("2BP01", message).detail(detail))
    }

    pub(super) fn named_type(&self, name: &ObjectName) -> Result<Relation> {
        let (schema, base) = relation_name(name)?;
        let found = self.compiler.context.enumeration(schema.as_deref(), &base);
        let shown = schema.map_or_else(|| base.clone(), |schema| format!("{schema}.{base}"));
        found.cloned().ok_or_else(|| SqlError::new("42704", format!("type \"{shown}\" does not exist")))
    }
}

/// A default with another label in the place of one.
fn relabelled(text: &str, old: &str, new: &str) -> String {
    let Ok(mut expr) = parse_expr(text) else { return text.to_owned() };
    walk::change_exprs(&mut expr, &mut |expr| {
        if let Expr::Value(value) = expr
            && matches!(&value.value, Literal::SingleQuotedString(label) if label == old)
        {
            value.value = Literal::SingleQuotedString(new.to_owned());
        }
    });
    expr.to_string()
}
