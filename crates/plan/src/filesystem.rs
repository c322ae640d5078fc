//! What goes into the layers over a base: the system layer (users, folders, files, certificates) and the program layer
//! (the binary and its links), in the order in which they change.

use std::collections::{BTreeMap, BTreeSet};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use oci::base::Node;
use oci::platform::Elf;
use oci::{Base, Entry, Owner, Source};
use oci_spec::image::Platform;

use crate::error::{Error, Result};
use crate::facts::Facts;
use crate::spec::{FileSpec, From, ImageSpec, Spec, User};

/// A binary that was built, with what its header says.
#[derive(Clone, Debug)]
pub struct BuiltBinary {
    /// The file.
    pub source: Source,
    /// Its architecture and interpreter; none where it is no ELF file.
    pub elf: Option<Elf>,
}

/// What was read of the host for the layers.
#[derive(Clone, Debug, Default)]
pub struct Inputs {
    /// The programs of the platform, by package.
    pub binaries: BTreeMap<String, BuiltBinary>,
    /// The files that `files.source` names on the platform, by that.
    pub files: BTreeMap<String, Source>,
}

/// A layer to be made.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct PlannedLayer {
    /// `system`, `server` or `files`: the word for its origin in outputs.
    pub from: &'static str,
    /// What is in it.
    pub entries: Vec<Entry>,
}

/// The bundle that OpenSSL, Go and rustls look for on Debian and Alpine.
pub(crate) const CERTIFICATES: &str = "etc/ssl/certs/ca-certificates.crt";

/// The layers of the image `name` for `platform` over `base`: none that would be empty.
///
/// # Errors
/// [`Error::Misfit`] when base and image do not go together: another architecture, a taken user id, a missing
/// program interpreter, a file in the way; or when an input is missing.
///
/// # Panics
/// When `name` is none of the Spec's images.
pub fn layers(
    spec: &Spec,
    facts: &Facts,
    name: &str,
    platform: &Platform,
    base: &Base,
    inputs: &Inputs,
) -> Result<Vec<PlannedLayer>> {
    let image = &spec.images[name];
    check_base(platform, base)?;
    let mut tree = Tree { base, entries: BTreeMap::new() };
    let on_a_base = image.from == From::Variants;

    for directory in &image.directories {
        tree.dir(&directory.path, directory.mode, owner(image, &directory.owner))?;
    }
    for file in &image.files {
        tree.spec_file(image, file, platform, inputs)?;
    }
    if image.adds_user || on_a_base {
        let (passwd, group) = accounts(image, base)?;
        tree.text("etc/passwd", passwd)?;
        tree.text("etc/group", group)?;
    }
    if on_a_base && base.lookup(CERTIFICATES).is_none() {
        tree.text(CERTIFICATES, certificates())?;
    }
    if on_a_base && base.lookup("etc/os-release").is_none() && base.lookup("usr/lib/os-release").is_none() {
        tree.text("etc/os-release", os_release(spec, facts))?;
    }
    let system = tree.take();

    if let Some(binary) = &image.binary {
        let built = inputs.binaries.get(&binary.package).ok_or_else(|| {
            Error::Misfit(format!("images.{name}: the package `{}` was not built", binary.package))
        })?;
        fits(platform, base, built)?;
        tree.file(&binary.path, &built.source, 0o755, Owner::ROOT)?;
        let (folder, program) = binary.path.rsplit_once('/').unwrap_or(("", &binary.path));
        for link in &binary.links {
            tree.link(&format!("{folder}/{link}"), program)?;
        }
    }
    let mut server = tree.take();
    // A folder that the system layer made is there already.
    let made: BTreeSet<&str> = system.iter().map(Entry::path).collect();
    server.retain(|entry| !(matches!(entry, Entry::Dir { .. }) && made.contains(entry.path())));
    let system_name = if on_a_base { "system" } else { "files" };
    let layers = [
        PlannedLayer { from: system_name, entries: system },
        PlannedLayer { from: "server", entries: server },
    ];
    Ok(layers.into_iter().filter(|layer| !layer.entries.is_empty()).collect())
}

