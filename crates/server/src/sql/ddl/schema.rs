//! CREATE SCHEMA.

use super::Maker;
use crate::sql::catalog::{Kind, schema_key};
use crate::sql::compile::relation_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::fold;
use crate::sql::plan::Step;
use sqlparser::ast::{AlterSchema, AlterSchemaOperation, Owner, SchemaName};

impl Maker<'_, '_> {
    pub(super) fn create_schema(&mut self, name: &SchemaName, if_not_exists: bool) -> Result<&'static str> {
        let (name, owner) = match name {
            SchemaName::Simple(name) => (relation_name(name)?.1, None),
            SchemaName::UnnamedAuthorization(owner) => (fold(owner), Some(fold(owner))),
            SchemaName::NamedAuthorization(name, owner) => (relation_name(name)?.1, Some(fold(owner))),
        };
        let context = self.compiler.context;
        if !self.may_in_database('C') {
            let message = format!("permission denied for database {}", context.database);
            return Err(SqlError::new("42501", message));
        }
        if name.starts_with("pg_") {
            let detail = "The prefix \"pg_\" is reserved for system schemas.";
            return Err(SqlError::new("42939", format!("unacceptable schema name \"{name}\"")).detail(detail));
        }
        if self.catalog.has_schema(&name) || name == "information_schema" {
            let message = format!("schema \"{name}\" already exists");
            if if_not_exists {
                self.steps.push(Step::Notice(format!("{message}, skipping")));
                return Ok("CREATE SCHEMA");
            }
            return Err(SqlError::new("42P06", message));
        }
        let mut schema = self.relation(&schema_key(&name), Kind::Schema);
        if let Some(owner) = owner {
            if !context.cluster.roles().iter().any(|role| role.name == owner) {
                return Err(SqlError::new("42704", format!("role \"{owner}\" does not exist")));
            }
            schema.owner = owner;
        }
        self.put(schema);
        Ok("CREATE SCHEMA")
    }

    /// ALTER SCHEMA … OWNER TO
    pub(super) fn alter_schema(&mut self, alter: &AlterSchema) -> Result<&'static str> {
        let (_, name) = relation_name(&alter.name)?;
        if !self.catalog.has_schema(&name) {
            return Err(SqlError::new("3F000", format!("schema \"{name}\" does not exist")));
        }
        let known = self.catalog.get(&schema_key(&name)).cloned();
        let mut schema = known.unwrap_or_else(|| self.public_schema());
        self.must_own(&schema)?;
        for operation in &alter.operations {
            let AlterSchemaOperation::OwnerTo { owner: Owner::Ident(owner) } = operation else {
                return Err(SqlError::unsupported(format!("ALTER SCHEMA {operation}")));
            };
            schema.owner = fold(owner);
        }
        self.put(schema);
        Ok("ALTER SCHEMA")
    }
}
