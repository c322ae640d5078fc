//! `cargo xtask scan`: everything that can be found wrong with an image, by our own checks and by the scanners that are
//! installed, in one list.

mod tools;

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};
use oci::contents::{Kind, Tree, read_layer};
use oci_spec::image::{Descriptor, ImageConfiguration};
use plan::Spec;
use plan::secrets::secret_word;
use supply::finding::{self, Finding, Report, Severity};
use supply::inventory::{self, Component, Inventory};
use supply::policy::Policy;
use supply::rustsec::Advisory;
use supply::{checks, rustsec};

use crate::facts::{self, Workspace};
use crate::sbom;
use crate::store::{self, Store};
use crate::ui::Ui;
use crate::verify::POLICY;

/// The file that says what is let be.
const IGNORE: &str = "docker/scan-ignore.toml";

/// Scan an image: users, modes, secrets, leftovers, licences, known vulnerabilities
///
/// Our own checks always run. RustSec's advisories are held against the crates in the image where the database is at hand
/// (`git clone https://github.com/rustsec/advisory-db`); trivy, grype and hadolint run where they are installed. What was
/// not checked is said.
#[derive(clap::Args)]
#[command(after_help = "Examples:
  cargo xtask scan oci:target/oci:0.1.0 --fail-on high
  cargo xtask scan oci:target/oci:0.1.0 --advisory-db advisory-db --sarif target/scan.sarif")]
pub struct Args {
    /// A registry reference, or oci:DIR:TAG
    image: String,
    /// The platform, where there are several [default: this machine's]
    #[arg(long)]
    platform: Option<String>,
    /// The folder or checkout of RustSec's advisory-db [default: Cargo's, where cargo-audit put it]
    #[arg(long, value_name = "DIR")]
    advisory_db: Option<PathBuf>,
    /// Fail when something at least that bad was found
    #[arg(long, value_enum)]
    fail_on: Option<SeverityArg>,
    /// Also fail when something could not be checked
    #[arg(long)]
    complete: bool,
    /// Also write SARIF 2.1.0
    #[arg(long, value_name = "FILE")]
    sarif: Option<PathBuf>,
    /// What is let be, with reason and expiry [default: docker/scan-ignore.toml]
    #[arg(long, value_name = "FILE")]
    ignore: Option<PathBuf>,
}

#[derive(Clone, Copy, clap::ValueEnum)]
enum SeverityArg {
    Low,
    Medium,
    High,
    Critical,
}

impl Args {
    /// Runs the command.
    pub fn run(self, workspace: &Workspace, ui: &Ui) -> Result<()> {
        let spec = workspace.spec()?;
        let facts = workspace.facts(&spec)?;
        let store = Store::open(&self.image, workspace, &spec, ui)?;
        let platforms = store.platforms()?;
        let (_, manifest) = store::choose(&platforms, self.platform.as_deref(), &facts.host)?;
        let world = World {
            workspace,
            spec: &spec,
            advisory_db: self.advisory_db.as_deref(),
            ignore: self.ignore.as_deref(),
        };
        let (report, shown) = world.scan(&store, manifest)?;
        if let Some(path) = &self.sarif {
            let sarif = report.sarif(&workspace.version.to_string());
            sbom::write(path, &serde_json::to_vec_pretty(&sarif)?)?;
        }
        print!("{}", report.table());
        if let Some(severity) = self.fail_on {
            let severity = match severity {
                SeverityArg::Low => Severity::Low,
                SeverityArg::Medium => Severity::Medium,
                SeverityArg::High => Severity::High,
                SeverityArg::Critical => Severity::Critical,
            };
            let count = report.count(severity);
            if count > 0 {
                bail!("{count} findings are {} or worse; mend them, or add them to {shown}", severity.name());
            }
        }
        if self.complete && !report.unchecked.is_empty() {
            bail!("not checked: {}", report.unchecked.join("; "));
        }
        Ok(())
    }
}

/// What findings are looked up in.
pub struct World<'a> {
    /// This checkout.
    pub workspace: &'a Workspace,
    /// Its catalogue.
    pub spec: &'a Spec,
    /// RustSec's database; Cargo's where it is not given.
    pub advisory_db: Option<&'a Path>,
    /// The file that says what is let be; the project's where it is not given.
    pub ignore: Option<&'a Path>,
}

