//! `promote` and `rebuild`: a replica becomes the primary, an old primary a replica.

use super::Failure;
use crate::cluster;
use crate::replication::promote::REQUEST;
use crate::replication::state::State;
use std::fs::{self, File};
use std::path::Path;
use std::process::ExitCode;
use std::time::{Duration, Instant};

/// How long `promote` waits for the server.
const PATIENCE: Duration = Duration::from_secs(60);

pub(super) fn promote(args: &[String]) -> Result<ExitCode, Failure> {
    let settings = super::resolve(args)?;
    let data = Path::new(settings.text("data_directory"));
    let shown = data.display();
    let state = |data: &Path| State::read(data).map_err(Failure::from);
    match state(data)? {
        None => return Err(Failure::new(format!("data directory `{shown}` is no replica's"))),
        Some(state) if state.primary => {
            println!("this server is the primary already, on timeline {}", state.timeline);
            return Ok(ExitCode::SUCCESS);
        }
        Some(_) => {}
    }
    if File::open(data.join("lock")).is_ok_and(|file| file.try_lock().is_ok()) {
        return Err(Failure::new(format!("no server runs in `{shown}`: start it as a replica first")));
    }
    let request = data.join(REQUEST);
    File::create(&request)
        .map_err(|error| Failure::new(format!("can't write `{}`: {error}", request.display())))?;
    let deadline = Instant::now() + PATIENCE;
    // The request goes away when writes are let in.
    while request.exists() {
        if Instant::now() >= deadline {
            let _ = fs::remove_file(&request);
            return Err(Failure::new("the server did not become the primary in time: its log says why"));
        }
        std::thread::sleep(Duration::from_millis(50));
    }
    let timeline = state(data)?.map_or(0, |state| state.timeline);
    println!("promoted: this server is the primary now, on timeline {timeline}");
    Ok(ExitCode::SUCCESS)
}

pub(super) fn rebuild(args: &[String]) -> Result<ExitCode, Failure> {
    let (sure, rest): (Vec<String>, Vec<String>) = args.iter().cloned().partition(|arg| arg == "--yes");
    let settings = super::resolve(&rest)?;
    let data = Path::new(settings.text("data_directory"));
    let shown = data.display();
    let lock = cluster::lock(data)?;
    if sure.is_empty() {
        return Err(Failure::usage(format!(
            "this discards everything in `{shown}`, so that the server can start as a replica: run \
             `scratchbird rebuild --yes` if that is meant"
        )));
    }
    cluster::discard(data, &[])?;
    drop(lock);
    println!("`{shown}` is empty: start the server with replication_mode=replica");
    Ok(ExitCode::SUCCESS)
}
