//! `restore`: from a backup, or from the archive of the log, to a data directory, all of it or nothing.

use super::Failure;
use super::options::{Flag, parse};
use crate::backup::{Options, keep, restore};
use crate::replication::archive;
use crate::replication::record::show;
use jiff::Timestamp;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const FLAGS: &[Flag] = &[
    ('D', "data", true),
    ('s', "settings", true),
    ('t', "to", true),
    ('q', "quiet", false),
    ('V', "version", false),
    ('?', "help", false),
];

const HELP: &str = "usage: restore [OPTION]… FILE | DIRECTORY | -
       restore [OPTION]… --to=TIME | --to=latest [ARCHIVE]

Makes an empty data directory a cluster again. FILE is what `backup` wrote, of a DIRECTORY the newest is taken, `-` is
standard input. With --to the state of a moment comes from an ARCHIVE, the `archive_directory` of a server. Everything
is compared and checked before it counts; the server must not run.

  -D, --data=DIR       the data directory [default: SCRATCHBIRD_DATA]
  -s, --settings=DIR   also write the configuration files that the archive holds into this folder
  -t, --to=TIME        the last commit until then (2026-01-31T12:00:00Z), or the last of all (latest)
  -q, --quiet          say nothing if all is well
";

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let (flags, words) = parse(args, &[FLAGS])?;
    let value = |letter: char| flags.iter().rev().find(|(given, _)| *given == letter).map(|(_, value)| value);
    if value('?').is_some() || value('V').is_some() {
        let version = concat!("restore (ScratchBird) ", env!("CARGO_PKG_VERSION"), "\n");
        print!("{}", if value('V').is_some() { version } else { HELP });
        return Ok(ExitCode::SUCCESS);
    }
    let arguments: Vec<String> =
        value('D').map(|path| vec!["-D".to_owned(), path.clone()]).unwrap_or_default();
    let settings = super::resolve(&arguments)?;
    let directory = PathBuf::from(settings.text("data_directory"));
    let place = match &words[..] {
        [place] => place,
        [] if value('t').is_some() => settings.text("archive_directory"),
        [] => return Err(Failure::usage("which backup? a file, a directory or `-`; see `restore --help`")),
        [.., extra] => {
            return Err(Failure::usage(format!("`{extra}` is one word too many; see `restore --help`")));
        }
    };
    if let Some(to) = value('t') {
        if value('s').is_some() {
            return Err(Failure::usage("--settings: an archive of the log holds no configuration files"));
        }
        return recover(place, to, &directory, value('q').is_some());
    }
    let options = Options {
        archive: if place == "-" { None } else { Some(newest(Path::new(place))?) },
        directory,
        settings: value('s').map(PathBuf::from),
    };
    let label = restore(&options).map_err(Failure::new)?;
    if value('q').is_none() {
        let from =
            options.archive.map_or_else(|| "standard input".to_owned(), |path| path.display().to_string());
        let to = options.directory.display();
        eprintln!("restored {to} from {from}: made {} by version {}", label.created, label.version);
    }
    Ok(ExitCode::SUCCESS)
}

/// The newest backup in a directory; a file stands for itself.
pub(super) fn newest(place: &Path) -> Result<PathBuf, Failure> {
    if !place.is_dir() {
        return Ok(place.to_owned());
    }
    let all = keep::list(place).map_err(Failure::new)?;
    let none = || Failure::new(format!("`{}` holds no backup (scratchbird-*.tar.gz)", place.display()));
    all.last().map(|(_, path)| path.clone()).ok_or_else(none)
}

/// The state of a moment, from a server's `archive_directory`.
fn recover(from: &str, to: &str, directory: &Path, quiet: bool) -> Result<ExitCode, Failure> {
    if from.is_empty() {
        return Err(Failure::usage(
            "--to: which archive? name its directory, or set SCRATCHBIRD_ARCHIVE_DIRECTORY",
        ));
    }
    let recovered = archive::restore(Path::new(from), directory, moment(to)?)?;
    if !quiet {
        let time =
            Timestamp::from_microsecond(recovered.time).map(|time| time.to_string()).unwrap_or_default();
        let (lsn, to) = (show(recovered.lsn), directory.display());
        eprintln!("restored {to} from {from}: up to {lsn}, committed {time}");
    }
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
