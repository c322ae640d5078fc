//! A registry in this process, for tests: the distribution API in memory, with a record of what it was asked and
//! with faults where a test wants them. [`real`] is the other one: Debian's `docker-registry`.

pub mod real;

use std::collections::{BTreeMap, HashMap};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread;

use serde_json::{Value, json};

/// What goes wrong with one request.
#[derive(Clone, Debug)]
pub enum Fault {
    /// The connection closes; nothing is done.
    CutBefore,
    /// All is done, and the connection closes before the first byte of the answer.
    CutAfter,
    /// All is done, and the connection closes in the middle of the answer's headers.
    CutHeaders,
    /// The connection closes after that many bytes of the answer's body.
    CutBody(usize),
    /// The connection closes after that many bytes of the request's body, which the session keeps.
    CutUpload(usize),
    /// The last byte of the answer's body is another.
    Corrupt,
    /// The answer's body is shorter, and says so.
    Truncate,
    /// The answer's body is longer, and says so.
    Extend,
    /// The answer's body stops in the middle, and the connection stays open.
    Stall,
    /// Nothing is done, and this is the answer: status, headers, body.
    Answer(u16, Vec<(&'static str, String)>, &'static str),
}

/// One request as it came.
#[derive(Clone, Debug)]
pub struct Request {
    /// Such as `GET`.
    pub method: String,
    /// With the query.
    pub path: String,
    /// By name in lower case.
    pub headers: HashMap<String, String>,
    /// As far as it was read.
    pub body: Vec<u8>,
}

impl Request {
    /// The header of that name, which must be in lower case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name).map(String::as_str)
    }

    fn query(&self, name: &str) -> Option<String> {
        let query = self.path.split_once('?')?.1;
        let value = query.split('&').find_map(|pair| pair.strip_prefix(name)?.strip_prefix('='))?;
        Some(value.replace("%3A", ":").replace("%2F", "/").replace("%2B", "+").replace("%2C", ","))
    }
}

/// What the registry holds and how it behaves.
#[derive(Default)]
pub struct State {
    /// By repository and digest.
    pub blobs: BTreeMap<(String, String), Vec<u8>>,
    /// By repository and digest: media type and bytes.
    pub manifests: BTreeMap<(String, String), (String, Vec<u8>)>,
    /// By repository and tag: the digest.
    pub tags: BTreeMap<(String, String), String>,
    uploads: HashMap<String, Vec<u8>>,
    /// All requests so far.
    pub requests: Vec<Request>,
    /// Opens an upload where a mount was asked for.
    pub refuse_mounts: bool,
    /// Whether it lists referrers itself.
    pub referrers_api: bool,
    /// Sends the whole blob where a part was asked for.
    pub ignore_range: bool,
    /// Leaves out the headers that tell a manifest's digest.
    pub no_digest_header: bool,
    /// How many entries a page of a list has.
    pub page: Option<usize>,
    /// The smallest piece of an upload, as it tells.
    pub min_chunk: Option<usize>,
    /// What a request needs.
    pub auth: Auth,
}

