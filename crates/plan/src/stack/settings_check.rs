//! Whether what stacks set is what the programs in them know: a misspelt variable fails the generation, not the night.

use crate::error::suggest;
use crate::secrets::secret_word;
use crate::spec::Spec;
use crate::spec::stack::ServiceSpec;

use super::variable::literal;

/// What the client of the server takes from the environment beside the settings, as libpq calls it.
const CLIENT: &[&str] = &[
    "PGHOST",
    "PGPORT",
    "PGUSER",
    "PGDATABASE",
    "PGPASSFILE",
    "PGSSLMODE",
    "PGSSLROOTCERT",
    "PGCONNECT_TIMEOUT",
];

/// Checks the variables of a service.
///
/// # Errors
/// The first that nothing knows, whose value is not allowed, or that tells a secret, in one line.
pub fn check(spec: &Spec, here: &str, service: &ServiceSpec) -> Result<(), String> {
    let ours = runs_our_program(spec, service);
    for (name, value) in &service.env {
        if let Some(word) = secret_word(name).filter(|_| !value.is_empty() && !name.ends_with("_FILE")) {
            return Err(format!(
                "{here}.env: `{name}` looks like a secret ({word}); name it under `secrets`, which mounts it as a file"
            ));
        }
        if ours || name.starts_with(settings::ENV_PREFIX) {
            let setting = known(here, name)?;
            // What only the user's environment will say can't be checked before.
            if let (Some(setting), Some(value)) = (setting, literal(value)) {
                setting
                    .parse(&value)
                    .map_err(|allowed| format!("{here}.env: `{name}={value}`: {allowed}"))?;
            }
        }
    }
    for name in service.secrets.keys().filter(|_| ours) {
        let setting = name.strip_suffix("_FILE").and_then(settings::by_env).filter(|setting| setting.secret);
        if setting.is_none() && !CLIENT.contains(&name.as_str()) {
            let names: Vec<String> = settings::TABLE.iter().filter_map(settings::Setting::env_file).collect();
            return Err(unknown(&format!("{here}.secrets"), name, &names));
        }
    }
    Ok(())
}

/// The setting that a variable is of; none where it is the client's.
fn known(here: &str, name: &str) -> Result<Option<&'static settings::Setting>, String> {
    if CLIENT.contains(&name) || ["TZ", "TMPDIR"].contains(&name) {
        return Ok(None);
    }
    let names =
        settings::TABLE.iter().flat_map(|setting| std::iter::once(&setting.env).chain(setting.env_aliases));
    let names: Vec<&str> = names.copied().chain(CLIENT.iter().copied()).collect();
    settings::by_env(name).map(Some).ok_or_else(|| unknown(&format!("{here}.env"), name, &names))
}

fn unknown<S: AsRef<str>>(here: &str, name: &str, names: &[S]) -> String {
    let hint = suggest(name, names).map(|near| format!(", did you mean `{near}`?")).unwrap_or_default();
    format!("{here}: the server knows no variable `{name}`{hint}; docs/reference.md has all")
}

/// Whether a service runs an image of this catalogue with a program of this workspace, itself or below.
fn runs_our_program(spec: &Spec, service: &ServiceSpec) -> bool {
    let mut name = service.image.as_deref().and_then(|image| image.strip_prefix("image:"));
    while let Some(image) = name.and_then(|name| spec.images.get(name)) {
        if image.binary.is_some() {
            return true;
        }
        name = match &image.from {
            crate::spec::From::Image(below) => Some(below),
            _ => None,
        };
    }
    false
}
