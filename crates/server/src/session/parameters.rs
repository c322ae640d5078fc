//! A session's parameters: SET, SHOW, and what clients are told of.

use crate::sql::error::{Result, SqlError};
use crate::sql::zone::Zone;
use std::borrow::Cow;
use std::collections::BTreeMap;

/// `(name, default, told to the client, legal values or none for any)`.
const KNOWN: &[(&str, &str, bool, &[&str])] = &[
    ("application_name", "", true, &[]),
    ("client_encoding", "UTF8", true, &["utf8", "utf-8", "unicode"]),
    ("client_min_messages", "notice", false, &[]),
    ("DateStyle", "ISO, MDY", true, &["iso", "iso, mdy", "iso,mdy", "iso, dmy", "iso, ymd"]),
    ("default_transaction_isolation", "read committed", false, &["read committed"]),
    ("default_transaction_read_only", "off", true, &["off"]),
    ("extra_float_digits", "1", false, &[]),
    ("idle_in_transaction_session_timeout", "0", false, &[]),
    ("in_hot_standby", "off", true, &["off"]),
    ("integer_datetimes", "on", true, &["on"]),
    ("IntervalStyle", "postgres", true, &["postgres"]),
    ("is_superuser", "off", true, &[]),
    ("lock_timeout", "0", false, &[]),
    ("search_path", "\"$user\", public", false, &[]),
    ("server_encoding", "UTF8", true, &["utf8"]),
    ("server_version", crate::sql::POSTGRES_VERSION, true, &[]),
    ("server_version_num", "150000", false, &[]),
    ("session_authorization", "", true, &[]),
    ("standard_conforming_strings", "on", true, &["on"]),
    ("statement_timeout", "0", false, &[]),
    ("TimeZone", "UTC", true, &[]),
    ("transaction_isolation", "read committed", false, &[]),
    ("bytea_output", "hex", false, &["hex"]),
    ("row_security", "on", false, &[]),
    ("synchronous_commit", "on", false, &[]),
    ("xmloption", "content", false, &[]),
    ("jit", "off", false, &["off", "false", "0", "on", "true", "1"]),
    ("block_size", "8192", false, &[]),
    ("check_function_bodies", "on", false, &[]),
    ("default_table_access_method", "heap", false, &["heap"]),
    ("default_tablespace", "", false, &[]),
    ("default_text_search_config", "pg_catalog.simple", false, &[]),
    ("escape_string_warning", "on", false, &[]),
    ("lc_collate", "C.UTF-8", false, &[]),
    ("lc_ctype", "C.UTF-8", false, &[]),
    ("lc_messages", "C", false, &[]),
    ("max_identifier_length", "63", false, &[]),
    ("max_index_keys", "32", false, &[]),
    ("transaction_read_only", "off", false, &["off"]),
];

/// What dates and times are read and shown in.
const TIME_ZONE: &str = "TimeZone";

/// Read-only for clients.
const FIXED: &[&str] = &[
    "in_hot_standby",
    "integer_datetimes",
    "is_superuser",
    "server_encoding",
    "server_version",
    "server_version_num",
    "session_authorization",
    "block_size",
    "lc_collate",
    "lc_ctype",
    "max_identifier_length",
    "max_index_keys",
];

/// A session's parameters: what differs from [`KNOWN`], as hundreds of sessions keep theirs.
#[derive(Clone)]
pub struct Parameters {
    /// Defaults that the server's settings or the login say.
    defaults: BTreeMap<&'static str, String>,
    /// What the client has set.
    values: BTreeMap<Cow<'static, str>, String>,
}

impl Parameters {
    /// The defaults, with what the server's settings say.
    pub fn new(settings: &settings::Resolved) -> Self {
        let timeouts = ["statement_timeout", "idle_in_transaction_session_timeout"];
        let defaults = timeouts.map(|name| (name, settings::format_time(settings.time(name))));
        Self { defaults: defaults.into(), values: BTreeMap::new() }
    }

    fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).map(String::as_str).or_else(|| self.default(name))
    }

    fn default(&self, name: &str) -> Option<&str> {
        let known = || KNOWN.iter().find(|(known, ..)| *known == name).map(|(_, value, ..)| *value);
        self.defaults.get(name).map(String::as_str).or_else(known)
    }

    /// Every parameter of the session, in order of name.
    fn own(&self) -> BTreeMap<&str, &str> {
        let known = KNOWN.iter().filter_map(|(name, ..)| Some((*name, self.default(name)?)));
        known.chain(self.values.iter().map(|(name, value)| (name.as_ref(), value.as_str()))).collect()
    }

    /// What the client calls itself.
    pub fn application_name(&self) -> &str {
        self.get("application_name").unwrap_or_default()
    }

    /// What the client is told at its start.
    pub fn reported(&self) -> impl Iterator<Item = (&str, &str)> {
        let told = KNOWN.iter().filter(|(_, _, told, _)| *told);
        told.filter_map(|(name, ..)| self.get(name).map(|value| (*name, value)))
    }

    /// Every parameter of the session and of the server, with its value.
    pub fn all(&self, server: &settings::Resolved) -> Vec<(String, String)> {
        let own = self.own();
        let known = |name: &str| own.keys().any(|own| own.eq_ignore_ascii_case(name));
        let others = settings::TABLE.iter().filter(|setting| !known(setting.name) && !setting.secret);
        let others = others.map(|setting| (setting.name.to_owned(), server.entry(setting.name).shown()));
        own.iter().map(|(name, value)| ((*name).to_owned(), (*value).to_owned())).chain(others).collect()
    }

    /// Sets a parameter for the server itself.
    pub fn force(&mut self, name: &'static str, value: &str) {
        self.values.remove(name);
        self.defaults.insert(name, value.to_owned());
    }

    /// SET and RESET. Gives back what the client must be told.
    pub fn set(&mut self, name: &str, value: Option<&str>) -> Result<Option<(String, String)>> {
        if name == "all" {
            self.values.clear();
            return Ok(None);
        }
        let Some((known, _, told, legal)) = KNOWN.iter().find(|(known, ..)| known.eq_ignore_ascii_case(name))
        else {
            return self.set_other(name, value);
        };
        if FIXED.contains(known) {
            return Err(SqlError::new("55P02", format!("parameter \"{known}\" cannot be changed")));
        }
        let value = match value {
            None => {
                self.values.remove(*known);
                let value = self.default(known).unwrap_or_default().to_owned();
                return Ok(told.then(|| ((*known).to_owned(), value)));
            }
            Some(value) if legal.is_empty() || legal.contains(&value.to_ascii_lowercase().as_str()) => {
                if known.ends_with("_timeout") {
                    let time = settings::parse_time(value, 1).ok_or_else(|| invalid(known, value))?;
                    settings::format_time(time)
                } else if *known == TIME_ZONE {
                    Zone::of_setting(value).ok_or_else(|| invalid(known, value))?.name.into_owned()
                } else {
                    value.to_owned()
                }
            }
            Some(value) => return Err(invalid(known, value)),
        };
        // Whatever spelling was accepted, there is one value behind it.
        let one = self.default(known).filter(|_| legal.len() > 1).map(str::to_owned);
        let value = one.unwrap_or(value);
        self.values.insert(Cow::Borrowed(known), value.clone());
        Ok(told.then(|| ((*known).to_owned(), value)))
    }

    /// Names with a dot are a client's own; a server setting can't be changed here.
    fn set_other(&mut self, name: &str, value: Option<&str>) -> Result<Option<(String, String)>> {
        if let Some(setting) = settings::by_name(name) {
            // What has no effect here may be set, as long as Postgres would take the value.
            if setting.effect == settings::Effect::AcceptedNoEffect
                && setting.group == settings::Group::Memory
            {
                let text = value.unwrap_or(setting.default);
                let parsed = setting.parse(text).map_err(|_| invalid(setting.name, text))?;
                self.values.insert(Cow::Borrowed(setting.name), parsed.to_string());
                return Ok(None);
            }
            let message = format!("parameter \"{name}\" cannot be changed without restarting the server");
            return Err(SqlError::new("55P02", message));
        }
        if !name.contains('.') {
            return Err(unknown(name));
        }
        match value {
            Some(value) => self.values.insert(Cow::Owned(name.to_owned()), value.to_owned()),
            None => self.values.remove(name),
        };
        Ok(None)
    }

    /// SHOW
    pub fn show(&self, name: &str, server: &settings::Resolved) -> Result<String> {
        let own = self.own().into_iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
        if let Some((_, value)) = own {
            return Ok(value.to_owned());
        }
        let entry = settings::by_name(name).map(|setting| server.entry(setting.name));
        entry.map(settings::Entry::shown).ok_or_else(|| unknown(name))
    }

    /// The session's time zone.
    pub fn time_zone(&self) -> &str {
        self.get(TIME_ZONE).unwrap_or_default()
    }

    /// A timeout in milliseconds.
    pub fn timeout(&self, name: &str) -> u64 {
        self.get(name).and_then(|value| settings::parse_time(value, 1)).unwrap_or(0)
    }
}

fn unknown(name: &str) -> SqlError {
    SqlError::new("42704", format!("unrecognized configuration parameter \"{name}\""))
}

fn invalid(name: &str, value: &str) -> SqlError {
    SqlError::new("22023", format!("invalid value for parameter \"{name}\": \"{value}\""))
}
