//! The client against registries: one in this process that injects faults, and Debian's `docker-registry`.

mod auth;
mod faults;
mod pull;
mod push;
mod real;
mod referrers;

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use oci::Blobs;
use oci_spec::image::{Descriptor, MediaType};
use registry::{Client, Config, Event, Retry};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A store in a temporary folder.
struct Store {
    _dir: TempDir,
    blobs: Blobs,
}

impl Store {
    fn new() -> Store {
        let dir = tempfile::tempdir().unwrap();
        let blobs = Blobs::create(dir.path()).unwrap();
        Store { _dir: dir, blobs }
    }

    /// Names and contents of all blobs.
    fn contents(&self) -> BTreeMap<String, Vec<u8>> {
        let dir = self.blobs.root().join("blobs/sha256");
        fs::read_dir(dir)
            .unwrap()
            .map(|entry| entry.unwrap())
            .map(|entry| (entry.file_name().into_string().unwrap(), fs::read(entry.path()).unwrap()))
            .collect()
    }

    /// No temporary file is left, and every blob is what its name says.
    fn assert_clean(&self) {
        assert_eq!(fs::read_dir(self.blobs.root().join("tmp")).unwrap().count(), 0);
        for (name, bytes) in self.contents() {
            assert_eq!(oci::digest::sha256(&bytes).digest(), name);
        }
    }

    fn put_json(&self, media_type: MediaType, document: &Value) -> Descriptor {
        self.blobs.put(media_type, document.to_string().as_bytes()).unwrap()
    }

    /// An image with the layers given.
    fn image(&self, architecture: &str, layers: &[&[u8]]) -> Descriptor {
        let config =
            self.put_json(MediaType::ImageConfig, &json!({"architecture": architecture, "os": "linux"}));
        let layers: Vec<Descriptor> =
            layers.iter().map(|bytes| self.blobs.put(MediaType::ImageLayerGzip, bytes).unwrap()).collect();
        let manifest = json!({"schemaVersion": 2, "mediaType": MediaType::ImageManifest, "config": config, "layers": layers});
        self.put_json(MediaType::ImageManifest, &manifest)
    }

    /// An index of two images that share a layer.
    fn index(&self) -> Descriptor {
        let manifests: Vec<Value> = ["amd64", "arm64"]
            .iter()
            .map(|architecture| {
                let own = noise(3000, architecture.len() as u32 + u32::from(architecture.as_bytes()[1]));
                let mut child = json!(self.image(architecture, &[&noise(5000, 7), &own]));
                child["platform"] = json!({"os": "linux", "architecture": architecture});
                child
            })
            .collect();
        let index = json!({"schemaVersion": 2, "mediaType": MediaType::ImageIndex, "manifests": manifests});
        self.put_json(MediaType::ImageIndex, &index)
    }

    /// An artifact that refers to `subject`.
    fn artifact(&self, subject: &Descriptor, artifact_type: &str, note: &str) -> Descriptor {
        let empty = self.blobs.put(MediaType::EmptyJSON, b"{}").unwrap();
        self.put_json(
            MediaType::ImageManifest,
            &json!({"schemaVersion": 2, "mediaType": MediaType::ImageManifest, "artifactType": artifact_type,
                "config": empty, "layers": [empty], "subject": subject, "annotations": {"note": note}}),
        )
    }
}

/// Bytes that look random and are the same every time.
fn noise(len: usize, seed: u32) -> Vec<u8> {
    let mut state = seed;
    let mut next = || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 24) as u8
    };
    (0..len).map(|_| next()).collect()
}

/// Waits of milliseconds, one blob at a time.
fn config() -> Config {
    let ms = Duration::from_millis;
    Config {
        retry: Retry { attempts: 4, first: ms(1), longest: ms(4), patience: Duration::from_secs(5) },
        parallel: 1,
        settle: ms(1),
        ..Config::default()
    }
}

fn client() -> Client {
    Client::new(config()).unwrap()
}

/// A configuration that writes all events down.
fn recording() -> (Config, Arc<Mutex<Vec<String>>>) {
    let events = Arc::new(Mutex::new(Vec::new()));
    let log = Arc::clone(&events);
    let on_event = Arc::new(move |event: &Event<'_>| {
        if !matches!(event, Event::Progress { .. }) {
            log.lock().unwrap().push(format!("{event:?}"));
        }
    });
    (Config { on_event, ..config() }, events)
}

fn credential_file(dir: &Path, host: &str, entry: &Value) -> std::path::PathBuf {
    let path = dir.join("config.json");
    fs::write(&path, json!({"auths": {host: entry}}).to_string()).unwrap();
    path
}
