//! `initdb`: makes a new cluster, and nothing else.

use super::Failure;
use super::scripts::{self, Running};
use crate::client::target::Target;
use crate::cluster::{self, Cluster, Init};
use crate::log;
use crate::replication::Replication;
use crate::session::Server;
use settings::Resolved;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let settings = super::resolve(args)?;
    log::configure(&settings);
    let directory = settings.text("data_directory");
    if cluster::exists(Path::new(directory))? {
        return Err(Failure::new(format!("data directory `{directory}` is initialised already")));
    }
    open(&settings, None)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the cluster, after making it if there is none. The scripts of the first start run for `serve` alone.
pub(super) fn open(settings: &Resolved, scripts: Option<&Running>) -> Result<Cluster, Failure> {
    let directory = Path::new(settings.text("data_directory"));
    let init = if cluster::exists(directory)? { None } else { Some(init(settings)?) };
    let lock = cluster::lock(directory)?;
    match init {
        // Another server may have finished it while this one waited for nothing: the lock decides.
        Some(init) if !cluster::exists(directory)? => create(settings, &init, &lock, scripts)?,
        _ => {
            let mut ignored: Vec<String> =
                settings.first_start_only().map(|entry| entry.setting.env.to_owned()).collect();
            if scripts.is_some() {
                let has_files =
                    |path: &&str| std::fs::read_dir(path).is_ok_and(|mut list| list.next().is_some());
                let directories = ["preinitdb_directory", "initdb_directory"].map(|name| settings.text(name));
                ignored.extend(
                    directories.iter().filter(|path| has_files(path)).map(|path| format!("{path}/*")),
                );
            }
            if !ignored.is_empty() {
                let shown = directory.display();
                let list = ignored.join(", ");
                log::info(&format!("data directory `{shown}` is initialised already: {list} are ignored"));
            }
        }
    }
    Ok(Cluster::open(directory, lock)?)
}

/// The first start. Only its last step makes the directory a cluster, so a kill before it leaves nothing that
/// counts, and the next start begins again; what a script made fail is left for people to look at.
fn create(
    settings: &Resolved,
    init: &Init,
    lock: &std::fs::File,
    scripts: Option<&Running>,
) -> Result<(), Failure> {
    let directory = Path::new(settings.text("data_directory"));
    let list = |name: &str| scripts.map_or(Ok(Vec::new()), |_| scripts::list(settings, name));
    let (before, after) = (list("preinitdb_directory")?, list("initdb_directory")?);
    if let Some(running) = scripts {
        scripts::before(&before, settings, running)?;
    }
    cluster::initialise(directory, init)?;
    if let Some(running) = scripts.filter(|_| !after.is_empty()) {
        let lock = lock.try_clone().map_err(Failure::new)?;
        let server = Server::new(Cluster::open(directory, lock)?, settings.clone(), Replication::none());
        let target = Target {
            host: String::new(),
            port: u16::try_from(settings.int("port")).map_err(Failure::new)?,
            user: init.user.clone(),
            password: None,
            dbname: init.database.clone(),
            application: "initdb".to_owned(),
            timeout: Duration::from_secs(60),
            tls: Default::default(),
        };
        let result = scripts::after(&after, &server, &target, running);
        if running.is_interrupted() {
            return Err(Failure::new("the first start was interrupted; the next one begins again"));
        }
        if let Err(failure) = result {
            cluster::abandon(directory, &failure.message)?;
            return Err(failure);
        }
        server.cluster.checkpoint(0, true)?;
    }
    cluster::finish(directory)?;
    let shown = directory.display().to_string();
    let fields =
        [("directory", shown.as_str()), ("user", init.user.as_str()), ("database", init.database.as_str())];
    log::event(log::Level::Info, "data directory initialised", &fields);
    if init.trust {
        log::warning("clients are not asked for a password: host_auth_method is trust");
    }
    Ok(())
}

fn init(settings: &Resolved) -> Result<Init, Failure> {
    let trust = settings.text("host_auth_method") == "trust";
    let password = Some(settings.text("password")).filter(|password| !password.is_empty());
    if password.is_none() && !trust {
        return Err(Failure::new(
            "the data directory is empty and no superuser password is given: set SCRATCHBIRD_PASSWORD or \
             SCRATCHBIRD_PASSWORD_FILE, or set SCRATCHBIRD_HOST_AUTH_METHOD=trust to let everybody in without one",
        ));
    }
    let user = settings.text("user").to_owned();
    let database = Some(settings.text("db")).filter(|name| !name.is_empty()).unwrap_or(&user).to_owned();
    for (what, name) in [("SCRATCHBIRD_USER", &user), ("SCRATCHBIRD_DB", &database)] {
        if name.is_empty() || name.len() > 63 || name.contains('\0') {
            return Err(Failure::new(format!("{what} is `{name}`: a name has 1 to 63 bytes")));
        }
    }
    Ok(Init { user, password: password.map(str::to_owned), database, trust })
}
