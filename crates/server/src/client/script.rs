//! Runs scripts: statements, psql's commands for scripts, and the data of COPY between them.

use super::report::Verbosity;
use super::scanner::{Piece, Scanner, Variables, words};
use super::table::{Format, Style, render};
use super::target::{self, Target};
use super::{Client, Event, Lost};
use std::io::{BufRead, BufReader, IsTerminal, Write};
use std::time::Instant;

/// Scripts that include scripts end somewhere.
const DEEPEST: usize = 32;

/// Why nothing more is read.
#[derive(Debug, PartialEq, Eq)]
pub enum Stop {
    /// `\q`
    Quit,
    /// A statement or command failed, and ON_ERROR_STOP is set.
    Failed,
    /// The connection is gone.
    Lost(String),
}

/// Which of the statements are shown before they run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Echo {
    /// None.
    Nothing,
    /// Each statement as it is sent.
    Queries,
    /// Each line as it is read.
    Lines,
}

/// Runs scripts on a connection.
pub struct Runner {
    /// The connection.
    pub client: Client,
    /// Where it goes.
    pub target: Target,
    /// How results are printed.
    pub style: Style,
    /// psql's variables.
    pub variables: Variables,
    /// No command tags, no greetings.
    pub quiet: bool,
    /// What is shown of the script itself.
    pub echo: Echo,
    /// Where errors and notices go; `None` is standard error.
    pub complaints: Option<String>,
    timing: bool,
    depth: usize,
    /// The word of `\restrict`: until it comes again, no other command counts.
    restricted: Option<String>,
}

/// A script being read.
struct Source<'s> {
    lines: &'s mut dyn BufRead,
    /// The file's name as psql shows it before an error; none for standard input.
    name: Option<&'s str>,
    scanner: Scanner,
    interactive: bool,
}

impl Source<'_> {
    /// The next line with its line feed; `None` at the end.
    fn line(&mut self) -> std::io::Result<Option<Vec<u8>>> {
        let mut line = Vec::new();
        let count = self.lines.read_until(b'\n', &mut line)?;
        Ok((count > 0).then_some(line))
    }

    fn place(&self) -> String {
        self.name.map_or_else(String::new, |name| format!("psql:{name}:{}: ", self.scanner.line_number()))
    }
}

impl Runner {
    /// A runner on a connection.
    pub fn new(client: Client, target: Target) -> Self {
        let mut runner = Self {
            client,
            target,
            style: Style::default(),
            variables: Variables::new(),
            quiet: false,
            echo: Echo::Nothing,
            complaints: None,
            timing: false,
            depth: 0,
            restricted: None,
        };
        runner.connected();
        runner
    }

    fn connected(&mut self) {
        let Target { host, port, user, dbname, .. } = &self.target;
        let values = [("HOST", host.clone()), ("PORT", port.to_string())]
            .into_iter()
            .chain([("USER", user.clone()), ("DBNAME", dbname.clone())]);
        self.variables.extend(values.map(|(name, value)| (name.to_owned(), value)));
    }

    /// Whether an error ends the script.
    pub fn stops_on_error(&self) -> bool {
        let value = self.variables.get("ON_ERROR_STOP");
        value.is_some_and(|value| settings::parse_bool(value).unwrap_or(!value.is_empty()))
    }

    /// How much of an error is told.
    fn verbosity(&self) -> Verbosity {
        self.variables.get("VERBOSITY").and_then(|word| Verbosity::of(word)).unwrap_or_default()
    }

    /// `-c`: one string of SQL, or one command.
    pub fn command(&mut self, text: &str) -> Result<bool, Stop> {
        let mut input = std::io::stdin().lock();
        let mut source =
            Source { lines: &mut input, name: None, scanner: Scanner::default(), interactive: false };
        match text.trim_start().strip_prefix('\\') {
            Some(command) => self.meta(command, &source),
            None => self.statement(text, &mut source),
        }
    }

    /// A statement of the client's own: only its failure is told.
    pub fn silently(&mut self, text: &str) -> Result<bool, Stop> {
        let done = self.client.execute(text).map_err(|lost| Stop::Lost(lost.to_string()))?;
        if let Err(report) = &done {
            self.complain(&report.text(text, self.verbosity()));
        }
        Ok(done.is_ok())
    }

