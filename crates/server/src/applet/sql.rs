//! `sql`, also called `psql`: a small client for scripts, with psql's options, output and exit codes.

use super::Failure;
use super::options::{CONNECTION, Flag, parse};
use crate::client::script::{Echo, Runner, Stop, is_interactive, set_style};
use crate::client::table::Format;
use crate::client::target::{self, Given, Target};
use crate::client::{Client, Lost};
use rustix::termios::{LocalModes, OptionalActions, tcgetattr, tcsetattr};
use std::fs::File;
use std::io::{BufRead, BufReader, Write};
use std::process::ExitCode;

const FLAGS: &[Flag] = &[
    ('d', "dbname", true),
    ('c', "command", true),
    ('f', "file", true),
    ('v', "set", true),
    ('v', "variable", true),
    ('q', "quiet", false),
    ('A', "no-align", false),
    ('C', "csv", false),
    ('t', "tuples-only", false),
    ('F', "field-separator", true),
    ('R', "record-separator", true),
    ('z', "field-separator-zero", false),
    ('0', "record-separator-zero", false),
    ('P', "pset", true),
    ('X', "no-psqlrc", false),
    ('1', "single-transaction", false),
    ('a', "echo-all", false),
    ('e', "echo-queries", false),
    ('n', "no-readline", false),
];

const HELP: &str = "usage: psql [OPTION]… [DBNAME [USERNAME]]

  -d, --dbname=NAME           database, conninfo string or URI
  -h, --host=HOST             server's host, or the directory of its socket
  -p, --port=PORT             server's port
  -U, --username=NAME         user
  -w, --no-password           never ask for a password (-W: always)
  -c, --command=COMMAND       run one string of SQL or one backslash command; may be repeated
  -f, --file=FILE             run a script, `-` for standard input; may be repeated
  -v, --set=NAME=VALUE        set a variable; ON_ERROR_STOP=1 ends a script at its first error
  -1, --single-transaction    all of it or nothing
  -q, --quiet                 no messages, only results
  -a, --echo-all              show each line (-e: each statement)
  -A, --no-align              unaligned output (--csv: CSV)
  -t, --tuples-only           rows only
  -F, --field-separator=TEXT  between fields (-z: a zero byte)
  -R, --record-separator=TEXT after records (-0: a zero byte)
  -P, --pset=NAME=VALUE       format, null, fieldsep, recordsep, tuples_only, footer
  -X, --no-psqlrc             read no startup file: there is none anyway

Variables PGHOST, PGPORT, PGUSER, PGPASSWORD, PGDATABASE, PGPASSFILE, PGSSLMODE (disable to verify-full) and
PGSSLROOTCERT count; without them the server of this container is meant. Exit codes: 0, 1 its own error, 2 the connection failed, 3 a script failed (ON_ERROR_STOP).
";

/// What is done in turn.
enum Work {
    Command(String),
    File(String),
}

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    main(args).or_else(|failure| {
        eprintln!("psql: error: {}", failure.message);
        // psql has no code of its own for a wrong option.
        Ok(ExitCode::from(if failure.code == CONNECTION_FAILED { 2 } else { 1 }))
    })
}

/// Apart from the code of a usage error, which is 2 elsewhere.
const CONNECTION_FAILED: u8 = 102;

fn main(args: &[String]) -> Result<ExitCode, Failure> {
    let (flags, words) = parse(args, &[CONNECTION, FLAGS])?;
    if let Some((letter, _)) = flags.iter().find(|(letter, _)| ['V', '?'].contains(letter)) {
        let version = concat!("psql (ScratchBird) ", env!("CARGO_PKG_VERSION"), "\n");
        print!("{}", if *letter == 'V' { version } else { HELP });
        return Ok(ExitCode::SUCCESS);
    }
    let mut given = connection_options(&flags)?;
    if let [.., extra] = &words[..]
        && words.len() > 2
    {
        return Err(Failure::new(format!("`{extra}` is one word too many; see `psql --help`")));
    }
    // An option goes before a word, as psql has it.
    let mut named = flags.iter().any(|(letter, _)| *letter == 'd');
    for word in words {
        if !named {
            target::add_dbname(&mut given, &word).map_err(Failure::new)?;
            named = true;
        } else if !given.contains_key("user") {
            given.insert("user".to_owned(), word);
        } else {
            eprintln!("psql: warning: extra command-line argument \"{word}\" ignored");
        }
    }
    let target = find(&given)?;
    let (client, target) = connect(target, &flags)?;
    let mut runner = Runner::new(client, target);
    let mut work = Vec::new();
    let mut single = false;
    for (letter, value) in flags {
        match letter {
            'c' => work.push(Work::Command(value)),
            'f' => work.push(Work::File(value)),
            'v' => match value.split_once('=') {
                Some((name, value)) => drop(runner.variables.insert(name.to_owned(), value.to_owned())),
                None => drop(runner.variables.remove(&value)),
            },
            'q' => runner.quiet = true,
            'a' => runner.echo = Echo::Lines,
            'e' => runner.echo = Echo::Queries,
            'A' => runner.style.format = Format::Unaligned,
            'C' => runner.style.format = Format::Csv,
            't' => runner.style.tuples_only = true,
            'F' => runner.style.field_separator = value,
            'R' => runner.style.record_separator = value,
            'z' => runner.style.field_separator = "\0".to_owned(),
            '0' => runner.style.record_separator = "\0".to_owned(),
            'P' => {
                let (name, value) = value.split_once('=').map_or((&*value, None), |(n, v)| (n, Some(v)));
                set_style(&mut runner.style, name, value).map_err(Failure::new)?;
            }
            '1' => single = true,
            _ => {}
        }
    }
    if single && work.is_empty() {
        return Err(Failure::new("-1 needs -c or -f"));
    }
    Ok(ExitCode::from(perform(&mut runner, &work, single)))
}

