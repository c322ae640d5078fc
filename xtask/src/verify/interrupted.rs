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
            .stderr_null()
            .unchecked()
    };
    ensure!(run(1).run()?.status.success(), "the first run failed");
    let start = Instant::now();
    ensure!(run(2).run()?.status.success(), "the second run failed");
    let whole = start.elapsed();
    let names: BTreeSet<String> = image.tags.iter().cloned().collect();
    for round in 0..ROUNDS {
        let child = run(3 + round).start()?;
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
    ensure!(run(1).run()?.status.success(), "a run after the kills failed");
    let layout = Layout::open(&output)?;
    let blobs = std::fs::read_dir(layout.root().join("blobs/sha256"))?.count();
    let reachable = oci::layout::closure(layout.blobs(), &layout.resolve(Some(tag))?)?.len();
    ensure!(blobs == reachable, "{blobs} blobs lie there, {reachable} are needed");
    Ok(())
}
