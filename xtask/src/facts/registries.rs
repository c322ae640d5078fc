//! The registry client's view of this machine.

use std::collections::BTreeMap;
use std::env;
use std::path::PathBuf;

use anyhow::{Context as _, Result, bail};
use plan::Spec;

/// `HOST USER PASSWORD`, a registry a line. A CI leaves out what it was not given: such a line has no effect.
fn logins(text: &str) -> Result<BTreeMap<String, (String, String)>> {
    let mut logins = BTreeMap::new();
    for (i, line) in text.lines().enumerate() {
        match line.split_whitespace().collect::<Vec<_>>()[..] {
            [] | [_] => {}
            [host, user, password] => {
                logins.insert(host.to_string(), (user.to_string(), password.to_string()));
            }
            // The line itself may hold a password.
            _ => bail!("XTASK_REGISTRY_LOGINS: line {} must be HOST USER PASSWORD", i + 1),
        }
    }
    Ok(logins)
}

/// The registry client's view of this machine: credentials, proxy, mirrors.
pub fn registry_config(spec: &Spec) -> Result<registry::Config> {
    let home = env::var_os("HOME").map(PathBuf::from);
    let set = |name: &str| env::var_os(name).filter(|v| !v.is_empty());
    let text = |names: &[&str]| names.iter().find_map(|n| env::var(n).ok().filter(|v| !v.is_empty()));
    let docker = set("DOCKER_CONFIG")
        .map(PathBuf::from)
        .or(home.map(|h| h.join(".docker")))
        .map(|d| d.join("config.json"));
    let podman = set("XDG_RUNTIME_DIR").map(|d| PathBuf::from(d).join("containers/auth.json"));
    let explicit = set("REGISTRY_AUTH_FILE").map(PathBuf::from);
    let mut config = registry::Config {
        user_agent: format!("scratchbird-xtask/{}", env!("CARGO_PKG_VERSION")),
        credential_files: [explicit, podman, docker].into_iter().flatten().collect(),
        helper_environment: env::vars_os().collect(),
        proxy: text(&["HTTPS_PROXY", "https_proxy"]),
        no_proxy: text(&["NO_PROXY", "no_proxy"])
            .iter()
            .flat_map(|t| t.split(','))
            .map(|h| h.trim().to_string())
            .collect(),
        root_certificates: set("SSL_CERT_FILE").map(PathBuf::from),
        ..registry::Config::default()
    };
    for pair in
        text(&["XTASK_REGISTRY_MIRRORS"]).iter().flat_map(|t| t.split(',')).filter(|p| !p.trim().is_empty())
    {
        let (registry, mirror) = pair.trim().split_once('=').with_context(|| {
            format!("XTASK_REGISTRY_MIRRORS: `{pair}` must be REGISTRY=MIRROR, such as `docker.io=mirror.example.org`")
        })?;
        config.mirrors.entry(registry.to_string()).or_default().push(mirror.to_string());
    }
    config.logins = logins(&env::var("XTASK_REGISTRY_LOGINS").unwrap_or_default())?;
    // The environment's mirrors come before the catalogue's: whoever sets one knows this machine's network.
    for (host, registry) in &spec.registries {
        config.mirrors.entry(host.clone()).or_default().extend(registry.mirrors.iter().cloned());
        config.insecure.extend(registry.insecure.then(|| host.clone()));
    }
    Ok(config)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn logins_of_a_ci() {
        let found = logins("ghcr.io me t0ken\ndocker.io  \n\nlocalhost:5000 u p\n").unwrap();
        assert_eq!(found.keys().collect::<Vec<_>>(), ["ghcr.io", "localhost:5000"]);
        assert_eq!(found["ghcr.io"], ("me".to_string(), "t0ken".to_string()));
        for wrong in ["a b", "x\na b secret secret"] {
            let error = logins(wrong).unwrap_err().to_string();
            assert!(error.contains("must be HOST USER PASSWORD") && !error.contains("secret"), "{error}");
        }
    }
}
