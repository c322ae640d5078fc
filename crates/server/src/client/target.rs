//! Where a client connects to, and as whom: flags, conninfo strings and URIs, PG* variables, ~/.pgpass.

use super::tls::{Mode, Tls};
use std::collections::BTreeMap;
use std::os::unix::fs::MetadataExt;
use std::path::PathBuf;
use std::time::Duration;

/// Where a client connects to, and as whom.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Target {
    /// A name, an address, or the directory of a Unix socket.
    pub host: String,
    /// The port.
    pub port: u16,
    /// The user.
    pub user: String,
    /// The password, if one is known.
    pub password: Option<String>,
    /// The database.
    pub dbname: String,
    /// What the client calls itself.
    pub application: String,
    /// How long connecting may take.
    pub timeout: Duration,
    /// Whether the connection is encrypted, and how the server is checked.
    pub tls: Tls,
}

impl Target {
    /// The path of the Unix socket, if it is one.
    pub fn socket(&self) -> Option<PathBuf> {
        self.host.starts_with('/').then(|| PathBuf::from(format!("{}/.s.PGSQL.{}", self.host, self.port)))
    }

    /// The same with some things changed, as `\connect` does it.
    pub fn change(&mut self, given: &Given) -> Result<(), String> {
        let mut all = Given::from(
            [("host", &self.host), ("user", &self.user), ("dbname", &self.dbname)]
                .map(|(name, value)| (name.to_owned(), value.clone())),
        );
        all.insert("port".to_owned(), self.port.to_string());
        all.insert("application_name".to_owned(), self.application.clone());
        all.extend(self.password.clone().map(|password| ("password".to_owned(), password)));
        all.extend(given.clone());
        *self = Self { timeout: self.timeout, tls: self.tls.clone(), ..resolve(&all, &|_| None, None)? };
        Ok(())
    }
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self.socket() {
            Some(path) => write!(f, "socket \"{}\"", path.display()),
            None => write!(f, "\"{}\", port {}", self.host, self.port),
        }
    }
}

/// What was given for a connection, by libpq's names.
pub type Given = BTreeMap<String, String>;

/// libpq's names that mean something here, and the variable of each.
const KNOWN: &[(&str, &str)] = &[
    ("host", "PGHOST"),
    ("hostaddr", "PGHOSTADDR"),
    ("port", "PGPORT"),
    ("user", "PGUSER"),
    ("password", "PGPASSWORD"),
    ("dbname", "PGDATABASE"),
    ("passfile", "PGPASSFILE"),
    ("application_name", "PGAPPNAME"),
    ("connect_timeout", "PGCONNECT_TIMEOUT"),
    ("sslmode", "PGSSLMODE"),
    ("sslrootcert", "PGSSLROOTCERT"),
];

/// Adds what a `dbname` says: a plain name, `key=value` pairs or a URI.
pub fn add_dbname(given: &mut Given, text: &str) -> Result<(), String> {
    let parsed = if text.starts_with("postgresql://") || text.starts_with("postgres://") {
        parse_uri(text)?
    } else if text.contains('=') {
        parse_pairs(text)?
    } else {
        Given::from([("dbname".to_owned(), text.to_owned())])
    };
    for (name, value) in parsed {
        if !KNOWN.iter().any(|(known, _)| *known == name) {
            return Err(format!("invalid connection option \"{name}\""));
        }
        given.insert(name, value);
    }
    Ok(())
}

