//! Pushing, against skopeo, to a real registry on loopback.

use std::cell::RefCell;
use std::fs;
use std::path::Path;

use anyhow::{Context as _, Result};
use oci::base::Base;
use oci::layout::Layout;
use oci::stream::Compression;
use oci::{Blobs, Cache};
use oci_spec::image::Descriptor;
use plan::filesystem::Inputs;
use plan::{Facts, PlannedImage, Selection, Spec};
use registry::{Client, Repository};

use super::{Contender, Table, machine, nothing, race};
use crate::bases::Found;
use crate::build;
use crate::facts::{self, Workspace};
use crate::image::{self, Scene};
use crate::loopback::Registry;
use crate::publish::{self, Outgoing};
use crate::ui::Ui;

const OURS: &str = "push of an image with new layers";
const SKOPEO: &str = "skopeo copy --all of the same layout";
const UNCHANGED: &str = "push of an unchanged image";

/// Pushes in turns. Every round has layers that no repository has seen.
pub fn bench(workspace: &Workspace, rounds: u32, ui: &Ui) -> Result<Table> {
    let spec = workspace.spec()?;
    let facts = workspace.facts(&spec)?;
    let selection = Selection { variants: vec!["distroless".into()], ..Selection::default() };
    let plan = plan::plan(&spec, &facts, &selection)?;
    let target = &plan.targets[0];
    build::prepare(workspace, &plan.targets, false, ui)?;
    let built = build::build(workspace, target, false, ui)?;
    let inputs = [(target.platform.clone(), Inputs { binaries: built.binaries, ..Inputs::default() })];
    let temp = tempfile::tempdir_in(&workspace.target)?;
    let server = Registry::start(temp.path())?;
    let client = Client::new(facts::registry_config(&spec)?)?;
    let quiet = Ui::new(true);
    let layout = temp.path().join("layout");
    let current: RefCell<Option<Descriptor>> = RefCell::new(None);
    let time = RefCell::new(1);
    let renew = || -> Result<()> {
        let facts = Facts { source_date_epoch: Some(*time.borrow()), ..facts.clone() };
        *time.borrow_mut() += 1;
        let root = write(&spec, &facts, &plan.images[0], &inputs, temp.path(), &layout)?;
        current.replace(Some(root));
        Ok(())
    };
    let push = |repository: &str| -> Result<()> {
        let root = current.borrow().clone().context("no image was made")?;
        let to = Repository::parse(&format!("{}/bench/{repository}", server.address))?;
        let image = Outgoing { root, to, tags: vec!["latest".into()], mount_from: Vec::new() };
        let blobs = Blobs::at(&layout);
        publish::by_digest(&client, &blobs, std::slice::from_ref(&image), &quiet)?;
        publish::tag(&client, &blobs, &[image], &quiet)
    };
    let mut skipped = Vec::new();
    let mut contenders = vec![
        Contender { what: OURS, against: None, prepare: Box::new(renew), run: Box::new(|| push("ours")) },
        Contender {
            what: UNCHANGED,
            against: Some(OURS),
            prepare: nothing(),
            run: Box::new(|| push("ours")),
        },
    ];
    match facts::find_program("skopeo") {
        None => skipped.push("skopeo copy: no skopeo on the PATH".into()),
        Some(skopeo) => {
            contenders[0].against = Some(SKOPEO);
            contenders.push(Contender {
                what: SKOPEO,
                against: None,
                prepare: nothing(),
                run: Box::new({
                    let (layout, server) = (&layout, &server);
                    move || {
                        let from = format!("oci:{}:latest", layout.display());
                        let to = format!("docker://{}/bench/skopeo:latest", server.address);
                        let args = ["copy", "--quiet", "--all", "--dest-tls-verify=false"];
                        duct::cmd!(&skopeo, args[0], args[1], args[2], args[3], from, to)
                            .stdout_null()
                            .stderr_capture()
                            .run()?;
                        Ok(())
                    }
                }),
            });
        }
    }
    let rows = race(&mut contenders, rounds, ui)?;
    drop(contenders);
    Ok(Table { machine: machine(&workspace.shell()?), rows, figures: Vec::new(), skipped })
}

/// An image in a layout, under the name `latest`.
fn write(
    spec: &Spec,
    facts: &Facts,
    planned: &PlannedImage,
    inputs: &[(oci_spec::image::Platform, Inputs)],
    temp: &Path,
    layout: &Path,
) -> Result<Descriptor> {
    let cache = Cache::create(&temp.join("cache"))?;
    let ui = Ui::new(true);
    let scene =
        Scene { spec, facts, cache: &cache, inputs, compression: Compression::Gzip, explain: false, ui: &ui };
    let bases = [Found { base: Base::default(), identity: plan::config::BaseIdentity::default() }];
    let planned = PlannedImage { tags: vec!["latest".into()], ..planned.clone() };
    let (assembled, work) = image::assemble(&scene, &planned, &bases)?;
    if layout.exists() {
        fs::remove_dir_all(layout)?;
    }
    image::write_layout(layout, &cache, &[assembled], &work)?;
    Ok(Layout::open(layout)?.resolve(Some("latest"))?)
}
