//! TLS on the client's side, with libpq's `sslmode`s.

use rustls::client::WebPkiServerVerifier;
use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::client::verify_server_name;
use rustls::crypto::{CryptoProvider, ring, verify_tls12_signature, verify_tls13_signature};
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::server::ParsedCertificate;
use rustls::{
    CertificateError, ClientConfig, ClientConnection, DigitallySignedStruct, Error, RootCertStore,
    SignatureScheme,
};
use std::sync::Arc;

/// How much TLS is wanted, by libpq's names.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub enum Mode {
    /// Never.
    Disable,
    /// Only where the server refuses without.
    Allow,
    /// Where the server can.
    #[default]
    Prefer,
    /// Always, whoever the server is.
    Require,
    /// Always, and its certificate comes from a known authority.
    VerifyCa,
    /// That, and it is the host's.
    VerifyFull,
}

const NAMES: [(&str, Mode); 6] = [
    ("disable", Mode::Disable),
    ("allow", Mode::Allow),
    ("prefer", Mode::Prefer),
    ("require", Mode::Require),
    ("verify-ca", Mode::VerifyCa),
    ("verify-full", Mode::VerifyFull),
];

impl Mode {
    /// Parses libpq's name of it.
    pub fn parse(text: &str) -> Result<Self, String> {
        let found = NAMES.iter().find(|(name, _)| *name == text).map(|(_, mode)| *mode);
        let names = NAMES.map(|(name, _)| name).join(", ");
        found.ok_or_else(|| format!("invalid sslmode value: \"{text}\": allowed are {names}"))
    }

    /// Whether to try with TLS, in this order.
    pub(super) fn attempts(self) -> &'static [bool] {
        match self {
            Self::Disable => &[false],
            Self::Allow => &[false, true],
            Self::Prefer => &[true, false],
            _ => &[true],
        }
    }

    /// Whether a connection without TLS is none.
    pub(super) fn insists(self) -> bool {
        matches!(self, Self::Require | Self::VerifyCa | Self::VerifyFull)
    }
}

/// How the server is checked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tls {
    /// How much is wanted.
    pub mode: Mode,
    /// The file of authorities, PEM.
    pub root: Option<String>,
    /// The host's name where the connection goes to an address that was named beside it.
    pub name: Option<String>,
}

impl Tls {
    /// The client's half of a handshake with a host.
    pub(super) fn connection(&self, host: &str) -> Result<ClientConnection, String> {
        let host = self.name.as_deref().unwrap_or(host);
        let name = ServerName::try_from(host.to_owned())
            .map_err(|_| format!("`{host}` is no name that a certificate could have"))?;
        let provider = Arc::new(ring::default_provider());
        // libpq's rule: who names a file of authorities wants it used.
        let checks = match self.mode {
            Mode::VerifyFull => Some(true),
            Mode::VerifyCa => Some(false),
            Mode::Require if self.root.as_ref().is_some_and(|path| std::path::Path::new(path).exists()) => {
                Some(false)
            }
            _ => None,
        };
        let trust = checks.map(|name| Trust::load(self.root.as_deref(), name, &provider)).transpose()?;
        let config = ClientConfig::builder_with_provider(Arc::clone(&provider))
            .with_safe_default_protocol_versions()
            .map_err(|error| error.to_string())?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier { trust, provider }))
            .with_no_client_auth();
        ClientConnection::new(Arc::new(config), name).map_err(|error| error.to_string())
    }
}

/// Whose certificates count.
#[derive(Debug)]
struct Trust {
    roots: Vec<CertificateDer<'static>>,
    chains: Arc<WebPkiServerVerifier>,
    name: bool,
}

impl Trust {
    fn load(path: Option<&str>, name: bool, provider: &Arc<CryptoProvider>) -> Result<Self, String> {
        let path = path.ok_or("no file of root certificates is named: set PGSSLROOTCERT, or PGSSLMODE=require to trust any server")?;
        let wrong = |why: &dyn std::fmt::Display| {
            format!("root certificate file \"{path}\" can't be used: {why}; set PGSSLROOTCERT to a PEM file")
        };
        let text = std::fs::read(path).map_err(|error| wrong(&error))?;
        let roots: Result<Vec<CertificateDer<'static>>, _> = CertificateDer::pem_slice_iter(&text).collect();
        let roots = roots.map_err(|error| wrong(&error))?;
        let mut store = RootCertStore::empty();
        for root in &roots {
            store.add(root.clone()).map_err(|error| wrong(&error))?;
        }
        let chains = WebPkiServerVerifier::builder_with_provider(Arc::new(store), Arc::clone(provider));
        let chains = chains.build().map_err(|error| wrong(&error))?;
        Ok(Self { roots, chains, name })
    }
}

/// Checks as much as the mode asks for.
#[derive(Debug)]
struct Verifier {
    trust: Option<Trust>,
    provider: Arc<CryptoProvider>,
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        certificate: &CertificateDer<'_>,
        chain: &[CertificateDer<'_>],
        name: &ServerName<'_>,
        ocsp: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let Some(trust) = &self.trust else { return Ok(ServerCertVerified::assertion()) };
        // A certificate that signed itself is its own authority, though it may not be one for others.
        if trust.roots.contains(certificate) {
            if trust.name {
                verify_server_name(&ParsedCertificate::try_from(certificate)?, name)?;
            }
            return Ok(ServerCertVerified::assertion());
        }
        match trust.chains.verify_server_cert(certificate, chain, name, ocsp, now) {
            Err(Error::InvalidCertificate(
                CertificateError::NotValidForName | CertificateError::NotValidForNameContext { .. },
            )) if !trust.name => Ok(ServerCertVerified::assertion()),
            other => other,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls12_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        verify_tls13_signature(
            message,
            certificate,
            signature,
            &self.provider.signature_verification_algorithms,
        )
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.provider.signature_verification_algorithms.supported_schemes()
    }
}
