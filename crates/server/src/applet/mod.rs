//! What the binary can do: applets, chosen by the name it is called by or by the first argument.

mod backup;
mod config;
mod databases;
mod entrypoint;
mod healthcheck;
mod initdb;
mod options;
mod ready;
mod replica;
mod restore;
mod scripts;
mod serve;
mod sql;

use std::ffi::OsString;
use std::path::Path;
use std::process::ExitCode;

/// An applet: its name, one line of help, and its code.
struct Applet {
    name: &'static str,
    help: &'static str,
    run: fn(&[String]) -> Result<ExitCode, Failure>,
}

const APPLETS: &[Applet] = &[
    Applet {
        name: "serve",
        help: "run the server; initialise the data directory first if it is empty",
        run: serve::run,
    },
    Applet {
        name: "entrypoint",
        help: "the container's entrypoint: serve, an applet, or any command",
        run: entrypoint::run,
    },
    Applet { name: "initdb", help: "initialise the data directory and stop", run: initdb::run },
    Applet {
        name: "ready",
        help: "say whether a server accepts connections (as pg_isready does)",
        run: ready::run,
    },
    Applet {
        name: "healthcheck",
        help: "say whether this container's server is healthy",
        run: healthcheck::run,
    },
    Applet { name: "sql", help: "a small client with psql's options; also called psql", run: sql::run },
    Applet { name: "createdb", help: "create a database", run: databases::create },
    Applet { name: "dropdb", help: "drop a database", run: databases::drop },
    Applet {
        name: "promote",
        help: "make the replica that runs in the data directory the primary",
        run: replica::promote,
    },
    Applet {
        name: "rebuild",
        help: "discard the data directory's data, so that it can be a replica's (--yes)",
        run: replica::rebuild,
    },
    Applet {
        name: "backup",
        help: "archive the whole cluster while it runs, once or on a schedule",
        run: backup::run,
    },
    Applet {
        name: "restore",
        help: "make an empty data directory a backup's cluster, or that of a moment",
        run: restore::run,
    },
    Applet {
        name: "config",
        help: "print every setting with its value and where it came from",
        run: config::run,
    },
];

/// The applets with options of their own, `--help` among them; most are those of Postgres' programs of that name.
const CLIENTS: [&str; 5] = ["sql", "createdb", "dropdb", "backup", "restore"];

