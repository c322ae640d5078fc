//! The data directory: layout, lock, format version, roles and databases.
//!
//! ```text
//! SCRATCHBIRD_VERSION   the format's number; written last, so a directory with it is finished
//! lock                  held while a server runs
//! global.db             roles and databases
//! base/<oid>.db         one file a database
//! replication           the replication log, and this server's place in its history
//! last_backup           when the last backup was made
//! ```
//!
//! The directory is usually a mount point and can't itself be renamed into place. The first start
//! builds everything in `init.tmp`, moves the parts out of it, and writes the version file last. A
//! start that finds no version file removes what an interrupted one left and begins again. Where a
//! script of the first start failed, `init.failed` says so, and no start goes on from there.

use crate::auth::scram;
use crate::engine::{Database, Gate, Global, Interrupt, Role, Snapshot, Tickets, wal};
use crate::session::Changed;
use crate::sql::catalog::Relation;
use crate::sql::error::{Result, SqlError};
use std::collections::HashMap;
use std::fs::{self, File};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::{DirBuilderExt, MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// The number of the data directory's format.
pub const FORMAT: &str = "1";
const VERSION_FILE: &str = "SCRATCHBIRD_VERSION";
/// Why the first start failed; a directory with it is no cluster and is left alone.
const FAILED_FILE: &str = "init.failed";
/// Where a cluster is built before it counts.
const BUILD: &str = "init.tmp";
/// When the last backup was made: for the metrics, nothing depends on it.
pub const LAST_BACKUP: &str = "last_backup";
const OURS: &[&str] =
    &["lock", BUILD, "global.db", "global.db-wal", "global.db-shm", "base", "replication", LAST_BACKUP];
/// What volumes hold that nobody put there.
const TOLERATED: &[&str] = &["lost+found", ".snapshot", ".snapshots", ".DS_Store"];

/// What the first start creates.
pub struct Init {
    /// The superuser.
    pub user: String,
    /// Its password; without one the method is `trust`.
    pub password: Option<String>,
    /// The database beside `postgres`.
    pub database: String,
    /// Whether clients are asked for a password.
    pub trust: bool,
}

/// An opened data directory.
pub struct Cluster {
    directory: PathBuf,
    /// Dropped last: its lock is what keeps a second server out.
    _lock: File,
    global: Mutex<Global>,
    databases: Mutex<HashMap<String, Arc<Database>>>,
    /// Whether the cluster may be written, and who waits for replicas.
    pub gate: Arc<Gate>,
    /// The changes of roles and databases, counted.
    pub tickets: Tickets,
    /// Clients are not asked for a password.
    pub trust: bool,
    /// Random bytes of this cluster, for the salts of unknown users.
    pub seed: Vec<u8>,
}

/// Whether the directory holds a finished cluster; a newer or a foreign one is an error.
pub fn exists(directory: &Path) -> Result<bool> {
    let shown = directory.display();
    if let Ok(why) = fs::read_to_string(directory.join(FAILED_FILE)) {
        return Err(plain(format!(
            "data directory `{shown}` is not finished, because a script of its first start failed ({}): mend the \
             script, empty the directory (or remove its volume), and start again",
            why.trim()
        )));
    }
    let path = directory.join(VERSION_FILE);
    match fs::read_to_string(&path) {
        Ok(text) if text.trim() == FORMAT => Ok(true),
        Ok(text) => Err(plain(format!(
            "data directory `{shown}` has format `{}`, and this version reads format {FORMAT} only: start it with the \
             version that wrote it, or restore a backup into an empty one",
            text.trim()
        ))),
        Err(error) if error.kind() == ErrorKind::NotFound => foreign(directory).map(|()| false),
        Err(error) => Err(unreadable(&path, &error)),
    }
}

/// Makes sure that nothing is restored over a cluster.
pub fn vacant(directory: &Path) -> Result<()> {
    if !exists(directory)? {
        return Ok(());
    }
    let shown = directory.display();
    Err(plain(format!(
        "data directory `{shown}` holds a cluster: restore into an empty one (`-D DIRECTORY`, or another volume), \
         or move it away first (`mv {shown} {shown}.old`)"
    )))
}

fn foreign(directory: &Path) -> Result<()> {
    let entries = match fs::read_dir(directory) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
        entries => entries.map_err(|error| unreadable(directory, &error))?,
    };
    for entry in entries {
        let name = entry.map_err(|error| unreadable(directory, &error))?.file_name();
        let name = name.to_string_lossy();
        if name == "PG_VERSION" {
            let shown = directory.display();
            return Err(plain(format!(
                "`{shown}` is a PostgreSQL data directory: dump it with pg_dump and load the dump into an empty one"
            )));
        }
        if !OURS.contains(&&*name) && !TOLERATED.contains(&&*name) {
            let shown = directory.display();
            return Err(plain(format!(
                "`{shown}` is not empty (it holds `{name}`) and is no ScratchBird data directory: use an empty one"
            )));
        }
    }
    Ok(())
}

