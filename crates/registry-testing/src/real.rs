//! Debian's `docker-registry` on a free port of this machine.

use std::fs;
use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use registry::Repository;
use tempfile::TempDir;

/// `u:p`, as `htpasswd -nbB u p` writes it.
const HTPASSWD: &str = "u:$2y$05$abcdefghijklmnopqrstuuqwWMzKt5N8p.u2GX5MuH1t19BMWuLOW\n";

/// A running `docker-registry` with a folder of its own; both go when this is dropped.
pub struct Registry {
    process: Child,
    /// `127.0.0.1:PORT`.
    pub host: String,
    dir: TempDir,
}

impl Registry {
    /// Starts one on a free port, with `auth` as a section of its configuration, in which `HTPASSWD` stands for a file
    /// with the user `u` and the password `p`. Nothing where it is not installed, which is said.
    pub fn start(auth: &str) -> Option<Registry> {
        // A port that was free a moment ago may be taken by now; then the registry ends and another is tried.
        for _ in 0..5 {
            let dir = tempfile::tempdir().unwrap();
            let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
            let host = format!("127.0.0.1:{port}");
            let (root, htpasswd, config) =
                (dir.path().join("data"), dir.path().join("htpasswd"), dir.path().join("config.yml"));
            fs::write(&htpasswd, HTPASSWD).unwrap();
            let auth = auth.replace("HTPASSWD", htpasswd.to_str().unwrap());
            let text = format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {root:?}}}, delete: {{enabled: true}}}}\nhttp: {{addr: {host:?}}}\n{auth}\n"
            );
            fs::write(&config, text).unwrap();
            let mut command = Command::new("docker-registry");
            command.arg("serve").arg(&config).stdout(Stdio::null()).stderr(Stdio::null());
            let mut process = match command.spawn() {
                Ok(process) => process,
                Err(e) if e.kind() == ErrorKind::NotFound => {
                    eprintln!("skipped: no docker-registry");
                    return None;
                }
                Err(e) => panic!("docker-registry: {e}"),
            };
            let patience = Instant::now() + Duration::from_secs(30);
            while process.try_wait().unwrap().is_none() && Instant::now() < patience {
                if TcpStream::connect(&host).is_ok() {
                    return Some(Registry { process, host, dir });
                }
                std::thread::sleep(Duration::from_millis(10));
            }
            let _ = process.kill();
            let _ = process.wait();
        }
        panic!("docker-registry does not start");
    }

    /// Where it keeps everything.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// A repository in it.
    pub fn repository(&self, name: &str) -> Repository {
        Repository::parse(&format!("{}/{name}", self.host)).unwrap()
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}
