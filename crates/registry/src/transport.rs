//! One place for every request: headers, authorization, redirects, limits, and sending again what failed.
//!
//! 1. [`Transport::send`] repeats [`Transport::once`] with growing waits, and reads the answer whole.
//! 2. [`Transport::once`] adds the authorization that the registry wants; on 401 it gets another one and repeats.
//! 3. [`Transport::exchange`] follows redirects. What authorizes a request, and what a writing one holds, is sent
//!    to the registry's own scheme, host and port alone, never to where it redirects.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, Read, Seek as _, SeekFrom};
use std::sync::atomic::Ordering;
use std::sync::{Arc, Mutex};

use oci::blobs::MAX_DOCUMENT_BYTES;
use ureq::http::header::{
    AUTHORIZATION, CONTENT_LENGTH, CONTENT_TYPE, HeaderMap, LOCATION, WWW_AUTHENTICATE,
};
use ureq::http::uri::Authority;
use ureq::http::{Method, Request, Response, Uri};
use ureq::tls::{PemItem, RootCerts, TlsConfig, parse_pem};
use ureq::{Agent, Body, Proxy, SendBody};

use crate::auth::HostAuth;
use crate::config::Config;
use crate::error::{Error, Result, Subject};
use crate::reference::{Repository, is_loopback};
use crate::retry::{Attempt, Backoff, Failure, Verdict, parse_retry_after};
use crate::url;

/// Redirects of one request that are followed; blob storage needs one or two.
const MAX_REDIRECTS: usize = 5;

/// How much of an error's body is read for the registry's code and message, in bytes.
const MAX_ERROR_BYTES: u64 = 64 << 10;

/// One repository behind one host: the registry itself or a mirror of it.
#[derive(Clone)]
pub(crate) struct Endpoint {
    /// What credentials are looked up for and what messages name.
    pub(crate) repository: Repository,
    /// `https://host[:port]`.
    pub(crate) origin: String,
    pub(crate) access: Access,
}

/// What a token must allow (token authentication, "Requesting a Token"). One for all requests of a call: a
/// registry may deny reading to who wants to write a repository that does not exist yet, and it is one token.
#[derive(Clone, Copy)]
pub(crate) enum Access {
    Pull,
    Push,
    Delete,
}

impl Endpoint {
    /// The URL of `path` below the repository (distribution-spec, "Endpoints").
    pub(crate) fn url(&self, path: &str) -> String {
        format!("{}/v2/{}/{path}", self.origin, self.repository.name())
    }

    /// The scope that its requests need.
    fn scope(&self) -> String {
        let actions = match self.access {
            Access::Pull => "pull",
            Access::Push => "pull,push",
            Access::Delete => "delete,pull,push",
        };
        format!("repository:{}:{actions}", self.repository.name())
    }
}

/// What a request sends.
pub(crate) enum Content<'a> {
    Nothing,
    Bytes(&'a [u8]),
    /// `len` bytes of `file` from `offset` on; `sent` is told the new offset as they go.
    Part {
        file: &'a File,
        offset: u64,
        len: u64,
        sent: &'a dyn Fn(u64),
    },
}

/// One request, which may be sent several times.
pub(crate) struct Call<'a> {
    pub(crate) endpoint: &'a Endpoint,
    pub(crate) method: Method,
    pub(crate) url: String,
    /// For messages: "read the manifest".
    pub(crate) action: &'static str,
    /// For messages: the tag or digest.
    pub(crate) target: &'a str,
    /// What a token must allow: `repository:NAME:pull`.
    pub(crate) scopes: Vec<String>,
    pub(crate) headers: Vec<(&'static str, String)>,
    pub(crate) content: Content<'a>,
    /// Statuses beyond 2xx that the caller handles itself.
    pub(crate) expected: &'a [u16],
}

impl<'a> Call<'a> {
    /// A request without content.
    pub(crate) fn new(
        endpoint: &'a Endpoint,
        method: Method,
        url: String,
        action: &'static str,
        target: &'a str,
    ) -> Self {
        Call {
            endpoint,
            method,
            url,
            action,
            target,
            scopes: vec![endpoint.scope()],
            headers: Vec::new(),
            content: Content::Nothing,
            expected: &[],
        }
    }

    pub(crate) fn subject(&self) -> Box<Subject> {
        self.endpoint.repository.subject(self.target)
    }
}

/// An answer, read whole.
pub(crate) struct Answer {
    pub(crate) status: u16,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    /// Where it came from, after redirects: what a relative `Location` or `Link` is relative to.
    pub(crate) url: String,
}

impl Answer {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        header(&self.headers, name)
    }
}

pub(crate) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name).and_then(|value| value.to_str().ok())
}

