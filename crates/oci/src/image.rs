//! Layers and a configuration become an image; images become an index.

use std::collections::BTreeMap;

use oci_spec::image::{
    Config as OciConfig, ConfigBuilder, Descriptor, DescriptorBuilder, History, ImageConfigurationBuilder,
    ImageIndexBuilder, ImageManifestBuilder, MediaType, Platform, RootFsBuilder,
};
use serde::Serialize;
use serde_json::json;

use crate::blobs::Blobs;
use crate::error::Result;
use crate::json;
use crate::layer::Layer;

/// How a container of the image runs (image-spec "config").
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
pub struct Config {
    /// `uid:gid`, numeric so that Kubernetes' `runAsNonRoot` can tell.
    pub user: String,
    /// `NAME=value`, in order.
    pub env: Vec<String>,
    /// The program that always runs.
    pub entrypoint: Vec<String>,
    /// Its arguments unless the user gives others.
    pub cmd: Vec<String>,
    /// The folder in which it starts.
    pub working_dir: String,
    /// `port/protocol`.
    pub exposed_ports: Vec<String>,
    /// Folders that outlive the container.
    pub volumes: Vec<String>,
    /// Labels, which are the index's and the manifests' annotations too.
    pub labels: BTreeMap<String, String>,
    /// The signal that asks the container to end.
    pub stop_signal: String,
    /// How an engine asks whether it works. OCI reserves the field; Docker honours it.
    pub healthcheck: Option<Healthcheck>,
}

/// Docker's `HEALTHCHECK`; times in nanoseconds, as the config has them.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize)]
#[serde(rename_all = "PascalCase")]
pub struct Healthcheck {
    /// `CMD` and the program with its arguments.
    pub test: Vec<String>,
    /// Between two checks.
    pub interval: u64,
    /// After which a check counts as failed.
    pub timeout: u64,
    /// In which failures don't count.
    pub start_period: u64,
    /// Failures in a row that make it unhealthy.
    pub retries: u32,
}

/// A layer with what the image's readers want to know of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Part {
    /// The layer.
    pub layer: Layer,
    /// The image's history entry (image-spec "config": `history`).
    pub history: History,
}

/// The image of one platform, whose blobs exist.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Image {
    /// What it runs on.
    pub platform: Platform,
    /// The manifest, with the platform.
    pub manifest: Descriptor,
    /// The configuration.
    pub config: Descriptor,
    /// The layers, bottom first.
    pub layers: Vec<Layer>,
}

impl Image {
    /// Writes configuration and manifest of an image whose layers lie in `blobs`.
    ///
    /// `created` is RFC 3339. `annotations` go onto the manifest.
    ///
    /// # Errors
    /// [`crate::Error::Io`] when a blob can't be written.
    pub fn assemble(
        blobs: &Blobs,
        platform: &Platform,
        created: &str,
        parts: &[Part],
        config: &Config,
    ) -> Result<Image> {
        let diff_ids: Vec<String> = parts.iter().map(|p| p.layer.diff_id.to_string()).collect();
        let root_fs = RootFsBuilder::default().diff_ids(diff_ids).build().expect("every field is given");
        let history: Vec<History> = parts.iter().map(|p| p.history.clone()).collect();
        let mut builder = ImageConfigurationBuilder::default()
            .created(created)
            .os(platform.os().clone())
            .architecture(platform.architecture().clone())
            .config(oci_config(config))
            .rootfs(root_fs)
            .history(history);
        if let Some(variant) = platform.variant() {
            builder = builder.variant(variant.clone());
        }
        let document = builder.build().expect("every field is given");
        let mut document = serde_json::to_value(document).expect("an OCI document has string keys alone");
        if let Some(healthcheck) = &config.healthcheck {
            document["config"]["Healthcheck"] = json!(healthcheck);
        }
        let config_blob = blobs.put(MediaType::ImageConfig, &json::to_vec(&document))?;
        let layers: Vec<Layer> = parts.iter().map(|p| p.layer.clone()).collect();
        let manifest = ImageManifestBuilder::default()
            .schema_version(2u32)
            .media_type(MediaType::ImageManifest)
            .config(config_blob.clone())
            .layers(layers.iter().map(|l| l.descriptor.clone()).collect::<Vec<_>>())
            .annotations(config.labels.clone().into_iter().collect::<std::collections::HashMap<_, _>>())
            .build()
            .expect("every field is given");
        let manifest = blobs.put(MediaType::ImageManifest, &json::to_vec(&manifest))?;
        let manifest = DescriptorBuilder::default()
            .media_type(manifest.media_type().clone())
            .digest(manifest.digest().clone())
            .size(manifest.size())
            .platform(platform.clone())
            .build()
            .expect("every field is given");
        Ok(Image { platform: platform.clone(), manifest, config: config_blob, layers })
    }
}

fn oci_config(config: &Config) -> OciConfig {
    // An empty list is left out: `null` and `[]` mean the same to engines, and nothing is the shortest.
    let mut builder = ConfigBuilder::default()
        .labels(config.labels.clone().into_iter().collect::<std::collections::HashMap<_, _>>());
    let list = |items: &[String]| (!items.is_empty()).then(|| items.to_vec());
    if let Some(env) = list(&config.env) {
        builder = builder.env(env);
    }
    if let Some(entrypoint) = list(&config.entrypoint) {
        builder = builder.entrypoint(entrypoint);
    }
    if let Some(cmd) = list(&config.cmd) {
        builder = builder.cmd(cmd);
    }
    if let Some(ports) = list(&config.exposed_ports) {
        builder = builder.exposed_ports(ports);
    }
    if let Some(volumes) = list(&config.volumes) {
        builder = builder.volumes(volumes);
    }
    for (value, set) in [
        (&config.user, ConfigBuilder::user::<String> as fn(ConfigBuilder, String) -> ConfigBuilder),
        (&config.working_dir, ConfigBuilder::working_dir::<String>),
        (&config.stop_signal, ConfigBuilder::stop_signal::<String>),
    ] {
        if !value.is_empty() {
            builder = set(builder, value.clone());
        }
    }
    builder.build().expect("every field has a default")
}

/// Writes the index over `images`; also over a single one, so that every image of ours is addressed alike.
///
/// # Errors
/// [`crate::Error::Io`] when the blob can't be written.
pub fn index(blobs: &Blobs, images: &[Image], annotations: &BTreeMap<String, String>) -> Result<Descriptor> {
    let manifests: Vec<Descriptor> = images.iter().map(|i| i.manifest.clone()).collect();
    index_of(blobs, &manifests, annotations)
}

/// Writes the index over manifests, each with its platform.
///
/// # Errors
/// As [`index`].
pub fn index_of(
    blobs: &Blobs,
    manifests: &[Descriptor],
    annotations: &BTreeMap<String, String>,
) -> Result<Descriptor> {
    let index = ImageIndexBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageIndex)
        .manifests(manifests)
        .annotations(annotations.clone().into_iter().collect::<std::collections::HashMap<_, _>>())
        .build()
        .expect("every field is given");
    blobs.put(MediaType::ImageIndex, &json::to_vec(&index))
}