/// What a request needs.
#[derive(Default, Clone)]
pub enum Auth {
    /// Nothing.
    #[default]
    None,
    /// This `Authorization` header.
    Basic(&'static str),
    /// Tokens that the realm gives out, each good for `uses` requests, with the life that is told. `left` is what
    /// remains of each.
    Bearer {
        /// The URL that gives tokens.
        realm: String,
        /// How many requests a token is good for.
        uses: usize,
        /// The life that is told, in seconds.
        expires_in: u64,
        /// Of each token, the requests that it is still good for.
        left: Vec<usize>,
    },
}

type Hook = Box<dyn Fn(usize, &Request) -> Option<Fault> + Send + Sync>;

/// A running registry; it ends with the process.
pub struct Server {
    /// `127.0.0.1:PORT`.
    pub host: String,
    state: Arc<Mutex<State>>,
    hook: Arc<Mutex<Hook>>,
}

impl Server {
    /// Starts one on a free port.
    pub fn start() -> Server {
        let listener = TcpListener::bind("127.0.0.1:0").unwrap();
        let host = listener.local_addr().unwrap().to_string();
        let state = Arc::new(Mutex::new(State::default()));
        let hook: Arc<Mutex<Hook>> = Arc::new(Mutex::new(Box::new(|_, _| None)));
        let server = Server { host, state: Arc::clone(&state), hook: Arc::clone(&hook) };
        let count = Arc::new(AtomicUsize::new(0));
        // Ends with the test process: the threads hold nothing but memory.
        thread::spawn(move || {
            for stream in listener.incoming().flatten() {
                let (state, hook, count) = (Arc::clone(&state), Arc::clone(&hook), Arc::clone(&count));
                thread::spawn(move || serve(&stream, &state, &hook, &count));
            }
        });
        server
    }

    /// What it holds, to look at and to change.
    pub fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap()
    }

    /// Asks `hook` before each request, with the request's number from 0.
    pub fn on(&self, hook: impl Fn(usize, &Request) -> Option<Fault> + Send + Sync + 'static) {
        *self.hook.lock().unwrap() = Box::new(hook);
    }

    /// `METHOD path` of all requests so far, without queries; forgets them.
    pub fn take_log(&self) -> Vec<String> {
        let requests = std::mem::take(&mut self.state().requests);
        requests.iter().map(|r| format!("{} {}", r.method, r.path.split('?').next().unwrap())).collect()
    }

    /// A repository in it.
    pub fn repository(&self, name: &str) -> registry::Repository {
        registry::Repository::parse(&format!("{}/{name}", self.host)).unwrap()
    }
}

struct Answer {
    status: u16,
    headers: Vec<(&'static str, String)>,
    body: Vec<u8>,
}

impl Answer {
    fn new(status: u16) -> Answer {
        Answer { status, headers: Vec::new(), body: Vec::new() }
    }

    fn error(status: u16, code: &str) -> Answer {
        let body = json!({"errors": [{"code": code, "message": code.to_lowercase()}]}).to_string();
        Answer::new(status).with("content-type", "application/json").body(body)
    }

    fn with(mut self, name: &'static str, value: impl Into<String>) -> Answer {
        self.headers.push((name, value.into()));
        self
    }

