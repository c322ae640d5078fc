//! A PostgreSQL 15 beside the server under test, where Debian's is installed.

use super::connect;
use std::fs;
use std::os::unix::fs::{MetadataExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use tempfile::TempDir;
use tokio_postgres::{Client, Config};

const POSTGRES: &str = "/usr/lib/postgresql/15/bin";

/// A PostgreSQL of its own, on a Unix socket in a directory that goes away with it.
pub struct Postgres {
    child: Child,
    pub directory: TempDir,
}

impl Postgres {
    pub fn start() -> Option<Self> {
        let initdb = PathBuf::from(POSTGRES).join("initdb");
        if !initdb.exists() {
            return None;
        }
        let directory = tempfile::tempdir().unwrap();
        let data = directory.path().join("data");
        fs::create_dir(&data).unwrap();
        // It refuses to run as root.
        let owner = fs::metadata(directory.path()).unwrap().uid();
        let user = if owner == 0 { Some(user_id("postgres")?) } else { None };
        for path in [directory.path(), &data] {
            if let Some(uid) = user {
                chown(path, Some(uid), None).unwrap();
            }
        }
        let command = |program: &str| {
            let mut command = Command::new(Path::new(POSTGRES).join(program));
            if let Some(uid) = user {
                std::os::unix::process::CommandExt::uid(&mut command, uid);
            }
            command.current_dir(directory.path()).stdout(Stdio::null()).stderr(Stdio::null());
            command
        };
        let made = command("initdb")
            .args(["-A", "trust", "-U", "postgres", "-E", "UTF8", "--locale=C", "-D"])
            .arg(&data)
            .status();
        if !made.unwrap().success() {
            return None;
        }
        let mut server = command("postgres");
        server.arg("-D").arg(&data).arg("-k").arg(directory.path()).args(["-h", "", "-c", "timezone=UTC"]);
        Some(Self { child: server.spawn().unwrap(), directory })
    }

    pub async fn connect(&self) -> Client {
        let mut config = Config::new();
        config.host_path(self.directory.path()).user("postgres").dbname("postgres");
        for _ in 0..600 {
            if let Ok(client) = connect(&config).await {
                return client;
            }
            tokio::time::sleep(std::time::Duration::from_millis(50)).await;
        }
        panic!("PostgreSQL does not accept connections");
    }
}

impl Drop for Postgres {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn user_id(name: &str) -> Option<u32> {
    let users = fs::read_to_string("/etc/passwd").ok()?;
    let line = users.lines().find(|line| line.split(':').next() == Some(name))?;
    line.split(':').nth(2)?.parse().ok()
}
