//! `initdb`: makes a new cluster, and nothing else.

use super::Failure;
use crate::cluster::{self, Cluster, Init};
use crate::log;
use settings::Resolved;
use std::path::Path;
use std::process::ExitCode;

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let settings = super::resolve(args)?;
    log::configure(&settings);
    let directory = settings.text("data_directory");
    if cluster::exists(Path::new(directory))? {
        return Err(Failure::new(format!("data directory `{directory}` is initialised already")));
    }
    open(&settings)?;
    Ok(ExitCode::SUCCESS)
}

/// Opens the cluster, after making it if there is none.
pub(super) fn open(settings: &Resolved) -> Result<Cluster, Failure> {
    let directory = Path::new(settings.text("data_directory"));
    let first = !cluster::exists(directory)?;
    let init = if first { Some(init(settings)?) } else { None };
    let lock = cluster::lock(directory)?;
    match init {
        // Another server may have finished it while this one waited for nothing: the lock decides.
        Some(init) if !cluster::exists(directory)? => {
            cluster::initialise(directory, &init)?;
            let shown = directory.display().to_string();
            let fields = [
                ("directory", shown.as_str()),
                ("user", init.user.as_str()),
                ("database", init.database.as_str()),
            ];
            log::event(log::Level::Info, "data directory initialised", &fields);
            if init.trust {
                log::warning("clients are not asked for a password: host_auth_method is trust");
            }
        }
        _ => {
            let ignored: Vec<&str> = settings.first_start_only().map(|entry| entry.setting.env).collect();
            if !ignored.is_empty() {
                let shown = directory.display();
                let list = ignored.join(", ");
                log::info(&format!("data directory `{shown}` is initialised already: {list} are ignored"));
            }
        }
    }
    Ok(Cluster::open(directory, lock)?)
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