    fn body(mut self, body: impl Into<Vec<u8>>) -> Answer {
        self.body = body.into();
        self
    }
}

fn serve(stream: &TcpStream, state: &Mutex<State>, hook: &Mutex<Hook>, count: &AtomicUsize) {
    stream.set_nodelay(true).unwrap();
    let mut reader = BufReader::new(stream);
    while let Some((mut request, length)) = read_head(&mut reader) {
        let fault = (hook.lock().unwrap())(count.fetch_add(1, Ordering::SeqCst), &request);
        if matches!(fault, Some(Fault::CutBefore)) {
            return;
        }
        if let Some(Fault::CutUpload(keep)) = fault {
            request.body = vec![0; keep.min(length)];
            if reader.read_exact(&mut request.body).is_ok() {
                let id = request.path.split('?').next().unwrap().rsplit('/').next().unwrap().to_owned();
                let mut state = state.lock().unwrap();
                state.requests.push(request.clone());
                if let Some(upload) = state.uploads.get_mut(&id) {
                    upload.extend(&request.body);
                }
            }
            return;
        }
        request.body = vec![0; length];
        if reader.read_exact(&mut request.body).is_err() {
            return;
        }
        let mut answer = {
            let mut state = state.lock().unwrap();
            state.requests.push(request.clone());
            match &fault {
                Some(Fault::Answer(status, headers, body)) => {
                    Answer { status: *status, headers: headers.clone(), body: body.as_bytes().to_vec() }
                }
                _ => state.answer(&request),
            }
        };
        let mut sent = usize::MAX;
        let body_less = request.method == "HEAD";
        match fault {
            Some(Fault::Corrupt | Fault::Truncate | Fault::Extend) if body_less => {}
            Some(Fault::CutAfter) => return,
            Some(Fault::Corrupt) => answer.body.iter_mut().rev().take(1).for_each(|b| *b ^= 1),
            Some(Fault::Truncate) => drop(answer.body.pop()),
            Some(Fault::Extend) => answer.body.push(b'!'),
            Some(Fault::CutBody(k)) => sent = k,
            Some(Fault::Stall) => sent = answer.body.len() / 2,
            _ => {}
        }
        let mut head = format!("HTTP/1.1 {} X\r\n", answer.status);
        for (name, value) in &answer.headers {
            head += &format!("{name}: {value}\r\n");
        }
        if !answer.headers.iter().any(|(name, _)| *name == "content-length") {
            head += &format!("content-length: {}\r\n", answer.body.len());
        }
        head += "\r\n";
        let mut bytes = head.into_bytes();
        if matches!(fault, Some(Fault::CutHeaders)) {
            bytes.truncate(bytes.len() / 2);
            sent = 0;
        }
        if !body_less {
            bytes.extend(answer.body.iter().take(sent));
        }
        let mut writer = stream;
        if writer.write_all(&bytes).is_err() {
            return;
        }
        if matches!(fault, Some(Fault::Stall)) {
            // Until the client gives up and closes.
            let _ = reader.read(&mut [0]);
        }
        if sent != usize::MAX {
            return;
        }
    }
}

fn read_head(reader: &mut impl BufRead) -> Option<(Request, usize)> {
    let mut line = String::new();
    reader.read_line(&mut line).ok()?;
    let mut words = line.split_whitespace();
    let (method, path) = (words.next()?.to_owned(), words.next()?.to_owned());
    let mut headers = HashMap::new();
    loop {
        let mut line = String::new();
        reader.read_line(&mut line).ok()?;
        let Some((name, value)) = line.trim_end().split_once(':') else { break };
        headers.insert(name.to_ascii_lowercase(), value.trim().to_owned());
    }
    let length = headers.get("content-length").and_then(|n| n.parse().ok()).unwrap_or(0);
    Some((Request { method, path, headers, body: Vec::new() }, length))
}

impl State {
    /// All that clients have written.
    pub fn content(&self) -> impl PartialEq + use<> {
        (self.blobs.clone(), self.manifests.clone(), self.tags.clone())
    }

    fn answer(&mut self, request: &Request) -> Answer {
        if let Some(refusal) = self.authorize(request) {
            return refusal;
        }
        let path = request.path.split('?').next().unwrap();
        if path == "/token" {
            return self.token(request);
        }
        let Some(rest) = path.strip_prefix("/v2/") else { return Answer::error(404, "UNSUPPORTED") };
        for kind in ["/blobs/uploads/", "/blobs/", "/manifests/", "/tags/", "/referrers/"] {
            if let Some((name, target)) = rest.split_once(kind) {
                return match kind {
                    "/blobs/uploads/" => self.upload(request, name, target),
                    "/blobs/" => self.blob(request, name, target),
                    "/manifests/" => self.manifest(request, name, target),
                    "/tags/" => self.tag_list(request, name),
                    _ => self.referrers(request, name, target),
                };
            }
        }
        Answer::error(404, "NAME_UNKNOWN")
    }

    fn authorize(&mut self, request: &Request) -> Option<Answer> {
        let sent = request.header("authorization");
        match &mut self.auth {
            Auth::None => None,
            _ if request.path.starts_with("/token") => None,
            Auth::Basic(expected) if sent == Some(*expected) => None,
            Auth::Basic(_) => {
                Some(Answer::error(401, "UNAUTHORIZED").with("www-authenticate", "Basic realm=\"test\""))
            }
            Auth::Bearer { realm, left, .. } => {
                let number = sent.and_then(|s| s.strip_prefix("Bearer token-")?.parse::<usize>().ok());
                if let Some(uses) = number.and_then(|n| left.get_mut(n)).filter(|uses| **uses > 0) {
                    *uses -= 1;
                    return None;
                }
                let challenge =
                    format!("Bearer realm=\"{realm}\",service=\"test\",scope=\"repository:extra:pull\"");
                Some(Answer::error(401, "UNAUTHORIZED").with("www-authenticate", challenge))
            }
        }
    }

