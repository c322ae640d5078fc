//! The scene of docs/supply-chain.md: an image of `target/oci`, published in a registry on this machine, signed and attested
//! with a key made by cosign; the folder holds what a reader would have, the public key and a layout.
//!
//! The tools are Debian 13's and PyPI's, which `.ci/run` puts into `target/tools/bin`; they go before those on the PATH.

use std::ffi::OsString;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result, ensure};
use oci::layout::Layout;

use crate::facts::{self, Workspace};
use crate::loopback::Registry;
use crate::verify::skip;

/// The guide.
pub const GUIDE: &str = "docs/supply-chain.md";

/// What a guide finds: variables, and what must live as long as it runs.
#[derive(Default)]
pub struct Scene {
    /// Names and values.
    pub variables: Vec<(&'static str, OsString)>,
    registry: Option<Registry>,
}

impl Drop for Scene {
    fn drop(&mut self) {
        drop(self.registry.take());
    }
}

/// What its commands are, beyond what every Linux has.
const TOOLS: [&str; 4] = ["cosign", "oras", "skopeo", "syft"];

/// Publishes the image. A registry on loopback has no certificate: the tools that do not see that themselves are told.
pub fn scene(workspace: &Workspace, folder: &Path) -> Result<Scene> {
    let tools = workspace.target.join("tools/bin");
    for tool in TOOLS {
        if !tools.join(tool).exists() {
            return skip(format!("no {tool} in {}; `.ci/run` puts it there", tools.display()));
        }
    }
    if facts::find_program("docker-registry").is_none() {
        return skip("no docker-registry; on Debian run `apt-get install docker-registry`");
    }
    let layout = folder.join("target/oci");
    let source = Layout::open(workspace.target.join("oci"))?;
    let version = &workspace.version;
    let tag = ["alpine", "distroless"]
        .map(|variant| format!("{version}-{variant}"))
        .into_iter()
        .find(|tag| source.resolve(Some(tag)).is_ok())
        .context("target/oci holds no image; run `cargo xtask image --variant distroless`")?;
    let named = oci::layout::Named { name: tag.clone(), descriptor: source.resolve(Some(&tag))? };
    oci::layout::update(&layout, source.blobs(), &[named])?;

    let server = folder.join("server");
    fs::create_dir_all(&server)?;
    let registry = Registry::start(&server)?;
    let port = registry.address.rsplit(':').next().unwrap_or_default();
    let image = format!("localhost:{port}/scratchbird/scratchbird:{tag}");
    let containers = folder.join(".config/containers");
    fs::create_dir_all(&containers)?;
    let insecure = format!("[[registry]]\nlocation = \"localhost:{port}\"\ninsecure = true\n");
    fs::write(containers.join("registries.conf"), insecure)?;
    // Rust's own programs look for themselves in the user's folder, which is another one for the guide.
    let home = facts::home().unwrap_or_default();
    let cargo_home = facts::cargo_home().unwrap_or_default();
    let variables = vec![
        ("PATH", facts::path_before(&[tools.canonicalize()?])?),
        ("HOME", folder.into()),
        ("RUSTUP_HOME", facts::rustup_home().unwrap_or_else(|| home.join(".rustup")).into()),
        ("CARGO_HOME", cargo_home.into()),
        ("CARGO_TARGET_DIR", workspace.target.clone().into()),
        ("IMAGE", image.clone().into()),
        ("TAG", tag.clone().into()),
        ("COSIGN_PASSWORD", "secret".into()),
        ("SYFT_REGISTRY_INSECURE_USE_HTTP", "true".into()),
        ("SYFT_CHECK_FOR_APP_UPDATE", "false".into()),
    ];
    let scene = Scene { variables, registry: Some(registry) };
    let here = format!("oci:{}:{tag}", layout.display());
    let accept = "{\"default\":[{\"type\":\"insecureAcceptAnything\"}]}";
    fs::write(folder.join("accept.json"), accept)?;
    prepare(
        &scene,
        folder,
        "skopeo",
        &["--policy", "accept.json", "copy", "--all", &here, &format!("docker://{image}")],
    )?;
    prepare(&scene, folder, "cosign", &["generate-key-pair"])?;
    let program = facts::own_program()?.display().to_string();
    for command in ["sign", "attest"] {
        prepare(&scene, folder, &program, &["--quiet", command, &image, "--key", "cosign.key"])?;
    }
    for done in ["accept.json", "cosign.key"] {
        fs::remove_file(folder.join(done))?;
    }
    Ok(scene)
}

fn prepare(scene: &Scene, folder: &Path, program: &str, args: &[&str]) -> Result<()> {
    let mut command = duct::cmd("env", std::iter::once(&program).chain(args)).dir(folder);
    for (name, value) in &scene.variables {
        command = command.env(name, value);
    }
    let output = command.stdin_null().stdout_capture().stderr_capture().unchecked().run()?;
    let words = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "`{program} {}`: {}", args.join(" "), words.trim());
    Ok(())
}
