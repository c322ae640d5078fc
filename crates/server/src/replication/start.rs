//! What a server is when it starts: by its settings, and by what its data directory remembers.

use super::apply::{self, Applier};
use super::log::{End, Log};
use super::peers;
use super::promote::{self, REQUEST};
use super::receiver::{self, Upstream};
use super::slots::Slots;
use super::state::{State, directory, log_directory, random_name};
use super::{Replication, Role, archive, capture, disk, lock};
use crate::cluster::{self, Cluster};
use crate::engine::Role as DatabaseRole;
use crate::log as server_log;
use crate::session::Server;
use crate::sql::error::{Result, SqlError};
use settings::Resolved;
use std::fs::File;
use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

/// A fresh log begins here, so that 0 is no place.
const FIRST: u64 = 0x100;
const PAUSE: Duration = Duration::from_millis(500);
/// What threads of replication need at most.
const STACK: usize = 4 << 20;

fn refused(message: String) -> SqlError {
    SqlError::new("55000", message)
}

/// For a replica: makes sure that there is a copy of the primary in the data directory, and waits for it. Gives the
/// directory's lock; `None` for a server that is no replica.
pub fn bootstrap(settings: &Resolved, interrupted: &dyn Fn() -> bool) -> Result<Option<File>> {
    if settings.text("replication_mode") != "replica" {
        return Ok(None);
    }
    let data = Path::new(settings.text("data_directory"));
    let shown = data.display();
    let exists = cluster::exists(data)?;
    let lock = cluster::lock(data)?;
    let state = State::read(data)?;
    match &state {
        Some(state) if exists && state.primary && state.promoted && state.fenced_by == 0 => {
            server_log::info(
                "replication_mode is replica, and this server was promoted: it starts as a primary",
            );
            return Ok(Some(lock));
        }
        Some(state) if exists && !state.primary && !state.stale => {
            return needed(settings).map(|()| Some(lock));
        }
        Some(state) if exists && state.primary => {
            let timeline = state.timeline;
            return Err(refused(format!(
                "data directory `{shown}` was a primary's (timeline {timeline}) and may hold commits that no other \
                 server has: run `scratchbird rebuild --yes` to discard it, then start as a replica"
            )));
        }
        None if exists => {
            return Err(refused(format!(
                "data directory `{shown}` holds data of its own: a replica starts with an empty one; run \
                 `scratchbird rebuild --yes` to discard it"
            )));
        }
        _ => {}
    }
    needed(settings)?;
    let slot = state.map(|state| state.slot).filter(|slot| !slot.is_empty());
    let slot = slot.map_or_else(|| slot_name(settings), Ok)?;
    let upstream = Upstream::new(settings, &slot).map_err(refused)?;
    let mut last = String::new();
    while !interrupted() {
        match receiver::copy(&upstream, data, &slot) {
            Ok(header) => {
                let (generation, lsn) = (&header.generation, super::record::show(header.lsn));
                server_log::info(&format!("copied the primary: generation {generation}, from {lsn} on"));
                return Ok(Some(lock));
            }
            Err(receiver::Ended::Lost(why) | receiver::Ended::Diverged(why)) if why != last => {
                server_log::warning(&format!("can't copy the primary yet: {why}"));
                last = why;
            }
            Err(_) => {}
        }
        std::thread::sleep(PAUSE);
    }
    Err(refused("a signal came before the primary was copied".to_owned()))
}

/// What a replica can't do without.
fn needed(settings: &Resolved) -> Result<()> {
    for name in ["primary_host", "replication_user"] {
        if settings.entry(name).value.is_none() || settings.entry(name).shown().is_empty() {
            let env = settings.entry(name).setting.env;
            return Err(refused(format!("a replica needs `{name}`: set {env}")));
        }
    }
    Ok(())
}

/// A replica's name at the primary: what the settings say, or the machine's name and something random.
fn slot_name(settings: &Resolved) -> Result<String> {
    let given = settings.text("replication_slot");
    if !given.is_empty() {
        return Ok(given.to_owned());
    }
    let host = rustix::system::uname().nodename().to_string_lossy().into_owned();
    Ok(format!("{host}-{}", &random_name()?[..6]))
}

