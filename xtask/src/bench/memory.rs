//! The most memory that a run takes, with a base much larger than that.

use std::fs::{self, File};
use std::io::{BufWriter, Write as _};
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, ensure};

use crate::facts::{self, Workspace};
use crate::ui::{Ui, bytes_text};

/// What a run may take at most, in bytes.
const BUDGET: u64 = 150_000_000;

/// An image of a file alone: nothing is compiled for it.
const CATALOGUE: &str = r#"
[project]
title = "Memory"
description = "An image on a large base"
vendor = "bench"
url = "https://example.org"
source = "https://example.org"
documentation = "https://example.org"
licenses = "MIT"
default-image = "large"
version = "1.0.0"

[platforms."linux/amd64"]
[platforms."linux/arm64"]

[variants.large]
base = "docker.io/library/large:1"

[tags]
levels = []

[tags.names]
branch = ["{{branch}}"]
default-branch = ["edge"]
pull-request = ["pr-{{number}}"]
schedule = ["nightly"]
tag = ["{{tag}}"]
commit = ["sha-{{sha}}"]

[images.large]
repository = "large"
variants = ["large"]
files = [{ path = "/etc/motd", contents = "large", mode = "0644", owner = "root" }]
"#;

/// Builds an image on a base of that size and says what it took; more than the budget is an error.
pub fn bench(workspace: &Workspace, gigabytes: u64, ui: &Ui) -> Result<()> {
    let temp = tempfile::tempdir_in(&workspace.target)?;
    let base = temp.path().join("base.tar");
    ui.line("writing", format_args!("a base of {gigabytes} GB"));
    write_base(&base, gigabytes << 30)?;
    let (catalogue, output) = (temp.path().join("images.toml"), temp.path().join("oci"));
    fs::write(&catalogue, CATALOGUE)?;
    let start = Instant::now();
    // The cache is a folder of its own: the base would stay in ours.
    let mut child = Command::new(facts::own_program()?)
        .args(["--quiet", "--spec"])
        .arg(&catalogue)
        .args(["image", "--offline", "--base"])
        .arg(format!("large={}", base.display()))
        .arg("--output")
        .arg(&output)
        .env("CARGO_TARGET_DIR", temp.path().join("target"))
        .current_dir(&workspace.root)
        .stdout(Stdio::null())
        .spawn()?;
    let mut peak = 0;
    let status = loop {
        peak = peak.max(high_water(child.id()).unwrap_or(0));
        match child.try_wait()? {
            Some(status) => break status,
            None => std::thread::sleep(Duration::from_millis(20)),
        }
    };
    ensure!(status.success(), "the image was not built: {status}");
    println!(
        "{} at most with a base of {gigabytes} GB, in {:.1} s",
        bytes_text(peak),
        start.elapsed().as_secs_f64()
    );
    ensure!(peak > 0, "/proc tells nothing of the memory of a process here");
    ensure!(peak <= BUDGET, "{} is more than the budget of {}", bytes_text(peak), bytes_text(BUDGET));
    Ok(())
}

/// The peak of a process's resident memory so far (proc(5), VmHWM).
fn high_water(pid: u32) -> Option<u64> {
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"))?;
    Some(line.trim().trim_end_matches("kB").trim().parse::<u64>().ok()? * 1024)
}

/// A root file system with files of 64 MB that compress to about half.
fn write_base(path: &Path, bytes: u64) -> Result<()> {
    const FILE: u64 = 64 << 20;
    let file = File::create(path).with_context(|| format!("{}: cannot write", path.display()))?;
    let mut tar = tar::Builder::new(BufWriter::new(file));
    let mut state = 1u32;
    let mut block = vec![0u8; 1 << 20];
    let mut passwd = tar::Header::new_gnu();
    let text = b"root:x:0:0:root:/root:/bin/sh\n";
    passwd.set_size(text.len() as u64);
    passwd.set_mode(0o644);
    tar.append_data(&mut passwd, "etc/passwd", &text[..])?;
    for i in 0..bytes.div_ceil(FILE) {
        let mut content = Vec::with_capacity(FILE as usize);
        while (content.len() as u64) < FILE {
            for byte in &mut block {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                *byte = (state >> 28) as u8;
            }
            content.extend_from_slice(&block);
        }
        let mut header = tar::Header::new_gnu();
        header.set_size(content.len() as u64);
        header.set_mode(0o644);
        tar.append_data(&mut header, format!("usr/share/noise/{i}"), &content[..])?;
    }
    tar.into_inner()?.flush()?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn memory_of_a_process() {
        assert!(high_water(std::process::id()).is_some_and(|bytes| bytes > 1 << 20));
        assert_eq!(high_water(u32::MAX), None);
    }
}
