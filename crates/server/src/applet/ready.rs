//! `ready`: says whether a server accepts connections, with pg_isready's exit codes. It needs no password.

use super::Failure;
use crate::session::Stream;
use bytes::BytesMut;
use pgwire::messages::Message;
use pgwire::messages::startup::Startup;
use std::net::{IpAddr, Ipv4Addr, SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::process::ExitCode;
use std::time::Duration;

/// What a server answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Answer {
    Accepting,
    Rejecting(String),
    None(String),
}

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    // pg_isready's code for "no attempt was made".
    let (target, quiet) = options(args).map_err(|failure| Failure { code: 3, ..failure })?;
    let (text, code) = match probe(&target) {
        Answer::Accepting => ("accepting connections".to_owned(), 0),
        Answer::Rejecting(why) => (format!("rejecting connections: {why}"), 1),
        Answer::None(why) => (format!("no response: {why}"), 2),
    };
    if !quiet {
        println!("{target} - {text}");
    }
    Ok(ExitCode::from(code))
}

/// Where a server listens.
pub(super) struct Target {
    host: String,
    port: u16,
    timeout: Duration,
}

impl std::fmt::Display for Target {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}:{}", self.host, self.port)
    }
}

impl Target {
    /// This container's server, by its settings.
    pub(super) fn local(args: &[String]) -> Result<Self, Failure> {
        let settings = super::resolve(args)?;
        let port = u16::try_from(settings.int("port")).unwrap_or(5432);
        let host = settings.text("unix_socket_directory").to_owned();
        Ok(Self { host, port, timeout: Duration::from_millis(2500) })
    }
}

fn options(args: &[String]) -> Result<(Target, bool), Failure> {
    let mut target = Target::local(&[])?;
    let mut quiet = false;
    if let Ok(host) = std::env::var("PGHOST") {
        target.host = host;
    }
    if let Some(port) = std::env::var("PGPORT").ok().and_then(|port| port.parse().ok()) {
        target.port = port;
    }
    let mut args = args.iter();
    while let Some(arg) = args.next() {
        let (flag, joined) = match arg.split_once('=') {
            Some((flag, value)) => (flag, Some(value.to_owned())),
            None if arg.len() > 2 && !arg.starts_with("--") && arg.is_char_boundary(2) => {
                (&arg[..2], Some(arg[2..].to_owned()))
            }
            None => (arg.as_str(), None),
        };
        if flag == "-q" || flag == "--quiet" {
            quiet = true;
            continue;
        }
        let value = joined.or_else(|| args.next().cloned());
        let value = value.ok_or_else(|| Failure::usage(format!("option `{flag}` needs a value")))?;
        let number = |what: &str| Failure::usage(format!("{what} `{value}` is no number in range"));
        match flag {
            "-h" | "--host" => target.host = value,
            "-p" | "--port" => target.port = value.parse().map_err(|_| number("port"))?,
            "-t" | "--timeout" => {
                target.timeout = Duration::from_secs(value.parse().map_err(|_| number("timeout"))?);
            }
            // They say who would connect; the answer doesn't depend on it.
            "-d" | "--dbname" | "-U" | "--username" => {}
            _ => {
                return Err(Failure::usage(format!(
                    "unknown option `{arg}`; known are -h, -p, -t, -q, -d, -U"
                )));
            }
        }
    }
    Ok((target, quiet))
}

/// Says hello and looks whether the server asks for a password, lets in, or refuses.
pub(super) fn probe(target: &Target) -> Answer {
    let timeout = if target.timeout.is_zero() { Duration::from_secs(60) } else { target.timeout };
    let talk = || -> std::io::Result<Answer> {
        let stream = if target.host.starts_with('/') {
            Stream::from(UnixStream::connect(format!("{}/.s.PGSQL.{}", target.host, target.port))?)
        } else {
            Stream::from(TcpStream::connect_timeout(&address(target)?, timeout)?)
        };
        stream.set_read_timeout(Some(timeout))?;
        let mut startup = Startup::default();
        (startup.protocol_number_major, startup.protocol_number_minor) = (3, 0);
        startup.parameters.insert("user".to_owned(), "ready".to_owned());
        let mut hello = BytesMut::new();
        startup.encode(&mut hello).map_err(std::io::Error::other)?;
        stream.write_all(&hello)?;
        let mut answer = [0; 512];
        let count = stream.read(&mut answer)?;
        Ok(match answer[..count].first() {
            None => Answer::Rejecting("the connection was closed".to_owned()),
            Some(b'E') => refusal(&answer[..count]),
            Some(_) => Answer::Accepting,
        })
    };
    talk().unwrap_or_else(|error| Answer::None(error.to_string()))
}

/// A refusal by name still shows a server that works; only the states of a server that doesn't count.
fn refusal(message: &[u8]) -> Answer {
    let fields = message.get(5..).unwrap_or_default().split(|byte| *byte == 0);
    let fields: Vec<String> = fields.map(|field| String::from_utf8_lossy(field).into_owned()).collect();
    let field =
        |code: char| fields.iter().find_map(|field| field.strip_prefix(code)).unwrap_or_default().to_owned();
    match field('C').as_str() {
        "57P03" | "53300" => Answer::Rejecting(field('M')),
        _ => Answer::Accepting,
    }
}

fn address(target: &Target) -> std::io::Result<SocketAddr> {
    let host = if target.host == "localhost" {
        IpAddr::V4(Ipv4Addr::LOCALHOST).to_string()
    } else {
        target.host.clone()
    };
    let ip: IpAddr = host.parse().map_err(|_| {
        std::io::Error::other(format!(
            "`{host}` is neither an IP address nor localhost nor a socket directory"
        ))
    })?;
    Ok(SocketAddr::new(ip, target.port))
}
