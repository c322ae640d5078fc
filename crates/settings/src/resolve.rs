//! Merging the sources of settings: flag, environment, configuration file, default.
//!
//! 1. Flags are `(name, value)` pairs as typed; an unknown name is an error.
//! 2. Of the environment only variables of the table count; an unknown `SCRATCHBIRD_` one is a warning.
//! 3. A secret may come from the file that its `_FILE` variable names; both forms given is an error.
//! 4. The first source that has a value wins, and the value is checked wherever it came from.

use crate::{Apply, ENV_PREFIX, Effect, Setting, TABLE, Value, by_env, by_name, nearest};
use std::collections::BTreeMap;

/// Where a value came from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Source {
    /// The command line.
    Flag,
    /// An environment variable.
    Env(String),
    /// A file that a `_FILE` variable names.
    EnvFile(String),
    /// The configuration file.
    ConfigFile,
    /// Nobody set it.
    Default,
}

impl std::fmt::Display for Source {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag => f.write_str("command line"),
            Self::Env(variable) | Self::EnvFile(variable) => write!(f, "environment {variable}"),
            Self::ConfigFile => f.write_str("configuration file"),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What a value is resolved from. The caller reads; this crate only merges.
pub struct Sources<'a> {
    /// `(name, value)` from the command line, later ones win.
    pub flags: &'a [(String, String)],
    /// The environment.
    pub env: &'a [(String, String)],
    /// Reads a file, for the configuration file and for secrets.
    pub read: &'a dyn Fn(&str) -> std::io::Result<String>,
}

/// A setting with its value.
#[derive(Debug, Clone)]
pub struct Entry {
    /// The row of the table.
    pub setting: &'static Setting,
    /// The value; `None` where nobody set one and the table has no default.
    pub value: Option<Value>,
    /// Where it came from.
    pub source: Source,
}

impl Entry {
    /// The value as `SHOW` prints it, with a secret masked.
    pub fn shown(&self) -> String {
        match &self.value {
            Some(_) if self.setting.secret => "********".to_owned(),
            Some(value) => value.to_string(),
            None => String::new(),
        }
    }

    /// Whether somebody set it.
    pub fn is_set(&self) -> bool {
        self.source != Source::Default
    }
}

/// All settings with their values.
#[derive(Debug, Clone)]
pub struct Resolved {
    /// In the table's order.
    pub entries: Vec<Entry>,
    /// What the log should say once.
    pub warnings: Vec<String>,
}

/// Why the settings can't be used; the text names the variable, the value and what is allowed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Error(pub String);

impl std::fmt::Display for Error {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Error {}

impl Resolved {
    /// The entry of a setting.
    ///
    /// # Panics
    /// When no setting has that name: names are literals in the callers, so that is a mistake in the program.
    pub fn entry(&self, name: &str) -> &Entry {
        let found = self.entries.iter().find(|entry| entry.setting.name == name);
        found.unwrap_or_else(|| panic!("no setting is called `{name}`"))
    }

    /// A text, path or word; empty where nobody set it.
    pub fn text(&self, name: &str) -> &str {
        match &self.entry(name).value {
            Some(Value::Text(text)) => text,
            _ => "",
        }
    }

    /// A whole number.
    pub fn int(&self, name: &str) -> i64 {
        match self.entry(name).value {
            Some(Value::Int(number)) => number,
            _ => 0,
        }
    }

    /// A size in bytes.
    pub fn size(&self, name: &str) -> u64 {
        match self.entry(name).value {
            Some(Value::Size(bytes)) => bytes,
            _ => 0,
        }
    }

    /// A time in milliseconds.
    pub fn time(&self, name: &str) -> u64 {
        match self.entry(name).value {
            Some(Value::Time(milliseconds)) => milliseconds,
            _ => 0,
        }
    }

    /// A switch.
    pub fn bool(&self, name: &str) -> bool {
        matches!(self.entry(name).value, Some(Value::Bool(true)))
    }

