//! Which of a platform's toolchains this machine can build with, and what is missing for the others.

use oci_spec::image::Platform;
use serde::Serialize;

use crate::facts::Facts;
use crate::spec::{PlatformSpec, Toolchain};

/// The program that compiles C and links on a machine of the very platform that is built for.
pub const NATIVE_CC: &str = "cc";
/// How to get it.
const NATIVE_INSTALL: &str = "apt-get install gcc libc6-dev";
/// Cargo's subcommand that brings zig in as compiler and linker.
const ZIGBUILD: &str = "cargo-zigbuild";

/// A toolchain with what this machine has of it.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Candidate {
    /// The Rust target.
    pub target: String,
    /// Flags for rustc.
    pub rustflags: Vec<String>,
    /// The C compiler and linker; none where cargo-zigbuild does it.
    pub cc: Option<String>,
    /// The program that has to be installed: `cc` or cargo-zigbuild.
    pub program: String,
    /// The command that installs it.
    pub install: String,
    /// Whether it is.
    pub has_program: bool,
    /// Whether the standard library for the target is.
    pub has_target: bool,
}

/// The platform's toolchains, in the Spec's order.
pub fn candidates(platform: &Platform, spec: &PlatformSpec, facts: &Facts) -> Vec<Candidate> {
    let native = *platform == facts.host;
    let candidate = |toolchain: &Toolchain| {
        let (cc, install) = match (&toolchain.cc, native) {
            (Some(_), true) => (Some(NATIVE_CC), NATIVE_INSTALL),
            (cc, _) => (cc.as_deref(), toolchain.install.as_str()),
        };
        let program = cc.unwrap_or(ZIGBUILD).to_string();
        Candidate {
            has_program: facts.programs.contains(&program),
            has_target: facts.rust_targets.contains(&toolchain.target),
            target: toolchain.target.clone(),
            rustflags: toolchain.rustflags.clone(),
            cc: cc.map(String::from),
            install: install.into(),
            program,
        }
    };
    spec.toolchains.iter().map(candidate).collect()
}

/// The one to build with: the first whose program is installed, else the first, whose program is missing then.
pub fn choose(candidates: Vec<Candidate>) -> Candidate {
    let best = candidates.iter().position(|c| c.has_program).unwrap_or(0);
    candidates.into_iter().nth(best).expect("the Spec gives every platform a toolchain")
}

/// Every program that some toolchain of the Spec may ask for.
pub fn programs<'a>(platforms: impl Iterator<Item = &'a PlatformSpec>) -> Vec<String> {
    let named = platforms.flat_map(|p| &p.toolchains).filter_map(|t| t.cc.clone());
    named.chain([NATIVE_CC.to_string(), ZIGBUILD.to_string()]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{facts, spec};

    #[test]
    fn the_best_that_is_installed() {
        let check = |platform: &str, programs: &[&str], expect: (&str, &str, bool)| {
            let facts = Facts { programs: programs.iter().map(|p| (*p).into()).collect(), ..facts() };
            let spec = spec();
            let (platform, platform_spec) = spec.platform(platform).unwrap();
            let chosen = choose(candidates(&platform, platform_spec, &facts));
            assert_eq!((chosen.target.as_str(), chosen.program.as_str(), chosen.has_program), expect);
        };
        let all = ["cc", "aarch64-linux-gnu-gcc", "arm-linux-gnueabihf-gcc", "cargo-zigbuild"];
        check("linux/amd64", &all, ("x86_64-unknown-linux-gnu", "cc", true));
        check("linux/arm64", &all, ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc", true));
        check(
            "linux/arm64",
            &["cc", "cargo-zigbuild"],
            ("aarch64-unknown-linux-musl", "cargo-zigbuild", true),
        );
        check("linux/arm64", &["cc"], ("aarch64-unknown-linux-gnu", "aarch64-linux-gnu-gcc", false));
        check(
            "linux/arm/v7",
            &["cc", "cargo-zigbuild"],
            ("armv7-unknown-linux-gnueabihf", "arm-linux-gnueabihf-gcc", false),
        );
        check("linux/amd64", &["x86_64-linux-gnu-gcc"], ("x86_64-unknown-linux-gnu", "cc", false));
    }
}
