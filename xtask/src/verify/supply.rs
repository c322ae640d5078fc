//! What is made of an image after it was built: SBOMs that other people's tools accept, and a move to a patched base.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, ensure};
use oci::image::{Config, Image, Part};
use oci::layout::{self, Layout, Named};
use oci::stream::Compression;
use oci::{Cache, Entry, Owner};
use oci_spec::image::HistoryBuilder;

use super::dockerfile::{REPOSITORY, load_as};
use super::readers::{LayoutProbe, Subject, run};
use super::{contract, skip};
use crate::bases::{self, Sources};
use crate::engine::Engine;
use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// The promises about what comes after the build.
pub const PROBES: &[LayoutProbe] = &[
    LayoutProbe { name: "has SBOMs that other tools accept", run: accepted },
    LayoutProbe { name: "moves to a patched base, is signed anew, and runs there", run: rebased },
];

/// The schemas of CycloneDX 1.6 and SPDX 2.3, in the workspace.
const CYCLONEDX: &str = "crates/supply/tests/schemas/bom-1.6.SNAPSHOT.schema.json";
const SPDX: &str = "crates/supply/tests/schemas/spdx-2.3.schema.json";

/// Asks both schemas, and SPDX's own validator, about the SBOMs of every image.
fn accepted(subject: &Subject) -> Result<()> {
    let judges = Judges::find(subject.workspace)?;
    for planned in subject.images {
        let temp = tempfile::tempdir()?;
        own(&[
            "sbom",
            &image(subject, &planned.layout_name(&planned.tags[0])),
            "--output",
            &shown(temp.path()),
        ])?;
        let mut seen = 0;
        for file in std::fs::read_dir(temp.path())? {
            judges.accept(&file?.path())?;
            seen += 1;
        }
        ensure!(seen >= 2, "{}: {seen} documents were written", planned.name());
    }
    Ok(())
}

/// What other people have written to judge SBOMs.
struct Judges {
    cyclonedx: PathBuf,
    spdx_schema: PathBuf,
    check: PathBuf,
    spdx: PathBuf,
}

impl Judges {
    /// Those that `.ci/run` installs, or a skip.
    fn find(workspace: &Workspace) -> Result<Judges> {
        let tools = workspace.target.join("tools/bin");
        let (check, spdx) = (tools.join("check-jsonschema"), tools.join("pyspdxtools"));
        for tool in [&check, &spdx] {
            if !tool.exists() {
                return skip(format!("no {}; `.ci/run` puts it there", tool.display()));
            }
        }
        let [cyclonedx, spdx_schema] = [CYCLONEDX, SPDX].map(|schema| workspace.root.join(schema));
        Ok(Judges { cyclonedx, spdx_schema, check, spdx })
    }

    /// Asks those for the document's format, which its name tells.
    fn accept(&self, file: &Path) -> Result<()> {
        let file = shown(file);
        if file.ends_with(".spdx.json") {
            self.follows(&self.spdx_schema, &file)?;
            return run(&self.spdx, &["--infile", &file]);
        }
        self.follows(&self.cyclonedx, &file)
    }

    fn follows(&self, schema: &Path, file: &str) -> Result<()> {
        let schema = shown(schema);
        // CycloneDX's refers to others beside it.
        let base = format!("file://{schema}");
        run(&self.check, &["--schemafile", &schema, "--base-uri", &base, file])
    }
}

/// Puts Alpine's image on its base with a changed file, signs it, and speaks to the server there.
fn rebased(subject: &Subject) -> Result<()> {
    let Some(planned) = subject.images.iter().find(|image| image.variant.0 == "alpine") else {
        return skip("only Alpine's image is moved");
    };
    let Ok(docker) = Engine::named("docker") else { return skip("no Docker engine answers") };
    let temp = tempfile::tempdir_in(&subject.workspace.target)?;
    let (base, output) = (temp.path().join("base"), temp.path().join("oci"));
    patch(subject, planned, &base)?;
    let keys = subject.workspace.root.join("crates/signing/tests/keys");
    let name = planned.layout_name(&planned.tags[0]);
    let (from, asked) = (image(subject, &name), format!("alpine={}:patched", base.display()));
    let key = shown(&keys.join("openssl.pem"));
    own(&["rebase", &from, "--base", &asked, "--output", &shown(&output), "--key", &key, "--offline"])?;
    let new = format!("oci:{}:{name}", output.display());
    own(&["verify", &new, "--key", &shown(&keys.join("openssl.pub"))])?;
    let tag = "rebased";
    let loaded = format!("{REPOSITORY}:{tag}");
    let result = load_as(subject, &output, &name, &docker, tag).and_then(|()| {
        let file = format!("/{PATCHED}");
        let patched = docker.output(&["run", "--rm", "--entrypoint", "/bin/cat", &loaded, &file])?;
        ensure!(patched == PATCH, "{file} is `{patched}` in the moved image");
        let moved = super::Subject {
            engine: &docker,
            image: &loaded,
            spec: subject.spec,
            facts: subject.facts,
            workspace: subject.workspace,
            previous: None,
        };
        contract::answers(&moved)
    });
    let _ = docker.raw(&["rmi", "--force", &loaded]);
    result
}

