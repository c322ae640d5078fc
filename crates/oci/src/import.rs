//! Brings what people have at hand into the cache as an image: a root file system tar, an OCI layout, an OCI
//! archive, or a `docker save` archive.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::Path;

use oci_spec::image::{
    Descriptor, Digest, ImageConfigurationBuilder, ImageManifestBuilder, MediaType, Platform, RootFsBuilder,
};
use serde::{Deserialize, Serialize};

use crate::base::manifest_for;
use crate::blobs::Blobs;
use crate::cache::Cache;
use crate::compress;
use crate::digest::{HashingWriter, sha256, sha256_file, sha256_reader};
use crate::error::{Error, Result};
use crate::json;
use crate::layout::{Layout, closure};
use crate::platform;
use crate::stream::{Compression, TailZeros, decode};

/// What was imported.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Imported {
    /// The manifest for the wanted platform; its blobs lie in the cache.
    pub manifest: Descriptor,
    /// The digest by which one would refer to the whole: the index's where the source has one.
    pub digest: Digest,
}

/// Imports `source` for `wanted`. `name` picks an image of a layout or archive that holds several.
///
/// A gzip-compressed root file system is kept byte for byte; one in another form is compressed with gzip, which
/// every engine reads.
///
/// # Errors
/// [`Error::Io`] when it can't be read; [`Error::Invalid`] when it is none of the forms, is cut short or
/// damaged, or has nothing for that platform.
pub fn import(cache: &Cache, source: &Path, name: Option<&str>, wanted: &Platform) -> Result<Imported> {
    let metadata = fs::metadata(source).map_err(Error::io("read", source))?;
    if metadata.is_dir() {
        return layout(cache, &Layout::open(source)?, name, wanted);
    }
    // The same file is not read twice: its content decides.
    let (content, _) = sha256_file(source)?;
    let key = sha256(format!("import 1 {content} {name:?} {}", platform::display(wanted)).as_bytes());
    if let Some(imported) = cache.record::<Imported>("imports", &key)
        && closure(cache.blobs(), &imported.manifest)
            .is_ok_and(|parts| parts.iter().all(|p| cache.blobs().contains(p)))
    {
        return Ok(imported);
    }
    let broken = |e: io::Error| match e.downcast::<Error>() {
        Ok(ours) => ours,
        Err(e) => Error::invalid(source.display().to_string(), format!("is no whole tar: {e}")),
    };
    let imported = match archive_documents(source).map_err(broken)? {
        Some(documents) => {
            let dir = tempfile::tempdir_in(cache.blobs().root().join("tmp"))
                .map_err(Error::io("create a folder in", cache.blobs().root()))?;
            unpack(source, dir.path()).map_err(broken)?;
            match documents {
                Documents::Oci => layout(cache, &Layout::open(dir.path())?, name, wanted)?,
                Documents::Docker => docker_archive(cache, dir.path(), name, wanted, source)?,
            }
        }
        None => root_file_system(cache, source, wanted, broken)?,
    };
    cache.remember("imports", &key, &imported)?;
    Ok(imported)
}

enum Documents {
    Oci,
    Docker,
}

/// Looks through the tar for the documents that make it an archive of images.
fn archive_documents(source: &Path) -> io::Result<Option<Documents>> {
    let mut watched = TailZeros::new(decode(File::open(source)?)?);
    let mut found = None;
    let mut any = false;
    for entry in tar::Archive::new(&mut watched).entries()? {
        let entry = entry?;
        any = true;
        match entry.path_bytes().strip_prefix(b"./").unwrap_or(&entry.path_bytes()) {
            b"oci-layout" => found = Some(Documents::Oci),
            b"manifest.json" if found.is_none() => found = Some(Documents::Docker),
            _ => {}
        }
    }
    if !watched.finish()? || !any {
        return Err(io::Error::new(
            io::ErrorKind::UnexpectedEof,
            "it has no end-of-archive marker or no entry",
        ));
    }
    Ok(found)
}

/// Unpacks the files of an archive, which are few and named by the format; anything else in it is refused.
fn unpack(source: &Path, dir: &Path) -> io::Result<()> {
    for entry in tar::Archive::new(decode(File::open(source)?)?).entries()? {
        let mut entry = entry?;
        let kind = entry.header().entry_type();
        if kind.is_file() || kind.is_dir() || kind.is_symlink() {
            // `unpack_in` refuses a path that leaves the folder.
            entry.unpack_in(dir)?;
        }
    }
    Ok(())
}

fn layout(cache: &Cache, layout: &Layout, name: Option<&str>, wanted: &Platform) -> Result<Imported> {
    let root = layout.resolve(name)?;
    let manifest = manifest_for(layout.blobs(), &root, wanted)?;
    for part in closure(layout.blobs(), &manifest)? {
        layout.blobs().verify(&part)?;
        if !cache.blobs().contains(&part) {
            copy(cache.blobs(), layout.blobs(), &part)?;
        }
    }
    Ok(Imported { manifest, digest: root.digest().clone() })
}

