//! What `cargo xtask image` prints on stdout: the stable JSON of its results.

use std::path::PathBuf;

use serde::Serialize;

use super::assemble::{Assembled, AssembledPlatform};

/// How results are printed.
#[derive(Clone, Copy, Default, PartialEq, Eq, clap::ValueEnum)]
pub enum Format {
    /// For people.
    #[default]
    Human,
    /// For programs.
    Json,
}

/// What `--format json` prints.
#[derive(Serialize)]
pub struct Output {
    /// The layout that was written; none where an engine built.
    pub layout: Option<PathBuf>,
    /// Its images of this run.
    pub images: Vec<OutputImage>,
}

/// One image.
#[derive(Serialize)]
pub struct OutputImage {
    /// Its name in the catalogue.
    pub image: String,
    /// Its variant.
    pub variant: String,
    /// Its version.
    pub version: String,
    /// `repository:tag@digest`.
    pub reference: String,
    /// The index's digest; the image's id where an engine built it.
    pub digest: String,
    /// Its tags.
    pub tags: Vec<String>,
    /// One a platform.
    pub platforms: Vec<OutputPlatform>,
}

/// One platform.
#[derive(Serialize)]
pub struct OutputPlatform {
    platform: String,
    digest: String,
    compressed_bytes: u64,
    unpacked_bytes: u64,
    seconds: f64,
    layers: Vec<OutputLayer>,
}

#[derive(Serialize)]
struct OutputLayer {
    digest: String,
    bytes: u64,
    from: String,
    cached: bool,
}

impl Assembled {
    /// What is printed of it.
    pub fn output(&self) -> OutputImage {
        OutputImage {
            image: self.planned.image.clone(),
            variant: self.planned.variant.to_string(),
            version: self.planned.version.clone(),
            reference: self.reference(),
            digest: self.index.digest().to_string(),
            tags: self.planned.tags.clone(),
            platforms: self.images.iter().map(AssembledPlatform::output).collect(),
        }
    }
}

impl AssembledPlatform {
    fn output(&self) -> OutputPlatform {
        OutputPlatform {
            platform: oci::platform::display(&self.image.platform),
            digest: self.image.manifest.digest().to_string(),
            compressed_bytes: self.layers.iter().map(|(l, ..)| l.descriptor.size()).sum(),
            unpacked_bytes: self.layers.iter().map(|(l, ..)| l.unpacked).sum(),
            seconds: (self.seconds * 1000.0).round() / 1000.0,
            layers: self
                .layers
                .iter()
                .map(|(layer, from, cached)| OutputLayer {
                    digest: layer.descriptor.digest().to_string(),
                    bytes: layer.descriptor.size(),
                    from: (*from).to_string(),
                    cached: *cached,
                })
                .collect(),
        }
    }
}