/// Makes sure that the directory is there and can be written, or says whose it must be.
pub fn prepare(directory: &Path) -> Result<()> {
    let mut builder = fs::DirBuilder::new();
    let made = builder.recursive(true).mode(0o700).create(directory);
    made.map_err(|error| not_writable(directory, &error))?;
    let probe = directory.join("lock");
    let opened = File::options().write(true).create(true).truncate(false).mode(0o600).open(&probe);
    opened.map(|_| ()).map_err(|error| not_writable(directory, &error))
}

fn not_writable(directory: &Path, error: &std::io::Error) -> SqlError {
    let (uid, gid) = (rustix::process::geteuid().as_raw(), rustix::process::getegid().as_raw());
    let shown = directory.display();
    let owner = fs::metadata(directory)
        .map(|m| format!("; it belongs to {}:{}", m.uid(), m.gid()))
        .unwrap_or_default();
    plain(format!(
        "data directory `{shown}` can't be used by user {uid}:{gid} ({error}{owner}); run `chown -R {uid}:{gid} {shown}`"
    ))
}

/// Takes the directory for this process alone.
pub fn lock(directory: &Path) -> Result<File> {
    prepare(directory)?;
    let path = directory.join("lock");
    let file =
        File::options().read(true).write(true).open(&path).map_err(|error| unreadable(&path, &error))?;
    match file.try_lock() {
        Ok(()) => {}
        Err(fs::TryLockError::WouldBlock) => {
            let shown = directory.display();
            return Err(plain(format!("data directory `{shown}` is in use by another server")));
        }
        Err(fs::TryLockError::Error(error)) => return Err(unreadable(&path, &error)),
    }
    Ok(file)
}

/// Builds a cluster, all but the file that says it is finished: what [`finish`] writes.
pub fn initialise(directory: &Path, init: &Init) -> Result<()> {
    // 1. What an interrupted start left is no cluster.
    clear(directory)?;
    // 2. Everything is built aside.
    let build = directory.join(BUILD);
    let base = build.join("base");
    let global = Global::create(&build.join("global.db"))?;
    let verifier = init.password.as_deref().map(scram::verifier).transpose()?;
    global.put_role(&Role {
        name: init.user.clone(),
        verifier,
        superuser: true,
        login: true,
        replication: true,
    })?;
    global.set_option("trust", if init.trust { "on" } else { "off" })?;
    let mut seed = [0_u8; 16];
    getrandom::fill(&mut seed).map_err(|error| plain(format!("no random numbers: {error}")))?;
    global.set_option("seed", &seed.iter().map(|byte| format!("{byte:02x}")).collect::<String>())?;
    let mut names = vec!["postgres"];
    if init.database != "postgres" {
        names.push(&init.database);
    }
    for (oid, name) in (1..).zip(names) {
        Database::create(&base.join(format!("{oid}.db")))?;
        global.add_database(oid, name, &init.user)?;
    }
    global.checkpoint()?;
    drop(global);
    // 3. The parts move to their places, and only then the version file says that they are whole.
    install(directory)
}

/// Removes what an interrupted start left, and makes the folder in which a cluster is built; gives it back.
pub fn clear(directory: &Path) -> Result<PathBuf> {
    for name in OURS.iter().filter(|name| **name != "lock") {
        let path = directory.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(io(&path, &error)),
            _ => {}
        }
    }
    let (build, base) = (directory.join(BUILD), directory.join(BUILD).join("base"));
    let made = fs::DirBuilder::new().recursive(true).mode(0o700).create(&base);
    made.map_err(|error| io(&base, &error)).map(|()| build)
}

/// Moves what was built to its place; [`finish`] then makes it a cluster.
pub fn install(directory: &Path) -> Result<()> {
    let (build, base) = (directory.join(BUILD), directory.join(BUILD).join("base"));
    for file in list(&build).into_iter().chain(list(&base)) {
        sync(&file).map_err(|error| io(&file, &error))?;
    }
    for name in ["global.db", "base"] {
        fs::rename(build.join(name), directory.join(name)).map_err(|error| io(directory, &error))?;
    }
    fs::remove_dir_all(&build).map_err(|error| io(&build, &error))?;
    sync(directory).map_err(|error| io(directory, &error))
}

