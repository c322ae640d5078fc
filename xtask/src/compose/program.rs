//! Compose itself: the plugin of Docker's client where it is installed, else a docker-compose, such as Debian's 1.29.

use std::path::{Path, PathBuf};
use std::process::Output;

use anyhow::{Context as _, Result, bail};
use duct::{Expression, cmd};

use crate::facts;

/// How Compose is called, for one stack.
#[derive(Clone, Debug)]
pub struct Compose {
    words: Vec<String>,
    folder: PathBuf,
    environment: Vec<(String, String)>,
}

impl Compose {
    /// Compose for the stack whose files lie in `folder`; its `.env` or the environment names the project.
    ///
    /// # Errors
    /// When no form of it is installed, with what installs one.
    pub fn find(folder: &Path) -> Result<Compose> {
        Ok(Compose::all(folder)?.swap_remove(0))
    }

    /// Each Compose of this machine, at least one.
    ///
    /// # Errors
    /// When no form of it is installed, with what installs one.
    pub fn all(folder: &Path) -> Result<Vec<Compose>> {
        let mut forms = Vec::new();
        let plugin = cmd!("docker", "compose", "version").stdout_null().stderr_null().unchecked().run();
        if plugin.is_ok_and(|output| output.status.success()) {
            forms.push(vec!["docker".into(), "compose".into()]);
        }
        let programs = facts::find_programs("docker-compose").into_iter();
        forms.extend(programs.map(|path| vec![path.display().to_string()]));
        if forms.is_empty() {
            bail!(
                "neither `docker compose` nor docker-compose is installed; on Debian run `apt-get install docker-compose`"
            );
        }
        let compose = |words| Compose { words, folder: folder.into(), environment: Vec::new() };
        Ok(forms.into_iter().map(compose).collect())
    }

    /// The same, as a project of that name, with files that are merged over its own.
    pub fn with_files(mut self, project: &str, overrides: &[PathBuf]) -> Compose {
        self.words.extend(["--project-name".into(), project.into(), "--file".into(), "compose.yaml".into()]);
        for path in overrides {
            self.words.extend(["--file".into(), path.display().to_string()]);
        }
        self
    }

    /// The same, with a variable that the stack asks for.
    pub fn with(mut self, name: &str, value: &str) -> Compose {
        self.environment.push((name.into(), value.into()));
        self
    }

    fn command(&self, args: &[&str]) -> Expression {
        let words = self.words[1..].iter().map(String::as_str).chain(args.iter().copied());
        let command = cmd(&self.words[0], words).dir(&self.folder);
        self.environment.iter().fold(command, |command, (name, value)| command.env(name, value))
    }

    /// Runs it with its own words on our stderr.
    pub fn run(&self, args: &[&str]) -> Result<()> {
        let output =
            self.command(args).stdout_to_stderr().unchecked().run().with_context(|| self.shown(args))?;
        if !output.status.success() {
            bail!("`{}` failed: {}", self.shown(args), output.status);
        }
        Ok(())
    }

    /// What it prints; its stderr becomes the error.
    pub fn output(&self, args: &[&str]) -> Result<String> {
        let output = self.raw(args)?;
        if !output.status.success() {
            let words = String::from_utf8_lossy(&output.stderr);
            bail!("`{}` failed: {}", self.shown(args), words.trim());
        }
        Ok(String::from_utf8_lossy(&output.stdout).trim_end().to_string())
    }

    /// Runs it, whatever comes of it.
    pub fn raw(&self, args: &[&str]) -> Result<Output> {
        let command = self.command(args).stdout_capture().stderr_capture().unchecked();
        command.run().with_context(|| self.shown(args))
    }

    fn shown(&self, args: &[&str]) -> String {
        format!("{} {}", self.words.join(" "), args.join(" "))
    }

    /// The container of a service.
    pub fn container(&self, service: &str) -> Result<String> {
        let ids = self.output(&["ps", "--quiet", service])?;
        ids.lines()
            .next()
            .map(String::from)
            .with_context(|| format!("the service `{service}` has no container"))
    }
}
