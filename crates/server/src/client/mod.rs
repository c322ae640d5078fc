//! A client of the protocol: what `sql`, `createdb`, `dropdb` and the first start's scripts talk with.
//!
//! It blocks, speaks simple queries only, and knows nothing of terminals or scripts: [`target`] says
//! where to connect and as whom, [`scanner`] cuts scripts into statements, [`table`] prints results.

mod hosts;
pub mod report;
pub mod scanner;
pub mod script;
pub mod table;
pub mod target;
pub mod tls;

use crate::session::Stream;
use bytes::{Buf, BytesMut};
use pgwire::api::auth::sasl::scram::ScramClientAuth;
use pgwire::messages::copy::{CopyData, CopyDone, CopyFail};
use pgwire::messages::response::TransactionStatus;
use pgwire::messages::simplequery::Query;
use pgwire::messages::startup::{Authentication, Password, SASLInitialResponse, SASLResponse, Startup};
use pgwire::messages::terminate::Terminate;
use pgwire::messages::{DecodeContext, Message, PgWireBackendMessage as Backend, ProtocolVersion};
use report::Report;
use std::collections::BTreeMap;
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::time::Duration;
use target::Target;

/// A column of a result.
#[derive(Debug, Clone)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type's OID.
    pub oid: u32,
}

/// What comes back while a query runs.
#[derive(Debug)]
pub enum Event {
    /// A result with these columns begins.
    Columns(Vec<Column>),
    /// A row of it.
    Row(Vec<Option<String>>),
    /// A statement is done; its tag.
    Done(String),
    /// The query held no statement.
    Empty,
    /// A statement failed, and the rest of the query is skipped.
    Error(Report),
    /// A remark.
    Notice(Report),
    /// The server waits for the data of COPY FROM STDIN.
    CopyIn,
    /// Data goes both ways from now on.
    CopyBoth,
    /// A piece of the data of COPY TO STDOUT.
    CopyData(Vec<u8>),
    /// The next query may be sent.
    Ready,
}

/// Why there is no connection, in one line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Lost {
    /// The server asks for a password and there is none.
    NoPassword,
    /// Nothing came within the patience; what came before is kept.
    Silent,
    /// Anything else.
    Other(String),
}

impl std::fmt::Display for Lost {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::NoPassword => f.write_str("fe_sendauth: no password supplied; set PGPASSWORD"),
            Self::Silent => f.write_str("the server did not answer in time"),
            Self::Other(why) => f.write_str(why),
        }
    }
}

/// The message SSLRequest: its length and its code.
const SSL_REQUEST: [u8; 8] = [0, 0, 0, 8, 0x04, 0xd2, 0x16, 0x2f];

/// A connection.
pub struct Client {
    stream: Stream,
    context: DecodeContext,
    input: BytesMut,
    /// What the server said of itself.
    pub parameters: BTreeMap<String, String>,
    status: TransactionStatus,
}

impl Client {
    /// Connects and logs in, with and without TLS in the order that the target asks for.
    pub fn connect(target: &Target) -> Result<Self, Lost> {
        Self::connect_with(target, &[])
    }

    /// Connects for replication.
    pub fn connect_for_replication(target: &Target) -> Result<Self, Lost> {
        Self::connect_with(target, &[("replication", "true")])
    }

    fn connect_with(target: &Target, extra: &[(&str, &str)]) -> Result<Self, Lost> {
        let failed = |why: String| Lost::Other(format!("connection to server at {target} failed: {why}"));
        let attempts = if target.socket().is_some() { &[false] } else { target.tls.mode.attempts() };
        let mut first: Option<Lost> = None;
        for encrypted in attempts {
            match Self::attempt(target, extra, *encrypted) {
                // Without TLS it would be the same: the server can't, or a password is missing.
                Ok((client, secure)) => match client {
                    Ok(client) => return Ok(client),
                    Err(Lost::NoPassword) => return Err(Lost::NoPassword),
                    Err(lost) => {
                        first.get_or_insert(failed(lost.to_string()));
                        if *encrypted && !secure {
                            break;
                        }
                    }
                },
                Err(why) => drop(first.get_or_insert(failed(why))),
            }
        }
        Err(first.unwrap_or_else(|| failed("no way to connect is left".to_owned())))
    }

    /// One attempt; whether it was under TLS comes with what came of the login.
    fn attempt(
        target: &Target,
        extra: &[(&str, &str)],
        encrypted: bool,
    ) -> Result<(Result<Self, Lost>, bool), String> {
        let stream = open(target).map_err(|error| error.to_string())?;
        // A server that takes longer than this for a handshake is not there.
        let _ = stream.set_read_timeout(Some(target.timeout));
        let secure = encrypted && encrypt(&stream, target)?;
        let mut context = DecodeContext::new(ProtocolVersion::PROTOCOL3_0);
        (context.awaiting_frontend_ssl, context.awaiting_frontend_startup) = (false, false);
        let mut client = Self {
            stream,
            context,
            input: BytesMut::new(),
            parameters: BTreeMap::new(),
            status: TransactionStatus::Idle,
        };
        let result = client.log_in(target, extra);
        Ok((result.map(|()| client), secure))
    }