fn io(path: &Path, error: &std::io::Error) -> SqlError {
    plain(format!("can't initialise `{}`: {error}", path.display()))
}

/// Says that the cluster is whole. A kill at any moment before leaves nothing that counts.
pub fn finish(directory: &Path) -> Result<()> {
    note(directory, VERSION_FILE, FORMAT)
}

/// Says that the first start failed, so that no later one takes its remains for a cluster.
pub fn abandon(directory: &Path, why: &str) -> Result<()> {
    note(directory, FAILED_FILE, why)
}

/// Writes a line into a file of the directory, in one step.
fn note(directory: &Path, name: &str, line: &str) -> Result<()> {
    let temporary = directory.join(BUILD);
    let write = || -> std::io::Result<()> {
        let mut file =
            File::options().write(true).create(true).truncate(true).mode(0o600).open(&temporary)?;
        file.write_all(format!("{line}\n").as_bytes())?;
        file.sync_all()?;
        fs::rename(&temporary, directory.join(name))?;
        sync(directory)
    };
    write().map_err(|error| plain(format!("can't initialise `{}`: {error}", directory.display())))
}

fn list(directory: &Path) -> Vec<PathBuf> {
    let entries = fs::read_dir(directory).into_iter().flatten().flatten();
    entries.map(|entry| entry.path()).chain([directory.to_owned()]).collect()
}

fn sync(path: &Path) -> std::io::Result<()> {
    File::open(path)?.sync_all()
}

/// One state of each file of a cluster, by its path in the data directory. A server may run over it.
///
/// No transaction spans two databases, so that each may be of a moment of its own; which databases there are is what
/// the first file says.
pub fn snapshots(directory: &Path) -> Result<Vec<(String, Snapshot)>> {
    /// A database that is dropped in between makes the list a wrong one. Nobody drops them forever.
    const ATTEMPTS: u32 = 5;
    let take = || -> Result<Vec<(String, Snapshot)>> {
        let global = Snapshot::take(&directory.join("global.db"))?;
        let databases = global.databases()?;
        let mut all = vec![("global.db".to_owned(), global)];
        for (oid, _) in databases {
            let name = format!("base/{oid}.db");
            let snapshot = Snapshot::take(&directory.join(&name))?;
            all.push((name, snapshot));
        }
        Ok(all)
    };
    let mut result = take();
    for _ in 1..ATTEMPTS {
        if !result.as_ref().is_err_and(|error| error.code == "58P01") {
            break;
        }
        result = take();
    }
    result
}

impl Cluster {
    /// Opens a finished cluster whose lock is held.
    pub fn open(directory: &Path, lock: File) -> Result<Self> {
        // SQLite makes its files with the umask's rights; nobody else has to look inside.
        let _ = fs::set_permissions(directory, fs::Permissions::from_mode(0o700));
        for log in list(directory).into_iter().chain(list(&directory.join("base"))) {
            if log.extension().is_some_and(|extension| extension == "db-wal") {
                let failed = |error| plain(format!("can't write `{}` anew: {error}", log.display()));
                wal::rewrite(&log).map_err(failed)?;
            }
        }
        let global = Global::open(&directory.join("global.db"))?;
        let trust = global.option("trust")?.as_deref() == Some("on");
        let seed = global.option("seed")?.unwrap_or_default().into_bytes();
        let databases = Mutex::new(HashMap::new());
        Ok(Self {
            directory: directory.to_owned(),
            _lock: lock,
            global: Mutex::new(global),
            databases,
            gate: Arc::default(),
            tickets: Tickets::default(),
            trust,
            seed,
        })
    }

    /// Where it lies.
    pub fn directory(&self) -> &Path {
        &self.directory
    }

    /// A role by name.
    pub fn role(&self, name: &str) -> Result<Option<Role>> {
        self.global().role(name)
    }

    /// All roles, each with its number.
    pub fn roles(&self) -> Result<Vec<(i64, Role)>> {
        self.global().roles()
    }

    /// All databases, each with its owner and who may do what with it.
    pub fn database_records(&self) -> Result<Vec<Relation>> {
        self.global().database_records()
    }

