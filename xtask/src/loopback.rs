//! A registry on this machine alone, Debian's `docker-registry`: what is measured or tried against a real one.

use std::fs::{self, File};
use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::facts;

/// A registry on loopback that ends with this value.
pub struct Registry {
    /// `host:port`.
    pub address: String,
    process: duct::Handle,
}

impl Registry {
    /// Starts one whose files lie below `temp`.
    pub fn start(temp: &Path) -> Result<Registry> {
        let program = facts::find_program("docker-registry")
            .context("there is no docker-registry; on Debian run `apt-get install docker-registry`")?;
        let port = std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let address = format!("127.0.0.1:{port}");
        let config = temp.join("registry.yml");
        let storage = tempfile::tempdir_in(temp)?.keep();
        fs::write(
            &config,
            format!(
                "version: 0.1\nlog: {{level: error}}\nstorage: {{filesystem: {{rootdirectory: {}}}}}\nhttp: {{addr: {address}}}\n",
                storage.display()
            ),
        )?;
        let log = File::create(temp.join("registry.log"))?;
        let process =
            duct::cmd!(program, "serve", &config).stdout_null().stderr_file(log).unchecked().start()?;
        let deadline = Instant::now() + Duration::from_secs(30);
        while std::net::TcpStream::connect(&address).is_err() {
            ensure!(Instant::now() < deadline, "docker-registry does not answer at {address}");
            std::thread::sleep(Duration::from_millis(50));
        }
        Ok(Registry { address, process })
    }
}

impl Drop for Registry {
    fn drop(&mut self) {
        // It is ours and holds nothing that anybody needs.
        let _ = self.process.kill();
    }
}
