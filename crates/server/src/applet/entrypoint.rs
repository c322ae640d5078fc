//! `entrypoint`: what the image starts. No arguments or options mean `serve`, an applet's name means
//! that applet, anything else is run as given. It never leaves a child behind: `serve` runs in this
//! very process, so PID 1 is the server, and another command takes this process's place.

use super::{APPLETS, Failure, dispatch, find};
use std::os::unix::fs::{MetadataExt, lchown};
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The user and group of the server in the images.
const SERVER_ID: u32 = 1000;

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let serve = || [&["scratchbird".to_owned(), "serve".to_owned()], args].concat();
    match args.first().map(String::as_str) {
        None => own(&serve()),
        Some("--version" | "-V" | "--help") => dispatch(&[&["scratchbird".to_owned()], args].concat()),
        Some(flag) if flag.starts_with('-') => own(&serve()),
        Some("entrypoint") => Err(Failure::usage("`entrypoint` can't start itself")),
        Some(name) if find(name).is_some() => own(args),
        Some("scratchbird") => own(args),
        Some(command) => {
            let error = Command::new(command).args(&args[1..]).exec();
            let code = if error.kind() == std::io::ErrorKind::NotFound { 127 } else { 126 };
            let applets = APPLETS.iter().map(|applet| applet.name).chain(["scratchbird"]);
            let hint = settings::nearest(command, applets).map(|near| format!("; did you mean `{near}`?"));
            let message = format!("can't run `{command}`: {error}{}", hint.unwrap_or_default());
            Err(Failure { message, code })
        }
    }
}

/// Runs one of our own applets, as the server's user if this is root.
fn own(args: &[String]) -> Result<ExitCode, Failure> {
    if rustix::process::geteuid().is_root() {
        let data = super::resolve(&[]).map(|settings| settings.text("data_directory").to_owned());
        let data = flag_directory(args).map_or(data, Ok)?;
        give_away(Path::new(&data))?;
        drop_privileges()?;
    }
    dispatch(args)
}

/// The directory that `-D` names, before the settings are read in full.
fn flag_directory(args: &[String]) -> Option<String> {
    let flags = super::settings_flags(args.get(2..)?).ok()?;
    flags.into_iter().rev().find(|(name, _)| name == "data_directory").map(|(_, value)| value)
}

/// Makes the data directory and everything in it the server's.
fn give_away(path: &Path) -> Result<(), Failure> {
    let fail = |path: &Path, error: std::io::Error| {
        Failure::new(format!("can't make `{}` the server's: {error}", path.display()))
    };
    std::fs::create_dir_all(path).map_err(|error| fail(path, error))?;
    let mut pending = vec![path.to_owned()];
    while let Some(path) = pending.pop() {
        let metadata = std::fs::symlink_metadata(&path).map_err(|error| fail(&path, error))?;
        if metadata.uid() != SERVER_ID {
            lchown(&path, Some(SERVER_ID), Some(SERVER_ID)).map_err(|error| fail(&path, error))?;
        }
        if metadata.is_dir() {
            let entries = std::fs::read_dir(&path).map_err(|error| fail(&path, error))?;
            for entry in entries {
                pending.push(entry.map_err(|error| fail(&path, error))?.path());
            }
        }
    }
    Ok(())
}

/// Groups first, the user last: after it nothing more can be changed. No other thread runs yet.
fn drop_privileges() -> Result<(), Failure> {
    let fail =
        |what: &str, error: rustix::io::Errno| Failure::new(format!("can't drop root's {what}: {error}"));
    let (uid, gid) = (rustix::process::Uid::from_raw(SERVER_ID), rustix::process::Gid::from_raw(SERVER_ID));
    rustix::thread::set_thread_groups(&[]).map_err(|error| fail("groups", error))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| fail("group", error))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| fail("user", error))
}
