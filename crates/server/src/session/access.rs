//! GRANT and REVOKE on databases within a transaction. Who may do what with a database lies in the cluster's own file,
//! so a transaction keeps its changes here until it commits: it sees them itself, and a rollback forgets them. The
//! database's file is committed first; a crash between the two loses rights that nobody was told of.

use super::Session;
use crate::sql::catalog::{Grant, Relation};
use crate::sql::error::{Result, SqlError};
use crate::sql::rights::{Change, Grantor};
use crate::sql::system::closure;

/// A database whose rights a transaction has changed.
#[derive(Debug, Clone)]
pub struct Changed {
    /// With the new rights.
    pub record: Relation,
    /// The rights before the transaction.
    pub before: Vec<Grant>,
    /// How many savepoints the change lies behind.
    depth: usize,
}

/// A transaction's changes, the latest last.
#[derive(Default)]
pub struct Pending(Vec<Changed>);

impl Pending {
    /// The changes after the savepoint of a number count as those before it.
    pub fn release(&mut self, savepoint: usize) {
        self.0.iter_mut().for_each(|changed| changed.depth = changed.depth.min(savepoint));
    }

    /// Forgets the changes after the savepoint of a number.
    pub fn roll_back_to(&mut self, savepoint: usize) {
        self.0.retain(|changed| changed.depth <= savepoint);
    }

    /// Forgets all.
    pub fn clear(&mut self) {
        self.0 = Vec::new();
    }

    /// Gives a record the rights that hold in this transaction.
    pub fn overlay(&self, record: &mut Relation) {
        if let Some(changed) = self.0.iter().rfind(|changed| changed.record.oid == record.oid) {
            record.grants.clone_from(&changed.record.grants);
        }
    }

    /// The last change of each database.
    pub fn last(&self) -> Vec<Changed> {
        let later = |index: usize, oid| self.0[index + 1..].iter().any(|changed| changed.record.oid == oid);
        let last = self.0.iter().enumerate().filter(|(index, changed)| !later(*index, changed.record.oid));
        last.map(|(_, changed)| changed.clone()).collect()
    }
}

impl Session {
    /// GRANT and REVOKE on databases.
    pub(super) fn change_access(
        &mut self,
        databases: &[String],
        grantees: &[String],
        change: &Change,
    ) -> Result<()> {
        let cluster = &self.server.cluster;
        let mut names = Vec::new();
        for grantee in grantees {
            let name = match grantee.as_str() {
                "current_user" | "current_role" => self.user.as_str(),
                "session_user" => self.login.0.as_str(),
                "public" => "",
                name => name,
            };
            if !name.is_empty() && cluster.role(name)?.is_none() {
                return Err(SqlError::new("42704", format!("role \"{name}\" does not exist")));
            }
            names.push(name.to_owned());
        }
        let roles = closure(&cluster.members()?, &self.user);
        let by = Grantor { superuser: self.superuser, roles: &roles };
        for name in databases {
            let found = cluster.database_records()?.into_iter().find(|database| database.name == *name);
            let missing = || SqlError::new("3D000", format!("database \"{name}\" does not exist"));
            let mut record = found.ok_or_else(missing)?;
            let before = record.grants.clone();
            self.access.overlay(&mut record);
            let warning = change.apply(&mut record, &by, &names)?;
            self.access.0.push(Changed { record, before, depth: self.savepoints.len() });
            if let Some(warning) = warning {
                self.wire.notice("WARNING", warning.code, &warning.message)?;
            }
        }
        Ok(())
    }

    /// Makes the transaction's changes, which is about to end.
    pub(super) fn commit_access(&mut self) -> Result<()> {
        let changes = self.access.last();
        if changes.is_empty() {
            return Ok(());
        }
        self.access.clear();
        self.server.cluster.change_access(&changes)?;
        self.server.cluster.settle(&self.seat.interrupt)
    }
}