/// Whether the binary can run on that platform and base at all.
fn fits(platform: &Platform, base: &Base, binary: &BuiltBinary) -> Result<()> {
    let wanted = oci::platform::display(platform);
    let path = binary.source.path.display();
    let Some(elf) = &binary.elf else {
        return Err(Error::Misfit(format!(
            "{path}: is no ELF program; the images hold Linux programs alone"
        )));
    };
    if elf.architecture != *platform.architecture() {
        return Err(Error::Misfit(format!(
            "{path}: is built for {}, the image is for {wanted}",
            elf.architecture
        )));
    }
    if let Some(interpreter) = &elf.interpreter
        && base.lookup(interpreter.trim_start_matches('/')).is_none()
    {
        return Err(Error::Misfit(format!(
            "{path}: asks for the program interpreter {interpreter}, which the base does not have; build it static (rustflags in docker/images.toml)"
        )));
    }
    Ok(())
}

/// Whether `base` is one for `platform`.
///
/// # Errors
/// [`Error::Misfit`] when its programs are for another architecture.
pub fn check_base(platform: &Platform, base: &Base) -> Result<()> {
    match &base.architecture {
        Some(architecture) if architecture != platform.architecture() => {
            let wanted = oci::platform::display(platform);
            Err(Error::Misfit(format!(
                "the base is for linux/{architecture}, the image is for {wanted}; give a base for {wanted}, or name the base's own platform with `--platform`"
            )))
        }
        _ => Ok(()),
    }
}

/// The numbers of `root` or of the image's user, the only owners that the Spec lets through, and of root's group for
/// the user where that is said.
pub fn owner(image: &ImageSpec, name: &str) -> Owner {
    let (name, of_root) = name.strip_suffix(":root").map_or((name, false), |name| (name, true));
    match &image.user {
        Some(user) if user.name == name => Owner { uid: user.uid, gid: if of_root { 0 } else { user.gid } },
        _ => Owner::ROOT,
    }
}

/// The entries to be, by path. Every path is resolved over the base first, and folders on the way that the base
/// does not have are made, so that no unpacker has to guess their mode.
struct Tree<'a> {
    base: &'a Base,
    entries: BTreeMap<String, Entry>,
}

impl Tree<'_> {
    fn resolve(&mut self, path: &str) -> Result<String> {
        let real =
            self.base.resolve(path.trim_start_matches('/')).map_err(|e| Error::Misfit(e.to_string()))?;
        let mut parent = real.as_str();
        while let Some((up, _)) = parent.rsplit_once('/') {
            parent = up;
            if self.base.files.contains_key(parent) || self.entries.contains_key(parent) {
                break;
            }
            let dir = Entry::Dir { path: parent.into(), mode: 0o755, owner: Owner::ROOT };
            self.entries.insert(parent.into(), dir);
        }
        Ok(real)
    }

    /// The place for a file or link: nothing but a file may lie there in the base.
    fn place(&mut self, path: &str) -> Result<String> {
        let real = self.resolve(path)?;
        match self.base.files.get(&real) {
            None | Some(Node::File) => Ok(real),
            Some(node) => Err(Error::Misfit(format!(
                "/{real} is {} in the base; it would be replaced by a file",
                describe(node)
            ))),
        }
    }

    fn dir(&mut self, path: &str, mode: u32, owner: Owner) -> Result<()> {
        let mut real = self.resolve(path)?;
        // `/tmp` may be a link in a base; the folder it leads to is meant.
        if let Some((end, node)) = self.base.lookup(&real) {
            if *node != Node::Dir {
                return Err(Error::Misfit(format!(
                    "/{end} is {} in the base, the image needs a folder there",
                    describe(node)
                )));
            }
            real = end;
        }
        self.entries.insert(real.clone(), Entry::Dir { path: real, mode, owner });
        Ok(())
    }

    fn text(&mut self, path: &str, text: String) -> Result<()> {
        let real = self.base.lookup(path).map_or_else(|| self.place(path), |(real, _)| Ok(real))?;
        let entry =
            Entry::Inline { path: real.clone(), contents: text.into(), mode: 0o644, owner: Owner::ROOT };
        self.entries.insert(real, entry);
        Ok(())
    }

    fn spec_file(
        &mut self,
        image: &ImageSpec,
        file: &FileSpec,
        platform: &Platform,
        inputs: &Inputs,
    ) -> Result<()> {
        let owner = owner(image, &file.owner);
        let Some(source) = file.source_for(platform) else {
            let path = self.place(&file.path)?;
            let contents = file.contents.clone().unwrap_or_default().into_bytes();
            self.entries.insert(path.clone(), Entry::Inline { path, contents, mode: file.mode, owner });
            return Ok(());
        };
        let read =
            inputs.files.get(&source).ok_or_else(|| Error::Misfit(format!("{source}: was not read")))?;
        self.file(&file.path, read, file.mode, owner)
    }

    fn file(&mut self, path: &str, source: &Source, mode: u32, owner: Owner) -> Result<()> {
        let real = self.place(path)?;
        let entry = Entry::File { path: real.clone(), source: source.clone(), mode, owner };
        self.entries.insert(real, entry);
        Ok(())
    }

    fn link(&mut self, path: &str, target: &str) -> Result<()> {
        let real = self.place(path)?;
        self.entries.insert(real.clone(), Entry::Symlink { path: real, target: target.into() });
        Ok(())
    }

    fn take(&mut self) -> Vec<Entry> {
        std::mem::take(&mut self.entries).into_values().collect()
    }
}

