//! `restore`: from a backup's archive to a data directory, all of it or nothing.

use super::Failure;
use super::options::{Flag, parse};
use crate::backup::{Options, keep, restore};
use std::path::{Path, PathBuf};
use std::process::ExitCode;

const FLAGS: &[Flag] = &[
    ('D', "data", true),
    ('s', "settings", true),
    ('q', "quiet", false),
    ('V', "version", false),
    ('?', "help", false),
];

const HELP: &str = "usage: restore [OPTION]… FILE | DIRECTORY | -

Makes an empty data directory a cluster again. FILE is what `backup` wrote, of a DIRECTORY the newest is taken, `-` is
standard input. Everything is compared and checked before it counts; the server must not run.

  -D, --data=DIR       the data directory [default: SCRATCHBIRD_DATA]
  -s, --settings=DIR   also write the configuration files that the archive holds into this folder
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
    let place = match &words[..] {
        [place] => place,
        [] => return Err(Failure::usage("which backup? a file, a directory or `-`; see `restore --help`")),
        [.., extra] => {
            return Err(Failure::usage(format!("`{extra}` is one word too many; see `restore --help`")));
        }
    };
    let arguments: Vec<String> =
        value('D').map(|path| vec!["-D".to_owned(), path.clone()]).unwrap_or_default();
    let settings = super::resolve(&arguments)?;
    let options = Options {
        archive: if place == "-" { None } else { Some(newest(Path::new(place))?) },
        directory: PathBuf::from(settings.text("data_directory")),
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

fn newest(place: &Path) -> Result<PathBuf, Failure> {
    if !place.is_dir() {
        return Ok(place.to_owned());
    }
    let all = keep::list(place).map_err(Failure::new)?;
    let none = || Failure::new(format!("`{}` holds no backup (scratchbird-*.tar.gz)", place.display()));
    all.last().map(|(_, path)| path.clone()).ok_or_else(none)
}
