//! The handshake: encryption, startup parameters, authentication, choice of the database.

use super::server::{Seat, Server, shutting_down};
use super::wire::{Incoming, Wire};
use super::{Parameters, Session, Transaction};
use crate::auth::hba::{self, Method, Visitor};
use crate::auth::scram;
use crate::engine::{Connection, Role};
use crate::log;
use crate::replication::sender;
use crate::sql::catalog::Relation;
use crate::sql::error::{Result, SqlError};
use crate::sql::system::closure;
use crate::sql::zone;
use pgwire::api::auth::sasl::scram::ScramServerAuth;
use pgwire::messages::startup::{
    Authentication, BackendKeyData, NegotiateProtocolVersion, PasswordMessageFamily, SecretKey,
};
use pgwire::messages::{PgWireFrontendMessage as Frontend, SslNegotiationMetaMessage};
use std::collections::{BTreeMap, HashMap};
use std::sync::Arc;
use std::time::Duration;

/// A client that proved who it is.
pub struct Greeting {
    role: Role,
    /// A replica, which wants the log and no database.
    pub replication: bool,
    database: String,
    options: BTreeMap<String, String>,
}

/// Talks until the client is authenticated; `None` if it only wanted to cancel or to look.
pub fn greet(server: &Arc<Server>, wire: &mut Wire) -> Result<Option<Greeting>> {
    let limit = Duration::from_millis(server.settings.time("authentication_timeout"));
    wire.stream.set_read_timeout(Some(limit)).map_err(|error| SqlError::fatal("08006", error.to_string()))?;
    let access = server.access();
    let startup = loop {
        match wire.read() {
            Ok(Frontend::SslNegotiation(SslNegotiationMetaMessage::None)) => {
                wire.context().awaiting_frontend_ssl = false
            }
            Ok(Frontend::SslNegotiation(SslNegotiationMetaMessage::PostgresSsl(_))) => {
                let tls = access.tls.clone().filter(|_| !wire.stream.is_unix() && !wire.stream.is_secure());
                match tls {
                    Some(config) => wire.encrypt(config)?,
                    None => wire.refuse_encryption()?,
                }
            }
            Ok(Frontend::SslNegotiation(_)) => wire.refuse_encryption()?,
            Ok(Frontend::CancelRequest(request)) => {
                if let Some(secret) = request.secret_key.as_i32() {
                    server.cancel(request.pid, secret);
                }
                return Ok(None);
            }
            Ok(Frontend::Startup(startup)) => break startup,
            Ok(_) => return Err(SqlError::fatal("08P01", "expected a startup message")),
            Err(incoming) => return gone(&incoming),
        }
    };
    wire.context().awaiting_frontend_startup = false;
    if startup.protocol_number_major != 3 {
        let (major, minor) = (startup.protocol_number_major, startup.protocol_number_minor);
        let message = format!("unsupported frontend protocol {major}.{minor}: server supports 3.0 to 3.0");
        return Err(SqlError::fatal("0A000", message));
    }
    let mut options = startup.parameters;
    let extensions: Vec<String> = options.keys().filter(|name| name.starts_with("_pq_.")).cloned().collect();
    if startup.protocol_number_minor > 0 || !extensions.is_empty() {
        wire.put(&NegotiateProtocolVersion::new(0, extensions))?;
    }
    if server.is_stopping() {
        return Err(shutting_down());
    }
    let user = options.remove("user").filter(|user| !user.is_empty());
    let user =
        user.ok_or_else(|| SqlError::fatal("28000", "no PostgreSQL user name specified in startup packet"))?;
    let database = options.remove("database").filter(|name| !name.is_empty()).unwrap_or_else(|| user.clone());
    let wish = options.remove("replication").filter(|value| settings::parse_bool(value) != Some(false));
    if wish.as_deref() == Some("database") {
        return Err(SqlError::fatal("0A000", "logical replication is not supported"));
    }
    let replication = wish.is_some();
    // In access rules the word stands for such connections, as Postgres has it.
    let database = if replication { "replication".to_owned() } else { database };
    let method = match &access.rules {
        // Who reaches this socket can read the files as well.
        _ if wire.stream.is_private() => Method::Trust,
        Some(rules) => {
            let (address, secure) = (wire.stream.address(), wire.stream.is_secure());
            // A TCP client whose address is gone is gone itself, and no local one.
            if address.is_none() && !wire.stream.is_unix() {
                return Ok(None);
            }
            hba::decide(rules, &Visitor { address, secure, user: &user, database: &database })?
        }
        None if server.cluster.trust || wire.stream.is_own_user() => Method::Trust,
        None => Method::Scram,
    };
    let role = authenticate(server, wire, &user, method)?;
    if replication && !role.replication && !role.superuser {
        let message = "must be superuser or replication role to start walsender";
        return Err(SqlError::fatal("42501", message));
    }
    Ok(Some(Greeting { role, replication, database, options }))
}