    /// Makes sure that rights which a transaction has changed are still what it found.
    ///
    /// # Errors
    /// 40001 if another transaction was faster, or the database is gone.
    pub fn check_access(&self, changes: &[Changed]) -> Result<()> {
        if changes.is_empty() {
            return Ok(());
        }
        unchanged(&self.global(), changes)
    }

    /// Changes who may do what with databases: all of it, or nothing.
    pub fn change_access(&self, changes: &[Changed]) -> Result<()> {
        let global = self.global();
        unchanged(&global, changes)?;
        let result = global.set_access(changes.iter().map(|changed| &changed.record));
        drop(global);
        self.changed(result)
    }

    /// Adds or changes a role.
    pub fn put_role(&self, role: &Role) -> Result<()> {
        let result = self.global().put_role(role);
        self.changed(result)
    }

    /// Which role each role is a member of: role and member.
    pub fn members(&self) -> Result<Vec<(String, String)>> {
        self.global().members()
    }

    /// Makes a role a member of another, or ends that.
    pub fn set_member(&self, role: &str, member: &str, give: bool) -> Result<()> {
        let result = self.global().set_member(role, member, give);
        self.changed(result)
    }

    /// Removes a role.
    pub fn drop_role(&self, name: &str) -> Result<bool> {
        let result = self.global().drop_role(name);
        self.changed(result)
    }

    /// All databases' names.
    pub fn database_names(&self) -> Result<Vec<String>> {
        Ok(self.global().databases()?.into_iter().map(|(_, name)| name).collect())
    }

    /// A database, opened if it was not yet.
    pub fn database(&self, name: &str) -> Result<Arc<Database>> {
        let mut databases = self.databases();
        if let Some(database) = databases.get(name) {
            return Ok(Arc::clone(database));
        }
        let oid = self.global().database(name)?;
        let oid =
            oid.ok_or_else(|| SqlError::fatal("3D000", format!("database \"{name}\" does not exist")))?;
        let database = Arc::new(Database::open(name, oid, &self.file(oid), Arc::clone(&self.gate))?);
        databases.insert(name.to_owned(), Arc::clone(&database));
        Ok(database)
    }

    /// CREATE DATABASE: the file first, then its entry.
    pub fn create_database(&self, name: &str, owner: &str) -> Result<()> {
        let global = self.global();
        if global.database(name)?.is_some() {
            return Err(SqlError::new("42P04", format!("database \"{name}\" already exists")));
        }
        let oid = global.next_database()?;
        let path = self.file(oid);
        // A file without an entry is what an interrupted CREATE DATABASE left.
        remove_database_files(&path);
        Database::create(&path)?;
        sync(&path)
            .and_then(|()| sync(&self.directory.join("base")))
            .map_err(|error| unreadable(&path, &error))?;
        let result = global.add_database(oid, name, owner);
        drop(global);
        self.changed(result)
    }

    /// DROP DATABASE: the entry first, then the file; nobody may be connected.
    pub fn drop_database(&self, name: &str) -> Result<bool> {
        let mut databases = self.databases();
        // A checkpoint or a replica may look at it for a moment.
        for _ in 0..20 {
            if databases.get(name).is_none_or(|database| Arc::strong_count(database) == 1) {
                break;
            }
            drop(databases);
            std::thread::sleep(Duration::from_millis(10));
            databases = self.databases();
        }
        if databases.get(name).is_some_and(|database| Arc::strong_count(database) > 1) {
            return Err(SqlError::new(
                "55006",
                format!("database \"{name}\" is being accessed by other users"),
            ));
        }
        let Some(oid) = self.global().database(name)? else { return Ok(false) };
        databases.remove(name);
        self.global().drop_database(name, oid)?;
        drop(databases);
        remove_database_files(&self.file(oid));
        self.changed(Ok(true))
    }

    /// Waits until the changes of roles and databases so far are safe on enough replicas.
    pub fn settle(&self, interrupt: &Interrupt) -> Result<()> {
        self.gate.wait_replicated(&self.tickets, self.tickets.last(), interrupt)
    }

    fn changed<T>(&self, result: Result<T>) -> Result<T> {
        if result.is_ok() {
            self.tickets.take();
            self.gate.wake();
        }
        result
    }

    /// The file of a database; number 0 is the one of roles and databases.
    pub fn path(&self, oid: i64) -> PathBuf {
        if oid == 0 { self.directory.join("global.db") } else { self.file(oid) }
    }

    /// A database by its number, if it is open.
    pub fn opened(&self, oid: i64) -> Option<Arc<Database>> {
        self.databases().values().find(|database| database.oid == oid).cloned()
    }

