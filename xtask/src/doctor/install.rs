//! Getting what is missing: the commands that the findings name, without questions.

use anyhow::{Context as _, Result, bail};
use xshell::{Shell, cmd};

use super::Finding;
use crate::ui::Ui;

/// Runs the command of everything that is missing.
pub fn install(findings: &[Finding], ui: &Ui) -> Result<()> {
    let missing: Vec<&str> =
        findings.iter().filter(|f| f.found.is_none()).filter_map(|f| f.install.as_deref()).collect();
    let sh = Shell::new()?;
    let sudo = if cmd!(sh, "id -u").quiet().read()? == "0" { "" } else { "sudo " };
    if missing.iter().any(|command| command.contains(APT)) {
        run(&sh, &format!("{sudo}apt-get update --quiet --quiet"), ui)?;
    }
    missing.iter().try_for_each(|command| run(&sh, &unattended(command, sudo), ui))
}

const APT: &str = "apt-get install";

/// The command as nobody has to answer it.
fn unattended(command: &str, sudo: &str) -> String {
    let apt = format!(
        "{sudo}env DEBIAN_FRONTEND=noninteractive {APT} --yes --quiet --quiet --no-install-recommends"
    );
    command.replace(APT, &apt)
}

fn run(sh: &Shell, command: &str, ui: &Ui) -> Result<()> {
    ui.line("running", command);
    let status = std::process::Command::new("sh")
        .args(["-c", command])
        .current_dir(sh.current_dir())
        .stdout(std::io::stderr())
        .status()
        .with_context(|| format!("`{command}`: cannot start a shell"))?;
    if !status.success() {
        bail!("`{command}` failed ({status}); its own words are above");
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commands_that_ask_nothing() {
        let check = |command: &str, sudo: &str, expect: &str| assert_eq!(unattended(command, sudo), expect);
        check("rustup target add x", "sudo ", "rustup target add x");
        let apt = "env DEBIAN_FRONTEND=noninteractive apt-get install --yes --quiet --quiet --no-install-recommends";
        check("apt-get install gcc && rustup target add x", "", &format!("{apt} gcc && rustup target add x"));
        check("apt-get install a b", "sudo ", &format!("sudo {apt} a b"));
    }
}