fn gone(incoming: &Incoming) -> Result<Option<Greeting>> {
    match incoming {
        Incoming::Malformed(why) => Err(SqlError::fatal("08P01", format!("invalid startup packet: {why}"))),
        Incoming::TimedOut => Err(SqlError::fatal("57014", "canceling authentication due to timeout")),
        Incoming::End => Ok(None),
    }
}

fn authenticate(server: &Server, wire: &mut Wire, user: &str, method: Method) -> Result<Role> {
    let role = server.cluster.role(user)?;
    let refused = || SqlError::fatal("28P01", format!("password authentication failed for user \"{user}\""));
    if method == Method::Trust {
        let role = role.ok_or_else(|| SqlError::fatal("28000", format!("role \"{user}\" does not exist")))?;
        return permitted(role);
    }
    // An unknown user goes through the same exchange and fails at the same place.
    let known = role.as_ref().and_then(|role| role.verifier.as_deref()).and_then(scram::parse);
    let secret = known.unwrap_or_else(|| scram::mock(user, &server.cluster.seed));
    wire.put(&Authentication::SASL(vec!["SCRAM-SHA-256".to_owned()]))?;
    wire.flush()?;
    let malformed = |why: String| SqlError::fatal("08P01", format!("malformed SCRAM message: {why}"));
    let first =
        password_message(wire)?.into_sasl_initial_response().map_err(|error| malformed(error.to_string()))?;
    if first.auth_method != "SCRAM-SHA-256" {
        return Err(SqlError::fatal("08P01", "client selected an invalid SASL authentication mechanism"));
    }
    let data = first.data.ok_or_else(|| malformed("the first message is empty".to_owned()))?;
    let exchange = ScramServerAuth::new().on_client_first_message_with_secret(&data, secret);
    let (answer, exchange) = exchange.map_err(|error| malformed(error.to_string()))?;
    wire.put(&Authentication::SASLContinue(answer.into()))?;
    wire.flush()?;
    let last = password_message(wire)?.into_sasl_response().map_err(|error| malformed(error.to_string()))?;
    let answer = exchange.on_client_final_message(&last.data).map_err(|_| refused())?;
    let role = role.filter(|role| role.verifier.is_some()).ok_or_else(refused)?;
    wire.put(&Authentication::SASLFinal(answer.into()))?;
    permitted(role)
}

fn permitted(role: Role) -> Result<Role> {
    if role.login {
        return Ok(role);
    }
    Err(SqlError::fatal("28000", format!("role \"{}\" is not permitted to log in", role.name)))
}

fn password_message(wire: &mut Wire) -> Result<PasswordMessageFamily> {
    match wire.read() {
        Ok(Frontend::PasswordMessageFamily(message)) => Ok(message),
        Ok(_) => Err(SqlError::fatal("08P01", "expected a password message")),
        Err(Incoming::TimedOut) => Err(SqlError::fatal("57014", "canceling authentication due to timeout")),
        Err(_) => Err(SqlError::fatal("08006", "the client left during authentication")),
    }
}

impl Greeting {
    /// Takes a seat, opens the database, and tells the client what it should know.
    pub fn into_session(self, server: &Arc<Server>, mut wire: Wire) -> Option<Session> {
        let opened = self.open(server, &mut wire);
        match opened {
            Ok((seat, connection, parameters)) => Some(Session {
                server: Arc::clone(server),
                seat,
                wire,
                connection,
                parameters,
                login: (self.role.name.clone(), self.role.superuser),
                user: self.role.name,
                superuser: self.role.superuser,
                transaction: Transaction::Idle,
                savepoints: Vec::new(),
                access: Default::default(),
                epoch: 0,
                statements: HashMap::new(),
                portals: HashMap::new(),
                plans: Default::default(),
                cursors: HashMap::new(),
                saved: None,
                notifications: Vec::new(),
                listening: false,
                resting: false,
                skipping: false,
                rolled_back: false,
            }),
            Err(error) => {
                let error = SqlError { fatal: true, ..error };
                server.metrics.error(error.code);
                log::event(log::Level::Debug, "connection refused", &[("error", &error.message)]);
                // The client may be gone already.
                let _ = wire.error(&error, "").and_then(|()| wire.flush());
                None
            }
        }
    }