/// Decides the role of an opened cluster.
pub fn open(cluster: &Cluster, settings: &Resolved) -> Result<Replication> {
    let data = cluster.directory();
    let shown = data.display();
    let state = State::read(data)?;
    let archives = !settings.text("archive_directory").is_empty();
    let mode = settings.text("replication_mode");
    if mode == "standalone" && !archives {
        return match state {
            Some(state) if !state.primary => Err(refused(format!(
                "data directory `{shown}` is a replica's: start it with replication_mode=replica, and promote it with \
                 `scratchbird promote` if it is to take writes"
            ))),
            Some(_) => {
                // Nothing is captured from now on, so the log ends for good, and replicas must notice.
                server_log::warning(
                    "replication_mode is standalone: replicas of this server must copy everything again",
                );
                let removed = std::fs::remove_dir_all(directory(data));
                removed.map_err(|error| disk("can't remove the replication log", &error))?;
                Ok(Replication::none())
            }
            None => Ok(Replication::none()),
        };
    }
    let io = |error: std::io::Error| disk("can't open the replication log", &error);
    let state = match state {
        Some(state) if state.fenced_by > 0 => {
            return Err(refused(format!(
                "data directory `{shown}` is an old primary's (timeline {}, and another server was promoted to {}): run \
                 `scratchbird rebuild --yes` to discard it, then start as a replica",
                state.timeline, state.fenced_by
            )));
        }
        Some(state) if !state.primary && mode != "replica" => {
            return Err(refused(format!(
                "data directory `{shown}` is a replica's: start it with replication_mode=replica, and promote it with \
                 `scratchbird promote` if it is to be the primary"
            )));
        }
        Some(state) => state,
        None => {
            std::fs::create_dir_all(directory(data)).map_err(io)?;
            Log::create(&log_directory(data), End { lsn: FIRST, ..End::default() }).map_err(io)?;
            let state = State { generation: random_name()?, timeline: 1, primary: true, ..State::default() };
            state.write(data)?;
            state
        }
    };
    let role = if state.primary { Role::Primary } else { Role::Replica };
    if role == Role::Primary {
        let upstream = Upstream::new(settings, "peer").map_err(refused)?;
        if let Some(timeline) = peers::later(&upstream, &state.generation, state.timeline) {
            State { fenced_by: timeline, ..state.clone() }.write(data)?;
            return Err(refused(format!(
                "another server was promoted (timeline {timeline}, this one is on {}): run `scratchbird rebuild --yes` \
                 to discard this one's data, then start it as a replica",
                state.timeline
            )));
        }
    }
    let log = Log::open(&log_directory(data)).map_err(io)?;
    let replication = Replication::new(role, state, Some(log));
    *lock(&replication.slots) = Slots::read(data);
    cluster.gate.set_closed(true);
    Ok(replication)
}

/// Brings the databases to the end of the log, before anybody is served; begins to capture on a primary.
pub fn recover(server: &Arc<Server>) -> Result<Option<Applier>> {
    let (replication, settings) = (&server.replication, &server.settings);
    replication.set_synchronous(server, settings.int("synchronous_replicas"));
    match replication.role() {
        Role::Primary => {
            let log = replication.log()?;
            let state = replication.state();
            // A log without this timeline: a first start, or a promotion that was killed before its last step.
            promote::become_primary(server, log.timeline() < state.timeline)?;
            create_role(server)?;
            Ok(None)
        }
        Role::Replica => {
            let state = replication.state();
            let mut applier = Applier::new(server.cluster.directory(), state.copied)?;
            let applied = applier.catch_up(replication.log()?, state.applied)?;
            lock(&replication.progress).applied = applied;
            Ok(Some(applier))
        }
        _ => Ok(None),
    }
}