/// What is other in the patched base.
const PATCHED: &str = "etc/alpine-release";
const PATCH: &str = "patched";

/// Writes a layout with the base of an image and one layer more, as a distribution would put out a fix: for every
/// platform whose base is at hand, since the image may be for any of them.
fn patch(subject: &Subject, planned: &plan::PlannedImage, layout: &Path) -> Result<()> {
    let cache = Cache::create(&subject.workspace.cache_dir())?;
    let ui = Ui::new(true);
    let sources = Sources { spec: subject.spec, cache: &cache, offline: true, ui: &ui };
    let entry =
        Entry::Inline { path: PATCHED.into(), contents: PATCH.into(), mode: 0o644, owner: Owner::ROOT };
    let layer = oci::layer::build(&[entry], 0, Compression::Gzip, cache.blobs())?;
    let fix = Part { layer, history: HistoryBuilder::default().created_by("a fix").build()? };
    let mut images = Vec::new();
    for name in subject.spec.platforms.keys() {
        let (platform, _) = subject.spec.platform(name)?;
        let Ok(found) = bases::find(&planned.base, &planned.variant, &platform, &sources) else { continue };
        let below = std::iter::zip(&found.base.layers, &found.base.history);
        let parts: Vec<Part> = below
            .map(|(layer, history)| Part { layer: layer.clone(), history: history.clone() })
            .chain([fix.clone()])
            .collect();
        let config = Config { env: found.base.env.clone(), ..Config::default() };
        images.push(Image::assemble(cache.blobs(), &platform, "1980-01-01T00:00:00Z", &parts, &config)?);
    }
    let index = oci::image::index(cache.blobs(), &images, &BTreeMap::new())?;
    layout::update(layout, cache.blobs(), &[Named { name: "patched".into(), descriptor: index }])?;
    Layout::open(layout).map(drop).context("the patched base")
}

/// `oci:DIR:NAME` of the layout under test.
fn image(subject: &Subject, name: &str) -> String {
    format!("oci:{}:{name}", subject.workspace.target.join("oci").display())
}

fn shown(path: &Path) -> String {
    path.display().to_string()
}

/// Runs this program as users do.
fn own(args: &[&str]) -> Result<()> {
    run(&facts::own_program()?, args)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn broken_documents_are_refused() {
        let judges = match Judges::find(&Workspace::find(None).unwrap()) {
            Ok(judges) => judges,
            Err(why) => return println!("skipped: {why}"),
        };
        let folder = tempfile::tempdir().unwrap();
        let check = |name: &str, text: &str, expect: &str| {
            let file = folder.path().join(name);
            std::fs::write(&file, text).unwrap();
            let error = judges.accept(&file).err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(expect) && error.is_empty() == expect.is_empty(), "{text}: {error}");
        };
        let cyclone = |more: &str| format!(r#"{{"bomFormat":"CycloneDX","specVersion":"1.6"{more}}}"#);
        check("a.cdx.json", &cyclone(""), "");
        check("a.cdx.json", &cyclone(r#","components":[{"type":"bird","name":"wren"}]"#), "check-jsonschema");
        check("a.cdx.json", &cyclone(r#","components":[{"type":"library"}]"#), "check-jsonschema");
        let spdx = |name: &str| {
            format!(
                r#"{{"spdxVersion":"SPDX-2.3","dataLicense":"CC0-1.0","SPDXID":"SPDXRef-DOCUMENT","name":"{name}",
                "documentNamespace":"https://example.org/a","documentDescribes":["SPDXRef-a"],
                "creationInfo":{{"created":"2024-01-01T00:00:00Z","creators":["Tool: a"]}},
                "packages":[{{"SPDXID":"SPDXRef-a","name":"a","downloadLocation":"NOASSERTION","filesAnalyzed":false}}]}}"#
            )
        };
        check("a.spdx.json", &spdx("a"), "");
        check("a.spdx.json", &spdx("a").replace("SPDX-2.3", "SPDX-7"), "pyspdxtools");
        check("a.spdx.json", &spdx("a").replace("\"dataLicense\"", "\"dataLicence\""), "check-jsonschema");
        check("a.spdx.json", &spdx("a").replace("\"SPDXRef-a\"]", "\"SPDXRef-b\"]"), "pyspdxtools");
    }
}