    /// `-f`: a file, or standard input for `-`.
    pub fn file(&mut self, path: &str) -> Result<(), Stop> {
        if path == "-" {
            return self.script(&mut std::io::stdin().lock(), Some("<stdin>"), false);
        }
        if self.depth >= DEEPEST {
            self.complain(&format!("{path}: scripts include each other more than {DEEPEST} deep\n"));
            return Err(Stop::Failed);
        }
        let opened = std::fs::File::open(path);
        let mut file = match opened {
            Ok(file) => BufReader::new(file),
            Err(error) => {
                self.complain(&format!("psql: error: {path}: {}\n", plain(&error)));
                return Err(Stop::Failed);
            }
        };
        self.depth += 1;
        let result = self.script(&mut file, Some(path), false);
        self.depth -= 1;
        result
    }

    /// A script to its end; statements that fail are only told of, unless ON_ERROR_STOP is set.
    pub fn script(
        &mut self,
        lines: &mut dyn BufRead,
        name: Option<&str>,
        interactive: bool,
    ) -> Result<(), Stop> {
        let mut source = Source { lines, name, scanner: Scanner::default(), interactive };
        loop {
            if source.interactive {
                self.prompt(&source);
            }
            let line = match source.line() {
                Ok(Some(line)) => line,
                Ok(None) => break,
                Err(error) => {
                    self.complain(&format!("{}{}\n", source.place(), plain(&error)));
                    return Err(Stop::Failed);
                }
            };
            let line = match String::from_utf8(line) {
                Ok(line) => line,
                Err(_) => {
                    source.scanner.push_line("");
                    self.complain(&format!("{}the line is not UTF-8\n", source.place()));
                    return Err(Stop::Failed);
                }
            };
            // A byte order mark is no part of the first statement.
            let line = line.strip_prefix('\u{feff}').unwrap_or(&line);
            if self.echo == Echo::Lines {
                say(line);
            }
            source.scanner.push_line(line);
            while let Some(piece) = source.scanner.next(&self.variables) {
                let good = match piece {
                    Piece::Statement(text, _) => self.statement(&text, &mut source)?,
                    Piece::Command(text, _) => self.meta(&text, &source)?,
                };
                if !good && self.stops_on_error() && !source.interactive {
                    return Err(Stop::Failed);
                }
            }
        }
        if let Some((text, _)) = source.scanner.finish()
            && !source.interactive
            && !self.statement(&text, &mut source)?
            && self.stops_on_error()
        {
            return Err(Stop::Failed);
        }
        Ok(())
    }

    fn prompt(&self, source: &Source<'_>) {
        let state = if source.scanner.is_within() { '-' } else { '=' };
        let superuser = self.client.parameters.get("is_superuser").is_some_and(|value| value == "on");
        let (star, mark) =
            (if self.client.in_transaction() { "*" } else { "" }, if superuser { '#' } else { '>' });
        say(&format!("{}{state}{star}{mark} ", self.target.dbname));
    }

    /// Runs what is one query to the server; says whether all of it worked.
    fn statement(&mut self, text: &str, source: &mut Source<'_>) -> Result<bool, Stop> {
        let started = Instant::now();
        if self.echo == Echo::Queries {
            say(&format!("{text}\n"));
        }
        let result = self.talk(text, source);
        let good = result.map_err(|lost| Stop::Lost(format!("{}{lost}", source.place())))?;
        if self.timing {
            say(&format!("Time: {:.3} ms\n", started.elapsed().as_secs_f64() * 1000.0));
        }
        Ok(good)
    }