    /// A list.
    pub fn list(&self, name: &str) -> &[String] {
        match &self.entry(name).value {
            Some(Value::List(items)) => items,
            _ => &[],
        }
    }

    /// The settings that somebody set although only the first start reads them.
    pub fn first_start_only(&self) -> impl Iterator<Item = &Entry> {
        self.entries.iter().filter(|entry| entry.is_set() && entry.setting.apply == Apply::FirstStart)
    }
}

/// Merges the sources; see the module's steps.
pub fn resolve(sources: &Sources<'_>) -> Result<Resolved, Error> {
    let mut warnings = unknown_variables(sources.env);
    let mut flags = BTreeMap::new();
    for (name, value) in sources.flags {
        let setting = by_name(name).ok_or_else(|| unknown_name(name, "the command line"))?;
        flags.insert(setting.name, value.as_str());
    }
    let file = config_file(sources, &flags)?;
    let mut entries = Vec::with_capacity(TABLE.len());
    for setting in TABLE {
        let (text, source) = match (flags.get(setting.name), from_env(setting, sources)?) {
            (Some(text), _) => (Some((*text).to_owned()), Source::Flag),
            (None, Some((text, source))) => (Some(text), source),
            (None, None) => match file.get(setting.name) {
                Some(text) => (Some(text.clone()), Source::ConfigFile),
                None => (None, Source::Default),
            },
        };
        let value = match &text {
            Some(text) => Some(setting.parse(text).map_err(|why| wrong_value(setting, text, &source, &why))?),
            None if setting.default.is_empty() => None,
            None => setting.parse(setting.default).ok(),
        };
        let entry = Entry { setting, value, source };
        check_effect(&entry, &mut warnings)?;
        entries.push(entry);
    }
    Ok(Resolved { entries, warnings })
}

/// Parses a configuration file: `name = value` or `name value` a line, `#` starts a comment, quotes are optional.
pub fn parse_config_file(text: &str, path: &str) -> Result<BTreeMap<&'static str, String>, Error> {
    let mut values = BTreeMap::new();
    for (number, line) in text.lines().enumerate() {
        let line = line.trim();
        if line.is_empty() || line.starts_with('#') {
            continue;
        }
        let place = format!("{path}:{}", number + 1);
        let split = line.find(|c: char| c == '=' || c.is_whitespace());
        let split =
            split.ok_or_else(|| Error(format!("{place}: expected `name = value`, found `{line}`")))?;
        let (name, rest) = line.split_at(split);
        let setting = by_name(name).ok_or_else(|| unknown_name(name, &place))?;
        let rest = rest.trim_start();
        let rest = rest.strip_prefix('=').unwrap_or(rest).trim();
        let value = unquote(rest).ok_or_else(|| Error(format!("{place}: the quote is not closed")))?;
        values.insert(setting.name, value);
    }
    Ok(values)
}

/// `'it''s' # comment` → `it's`; without quotes the value ends at a `#`.
fn unquote(text: &str) -> Option<String> {
    let Some(quoted) = text.strip_prefix('\'') else {
        return Some(text.split('#').next().unwrap_or("").trim().to_owned());
    };
    let mut value = String::new();
    let mut characters = quoted.chars().peekable();
    while let Some(character) = characters.next() {
        if character != '\'' {
            value.push(character);
        } else if characters.next_if_eq(&'\'').is_some() {
            value.push('\'');
        } else {
            return Some(value);
        }
    }
    None
}

fn config_file(
    sources: &Sources<'_>,
    flags: &BTreeMap<&'static str, &str>,
) -> Result<BTreeMap<&'static str, String>, Error> {
    let Some(setting) = by_name("config_file") else { return Ok(BTreeMap::new()) };
    let from_env = from_env(setting, sources)?.map(|(path, _)| path);
    let given = flags.get(setting.name).map(|path| (*path).to_owned()).or(from_env);
    let path = given.clone().unwrap_or_else(|| setting.default.to_owned());
    match (sources.read)(&path) {
        Ok(text) => parse_config_file(&text, &path),
        Err(error) if given.is_none() && error.kind() == std::io::ErrorKind::NotFound => Ok(BTreeMap::new()),
        Err(error) => Err(Error(format!("configuration file `{path}` can't be read: {error}"))),
    }
}