impl Applet {
    /// Runs it, or says what it is: every applet answers `--help` and `--version`. The clients do so as Postgres' own.
    fn call(&self, args: &[String]) -> Result<ExitCode, Failure> {
        let is_client = CLIENTS.contains(&self.name);
        match args.first().map(String::as_str).filter(|_| !is_client) {
            Some("--help") => print!("{}: {}\n\n{}", self.name, self.help, help()),
            Some("--version") => println!("{} (scratchbird) {}", self.name, env!("CARGO_PKG_VERSION")),
            _ => return (self.run)(args),
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Why an applet stopped: a message and an exit code.
#[derive(Debug)]
pub(crate) struct Failure {
    message: String,
    code: u8,
}

impl Failure {
    /// The work failed.
    fn new(message: impl std::fmt::Display) -> Self {
        Self { message: message.to_string(), code: 1 }
    }

    /// It was called wrongly.
    fn usage(message: impl Into<String>) -> Self {
        Self { message: message.into(), code: 2 }
    }
}

impl From<crate::sql::error::SqlError> for Failure {
    fn from(error: crate::sql::error::SqlError) -> Self {
        Self::new(error.message)
    }
}

/// Chooses the applet and runs it.
pub fn main(args: impl Iterator<Item = OsString>) -> ExitCode {
    let result = texts(args).and_then(|args| dispatch(&args));
    result.unwrap_or_else(|failure| {
        eprintln!("scratchbird: {}", failure.message);
        ExitCode::from(failure.code)
    })
}

fn texts(args: impl Iterator<Item = OsString>) -> Result<Vec<String>, Failure> {
    let text = |arg: OsString| {
        arg.into_string().map_err(|arg| Failure::usage(format!("argument `{}` is not UTF-8", arg.display())))
    };
    args.map(text).collect()
}

fn dispatch(args: &[String]) -> Result<ExitCode, Failure> {
    let called = args.first().and_then(|path| Path::new(path).file_name()).and_then(|name| name.to_str());
    let called = called.unwrap_or("scratchbird");
    let rest = args.get(1..).unwrap_or_default();
    if let Some(applet) = find(called) {
        return applet.call(rest);
    }
    match rest.split_first() {
        None => {
            Err(Failure::usage(format!("which applet? one of {}; `scratchbird --help` tells more", names())))
        }
        Some((flag, _)) if flag == "--version" || flag == "-V" => {
            println!("scratchbird {}", env!("CARGO_PKG_VERSION"));
            Ok(ExitCode::SUCCESS)
        }
        Some((flag, _)) if flag == "--help" || flag == "-h" => {
            print!("{}", help());
            Ok(ExitCode::SUCCESS)
        }
        Some((name, rest)) => match find(name) {
            Some(applet) => applet.call(rest),
            None => Err(unknown("applet", name, APPLETS.iter().map(|applet| applet.name))),
        },
    }
}

/// An applet by its name, with or without the prefix that the images' links have, or as scripts call it.
fn find(name: &str) -> Option<&'static Applet> {
    let name = if name == "psql" { "sql" } else { name.strip_prefix("scratchbird-").unwrap_or(name) };
    APPLETS.iter().find(|applet| applet.name == name)
}

fn names() -> String {
    APPLETS.iter().map(|applet| applet.name).collect::<Vec<_>>().join(", ")
}

fn unknown<'a>(what: &str, name: &str, known: impl IntoIterator<Item = &'a str>) -> Failure {
    let hint =
        settings::nearest(name, known).map(|near| format!("; did you mean `{near}`?")).unwrap_or_default();
    Failure::usage(format!("no {what} is called `{name}`{hint}"))
}

fn help() -> String {
    let mut text = "usage: scratchbird APPLET [OPTION]…\n\napplets:\n".to_owned();
    for applet in APPLETS {
        text += &format!("  {:<12} {}\n", applet.name, applet.help);
    }
    text += "\noptions of serve, initdb and config:\n  -c NAME=VALUE  set any setting (also --NAME=VALUE)\n";
    for setting in settings::TABLE {
        if let Some(flag) = setting.flag {
            text += &format!("  {flag} VALUE       {}\n", setting.name);
        }
    }
    text + "\n`scratchbird config` lists all settings and their environment variables\n"
}

/// Parses `-c name=value`, `--name=value` and the short flags of the settings.
fn settings_flags(args: &[String]) -> Result<Vec<(String, String)>, Failure> {
    let mut flags = Vec::new();
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if let Some((name, value)) = arg.strip_prefix("--").and_then(|long| long.split_once('=')) {
            flags.push((name.replace('-', "_"), value.to_owned()));
            continue;
        }
        let known = settings::TABLE
            .iter()
            .find_map(|s| s.flag.filter(|flag| arg.starts_with(flag)).map(|flag| (flag, s.name)));
        let flag = if arg.starts_with("-c") { Some(("-c", "")) } else { known };
        let Some((flag, name)) = flag.filter(|_| !arg.starts_with("--")) else {
            let short =
                settings::TABLE.iter().filter_map(|setting| setting.flag).collect::<Vec<_>>().join(", ");
            return Err(Failure::usage(format!("unknown option `{arg}`; known are -c NAME=VALUE, {short}")));
        };
        let missing = || Failure::usage(format!("option `{flag}` needs a value"));
        let value = match &arg[flag.len()..] {
            "" => args.next().ok_or_else(missing)?.as_str(),
            joined => joined,
        };
        if flag == "-c" {
            let wrong = || Failure::usage(format!("`-c {value}` has no `=`: it must be `-c NAME=VALUE`"));
            let (name, value) = value.split_once('=').ok_or_else(wrong)?;
            flags.push((name.trim().replace('-', "_"), value.to_owned()));
        } else {
            flags.push((name.to_owned(), value.to_owned()));
        }
    }
    Ok(flags)
}

/// The settings from the command line, the environment and the configuration file.
fn resolve(args: &[String]) -> Result<settings::Resolved, Failure> {
    let flags = settings_flags(args)?;
    let text = |value: OsString| value.into_string().ok();
    let env: Vec<(String, String)> = std::env::vars_os().filter_map(|(k, v)| text(k).zip(text(v))).collect();
    let read = |path: &str| std::fs::read_to_string(path);
    settings::resolve(&settings::Sources { flags: &flags, env: &env, read: &read }).map_err(Failure::new)
}
