//! `createdb` and `dropdb`, with Postgres' options.

use super::options::{CONNECTION, Flag, parse};
use super::{Failure, sql};
use crate::client::scanner::literal;
use crate::client::target::Given;
use crate::sql::quote;
use std::io::Write;
use std::process::ExitCode;

const CREATE: &[Flag] = &[
    ('e', "echo", false),
    ('O', "owner", true),
    ('E', "encoding", true),
    ('T', "template", true),
    ('m', "maintenance-db", true),
];
const DROP: &[Flag] = &[
    ('e', "echo", false),
    ('f', "force", false),
    ('i', "interactive", false),
    ('x', "if-exists", false),
    ('m', "maintenance-db", true),
];

const CREATE_HELP: &str = "usage: createdb [OPTION]… [DBNAME]

  -O, --owner=NAME           the new database's owner
  -E, --encoding=NAME        UTF8, the only one there is
  -T, --template=NAME        template0 or template1: both are empty
  -e, --echo                 show the statement
  -h, -p, -U, -w, -W         as psql has them
  --maintenance-db=NAME      the database to connect to
";
const DROP_HELP: &str = "usage: dropdb [OPTION]… DBNAME

  --if-exists                a missing database is no error
  -i, --interactive          ask first
  -e, --echo                 show the statement
  -h, -p, -U, -w, -W         as psql has them
  --maintenance-db=NAME      the database to connect to
";

pub(super) fn create(args: &[String]) -> Result<ExitCode, Failure> {
    outcome(
        "createdb",
        work(args, CREATE, CREATE_HELP, "creation", |flags, words, user| {
            let name = match words {
                [] => std::env::var("PGDATABASE").unwrap_or_else(|_| user.to_owned()),
                [name] => name.clone(),
                [.., extra] => return Err(Failure::usage(format!("`{extra}` is one word too many"))),
            };
            let mut statement = format!("CREATE DATABASE {}", quote(&name));
            for (letter, value) in flags {
                match letter {
                    'O' => statement += &format!(" OWNER {}", quote(value)),
                    'E' if !["UTF8", "UTF-8", "UNICODE"].contains(&value.to_uppercase().as_str()) => {
                        return Err(Failure::usage(format!("encoding `{value}`: allowed is UTF8")));
                    }
                    'T' if !["template0", "template1"].contains(&value.as_str()) => {
                        let shown = literal(value);
                        return Err(Failure::usage(format!(
                            "template {shown}: allowed are template0 and template1"
                        )));
                    }
                    _ => {}
                }
            }
            Ok(Some(statement))
        }),
    )
}

pub(super) fn drop(args: &[String]) -> Result<ExitCode, Failure> {
    outcome(
        "dropdb",
        work(args, DROP, DROP_HELP, "removal", |flags, words, _| {
            let name = match words {
                [] => return Err(Failure::usage("missing required argument database name")),
                [name] => name,
                [.., extra] => return Err(Failure::usage(format!("`{extra}` is one word too many"))),
            };
            let has = |letter: char| flags.iter().any(|(given, _)| *given == letter);
            if has('i') && !agreed(name) {
                return Ok(None);
            }
            let exists = if has('x') { "IF EXISTS " } else { "" };
            let force = if has('f') { " WITH (FORCE)" } else { "" };
            Ok(Some(format!("DROP DATABASE {exists}{}{force}", quote(name))))
        }),
    )
}

fn agreed(name: &str) -> bool {
    print!("Database \"{name}\" will be permanently removed.\nAre you sure? (y/n) ");
    let _ = std::io::stdout().flush();
    let mut answer = String::new();
    std::io::stdin().read_line(&mut answer).is_ok() && answer.trim().to_lowercase().starts_with('y')
}

fn outcome(program: &str, result: Result<ExitCode, Failure>) -> Result<ExitCode, Failure> {
    result.or_else(|failure| {
        eprintln!("{program}: error: {}", failure.message);
        Ok(ExitCode::FAILURE)
    })
}

/// Connects to a database that is surely there and runs the statement that `build` makes.
fn work(
    args: &[String],
    known: &[Flag],
    help: &str,
    what: &str,
    build: impl Fn(&[(char, String)], &[String], &str) -> Result<Option<String>, Failure>,
) -> Result<ExitCode, Failure> {
    let (flags, words) = parse(args, &[CONNECTION, known])?;
    if let Some((letter, _)) = flags.iter().find(|(letter, _)| ['V', '?'].contains(letter)) {
        let version = concat!("ScratchBird ", env!("CARGO_PKG_VERSION"), "\n");
        print!("{}", if *letter == 'V' { version } else { help });
        return Ok(ExitCode::SUCCESS);
    }
    let mut given: Given = sql::connection_options(&flags)?;
    let maintenance = flags.iter().rev().find(|(letter, _)| *letter == 'm');
    let maintenance = maintenance.map_or("postgres", |(_, name)| name);
    crate::client::target::add_dbname(&mut given, maintenance).map_err(Failure::new)?;
    let target = sql::find(&given)?;
    let Some(statement) = build(&flags, &words, &target.user)? else { return Ok(ExitCode::SUCCESS) };
    let (mut client, _) = sql::connect(target, &flags)?;
    if flags.iter().any(|(letter, _)| *letter == 'e') {
        println!("{statement};");
    }
    let done = client.execute(&statement).map_err(Failure::new)?;
    done.map_err(|report| Failure::new(format!("database {what} failed: {}", report.line())))?;
    Ok(ExitCode::SUCCESS)
}