impl World<'_> {
    /// Everything that is found wrong with one image, worst first, and the name of the file that lets things be.
    pub fn scan(&self, store: &Store, manifest: &Descriptor) -> Result<(Report, String)> {
        let root = &self.workspace.root;
        let ignore = self.ignore.map_or_else(|| root.join(IGNORE), Path::to_path_buf);
        let shown = ignore.strip_prefix(root).unwrap_or(&ignore).display().to_string();
        let ignores = match std::fs::read_to_string(&ignore) {
            Ok(text) => finding::ignores(&shown, &text)?,
            Err(_) if self.ignore.is_none() && !ignore.exists() => Vec::new(),
            Err(e) => bail!("--ignore {shown}: cannot read: {e}"),
        };
        let mut report = self.report(store, manifest)?;
        let today = plan::facts::rfc3339(facts::clock());
        report.settle(&shown, &ignores, &today[..10]);
        Ok((report, shown))
    }

    fn report(&self, store: &Store, manifest: &Descriptor) -> Result<Report> {
        let Self { workspace, spec, .. } = *self;
        let mut report = Report { findings: native(store, manifest)?, ..Report::default() };
        let tree = Tree::read(store.blobs(), manifest, inventory::is_wanted)?;
        let inventory = inventory::inventory(&tree, &sbom::crate_facts(workspace, spec)?)?;
        let policy = workspace.read(POLICY).ok().map(|text| Policy::parse(POLICY, &text)).transpose()?;
        let refused = policy.map(|p| p.refused_licences).unwrap_or_default();
        report.findings.extend(checks::licences(&inventory, &refused));
        self.advisories(&inventory, &mut report)?;
        let untold: Vec<&Component> = inventory.components.iter().filter(|c| c.licence.is_none()).collect();
        if let Some(first) = untold.first() {
            report.unchecked.push(format!(
                "licences of {} parts: none is told of them, such as {}",
                untold.len(),
                first.purl
            ));
        }
        tools::scanners(store, manifest, &inventory, &mut report)?;
        tools::hadolint(&workspace.root, &mut report)?;
        Ok(report)
    }

    /// Holds RustSec's advisories against the crates.
    fn advisories(&self, inventory: &Inventory, report: &mut Report) -> Result<()> {
        let crates = inventory.components.iter().filter(|c| c.scope.is_some()).count();
        if crates == 0 {
            report.unchecked.push("crates: no program in the image names the crates it is made of".into());
            return Ok(());
        }
        let default = facts::cargo_home().map(|home| home.join("advisory-db"));
        let dir = match (self.advisory_db, default) {
            (Some(dir), _) => dir.to_path_buf(),
            (None, Some(dir)) if dir.exists() => dir,
            _ => {
                report.unchecked.push(format!(
                    "{crates} crates: no RustSec database at hand; run `git clone https://github.com/rustsec/advisory-db` and give it with --advisory-db"
                ));
                return Ok(());
            }
        };
        let advisories = database(&dir)?;
        report.findings.extend(rustsec::findings(inventory, &advisories));
        Ok(())
    }
}

/// Reads the advisories on crates of a database folder.
fn database(dir: &Path) -> Result<Vec<Advisory>> {
    let crates = if dir.join("crates").is_dir() { dir.join("crates") } else { dir.to_path_buf() };
    let mut advisories = Vec::new();
    let mut pending = vec![crates];
    while let Some(folder) = pending.pop() {
        let entries = std::fs::read_dir(&folder)
            .with_context(|| format!("--advisory-db {}: cannot read", folder.display()))?;
        for entry in entries {
            let path = entry?.path();
            let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
            if path.is_dir() {
                pending.push(path);
            } else if name.starts_with("RUSTSEC-") && name.ends_with(".md") {
                let text = std::fs::read_to_string(&path).with_context(|| path.display().to_string())?;
                advisories.push(Advisory::parse(&path.display().to_string(), &text)?);
            }
        }
    }
    if advisories.is_empty() {
        bail!(
            "--advisory-db {}: holds no advisory; run `git clone https://github.com/rustsec/advisory-db`",
            dir.display()
        );
    }
    Ok(advisories)
}

/// The checks that need nothing but the image: of its configuration, and of every layer by itself.
fn native(store: &Store, manifest: &Descriptor) -> Result<Vec<Finding>> {
    let document = store.fetch_image(manifest)?;
    let config: ImageConfiguration = store.read(document.config())?;
    let mut found = checks::config(&config, secret_word);
    for layer in document.layers() {
        read_layer(store.blobs(), layer, |item, content| {
            found.extend(checks::entry(item));
            if item.kind == Kind::File && item.size <= checks::MAX_TEXT {
                let mut bytes = Vec::new();
                content.read_to_end(&mut bytes)?;
                found.extend(checks::text(&item.path, &bytes));
            }
            Ok(())
        })?;
    }
    Ok(found)
}
