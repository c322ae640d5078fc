//! What all sessions share: the cluster, the settings, and who is connected.

use super::access::Pending;
use super::activity::Activity;
use super::advisory::Advisory;
use super::notify::Channels;
use super::parameters::Parameters;
use super::stream::Stream;
use crate::auth::Access;
use crate::cluster::Cluster;
use crate::engine::{Connection, Interrupt, Reason, Role};
use crate::metrics::Metrics;
use crate::replication::{Replication, status};
use crate::sql::catalog::Relation;
use crate::sql::error::{Result, SqlError};
use crate::sql::plan::Sequence;
use crate::sql::system;
use std::collections::HashMap;
use std::sync::atomic::{AtomicBool, AtomicI32, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, RwLock};
use std::time::{Duration, Instant};

/// What all sessions share.
pub struct Server {
    /// The data directory.
    pub cluster: Cluster,
    /// The settings at the start.
    pub settings: settings::Resolved,
    access: RwLock<Arc<Access>>,
    /// What this server is to others.
    pub replication: Replication,
    /// Who listens to what.
    pub channels: Channels,
    /// Who holds which advisory lock.
    pub advisory: Advisory,
    /// What is counted.
    pub metrics: Metrics,
    /// When it began.
    pub started: Instant,
    sessions: Mutex<HashMap<i32, Entry>>,
    left: Condvar,
    next_pid: AtomicI32,
    stopping: AtomicBool,
}

struct Entry {
    secret: i32,
    interrupt: Arc<Interrupt>,
    stream: Arc<Stream>,
    activity: Arc<Activity>,
    user: String,
    /// `None` for a replica.
    database: Option<String>,
}

/// A session's place among the connected; it is given back when this is dropped.
pub struct Seat {
    /// The backend's number.
    pub pid: i32,
    /// What a cancel request must know.
    pub secret: i32,
    /// Stops the session's statement.
    pub interrupt: Arc<Interrupt>,
    /// What others see of it.
    pub activity: Arc<Activity>,
    server: Arc<Server>,
}

impl Drop for Seat {
    fn drop(&mut self) {
        self.server.sessions().remove(&self.pid);
        self.server.channels.leave(self.pid);
        self.server.advisory.release(self.pid, true);
        self.server.advisory.release(self.pid, false);
        self.server.left.notify_all();
    }
}

impl Server {
    /// A server over an opened cluster.
    pub fn new(cluster: Cluster, settings: settings::Resolved, replication: Replication) -> Arc<Self> {
        Arc::new(Self {
            cluster,
            settings,
            replication,
            access: RwLock::default(),
            channels: Channels::default(),
            advisory: Advisory::default(),
            metrics: Metrics::default(),
            started: Instant::now(),
            sessions: Mutex::default(),
            left: Condvar::new(),
            next_pid: AtomicI32::new(1),
            stopping: AtomicBool::new(false),
        })
    }

    /// What a client that comes now meets at the door.
    pub fn access(&self) -> Arc<Access> {
        Arc::clone(&self.access.read().unwrap_or_else(PoisonError::into_inner))
    }

    /// Changes what clients meet; those that are in stay.
    pub fn set_access(&self, access: Access) {
        *self.access.write().unwrap_or_else(PoisonError::into_inner) = Arc::new(access);
    }

    /// Takes a place among the connected; the last ones are kept for superusers.
    pub fn seat(
        self: &Arc<Self>,
        stream: &Arc<Stream>,
        user: &str,
        database: Option<&str>,
        superuser: bool,
    ) -> Result<Seat> {
        if self.is_stopping() {
            return Err(shutting_down());
        }
        let limit = usize::try_from(self.settings.int("max_connections")).unwrap_or(usize::MAX);
        let reserved = usize::try_from(self.settings.int("superuser_reserved_connections")).unwrap_or(0);
        let limit = if superuser { limit } else { limit.saturating_sub(reserved) };
        let mut sessions = self.sessions();
        if sessions.len() >= limit {
            return Err(SqlError::fatal("53300", "sorry, too many clients already"));
        }
        let pid = self.next_pid.fetch_add(1, Ordering::SeqCst);
        let mut secret = [0; 4];
        getrandom::fill(&mut secret)
            .map_err(|error| SqlError::fatal("58000", format!("no random numbers: {error}")))?;
        let secret = i32::from_ne_bytes(secret);
        let (interrupt, activity) = (Arc::<Interrupt>::default(), Arc::<Activity>::default());
        let entry = Entry {
            secret,
            interrupt: Arc::clone(&interrupt),
            stream: Arc::clone(stream),
            activity: Arc::clone(&activity),
            user: user.to_owned(),
            database: database.map(str::to_owned),
        };
        sessions.insert(pid, entry);
        self.metrics.connection();
        Ok(Seat { pid, secret, interrupt, activity, server: Arc::clone(self) })
    }

    /// A cancel request. Whoever doesn't know the secret gets no answer either.
    pub fn cancel(&self, pid: i32, secret: i32) {
        if let Some(entry) = self.sessions().get(&pid).filter(|entry| entry.secret == secret) {
            entry.interrupt.raise(Reason::Cancel);
        }
    }

    /// How many clients run a statement, and how many wait.
    pub fn load(&self) -> (usize, usize) {
        let sessions = self.sessions();
        let active = sessions.values().filter(|entry| entry.activity.is_busy()).count();
        (active, sessions.len() - active)
    }