fn perform(runner: &mut Runner, work: &[Work], single: bool) -> u8 {
    let mut code = 0;
    if single {
        code = settle(runner.silently("BEGIN"));
    }
    if work.is_empty() {
        let interactive = is_interactive();
        code = settle(runner.script(&mut std::io::stdin().lock(), None, interactive).map(|()| true));
    }
    for item in work {
        code = match item {
            Work::Command(text) => settle(runner.command(text)),
            Work::File(path) if path != "-" && File::open(path).is_err() => {
                // The runner says why; a file that isn't there is psql's own error, not the script's.
                settle(runner.file(path).map(|()| true)).min(1)
            }
            Work::File(path) => settle(runner.file(path).map(|()| true)),
        };
        if code == 2 || (code != 0 && runner.stops_on_error()) {
            break;
        }
    }
    if single && code != 2 {
        let ended = settle(runner.silently(if code == 0 { "COMMIT" } else { "ROLLBACK" }));
        code = if code == 0 { ended } else { code };
    }
    code
}

/// psql's exit codes.
fn settle(result: Result<bool, Stop>) -> u8 {
    match result {
        Ok(true) | Err(Stop::Quit) => 0,
        Ok(false) => 1,
        Err(Stop::Failed) => 3,
        Err(Stop::Lost(why)) => {
            eprintln!("psql: error: {why}");
            2
        }
    }
}

/// What the connection's options say.
pub(super) fn connection_options(flags: &[(char, String)]) -> Result<Given, Failure> {
    let mut given = Given::new();
    if let Some((_, dbname)) = flags.iter().rev().find(|(letter, _)| *letter == 'd') {
        target::add_dbname(&mut given, dbname).map_err(Failure::new)?;
    }
    for (letter, name) in [('h', "host"), ('p', "port"), ('U', "user")] {
        if let Some((_, value)) = flags.iter().rev().find(|(given, _)| *given == letter) {
            given.insert(name.to_owned(), value.clone());
        }
    }
    Ok(given)
}

/// Where to connect. The settings of this container's server fill the gaps, where they can be read.
pub(super) fn find(given: &Given) -> Result<Target, Failure> {
    let settings = super::resolve(&[]).ok();
    let found = target::resolve(given, &|name| std::env::var(name).ok(), settings.as_ref());
    let mut target = found.map_err(Failure::new)?;
    // A client's container may have the secret that the server's has: it is the superuser's.
    if let Some(settings) = settings.filter(|settings| settings.text("user") == target.user) {
        let own = Some(settings.text("password").to_owned()).filter(|password| !password.is_empty());
        target.password = target.password.or(own);
    }
    Ok(target)
}

/// Connects, and asks for a password where one is needed and somebody is there to be asked.
pub(super) fn connect(mut target: Target, flags: &[(char, String)]) -> Result<(Client, Target), Failure> {
    let has = |letter: char| flags.iter().any(|(given, _)| *given == letter);
    if has('W') {
        target.password = Some(ask(&target)?);
    }
    let mut result = Client::connect(&target);
    if result.as_ref().err() == Some(&Lost::NoPassword)
        && !has('w')
        && let Ok(password) = ask(&target)
    {
        target.password = Some(password);
        result = Client::connect(&target);
    }
    let client = result.map_err(|lost| Failure { message: lost.to_string(), code: CONNECTION_FAILED })?;
    Ok((client, target))
}

/// Asks on the terminal, without showing what is typed.
fn ask(target: &Target) -> Result<String, Failure> {
    let talk = || -> std::io::Result<String> {
        let mut terminal = File::options().read(true).write(true).open("/dev/tty")?;
        let before = tcgetattr(&terminal)?;
        let mut silent = before.clone();
        silent.local_modes.remove(LocalModes::ECHO);
        tcsetattr(&terminal, OptionalActions::Flush, &silent)?;
        write!(terminal, "Password for user {}: ", target.user)?;
        let mut line = String::new();
        let read = BufReader::new(&terminal).read_line(&mut line);
        tcsetattr(&terminal, OptionalActions::Flush, &before)?;
        writeln!(terminal)?;
        read?;
        Ok(line.trim_end_matches(['\r', '\n']).to_owned())
    };
    talk().map_err(|error| Failure::new(format!("can't ask for a password: {error}; set PGPASSWORD")))
}
