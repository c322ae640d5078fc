//! Runs that are killed: whenever it happens, the layout holds whole images.

use std::collections::BTreeSet;
use std::time::Instant;

use anyhow::{Result, ensure};
use oci::layout::Layout;
use oci::validate::{self, Depth};

use super::readers::{LayoutProbe, Subject};
use super::skip;
use crate::facts;

/// The promises about interrupted runs.
pub const PROBES: &[LayoutProbe] =
    &[LayoutProbe { name: "stays whole when `cargo xtask image` is killed", run: killed }];

/// How often.
const ROUNDS: u64 = 100;

/// Kills runs that change the layout, each after another while, and looks at what is there.
fn killed(subject: &Subject) -> Result<()> {
    let temp = tempfile::tempdir_in(&subject.workspace.target)?;
    let output = temp.path().join("oci");
    let program = facts::own_program()?;
    let Some(image) = subject.images.iter().find(|i| i.variant.0 == "distroless") else {
        return skip("only the variant that needs no base is built over and over");
    };
    let tag = &image.tags[0];
    // Another time for the files makes other layers: every run has something to write.
    let run = |epoch: u64| {
        duct::cmd!(&program, "--quiet", "image", "--variant", "distroless", "--output", &output)
            .env("SOURCE_DATE_EPOCH", epoch.to_string())
            .dir(&subject.workspace.root)
            .stdout_null()
            .unchecked()
    };
    let whole_run = |epoch: u64| -> Result<()> {
        let output = run(epoch).stderr_capture().run()?;
        let words = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "a run that nobody killed failed: {}", words.trim());
        Ok(())
    };
    whole_run(1)?;
    let start = Instant::now();
    whole_run(2)?;
    let whole = start.elapsed();
    let names: BTreeSet<String> = image.tags.iter().cloned().collect();
    for round in 0..ROUNDS {
        // Not captured: what a killed run started holds its pipes a little longer, and would be waited for.
        let child = run(3 + round).stderr_null().start()?;
        // The moments are spread over the whole run, the end included.
        std::thread::sleep(whole.mul_f64((round + 1) as f64 / ROUNDS as f64));
        child.kill()?;
        let problems = validate::layout(&output, Some(&names), Depth::Layers);
        ensure!(problems.is_empty(), "killed in round {round}: {}", problems.join("; "));
        let layout = Layout::open(&output)?;
        let targets: BTreeSet<String> = names
            .iter()
            .map(|name| Ok(layout.resolve(Some(name))?.digest().to_string()))
            .collect::<Result<_>>()?;
        ensure!(targets.len() == 1, "killed in round {round}: the tags point to different images");
    }
    whole_run(1)?;
    let layout = Layout::open(&output)?;
    let blobs = std::fs::read_dir(layout.root().join("blobs/sha256"))?.count();
    let reachable = oci::layout::closure(layout.blobs(), &layout.resolve(Some(tag))?)?.len();
    ensure!(blobs == reachable, "{blobs} blobs lie there, {reachable} are needed");
    Ok(())
}
