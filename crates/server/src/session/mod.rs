//! One client's session: handshake, messages, transaction state.
//!
//! A session is a blocking thread over pgwire's messages: it reads a message, runs it, and puts the
//! answers into a buffer that is sent when the cycle ends (Sync, Flush, ReadyForQuery). There is no
//! async runtime; the engine blocks anyway, and a thread of its own keeps one client's work in one place.

mod access;
mod activity;
mod advisory;
mod backup;
mod block;
mod cache;
mod cluster;
mod copy;
mod copy_binary;
mod cursor;
mod execute;
mod extended;
mod notify;
mod parameters;
mod prepare;
mod server;
mod settings;
mod startup;
mod stream;
mod vacuum;
mod wire;

pub use access::Changed;
pub use server::{Seat, Server};
pub use stream::Stream;
pub use wire::{Incoming, Wire};

use crate::engine::{Connection, HAS_SPARE_CORE};
use crate::log;
use crate::replication::status;
use crate::sql;
use crate::sql::error::{Result, SqlError};
use cache::Plans;
use cursor::Cursor;
use extended::{Portal, Prepared};
use parameters::Parameters;
use pgwire::messages::PgWireFrontendMessage as Frontend;
use pgwire::messages::extendedquery::CloseComplete;
use pgwire::messages::response::{EmptyQueryResponse, TransactionStatus};
use settings::Saved;
use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

/// A client that doesn't take its results for this long is given up.
const WRITE_TIMEOUT: Duration = Duration::from_secs(300);
/// A client that is silent for this long outside a transaction is taken to be idle.
const REST_AFTER: Duration = Duration::from_secs(5);
/// How long the session that all other writers wait for stays awake for its client's next message: waking up takes
/// longer than most statements. More brought nothing with pgbench beside it.
const AWAKE: Duration = Duration::from_micros(100);

/// Where a session is in its transaction.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Transaction {
    /// Outside a block; statements up to the next Sync commit together.
    Idle,
    /// Inside a block.
    Open { snapshot: bool, read_only: bool },
    /// Inside a block that failed.
    Failed,
}

/// One client's session.
struct Session {
    server: Arc<Server>,
    seat: Seat,
    wire: Wire,
    connection: Connection,
    parameters: Parameters,
    user: String,
    superuser: bool,
    /// The role that logged in, and whether it may do everything.
    login: (String, bool),
    transaction: Transaction,
    savepoints: Vec<String>,
    /// What GRANT and REVOKE on databases have changed in this transaction.
    access: access::Pending,
    statements: HashMap<String, Arc<Prepared>>,
    portals: HashMap<String, Portal>,
    plans: Plans,
    /// Counts the changes of what names mean and what may be done: see `replan`.
    epoch: u64,
    cursors: HashMap<String, Cursor>,
    /// The parameters to return to when the transaction ends.
    saved: Option<Saved>,
    /// What NOTIFY has said in this transaction.
    notifications: Vec<(i32, String, String)>,
    listening: bool,
    /// After an error everything up to the next Sync is skipped.
    skipping: bool,
    /// Whether the transaction that ends next was taken back, for the metrics.
    rolled_back: bool,
    /// The client was silent for a while, and the session holds no memory that it can do without.
    resting: bool,
}