/// The role that replicas log in as, if the settings give its name and password and there is none.
fn create_role(server: &Server) -> Result<()> {
    let (name, password) =
        (server.settings.text("replication_user"), server.settings.text("replication_password"));
    if name.is_empty() || password.is_empty() || server.cluster.role(name)?.is_some() {
        return Ok(());
    }
    let verifier = Some(crate::auth::scram::verifier(password)?);
    let role =
        DatabaseRole { name: name.to_owned(), verifier, superuser: false, login: true, replication: true };
    server_log::info(&format!("role \"{name}\" is created for replication"));
    server.cluster.put_role(&role)
}

/// Starts the threads of the role. `again` is called when this process must start again to copy everything.
pub fn threads(
    server: &Arc<Server>,
    applier: Option<Applier>,
    again: impl Fn() + Send + 'static,
) -> Result<()> {
    match (server.replication.role(), applier) {
        (Role::Primary, _) => primary(server),
        (Role::Replica, Some(applier)) => {
            let slot = server.replication.state().slot;
            let upstream = Upstream::new(&server.settings, &slot).map_err(refused)?;
            let following = Arc::clone(server);
            spawn("receiver", move || {
                if let Err(why) = receiver::run(&following, &upstream) {
                    server_log::warning(&format!(
                        "this replica can't go on, and copies everything again: {why}"
                    ));
                    let noted =
                        following.replication.change_state(&following.cluster, |state| state.stale = true);
                    match noted {
                        Ok(()) => again(),
                        Err(error) => server_log::error(&error.message),
                    }
                }
            })?;
            let (watching, applying) = (Arc::clone(server), Arc::clone(server));
            spawn("promote", move || watch_request(&watching))?;
            spawn("apply", move || follow(&applying, applier))
        }
        _ => Ok(()),
    }
}

fn spawn(name: &str, work: impl FnOnce() + Send + 'static) -> Result<()> {
    let spawned = std::thread::Builder::new().name(name.to_owned()).stack_size(STACK).spawn(work);
    spawned.map(|_| ()).map_err(|error| SqlError::new("53000", format!("can't start a thread: {error}")))
}

fn primary(server: &Arc<Server>) -> Result<()> {
    let capturing = Arc::clone(server);
    spawn("capture", move || capture::run(&capturing))?;
    if !server.settings.text("archive_directory").is_empty() {
        let archiving = Arc::clone(server);
        spawn("archive", move || archive::run(&archiving))?;
    }
    let upstream = Upstream::new(&server.settings, "peer").map_err(refused)?;
    if upstream.targets().is_empty() {
        return Ok(());
    }
    let asking = Arc::clone(server);
    spawn("peers", move || {
        if let Err(error) = peers::run(&asking, &upstream) {
            server_log::error(&error.message);
        }
    })
}

/// Applies until the end or a promotion. A full disk is tried again.
fn follow(server: &Arc<Server>, mut applier: Applier) {
    let mut complained = false;
    while let Err(error) = apply::run(server, &mut applier) {
        if !complained {
            server_log::error(&format!("can't apply the replication log for now: {}", error.message));
            complained = true;
        }
        std::thread::sleep(PAUSE);
        match Applier::new(server.cluster.directory(), server.replication.state().copied) {
            Ok(fresh) => applier = fresh,
            Err(_) => continue,
        }
    }
    drop(applier);
    if server.replication.is_promoting() && !server.replication.is_ending() {
        let promoted =
            server.replication.log().and_then(|log| log.cut().map_err(|error| disk("can't promote", &error)));
        if let Err(error) = promoted.and_then(|_| promote::finish(server)).and_then(|()| primary(server)) {
            server_log::error(&format!(
                "the promotion failed; restart the server to finish it: {}",
                error.message
            ));
        }
    }
}

/// The `promote` applet asks by a file in the data directory.
fn watch_request(server: &Server) {
    let path = server.cluster.directory().join(REQUEST);
    while !server.replication.is_ending() && server.replication.role() == Role::Replica {
        if path.exists() {
            server.replication.ask_promotion();
        }
        std::thread::sleep(Duration::from_millis(100));
    }
}
