//! COMMENT ON.

use super::Maker;
use crate::sql::catalog::{Relation, schema_key};
use crate::sql::compile::relation_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::fold;
use sqlparser::ast::{CommentObject, Ident, ObjectName};

impl Maker<'_, '_> {
    pub(super) fn comment(
        &mut self,
        object: CommentObject,
        name: &ObjectName,
        comment: Option<&String>,
    ) -> Result<&'static str> {
        let text = comment.filter(|text| !text.is_empty()).cloned();
        let mut relation = match object {
            CommentObject::Table
            | CommentObject::View
            | CommentObject::MaterializedView
            | CommentObject::Index
            | CommentObject::Sequence => self.commented(name)?,
            CommentObject::Column => {
                let parts: Vec<&Ident> = name.0.iter().filter_map(|part| part.as_ident()).collect();
                let Some((column, table)) = parts.split_last().filter(|(_, table)| !table.is_empty()) else {
                    return Err(SqlError::syntax("column name must be qualified"));
                };
                let table = ObjectName::from(table.iter().map(|part| (*part).clone()).collect::<Vec<_>>());
                let mut relation = self.commented(&table)?;
                let wanted = fold(column);
                let message =
                    format!("column \"{wanted}\" of relation \"{}\" does not exist", relation.base());
                let found = relation.columns.iter_mut().find(|column| column.name == wanted);
                found.ok_or_else(|| SqlError::new("42703", message).at(column.span.start))?.comment = text;
                self.must_own(&relation)?;
                self.put(relation);
                return Ok("COMMENT");
            }
            CommentObject::Schema => {
                let (_, name) = relation_name(name)?;
                if !self.catalog.has_schema(&name) {
                    return Err(SqlError::new("3F000", format!("schema \"{name}\" does not exist")));
                }
                self.catalog.get(&schema_key(&name)).cloned().unwrap_or_else(|| self.public_schema())
            }
            CommentObject::Type => self.named_type(name)?,
            CommentObject::Extension => {
                let (_, name) = relation_name(name)?;
                let missing = || SqlError::new("42704", format!("extension \"{name}\" does not exist"));
                self.extension(&name).ok_or_else(missing)?
            }
            other => return Err(SqlError::unsupported(format!("COMMENT ON {other}"))),
        };
        self.must_own(&relation)?;
        relation.comment = text;
        self.put(relation);
        Ok("COMMENT")
    }

    fn commented(&self, name: &ObjectName) -> Result<Relation> {
        let (schema, base) = relation_name(name)?;
        let found = self.compiler.context.find(schema.as_deref(), &base);
        found.cloned().ok_or_else(|| SqlError::new("42P01", format!("relation \"{base}\" does not exist")))
    }
}
