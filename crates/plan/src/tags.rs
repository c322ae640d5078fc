//! The tags of a release (docker-library's practice): the full version first, then what floats.

use semver::Version;

use crate::spec::Variant;

/// The tags of `version` for `variant`, full version first, when it is the newest of every series it belongs to.
pub fn release(version: &Version, variant: &Variant, is_default: bool) -> Vec<String> {
    let (major, minor) = (version.major, version.minor);
    let mut stems = vec![Version { build: semver::BuildMetadata::EMPTY, ..version.clone() }.to_string()];
    let stable = version.pre.is_empty();
    if stable {
        stems.push(format!("{major}.{minor}"));
        if major > 0 {
            stems.push(major.to_string());
        }
    }
    let mut tags: Vec<String> = stems.iter().map(|stem| format!("{stem}-{variant}")).collect();
    if stable {
        tags.push(variant.to_string());
    }
    if is_default {
        tags.extend(stems);
        if stable {
            tags.push("latest".into());
        }
    }
    tags
}