    fn talk(&mut self, text: &str, source: &mut Source<'_>) -> Result<bool, Lost> {
        self.client.query(text)?;
        let (mut good, mut copied) = (true, false);
        let mut result = None;
        let mut rows = Vec::new();
        let mut out = std::io::stdout().lock();
        loop {
            match self.client.event()? {
                Event::Columns(columns) => result = Some(columns),
                Event::Row(row) => rows.push(row),
                Event::Done(tag) => {
                    let mut shown = String::new();
                    let had_rows = result.is_some();
                    if let Some(columns) = result.take() {
                        shown = render(&self.style, &columns, &std::mem::take(&mut rows));
                    }
                    let changes = ["INSERT", "UPDATE", "DELETE", "MERGE"].iter().any(|w| tag.starts_with(w));
                    if !self.quiet && !std::mem::take(&mut copied) && (!had_rows || changes) {
                        shown += &(tag + "\n");
                    }
                    write(&mut out, shown.as_bytes());
                }
                // Only replication connections copy both ways.
                Event::Empty | Event::CopyBoth => {}
                Event::Error(report) => {
                    (good, result) = (false, None);
                    rows.clear();
                    self.complain(&format!("{}{}", source.place(), report.text(text, self.verbosity())));
                }
                Event::Notice(report) => {
                    self.complain(&format!("{}{}", source.place(), report.text(text, self.verbosity())))
                }
                Event::CopyIn => self.copy_in(source)?,
                Event::CopyData(data) => {
                    copied = true;
                    write(&mut out, &data);
                }
                Event::Ready => return Ok(good),
            }
        }
    }

    /// The lines up to `\.` are COPY's data.
    fn copy_in(&mut self, source: &mut Source<'_>) -> Result<(), Lost> {
        let mut count = 0;
        let mut pending = Vec::new();
        loop {
            match source.line() {
                Ok(Some(line)) => {
                    count += 1;
                    if line == b"\\.\n" || line == b"\\.\r\n" || line == b"\\." {
                        break;
                    }
                    pending.extend(line);
                    if pending.len() >= 64 * 1024 {
                        self.client.copy_data(std::mem::take(&mut pending))?;
                    }
                }
                Ok(None) => break,
                Err(error) => return self.client.copy_fail(&plain(&error)),
            }
        }
        source.scanner.skip_lines(count);
        if !pending.is_empty() {
            self.client.copy_data(pending)?;
        }
        self.client.copy_done()
    }