/// The agent, and what is known about each host's authorization.
pub(crate) struct Transport {
    pub(crate) config: Config,
    agent: Agent,
    pub(crate) auth: Mutex<HashMap<String, Arc<Mutex<HostAuth>>>>,
}

impl Transport {
    pub(crate) fn new(config: Config) -> Result<Transport> {
        let mut builder = Agent::config_builder()
            .user_agent(&config.user_agent)
            .http_status_as_error(false)
            // Followed here, so that it is certain where an Authorization header goes.
            .max_redirects(0)
            .timeout_resolve(Some(config.connect_timeout))
            .timeout_connect(Some(config.connect_timeout))
            .timeout_per_read(Some(config.stall_timeout))
            .timeout_per_write(Some(config.stall_timeout))
            .max_idle_connections_per_host(config.parallel.max(1))
            // Without this ureq would look for proxies in the environment.
            .proxy(proxy(&config)?);
        if let Some(path) = &config.root_certificates {
            let fail = |problem: String| Error::File { path: path.clone(), problem };
            let pem = std::fs::read(path).map_err(|e| fail(format!("cannot be read: {e}")))?;
            let certificates: Vec<_> = parse_pem(&pem)
                .filter_map(|item| match item {
                    Ok(PemItem::Certificate(certificate)) => Some(certificate),
                    _ => None,
                })
                .collect();
            if certificates.is_empty() {
                return Err(fail("holds no PEM certificate".into()));
            }
            builder =
                builder.tls_config(TlsConfig::builder().root_certs(RootCerts::from(certificates)).build());
        }
        Ok(Transport { agent: builder.build().new_agent(), config, auth: Mutex::default() })
    }

    /// Where `host[:port]` is spoken to: plain HTTP for loopback and what is configured so, else HTTPS.
    pub(crate) fn origin(&self, host: &str) -> String {
        format!("{}://{host}", if self.plain_allowed(host) { "http" } else { "https" })
    }

    fn plain_allowed(&self, host: &str) -> bool {
        is_loopback(host) || self.config.insecure.iter().any(|name| name == host)
    }

    /// [`Error::Cancelled`] when the flag is up.
    pub(crate) fn check_cancelled(&self) -> Result<()> {
        if self.config.cancel.load(Ordering::Relaxed) { Err(Error::Cancelled) } else { Ok(()) }
    }

    /// Sends `call` until it succeeds, or fails for good, or attempts run out. Reads the answer whole.
    pub(crate) fn send(&self, call: &Call<'_>) -> Result<Answer> {
        let mut backoff = Backoff::new(self);
        loop {
            match self.once(call).and_then(|(response, url)| self.read_answer(call, response, url)) {
                Ok(answer) => return Ok(answer),
                Err(failure) => backoff.wait(failure)?,
            }
        }
    }

    /// Sends `call` once and reads the answer whole.
    pub(crate) fn send_once(&self, call: &Call<'_>) -> Attempt<Answer> {
        let (response, url) = self.once(call)?;
        self.read_answer(call, response, url)
    }

    /// Sends `call` once, apart from what authorization needs. The second part is the URL that answered.
    pub(crate) fn once(&self, call: &Call<'_>) -> Attempt<(Response<Body>, String)> {
        // Without a token, with a token that has expired or allows too little, with a new one: three at most.
        let mut rounds = 0;
        loop {
            let authorization = self.authorization(call)?;
            let (response, url) = self.exchange(call, authorization.as_deref())?;
            let status = response.status().as_u16();
            rounds += 1;
            if status == 401 && rounds < 3 && url::same_origin(&url, &call.endpoint.origin) {
                let challenges: Vec<String> = response
                    .headers()
                    .get_all(WWW_AUTHENTICATE)
                    .iter()
                    .filter_map(|value| value.to_str().ok().map(Into::into))
                    .collect();
                if self.challenged(call, &challenges, authorization.as_deref())? {
                    continue;
                }
            }
            if response.status().is_success() || call.expected.contains(&status) {
                return Ok((response, url));
            }
            return Err(self.refused(call, response));
        }
    }

