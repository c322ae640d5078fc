//! Command lines in Postgres' style: `-h host`, `-hhost`, `-qAt`, `--host=host`, `--host host`, `--ho host`.

use super::Failure;

/// An option: its letter, its long name, and whether a value follows.
pub(super) type Flag = (char, &'static str, bool);

/// What was given: options by their letter in order, and the other words.
pub(super) type Parsed = (Vec<(char, String)>, Vec<String>);

/// The options that every client has.
pub(super) const CONNECTION: &[Flag] = &[
    ('h', "host", true),
    ('p', "port", true),
    ('U', "username", true),
    ('w', "no-password", false),
    ('W', "password", false),
    ('V', "version", false),
    ('?', "help", false),
];

/// Parses a command line; an option given twice comes twice.
pub(super) fn parse(args: &[String], known: &[&[Flag]]) -> Result<Parsed, Failure> {
    let flags: Vec<&Flag> = known.iter().flat_map(|flags| flags.iter()).collect();
    let (mut found, mut words) = (Vec::new(), Vec::new());
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        if arg == "--" {
            words.extend(args.by_ref().cloned());
        } else if let Some(long) = arg.strip_prefix("--") {
            let (name, value) = long.split_once('=').map_or((long, None), |(n, v)| (n, Some(v.to_owned())));
            let (letter, _, takes) = long_flag(&flags, name)?;
            let value = match value {
                Some(_) if !takes => {
                    return Err(Failure::usage(format!("option `--{name}` takes no value")));
                }
                None if takes => Some(args.next().cloned().ok_or_else(|| missing(&format!("--{name}")))?),
                value => value,
            };
            found.push((letter, value.unwrap_or_default()));
        } else if let Some(letters) = arg.strip_prefix('-').filter(|letters| !letters.is_empty()) {
            let mut rest = letters;
            while let Some(letter) = rest.chars().next() {
                rest = &rest[letter.len_utf8()..];
                let flag = flags.iter().find(|(known, ..)| *known == letter);
                let (.., takes) =
                    flag.ok_or_else(|| Failure::usage(format!("unknown option `-{letter}`")))?;
                if !takes {
                    found.push((letter, String::new()));
                    continue;
                }
                let joined = std::mem::take(&mut rest);
                let value = if joined.is_empty() { args.next().cloned() } else { Some(joined.to_owned()) };
                found.push((letter, value.ok_or_else(|| missing(&format!("-{letter}")))?));
            }
        } else {
            words.push(arg.clone());
        }
    }
    Ok((found, words))
}

fn missing(flag: &str) -> Failure {
    Failure::usage(format!("option `{flag}` needs a value"))
}

/// A long option may be shortened as long as it stays the only one.
fn long_flag(flags: &[&Flag], name: &str) -> Result<Flag, Failure> {
    if let Some(flag) = flags.iter().find(|(_, long, _)| *long == name) {
        return Ok(**flag);
    }
    let mut near = flags.iter().filter(|(_, long, _)| long.starts_with(name));
    match (near.next(), near.next()) {
        (Some(flag), None) if !name.is_empty() => Ok(**flag),
        _ => {
            let known: Vec<String> = flags.iter().map(|(_, long, _)| format!("--{long}")).collect();
            Err(super::unknown("option", &format!("--{name}"), known.iter().map(String::as_str)))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(args: &[&str], expect: &str) {
        let args: Vec<String> = args.iter().map(|arg| (*arg).to_owned()).collect();
        let flags: &[Flag] = &[('q', "quiet", false), ('f', "file", true), ('F', "field-separator", true)];
        let got = match parse(&args, &[CONNECTION, flags]) {
            Ok((flags, words)) => {
                let flags: Vec<String> =
                    flags.iter().map(|(letter, value)| format!("{letter}={value}")).collect();
                format!("{} | {}", flags.join(" "), words.join(" "))
            }
            Err(failure) => format!("{}: {}", failure.code, failure.message),
        };
        assert_eq!(got, expect, "{args:?}");
    }

    #[test]
    fn options_are_read_as_getopt_does() {
        check(&["db", "-qf", "a", "-hb", "--file=c", "--file", "d", "-f-"], "q= f=a h=b f=c f=d f=- | db");
        check(&["--field", "x", "--", "-q"], "F=x | -q");
        check(&["-x"], "2: unknown option `-x`");
        check(&["-f"], "2: option `-f` needs a value");
        check(&["--quiet=1"], "2: option `--quiet` takes no value");
        check(&["--fil"], "2: option `--fil` needs a value");
    }
}
