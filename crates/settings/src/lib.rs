//! Every setting of the server, once: its names, type, default, range and documentation.
//!
//! The server, `SHOW`, the reference documentation, the compose stacks and `.env.example` all read
//! [`TABLE`], so that none of them can say something else than the others. The crate is pure: it
//! holds data, parses text and resolves sources that the caller hands in. It has no dependencies and
//! reads no file, no environment and no clock.
//!
//! 1. [`TABLE`] lists the settings, [`by_name`] and [`by_env`] find one.
//! 2. [`Setting::parse`] turns text into a [`Value`] or into an error that says what is allowed.
//! 3. [`resolve()`] merges flag, environment, configuration file and default, in that order.

mod parse;
mod resolve;
mod suggest;
mod table;

pub use parse::{Value, format_size, format_time, parse_bool, parse_size, parse_time};
pub use resolve::{Entry, Error, Resolved, Source, Sources, parse_config_file, resolve};
pub use suggest::nearest;
pub use table::TABLE;

/// Every environment variable of the server starts with this.
pub const ENV_PREFIX: &str = "SCRATCHBIRD_";

/// One setting: what a user can set, where, to what, and what it does.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Setting {
    /// The name in `SHOW`, in the configuration file and in `-c name=value`.
    pub name: &'static str,
    /// The environment variable, with its prefix.
    pub env: &'static str,
    /// Other environment variables that mean the same.
    pub env_aliases: &'static [&'static str],
    /// The short command-line flag, if there is one beside `-c name=value`.
    pub flag: Option<&'static str>,
    /// What the value looks like, and its range.
    pub kind: Kind,
    /// The default, as a user would write it; empty where there is none.
    pub default: &'static str,
    /// One or two sentences for the reference.
    pub doc: &'static str,
    /// When a changed value is taken up.
    pub apply: Apply,
    /// Whether this server acts on it.
    pub effect: Effect,
    /// A secret is masked wherever it is shown, and has a `_FILE` form.
    pub secret: bool,
    /// The heading in the reference.
    pub group: Group,
}

/// What a setting's value looks like.
#[derive(Debug, Clone, Copy, PartialEq)]
pub enum Kind {
    /// Any text.
    Text,
    /// A path.
    Path,
    /// `on` or `off`, in any of Postgres' spellings.
    Bool,
    /// A whole number in a range, both ends included.
    Int {
        /// The smallest value allowed.
        min: i64,
        /// The largest value allowed.
        max: i64,
    },
    /// A size such as `128MB`; a bare number counts `unit` bytes.
    Size {
        /// The bytes one bare unit stands for.
        unit: u64,
        /// The smallest value allowed, in bytes.
        min: u64,
        /// The largest value allowed, in bytes.
        max: u64,
    },
    /// A duration such as `5min`; a bare number counts `unit` milliseconds.
    Time {
        /// The milliseconds one bare unit stands for.
        unit: u64,
        /// The smallest value allowed, in milliseconds.
        min: u64,
        /// The largest value allowed, in milliseconds.
        max: u64,
    },
    /// One of a few words.
    Enum(&'static [&'static str]),
    /// A comma-separated list.
    List,
}

/// When a changed value is taken up.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Apply {
    /// At the next start of the server.
    Restart,
    /// At SIGHUP; the configuration file is read again.
    Reload,
    /// Only while a new data directory is initialised.
    FirstStart,
}

/// Whether the server acts on a setting.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// It does what its documentation says.
    Full,
    /// It is accepted so that existing configurations start, it changes nothing, and the log says so once.
    AcceptedNoEffect,
    /// Any other value than the default stops the start, because ignoring it would be unsafe.
    Refused,
}

/// The headings of the reference, in its order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Group {
    /// What the first start creates.
    Initialisation,
    /// Where files lie.
    Files,
    /// Listening and connections.
    Connections,
    /// Memory.
    Memory,
    /// Write-ahead log and checkpoints.
    Wal,
    /// What is logged, and how.
    Logging,
    /// Limits for a session's statements.
    Statements,
    /// Primary and replica.
    Replication,
}

impl Setting {
    /// Parses a value for this setting; the error says what is allowed.
    pub fn parse(&self, text: &str) -> Result<Value, String> {
        parse::parse(&self.kind, text)
    }

    /// What is allowed, in words for an error message or the reference.
    pub fn allowed(&self) -> String {
        parse::allowed(&self.kind)
    }

    /// The variable that names a file holding this secret; `None` for what is no secret.
    pub fn env_file(&self) -> Option<String> {
        self.secret.then(|| format!("{}_FILE", self.env))
    }
}

/// Finds a setting by its name in `SHOW`.
pub fn by_name(name: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.name.eq_ignore_ascii_case(name))
}

/// Finds a setting by its environment variable or one of that variable's aliases.
pub fn by_env(variable: &str) -> Option<&'static Setting> {
    TABLE.iter().find(|setting| setting.env == variable || setting.env_aliases.contains(&variable))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::collections::HashSet;

    #[test]
    fn every_default_is_legal_and_every_name_is_unique() {
        let mut names = HashSet::new();
        let mut variables = HashSet::new();
        for setting in TABLE {
            assert!(names.insert(setting.name), "{} is listed twice", setting.name);
            for variable in setting.env_aliases.iter().chain([&setting.env]) {
                assert!(variables.insert(*variable), "{variable} is listed twice");
            }
            assert!(setting.env.starts_with(ENV_PREFIX), "{}", setting.env);
            assert!(setting.doc.ends_with('.'), "{}: a doc is a sentence", setting.name);
            if !setting.default.is_empty() {
                setting.parse(setting.default).unwrap_or_else(|error| panic!("{}: {error}", setting.name));
            }
        }
    }

    #[test]
    fn settings_are_found_by_either_name() {
        assert_eq!(by_name("MAX_connections").unwrap().env, "SCRATCHBIRD_MAX_CONNECTIONS");
        assert_eq!(by_env("PGDATA").unwrap().name, "data_directory");
        assert_eq!(by_env("SCRATCHBIRD_NOTHING"), None);
        assert_eq!(by_name("password").unwrap().env_file().unwrap(), "SCRATCHBIRD_PASSWORD_FILE");
    }
}
