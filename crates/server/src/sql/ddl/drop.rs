//! DROP and TRUNCATE, and what depends on what.

use super::Maker;
use super::table::ident_of;
use crate::sql::catalog::{Kind, PUBLIC, Relation, schema_key, stored};
use crate::sql::compile::relation_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Step;
use crate::sql::{fold, walk};
use sqlparser::ast::{Expr, ObjectName, ObjectNamePart, ObjectType, Truncate, TruncateIdentityOption};

impl Maker<'_, '_> {
    /// The views that read a relation.
    pub(super) fn readers(&self, relation: &Relation) -> Vec<Relation> {
        self.readers_of(&relation.name)
    }

    pub(super) fn readers_of(&self, key: &str) -> Vec<Relation> {
        let views = self.catalog.relations.values().filter(|relation| relation.kind.is_query());
        views.filter(|view| self.compiler.context.reads(view, key)).cloned().collect()
    }

    /// Drops the views that read a relation, and those that read them.
    pub(super) fn drop_readers(&mut self, relation: &Relation) -> Result<()> {
        for view in self.readers(relation) {
            self.drop_readers(&view)?;
            if self.is_gone(&view.name) {
                continue;
            }
            self.must_own(&view)?;
            let noun = view.kind.noun();
            self.steps.push(Step::Notice(format!("drop cascades to {noun} {}", view.shown())));
            self.remove(&view);
        }
        Ok(())
    }

    pub(super) fn is_gone(&self, key: &str) -> bool {
        self.steps.iter().any(|step| matches!(step, Step::Remove(removed) if removed == key))
    }

    /// Removes a relation and what belongs to it.
    fn remove(&mut self, relation: &Relation) {
        let owned = self.catalog.relations.values().filter(|r| r.parent.as_ref() == Some(&relation.name));
        let owned: Vec<String> = owned.map(|r| r.name.clone()).collect();
        self.steps.extend(owned.into_iter().map(Step::Remove));
        if matches!(relation.kind, Kind::Materialized { .. }) {
            self.remove_materialized(&relation.name);
        } else if relation.kind != Kind::Sequence {
            let noun = relation.kind.noun().to_ascii_uppercase();
            self.sql(format!("DROP {noun} IF EXISTS {}", stored(&relation.name)));
        }
        self.steps.push(Step::Remove(relation.name.clone()));
    }

