//! GRANT and REVOKE, and who may change definitions.

use super::Maker;
use crate::sql::catalog::{Grant, Kind, PUBLIC, Relation, schema_key};
use crate::sql::compile::relation_name;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{ClusterChange, Step};
use crate::sql::rights::{Change, Grantor};
use sqlparser::ast::{
    Action, CascadeOption, Grant as GrantStatement, GrantObjects, Grantee, GranteeName, GranteesType,
    ObjectName, Privileges, Revoke,
};

impl Maker<'_, '_> {
    pub(super) fn grant(
        &mut self,
        privileges: &Privileges,
        objects: Option<&GrantObjects>,
        grantees: &[Grantee],
        change: &Change,
    ) -> Result<&'static str> {
        let objects = objects.ok_or_else(|| SqlError::syntax("GRANT needs objects"))?;
        let context = self.compiler.context;
        let by = Grantor { superuser: context.superuser, roles: context.memberships };
        let grantees = grantees.iter().map(|grantee| self.grantee(grantee)).collect::<Result<Vec<_>>>()?;
        for mut relation in self.granted(objects)? {
            let change = change.with(privileges, relation.kind)?;
            let warning = change.apply(&mut relation, &by, &grantees)?;
            self.steps.extend(warning.map(Step::Warning));
            self.put(relation);
        }
        Ok(if change.give { "GRANT" } else { "REVOKE" })
    }

    /// The relations that the statement names.
    fn granted(&mut self, objects: &GrantObjects) -> Result<Vec<Relation>> {
        let all = |names: &[ObjectName], this: &Self, wanted: fn(&Kind) -> bool| -> Result<Vec<Relation>> {
            let schemas = names.iter().map(|name| this.schema_name(name)).collect::<Result<Vec<_>>>()?;
            let relations = this.catalog.relations.values();
            let inside = |r: &&Relation| wanted(&r.kind) && schemas.iter().any(|name| r.schema() == name);
            Ok(relations.filter(inside).cloned().collect())
        };
        match objects {
            GrantObjects::Tables(names) | GrantObjects::Sequences(names) | GrantObjects::Views(names) => {
                let find = |name: &ObjectName| {
                    let (schema, name) = relation_name(name)?;
                    let message = format!("relation \"{name}\" does not exist");
                    let found = self.compiler.context.find(schema.as_deref(), &name);
                    found.cloned().ok_or_else(|| SqlError::new("42P01", message))
                };
                names.iter().map(find).collect()
            }
            GrantObjects::AllTablesInSchema { schemas } => all(schemas, self, |kind| kind.has_rows()),
            GrantObjects::AllSequencesInSchema { schemas } => {
                all(schemas, self, |kind| *kind == Kind::Sequence)
            }
            GrantObjects::Schemas(names) => {
                let mut schemas = Vec::new();
                for name in names {
                    let name = self.schema_name(name)?;
                    let known = self.catalog.get(&schema_key(&name)).cloned();
                    schemas.push(known.unwrap_or_else(|| self.public_schema()));
                }
                Ok(schemas)
            }
            other => Err(SqlError::unsupported(format!("GRANT ON {other}"))),
        }
    }

    fn schema_name(&self, name: &ObjectName) -> Result<String> {
        let (_, name) = relation_name(name)?;
        if self.catalog.has_schema(&name) {
            return Ok(name);
        }
        Err(SqlError::new("3F000", format!("schema \"{name}\" does not exist")))
    }

    pub(super) fn public_schema(&mut self) -> Relation {
        let owner = self.database_owner().unwrap_or_default();
        // Everybody may look into it from the start.
        let grants = vec![Grant::to_everybody("U")];
        Relation { owner, grants, ..self.relation(&schema_key(PUBLIC), Kind::Schema) }
    }

    pub(super) fn database_owner(&self) -> Option<String> {
        self.database().map(|database| database.owner)
    }

    fn database(&self) -> Option<Relation> {
        let context = self.compiler.context;
        context.cluster.databases().into_iter().find(|database| database.name == context.database)
    }

    /// Whether the role in force has the database's privilege of a letter.
    pub(super) fn may_in_database(&self, privilege: char) -> bool {
        let context = self.compiler.context;
        let allowed = || self.database().is_some_and(|database| context.allows(&database, privilege));
        context.superuser || allowed()
    }

    /// The role's name, empty for PUBLIC; a role that isn't there is an error.
    fn grantee(&self, grantee: &Grantee) -> Result<String> {
        if grantee.grantee_type == GranteesType::Public {
            return Ok(String::new());
        }
        let Some(GranteeName::ObjectName(name)) = &grantee.name else {
            return Err(SqlError::unsupported(format!("grantee {grantee}")));
        };
        let (_, name) = relation_name(name)?;
        let context = self.compiler.context;
        match name.as_str() {
            "public" => Ok(String::new()),
            "current_user" | "session_user" | "current_role" => Ok(context.user.to_owned()),
            name if context.cluster.roles().iter().any(|role| role.name == name) => Ok(name.to_owned()),
            name => Err(SqlError::new("42704", format!("role \"{name}\" does not exist"))),
        }
    }

    /// Only the owner changes a definition.
    pub(super) fn must_own(&self, relation: &Relation) -> Result<()> {
        let context = self.compiler.context;
        if context.superuser || relation.owner == context.user {
            return Ok(());
        }
        let message = format!("must be owner of {} {}", relation.kind.noun(), relation.base());
        Err(SqlError::new("42501", message))
    }

    /// New relations come from the schema's owner, and from those who were granted CREATE.
    pub(super) fn may_create(&self, schema: &str) -> Result<()> {
        let context = self.compiler.context;
        let known = self.catalog.get(&schema_key(schema));
        let granted = || known.is_some_and(|schema| context.allows(schema, 'C'));
        let owned = || schema == PUBLIC && self.database_owner().as_deref() == Some(context.user);
        if schema == context.temporary && !self.may_in_database('T') {
            let message =
                format!("permission denied to create temporary tables in database \"{}\"", context.database);
            return Err(SqlError::new("42501", message));
        }
        if context.superuser || schema == context.temporary || granted() || owned() {
            return Ok(());
        }
        Err(SqlError::new("42501", format!("permission denied for schema {schema}")))
    }
}