fn from_env(setting: &Setting, sources: &Sources<'_>) -> Result<Option<(String, Source)>, Error> {
    let lookup = |name: &str| sources.env.iter().find(|(key, value)| key == name && !value.is_empty());
    let variables = [setting.env].into_iter().chain(setting.env_aliases.iter().copied());
    let mut plain = variables.filter_map(lookup);
    let plain = plain.next().map(|(key, value)| (value.clone(), Source::Env(key.clone())));
    let Some(file_variable) = setting.env_file() else { return Ok(plain) };
    let Some((_, path)) = lookup(&file_variable) else { return Ok(plain) };
    if plain.is_some() {
        return Err(Error(format!("both {} and {file_variable} are set; unset one of them", setting.env)));
    }
    let text = (sources.read)(path)
        .map_err(|error| Error(format!("{file_variable}: file `{path}` can't be read: {error}")))?;
    let text = text.strip_suffix('\n').unwrap_or(&text);
    let text = text.strip_suffix('\r').unwrap_or(text);
    if text.is_empty() {
        return Err(Error(format!("{file_variable}: file `{path}` is empty")));
    }
    Ok(Some((text.to_owned(), Source::EnvFile(file_variable))))
}

fn unknown_variables(env: &[(String, String)]) -> Vec<String> {
    let known: Vec<&str> = TABLE.iter().map(|setting| setting.env).collect();
    let mut warnings = Vec::new();
    for (variable, _) in env {
        let plain = variable.strip_suffix("_FILE").filter(|plain| by_env(plain).is_some_and(|s| s.secret));
        if !variable.starts_with(ENV_PREFIX) || by_env(variable).is_some() || plain.is_some() {
            continue;
        }
        let hint = nearest(variable, known.iter().copied());
        let hint = hint.map(|name| format!("; did you mean {name}?")).unwrap_or_default();
        warnings.push(format!("environment variable {variable} is not known and has no effect{hint}"));
    }
    warnings
}

fn unknown_name(name: &str, place: &str) -> Error {
    let hint = nearest(name, TABLE.iter().map(|setting| setting.name));
    let hint = hint.map(|name| format!("; did you mean `{name}`?")).unwrap_or_default();
    Error(format!("{place}: no setting is called `{name}`{hint}"))
}

fn wrong_value(setting: &Setting, text: &str, source: &Source, why: &str) -> Error {
    let name = match source {
        Source::Env(variable) | Source::EnvFile(variable) => variable,
        _ => setting.name,
    };
    let text = if setting.secret { "********" } else { text };
    Error(format!("{name} is `{text}`, from the {source}: {why}"))
}

