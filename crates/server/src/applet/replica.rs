//! `promote`, `rebuild` and `recover`: a replica becomes the primary, an old primary a replica, an archive a cluster.

use super::Failure;
use crate::cluster;
use crate::replication::archive;
use crate::replication::promote::REQUEST;
use crate::replication::record::show;
use crate::replication::state::State;
use jiff::Timestamp;
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

pub(super) fn recover(args: &[String]) -> Result<ExitCode, Failure> {
    let (mut from, mut to, mut rest) = (None, "latest".to_owned(), Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (name, joined) =
            arg.split_once('=').map_or((arg.as_str(), None), |(n, v)| (n, Some(v.to_owned())));
        if !["--archive", "--to"].contains(&name) {
            rest.push(arg.clone());
            continue;
        }
        let value = joined.or_else(|| args.next().cloned());
        let value = value.ok_or_else(|| Failure::usage(format!("option `{name}` needs a value")))?;
        if name == "--to" { to = value } else { from = Some(value) }
    }
    let settings = super::resolve(&rest)?;
    let from = from.unwrap_or_else(|| settings.text("archive_directory").to_owned());
    if from.is_empty() {
        return Err(Failure::usage(
            "which archive? give --archive DIRECTORY, or set SCRATCHBIRD_ARCHIVE_DIRECTORY",
        ));
    }
    let until = moment(&to)?;
    let recovered = archive::restore(Path::new(&from), Path::new(settings.text("data_directory")), until)?;
    let time =
        Timestamp::from_microsecond(recovered.time).map_or_else(|_| String::new(), |time| time.to_string());
    println!("recovered up to {} ({time})", show(recovered.lsn));
    Ok(ExitCode::SUCCESS)
}

/// Microseconds since 1970; `None` for `latest`.
fn moment(text: &str) -> Result<Option<i64>, Failure> {
    if text == "latest" {
        return Ok(None);
    }
    let wrong = || {
        Failure::usage(format!("--to `{text}`: allowed are `latest` and a time such as 2026-01-31T12:00:00Z"))
    };
    let time: Timestamp = text.replacen(' ', "T", 1).parse().map_err(|_| wrong())?;
    Ok(Some(time.as_microsecond()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn moments_are_read_with_their_zone() {
        assert_eq!(moment("latest").unwrap(), None);
        assert_eq!(moment("1970-01-01T00:00:01.5Z").unwrap(), Some(1_500_000));
        assert_eq!(moment("1970-01-01 01:00:00+01").unwrap(), Some(0));
        for wrong in ["", "yesterday", "1970-01-01", "1970-01-01T00:00:00"] {
            assert_eq!(moment(wrong).unwrap_err().code, 2, "{wrong}");
        }
    }
}