/// GRANT role TO role
pub(super) fn membership(privileges: &Privileges, grantees: &[Grantee], give: bool) -> Result<ClusterChange> {
    let Privileges::Actions(actions) = privileges else {
        return Err(SqlError::syntax("ALL needs objects to grant"));
    };
    let mut roles = Vec::new();
    for action in actions {
        let Action::Role { role } = action else {
            return Err(SqlError::syntax(format!("privilege {action} needs an object")));
        };
        roles.push(relation_name(role)?.1);
    }
    let mut members = Vec::new();
    for grantee in grantees {
        let Some(GranteeName::ObjectName(name)) = &grantee.name else {
            return Err(SqlError::unsupported(format!("grantee {grantee}")));
        };
        members.push(relation_name(name)?.1);
    }
    Ok(ClusterChange::Member { roles, members, give })
}

/// GRANT … ON DATABASE
pub(super) fn access(
    databases: &[ObjectName],
    privileges: &Privileges,
    grantees: &[Grantee],
    change: &Change,
) -> Result<ClusterChange> {
    let databases =
        databases.iter().map(|name| relation_name(name).map(|(_, name)| name)).collect::<Result<_>>()?;
    let name = |grantee: &Grantee| -> Result<String> {
        match (&grantee.name, grantee.grantee_type == GranteesType::Public) {
            (_, true) => Ok(String::new()),
            (Some(GranteeName::ObjectName(name)), _) => Ok(relation_name(name)?.1),
            _ => Err(SqlError::unsupported(format!("grantee {grantee}"))),
        }
    };
    let grantees = grantees.iter().map(name).collect::<Result<_>>()?;
    let change = change.with(privileges, Kind::Database)?;
    Ok(ClusterChange::Access { databases, grantees, change })
}

/// GRANT, but for its privileges.
pub(super) fn given(grant: &GrantStatement) -> Change {
    Change {
        letters: String::new(),
        named: false,
        give: true,
        option: grant.with_grant_option,
        cascade: false,
    }
}

/// REVOKE, but for its privileges.
pub(super) fn taken(revoke: &Revoke) -> Change {
    let cascade = matches!(revoke.cascade, Some(CascadeOption::Cascade));
    Change { letters: String::new(), named: false, give: false, option: revoke.grant_option_for, cascade }
}

impl Change {
    /// With the privileges that words mean for a kind of object.
    fn with(&self, privileges: &Privileges, kind: Kind) -> Result<Self> {
        let named = matches!(privileges, Privileges::Actions(_));
        Ok(Self { letters: letters(privileges, kind)?, named, ..self.clone() })
    }
}

fn letters(privileges: &Privileges, kind: Kind) -> Result<String> {
    let Privileges::Actions(actions) = privileges else {
        return Ok(kind.privileges().to_owned());
    };
    let mut letters = String::new();
    for action in actions {
        let letter = match action {
            Action::Insert { columns: None } => 'a',
            Action::Select { columns: None } => 'r',
            Action::Update { columns: None } => 'w',
            Action::Delete => 'd',
            Action::Truncate => 'D',
            Action::References { columns: None } => 'x',
            Action::Trigger => 't',
            Action::Usage => 'U',
            Action::Create { obj_type: None } => 'C',
            Action::Temporary => 'T',
            Action::Connect => 'c',
            other => return Err(SqlError::unsupported(format!("privilege {other}"))),
        };
        if !kind.privileges().contains(letter) {
            let message = format!("invalid privilege type {action} for {}", kind.noun());
            return Err(SqlError::new("0LP01", message));
        }
        letters.push(letter);
    }
    Ok(letters)
}