    /// Limits the wait for whatever comes next.
    pub fn set_patience(&self, patience: Option<Duration>) {
        // A socket that refuses is found broken by the next read.
        let _ = self.stream.set_read_timeout(patience);
    }

    fn log_in(&mut self, target: &Target, extra: &[(&str, &str)]) -> Result<(), Lost> {
        let mut startup = Startup::default();
        (startup.protocol_number_major, startup.protocol_number_minor) = (3, 0);
        let parameters =
            [("user", &target.user), ("database", &target.dbname), ("application_name", &target.application)];
        for (name, value) in parameters {
            startup.parameters.insert(name.to_owned(), value.clone());
        }
        startup.parameters.insert("client_encoding".to_owned(), "UTF8".to_owned());
        for (name, value) in extra {
            startup.parameters.insert((*name).to_owned(), (*value).to_owned());
        }
        self.send(&startup)?;
        let broken = |error: &dyn std::fmt::Display| Lost::Other(error.to_string());
        let scram = |password: &Option<String>| {
            let password = password.clone().ok_or(Lost::NoPassword)?;
            Ok(ScramClientAuth::new(String::new(), password))
        };
        let mut first = None;
        let mut last = None;
        loop {
            match self.read()? {
                Backend::Authentication(Authentication::Ok) => {}
                Backend::Authentication(Authentication::SASL(methods)) => {
                    if !methods.iter().any(|method| method == "SCRAM-SHA-256") {
                        return Err(Lost::Other(format!("unknown ways to log in: {}", methods.join(", "))));
                    }
                    let (text, state) =
                        scram(&target.password)?.build_client_first().map_err(|e| broken(&e))?;
                    first = Some(state);
                    let data = Some(text.into_bytes().into());
                    self.send(&SASLInitialResponse::new("SCRAM-SHA-256".to_owned(), data))?;
                }
                Backend::Authentication(Authentication::SASLContinue(data)) => {
                    let state = first.take().ok_or_else(|| broken(&"the login is out of order"))?;
                    let (text, state) = state.build_client_final(&data).map_err(|e| broken(&e))?;
                    last = Some(state);
                    self.send(&SASLResponse::new(text.into_bytes().into()))?;
                }
                Backend::Authentication(Authentication::SASLFinal(data)) => {
                    let state = last.take().ok_or_else(|| broken(&"the login is out of order"))?;
                    state.verify_server_final(&data).map_err(|e| broken(&e))?;
                }
                Backend::Authentication(Authentication::CleartextPassword) => {
                    let password = target.password.clone().ok_or(Lost::NoPassword)?;
                    self.send(&Password::new(password))?;
                }
                Backend::Authentication(_) => {
                    return Err(Lost::Other(
                        "the server asks for a way to log in that is not known here".into(),
                    ));
                }
                Backend::ErrorResponse(error) => return Err(Lost::Other(Report::new(error.fields).line())),
                Backend::ParameterStatus(status) => self.note(status.name, status.value),
                Backend::ReadyForQuery(_) => break,
                _ => {}
            }
        }
        let _ = self.stream.set_read_timeout(None);
        Ok(())
    }

    /// Sends a query; [`Client::event`] tells what becomes of it, up to [`Event::Ready`].
    pub fn query(&mut self, text: &str) -> Result<(), Lost> {
        self.send(&Query::new(text.to_owned()))
    }

    /// What comes next.
    pub fn event(&mut self) -> Result<Event, Lost> {
        loop {
            return Ok(match self.read()? {
                Backend::RowDescription(description) => {
                    let column = |field: pgwire::messages::data::FieldDescription| Column {
                        name: field.name,
                        oid: field.type_id,
                    };
                    Event::Columns(description.fields.into_iter().map(column).collect())
                }
                Backend::DataRow(row) => Event::Row(fields(row.data, row.field_count)?),
                Backend::CommandComplete(complete) => Event::Done(complete.tag),
                Backend::EmptyQueryResponse(_) => Event::Empty,
                Backend::ErrorResponse(error) => {
                    let report = Report::new(error.fields);
                    if report.ends_session() {
                        return Err(Lost::Other(report.line()));
                    }
                    Event::Error(report)
                }
                Backend::NoticeResponse(notice) => Event::Notice(Report::new(notice.fields)),
                Backend::CopyInResponse(_) => Event::CopyIn,
                Backend::CopyBothResponse(_) => Event::CopyBoth,
                Backend::CopyData(data) => Event::CopyData(data.data.to_vec()),
                Backend::ReadyForQuery(ready) => {
                    self.status = ready.status;
                    Event::Ready
                }
                Backend::ParameterStatus(status) => {
                    self.note(status.name, status.value);
                    continue;
                }
                _ => continue,
            });
        }
    }