fn describe(node: &Node) -> String {
    match node {
        Node::Dir => "a folder".into(),
        Node::File => "a file".into(),
        Node::Symlink(target) => format!("a symbolic link to {target}"),
        Node::Other => "a device or pipe".into(),
    }
}

/// The base's `/etc/passwd` and `/etc/group` with the image's user in them (passwd(5), group(5)).
pub(crate) fn accounts(image: &ImageSpec, base: &Base) -> Result<(String, String)> {
    let text = |path: &str, otherwise: &str| {
        let there = base.lookup(path).and_then(|(real, _)| base.texts.get(&real));
        there.map_or_else(|| otherwise.to_string(), String::clone)
    };
    let passwd = text(
        "etc/passwd",
        "root:x:0:0:root:/root:/sbin/nologin\nnobody:x:65534:65534:nobody:/nonexistent:/sbin/nologin\n",
    );
    let group = text("etc/group", "root:x:0:\nnogroup:x:65534:\n");
    let Some(User { name, uid, gid, home }) = &image.user else { return Ok((passwd, group)) };
    let passwd = merge(&passwd, &format!("{name}:x:{uid}:{gid}:{name}:{home}:/sbin/nologin"), "/etc/passwd")?;
    let group = merge(&group, &format!("{name}:x:{gid}:"), "/etc/group")?;
    Ok((passwd, group))
}

/// Adds `line` (`name:x:id:…`) unless the same name and id are there; somebody else under either is an error.
fn merge(text: &str, line: &str, file: &str) -> Result<String> {
    let key = |line: &str| {
        let mut fields = line.split(':');
        (fields.next().unwrap_or_default().to_string(), fields.nth(1).unwrap_or_default().to_string())
    };
    let (name, id) = key(line);
    for there in text.lines() {
        let (their_name, their_id) = key(there);
        match (their_name == name, their_id == id) {
            (true, true) => return Ok(text.to_string()),
            (false, false) => {}
            _ => {
                return Err(Error::Misfit(format!(
                    "the base's {file} has `{their_name}` with the id {their_id}, the image's user is `{name}` with {id}; choose others in docker/images.toml"
                )));
            }
        }
    }
    let separator = if text.is_empty() || text.ends_with('\n') { "" } else { "\n" };
    Ok(format!("{text}{separator}{line}\n"))
}

/// Mozilla's CA certificates as PEM (RFC 7468).
fn certificates() -> String {
    let mut text = String::new();
    for certificate in webpki_root_certs::TLS_SERVER_ROOT_CERTS {
        text.push_str("-----BEGIN CERTIFICATE-----\n");
        let encoded = STANDARD.encode(certificate);
        let mut rest = encoded.as_str();
        while !rest.is_empty() {
            let (line, more) = rest.split_at(rest.len().min(64));
            text.push_str(line);
            text.push('\n');
            rest = more;
        }
        text.push_str("-----END CERTIFICATE-----\n");
    }
    text
}