    /// Serves a replica to its end.
    pub fn follow(self, server: &Arc<Server>, mut wire: Wire) {
        let name = self.options.get("application_name").filter(|name| !name.is_empty());
        let name = name.cloned().unwrap_or_else(|| self.role.name.clone());
        let serve = |wire: &mut Wire| -> Result<()> {
            let seat = server.seat(&wire.stream, &self.role.name, None, self.role.superuser)?;
            seat.activity.is_called(&name);
            wire.put(&Authentication::Ok)?;
            wire.parameter("server_version", crate::sql::POSTGRES_VERSION)?;
            wire.put(&BackendKeyData::new(seat.pid, SecretKey::I32(seat.secret)))?;
            sender::serve(server, wire, &seat, &self.role.name, &name)
        };
        if let Err(error) = serve(&mut wire) {
            server.metrics.error(error.code);
            // The replica may be gone already.
            let _ = wire.error(&SqlError { fatal: true, ..error }, "").and_then(|()| wire.flush());
        }
    }

    /// Everybody may connect to a new database, but REVOKE may have ended that.
    fn may_connect(&self, server: &Server) -> Result<()> {
        let cluster = &server.cluster;
        let records = cluster.database_records()?;
        let roles = closure(&cluster.members()?, &self.role.name);
        let open = |database: &Relation| roles.iter().any(|role| database.allows(role, 'c'));
        if self.role.superuser || records.iter().any(|record| record.name == self.database && open(record)) {
            return Ok(());
        }
        let message = format!("permission denied for database \"{}\"", self.database);
        Err(SqlError::fatal("42501", message).detail("User does not have CONNECT privilege."))
    }

    fn open(&self, server: &Arc<Server>, wire: &mut Wire) -> Result<(Seat, Connection, Parameters)> {
        let database = Some(self.database.as_str());
        let seat = server.seat(&wire.stream, &self.role.name, database, self.role.superuser)?;
        let database = server.cluster.database(&self.database)?;
        self.may_connect(server)?;
        let connection = Connection::open(database, Arc::clone(&seat.interrupt), seat.pid)?;
        let mut parameters = Parameters::new(&server.settings);
        parameters.force("session_authorization", &self.role.name);
        parameters.force("is_superuser", if self.role.superuser { "on" } else { "off" });
        wire.put(&Authentication::Ok)?;
        let wishes = self.options.iter().filter(|(name, _)| *name != "options" && !name.starts_with("_pq_."));
        let wishes = wishes.map(|(name, value)| (name.clone(), value.clone()));
        let line = self.options.get("options").map(|line| command_line(line)).unwrap_or_default();
        for (name, value) in line.into_iter().chain(wishes) {
            // A client's wish at the start that can't be met doesn't keep it out.
            if parameters.set(&name, Some(&value)).is_err() {
                wire.notice("WARNING", "22023", &format!("parameter \"{name}\" can't be \"{value}\" here"))?;
            }
        }
        seat.activity.is_called(parameters.application_name());
        zone::enter(parameters.time_zone());
        for (name, value) in parameters.reported() {
            wire.parameter(name, value)?;
        }
        wire.put(&BackendKeyData::new(seat.pid, SecretKey::I32(seat.secret)))?;
        Ok((seat, connection, parameters))
    }
}

/// The settings in a client's `options`, such as `-c statement_timeout=5s --TimeZone=Europe/Paris`: what stands
/// behind a backslash is as it is.
fn command_line(text: &str) -> Vec<(String, String)> {
    let mut words = vec![String::new()];
    let mut characters = text.chars();
    while let Some(c) = characters.next() {
        match (c, words.last_mut()) {
            ('\\', Some(word)) => word.extend(characters.next()),
            (c, _) if c.is_whitespace() => words.push(String::new()),
            (c, Some(word)) => word.push(c),
            (_, None) => {}
        }
    }
    let mut settings = Vec::new();
    let mut words = words.into_iter().filter(|word| !word.is_empty());
    while let Some(word) = words.next() {
        let setting = match (word.strip_prefix("--"), word.strip_prefix("-c")) {
            (Some(setting), _) => setting.to_owned(),
            (None, Some("")) => words.next().unwrap_or_default(),
            (None, Some(setting)) => setting.to_owned(),
            (None, None) => continue,
        };
        if let Some((name, value)) = setting.split_once('=') {
            settings.push((name.replace('-', "_"), value.to_owned()));
        }
    }
    settings
}

#[cfg(test)]
mod tests {
    use super::command_line;

    #[test]
    fn options_are_read_as_postgres_reads_them() {
        for (text, expect) in [
            ("-c a=1", "a=1"),
            ("-ca=1 --b-c=2  -c d=", "a=1;b_c=2;d="),
            (r"-c a=x\ y -c b=c\\d", "a=x y;b=c\\d"),
            ("-c", ""),
            ("a=1 -F", ""),
            ("", ""),
        ] {
            let settings: Vec<String> =
                command_line(text).into_iter().map(|(name, value)| format!("{name}={value}")).collect();
            assert_eq!(settings.join(";"), expect, "{text:?}");
        }
    }
}