    /// Sends `call` and follows redirects.
    pub(crate) fn exchange(
        &self,
        call: &Call<'_>,
        authorization: Option<&str>,
    ) -> Attempt<(Response<Body>, String)> {
        let invalid = |problem: String| Failure::fatal(Error::invalid(call.subject(), problem));
        let mut at = call.url.clone();
        for _ in 0..=MAX_REDIRECTS {
            self.check_cancelled().map_err(Failure::fatal)?;
            let uri: Uri = at.parse().map_err(|e| invalid(format!("a URL of the registry is wrong: {e}")))?;
            let host = uri.authority().map(Authority::as_str).unwrap_or_default();
            if uri.scheme_str() != Some("https") && !self.plain_allowed(host) {
                return Err(invalid(format!(
                    "is sent on to `{host}` in plain HTTP, which is allowed for loopback only"
                )));
            }
            let mut request = Request::builder().method(&call.method).uri(&uri);
            for (name, value) in &call.headers {
                request = request.header(*name, value);
            }
            if let Some(value) = authorization.filter(|_| url::same_origin(&at, &call.endpoint.origin)) {
                request = request.header(AUTHORIZATION, value);
            }
            let response = self.run(call, request).map_err(|e| Failure::transport(call, e))?;
            let status = response.status().as_u16();
            let reads = matches!(call.method, Method::GET | Method::HEAD);
            if !(matches!(status, 307 | 308) || matches!(status, 301..=303) && reads) {
                return Ok((response, at));
            }
            let location = header(response.headers(), LOCATION.as_str());
            let location = location.ok_or_else(|| invalid(format!("HTTP {status} without a `Location`")))?;
            at = url::resolve(&at, location).ok_or_else(|| invalid("a `Location` is not a URL".into()))?;
            if !reads && !url::same_origin(&at, &call.endpoint.origin) {
                // What a request holds may be a secret too: a refresh token, an image.
                return Err(invalid(format!(
                    "cannot {}: HTTP {status} sends it on to another host",
                    call.action
                )));
            }
        }
        Err(invalid(format!("more than {MAX_REDIRECTS} redirects")))
    }

    fn run(
        &self,
        call: &Call<'_>,
        request: ureq::http::request::Builder,
    ) -> std::result::Result<Response<Body>, ureq::Error> {
        let has_body = matches!(call.method, Method::POST | Method::PUT | Method::PATCH);
        match call.content {
            Content::Nothing if !has_body => self.agent.run(request.body(SendBody::none())?),
            Content::Nothing => self.agent.run(request.body(&[][..])?),
            Content::Bytes(bytes) => self.agent.run(request.body(bytes)?),
            Content::Part { mut file, offset, len, sent } => {
                file.seek(SeekFrom::Start(offset))?;
                let mut part = Part { transport: self, file, at: offset, end: offset + len, sent };
                let request = request.header(CONTENT_LENGTH, len);
                self.agent.run(request.body(SendBody::from_reader(&mut part))?)
            }
        }
    }

    /// Reads the body of an answer, which must be a document and no blob.
    pub(crate) fn read_answer(
        &self,
        call: &Call<'_>,
        response: Response<Body>,
        url: String,
    ) -> Attempt<Answer> {
        let (parts, body) = response.into_parts();
        let mut bytes = Vec::new();
        body.into_reader()
            .take(MAX_DOCUMENT_BYTES + 1)
            .read_to_end(&mut bytes)
            .map_err(|e| Failure::transport(call, e.into()))?;
        self.check_cancelled().map_err(Failure::fatal)?;
        if bytes.len() as u64 > MAX_DOCUMENT_BYTES {
            let problem = format!("an answer has more than {MAX_DOCUMENT_BYTES} bytes");
            return Err(Failure::fatal(Error::invalid(call.subject(), problem)));
        }
        Ok(Answer { status: parts.status.as_u16(), headers: parts.headers, body: bytes, url })
    }

    /// The failure that an answer other than 2xx means.
    pub(crate) fn refused(&self, call: &Call<'_>, response: Response<Body>) -> Failure {
        let (parts, body) = response.into_parts();
        let status = parts.status.as_u16();
        let mut bytes = Vec::new();
        // What can be read of it is enough: the status alone says that it failed.
        let _ = body.into_reader().take(MAX_ERROR_BYTES).read_to_end(&mut bytes);
        let is_text =
            header(&parts.headers, CONTENT_TYPE.as_str()).is_some_and(|t| t.starts_with("text/plain"));
        let (code, message) = registry_error(&bytes, is_text);
        let asked = header(&parts.headers, "retry-after").and_then(parse_retry_after);
        let retryable = matches!(status, 408 | 429 | 500 | 502..=504 | 506..);
        let too_long = asked.filter(|wait| retryable && *wait > self.config.retry.patience);
        let verdict = match asked {
            _ if !retryable || too_long.is_some() => Verdict::Fatal,
            Some(wait) => Verdict::After(wait),
            None => Verdict::Soon,
        };
        let error = Error::Refused {
            subject: call.subject(),
            action: call.action,
            status,
            code,
            message,
            retry_after: too_long,
        };
        Failure { error: Box::new(error), verdict }
    }
}

/// A part of a file on its way to the registry. Ends with an error, never early: the length has been announced.
struct Part<'a> {
    transport: &'a Transport,
    file: &'a File,
    at: u64,
    end: u64,
    sent: &'a dyn Fn(u64),
}

