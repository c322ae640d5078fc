//! A real server in a directory of its own, for the tests.
#![allow(missing_docs, dead_code, reason = "each test binary uses a part of the harness")]

pub mod postgres;

use std::io::Read;
use std::net::TcpListener;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};
use tempfile::TempDir;
use tokio_postgres::{Client, Config, NoTls, SimpleQueryMessage};

pub const PASSWORD: &str = "s3cret 'quoted'";
/// Long enough for a noisy machine; nothing waits that long when all is well.
pub const PATIENCE: Duration = Duration::from_secs(60);

pub struct Node {
    pub child: Option<Child>,
    pub directory: TempDir,
    pub port: u16,
    flags: Vec<String>,
}

/// The binary with a clean environment.
pub fn scratchbird() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_scratchbird"));
    for (name, _) in std::env::vars() {
        if name.starts_with("SCRATCHBIRD_") || name.starts_with("PG") {
            command.env_remove(name);
        }
    }
    command
}

pub fn free_port() -> u16 {
    TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port()
}

impl Node {
    pub fn start(flags: &[&str]) -> Self {
        let mut node = Self::new(flags);
        node.launch();
        node
    }

    pub fn new(flags: &[&str]) -> Self {
        let flags = flags.iter().map(|flag| (*flag).to_owned()).collect();
        Self { child: None, directory: tempfile::tempdir().unwrap(), port: free_port(), flags }
    }

    pub fn add_flags(&mut self, flags: &[&str]) {
        self.flags.extend(flags.iter().map(|flag| (*flag).to_owned()));
    }

    pub fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    pub fn command(&self) -> Command {
        let mut command = scratchbird();
        let (data, socket, port) =
            (self.data(), self.directory.path().display().to_string(), self.port.to_string());
        command.args(["serve", "-D", &data, "-k", &socket, "-p", &port, "-h", "127.0.0.1"]).args(&self.flags);
        command.env("SCRATCHBIRD_PASSWORD", PASSWORD).stderr(Stdio::piped()).stdin(Stdio::null());
        command
    }

    pub fn launch(&mut self) {
        let mut child = self.command().spawn().unwrap();
        // The log must be drained, or a full pipe would stop the server.
        let mut stderr = child.stderr.take().unwrap();
        std::thread::spawn(move || std::io::copy(&mut stderr, &mut std::io::stderr()));
        self.child = Some(child);
        until("the server to accept connections", || self.ready());
    }

    pub fn ready(&self) -> bool {
        let mut command = scratchbird();
        command.args([
            "ready",
            "-q",
            "-h",
            &self.directory.path().display().to_string(),
            "-p",
            &self.port.to_string(),
        ]);
        command.status().unwrap().success()
    }

    pub fn signal(&self, name: &str) {
        let pid = self.child.as_ref().unwrap().id().to_string();
        assert!(Command::new("kill").args([name, &pid]).status().unwrap().success());
    }

    pub fn wait(&mut self) -> ExitStatus {
        let mut child = self.child.take().unwrap();
        let deadline = Instant::now() + PATIENCE;
        loop {
            if let Some(status) = child.try_wait().unwrap() {
                return status;
            }
            assert!(Instant::now() < deadline, "the server did not end");
            std::thread::sleep(Duration::from_millis(5));
        }
    }

    pub fn config(&self) -> Config {
        let mut config = Config::new();
        config.host("127.0.0.1").port(self.port).user("scratchbird").password(PASSWORD).dbname("scratchbird");
        config
    }

    pub async fn connect(&self) -> Client {
        connect(&self.config()).await.unwrap()
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        if let Some(mut child) = self.child.take() {
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

pub async fn connect(config: &Config) -> Result<Client, tokio_postgres::Error> {
    let (client, connection) = config.connect(NoTls).await?;
    tokio::spawn(connection);
    Ok(client)
}

/// Runs a test's future on one thread.
pub fn run<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap().block_on(future)
}

pub fn until(what: &str, mut done: impl FnMut() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !done() {
        assert!(Instant::now() < deadline, "waited too long for {what}");
        std::thread::sleep(Duration::from_millis(10));
    }
}

/// The SQLSTATE of a statement, or `00000`.
pub async fn state(client: &Client, sql: &str) -> String {
    match client.batch_execute(sql).await {
        Ok(()) => "00000".to_owned(),
        Err(error) => error.code().map_or_else(|| error.to_string(), |code| code.code().to_owned()),
    }
}

/// Runs a command to its end and gives back its code and what it wrote to stderr.
pub fn outcome(command: &mut Command) -> (Option<i32>, String) {
    let mut child = command.stdout(Stdio::null()).stderr(Stdio::piped()).spawn().unwrap();
    let mut text = String::new();
    child.stderr.take().unwrap().read_to_string(&mut text).unwrap();
    (child.wait().unwrap().code(), text)
}

/// The rows of a simple query: fields with bars between them, a line each.
pub async fn text(client: &Client, sql: &str) -> String {
    rows(client.simple_query(sql).await.unwrap_or_else(|error| panic!("{sql}: {error:?}")))
}

/// Rows as text: fields with bars between them, a line each.
pub fn rows(messages: Vec<SimpleQueryMessage>) -> String {
    let mut lines = Vec::new();
    for message in messages {
        if let SimpleQueryMessage::Row(row) = message {
            let fields = (0..row.len()).map(|index| row.get(index).unwrap_or("NULL").to_owned());
            lines.push(fields.collect::<Vec<_>>().join("|"));
        }
    }
    lines.join("\n")
}

/// Writes a certificate for localhost and its key into a server's directory.
pub fn certificate(node: &Node, name: &str) -> rustls::pki_types::CertificateDer<'static> {
    let made = rcgen::generate_simple_self_signed(vec!["localhost".to_owned()]).unwrap();
    let file = |ending: &str| node.directory.path().join(format!("{name}.{ending}"));
    std::fs::write(file("crt"), made.cert.pem()).unwrap();
    std::fs::write(file("key"), made.signing_key.serialize_pem()).unwrap();
    std::fs::set_permissions(file("key"), std::os::unix::fs::PermissionsExt::from_mode(0o600)).unwrap();
    made.cert.der().clone()
}