    pub(super) fn truncate(&mut self, truncate: &Truncate) -> Result<&'static str> {
        let mut targets = Vec::new();
        for target in &truncate.table_names {
            targets.push(self.compiler.target(&target.name)?);
        }
        let cascade = matches!(truncate.cascade, Some(sqlparser::ast::CascadeOption::Cascade));
        let mut next = 0;
        while next < targets.len() {
            let name = targets[next].name.clone();
            let refers = |r: &&Relation| {
                r.constraints.iter().any(|c| c.foreign.as_ref().is_some_and(|f| f.table == name))
            };
            let referring: Vec<Relation> = self.catalog.relations.values().filter(refers).cloned().collect();
            for other in referring {
                if targets.iter().any(|target| target.name == other.name) {
                    continue;
                }
                if !cascade {
                    let message = "cannot truncate a table referenced in a foreign key constraint";
                    let detail =
                        format!("Table \"{}\" references \"{}\".", other.base(), targets[next].base());
                    let hint = format!(
                        "Truncate table \"{}\" at the same time, or use TRUNCATE ... CASCADE.",
                        other.base()
                    );
                    return Err(SqlError::new("0A000", message).detail(detail).hint(hint));
                }
                self.steps.push(Step::Notice(format!("truncate cascades to table \"{}\"", other.base())));
                targets.push(other);
            }
            next += 1;
        }
        // Those that refer come before what they refer to.
        self.steps.push(Step::Sql("PRAGMA defer_foreign_keys = ON".to_owned()));
        for relation in targets.into_iter().rev() {
            self.compiler.check(&relation, 'D')?;
            self.sql(format!("DELETE FROM {}", stored(&relation.name)));
            if matches!(truncate.identity, Some(TruncateIdentityOption::Restart)) {
                let owned = self.catalog.relations.values();
                let owned =
                    owned.filter(|r| r.kind == Kind::Sequence && r.parent.as_ref() == Some(&relation.name));
                let names: Vec<String> = owned.map(|sequence| sequence.name.clone()).collect();
                self.steps.extend(names.into_iter().map(Step::RestartSequence));
            }
        }
        self.steps.push(Step::Sql("PRAGMA defer_foreign_keys = OFF".to_owned()));
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
            ObjectType::MaterializedView => ("materialized view", "DROP MATERIALIZED VIEW"),
            ObjectType::Index => ("index", "DROP INDEX"),
            ObjectType::Sequence => ("sequence", "DROP SEQUENCE"),
            ObjectType::Schema => return self.drop_schemas(if_exists, names, cascade),
            ObjectType::Type => return self.drop_types(if_exists, names, cascade),
            other => return Err(SqlError::unsupported(format!("DROP {other}"))),
        };
        let mut relations = Vec::new();
        for name in names {
            let (schema, base) = relation_name(name)?;
            let Some(relation) = self.compiler.context.find(schema.as_deref(), &base) else {
                let message = format!("{noun} \"{base}\" does not exist");
                if if_exists {
                    self.steps.push(Step::Notice(format!("{message}, skipping")));
                    continue;
                }
                let code = if noun == "index" { "42704" } else { "42P01" };
                return Err(SqlError::new(code, message));
            };
            self.must_own(relation)?;
            if relation.kind.noun() != noun {
                return Err(SqlError::new("42809", format!("\"{base}\" is not a {noun}")));
            }
            relations.push(relation.clone());
        }
        self.drop_relations(&relations, cascade)?;
        Ok(tag)
    }

    /// Drops relations together with all that depends on them, or refuses to.
    fn drop_relations(&mut self, relations: &[Relation], cascade: bool) -> Result<()> {
        let among = |name: &str| relations.iter().any(|relation| relation.name == name);
        for relation in relations {
            let (noun, shown) = (relation.kind.noun(), relation.shown());
            let blocked = |detail: String| {
                let message = format!("cannot drop {noun} {shown} because other objects depend on it");
                let hint = "Use DROP ... CASCADE to drop the dependent objects too.";
                SqlError::new("2BP01", message).detail(detail).hint(hint)
            };
            if let Some(view) = self.readers(relation).into_iter().find(|view| !among(&view.name)) {
                if !cascade {
                    let detail = format!("{} {} depends on {noun} {shown}", view.kind.noun(), view.shown());
                    return Err(blocked(detail));
                }
                self.drop_readers(relation)?;
            }
            let needs = |c: &crate::sql::catalog::Constraint| {
                c.foreign.as_ref().is_some_and(|f| f.table == relation.name)
            };
            let others = self.catalog.relations.values().filter(|r| !among(&r.name));
            let others: Vec<Relation> = others.filter(|r| r.constraints.iter().any(needs)).cloned().collect();
            for mut other in others {
                if !cascade {
                    let detail = format!("a foreign key of table {} depends on table {shown}", other.shown());
                    return Err(blocked(detail));
                }
                for constraint in other.constraints.iter().filter(|c| needs(c)) {
                    let (name, table) = (&constraint.name, other.shown());
                    self.steps
                        .push(Step::Notice(format!("drop cascades to constraint {name} on table {table}")));
                }
                other.constraints.retain(|c| !needs(c));
                self.rewrite(&other)?;
                self.put(other);
            }
            let uses = |column: &crate::sql::catalog::Column| {
                column.default.as_deref().and_then(crate::sql::sequence_key).as_ref() == Some(&relation.name)
            };
            let users = self.catalog.relations.values().filter(|r| r.columns.iter().any(uses));
            let users: Vec<Relation> = users.filter(|r| !among(&r.name)).cloned().collect();
            for mut user in users.into_iter().filter(|_| relation.kind == Kind::Sequence) {
                if !cascade {
                    return Err(blocked(format!("default value of table {} depends on it", user.shown())));
                }
                user.columns
                    .iter_mut()
                    .filter(|column| uses(column))
                    .for_each(|column| column.default = None);
                self.put(user);
            }
        }
        // Tables that refer to each other go in any order.
        let tables = relations.iter().any(|relation| relation.kind == Kind::Table);
        if tables {
            self.steps.push(Step::Sql("PRAGMA defer_foreign_keys = ON".to_owned()));
            for relation in relations.iter().filter(|r| r.constraints.iter().any(|c| c.foreign.is_some())) {
                // Dropping a table empties it first, and that must not reach into others.
                let mut bare = relation.clone();
                bare.constraints.retain(|c| c.foreign.is_none());
                self.rewrite(&bare)?;
            }
        }
        for relation in
            relations.iter().filter(|relation| !self.is_gone(&relation.name)).cloned().collect::<Vec<_>>()
        {
            self.remove(&relation);
        }
        if tables {
            self.steps.push(Step::Sql("PRAGMA defer_foreign_keys = OFF".to_owned()));
        }
        Ok(())
    }

    fn drop_schemas(&mut self, if_exists: bool, names: &[ObjectName], cascade: bool) -> Result<&'static str> {
        for name in names {
            let (_, name) = relation_name(name)?;
            if !self.catalog.has_schema(&name) {
                let message = format!("schema \"{name}\" does not exist");
                if if_exists {
                    self.steps.push(Step::Notice(format!("{message}, skipping")));
                    continue;
                }
                return Err(SqlError::new("3F000", message));
            }
            let key = schema_key(&name);
            let schema = self.catalog.get(&key).cloned().unwrap_or_else(|| self.public_schema());
            self.must_own(&schema)?;
            let inside = self.catalog.relations.values().filter(|r| r.schema() == name);
            let inside: Vec<Relation> = inside.cloned().collect();
            if let Some(relation) = inside.first().filter(|_| !cascade) {
                let message = format!("cannot drop schema {name} because other objects depend on it");
                let detail =
                    format!("{} {} depends on schema {name}", relation.kind.noun(), relation.shown());
                let hint = "Use DROP ... CASCADE to drop the dependent objects too.";
                return Err(SqlError::new("2BP01", message).detail(detail).hint(hint));
            }
            // Indexes and own sequences go with their tables.
            let (types, relations): (Vec<Relation>, Vec<Relation>) =
                inside.into_iter().partition(|relation| relation.kind == Kind::Enum);
            for found in types {
                self.refuse_used(&found, &relations)?;
                self.steps.push(Step::Remove(found.name));
            }
            let roots: Vec<Relation> =
                relations.into_iter().filter(|relation| relation.parent.is_none()).collect();
            self.drop_relations(&roots, true)?;
            self.steps.push(Step::Remove(key));
            if name == PUBLIC {
                self.put(Relation { kind: Kind::Dropped, ..schema });
            }
        }
        Ok("DROP SCHEMA")
    }
}

/// A view's query with a column under its new name.
pub(super) fn view_renamed(text: &str, old: &str, new: &str) -> String {
    let Ok(mut statements) = crate::sql::parse(text) else { return text.to_owned() };
    walk::change_exprs(&mut statements, &mut |expr| {
        let last = match expr {
            Expr::Identifier(ident) => Some(ident),
            Expr::CompoundIdentifier(parts) => parts.last_mut(),
            _ => None,
        };
        if let Some(ident) = last.filter(|ident| fold(ident) == old) {
            *ident = ident_of(new);
        }
    });
    statements.first().map_or_else(|| text.to_owned(), ToString::to_string)
}

/// A view's query with a relation under its new name.
pub(super) fn relation_renamed(text: &str, old: &str, new: &str) -> String {
    let Ok(mut statements) = crate::sql::parse(text) else { return text.to_owned() };
    walk::change_relations(&mut statements, &mut |name| {
        if let Some(ObjectNamePart::Identifier(ident)) = name.0.last_mut()
            && fold(ident) == old
        {
            *ident = ident_of(new);
        }
    });
    statements.first().map_or_else(|| text.to_owned(), ToString::to_string)
}