/// os-release(5) for an image that has no distribution under it.
fn os_release(spec: &Spec, facts: &Facts) -> String {
    let project = &spec.project;
    // os-release(5): lower-case letters, digits and `._-` alone.
    let id: String = project
        .title
        .to_lowercase()
        .chars()
        .map(|c| if c.is_ascii_alphanumeric() || "._-".contains(c) { c } else { '-' })
        .collect();
    format!(
        "NAME=\"{0}\"\nID={id}\nPRETTY_NAME=\"{0} {1}\"\nVERSION_ID=\"{1}\"\nHOME_URL=\"{2}\"\n",
        project.title, facts.version, project.url
    )
}

#[cfg(test)]
mod tests {
    use oci_spec::image::Arch;

    use super::*;
    use crate::testing::{facts, spec};

    fn binary(architecture: Arch, interpreter: Option<&str>) -> BuiltBinary {
        let source = Source { path: "target/scratchbird".into(), digest: oci::digest::sha256(b""), size: 0 };
        BuiltBinary { source, elf: Some(Elf { architecture, interpreter: interpreter.map(String::from) }) }
    }

    fn base(files: &[(&str, Node)], texts: &[(&str, &str)]) -> Base {
        let mut files: BTreeMap<String, Node> = files.iter().map(|(p, n)| ((*p).into(), n.clone())).collect();
        for (path, _) in texts {
            files.insert((*path).into(), Node::File);
        }
        Base {
            files,
            texts: texts.iter().map(|(p, t)| ((*p).into(), (*t).into())).collect(),
            architecture: Some(Arch::Amd64),
            ..Base::default()
        }
    }

    fn make(base: &Base, binary: &BuiltBinary) -> Result<Vec<PlannedLayer>> {
        let amd64 = oci::platform::parse("linux/amd64").unwrap();
        let binaries = [("scratchbird".to_string(), binary.clone())].into();
        layers(&spec(), &facts(), "server", &amd64, base, &Inputs { binaries, files: BTreeMap::new() })
    }

    fn show(layer: &PlannedLayer) -> Vec<String> {
        layer
            .entries
            .iter()
            .map(|entry| match entry {
                Entry::Dir { path, mode, owner } => format!("{path}/ {mode:o} {}:{}", owner.uid, owner.gid),
                Entry::File { path, mode, owner, .. } => {
                    format!("{path} {mode:o} {}:{}", owner.uid, owner.gid)
                }
                Entry::Inline { path, mode, .. } => format!("{path} {mode:o}"),
                Entry::Symlink { path, target } => format!("{path} -> {target}"),
            })
            .collect()
    }

    #[test]
    fn from_nothing() {
        let layers = make(&Base::default(), &binary(Arch::Amd64, None)).unwrap();
        let system = show(&layers[0]);
        for line in [
            "etc/ 755 0:0",
            "etc/passwd 644",
            "etc/os-release 644",
            "etc/ssl/certs/ca-certificates.crt 644",
            "tmp/ 1777 0:0",
            "var/ 755 0:0",
            "var/lib/scratchbird/data/ 770 1000:0",
        ] {
            assert!(system.contains(&line.to_string()), "{line} in {system:#?}");
        }
        let server = show(&layers[1]);
        assert_eq!(server[..3], ["usr/ 755 0:0", "usr/local/ 755 0:0", "usr/local/bin/ 755 0:0"]);
        assert!(server.contains(&"usr/local/bin/scratchbird 755 0:0".into()), "{server:#?}");
        assert!(server.contains(&"usr/local/bin/initdb -> scratchbird".into()), "{server:#?}");
        assert!(certificates().matches("BEGIN CERTIFICATE").count() > 100);
    }