/// Merges what was given with the environment, the password file and the server's own settings.
pub fn resolve(
    given: &Given,
    env: &dyn Fn(&str) -> Option<String>,
    settings: Option<&settings::Resolved>,
) -> Result<Target, String> {
    let value = |name: &str| {
        let variable = KNOWN.iter().find(|(known, _)| *known == name).map(|(_, variable)| *variable);
        let from_env = || variable.and_then(env);
        given.get(name).cloned().or_else(from_env).filter(|value| !value.is_empty())
    };
    let setting = |name: &str| settings.map(|s| s.entry(name).shown()).filter(|text| !text.is_empty());
    let mode = value("sslmode").map(|text| Mode::parse(&text)).transpose()?.unwrap_or_default();
    let home = |file: &str| env("HOME").map(|home| format!("{home}/{file}"));
    let tls = Tls {
        mode,
        root: value("sslrootcert").or_else(|| home(".postgresql/root.crt")),
        name: value("hostaddr").and_then(|_| value("host")),
    };
    let host = value("hostaddr").or_else(|| value("host"));
    let host = host.or_else(|| setting("unix_socket_directory")).unwrap_or_else(|| "/tmp".to_owned());
    if host.contains(',') {
        return Err(format!("host \"{host}\": one host at a time"));
    }
    let port = value("port").or_else(|| setting("port")).unwrap_or_else(|| "5432".to_owned());
    let port = port.parse().ok().filter(|port| *port > 0);
    let port =
        port.ok_or_else(|| format!("invalid port number: \"{}\"", value("port").unwrap_or_default()))?;
    let user = value("user");
    // Who names no user is the superuser of this container, and means its database.
    let own = if user.is_none() { setting("db") } else { None };
    let user = user.or_else(|| setting("user")).unwrap_or_else(|| "scratchbird".to_owned());
    let dbname = value("dbname").or(own).unwrap_or_else(|| user.clone());
    let seconds = value("connect_timeout").map_or(Ok(0), |text| {
        text.parse().map_err(|_| format!("invalid connect_timeout \"{text}\": a number of seconds"))
    })?;
    let timeout = Duration::from_secs(if seconds == 0 { 60 } else { seconds });
    let application = value("application_name").unwrap_or_else(|| "psql".to_owned());
    let mut target =
        Target { host, port, user, password: value("password"), dbname, application, timeout, tls };
    if target.password.is_none() {
        target.password =
            value("passfile").or_else(|| home(".pgpass")).and_then(|path| from_file(&path, &target));
    }
    Ok(target)
}

/// A password file that others can read is not used, as libpq does it.
fn from_file(path: &str, target: &Target) -> Option<String> {
    let metadata = std::fs::metadata(path).ok().filter(std::fs::Metadata::is_file)?;
    if metadata.mode() & 0o077 != 0 {
        eprintln!("warning: password file \"{path}\" has group or world access; run `chmod 600 {path}`");
        return None;
    }
    password_for(&std::fs::read_to_string(path).ok()?, target)
}

fn password_for(file: &str, target: &Target) -> Option<String> {
    let host = if target.host.starts_with('/') { "localhost" } else { &target.host };
    let port = target.port.to_string();
    let wanted = [host, &port, &target.dbname, &target.user];
    file.lines().filter(|line| !line.starts_with('#')).find_map(|line| {
        let [fields @ .., password] = &split_escaped(line)[..] else { return None };
        let fits = fields.len() == 4 && fields.iter().zip(wanted).all(|(f, w)| f == "*" || f == w);
        (fits && !password.is_empty()).then(|| password.clone())
    })
}

/// Five fields between colons; a backslash takes the next character as it is.
fn split_escaped(line: &str) -> Vec<String> {
    let mut fields = vec![String::new()];
    let mut characters = line.chars();
    while let Some(character) = characters.next() {
        let last = fields.len();
        match character {
            ':' if last < 5 => fields.push(String::new()),
            '\\' => fields[last - 1].extend(characters.next()),
            other => fields[last - 1].push(other),
        }
    }
    fields
}

/// `host=/tmp dbname='a b'`
fn parse_pairs(text: &str) -> Result<Given, String> {
    let mut given = Given::new();
    let mut rest = text.trim_start();
    while !rest.is_empty() {
        let (name, after) = rest
            .split_once('=')
            .ok_or_else(|| format!("missing \"=\" after \"{rest}\" in connection info string"))?;
        let after = after.trim_start();
        let quoted = after.starts_with('\'');
        let mut value = String::new();
        let mut characters = after.char_indices().skip(usize::from(quoted));
        let end = loop {
            match characters.next() {
                Some((_, '\\')) => value.extend(characters.next().map(|(_, character)| character)),
                Some((at, '\'')) if quoted => break at + 1,
                Some((at, character)) if !quoted && character.is_whitespace() => break at,
                Some((_, character)) => value.push(character),
                None if quoted => {
                    return Err("unterminated quoted string in connection info string".to_owned());
                }
                None => break after.len(),
            }
        };
        given.insert(name.trim().to_owned(), value);
        rest = after[end..].trim_start();
    }
    Ok(given)
}

