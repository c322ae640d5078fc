//! Whether what the other ways to compile make starts: the first one that a machine has is what images come from, and
//! alone would be tried.

use anyhow::{Context as _, Result, ensure};
use plan::{Selection, toolchain};

use super::readers::{LayoutProbe, Subject, starts};
use super::skip;
use crate::build;
use crate::engine;
use crate::facts;
use crate::ui::Ui;

/// The promises about toolchains.
pub const PROBES: &[LayoutProbe] =
    &[LayoutProbe { name: "starts on its foreign platforms when zig compiles it, under qemu", run: zig }];

/// Compiles for every foreign platform by zig and starts what came of it. The first time it takes minutes.
fn zig(subject: &Subject) -> Result<()> {
    let Subject { workspace, spec, facts, .. } = subject;
    let selection = Selection { platforms: vec!["all".into()], ..Selection::default() };
    let (mut targets, mut emulators) = (Vec::new(), Vec::new());
    for mut target in plan::plan(spec, facts, &selection)?.targets {
        let name = oci::platform::display(&target.platform);
        let (platform, platform_spec) = spec.platform(&name)?;
        let ways = toolchain::candidates(&platform, platform_spec, facts);
        let Some(by_zig) = ways.into_iter().find(|way| way.cc.is_none() && platform != facts.host) else {
            continue;
        };
        if !by_zig.has_program {
            return skip(format!("no {}; run `{}`", by_zig.program, by_zig.install));
        }
        let emulator = engine::emulator(&platform);
        let Some(qemu) = facts::find_program(&emulator) else {
            return skip(format!("no {emulator}; on Debian run `apt-get install qemu-user-static`"));
        };
        target.toolchain = by_zig;
        targets.push(target);
        emulators.push(qemu);
    }
    let ui = Ui::new(true);
    if let Err(missing) = build::prepare(workspace, &targets, false, &ui) {
        return skip(format!("{missing:#}"));
    }
    let mut started = 0;
    let built = build::build_all(workspace, &targets, false, &ui)?;
    for ((target, built), qemu) in targets.iter().zip(built).zip(&emulators) {
        for (package, binary) in &built.binaries {
            starts(qemu, &binary.source.path, facts).with_context(|| {
                format!("{package} for {} by zig", oci::platform::display(&target.platform))
            })?;
            started += 1;
        }
    }
    ensure!(started > 0, "docker/images.toml: no foreign platform has a toolchain with `zig = true`");
    Ok(())
}
