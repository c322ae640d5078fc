//! The container engine on this machine: Docker where one answers, else Podman.

use std::fmt;
use std::io::PipeReader;
use std::process::Output;

use anyhow::{Context as _, Result, bail};
use duct::{Handle, cmd};
use oci_spec::image::Platform;

use crate::facts;

/// An engine that answers.
#[derive(Clone, Debug)]
pub struct Engine {
    program: &'static str,
    /// Before the subcommand.
    options: Vec<&'static str>,
}

impl fmt::Display for Engine {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.program)
    }
}

impl Engine {
    /// The first engine that answers.
    pub fn find() -> Result<Engine> {
        let mut silent = Vec::new();
        for program in ["docker", "podman"] {
            let Ok(engine) = Engine::named(program) else { continue };
            match engine
                .output(&["version", "--format", "{{.Server.Version}}"])
                .or_else(|_| engine.output(&["info"]))
            {
                Ok(_) => return Ok(engine),
                Err(_) => silent.push(program),
            }
        }
        match silent[..] {
            [] => bail!(
                "there is no container engine; on Debian run `apt-get install docker.io` or `apt-get install podman`, or use --archive"
            ),
            _ => bail!(
                "{} is installed but no engine answers; start it (`systemctl start docker`), or use --archive",
                silent.join(" and ")
            ),
        }
    }

    /// The engine of that name, whether it answers or not.
    pub fn named(name: &str) -> Result<Engine> {
        let program = match name {
            "docker" => "docker",
            "podman" => "podman",
            _ => return Err(plan::Error::unknown("engine", name, ["docker", "podman"]).into()),
        };
        if facts::find_program(program).is_none() {
            bail!(
                "{program} is not installed; on Debian run `apt-get install {}`",
                if program == "docker" { "docker.io" } else { program }
            );
        }
        // Debian 12's crun does not know its kernel's newer features; runc, where it is installed, always works.
        let runc = program == "podman" && facts::find_program("runc").is_some();
        Ok(Engine { program, options: if runc { vec!["--runtime", "runc"] } else { Vec::new() } })
    }

    /// Runs the engine's client, whatever comes of it.
    pub fn raw(&self, args: &[&str]) -> Result<Output> {
        let args: Vec<&str> = self.options.iter().chain(args).copied().collect();
        cmd(self.program, &args)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .run()
            .with_context(|| format!("`{} {}` does not start", self.program, args.join(" ")))
    }

    /// What the engine's client prints for `args`; its stderr becomes the error.
    pub fn output(&self, args: &[&str]) -> Result<String> {
        let output = self.raw(args)?;
        if !output.status.success() {
            // Docker 20.10 tells on stdout why a program could not be started in a container.
            let words = if output.stderr.is_empty() { &output.stdout } else { &output.stderr };
            let words = String::from_utf8_lossy(words);
            bail!("`{} {}` failed: {}", self.program, args.join(" "), words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_string())
    }

    /// What it prints on stdout and on stderr, one after the other.
    pub fn both(&self, args: &[&str]) -> Result<String> {
        let output = self.raw(args)?;
        Ok([output.stdout, output.stderr].iter().map(|b| String::from_utf8_lossy(b).into_owned()).collect())
    }

    /// The id of an image that the engine has: the hex digits of its configuration's digest.
    pub fn image_id(&self, name: &str) -> Option<String> {
        let id = self.output(&["image", "inspect", "--format", "{{.Id}}", name]).ok()?;
        Some(id.trim_start_matches("sha256:").to_string())
    }

    /// Whether the engine takes layers that are compressed with zstd, which Docker has done since 23.
    pub fn check_reads_zstd(&self) -> Result<()> {
        if self.program != "docker" {
            return Ok(());
        }
        let version = self.output(&["version", "--format", "{{.Server.Version}}"])?;
        if reads_zstd(&version) {
            return Ok(());
        }
        bail!(
            "Docker {version} can't read zstd layers; leave `--compression zstd` out for --load, or use Docker 23"
        )
    }

    /// Unpacks a tar, compressed or not, into a folder of a container, with the owners that it names.
    pub fn unpack(&self, tar: Vec<u8>, container: &str, folder: &str) -> Result<()> {
        let target = format!("{container}:{folder}");
        let copy = cmd!(self.program, "cp", "-", &target).stdin_bytes(tar);
        let output = copy.stdout_null().stderr_capture().unchecked().run()?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("`{} cp - {target}` failed: {}", self.program, words.trim());
        }
        Ok(())
    }

    /// Starts to load the archive that comes through `reader`.
    pub fn load(&self, reader: PipeReader) -> Result<Handle> {
        cmd!(self.program, "load", "--quiet")
            .stdin_file(reader)
            .stdout_capture()
            .stderr_capture()
            .unchecked()
            .start()
            .with_context(|| format!("`{} load` does not start", self.program))
    }

    /// Waits for [`Engine::load`].
    pub fn loaded(&self, child: Handle) -> Result<()> {
        let output = child.into_output()?;
        if !output.status.success() {
            bail!("`{} load` failed: {}", self.program, String::from_utf8_lossy(&output.stderr).trim());
        }
        Ok(())
    }
}

fn reads_zstd(version: &str) -> bool {
    version.split('.').next().and_then(|major| major.parse::<u32>().ok()).is_some_and(|major| major >= 23)
}

/// The program that runs another platform's programs on this machine (Debian's qemu-user-static).
pub fn emulator(platform: &Platform) -> String {
    let architecture = platform.architecture().to_string();
    let name = match architecture.as_str() {
        "arm64" => "aarch64",
        "amd64" => "x86_64",
        other => other,
    };
    format!("qemu-{name}-static")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_zstd() {
        let check = |version: &str, expect: bool| assert_eq!(reads_zstd(version), expect, "{version}");
        check("20.10.24+dfsg1", false);
        check("23.0.1", true);
        check("28.2.2", true);
        check("unknown", false);
    }
}
