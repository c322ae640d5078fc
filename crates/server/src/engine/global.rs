//! Roles and databases: what belongs to the whole cluster.

use super::database::open_file;
use super::error::simple;
use crate::sql::catalog::Relation;
use crate::sql::error::{Result, SqlError};
use rusqlite::{Connection as Sqlite, OptionalExtension, params};
use std::path::Path;

const BOOTSTRAP: &str = "
    CREATE TABLE role (
        name TEXT PRIMARY KEY, verifier TEXT, superuser INTEGER NOT NULL, login INTEGER NOT NULL,
        replication INTEGER NOT NULL DEFAULT 0
    ) STRICT;
    CREATE TABLE database (
        oid INTEGER PRIMARY KEY AUTOINCREMENT, name TEXT NOT NULL UNIQUE, owner TEXT NOT NULL
    ) STRICT;
    CREATE TABLE option (name TEXT PRIMARY KEY, value TEXT NOT NULL) STRICT;";

/// Which role is a member of which; files of an earlier make have no such table.
const MEMBERS: &str = "
    CREATE TABLE IF NOT EXISTS member (
        role TEXT NOT NULL, member TEXT NOT NULL, PRIMARY KEY (role, member)
    ) STRICT, WITHOUT ROWID;";

/// A role.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Role {
    /// Its name.
    pub name: String,
    /// Its SCRAM verifier; without one it can't log in by password.
    pub verifier: Option<String>,
    /// It may do everything.
    pub superuser: bool,
    /// It may log in.
    pub login: bool,
    /// It may copy the whole cluster.
    pub replication: bool,
}

const ROLE: &str = "SELECT name, verifier, superuser, login, replication, rowid FROM role";

fn role(row: &rusqlite::Row<'_>) -> rusqlite::Result<Role> {
    let (name, verifier) = (row.get(0)?, row.get(1)?);
    Ok(Role { name, verifier, superuser: row.get(2)?, login: row.get(3)?, replication: row.get(4)? })
}

/// The file of roles and databases.
pub struct Global {
    sqlite: Sqlite,
}

impl Global {
    /// Makes the file.
    pub fn create(path: &Path) -> Result<Self> {
        let sqlite = open_file(path, true)?;
        sqlite.execute_batch(BOOTSTRAP).map_err(|error| simple(&error))?;
        sqlite.execute_batch(MEMBERS).map_err(|error| simple(&error))?;
        Ok(Self { sqlite })
    }

    /// Opens the file.
    pub fn open(path: &Path) -> Result<Self> {
        let sqlite = open_file(path, false)?;
        let known = "SELECT count(*) FROM pragma_table_info('role') WHERE name = 'replication'";
        let known =
            sqlite.query_row(known, [], |row| row.get::<_, i64>(0)).map_err(|error| simple(&error))?;
        if known == 0 {
            let sql = "ALTER TABLE role ADD COLUMN replication INTEGER NOT NULL DEFAULT 0";
            sqlite.execute_batch(sql).map_err(|error| simple(&error))?;
        }
        sqlite.execute_batch(MEMBERS).map_err(|error| simple(&error))?;
        Ok(Self { sqlite })
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Result<Option<Role>> {
        let sql = format!("{ROLE} WHERE name = ?1");
        self.sqlite.query_row(&sql, [name], role).optional().map_err(|error| simple(&error))
    }

    /// All roles, each with its number.
    pub fn roles(&self) -> Result<Vec<(i64, Role)>> {
        let read = || -> rusqlite::Result<Vec<(i64, Role)>> {
            let mut statement = self.sqlite.prepare_cached(&format!("{ROLE} ORDER BY rowid"))?;
            statement.query_map([], |row| Ok((row.get(5)?, role(row)?)))?.collect()
        };
        read().map_err(|error| simple(&error))
    }

    /// All databases, each with its owner and who may do what with it.
    pub fn database_records(&self) -> Result<Vec<Relation>> {
        type Row = (i64, String, String, Option<String>);
        let sql = "SELECT d.oid, d.name, d.owner, o.value FROM database d
                   LEFT JOIN option o ON o.name = 'access ' || d.oid ORDER BY d.oid";
        let read = || -> rusqlite::Result<Vec<Row>> {
            let mut statement = self.sqlite.prepare_cached(sql)?;
            let row = |row: &rusqlite::Row<'_>| Ok((row.get(0)?, row.get(1)?, row.get(2)?, row.get(3)?));
            statement.query_map([], row)?.collect()
        };
        let record = |(oid, name, owner, grants): Row| {
            let grants = grants.map(|text| serde_json::from_str(&text)).transpose();
            let grants = grants.map_err(|error| {
                SqlError::new(
                    "XX001",
                    format!("`global.db` is damaged: {error}; restore a backup (scratchbird restore BACKUP -D DIRECTORY)"),
                )
            })?;
            Ok(Relation::database(oid, &name, &owner, grants))
        };
        read().map_err(|error| simple(&error))?.into_iter().map(record).collect()
    }

    /// Notes who may do what with databases, all at once. An option of its own, not a column: so a replica that is older or newer
    /// than its primary reads the same tables.
    pub fn set_access<'r>(&self, databases: impl Iterator<Item = &'r Relation>) -> Result<()> {
        let transaction = self.sqlite.unchecked_transaction().map_err(|error| simple(&error))?;
        for database in databases {
            let text = serde_json::json!(database.grants).to_string();
            self.set_option(&format!("access {}", database.oid), &text)?;
        }
        transaction.commit().map_err(|error| simple(&error))
    }

