//! A container under test, its volume, and the clients on the host that talk to it.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::path::Path;
use std::process::Output;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};

use super::{Subject, skip};
use crate::engine::Engine;
use crate::facts;

/// A password that nothing else would print by chance.
pub(super) const PASSWORD: &str = "verify-7f3a-correct-horse";
/// Where the image keeps its databases.
pub(super) const DATA: &str = "/var/lib/scratchbird/data";
/// No start takes longer, even on a busy machine.
pub(super) const PATIENCE: Duration = Duration::from_secs(60);

/// A container and its volume, which end with this value.
pub(super) struct Container<'a> {
    pub(super) engine: &'a Engine,
    pub(super) name: String,
    /// A named volume, which is the data directory unless something else is mounted there.
    pub(super) volume: String,
}

/// A name that nothing else has, neither of this run nor of another.
pub(super) fn own_name() -> String {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    format!("verify-{}-{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed))
}

impl<'a> Container<'a> {
    /// Starts the image with a password, a volume of its own and a published port.
    pub(super) fn start(subject: &Subject<'a>, options: &[&str]) -> Result<Container<'a>> {
        let container = Container::named(subject);
        container.run(subject, options)?;
        Ok(container)
    }

    /// Starts it where a data directory lies already: what is in `tar`.
    pub(super) fn start_on(subject: &Subject<'a>, tar: Vec<u8>) -> Result<Container<'a>> {
        let container = Container::named(subject);
        let (name, volume) = (&container.name, format!("{}:{DATA}", container.volume));
        // Files come into a volume through a container, which need not run for it.
        subject.engine.output(&["create", "--name", name, "--volume", &volume, subject.image])?;
        subject.engine.unpack(tar, name, DATA)?;
        subject.engine.output(&["rm", name])?;
        container.run(subject, &[])?;
        Ok(container)
    }

    fn named(subject: &Subject<'a>) -> Container<'a> {
        let id = own_name();
        Container { engine: subject.engine, volume: format!("{id}-data"), name: id }
    }

    pub(super) fn run(&self, subject: &Subject, options: &[&str]) -> Result<()> {
        let volume = format!("{}:{DATA}", self.volume);
        let password = format!("SCRATCHBIRD_PASSWORD={PASSWORD}");
        let mut args = vec!["run", "--detach", "--name", &self.name, "--env", &password];
        if !options.iter().any(|option| option.contains(DATA)) {
            args.extend(["--volume", &volume]);
        }
        args.extend(["--publish", "127.0.0.1::5432", "--publish", "127.0.0.1::8080"]);
        // What comes after `--` is the container's command.
        let (options, command) = match options.iter().position(|option| *option == "--") {
            Some(at) => (&options[..at], &options[at + 1..]),
            None => (options, &[][..]),
        };
        args.extend(options);
        args.push(subject.image);
        args.extend(command);
        let output = self.engine.raw(&args)?;
        // What one would have to type says nothing about the image, and the last line is about the engine's help.
        let words = String::from_utf8_lossy(&output.stderr);
        let first = words.lines().find(|line| !line.trim().is_empty()).unwrap_or_default();
        ensure!(output.status.success(), "no container of it starts: {}", first.trim());
        Ok(())
    }

    /// The host's port for one of the container's.
    pub(super) fn port(&self, inner: u16) -> Result<u16> {
        // Asked anew each time: a restarted container has another port.
        let address = self.engine.output(&["port", &self.name, &format!("{inner}/tcp")])?;
        let port = address.lines().next().and_then(|l| l.rsplit_once(':')).context("no port is published")?.1;
        Ok(port.parse()?)
    }

    /// Status and body of an answer of the HTTP port.
    pub(super) fn get(&self, port: u16, path: &str) -> Result<(String, String)> {
        let ask = || -> Result<String> {
            let mut stream = TcpStream::connect(("127.0.0.1", port))?;
            stream.set_read_timeout(Some(Duration::from_secs(10)))?;
            stream.write_all(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes())?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer)?;
            Ok(answer)
        };
        // Where nobody listens behind a published port, Docker's proxy takes the connection, and ends it as it likes.
        let none = || format!("{path}: no HTTP answer");
        let answer = ask().with_context(none)?;
        let (head, body) = answer.split_once("\r\n\r\n").with_context(none)?;
        Ok((head.split_whitespace().nth(1).unwrap_or_default().to_string(), body.to_string()))
    }

    /// Debian's pgbench with the container's address, or a skip.
    pub(super) fn pgbench(&self, args: &[&str]) -> Result<duct::Expression> {
        let program = facts::find_program("pgbench").map(|path| path.display().to_string()).or_else(|| {
            Some("/usr/lib/postgresql/15/bin/pgbench".to_string()).filter(|p| Path::new(p).exists())
        });
        let Some(program) = program else {
            return skip("no pgbench; on Debian run `apt-get install postgresql-contrib`");
        };
        let port = self.port(5432)?.to_string();
        let fixed = ["-h", "127.0.0.1", "-p", &port, "-U", "scratchbird", "-n"];
        let args = fixed.iter().chain(args).copied().chain(["scratchbird"]);
        Ok(duct::cmd(program, args.collect::<Vec<_>>())
            .env("PGPASSWORD", PASSWORD)
            .stdout_capture()
            .stderr_capture()
            .unchecked())
    }

    /// Runs a program in the container, with the password for its clients.
    pub(super) fn exec(&self, command: &[&str]) -> Result<String> {
        let password = format!("PGPASSWORD={PASSWORD}");
        self.engine.output(&[&["exec", "--env", &password, &self.name], command].concat())
    }

    /// Waits for the end; gives back the status. What should end and doesn't is an error.
    pub(super) fn wait(&self) -> Result<String> {
        let deadline = Instant::now() + PATIENCE;
        while self.state("{{.State.Status}}")? != "exited" {
            if Instant::now() > deadline {
                bail!("it does not end: {}", self.log_end()?);
            }
            std::thread::sleep(Duration::from_millis(50));
        }
        self.state("{{.State.ExitCode}}")
    }

    /// Runs psql on the host against the published port.
    pub(super) fn psql(&self, password: &str, sql: &str) -> Result<Output> {
        self.psql_with(password, &["-c", sql])
    }

    /// The same with a script.
    pub(super) fn psql_file(&self, password: &str, path: &Path) -> Result<Output> {
        self.psql_with(password, &["-f", &path.display().to_string()])
    }

    /// The same with a script that is typed, and errors with their codes.
    pub(super) fn psql_verbose(&self, sql: &str) -> Result<Output> {
        let script = tempfile::NamedTempFile::new()?;
        std::fs::write(script.path(), format!("\\set VERBOSITY verbose\n{sql}"))?;
        let path = script.path().display().to_string();
        self.psql_with(PASSWORD, &["-o", "/dev/null", "-f", &path])
    }

    fn psql_with(&self, password: &str, what: &[&str]) -> Result<Output> {
        let Some(psql) = facts::find_program("psql") else {
            return skip("no psql; on Debian run `apt-get install postgresql-client`");
        };
        let port = self.port(5432)?;
        let uri =
            format!("host=127.0.0.1 port={port} user=scratchbird dbname=scratchbird connect_timeout=10");
        let fixed = [&uri, "-XAtq", "-v", "ON_ERROR_STOP=1"];
        Ok(duct::cmd(psql, fixed.iter().chain(what).copied().collect::<Vec<_>>())
            .env("PGPASSWORD", password)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()?)
    }

    /// What `sql` answers.
    pub(super) fn query(&self, sql: &str) -> Result<String> {
        let output = self.psql(PASSWORD, sql)?;
        ensure!(output.status.success(), "`{sql}`: {}", String::from_utf8_lossy(&output.stderr).trim());
        Ok(String::from_utf8_lossy(&output.stdout).trim().to_string())
    }

    /// Waits until a query is answered.
    pub(super) fn ready(&self) -> Result<()> {
        let deadline = Instant::now() + PATIENCE;
        loop {
            match self.query("select 1") {
                Ok(answer) => {
                    ensure!(answer == "1", "`select 1` answers `{answer}`");
                    return Ok(());
                }
                Err(e) if e.is::<super::Skip>() => return Err(e),
                Err(e) => {
                    let state = self.state("{{.State.Status}}")?;
                    if state == "exited" || Instant::now() > deadline {
                        bail!(
                            "no answer, the container is {state}: {e:#}; its log ends: {}",
                            self.log_end()?
                        );
                    }
                }
            }
            std::thread::sleep(Duration::from_millis(50));
        }
    }

    pub(super) fn state(&self, format: &str) -> Result<String> {
        self.engine.output(&["inspect", "--format", format, &self.name])
    }

    pub(super) fn log(&self) -> Result<String> {
        self.engine.both(&["logs", &self.name])
    }

    pub(super) fn log_end(&self) -> Result<String> {
        let log = self.log()?;
        let lines: Vec<&str> = log.lines().collect();
        Ok(lines[lines.len().saturating_sub(3)..].join(" | "))
    }
}

impl Drop for Container<'_> {
    fn drop(&mut self) {
        // A container that never came to be can't be removed, and need not be.
        let _ = self.engine.output(&["rm", "--force", &self.name]);
        let _ = self.engine.output(&["volume", "rm", "--force", &self.volume]);
    }
}

/// A folder of the host with these files, for everybody to read, to be mounted.
pub(super) fn folder(files: &[(&str, &[u8])]) -> Result<tempfile::TempDir> {
    let dir = tempfile::tempdir()?;
    for (name, contents) in files {
        std::fs::write(dir.path().join(name), contents)?;
    }
    std::fs::set_permissions(dir.path(), std::os::unix::fs::PermissionsExt::from_mode(0o755))?;
    Ok(dir)
}