    fn token(&mut self, request: &Request) -> Answer {
        // `u:p`, or an identity token in the body.
        let identity = String::from_utf8_lossy(&request.body).contains("refresh_token=identity");
        if request.header("authorization") != Some("Basic dTpw") && !identity {
            return Answer::error(401, "UNAUTHORIZED");
        }
        let Auth::Bearer { uses, expires_in, left, .. } = &mut self.auth else {
            return Answer::error(404, "UNSUPPORTED");
        };
        left.push(*uses);
        let number = left.len() - 1;
        Answer::new(200)
            .body(json!({"token": format!("token-{number}"), "expires_in": expires_in}).to_string())
    }

    fn blob(&mut self, request: &Request, name: &str, digest: &str) -> Answer {
        let Some(bytes) = self.blobs.get(&(name.into(), digest.into())) else {
            return Answer::error(404, "BLOB_UNKNOWN");
        };
        if request.method == "HEAD" {
            return Answer::new(200).with("content-length", bytes.len().to_string());
        }
        let range =
            request.header("range").and_then(|r| r.strip_prefix("bytes=")).filter(|_| !self.ignore_range);
        match range.and_then(|r| r.strip_suffix('-')).map(|start| start.parse::<usize>().unwrap()) {
            Some(start) if start >= bytes.len() => Answer::new(416),
            Some(start) => Answer::new(206)
                .with("content-range", format!("bytes {start}-{}/{}", bytes.len() - 1, bytes.len()))
                .body(&bytes[start..]),
            None => Answer::new(200).body(bytes.clone()),
        }
    }

    fn upload(&mut self, request: &Request, name: &str, id: &str) -> Answer {
        let location = |id: &str| format!("/v2/{name}/blobs/uploads/{id}?state=x");
        if request.method == "POST" {
            if let (Some(digest), Some(from), false) =
                (request.query("mount"), request.query("from"), self.refuse_mounts)
                && let Some(bytes) = self.blobs.get(&(from, digest.clone())).cloned()
            {
                self.blobs.insert((name.into(), digest), bytes);
                return Answer::new(201);
            }
            let id = format!("u{}", self.requests.len());
            self.uploads.insert(id.clone(), Vec::new());
            let answer = Answer::new(202).with("location", location(&id));
            return match self.min_chunk {
                Some(min) => answer.with("oci-chunk-min-length", min.to_string()),
                None => answer,
            };
        }
        let Some(upload) = self.uploads.get_mut(id) else { return Answer::error(404, "BLOB_UPLOAD_UNKNOWN") };
        if let Some(start) =
            request.header("content-range").and_then(|r| r.split_once('-')).map(|(start, _)| start)
            && start.parse::<usize>().unwrap() != upload.len()
        {
            return Answer::new(416);
        }
        upload.extend(&request.body);
        let range = format!("0-{}", upload.len().saturating_sub(1));
        match request.method.as_str() {
            "GET" => Answer::new(204).with("range", range).with("location", location(id)),
            "PATCH" => Answer::new(202).with("range", range).with("location", location(id)),
            "DELETE" => {
                self.uploads.remove(id);
                Answer::new(204)
            }
            _ => {
                let bytes = self.uploads.remove(id).unwrap();
                let digest = oci::digest::sha256(&bytes).to_string();
                if request.query("digest").as_deref() != Some(&digest) {
                    return Answer::error(400, "DIGEST_INVALID");
                }
                self.blobs.insert((name.into(), digest), bytes);
                Answer::new(201)
            }
        }
    }