/// Serves one client from its first byte to its last.
pub fn serve(server: &Arc<Server>, stream: Stream) {
    let stream = Arc::new(stream);
    // A socket that refuses a timeout is closed by its first read or write.
    let _ = stream.set_write_timeout(WRITE_TIMEOUT);
    let mut wire = Wire::new(Arc::clone(&stream));
    let session = match startup::greet(server, &mut wire) {
        Ok(Some(greeting)) if greeting.replication => return greeting.follow(server, wire),
        Ok(Some(greeting)) => greeting.into_session(server, wire),
        Ok(None) => return,
        Err(error) => {
            server.metrics.error(error.code);
            log::event(
                log::Level::Debug,
                "login refused",
                &[("peer", &stream.peer()), ("error", &error.message)],
            );
            // The client may be gone already.
            let _ = wire.error(&error, "").and_then(|()| wire.flush());
            return;
        }
    };
    let Some(mut session) = session else { return };
    let fields = [
        ("peer", stream.peer()),
        ("user", session.user.clone()),
        ("database", session.connection.database().to_owned()),
    ];
    let fields: Vec<(&str, &str)> = fields.iter().map(|(name, value)| (*name, value.as_str())).collect();
    if log::connections() {
        log::event(log::Level::Info, "connection authorized", &fields);
    }
    session.run();
    if log::connections() {
        log::event(log::Level::Info, "connection closed", &fields);
    }
}

impl Session {
    fn run(&mut self) {
        let (server, user, superuser) = (Arc::clone(&self.server), self.user.clone(), self.superuser);
        let asked = Arc::clone(&server);
        let signal = move |pid, reason| server.interrupt(pid, reason, &user, superuser);
        let (server, pid) = (Arc::clone(&self.server), self.seat.pid);
        let (interrupt, database) = (Arc::clone(&self.seat.interrupt), self.connection.database().to_owned());
        let locks = move |name: &str, key| {
            let (request, transaction) = advisory::request(name)?;
            server.advisory.serve(request, transaction, key, &database, pid, &interrupt)
        };
        let replication = move |name: &str, argument: &_| status::function(&asked, name, argument, superuser);
        let taught = self.connection.teach_signals(signal);
        let taught = taught.and_then(|()| self.connection.teach_locks(locks));
        let taught = taught.and_then(|()| self.connection.teach_replication(replication));
        if let Err(error) = taught.and_then(|()| self.cycle()) {
            self.server.metrics.error(error.code);
            // A fatal error is told to the client if it still listens.
            let _ = self.wire.error(&error, "").and_then(|()| self.wire.flush());
        }
    }

    fn cycle(&mut self) -> Result<()> {
        self.wire.ready(TransactionStatus::Idle)?;
        loop {
            self.seat.activity.set_busy(false);
            if self.seat.interrupt.terminated() {
                return Err(terminated());
            }
            self.wait_limit()?;
            if self.connection.is_writer() && *HAS_SPARE_CORE {
                self.wire.spin(AWAKE);
            }
            let message = match self.wire.read() {
                Ok(message) => message,
                Err(Incoming::End) if self.server.is_stopping() => return Err(terminated()),
                Err(Incoming::End) => return Ok(()),
                Err(Incoming::TimedOut) if self.transaction == Transaction::Idle => {
                    if self.listening {
                        if self.deliver()? {
                            self.wire.flush()?;
                        }
                    } else {
                        self.rest()?;
                    }
                    continue;
                }
                Err(Incoming::TimedOut) => {
                    let message = "terminating connection due to idle-in-transaction timeout";
                    return Err(SqlError::fatal("25P03", message));
                }
                Err(Incoming::Malformed(why)) => return Err(SqlError::fatal("08P01", why)),
            };
            self.seat.activity.set_busy(true);
            self.resting = false;
            match message {
                Frontend::Terminate(_) => return Ok(()),
                Frontend::Sync(_) => self.sync()?,
                Frontend::Flush(_) => self.wire.flush()?,
                _ if self.skipping => {}
                Frontend::Query(query) => {
                    self.simple(&query.query)?;
                    self.finish()?;
                }
                message => {
                    if let Err(error) = self.extended(message) {
                        self.fail(&error, "")?;
                        self.skipping = true;
                    }
                }
            }
        }
    }

    /// Inside a transaction the client's silence has a limit.
    fn wait_limit(&mut self) -> Result<()> {
        let limit = match self.transaction {
            Transaction::Idle if self.listening => Some(notify::LISTEN_SLICE),
            Transaction::Idle if self.resting => None,
            Transaction::Idle => Some(REST_AFTER),
            _ => {
                let limit = self.parameters.timeout("idle_in_transaction_session_timeout");
                (limit > 0).then(|| Duration::from_millis(limit))
            }
        };
        self.wire.set_limit(limit)
    }