    /// Runs a query for its effect alone.
    pub fn execute(&mut self, text: &str) -> Result<Result<(), Report>, Lost> {
        self.query(text)?;
        let mut result = Ok(());
        loop {
            match self.event()? {
                Event::Ready => return Ok(result),
                Event::Error(report) => result = Err(report),
                Event::CopyIn => self.copy_fail("no data")?,
                _ => {}
            }
        }
    }

    /// Sends a piece of COPY's data.
    pub fn copy_data(&mut self, data: Vec<u8>) -> Result<(), Lost> {
        self.send(&CopyData::new(data.into()))
    }

    /// Ends COPY's data.
    pub fn copy_done(&mut self) -> Result<(), Lost> {
        self.send(&CopyDone::new())
    }

    /// Takes COPY back.
    pub fn copy_fail(&mut self, why: &str) -> Result<(), Lost> {
        self.send(&CopyFail::new(why.to_owned()))
    }

    /// Whether a transaction block is open, failed or not.
    pub fn in_transaction(&self) -> bool {
        self.status != TransactionStatus::Idle
    }

    fn note(&mut self, name: String, value: String) {
        self.parameters.insert(name, value);
    }

    fn send(&mut self, message: &impl Message) -> Result<(), Lost> {
        let mut bytes = BytesMut::new();
        message.encode(&mut bytes).map_err(|error| Lost::Other(error.to_string()))?;
        // The server's last words tell more than a broken pipe: they are read next.
        match self.stream.write_all(&bytes) {
            Err(error) if error.kind() != std::io::ErrorKind::BrokenPipe => {
                Err(Lost::Other(error.to_string()))
            }
            _ => Ok(()),
        }
    }

    fn read(&mut self) -> Result<Backend, Lost> {
        loop {
            match Backend::decode(&mut self.input, &self.context) {
                Ok(Some(message)) => return Ok(message),
                Ok(None) => {}
                Err(error) => return Err(Lost::Other(format!("the server sent no valid message: {error}"))),
            }
            let mut chunk = [0; 16 * 1024];
            match self.stream.read(&mut chunk) {
                Ok(0) => return Err(Lost::Other("server closed the connection unexpectedly".to_owned())),
                Ok(count) => self.input.extend_from_slice(&chunk[..count]),
                Err(error) if error.kind() == std::io::ErrorKind::Interrupted => {}
                Err(error) if error.kind() == std::io::ErrorKind::WouldBlock => {
                    return Err(Lost::Silent);
                }
                Err(error) => return Err(Lost::Other(error.to_string())),
            }
        }
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        // Goodbye, if there still is somebody.
        let _ = self.send(&Terminate::new());
    }
}

/// Asks for TLS; says whether it is on.
fn encrypt(stream: &Stream, target: &Target) -> Result<bool, String> {
    stream.write_all(&SSL_REQUEST).map_err(|error| error.to_string())?;
    // One byte and no more: what follows belongs to the handshake.
    let mut answer = [0];
    let count = stream.read(&mut answer).map_err(|error| error.to_string())?;
    match &answer[..count] {
        b"S" => {
            let connection = target.tls.connection(&target.host)?;
            stream.secure(connection.into()).map_err(|error| format!("TLS handshake failed: {error}"))?;
            Ok(true)
        }
        b"N" if target.tls.mode.insists() => {
            Err("server does not support SSL, but SSL was required".to_owned())
        }
        b"N" => Ok(false),
        b"" => Err("server closed the connection unexpectedly".to_owned()),
        _ => Err("the server sent no valid answer to the request for TLS".to_owned()),
    }
}

fn fields(mut data: BytesMut, count: i16) -> Result<Vec<Option<String>>, Lost> {
    let short = || Lost::Other("the server sent a row that is too short".to_owned());
    let mut fields = Vec::new();
    for _ in 0..count {
        let length = data.try_get_i32().map_err(|_| short())?;
        let Ok(length) = usize::try_from(length) else {
            fields.push(None);
            continue;
        };
        if data.len() < length {
            return Err(short());
        }
        fields.push(Some(String::from_utf8_lossy(&data.split_to(length)).into_owned()));
    }
    Ok(fields)
}

fn open(target: &Target) -> std::io::Result<Stream> {
    if let Some(path) = target.socket() {
        return UnixStream::connect(path).map(Stream::from);
    }
    let mut last = std::io::Error::other(format!("host name \"{}\" has no address", target.host));
    for ip in hosts::addresses(&target.host)? {
        match TcpStream::connect_timeout(&SocketAddr::new(ip, target.port), target.timeout) {
            Ok(stream) => {
                stream.set_nodelay(true)?;
                return Ok(stream.into());
            }
            Err(error) => last = error,
        }
    }
    Err(last)
}