    #[test]
    fn over_a_base() {
        let base = base(
            &[
                ("usr", Node::Dir),
                ("usr/local", Node::Dir),
                ("usr/local/bin", Node::Symlink("../bin".into())),
                ("usr/bin", Node::Dir),
                ("etc", Node::Dir),
                ("var", Node::Dir),
                ("var/run", Node::Symlink("/run".into())),
                ("run", Node::Dir),
                ("tmp", Node::Symlink("/var/tmp".into())),
                ("var/tmp", Node::Dir),
            ],
            &[
                ("etc/passwd", "root:x:0:0:root:/root:/bin/sh"),
                ("etc/group", "root:x:0:\n"),
                ("usr/lib/os-release", "ID=x\n"),
                ("etc/ssl/certs/ca-certificates.crt", "there"),
            ],
        );
        let layers = make(&base, &binary(Arch::Amd64, None)).unwrap();
        let (system, server) = (show(&layers[0]), show(&layers[1]));
        assert!(
            !system.iter().any(|l| l.contains("os-release") || l.contains("certs") || l.starts_with("etc/ ")),
            "{system:#?}"
        );
        assert!(system.contains(&"var/tmp/ 1777 0:0".into()), "{system:#?}");
        // The base's link stays a link: the binary goes where it leads.
        assert!(server.contains(&"usr/bin/scratchbird 755 0:0".into()), "{server:#?}");
        assert!(server.contains(&"usr/bin/initdb -> scratchbird".into()), "{server:#?}");
        let passwd = layers[0].entries.iter().find_map(|e| match e {
            Entry::Inline { path, contents, .. } if path == "etc/passwd" => {
                Some(String::from_utf8_lossy(contents))
            }
            _ => None,
        });
        let expect = "root:x:0:0:root:/root:/bin/sh\nscratchbird:x:1000:1000:scratchbird:/var/lib/scratchbird:/sbin/nologin\n";
        assert_eq!(passwd.unwrap(), expect);
    }

    #[test]
    fn what_does_not_fit() {
        let check = |base: &Base, binary: &BuiltBinary, expect: &str| {
            let error = make(base, binary).unwrap_err().to_string();
            assert!(error.contains(expect) && !error.contains('\n'), "{error}");
        };
        let fine = binary(Arch::Amd64, None);
        let nothing = Base::default();
        check(&nothing, &binary(Arch::ARM64, None), "is built for arm64, the image is for linux/amd64");
        check(&nothing, &BuiltBinary { elf: None, ..fine.clone() }, "is no ELF program");
        check(
            &nothing,
            &binary(Arch::Amd64, Some("/lib64/ld.so")),
            "interpreter /lib64/ld.so, which the base does not have",
        );
        let arm = Base { architecture: Some(Arch::ARM64), ..Base::default() };
        check(
            &arm,
            &fine,
            "the base is for linux/arm64, the image is for linux/amd64; give a base for linux/amd64",
        );
        let taken = base(&[], &[("etc/passwd", "bob:x:1000:1000::/:/bin/sh\n")]);
        check(
            &taken,
            &fine,
            "/etc/passwd has `bob` with the id 1000, the image's user is `scratchbird` with 1000",
        );
        let other_id = base(&[], &[("etc/group", "scratchbird:x:999:\n")]);
        check(&other_id, &fine, "/etc/group has `scratchbird` with the id 999");
        let in_the_way = base(&[("usr/local/bin/scratchbird", Node::Dir)], &[]);
        check(&in_the_way, &fine, "/usr/local/bin/scratchbird is a folder in the base");
        let linked = base(&[("usr/local/bin/initdb", Node::Symlink("/bin/busybox".into()))], &[]);
        check(&linked, &fine, "/usr/local/bin/initdb is a symbolic link to /bin/busybox in the base");
        let no_folder = base(&[("backup", Node::File)], &[]);
        check(&no_folder, &fine, "/backup is a file in the base, the image needs a folder there");
        let file_on_the_way = base(&[("var", Node::File)], &[]);
        check(&file_on_the_way, &fine, "`var` is a file there, not a folder");
    }

    #[test]
    fn a_user_who_is_there_already_is_left_alone() {
        let there = "scratchbird:x:1000:1000:their own:/home:/bin/sh\n";
        assert_eq!(merge(there, "scratchbird:x:1000:1000::/:/sbin/nologin", "f").unwrap(), there);
    }
}
