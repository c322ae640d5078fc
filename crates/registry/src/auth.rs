//! What a registry wants to see before it serves: nothing, Basic credentials, or a token from its token service.
//!
//! 1. The first request goes out bare. A 401 carries a challenge (`WWW-Authenticate`), which is kept for the host.
//! 2. `Basic`: the user's credentials go with every further request.
//! 3. `Bearer`: for each scope a token is fetched from the realm (token authentication specification; with an
//!    identity token through OAuth 2), kept until shortly before it expires, and fetched anew when a 401 says that
//!    it is worth nothing or allows too little.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::{Duration, Instant};

use serde::Deserialize;
use ureq::http::Method;

use crate::credentials::{self, Credential};
use crate::error::{Error, Result};
use crate::retry::{Attempt, Backoff, Failure};
use crate::transport::{Call, Content, Endpoint, Transport};
use crate::url;

/// How long a token is good when its service does not say (token authentication, "Token Response Fields").
const DEFAULT_LIFE: Duration = Duration::from_secs(60);

/// A token that expires within that time counts as expired, so that it lives until its request arrives.
const MARGIN: Duration = Duration::from_secs(10);

/// What is known about one host.
#[derive(Default)]
pub(crate) struct HostAuth {
    scheme: Scheme,
    /// By repository: credential files can tell them apart.
    credentials: HashMap<String, Option<Credential>>,
    tokens: HashMap<Vec<String>, Token>,
}

#[derive(Clone, Default, PartialEq, Eq, Debug)]
enum Scheme {
    #[default]
    Open,
    Basic,
    Bearer {
        realm: String,
        service: Option<String>,
    },
}

struct Token {
    header: String,
    expires: Instant,
}

/// One challenge of a `WWW-Authenticate` header (RFC 9110 section 11.6.1).
#[derive(Debug, PartialEq, Eq)]
struct Challenge {
    scheme: String,
    parameters: Vec<(String, String)>,
}

impl Challenge {
    fn get(&self, name: &str) -> Option<&str> {
        self.parameters.iter().find(|(key, _)| key == name).map(|(_, value)| value.as_str())
    }
}

impl Transport {
    fn host_auth(&self, origin: &str) -> Arc<Mutex<HostAuth>> {
        let mut hosts = self.auth.lock().unwrap_or_else(PoisonError::into_inner);
        Arc::clone(hosts.entry(origin.to_owned()).or_default())
    }

    /// The `Authorization` header that `call` needs, as far as is known.
    ///
    /// The host's state stays locked while a token is fetched, so that threads that need the same one fetch it once.
    pub(crate) fn authorization(&self, call: &Call<'_>) -> Attempt<Option<String>> {
        let host = self.host_auth(&call.endpoint.origin);
        let mut auth = host.lock().unwrap_or_else(PoisonError::into_inner);
        match auth.scheme.clone() {
            Scheme::Open => Ok(None),
            Scheme::Basic => Ok(self.credential(&mut auth, call)?.and_then(|c| c.basic())),
            Scheme::Bearer { realm, service } => {
                if let Some(token) = auth.tokens.get(&call.scopes).filter(|t| t.expires > Instant::now()) {
                    return Ok(Some(token.header.clone()));
                }
                self.fetch_token(&mut auth, call, &realm, service.as_deref(), &call.scopes).map(Some)
            }
        }
    }