/// `postgresql://user:password@host:port/dbname?name=value`
fn parse_uri(text: &str) -> Result<Given, String> {
    let mut given = Given::new();
    let rest = text.split_once("://").map_or("", |(_, rest)| rest);
    let (rest, query) = rest.split_once('?').unwrap_or((rest, ""));
    let (authority, dbname) = rest.split_once('/').unwrap_or((rest, ""));
    let (login, place) = authority.rsplit_once('@').unwrap_or(("", authority));
    let (user, password) = login.split_once(':').unwrap_or((login, ""));
    let (host, port) = match place.strip_prefix('[') {
        Some(bracketed) => {
            let closed = bracketed.split_once(']');
            let (host, rest) = closed.ok_or_else(|| format!("end of \"]\" is missing in URI \"{place}\""))?;
            (host, rest.strip_prefix(':').unwrap_or(""))
        }
        None => place.split_once(':').unwrap_or((place, "")),
    };
    let parts = [("user", user), ("password", password), ("host", host), ("port", port), ("dbname", dbname)];
    for (name, value) in parts.into_iter().filter(|(_, value)| !value.is_empty()) {
        given.insert(name.to_owned(), decode(value)?);
    }
    for pair in query.split('&').filter(|pair| !pair.is_empty()) {
        let (name, value) =
            pair.split_once('=').ok_or_else(|| format!("missing \"=\" in URI query parameter \"{pair}\""))?;
        given.insert(decode(name)?, decode(value)?);
    }
    Ok(given)
}

fn decode(text: &str) -> Result<String, String> {
    let invalid = || format!("invalid percent-encoded token: \"{text}\"");
    let mut bytes = Vec::new();
    let mut rest = text.bytes();
    while let Some(byte) = rest.next() {
        if byte != b'%' {
            bytes.push(byte);
            continue;
        }
        let digit = |byte: Option<u8>| char::from(byte?).to_digit(16).and_then(|d| u8::try_from(d).ok());
        let (high, low) = (digit(rest.next()).ok_or_else(invalid)?, digit(rest.next()).ok_or_else(invalid)?);
        bytes.push(high * 16 + low);
    }
    String::from_utf8(bytes).map_err(|_| invalid())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(dbname: &str, env: &[(&str, &str)], expect: &str) {
        let mut given = Given::new();
        let look = |name: &str| env.iter().find(|(n, _)| *n == name).map(|(_, value)| (*value).to_owned());
        let got = add_dbname(&mut given, dbname).and_then(|()| resolve(&given, &look, None));
        let got = got.map(|t| {
            format!("{} {} {} {} {}", t.host, t.port, t.user, t.dbname, t.password.unwrap_or_default())
        });
        assert_eq!(got.unwrap_or_else(|error| format!("error: {error}")), expect, "{dbname}");
    }

    #[test]
    fn a_target_is_read_in_libpqs_three_forms() {
        check("db", &[], "/tmp 5432 scratchbird db ");
        check("", &[("PGHOST", "h"), ("PGUSER", "u"), ("PGPASSWORD", "p")], "h 5432 u u p");
        check("host=h port=7 dbname='a\\' b' user = me", &[("PGHOST", "x")], "h 7 me a' b ");
        check("postgres://me:p%40s@[::1]:7/a%20b?application_name=x", &[], "::1 7 me a b p@s");
        check("postgresql://%2Frun/db", &[], "/run 5432 scratchbird db ");
        check("host='h", &[], "error: unterminated quoted string in connection info string");
        check("hots=h", &[], "error: invalid connection option \"hots\"");
        check("postgres://h?x", &[], "error: missing \"=\" in URI query parameter \"x\"");
        check("postgres://%zz", &[], "error: invalid percent-encoded token: \"%zz\"");
        check("sslmode=verify-full", &[], "/tmp 5432 scratchbird scratchbird ");
        check(
            "sslmode=on",
            &[],
            "error: invalid sslmode value: \"on\": allowed are disable, allow, prefer, require, verify-ca, verify-full",
        );
        check("port=99999", &[], "error: invalid port number: \"99999\"");
    }

    #[test]
    fn a_password_file_is_matched_field_by_field() {
        let target = resolve(&Given::new(), &|_| None, None).unwrap();
        let file = "# no\nother:*:*:*:a\nlocalhost:5432:*:scratch\\bird:b\\:c:d\n";
        assert_eq!(password_for(file, &target).as_deref(), Some("b:c:d"));
        assert_eq!(password_for("*:1:*:*:x\n*:*:*:*\n", &target), None);
    }
}