    fn manifest(&mut self, request: &Request, name: &str, target: &str) -> Answer {
        if request.method == "PUT" {
            return self.put_manifest(request, name, target);
        }
        let digest = match self.tags.get(&(name.into(), target.into())) {
            Some(digest) => digest.clone(),
            None => target.to_owned(),
        };
        if request.method == "DELETE" {
            self.tags.retain(|(repository, tag), _| repository != name || tag != target);
            self.manifests.remove(&(name.into(), target.into()));
            return Answer::new(202);
        }
        let Some((media_type, bytes)) = self.manifests.get(&(name.into(), digest.clone())) else {
            return Answer::error(404, "MANIFEST_UNKNOWN");
        };
        let answer = Answer::new(200).with("content-type", media_type).body(bytes.clone());
        if self.no_digest_header { answer } else { answer.with("docker-content-digest", digest) }
    }

    fn put_manifest(&mut self, request: &Request, name: &str, target: &str) -> Answer {
        let digest = oci::digest::sha256(&request.body).to_string();
        let document: Value = serde_json::from_slice(&request.body).unwrap();
        let array = |key: &str| document[key].as_array().cloned().unwrap_or_default();
        let blobs = array("layers").into_iter().chain(document.get("config").cloned());
        for part in blobs.chain(array("manifests")) {
            let key = (name.to_owned(), part["digest"].as_str().unwrap().to_owned());
            if !self.blobs.contains_key(&key) && !self.manifests.contains_key(&key) {
                return Answer::error(400, "MANIFEST_BLOB_UNKNOWN");
            }
        }
        let media_type = request.header("content-type").unwrap().to_owned();
        self.manifests.insert((name.into(), digest.clone()), (media_type, request.body.clone()));
        if !target.contains(':') {
            self.tags.insert((name.into(), target.into()), digest.clone());
        }
        let answer = Answer::new(201).with("docker-content-digest", digest);
        match document["subject"]["digest"].as_str() {
            Some(subject) if self.referrers_api => answer.with("oci-subject", subject),
            _ => answer,
        }
    }

    fn tag_list(&self, request: &Request, name: &str) -> Answer {
        let last = request.query("last").unwrap_or_default();
        let tags: Vec<&String> =
            self.tags.keys().filter(|(r, tag)| r == name && *tag > last).map(|(_, tag)| tag).collect();
        let page: Vec<&String> = tags.iter().take(self.page.unwrap_or(usize::MAX)).copied().collect();
        let answer = Answer::new(200).body(json!({"name": name, "tags": page}).to_string());
        match page.last() {
            Some(last) if page.len() < tags.len() => {
                answer.with("link", format!("<list?last={last}>; rel=\"next\""))
            }
            _ => answer,
        }
    }

    fn referrers(&self, request: &Request, name: &str, subject: &str) -> Answer {
        if !self.referrers_api {
            return Answer::error(404, "UNSUPPORTED");
        }
        let mut list = Vec::new();
        for ((repository, digest), (media_type, bytes)) in &self.manifests {
            let document: Value = serde_json::from_slice(bytes).unwrap();
            if repository == name && document["subject"]["digest"] == *subject {
                list.push(json!({"mediaType": media_type, "digest": digest, "size": bytes.len(),
                    "artifactType": document["artifactType"], "annotations": document["annotations"]}));
            }
        }
        let start: usize = request.query("page").map_or(0, |n| n.parse().unwrap());
        let size = self.page.unwrap_or(usize::MAX);
        let page: Vec<&Value> = list.iter().skip(start).take(size).collect();
        let answer = Answer::new(200)
            .with("content-type", "application/vnd.oci.image.index.v1+json")
            .body(json!({"schemaVersion": 2, "manifests": page}).to_string());
        match start.saturating_add(size) < list.len() {
            true => answer
                .with("link", format!("</v2/{name}/referrers/{subject}?page={}>; rel=next", start + size)),
            false => answer,
        }
    }
}