    /// Adds a role, or changes what is known of it; its number stays.
    pub fn put_role(&self, role: &Role) -> Result<()> {
        let sql = "INSERT INTO role (name, verifier, superuser, login, replication) VALUES (?1, ?2, ?3, ?4, ?5)
                   ON CONFLICT (name) DO UPDATE SET verifier = excluded.verifier, superuser = excluded.superuser,
                   login = excluded.login, replication = excluded.replication";
        let values = params![role.name, role.verifier, role.superuser, role.login, role.replication];
        self.change(sql, values).map(|_| ())
    }

    /// Which role each role is a member of: role and member.
    pub fn members(&self) -> Result<Vec<(String, String)>> {
        let read = || -> rusqlite::Result<Vec<(String, String)>> {
            let mut statement = self.sqlite.prepare_cached("SELECT role, member FROM member")?;
            statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
        };
        read().map_err(|error| simple(&error))
    }

    /// Makes a role a member of another, or ends that.
    pub fn set_member(&self, role: &str, member: &str, give: bool) -> Result<()> {
        let sql = if give {
            "INSERT OR IGNORE INTO member (role, member) VALUES (?1, ?2)"
        } else {
            "DELETE FROM member WHERE role = ?1 AND member = ?2"
        };
        self.change(sql, [role, member]).map(|_| ())
    }

    /// Removes a role; says whether there was one.
    pub fn drop_role(&self, name: &str) -> Result<bool> {
        self.change("DELETE FROM member WHERE role = ?1 OR member = ?1", [name])?;
        self.change("DELETE FROM role WHERE name = ?1", [name]).map(|count| count > 0)
    }

    /// The number of a database, which names its file.
    pub fn database(&self, name: &str) -> Result<Option<i64>> {
        let row = self.sqlite.query_row("SELECT oid FROM database WHERE name = ?1", [name], |row| row.get(0));
        row.optional().map_err(|error| simple(&error))
    }

    /// All databases.
    pub fn databases(&self) -> Result<Vec<(i64, String)>> {
        databases(&self.sqlite)
    }

    /// The number that the next database would get.
    pub fn next_database(&self) -> Result<i64> {
        let sql = "SELECT coalesce((SELECT seq FROM sqlite_sequence WHERE name = 'database'), 0) + 1";
        self.sqlite.query_row(sql, [], |row| row.get(0)).map_err(|error| simple(&error))
    }

    /// Adds a database under a number.
    pub fn add_database(&self, oid: i64, name: &str, owner: &str) -> Result<()> {
        let result = self
            .change("INSERT INTO database (oid, name, owner) VALUES (?1, ?2, ?3)", params![oid, name, owner]);
        match result {
            Err(error) if error.code == "23505" => {
                Err(SqlError::new("42P04", format!("database \"{name}\" already exists")))
            }
            other => other.map(|_| ()),
        }
    }

    /// Removes a database's entry, and then who might do what with it: no other gets its number.
    pub fn drop_database(&self, name: &str, oid: i64) -> Result<()> {
        self.change("DELETE FROM database WHERE name = ?1", [name])?;
        self.change("DELETE FROM option WHERE name = 'access ' || ?1", [oid]).map(|_| ())
    }

    /// A fact that the first start decided.
    pub fn option(&self, name: &str) -> Result<Option<String>> {
        let row = self.sqlite.query_row("SELECT value FROM option WHERE name = ?1", [name], |row| row.get(0));
        row.optional().map_err(|error| simple(&error))
    }

    /// Notes a fact.
    pub fn set_option(&self, name: &str, value: &str) -> Result<()> {
        self.change("INSERT OR REPLACE INTO option (name, value) VALUES (?1, ?2)", [name, value]).map(|_| ())
    }

    /// Copies the write-ahead log into the file and empties it.
    pub fn checkpoint(&self) -> Result<()> {
        let result = self.sqlite.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
        result.map_err(|error| simple(&error))
    }

    fn change(&self, sql: &str, params: impl rusqlite::Params) -> Result<usize> {
        self.sqlite.execute(sql, params).map_err(|error| simple(&error))
    }
}

/// The databases that a file lists.
pub(super) fn databases(sqlite: &Sqlite) -> Result<Vec<(i64, String)>> {
    let read = || -> rusqlite::Result<Vec<(i64, String)>> {
        let mut statement = sqlite.prepare("SELECT oid, name FROM database ORDER BY oid")?;
        statement.query_map([], |row| Ok((row.get(0)?, row.get(1)?)))?.collect()
    };
    read().map_err(|error| simple(&error))
}