    /// Takes note of a 401. Returns whether another attempt makes sense.
    pub(crate) fn challenged(
        &self,
        call: &Call<'_>,
        headers: &[String],
        sent: Option<&str>,
    ) -> Attempt<bool> {
        let challenges: Vec<Challenge> = headers.iter().flat_map(|header| parse_challenges(header)).collect();
        let host = self.host_auth(&call.endpoint.origin);
        let mut auth = host.lock().unwrap_or_else(PoisonError::into_inner);
        let bearer = challenges.iter().find(|c| c.scheme == "bearer" && c.get("realm").is_some());
        if let Some(challenge) = bearer {
            let realm = challenge.get("realm").unwrap_or_default().to_owned();
            let service = challenge.get("service").map(str::to_owned);
            if auth.tokens.get(&call.scopes).is_some_and(|token| Some(token.header.as_str()) != sent) {
                // Another thread has fetched a newer one meanwhile.
                return Ok(true);
            }
            auth.tokens.remove(&call.scopes);
            auth.scheme = Scheme::Bearer { realm: realm.clone(), service: service.clone() };
            // What the registry says it needs is asked for too; it may be more than this client thinks.
            let mut scopes = call.scopes.clone();
            for scope in challenge.get("scope").unwrap_or_default().split(' ').filter(|s| !s.is_empty()) {
                if !scopes.iter().any(|known| known == scope) {
                    scopes.push(scope.to_owned());
                }
            }
            self.fetch_token(&mut auth, call, &realm, service.as_deref(), &scopes)?;
            return Ok(true);
        }
        let basic = challenges.iter().any(|c| c.scheme == "basic");
        auth.scheme = if basic { Scheme::Basic } else { Scheme::Open };
        // The same credentials would be refused again.
        Ok(basic && sent.is_none() && self.credential(&mut auth, call)?.is_some_and(|c| c.basic().is_some()))
    }

    fn credential(&self, auth: &mut HostAuth, call: &Call<'_>) -> Result<Option<Credential>> {
        let name = call.endpoint.repository.name();
        if !auth.credentials.contains_key(name) {
            let found = credentials::find(&self.config, &call.endpoint.repository)?;
            auth.credentials.insert(name.to_owned(), found);
        }
        Ok(auth.credentials[name].clone())
    }

    /// Fetches a token for `scopes`, keeps it for the scopes of `call`, and returns the header with it.
    fn fetch_token(
        &self,
        auth: &mut HostAuth,
        call: &Call<'_>,
        realm: &str,
        service: Option<&str>,
        scopes: &[String],
    ) -> Attempt<String> {
        let credential = self.credential(auth, call)?;
        if let Some(Credential::Access(token)) = credential {
            return Ok(keep(auth, call, &token, DEFAULT_LIFE));
        }
        let answer = self.ask_token_service(call, realm, service, credential.as_ref(), scopes)?;
        let Some(token) = answer.token.or(answer.access_token).filter(|t| !t.is_empty()) else {
            let problem = "the token service's answer holds no token";
            return Err(Failure::fatal(Error::invalid(call.subject(), problem)));
        };
        let life = answer.expires_in.map_or(DEFAULT_LIFE, Duration::from_secs);
        Ok(keep(auth, call, &token, life))
    }

    /// Asks the realm: by GET with a password or without, by POST with an identity token (OAuth 2).
    fn ask_token_service(
        &self,
        call: &Call<'_>,
        realm: &str,
        service: Option<&str>,
        credential: Option<&Credential>,
        scopes: &[String],
    ) -> Result<TokenAnswer> {
        // The credentials go to the realm, which the registry names: it is the endpoint of this exchange.
        let endpoint = Endpoint { origin: realm.to_owned(), ..call.endpoint.clone() };
        let mut parameters: Vec<(&str, &str)> = service.iter().map(|service| ("service", *service)).collect();
        let (joined, form);
        let mut request = Call::new(&endpoint, Method::GET, realm.to_owned(), "get a token", call.target);
        if let Some(Credential::Identity(token)) = credential {
            joined = scopes.join(" ");
            parameters.extend([
                ("grant_type", "refresh_token"),
                ("client_id", self.config.user_agent.as_str()),
                ("refresh_token", token),
                ("scope", &joined),
            ]);
            form = url::with_query("", &parameters).trim_start_matches('?').to_owned();
            request.method = Method::POST;
            request.headers.push(("Content-Type", "application/x-www-form-urlencoded".into()));
            request.content = Content::Bytes(form.as_bytes());
        } else {
            parameters.extend(scopes.iter().map(|scope| ("scope", scope.as_str())));
            request.url = url::with_query(realm, &parameters);
        }
        let authorization = credential.and_then(Credential::basic);
        let mut backoff = Backoff::new(self);
        loop {
            let exchanged = self.exchange(&request, authorization.as_deref());
            let got = exchanged.and_then(|(response, url)| match response.status().is_success() {
                true => self.read_answer(&request, response, url),
                false => Err(self.refused(&request, response)),
            });
            match got {
                // What is no JSON holds no token either.
                Ok(answer) => return Ok(serde_json::from_slice(&answer.body).unwrap_or_default()),
                Err(failure) => backoff.wait(failure)?,
            }
        }
    }
}

