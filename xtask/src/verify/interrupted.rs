//! Runs that are killed: whenever it happens, the layout holds whole images.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use duct::Expression;
use oci::layout::Layout;
use oci::validate::{self, Depth};
use oci_spec::image::Descriptor;

use super::readers::{LayoutProbe, Subject};
use super::skip;
use crate::facts;

/// The promises about interrupted runs.
pub const PROBES: &[LayoutProbe] =
    &[LayoutProbe { name: "stays whole when `cargo xtask image` is killed", run: killed }];

/// How often.
const ROUNDS: u64 = 100;

fn killed(subject: &Subject) -> Result<()> {
    let temp = tempfile::tempdir_in(&subject.workspace.target)?;
    let output = temp.path().join("oci");
    let program = facts::own_program()?;
    let Some(image) = subject.images.iter().find(|i| i.variant.0 == "distroless") else {
        return skip("only the variant that needs no base is built over and over");
    };
    // Another time for the files makes other layers: every run has something to write.
    let run = |epoch: u64| {
        duct::cmd!(&program, "--quiet", "image", "--variant", "distroless", "--output", &output)
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .dir(&subject.workspace.root)
            .stdout_null()
    };
    stays_whole(&run, &output, &image.tags.iter().cloned().collect(), ROUNDS)
}

/// Kills runs that change the layout at `output`, each after another while, and looks at what is there. `run` writes an
/// image that differs with its argument, under `names`.
fn stays_whole(
    run: &dyn Fn(u64) -> Expression,
    output: &Path,
    names: &BTreeSet<String>,
    rounds: u64,
) -> Result<()> {
    let whole_run = |epoch: u64| -> Result<()> {
        let output = run(epoch).unchecked().stderr_capture().run()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "a run that nobody killed failed: {}", words.trim());
        Ok(())
    };
    whole_run(1)?;
    let start = Instant::now();
    whole_run(2)?;
    let whole = start.elapsed();
    for round in 0..rounds {
        // Not captured: what a killed run started holds its pipes a little longer, and would be waited for.
        let child = run(3 + round).unchecked().stderr_null().start()?;
        // The moments are spread over the whole run, the end included.
        std::thread::sleep(whole.mul_f64((round + 1) as f64 / rounds as f64));
        child.kill()?;
        let problems = validate::layout(output, Some(names), Depth::Layers);
        ensure!(problems.is_empty(), "killed in round {round}: {}", problems.join("; "));
        let targets = targets(&Layout::open(output)?, names)?;
        ensure!(targets.len() == 1, "killed in round {round}: the tags point to different images");
    }
    whole_run(1)?;
    let layout = Layout::open(output)?;
    let blobs = std::fs::read_dir(layout.root().join("blobs/sha256"))?.count();
    let image = targets(&layout, names)?.into_values().next().context("there is no name to ask for")?;
    let reachable = oci::layout::closure(layout.blobs(), &image)?.len();
    ensure!(blobs == reachable, "{blobs} blobs lie there, {reachable} are needed");
    Ok(())
}

/// The images that the names point to, by digest.
fn targets(layout: &Layout, names: &BTreeSet<String>) -> Result<BTreeMap<String, Descriptor>> {
    let resolve = |name: &String| {
        let image = layout.resolve(Some(name))?;
        Ok((image.digest().to_string(), image))
    };
    names.iter().map(resolve).collect()
}

#[cfg(test)]
mod tests {
    use oci::image::{Config, Image, Part};
    use oci::layout::{self, Named};
    use oci::stream::Compression;
    use oci::{Cache, Entry, Owner};
    use oci_spec::image::History;

    use super::*;

    /// A layout with images of other content under the names `t` and `u`.
    fn layout(place: &Path, t: &str, u: &str) {
        let cache = Cache::create(&place.with_extension("cache")).unwrap();
        let platform = oci::platform::parse("linux/amd64").unwrap();
        let named = |(name, content): (&str, &str)| {
            let (path, contents, owner) = ("file".into(), content.into(), Owner::ROOT);
            let entry = Entry::Inline { path, contents, mode: 0o644, owner };
            let layer = oci::layer::build(&[entry], 0, Compression::Gzip, cache.blobs()).unwrap();
            let parts = [Part { layer, history: History::default() }];
            let created = "1980-01-01T00:00:00Z";
            let image =
                Image::assemble(cache.blobs(), &platform, created, &parts, &Config::default()).unwrap();
            Named { name: name.into(), descriptor: image.manifest }
        };
        layout::update(place, cache.blobs(), &[("t", t), ("u", u)].map(named)).unwrap();
    }

    /// Brings the layout of this run's number, even or odd, to the last argument: blobs by renaming, then the index, and
    /// then what nothing needs any more goes.
    const GOOD: &str = r#"
        from=$0/$((SOURCE_DATE_EPOCH % 2))
        mkdir -p $1/blobs/sha256; [ -e $1/oci-layout ] || cp $from/oci-layout $1/
        for blob in $from/blobs/sha256/*; do cp $blob $1/new && mv $1/new $1/blobs/sha256/${blob##*/}; done
        MIDDLE
        cp $from/index.json $1/new && mv $1/new $1/index.json
        for blob in $1/blobs/sha256/*; do [ -e $from/blobs/sha256/${blob##*/} ] || rm $blob; done"#;

    #[test]
    fn a_run_that_leaves_something_half_done_is_caught() {
        let folder = tempfile::tempdir().unwrap();
        for (place, t, u) in [("0", "even", "even"), ("1", "odd", "odd"), ("mixed", "even", "odd")] {
            layout(&folder.path().join(place), t, u);
        }
        let names = ["t", "u"].map(String::from).into();
        let check = |script: &str, expect: &str| {
            let place = tempfile::tempdir().unwrap();
            let run = |epoch: u64| {
                duct::cmd!("sh", "-ec", script, folder.path(), place.path())
                    .env("SOURCE_DATE_EPOCH", epoch.to_string())
                    .stdout_null()
            };
            let error = stays_whole(&run, place.path(), &names, 8).err().map(|e| format!("{e:#}"));
            let error = error.unwrap_or_default();
            assert!(error.contains(expect) && error.is_empty() == expect.is_empty(), "{script}\n{error}");
        };
        let with = |middle: &str| GOOD.replace("MIDDLE", middle);
        check(&with("sleep 0.1"), "");
        check(&with(": > $1/index.json; sleep 0.3"), "index.json");
        check(
            &with("rm $1/blobs/sha256/*; sleep 0.3; cp $from/blobs/sha256/* $1/blobs/sha256"),
            "killed in round",
        );
        let mixed = "for blob in $0/[01]/blobs/sha256/*; do cp $blob $1/new && mv $1/new $1/blobs/sha256/${blob##*/}; done; \
                     cp $0/mixed/index.json $1/new && mv $1/new $1/index.json; sleep 0.3";
        check(&with(mixed), "the tags point to different images");
        check(&with("sleep 0.1").replace("|| rm $blob", "|| true"), "6 blobs lie there, 3 are needed");
        check("echo no room >&2; exit 3", "a run that nobody killed failed: no room");
    }
}
