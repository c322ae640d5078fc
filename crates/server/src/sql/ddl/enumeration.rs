//! CREATE TYPE … AS ENUM, ALTER TYPE … ADD VALUE, DROP TYPE.

use super::Maker;
use crate::sql::catalog::{Column, Kind, Relation, split, type_key};
use crate::sql::compile::relation_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::labels;
use crate::sql::plan::Step;
use sqlparser::ast::{
    AlterType, AlterTypeAddValuePosition, AlterTypeOperation, Ident, ObjectName,
    UserDefinedTypeRepresentation,
};

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
        let row = self.catalog.get(&of_table).is_some_and(|r| matches!(r.kind, Kind::Table | Kind::View));
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
        let AlterTypeOperation::AddValue(add) = &alter.operation else {
            return Err(SqlError::unsupported(format!("ALTER TYPE {}", alter.operation)));
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
        let uses = |column: &Column| i64::from(column.type_oid) == found.oid;
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
        let uses = |r: &&Relation| {
            r.columns.iter().any(|column| i64::from(column.type_oid) == found.oid)
                && !matches!(r.kind, Kind::Index { .. })
                && !going.iter().any(|other| other.name == r.name)
                && !self.is_gone(&r.name)
        };
        let Some(user) = self.catalog.relations.values().find(uses) else { return Ok(()) };
        let name = found.shown();
        let columns = user.columns.iter().find(|column| i64::from(column.type_oid) == found.oid);
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
