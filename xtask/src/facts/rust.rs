//! The Rust toolchain that builds for us, and what would change its work.

use std::collections::BTreeSet;
use std::env;
use std::ffi::OsString;
use std::path::PathBuf;

use anyhow::{Context as _, Result};
use xshell::{Shell, cmd};

use super::home;

/// The rustc that Cargo would use.
pub(super) fn rustc() -> OsString {
    env::var_os("RUSTC").unwrap_or_else(|| "rustc".into())
}

/// The target triple of this machine's Rust.
pub fn rust_host(sh: &Shell) -> Result<String> {
    Ok(rustc_version(sh)?.1)
}

/// The commit of rustc and the host's target triple.
fn rustc_version(sh: &Shell) -> Result<(String, String)> {
    let rustc = rustc();
    let text = cmd!(sh, "{rustc} -vV").quiet().read()?;
    let field = |name: &str| text.lines().find_map(|l| l.strip_prefix(name)).map(|v| v.trim().to_string());
    let host = field("host:").context("rustc -vV names no host")?;
    Ok((field("commit-hash:").unwrap_or_else(|| "unknown".into()), host))
}

/// The toolchain's own sources, where rustup installed them, and rustc's commit: what rustc calls
/// `/rustc/<commit>` everywhere else.
pub fn rust_sources(sh: &Shell) -> Result<(PathBuf, String)> {
    Ok((sysroot(sh)?.join("lib/rustlib/src/rust"), rustc_version(sh)?.0))
}

/// Where the Rust toolchain lies.
pub fn sysroot(sh: &Shell) -> Result<PathBuf> {
    let rustc = rustc();
    Ok(PathBuf::from(cmd!(sh, "{rustc} --print sysroot").quiet().read()?))
}

/// The Rust targets whose standard library is installed.
pub(super) fn rust_targets(sh: &Shell) -> Result<BTreeSet<String>> {
    let dir = sysroot(sh)?.join("lib/rustlib");
    let entries = std::fs::read_dir(&dir).with_context(|| format!("{}: cannot read", dir.display()))?;
    let installed = entries.flatten().filter(|entry| entry.path().join("lib").is_dir());
    Ok(installed.filter_map(|entry| entry.file_name().into_string().ok()).collect())
}

/// The variables of our environment that would change what Cargo builds: they are kept from it, so that the same
/// commit gives the same binary in everybody's shell.
pub fn build_influences() -> Vec<String> {
    env::vars_os()
        .filter_map(|(name, _)| name.into_string().ok())
        .filter(|name| {
            matches!(
                name.as_str(),
                "RUSTFLAGS" | "CARGO_ENCODED_RUSTFLAGS" | "CARGO_BUILD_RUSTFLAGS" | "CARGO_BUILD_TARGET"
            ) || matches!(
                name.as_str(),
                "CFLAGS" | "TARGET_CFLAGS" | "HOST_CFLAGS" | "CPPFLAGS" | "LDFLAGS" | "CC" | "TARGET_CC"
            ) || name.starts_with("CARGO_PROFILE_")
                || (name.starts_with("CARGO_TARGET_") && name != "CARGO_TARGET_DIR")
                // What `cargo run` says of xtask: ring's build script asks to run again when it changes, and then all
                // above it is compiled again whenever xtask has another version or was started by hand.
                || ["CARGO_PKG_", "CARGO_MANIFEST_", "CARGO_BIN_", "CARGO_CRATE_"].iter().any(|p| name.starts_with(p))
        })
        .collect()
}

/// Where Cargo keeps its registries.
pub fn cargo_home() -> Option<PathBuf> {
    env::var_os("CARGO_HOME").map(PathBuf::from).or_else(|| Some(home()?.join(".cargo")))
}

/// Where rustup keeps toolchains, if the user has moved it.
pub fn rustup_home() -> Option<PathBuf> {
    env::var_os("RUSTUP_HOME").map(PathBuf::from)
}