    /// Opens every database there is.
    pub fn open_all(&self) -> Result<Vec<Arc<Database>>> {
        self.database_names()?.iter().map(|name| self.database(name)).collect()
    }

    /// Does something while no role and no database changes.
    pub fn exclusively<T>(&self, work: impl FnOnce() -> T) -> T {
        let _global = self.global();
        work()
    }

    /// Lets go of databases that are no more, after another server's pages changed the list; gives their names.
    pub fn adopt_databases(&self, gone: &[i64]) -> Vec<String> {
        let mut databases = self.databases();
        let names: Vec<String> =
            databases.values().filter(|d| gone.contains(&d.oid)).map(|d| d.name.clone()).collect();
        databases.retain(|_, database| !gone.contains(&database.oid));
        drop(databases);
        gone.iter().for_each(|oid| remove_database_files(&self.file(*oid)));
        names
    }

    /// Each database's name, and the sizes of its file and of its write-ahead log.
    pub fn sizes(&self) -> Result<Vec<(String, u64, u64)>> {
        let databases = self.global().databases()?;
        let size = |path: PathBuf| fs::metadata(path).map_or(0, |metadata| metadata.len());
        let sizes = databases.into_iter().map(|(oid, name)| {
            let file = self.file(oid);
            (name, size(file.clone()), size(file.with_extension("db-wal")))
        });
        Ok(sizes.collect())
    }

    /// Checkpoints every open database, or those whose log has grown beyond a size; says how many.
    pub fn checkpoint(&self, beyond: u64, last: bool) -> Result<usize> {
        let mut open: Vec<Arc<Database>> = self.databases().values().cloned().collect();
        if last {
            open.iter().try_for_each(|database| database.checkpoint(true))?;
            self.global().checkpoint()?;
        } else {
            open.retain(|database| database.wal_used() > beyond);
            open.iter().try_for_each(|database| database.checkpoint_whole())?;
        }
        Ok(open.len())
    }

    /// Whether a flush of some database has failed.
    pub fn has_failed(&self) -> bool {
        self.databases().values().any(|database| database.has_failed())
    }

    fn file(&self, oid: i64) -> PathBuf {
        self.directory.join("base").join(format!("{oid}.db"))
    }

    fn global(&self) -> MutexGuard<'_, Global> {
        self.global.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn databases(&self) -> MutexGuard<'_, HashMap<String, Arc<Database>>> {
        self.databases.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn unchanged(global: &Global, changes: &[Changed]) -> Result<()> {
    let records = global.database_records()?;
    let still = |changed: &Changed| {
        let found = records.iter().find(|record| record.oid == changed.record.oid);
        found.is_some_and(|record| record.grants == changed.before)
    };
    if changes.iter().all(still) {
        return Ok(());
    }
    let message =
        "could not serialize access: another transaction has changed the rights of the same database";
    Err(SqlError::new("40001", message))
}

/// Removes a database's file and its logs.
pub fn remove_database_files(path: &Path) {
    for suffix in ["", "-wal", "-shm"] {
        let mut name = path.as_os_str().to_owned();
        name.push(suffix);
        // A file that stays is removed before its number is used again.
        let _ = fs::remove_file(PathBuf::from(name));
    }
}

fn unreadable(path: &Path, error: &std::io::Error) -> SqlError {
    // A closed folder is somebody else's: say whose it must be.
    if let (ErrorKind::PermissionDenied, Some(directory)) = (error.kind(), path.parent()) {
        return not_writable(directory, error);
    }
    plain(format!("can't read `{}`: {error}", path.display()))
}

fn plain(message: String) -> SqlError {
    SqlError::new("58000", message)
}

/// Removes a cluster from its directory, whose lock is held; some names stay. A kill on the way leaves no cluster.
pub fn discard(directory: &Path, keep: &[&str]) -> Result<()> {
    let io = |error: std::io::Error| plain(format!("can't empty `{}`: {error}", directory.display()));
    let remove = |name: &str| {
        let path = directory.join(name);
        let removed = if path.is_dir() { fs::remove_dir_all(&path) } else { fs::remove_file(&path) };
        match removed {
            Err(error) if error.kind() != ErrorKind::NotFound => Err(io(error)),
            _ => Ok(()),
        }
    };
    remove(VERSION_FILE)?;
    sync(directory).map_err(io)?;
    OURS.iter().filter(|name| **name != "lock" && !keep.contains(name)).try_for_each(|name| remove(name))
}