    /// A backslash command; says whether it worked.
    fn meta(&mut self, text: &str, source: &Source<'_>) -> Result<bool, Stop> {
        let (name, rest) = text.split_once(char::is_whitespace).unwrap_or((text, ""));
        let place = source.place();
        let words = match words(rest, &self.variables) {
            Ok(words) => words,
            Err(why) => {
                self.complain(&format!("{place}\\{name}: {why}\n"));
                return Ok(false);
            }
        };
        let first = words.first().map(String::as_str);
        if let Some(key) = &self.restricted {
            if name == "unrestrict" && first == Some(key) {
                self.restricted = None;
                return Ok(true);
            }
            self.complain(&format!(
                "{place}backslash commands are restricted; only \\unrestrict is allowed\n"
            ));
            return Ok(false);
        }
        match (name, first) {
            ("q" | "quit", _) => return Err(Stop::Quit),
            ("echo" | "qecho" | "warn", _) => {
                let (line_feed, words) = match words.split_first() {
                    Some((flag, rest)) if flag == "-n" => ("", rest),
                    _ => ("\n", &words[..]),
                };
                let line = words.join(" ") + line_feed;
                if name == "warn" { self.complain(&line) } else { say(&line) }
            }
            ("set", None) => {
                for (name, value) in &self.variables {
                    say(&format!("{name} = '{value}'\n"));
                }
            }
            ("set", Some("VERBOSITY")) if Verbosity::of(&words[1..].concat()).is_none() => {
                let word = words[1..].concat();
                self.complain(&format!(
                    "{place}unrecognized value \"{word}\" for \"VERBOSITY\"; available are default, verbose, terse, sqlstate\n"
                ));
                return Ok(false);
            }
            ("set", Some(variable)) => {
                self.variables.insert(variable.to_owned(), words[1..].concat());
            }
            ("unset", Some(variable)) => {
                self.variables.remove(variable);
            }
            ("i" | "include", Some(path)) => return self.include(path, source),
            ("ir" | "include_relative", Some(path)) => {
                let beside = source.name.and_then(|name| std::path::Path::new(name).parent());
                let path = beside.map_or_else(|| path.into(), |directory| directory.join(path));
                return self.include(&path.display().to_string(), source);
            }
            ("c" | "connect", _) => return self.reconnect(&words, &place),
            ("timing", setting) => {
                self.timing = setting.map_or(Some(!self.timing), settings::parse_bool).unwrap_or(false);
                if !self.quiet {
                    say(&format!("Timing is {}.\n", if self.timing { "on" } else { "off" }));
                }
            }
            ("restrict", Some(key)) => self.restricted = Some(key.to_owned()),
            ("pset", Some(option)) => {
                if let Err(why) = set_style(&mut self.style, option, words.get(1).map(String::as_str)) {
                    self.complain(&format!("{place}\\pset: {why}\n"));
                    return Ok(false);
                }
            }
            _ => {
                let known = "\\c \\connect \\echo \\i \\include \\ir \\pset \\q \\qecho \\set \\timing \\unset \\warn";
                self.complain(&format!("{place}invalid command \\{text}; known are {known}\n"));
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Another script here: a failure within counts only where ON_ERROR_STOP is set.
    fn include(&mut self, path: &str, source: &Source<'_>) -> Result<bool, Stop> {
        match self.file(path) {
            Ok(()) | Err(Stop::Quit) => Ok(true),
            Err(Stop::Failed) if !self.stops_on_error() || source.interactive => Ok(false),
            Err(stop) => Err(stop),
        }
    }

    fn reconnect(&mut self, words: &[String], place: &str) -> Result<bool, Stop> {
        let mut target = self.target.clone();
        let word = |index: usize| words.get(index).filter(|word| *word != "-");
        if let Some(name) = word(0) {
            let mut given = target::Given::new();
            let added = target::add_dbname(&mut given, name);
            let set = added.and_then(|()| target.change(&given));
            if let Err(why) = set {
                return Err(Stop::Lost(format!("{place}\\connect: {why}")));
            }
        }
        if let Some(user) = word(1) {
            target.user.clone_from(user);
        }
        if let Some(host) = word(2) {
            target.host.clone_from(host);
        }
        if let Some(port) = word(3) {
            let number = port
                .parse()
                .map_err(|_| Stop::Lost(format!("{place}\\connect: invalid port number: \"{port}\"")))?;
            target.port = number;
        }
        self.client =
            Client::connect(&target).map_err(|lost| Stop::Lost(format!("{place}\\connect: {lost}")))?;
        self.target = target;
        self.connected();
        if !self.quiet {
            let Target { dbname, user, .. } = &self.target;
            let line = format!("You are now connected to database \"{dbname}\" as user \"{user}\".\n");
            say(&line);
        }
        Ok(true)
    }

    fn complain(&mut self, text: &str) {
        match &mut self.complaints {
            Some(kept) => *kept += text,
            None => {
                let _ = std::io::stderr().write_all(text.as_bytes());
            }
        }
    }
}

/// Whether standard input is a person.
pub fn is_interactive() -> bool {
    std::io::stdin().is_terminal()
}

/// `-P` and `\pset`
pub fn set_style(style: &mut Style, option: &str, value: Option<&str>) -> Result<(), String> {
    let switch = |current: bool| match value {
        None => Ok(!current),
        Some(value) => settings::parse_bool(value).ok_or_else(|| format!("`{value}` is neither on nor off")),
    };
    match (option, value) {
        ("format", Some("aligned")) => style.format = Format::Aligned,
        ("format", Some("unaligned")) => style.format = Format::Unaligned,
        ("format", Some("csv")) => style.format = Format::Csv,
        ("format", _) => return Err("allowed formats are aligned, csv, unaligned".to_owned()),
        ("null", Some(text)) => style.null = text.to_owned(),
        ("fieldsep", Some(text)) => style.field_separator = text.to_owned(),
        ("recordsep", Some(text)) => style.record_separator = text.to_owned(),
        ("fieldsep_zero", _) => style.field_separator = "\0".to_owned(),
        ("recordsep_zero", _) => style.record_separator = "\0".to_owned(),
        ("tuples_only" | "t", _) => style.tuples_only = switch(style.tuples_only)?,
        ("footer", _) => style.footer = switch(style.footer)?,
        // There is no pager, and one kind of border.
        ("pager" | "border", _) => {}
        _ => return Err(format!("unknown option: {option}")),
    }
    Ok(())
}

/// An input or output error without the number in parentheses.
fn plain(error: &std::io::Error) -> String {
    let text = error.to_string();
    text.split(" (os error").next().unwrap_or(&text).to_owned()
}

fn say(text: &str) {
    write(&mut std::io::stdout().lock(), text.as_bytes());
}

/// A reader that has had enough ends the output and not the work.
fn write(out: &mut impl Write, bytes: &[u8]) {
    let _ = out.write_all(bytes).and_then(|()| out.flush());
}
