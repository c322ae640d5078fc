//! `config`: every setting, its value, and where it came from.

use super::Failure;
use std::fmt::Write;
use std::process::ExitCode;

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let resolved = super::resolve(args)?;
    let mut text = String::new();
    for entry in &resolved.entries {
        let setting = entry.setting;
        // Writing into a string can't fail.
        let _ = writeln!(text, "{} = {}  # {} ({})", setting.name, entry.shown(), entry.source, setting.env);
    }
    print!("{text}");
    for warning in &resolved.warnings {
        eprintln!("warning: {warning}");
    }
    Ok(ExitCode::SUCCESS)
}