    /// Gives back the memory that only a working session needs; the next message ends the rest.
    fn rest(&mut self) -> Result<()> {
        self.resting = true;
        self.plans.clear();
        self.wire.shrink();
        self.connection.shrink()
    }

    /// A simple query: every statement in turn, all in one implicit transaction.
    fn simple(&mut self, text: &str) -> Result<()> {
        self.seat.activity.begins(text);
        if let Some((prepared, params)) = self.remembered(text) {
            return match self.prepared_statement(&prepared, &params, text) {
                Ok(()) => Ok(()),
                Err(error) => self.fail(&error, ""),
            };
        }
        if backup::is_command(text) {
            return match self.base_backup() {
                Ok(()) => Ok(()),
                Err(error) => self.fail(&error, ""),
            };
        }
        let statements = match sql::parse(text) {
            Ok(statements) => statements,
            Err(error) => return self.fail(&error, text),
        };
        if statements.is_empty() {
            return self.wire.put(&EmptyQueryResponse::new());
        }
        let alone = statements.len() == 1;
        for statement in &statements {
            if let Err(error) = self.statement(statement, text, alone) {
                return self.fail(&error, text);
            }
        }
        Ok(())
    }

    fn sync(&mut self) -> Result<()> {
        self.skipping = false;
        self.finish()
    }

    /// Ends an implicit transaction and says that the next query may come.
    fn finish(&mut self) -> Result<()> {
        if self.transaction == Transaction::Idle {
            self.portals.clear();
            // Outside a block the commit, which may wait for replicas, is a part of the statement.
            self.connection.interrupt.limit(self.parameters.timeout("statement_timeout"));
            let committed = self.commit_all();
            self.connection.interrupt.disarm();
            self.server.advisory.release(self.seat.pid, true);
            self.settle_notifications(committed.is_ok());
            if let Err(error) = committed {
                self.fail(&error, "")?;
            }
            self.deliver()?;
            self.server.metrics.transaction(std::mem::take(&mut self.rolled_back));
        }
        let status = match self.transaction {
            Transaction::Idle => TransactionStatus::Idle,
            Transaction::Open { .. } => TransactionStatus::Transaction,
            Transaction::Failed => TransactionStatus::Error,
        };
        self.seat.activity.ends(&self.transaction);
        self.wire.ready(status)
    }

    /// Tells the client of an error, and takes back what it spoiled.
    fn fail(&mut self, error: &SqlError, query: &str) -> Result<()> {
        if error.fatal {
            return Err(error.clone());
        }
        self.server.metrics.error(error.code);
        self.rolled_back = true;
        match self.transaction {
            Transaction::Idle => {
                self.connection.rollback();
                self.access.clear();
                self.settle_notifications(false);
            }
            Transaction::Open { .. } => {
                self.transaction = Transaction::Failed;
                // With savepoints there may be a way back; without, others need not wait.
                if self.savepoints.is_empty() {
                    self.connection.rollback();
                }
            }
            Transaction::Failed => {}
        }
        let code = error.code;
        let level = if code.starts_with("XX") || code.starts_with("58") {
            log::Level::Error
        } else {
            log::Level::Debug
        };
        log::event(level, &error.message, &[("sqlstate", code), ("pid", &self.seat.pid.to_string())]);
        self.wire.error(error, query)
    }

    fn close(&mut self, kind: u8, name: &str) -> Result<()> {
        match kind {
            b'S' => drop(self.statements.remove(name)),
            _ => drop(self.portals.remove(name)),
        }
        self.wire.put(&CloseComplete::new())
    }
}

fn terminated() -> SqlError {
    SqlError::fatal("57P01", "terminating connection due to administrator command")
}