    /// pg_cancel_backend and pg_terminate_backend, by a role that may do so; says whether there is such a session.
    pub fn interrupt(&self, pid: i32, reason: Reason, user: &str, superuser: bool) -> Result<bool> {
        let sessions = self.sessions();
        let Some(entry) = sessions.get(&pid) else { return Ok(false) };
        if entry.user != user && !superuser {
            let what = if reason == Reason::Cancel { "cancel queries of" } else { "terminate" };
            let message = format!("must be a superuser to {what} another role's session");
            return Err(SqlError::new("42501", message));
        }
        entry.interrupt.raise(reason);
        if reason == Reason::Terminate {
            entry.stream.stop_reading();
        }
        Ok(true)
    }

    /// Whether the server shuts down.
    pub fn is_stopping(&self) -> bool {
        self.stopping.load(Ordering::SeqCst)
    }

    /// Ends all sessions: those that wait at once, those that work after `patience`, or when they are done.
    pub fn stop(&self, patience: Duration) {
        self.stopping.store(true, Ordering::SeqCst);
        for entry in self.sessions().values().filter(|entry| entry.database.is_some()) {
            // The session reads the end of its input, and tells the client why.
            entry.stream.stop_reading();
        }
        self.wait_until_empty(patience, false);
        self.hurry();
        self.wait_until_empty(Duration::from_secs(1), false);
    }

    /// Ends the replicas' sessions: they have got everything by now, or are waited for no longer.
    pub fn stop_replicas(&self, patience: Duration) {
        self.wait_until_empty(patience, true);
        for entry in self.sessions().values() {
            entry.interrupt.raise(Reason::Terminate);
            entry.stream.stop_reading();
        }
        self.wait_until_empty(Duration::from_secs(1), true);
    }

    /// Ends the sessions in a database.
    pub fn end_sessions(&self, database: &str) {
        for entry in self.sessions().values().filter(|entry| entry.database.as_deref() == Some(database)) {
            entry.interrupt.raise(Reason::Terminate);
            entry.stream.stop_reading();
        }
    }

    /// Cancels what still runs while the server stops.
    pub fn hurry(&self) {
        for entry in self.sessions().values() {
            if entry.activity.is_busy() {
                entry.interrupt.raise(Reason::Terminate);
            }
        }
    }

    fn wait_until_empty(&self, patience: Duration, replicas: bool) {
        let deadline = Instant::now() + patience;
        let mut sessions = self.sessions();
        while sessions.values().any(|entry| replicas || entry.database.is_some()) {
            let Some(rest) = deadline.checked_duration_since(Instant::now()).filter(|rest| !rest.is_zero())
            else {
                return;
            };
            sessions = self.left.wait_timeout(sessions, rest).unwrap_or_else(PoisonError::into_inner).0;
        }
    }

    fn sessions(&self) -> MutexGuard<'_, HashMap<i32, Entry>> {
        self.sessions.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// What a statement's compilation may ask about everything outside the database's definitions.
pub struct Surroundings<'a> {
    /// The cluster and who is connected to it.
    pub server: &'a Server,
    /// This session's connection.
    pub connection: &'a Connection,
    /// This session's parameters.
    pub parameters: &'a Parameters,
    /// Whether it may see what all others do.
    pub superuser: bool,
    /// The roles whose sessions it may look into.
    pub memberships: &'a [String],
    /// What this transaction has changed of who may do what with databases.
    pub access: &'a Pending,
}

impl system::Cluster for Surroundings<'_> {
    fn roles(&self) -> Vec<system::Role> {
        let roles = self.server.cluster.roles().unwrap_or_default().into_iter();
        let role = |(number, role): (i64, Role)| system::Role {
            // The first role is the one that made the cluster, which has this number everywhere.
            oid: if number == 1 { 10 } else { 16_000 + number },
            name: role.name,
            superuser: role.superuser,
            login: role.login,
            replication: role.replication,
        };
        roles.map(role).collect()
    }

    fn members(&self) -> Vec<(String, String)> {
        self.server.cluster.members().unwrap_or_default()
    }

    fn databases(&self) -> Vec<Relation> {
        let mut records = self.server.cluster.database_records().unwrap_or_default();
        records.iter_mut().for_each(|record| self.access.overlay(record));
        records
    }

    fn sessions(&self) -> Vec<system::Activity> {
        let sessions = self.server.sessions();
        let activity = |(pid, entry): (&i32, &Entry)| system::Activity {
            pid: *pid,
            user: entry.user.clone(),
            replica: entry.database.is_none(),
            database: entry.database.clone().unwrap_or_default(),
            address: entry.stream.peer_address(),
            seen: (self.superuser || self.memberships.contains(&entry.user)).then(|| entry.activity.seen()),
        };
        let mut sessions: Vec<system::Activity> = sessions.iter().map(activity).collect();
        sessions.sort_unstable_by_key(|session| session.pid);
        sessions
    }

    fn standbys(&self) -> Vec<system::Standby> {
        status::standbys(self.server)
    }

    fn settings(&self) -> Vec<(String, String)> {
        self.parameters.all(&self.server.settings)
    }

    fn sequences(&self) -> Vec<Sequence> {
        self.connection.sequences()
    }
}

/// The answer to whoever comes too late.
pub fn shutting_down() -> SqlError {
    SqlError::fatal("57P03", "the database system is shutting down")
}