fn check_effect(entry: &Entry, warnings: &mut Vec<String>) -> Result<(), Error> {
    let Entry { setting, value, source } = entry;
    if !entry.is_set() {
        return Ok(());
    }
    match setting.effect {
        Effect::Full => {}
        Effect::AcceptedNoEffect => warnings.push(format!(
            "setting `{}`, from the {source}, is accepted and has no effect: {}",
            setting.name, setting.doc
        )),
        Effect::Refused if *value == setting.parse(setting.default).ok() => {}
        Effect::Refused => {
            let shown = entry.shown();
            let (name, doc) = (setting.name, setting.doc);
            return Err(Error(format!("setting `{name}` is `{shown}`, from the {source}: {doc}")));
        }
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn pairs(list: &[(&str, &str)]) -> Vec<(String, String)> {
        list.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).collect()
    }

    fn read(path: &str) -> std::io::Result<String> {
        match path {
            "/secret" => Ok("hunter2\n".to_owned()),
            "/empty" => Ok("\n".to_owned()),
            "/conf" => Ok("# comment\nport = 7000\nlog_level 'error' # why\n\nwork_mem=8MB\n".to_owned()),
            "/bad" => Ok("port = 1\nprot = 2\n".to_owned()),
            _ => Err(std::io::ErrorKind::NotFound.into()),
        }
    }

    fn run(flags: &[(&str, &str)], env: &[(&str, &str)]) -> Result<Resolved, Error> {
        resolve(&Sources { flags: &pairs(flags), env: &pairs(env), read: &read })
    }

    fn check(flags: &[(&str, &str)], env: &[(&str, &str)], name: &str, expect: &str) {
        let got = match run(flags, env) {
            Ok(resolved) => {
                let entry = resolved.entry(name);
                format!("{} ({})", entry.shown(), entry.source)
            }
            Err(error) => format!("error: {error}"),
        };
        assert_eq!(got, expect);
    }

    #[test]
    fn the_first_source_wins_and_errors_name_variable_value_and_what_is_allowed() {
        let conf = ("SCRATCHBIRD_CONFIG_FILE", "/conf");
        check(&[], &[], "port", "5432 (default)");
        check(&[], &[conf], "port", "7000 (configuration file)");
        check(&[], &[conf], "log_level", "error (configuration file)");
        check(&[], &[conf, ("SCRATCHBIRD_PORT", "7001")], "port", "7001 (environment SCRATCHBIRD_PORT)");
        check(&[("port", "7002")], &[conf, ("SCRATCHBIRD_PORT", "7001")], "port", "7002 (command line)");
        check(&[], &[("PGDATA", "/d")], "data_directory", "/d (environment PGDATA)");
        check(&[], &[("SCRATCHBIRD_PORT", "")], "port", "5432 (default)");
        check(
            &[],
            &[("SCRATCHBIRD_PORT", "x")],
            "port",
            "error: SCRATCHBIRD_PORT is `x`, from the environment SCRATCHBIRD_PORT: allowed is a whole number from 1 to 65535",
        );
        check(
            &[("prot", "1")],
            &[],
            "port",
            "error: the command line: no setting is called `prot`; did you mean `port`?",
        );
        check(
            &[("config_file", "/bad")],
            &[],
            "port",
            "error: /bad:2: no setting is called `prot`; did you mean `port`?",
        );
        check(
            &[("config_file", "/gone")],
            &[],
            "port",
            "error: configuration file `/gone` can't be read: entity not found",
        );
    }

    #[test]
    fn secrets_come_from_files_and_are_never_shown() {
        let secret = "SCRATCHBIRD_PASSWORD";
        let file = "SCRATCHBIRD_PASSWORD_FILE";
        check(&[], &[(file, "/secret")], "password", &format!("******** (environment {file})"));
        assert_eq!(run(&[], &[(file, "/secret")]).unwrap().text("password"), "hunter2");
        check(&[], &[(file, "/empty")], "password", &format!("error: {file}: file `/empty` is empty"));
        check(
            &[],
            &[(file, "/gone")],
            "password",
            &format!("error: {file}: file `/gone` can't be read: entity not found"),
        );
        check(
            &[],
            &[(file, "/secret"), (secret, "x")],
            "password",
            &format!("error: both {secret} and {file} are set; unset one of them"),
        );
    }

    #[test]
    fn nothing_is_silently_ignored() {
        let resolved = run(&[("work_mem", "8MB")], &[("SCRATCHBIRD_PROT", "1"), ("HOME", "/")]).unwrap();
        let warnings = resolved.warnings.join("\n");
        assert!(
            warnings
                .contains("SCRATCHBIRD_PROT is not known and has no effect; did you mean SCRATCHBIRD_PORT?")
        );
        assert!(
            warnings.contains("setting `work_mem`, from the command line, is accepted and has no effect")
        );
        assert_eq!(resolved.warnings.len(), 2);
        assert!(run(&[("replication_mode", "follower")], &[]).is_err());
        assert!(run(&[("replication_mode", "standalone")], &[]).is_ok());
    }
}
