//! HAProxy and Prometheus where their own images can't be pulled: this machine's programs with the libraries that
//! they load, as images that start as theirs do.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use duct::cmd;

use super::need;
use crate::engine::Engine;

/// A program's image.
struct StandIn {
    /// What the reference it stands for holds.
    part: &'static str,
    program: &'static str,
    package: &'static str,
    /// What the image starts, before the service's arguments.
    entrypoint: &'static str,
}

const STAND_INS: &[StandIn] = &[
    StandIn {
        part: "/haproxy:",
        program: "haproxy",
        package: "haproxy",
        entrypoint: r#"["haproxy","-W","-db","-f","/usr/local/etc/haproxy/haproxy.cfg"]"#,
    },
    StandIn {
        part: "/prometheus:",
        program: "prometheus",
        package: "prometheus",
        entrypoint: r#"["prometheus"]"#,
    },
];

/// The image that stands for `reference`; made if the engine does not have it.
pub fn image(engine: &Engine, reference: &str) -> Result<String> {
    let Some(stand_in) = STAND_INS.iter().find(|stand_in| reference.contains(stand_in.part)) else {
        bail!("nothing stands in for {reference}");
    };
    // wget is what the health checks of both ask with.
    for (program, package) in [(stand_in.program, stand_in.package), ("wget", "wget"), ("ldd", "libc-bin")] {
        need(program, package)?;
    }
    let name = format!("scratchbird-stand-in-{}:latest", stand_in.program);
    let mut files = BTreeSet::new();
    for program in [stand_in.program, "wget"] {
        let path = crate::facts::find_program(program).context("it was found before")?;
        files.extend(libraries(&path)?);
        files.insert(path);
    }
    let mut tar = tar::Builder::new(Vec::new());
    for path in files {
        let mut file = std::fs::File::open(&path)?;
        let mut header = tar::Header::new_gnu();
        header.set_size(file.metadata()?.len());
        header.set_mode(0o755);
        let inside = path.strip_prefix("/").unwrap_or(&path);
        tar.append_data(&mut header, inside, &mut file).with_context(|| path.display().to_string())?;
    }
    for folder in ["tmp", "prometheus", "etc/prometheus"] {
        let mut header = tar::Header::new_gnu();
        header.set_entry_type(tar::EntryType::Directory);
        header.set_size(0);
        header.set_mode(0o1777);
        tar.append_data(&mut header, folder, std::io::empty())?;
    }
    let tar = tar.into_inner()?;
    let entrypoint = format!("ENTRYPOINT {}", stand_in.entrypoint);
    let path = "ENV PATH=/usr/sbin:/usr/bin:/sbin:/bin";
    cmd!(engine.to_string(), "import", "--change", entrypoint, "--change", path, "-", &name)
        .stdin_bytes(tar)
        .stdout_null()
        .run()
        .with_context(|| format!("{engine} import of {}", stand_in.program))?;
    Ok(name)
}

/// The libraries that a program loads, and the loader.
fn libraries(program: &Path) -> Result<Vec<PathBuf>> {
    let output = cmd!("ldd", program).stdout_capture().stderr_null().unchecked().run()?;
    let text = String::from_utf8_lossy(&output.stdout);
    Ok(text.split_whitespace().filter(|word| word.starts_with('/')).map(PathBuf::from).collect())
}
