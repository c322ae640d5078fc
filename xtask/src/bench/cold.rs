//! What takes minutes, once each: builds from nothing, and an edited line in a checkout that was built.

use std::fs;
use std::path::Path;
use std::time::Instant;

use anyhow::{Context as _, Result, ensure};
use serde_json::Value;
use xshell::{Shell, cmd};

use super::{Figure, Row};
use crate::facts::{self, Workspace};
use crate::ui::Ui;

/// The server's first line of work, in its only file that every one of its builds has.
const MAIN: &str = "crates/server/src/main.rs";
const FUNCTION: &str = "fn main() -> ExitCode {\n";
/// A line that makes another program, and nothing else.
const LINE: &str = "    std::hint::black_box(\"a line more\");\n";

/// Builds in a clone of what is checked out, which goes with `temp`; the user's own tree is only read.
pub fn measure(workspace: &Workspace, temp: &Path, ui: &Ui) -> Result<(Vec<Row>, Vec<Figure>)> {
    let mut rows = Vec::new();
    let mut once = |what: &str, run: &mut dyn FnMut() -> Result<()>| -> Result<()> {
        ui.line("cold", what);
        let start = Instant::now();
        run()?;
        let seconds = start.elapsed().as_secs_f64();
        rows.push(Row { what: what.into(), seconds, range: (seconds, seconds), rounds: 1, ratio: None });
        Ok(())
    };
    let cargo = facts::cargo();
    let clone = temp.join("clone");
    let root = &workspace.root;
    let sh = workspace.shell()?;
    cmd!(sh, "git clone --quiet {root} {clone}").quiet().run()?;
    let fresh = Shell::new()?;
    fresh.change_dir(&clone);
    once("build xtask from nothing (budget 60 s)", &mut || {
        let target = temp.join("cold-xtask");
        Ok(cmd!(fresh, "{cargo} build --quiet --package xtask --target-dir {target}").quiet().run()?)
    })?;
    let image = || -> Result<Vec<String>> {
        let run = cmd!(fresh, "{cargo} xtask --quiet image --variant distroless --format json")
            .env("CARGO_TARGET_DIR", temp.join("cold-image"));
        made(&serde_json::from_str(&run.quiet().read()?).context("`cargo xtask image --format json`")?)
    };
    once("fresh clone to image (budget 240 s)", &mut || image().map(drop))?;
    let main = clone.join(MAIN);
    let text = fs::read_to_string(&main).with_context(|| format!("{MAIN}: cannot read"))?;
    ensure!(text.contains(FUNCTION), "{MAIN}: has no `{}`", FUNCTION.trim_end());
    fs::write(&main, text.replacen(FUNCTION, &format!("{FUNCTION}{LINE}"), 1))?;
    let mut layers = Vec::new();
    once("a line of the server edited, to image", &mut || {
        layers = image()?;
        Ok(())
    })?;
    let what = format!("layers made again after that: {}", layers.join(" "));
    Ok((rows, vec![Figure::new(&what, "layers", layers.len() as f64)]))
}

/// The layers that a run made, by the word for what they are of.
fn made(output: &Value) -> Result<Vec<String>> {
    let layers =
        output["images"][0]["platforms"][0]["layers"].as_array().context("no layers were printed")?;
    let made = layers.iter().filter(|layer| layer["cached"] == false);
    Ok(made.map(|layer| layer["from"].as_str().unwrap_or_default().to_string()).collect())
}
