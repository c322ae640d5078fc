//! `entrypoint`: what the image starts. No arguments or options mean `serve`, an applet's name means
//! that applet, anything else is run as given. It never leaves a child behind: `serve` runs in this
//! very process, so PID 1 is the server, and another command takes this process's place.

use super::{APPLETS, Failure, dispatch, find};
use crate::log;
use rustix::fs::{
    AtFlags, Dir, FileType, Gid, Mode, OFlags, Uid, chownat, fchown, fstat, open, openat, statat,
};
use rustix::io::Errno;
use std::ffi::OsStr;
use std::os::fd::OwnedFd;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::CommandExt;
use std::path::Path;
use std::process::{Command, ExitCode};

/// The user and group of the server in the images.
const SERVER_ID: u32 = 1000;
/// Applets that talk to a server and need nothing of its files.
const CLIENTS: &[&str] = &["sql", "createdb", "dropdb", "ready", "healthcheck", "config"];

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

/// Runs one of our own applets, as the server's user if this is root. What only talks to a server runs as it is.
fn own(args: &[String]) -> Result<ExitCode, Failure> {
    let names = args.iter().take(2).map(String::as_str);
    let client = names.filter_map(find).any(|applet| CLIENTS.contains(&applet.name));
    if rustix::process::geteuid().is_root() && !client {
        let data = super::resolve(&[]).map(|settings| settings.text("data_directory").to_owned());
        let data = flag_directory(args).map_or(data, Ok)?;
        let data = Path::new(&data);
        // A directory with other things in it is refused before anything in it changes hands.
        crate::cluster::exists(data)?;
        std::fs::create_dir_all(data).map_err(|error| refused(data, &error))?;
        adopt(data, true)?;
        for (path, recursive) in PLACES {
            adopt_if_possible(Path::new(path), *recursive);
        }
        drop_privileges()?;
    }
    dispatch(args)
}

/// The directory that `-D` names, before the settings are read in full.
fn flag_directory(args: &[String]) -> Option<String> {
    let applet = args.iter().position(|arg| find(arg).is_some())?;
    let flags = super::settings_flags(&args[applet + 1..]).ok()?;
    flags.into_iter().rev().find(|(name, _)| name == "data_directory").map(|(_, value)| value)
}

/// The image's other directories, if they are there, and whether what lies in them is the server's too.
const PLACES: &[(&str, bool)] =
    &[("/var/lib/scratchbird", false), ("/var/log/scratchbird", true), ("/backup", false)];

/// Without them the server can still work: a read-only mount, say, keeps its owner.
fn adopt_if_possible(path: &Path, recursive: bool) {
    if std::fs::symlink_metadata(path).is_ok()
        && let Err(failure) = adopt(path, recursive)
    {
        log::warning(&failure.message);
    }
}

/// Makes a directory the server's, and all that it holds. No symbolic link is followed, no file with a second
/// name elsewhere and no other file system is touched: who can write there doesn't decide what root gives away.
fn adopt(path: &Path, recursive: bool) -> Result<(), Failure> {
    let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
    let directory = open(path, flags, Mode::empty()).map_err(|error| refused(path, &error.into()))?;
    adopt_opened(&directory, path, recursive)
}

fn adopt_opened(directory: &OwnedFd, path: &Path, recursive: bool) -> Result<(), Failure> {
    let fail = |path: &Path, error: Errno| refused(path, &error.into());
    let (uid, gid) = (Some(Uid::from_raw(SERVER_ID)), Some(Gid::from_raw(SERVER_ID)));
    let own = fstat(directory).map_err(|error| fail(path, error))?;
    if own.st_uid != SERVER_ID {
        fchown(directory, uid, gid).map_err(|error| fail(path, error))?;
    }
    if !recursive {
        return Ok(());
    }
    for entry in Dir::read_from(directory).map_err(|error| fail(path, error))? {
        let entry = entry.map_err(|error| fail(path, error))?;
        let name = entry.file_name();
        if [c".", c".."].contains(&name) {
            continue;
        }
        let path = path.join(OsStr::from_bytes(name.to_bytes()));
        let found = statat(directory, name, AtFlags::SYMLINK_NOFOLLOW).map_err(|error| fail(&path, error))?;
        let kind = FileType::from_raw_mode(found.st_mode);
        if kind == FileType::Directory && found.st_dev == own.st_dev {
            let flags = OFlags::RDONLY | OFlags::DIRECTORY | OFlags::NOFOLLOW | OFlags::CLOEXEC;
            let inner = openat(directory, name, flags, Mode::empty()).map_err(|error| fail(&path, error))?;
            adopt_opened(&inner, &path, true)?;
        } else if found.st_uid != SERVER_ID && kind == FileType::RegularFile && found.st_nlink > 1 {
            let shown = path.display();
            log::warning(&format!("`{shown}` keeps its owner: the file has another name somewhere else"));
        } else if found.st_uid != SERVER_ID && kind != FileType::Directory {
            chownat(directory, name, uid, gid, AtFlags::SYMLINK_NOFOLLOW)
                .map_err(|error| fail(&path, error))?;
        }
    }
    Ok(())
}

fn refused(path: &Path, error: &std::io::Error) -> Failure {
    let shown = path.display();
    Failure::new(format!(
        "can't make `{shown}` the server's ({error}); start the container with `--user {SERVER_ID}:{SERVER_ID}`, \
         or run `chown -R {SERVER_ID}:{SERVER_ID} {shown}`"
    ))
}

/// Groups first, the user last: after it nothing more can be changed. No other thread runs yet.
fn drop_privileges() -> Result<(), Failure> {
    let fail = |what: &str, error: Errno| {
        Failure::new(format!(
            "can't drop root's {what} ({error}); start the container with `--user {SERVER_ID}:{SERVER_ID}`"
        ))
    };
    let (uid, gid) = (Uid::from_raw(SERVER_ID), Gid::from_raw(SERVER_ID));
    rustix::thread::set_thread_groups(&[]).map_err(|error| fail("groups", error))?;
    rustix::thread::set_thread_res_gid(gid, gid, gid).map_err(|error| fail("group", error))?;
    rustix::thread::set_thread_res_uid(uid, uid, uid).map_err(|error| fail("user", error))
}
