//! The server's certificate and key.

use crate::log;
use rustls::ServerConfig;
use rustls::crypto::ring;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer};
use settings::Resolved;
use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;

/// Reads certificate and key; `None` if TLS is off.
pub fn load(settings: &Resolved) -> Result<Option<Arc<ServerConfig>>, String> {
    let files = ["ssl_cert_file", "ssl_key_file"];
    if !settings.bool("ssl") {
        if let Some(name) = files.iter().find(|name| settings.entry(name).is_set()) {
            log::warning(&format!("`{name}` is set and has no effect, because `ssl` is off"));
        }
        return Ok(None);
    }
    if let Some(name) = files.iter().find(|name| settings.text(name).is_empty()) {
        let env = settings.entry(name).setting.env;
        return Err(format!("`ssl` is on and `{name}` is not set: set {env} to a PEM file, or `ssl` to off"));
    }
    let [certificate, key] = files.map(|name| settings.text(name));
    let wrong = |name: &str, path: &str, why: &dyn std::fmt::Display| {
        format!("setting `{name}`: file `{path}` can't be used: {why}")
    };
    let text = fs::read(certificate).map_err(|error| wrong(files[0], certificate, &error))?;
    let chain: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text).collect();
    let chain = chain.map_err(|error| wrong(files[0], certificate, &error))?;
    if chain.is_empty() {
        return Err(wrong(files[0], certificate, &"it holds no PEM certificate"));
    }
    let metadata = fs::metadata(key).map_err(|error| wrong(files[1], key, &error))?;
    check_mode(&metadata).map_err(|why| wrong(files[1], key, &why))?;
    let text = fs::read(key).map_err(|error| wrong(files[1], key, &error))?;
    let secret = PrivateKeyDer::from_pem_slice(&text)
        .map_err(|_| wrong(files[1], key, &"it holds no unencrypted PEM private key"))?;
    let config = ServerConfig::builder_with_provider(Arc::new(ring::default_provider()))
        .with_safe_default_protocol_versions()
        .and_then(|builder| builder.with_no_client_auth().with_single_cert(chain, secret));
    let config = config.map_err(|error| {
        wrong(files[1], key, &format!("it doesn't go with certificate `{certificate}`: {error}"))
    })?;
    Ok(Some(Arc::new(config)))
}

/// As Postgres has it: one's own key is for oneself alone, root's key may be for a group.
fn check_mode(metadata: &Metadata) -> Result<(), String> {
    if !metadata.is_file() {
        return Err("it is no regular file".to_owned());
    }
    let own = rustix::process::geteuid().as_raw();
    if ![0, own].contains(&metadata.uid()) {
        return Err(format!("it belongs to user {}, and must belong to {own} or root", metadata.uid()));
    }
    let allowed = if metadata.uid() == 0 { 0o640 } else { 0o600 };
    let mode = metadata.mode() & 0o777;
    // A file of root's that root reads must be its own alone as well.
    let extra = mode & !(allowed | 0o100);
    if extra == 0 {
        Ok(())
    } else {
        Err(format!("its mode is {mode:04o}, and others could read the key; run `chmod 600` on it"))
    }
}