#[derive(Deserialize, Default)]
struct TokenAnswer {
    token: Option<String>,
    access_token: Option<String>,
    expires_in: Option<u64>,
}

fn keep(auth: &mut HostAuth, call: &Call<'_>, token: &str, life: Duration) -> String {
    let header = format!("Bearer {token}");
    let expires = Instant::now() + life.saturating_sub(MARGIN.min(life / 2));
    auth.tokens.insert(call.scopes.clone(), Token { header: header.clone(), expires });
    header
}

/// The challenges of one header. What is not one is left out: a registry's mistake must not hide a good challenge.
fn parse_challenges(header: &str) -> Vec<Challenge> {
    let mut out: Vec<Challenge> = Vec::new();
    let mut rest = header.trim_start_matches([' ', ',']);
    while !rest.is_empty() {
        let word_end = rest.find([' ', '=', ',']).unwrap_or(rest.len());
        let word = &rest[..word_end];
        rest = rest[word_end..].trim_start();
        let Some(after) = rest.strip_prefix('=') else {
            out.push(Challenge { scheme: word.to_ascii_lowercase(), parameters: Vec::new() });
            rest = rest.trim_start_matches([' ', ',']);
            continue;
        };
        let (value, after) = parse_value(after.trim_start());
        if let Some(challenge) = out.last_mut() {
            challenge.parameters.push((word.to_ascii_lowercase(), value));
        }
        rest = after.trim_start_matches([' ', ',']);
    }
    out
}

/// A token or a quoted string, and what follows it.
fn parse_value(text: &str) -> (String, &str) {
    let Some(quoted) = text.strip_prefix('"') else {
        let end = text.find([' ', ',']).unwrap_or(text.len());
        return (text[..end].to_owned(), &text[end..]);
    };
    let mut value = String::new();
    let mut chars = quoted.char_indices();
    while let Some((i, c)) = chars.next() {
        match c {
            '"' => return (value, &quoted[i + 1..]),
            '\\' => value.extend(chars.next().map(|(_, escaped)| escaped)),
            _ => value.push(c),
        }
    }
    (value, "")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn challenges() {
        let check = |header: &str, expect: &[(&str, &[(&str, &str)])]| {
            let expect: Vec<Challenge> = expect
                .iter()
                .map(|(scheme, parameters)| Challenge {
                    scheme: (*scheme).into(),
                    parameters: parameters.iter().map(|(k, v)| ((*k).into(), (*v).into())).collect(),
                })
                .collect();
            assert_eq!(parse_challenges(header), expect, "{header}");
        };
        check(
            r#"Bearer realm="https://auth/token",service="reg, one",scope="repository:a:pull,push""#,
            &[(
                "bearer",
                &[
                    ("realm", "https://auth/token"),
                    ("service", "reg, one"),
                    ("scope", "repository:a:pull,push"),
                ],
            )],
        );
        check(
            r#"Basic realm="a \"b\"", BEARER Realm = x , error=insufficient_scope"#,
            &[
                ("basic", &[("realm", "a \"b\"")]),
                ("bearer", &[("realm", "x"), ("error", "insufficient_scope")]),
            ],
        );
        check("Negotiate, Basic", &[("negotiate", &[]), ("basic", &[])]);
        check(r#"Basic realm="unended"#, &[("basic", &[("realm", "unended")])]);
        check("", &[]);
        check("=,\"", &[("\"", &[])]);
    }
}
