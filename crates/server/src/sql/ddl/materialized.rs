//! Materialized views. SQLite has a table of the view's name for its rows, and beside it a view that nobody can name
//! for its query: so SQLite keeps the query right when what it reads is renamed, and REFRESH only reads it again.

use super::{Maker, column};
use crate::sql::catalog::{Kind, Relation, query_key, stored};
use crate::sql::compile::{Context, relation_name};
use crate::sql::error::{Result, SqlError};
use crate::sql::materialized::{CONCURRENTLY, NO_DATA, REFRESH};
use crate::sql::plan::Step;
use crate::sql::types::Type;
use crate::sql::{fold, literal_text, quote, walk};
use sqlparser::ast::{CreateView, Set};

impl Maker<'_, '_> {
    pub(super) fn create_materialized(&mut self, create: &CreateView) -> Result<&'static str> {
        let place = walk::start_of(&create.name);
        if create.or_replace || create.temporary {
            return Err(SqlError::syntax("syntax error at or near \"MATERIALIZED\"").at(place));
        }
        let (schema, name) = relation_name(&create.name)?;
        let key = self.new_key(schema.as_deref(), &name).map_err(|error| error.at(place))?;
        if !self.free(&key, create.if_not_exists)? {
            return Ok("CREATE MATERIALIZED VIEW");
        }
        let populated = !create.secure;
        let mut relation = self.relation(&key, Kind::Materialized { populated });
        relation.columns =
            create.columns.iter().map(|given| column(&fold(&given.name), Type::Text.into())).collect();
        relation.definition = Some(create.query.to_string());
        self.make_query(&mut relation, !populated)?;
        self.make_table(&relation)?;
        if populated {
            self.fill(&relation);
        }
        self.put(relation);
        Ok("CREATE MATERIALIZED VIEW")
    }

    /// The view behind a materialized one; `defining` when it is not read now.
    pub(super) fn make_query(&mut self, relation: &mut Relation, defining: bool) -> Result<()> {
        let (sql, names) = self.view_query(relation, defining)?;
        self.sql(format!("CREATE VIEW {} ({names}) AS {sql}", quote(&query_key(&relation.name))));
        Ok(())
    }

    fn fill(&mut self, relation: &Relation) {
        let (rows, query) = (stored(&relation.name), stored(&query_key(&relation.name)));
        self.sql(format!("INSERT INTO {rows} SELECT * FROM {query}"));
    }

    /// Drops what SQLite has of one.
    pub(super) fn remove_materialized(&mut self, key: &str) {
        self.sql(format!("DROP TABLE IF EXISTS {}", stored(key)));
        self.sql(format!("DROP VIEW IF EXISTS {}", stored(&query_key(key))));
    }

    fn refresh(&mut self, name: &str, options: &str) -> Result<()> {
        let (schema, base) = crate::sql::split_name(name);
        let found = self.compiler.context.find(schema.as_deref(), &base).cloned();
        let missing = || SqlError::new("42P01", format!("relation \"{base}\" does not exist"));
        let mut relation = found.ok_or_else(missing)?;
        let populated = match relation.kind {
            Kind::Materialized { populated } => populated,
            Kind::Table => {
                let message = format!("\"{base}\" is not a materialized view");
                return Err(SqlError::new("0A000", message));
            }
            _ => {
                let message = format!("\"{base}\" is not a table or materialized view");
                return Err(SqlError::new("42809", message));
            }
        };
        self.must_own(&relation)?;
        let (concurrently, fill) = (options.contains(CONCURRENTLY), !options.contains(NO_DATA));
        if concurrently && !populated {
            let message = "CONCURRENTLY cannot be used when the materialized view is not populated";
            return Err(SqlError::new("0A000", message));
        }
        if concurrently && !fill {
            let message = "CONCURRENTLY and WITH NO DATA options cannot be used together";
            return Err(SqlError::syntax(message));
        }
        let whole = |index: &Relation| {
            index.kind == (Kind::Index { unique: true })
                && index.definition.is_none()
                && index.columns.iter().all(|column| column.default.is_none())
        };
        if concurrently && !self.catalog.indexes(&relation.name).any(whole) {
            let shown = format!("{}.{}", relation.schema(), relation.base());
            let message = format!("cannot refresh materialized view \"{shown}\" concurrently");
            let hint =
                "Create a unique index with no WHERE clause on one or more columns of the materialized view.";
            return Err(SqlError::new("55000", message).hint(hint));
        }
        if fill && let Some(empty) = self.compiler.context.unpopulated(&relation, false) {
            return Err(not_populated(empty));
        }
        // Others read the old rows until the commit in any case.
        self.sql(format!("DELETE FROM {}", stored(&relation.name)));
        if fill {
            self.fill(&relation);
        }
        relation.kind = Kind::Materialized { populated: fill };
        self.put(relation);
        Ok(())
    }
}

/// The error of whoever reads what has not been filled yet.
pub(in crate::sql) fn not_populated(view: &Relation) -> SqlError {
    let message = format!("materialized view \"{}\" has not been populated", view.base());
    SqlError::new("55000", message).hint("Use the REFRESH MATERIALIZED VIEW command.")
}

/// The steps of REFRESH MATERIALIZED VIEW, which comes from the parser as a parameter's assignment.
pub fn refreshed(
    set: &Set,
    context: &Context<'_>,
    compiler: &mut crate::sql::compile::Compiler<'_>,
) -> Result<Option<Vec<Step>>> {
    let Set::SingleAssignment { variable, values, .. } = set else { return Ok(None) };
    let [name, options] = values.as_slice() else { return Ok(None) };
    if variable.to_string() != REFRESH {
        return Ok(None);
    }
    let text = |expr| literal_text(expr).unwrap_or_default();
    let mut maker =
        Maker { catalog: context.catalog, owner: context.user, compiler, steps: Vec::new(), oids: 0 };
    maker.refresh(&text(name), &text(options))?;
    Ok(Some(maker.steps))
}