impl Read for Part<'_> {
    fn read(&mut self, buf: &mut [u8]) -> io::Result<usize> {
        self.transport.check_cancelled().map_err(io::Error::other)?;
        let room = usize::try_from(self.end - self.at).unwrap_or(usize::MAX).min(buf.len());
        let n = self.file.read(&mut buf[..room])?;
        if n == 0 && room > 0 {
            return Err(io::Error::new(
                io::ErrorKind::InvalidData,
                "the local blob is shorter than its descriptor says",
            ));
        }
        self.at += n as u64;
        (self.sent)(self.at);
        Ok(n)
    }
}

/// The registry's code and message (distribution-spec, "Error Codes"), on one line.
fn registry_error(body: &[u8], is_text: bool) -> (Option<String>, Option<String>) {
    // `oci_spec`'s ErrorCode refuses codes beyond the specification's, which registries do send.
    let document: serde_json::Value = serde_json::from_slice(body).unwrap_or_default();
    let first = &document["errors"][0];
    let text = |value: &serde_json::Value| value.as_str().filter(|s| !s.is_empty()).map(one_line);
    let message = text(&first["message"]).or_else(|| text(&document["details"]));
    let plain = || is_text.then(|| one_line(&String::from_utf8_lossy(body))).filter(|s| !s.is_empty());
    (text(&first["code"]), message.or_else(plain))
}

fn one_line(text: &str) -> String {
    let words: Vec<&str> =
        text.split(|c: char| c.is_whitespace() || c.is_control()).filter(|w| !w.is_empty()).collect();
    words.join(" ").chars().take(300).collect()
}

fn proxy(config: &Config) -> Result<Option<Proxy>> {
    let Some(given) = &config.proxy else { return Ok(None) };
    // The URL may hold a password: it is not quoted.
    let fail = |e: ureq::Error| Error::input("proxy", format!("not the URL of an HTTP proxy: {e}"));
    let parsed = Proxy::new(given).map_err(fail)?;
    let mut builder = Proxy::builder(parsed.protocol()).host(parsed.host()).port(parsed.port());
    if let Some(user) = parsed.username() {
        builder = builder.username(user);
    }
    if let Some(password) = parsed.password() {
        builder = builder.password(password);
    }
    for host in
        ["localhost", "127.0.0.1", "[::1]"].into_iter().chain(config.no_proxy.iter().map(String::as_str))
    {
        let host = host.trim();
        builder = builder.no_proxy(host);
        if !host.starts_with(['.', '*', '[']) {
            builder = builder.no_proxy(&format!(".{host}"));
        }
    }
    builder.build().map(Some).map_err(fail)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn errors_of_registries() {
        let check = |body: &str, is_text, code: Option<&str>, message: Option<&str>| {
            let got = registry_error(body.as_bytes(), is_text);
            assert_eq!((got.0.as_deref(), got.1.as_deref()), (code, message), "{body}");
        };
        check(
            r#"{"errors":[{"code":"DENIED","message":"no\n  way"}]}"#,
            false,
            Some("DENIED"),
            Some("no way"),
        );
        check(r#"{"errors":[{"code":"OWN_CODE","detail":{}}]}"#, false, Some("OWN_CODE"), None);
        check(
            r#"{"details":"incorrect username or password"}"#,
            false,
            None,
            Some("incorrect username or password"),
        );
        check("<html>", false, None, None);
        check("upstream\r\nfailed", true, None, Some("upstream failed"));
        check("", true, None, None);
    }

    #[test]
    fn plain_http_is_for_loopback_and_by_name() {
        let transport =
            Transport::new(Config { insecure: vec!["reg:5000".into()], ..Config::default() }).unwrap();
        let check = |host: &str, expect: &str| assert_eq!(transport.origin(host), expect);
        check("localhost:5000", "http://localhost:5000");
        check("reg:5000", "http://reg:5000");
        check("reg", "https://reg");
        check("ghcr.io", "https://ghcr.io");
    }

    #[test]
    fn proxies_and_certificates() {
        let with = |proxy: &str| {
            Transport::new(Config {
                proxy: Some(proxy.into()),
                no_proxy: vec!["a.io".into()],
                ..Config::default()
            })
        };
        assert!(with("http://user:pass@proxy:3128").is_ok());
        let message = with("http://user:s3cret@ /").err().unwrap().to_string();
        assert!(message.contains("proxy") && !message.contains("s3cret"), "{message}");
        let file = tempfile::NamedTempFile::new().unwrap();
        let roots = Some(file.path().to_path_buf());
        let error = Transport::new(Config { root_certificates: roots, ..Config::default() }).err().unwrap();
        assert!(error.to_string().contains("no PEM certificate"), "{error}");
    }
}
