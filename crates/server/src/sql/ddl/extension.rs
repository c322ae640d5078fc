//! CREATE EXTENSION and DROP EXTENSION.

use super::Maker;
use crate::sql::catalog::{Kind, PUBLIC, Relation, extension_key};
use crate::sql::error::{Result, SqlError};
use crate::sql::extension::{self, EXTENSIONS, PLPGSQL};
use crate::sql::fold;
use crate::sql::plan::Step;
use sqlparser::ast::{CreateExtension, DropExtension};

impl Maker<'_, '_> {
    pub(super) fn create_extension(&mut self, create: &CreateExtension) -> Result<&'static str> {
        let name = fold(&create.name);
        if self.extension(&name).is_some() {
            let message = format!("extension \"{name}\" already exists");
            if create.if_not_exists {
                self.steps.push(Step::Notice(format!("{message}, skipping")));
                return Ok("CREATE EXTENSION");
            }
            return Err(SqlError::new("42710", message));
        }
        let Some(known) = extension::by_name(&name) else {
            let all: Vec<&str> = EXTENSIONS.iter().map(|extension| extension.name).collect();
            return Err(SqlError::new("0A000", format!("extension \"{name}\" is not available"))
                .hint(format!("Built in are: {}.", all.join(", "))));
        };
        if !self.may_in_database('C') {
            return Err(SqlError::new("42501", format!("permission denied to create extension \"{name}\""))
                .hint("Must have CREATE privilege on current database to create this extension."));
        }
        if let Some(version) = create.version.as_ref().filter(|version| version.value != known.version) {
            let version = &version.value;
            let message = format!(
                "extension \"{name}\" has no installation script nor update path for version \"{version}\""
            );
            return Err(SqlError::new("22023", message));
        }
        let context = self.compiler.context;
        let first = || context.path.first().cloned().unwrap_or_else(|| PUBLIC.to_owned());
        let schema = create.schema.as_ref().map_or_else(first, fold);
        if !self.catalog.has_schema(&schema) {
            return Err(SqlError::new("3F000", format!("schema \"{schema}\" does not exist")));
        }
        let mut relation = self.relation(&extension_key(&name), Kind::Extension);
        relation.definition = Some(schema);
        relation.comment = Some(known.comment.to_owned());
        self.put(relation);
        Ok("CREATE EXTENSION")
    }

    pub(super) fn drop_extensions(&mut self, drop: &DropExtension) -> Result<&'static str> {
        for name in drop.names.iter().map(fold) {
            let Some(relation) = self.extension(&name) else {
                let message = format!("extension \"{name}\" does not exist");
                if drop.if_exists {
                    self.steps.push(Step::Notice(format!("{message}, skipping")));
                    continue;
                }
                return Err(SqlError::new("42704", message));
            };
            self.must_own(&relation)?;
            if name == PLPGSQL {
                self.put(Relation { kind: Kind::Dropped, ..relation });
            } else {
                self.steps.push(Step::Remove(relation.name));
            }
        }
        Ok("DROP EXTENSION")
    }

    /// The extension that COMMENT ON and DROP mean.
    pub(super) fn extension(&self, name: &str) -> Option<Relation> {
        self.catalog.extensions().into_iter().find(|extension| extension.base() == name)
    }
}