/// Copies rather than links: the source is somebody else's, who may change it in place.
fn copy(to: &Blobs, from: &Blobs, part: &Descriptor) -> Result<()> {
    let mut writer = to.writer()?;
    io::copy(&mut from.open(part.digest())?, &mut writer)
        .map_err(Error::io("copy", from.path(part.digest())))?;
    writer.commit(part)
}

/// One element of `docker save`'s `manifest.json`.
#[derive(Deserialize)]
#[serde(rename_all = "PascalCase")]
struct Saved {
    config: String,
    repo_tags: Option<Vec<String>>,
    layers: Vec<String>,
}

fn docker_archive(
    cache: &Cache,
    dir: &Path,
    name: Option<&str>,
    wanted: &Platform,
    source: &Path,
) -> Result<Imported> {
    let subject = || source.display().to_string();
    let path = dir.join("manifest.json");
    let bytes = fs::read(&path).map_err(Error::io("read", &path))?;
    let images: Vec<Saved> = serde_json::from_slice(&bytes)
        .map_err(|e| Error::invalid(format!("{}: manifest.json", subject()), e.to_string()))?;
    let tags = |i: &Saved| i.repo_tags.clone().unwrap_or_default();
    let found: Vec<&Saved> =
        images.iter().filter(|i| name.is_none_or(|n| tags(i).iter().any(|t| t == n))).collect();
    let [image] = found[..] else {
        let names: Vec<String> = images.iter().flat_map(tags).collect();
        return Err(Error::invalid(
            subject(),
            format!("holds {} such images; name one of: {}", found.len(), names.join(", ")),
        ));
    };
    let member = |name: &str| -> Result<File> {
        // The names come from the file: they must not lead out of the folder.
        let inside = Path::new(name).components().all(|c| matches!(c, std::path::Component::Normal(_)));
        let path = dir.join(name);
        let real = path.canonicalize().map_err(Error::io("read", &path))?;
        if !inside || !real.starts_with(dir.canonicalize().map_err(Error::io("read", dir))?) {
            return Err(Error::invalid(
                subject(),
                format!("`{name}` in manifest.json leads out of the archive"),
            ));
        }
        File::open(&real).map_err(Error::io("open", &real))
    };
    let mut config = Vec::new();
    member(&image.config)?.read_to_end(&mut config).map_err(Error::io("read", source))?;
    let config = cache.blobs().put(MediaType::ImageConfig, &config)?;
    let mut layers = Vec::new();
    for layer in &image.layers {
        layers.push(compressed(cache, member(layer)?).map_err(Error::io("read", source))?.0);
    }
    manifest(cache, config, layers, wanted)
}

fn root_file_system(
    cache: &Cache,
    source: &Path,
    wanted: &Platform,
    broken: impl Fn(io::Error) -> Error + Copy,
) -> Result<Imported> {
    let (layer, diff_id) =
        compressed(cache, File::open(source).map_err(Error::io("open", source))?).map_err(broken)?;
    let root_fs =
        RootFsBuilder::default().diff_ids(vec![diff_id.to_string()]).build().expect("every field is given");
    let mut builder = ImageConfigurationBuilder::default()
        .os(wanted.os().clone())
        .architecture(wanted.architecture().clone())
        .rootfs(root_fs);
    if let Some(variant) = wanted.variant() {
        builder = builder.variant(variant.clone());
    }
    let config = builder.build().expect("every field is given");
    let config = cache.blobs().put(MediaType::ImageConfig, &json::to_vec(&config))?;
    manifest(cache, config, vec![layer], wanted)
}

fn manifest(
    cache: &Cache,
    config: Descriptor,
    layers: Vec<Descriptor>,
    wanted: &Platform,
) -> Result<Imported> {
    let manifest = ImageManifestBuilder::default()
        .schema_version(2u32)
        .media_type(MediaType::ImageManifest)
        .config(config)
        .layers(layers)
        .build()
        .expect("every field is given");
    let manifest = cache.blobs().put(MediaType::ImageManifest, &json::to_vec(&manifest))?;
    let manifest = manifest_for(cache.blobs(), &manifest, wanted)?;
    Ok(Imported { digest: manifest.digest().clone(), manifest })
}

/// Stores a tar as a gzip layer and tells its diff_id. What is gzip already is stored as it is.
fn compressed(cache: &Cache, mut file: File) -> io::Result<(Descriptor, Digest)> {
    let mut start = [0; 4];
    let n = file.read(&mut start)?;
    io::Seek::rewind(&mut file)?;
    let mut blob = cache.blobs().writer().map_err(io::Error::other)?;
    let compression = Compression::of(&start[..n]);
    let diff_id = if compression == Compression::Gzip {
        io::copy(&mut file, &mut blob)?;
        io::Seek::rewind(&mut file)?;
        sha256_reader(decode(file)?)?.0
    } else {
        let mut tar = decode(file)?;
        compress::compress(&mut blob, Compression::Gzip, |out| {
            let mut out = HashingWriter::new(out);
            io::copy(&mut tar, &mut out)?;
            Ok(out.finish().1)
        })?
    };
    Ok((blob.finish(MediaType::ImageLayerGzip).map_err(io::Error::other)?, diff_id))
}
