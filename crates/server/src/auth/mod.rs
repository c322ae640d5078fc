//! Who may come in: SCRAM-SHA-256 against stored verifiers, access rules, TLS.

pub mod hba;
pub mod scram;
pub mod tls;

use rustls::ServerConfig;
use settings::Resolved;
use std::sync::Arc;

/// What a client meets at the door; read at the start and at each reload.
#[derive(Default)]
pub struct Access {
    /// The certificate and its key, if TLS is on.
    pub tls: Option<Arc<ServerConfig>>,
    /// The access rules; without a file the cluster's own method is for all.
    pub rules: Option<Vec<hba::Rule>>,
}

impl Access {
    /// Reads the files that the settings name. The error names the setting and the file.
    pub fn load(settings: &Resolved) -> Result<Self, String> {
        Ok(Self { tls: tls::load(settings)?, rules: hba::load(settings)? })
    }
}
