//! CREATE, ALTER, DROP, GRANT and REVOKE of what belongs to the whole cluster: roles and databases.

use super::{Session, Transaction};
use crate::auth::scram;
use crate::engine::Role;
use crate::sql::catalog::Relation;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::{ClusterChange, RoleChange};
use crate::sql::system::closure;

impl Session {
    pub(super) fn change_cluster(&mut self, change: &ClusterChange) -> Result<()> {
        if self.server.cluster.gate.is_closed() {
            let message = "cannot change roles or databases in a read-only transaction";
            return Err(SqlError::new("25006", message).hint(self.server.replication.why_closed()));
        }
        let access = matches!(change, ClusterChange::Access { .. });
        if matches!(self.transaction, Transaction::Open { read_only: true, .. }) && access {
            return Err(SqlError::new("25006", "cannot execute GRANT or REVOKE in a read-only transaction"));
        }
        if self.transaction != Transaction::Idle && !access {
            let what = match change {
                ClusterChange::CreateDatabase { .. } | ClusterChange::DropDatabase { .. } => {
                    "CREATE or DROP DATABASE"
                }
                _ => "a change of roles",
            };
            return Err(SqlError::new("25001", format!("{what} cannot run inside a transaction block")));
        }
        // A user may change its own password, and nothing else.
        let own = matches!(change, ClusterChange::AlterRole { name, role } if *name == self.user
            && role.superuser.is_none() && role.login.is_none() && role.replication.is_none());
        // Who may give rights is a question of the database.
        if !self.superuser && !own && !access {
            return Err(SqlError::new("42501", "permission denied: only superusers may do this"));
        }
        let cluster = &self.server.cluster;
        cluster.gate.check()?;
        self.make_change(change)?;
        // Rights wait for the commit.
        if access { Ok(()) } else { self.server.cluster.settle(&self.seat.interrupt) }
    }

    fn make_change(&mut self, change: &ClusterChange) -> Result<()> {
        let cluster = &self.server.cluster;
        let missing = |name: &str| SqlError::new("42704", format!("role \"{name}\" does not exist"));
        match change {
            ClusterChange::CreateDatabase { name, owner } => {
                let owner = owner.as_ref().unwrap_or(&self.user);
                if cluster.role(owner)?.is_none() {
                    return Err(missing(owner));
                }
                cluster.create_database(name, owner)
            }
            ClusterChange::DropDatabase { name, .. } if *name == self.connection.database() => {
                Err(SqlError::new("55006", "cannot drop the currently open database"))
            }
            ClusterChange::DropDatabase { name, if_exists } => {
                if cluster.drop_database(name)? || *if_exists {
                    return Ok(());
                }
                Err(SqlError::new("3D000", format!("database \"{name}\" does not exist")))
            }
            ClusterChange::CreateRole { name, role } => {
                if cluster.role(name)?.is_some() {
                    return Err(SqlError::new("42710", format!("role \"{name}\" already exists")));
                }
                let fresh = Role {
                    name: name.clone(),
                    verifier: None,
                    superuser: false,
                    login: false,
                    replication: false,
                };
                cluster.put_role(&changed(fresh, role)?)
            }
            ClusterChange::AlterRole { name, role } => {
                let known = cluster.role(name)?.ok_or_else(|| missing(name))?;
                cluster.put_role(&changed(known, role)?)
            }
            ClusterChange::Member { roles, members, give } => {
                for name in roles.iter().chain(members) {
                    cluster.role(name)?.ok_or_else(|| missing(name))?;
                }
                for (role, member) in roles.iter().flat_map(|role| members.iter().map(move |m| (role, m))) {
                    if *give && closure(&cluster.members()?, role).contains(member) {
                        let message = format!("role \"{role}\" is a member of role \"{member}\"");
                        return Err(SqlError::new("0LP01", message));
                    }
                    cluster.set_member(role, member, *give)?;
                }
                Ok(())
            }
            ClusterChange::DropRole { name, .. } if *name == self.user => {
                Err(SqlError::new("55006", "current user cannot be dropped"))
            }
            ClusterChange::DropRole { name, if_exists } => {
                still_needed(name, &cluster.database_records()?)?;
                if cluster.drop_role(name)? || *if_exists { Ok(()) } else { Err(missing(name)) }
            }
            ClusterChange::Access { databases, grantees, change } => {
                self.change_access(databases, grantees, change)
            }
        }
    }
}

/// Refuses to drop a role that a database belongs to, or that may do something with one.
fn still_needed(role: &str, databases: &[Relation]) -> Result<()> {
    let reason = |database: &Relation| {
        let granted = database.grants.iter().any(|grant| grant.grantee == role);
        match (database.owner == role, granted) {
            (true, _) => Some(format!("owner of database {}", database.name)),
            (_, true) => Some(format!("privileges for database {}", database.name)),
            _ => None,
        }
    };
    let reasons: Vec<String> = databases.iter().filter_map(reason).collect();
    if reasons.is_empty() {
        return Ok(());
    }
    let message = format!("role \"{role}\" cannot be dropped because some objects depend on it");
    Err(SqlError::new("2BP01", message).detail(reasons.join("\n")))
}

fn changed(mut role: Role, change: &RoleChange) -> Result<Role> {
    role.login = change.login.unwrap_or(role.login);
    role.superuser = change.superuser.unwrap_or(role.superuser);
    role.replication = change.replication.unwrap_or(role.replication);
    if let Some(password) = &change.password {
        role.verifier = password.as_deref().map(scram::verifier).transpose()?;
    }
    Ok(role)
}
