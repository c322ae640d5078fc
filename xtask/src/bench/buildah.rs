//! Buildah as the peer: the same files, built and written as an OCI layout, compressed as ours is.

use std::cell::Cell;
use std::path::{Path, PathBuf};

use super::Contender;
use crate::facts;

const BUILD: &str = "buildah build --no-cache and push to an OCI layout";
/// What the image is called that only builds make.
const NAME: &str = "localhost/scratchbird-bench-buildah";

/// A Buildah that is installed. What it was made to build it forgets when this is dropped.
pub struct Peer<'a> {
    program: PathBuf,
    context: &'a Path,
    layout: PathBuf,
    has_built: Cell<bool>,
}

impl<'a> Peer<'a> {
    /// Finds one.
    pub fn find(context: &'a Path, temp: &Path, skipped: &mut Vec<String>) -> Option<Peer<'a>> {
        let Some(program) = facts::find_program("buildah") else {
            skipped
                .push("buildah build: it is not installed; on Debian run `apt-get install buildah`".into());
            return None;
        };
        Some(Peer { program, context, layout: temp.join("buildah"), has_built: Cell::new(false) })
    }

    /// From nothing to a layout.
    pub fn contender(&self, against: &'static str) -> Contender<'_> {
        Contender {
            what: BUILD,
            against: Some(against),
            prepare: Box::new(|| {
                // Else it finds its blobs there.
                if self.layout.exists() {
                    std::fs::remove_dir_all(&self.layout)?;
                }
                Ok(())
            }),
            run: Box::new(|| {
                self.has_built.set(true);
                let (program, to) = (&self.program, format!("oci:{}:bench", self.layout.display()));
                let quiet =
                    |command: duct::Expression| command.stdout_null().stderr_capture().run().map(drop);
                quiet(duct::cmd!(program, "build", "--quiet", "--no-cache", "--tag", NAME, self.context))?;
                quiet(duct::cmd!(program, "push", "--quiet", NAME, to))?;
                Ok(())
            }),
        }
    }
}

impl Drop for Peer<'_> {
    fn drop(&mut self) {
        if self.has_built.get() {
            // A failed build left none.
            let remove = duct::cmd!(&self.program, "rmi", "--force", NAME);
            let _ = remove.stdout_null().stderr_null().unchecked().run();
        }
    }
}
