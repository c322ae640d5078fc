//! `cargo xtask size` and `report`: what images hold, what grew, and the page and the histories that tell of it.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

/// The catalogue of one image of one file, in a folder of its own.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images.toml");
        let budget = "\n[images.app.budgets]\none = { compressed = \"1MB\", unpacked = \"2MB\" }\n";
        let text = fs::read_to_string(fixture)
            .unwrap()
            .replace("title = \"App\"", "title = \"App\"\nversion = \"1.2.3\"");
        fs::write(world.path("images.toml"), text + budget).unwrap();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    /// Builds both variants of an image whose file has that many bytes.
    fn build(&self, bytes: usize, layout: &str) {
        fs::write(self.path("app"), vec![b'x'; bytes]).unwrap();
        let layout = self.path(layout);
        let args = ["image", "--variant", "all", "--platform", "linux/amd64", "--output"];
        let output = self.xtask(args.iter().map(Path::new).chain([layout.as_path()]));
        assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    }

    fn xtask<'a>(&self, args: impl Iterator<Item = &'a Path>) -> Output {
        Command::new(env!("CARGO_BIN_EXE_xtask"))
            .arg("--spec")
            .arg(self.path("images.toml"))
            .args(args)
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .current_dir(self.dir.path())
            .output()
            .unwrap()
    }

    /// Exit code, and what it prints on stdout and stderr.
    fn says(&self, args: &[&str]) -> (Option<i32>, String, String) {
        let output = self.xtask(args.iter().map(Path::new));
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        (output.status.code(), text(&output.stdout), text(&output.stderr))
    }

    fn size(&self, args: &[&str]) -> Output {
        self.xtask(["size"].iter().chain(args).map(Path::new))
    }

    fn prints(&self, args: &[&str], expect: &[&str]) {
        let output = self.size(args);
        let text = String::from_utf8_lossy(&output.stdout);
        assert!(output.status.success(), "{args:?}: {}", String::from_utf8_lossy(&output.stderr));
        // Columns are aligned; how widely plays no part.
        let words = text.split_whitespace().collect::<Vec<_>>().join(" ");
        expect.iter().for_each(|expect| assert!(words.contains(expect), "{expect} in {text}"));
    }

    fn fails(&self, args: &[&str], code: i32, expect: &str) {
        let output = self.size(args);
        let said = String::from_utf8_lossy(&output.stderr);
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        assert!(said.contains(expect), "{expect} in {said}");
    }
}

#[test]
fn layers_files_budgets_and_growth() {
    let world = World::new();
    world.build(1_000_000, "old");
    world.build(1_500_000, "new");
    world.prints(
        &["--layout", "new", "--variant", "one"],
        &["acme/app:1.2.3-one linux/amd64", "(80 % of 2.1 MB)", "/app 1.5 MB"],
    );
    world.prints(
        &["--layout", "new", "--against", "old"],
        &["since old", "/app +500.0 kB", "acme/app:1.2.3-two"],
    );
    world.prints(&["--layout", "old", "--against", "new", "--variant", "two"], &["/app -500.0 kB"]);
    let output = world.size(&["--layout", "new", "--against", "old", "--format", "json"]);
    let list: serde_json::Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(list.as_array().unwrap().len(), 2);
    assert_eq!(list[0]["growth"]["files"], serde_json::json!([["app", 500_000]]));
    assert_eq!(list[0]["budget"], serde_json::json!([1_048_576, 2_097_152]));
}

#[test]
fn what_is_not_there_is_named() {
    let world = World::new();
    world.fails(&["--layout", "nowhere"], 1, "run `cargo xtask image --variant all` first");
    world.build(10, "new");
    world.fails(&["--layout", "new", "--variant", "three"], 2, "unknown variant `three`");
    world.fails(
        &["--layout", "new", "--against", "nonsense"],
        2,
        "--against nonsense: is no OCI layout, no commit",
    );
    // A layer that was tampered with is not measured.
    for blob in fs::read_dir(world.path("new/blobs/sha256")).unwrap() {
        let path = blob.unwrap().path();
        if fs::read(&path).unwrap().starts_with(&[0x1f, 0x8b]) {
            fs::write(&path, b"tampered").unwrap();
        }
    }
    world.fails(&["--layout", "new"], 1, "sha256:");
}

#[test]
fn histories_grow_by_a_line_and_are_compared() {
    let world = World::new();
    let compare = |args: &[&str], code: i32, expect: &str| {
        let (found, text, said) = world.says(&[&["bench", "compare"], args].concat());
        assert_eq!(found, Some(code), "{args:?}: {said}");
        assert!(format!("{text}{said}").contains(expect), "{expect} in {text}{said}");
    };
    compare(&[], 1, "bench: nothing is recorded; run `cargo xtask bench image --record`");
    world.build(10, "new");
    world.prints(&["--layout", "new", "--record"], &["acme/app:1.2.3-one"]);
    compare(&[], 2, "no benchmark has two runs to compare; recorded are ");
    world.prints(&["--layout", "new", "--record"], &["acme/app:1.2.3-one"]);
    compare(&[], 0, "acme/app one linux/amd64");
    compare(&["0000"], 2, "no benchmark has two runs");
    let history = fs::read_to_string(world.path("bench/size.jsonl")).unwrap();
    assert_eq!(history.lines().count(), 2, "{history}");
    let names: Vec<_> = fs::read_dir(world.path("bench")).unwrap().flatten().map(|e| e.file_name()).collect();
    assert_eq!(names, ["size.jsonl"], "something is left over");
    fs::write(world.path("bench/size.jsonl"), history.replace("\n{", "\n<<<<{")).unwrap();
    compare(&[], 1, "bench/size.jsonl:2: is no run");
    // What can't be read is not written over.
    fs::write(world.path("bench/size.jsonl"), [0xff]).unwrap();
    world.fails(&["--layout", "new", "--record"], 1, "bench/size.jsonl: cannot read");
    assert_eq!(fs::read(world.path("bench/size.jsonl")).unwrap(), [0xff]);
}

#[test]
fn the_page_is_written_whole_or_not_at_all() {
    let world = World::new();
    let (code, _, said) = world.says(&["report", "--layout", "nowhere"]);
    assert!(code == Some(1) && said.contains("run `cargo xtask image --variant all` first"), "{said}");
    world.build(1_000_000, "new");
    let (code, _, said) = world.says(&["report", "--layout", "new", "--out", "no/such/page.html"]);
    assert!(code == Some(1) && said.contains("no/such/page.html: cannot write"), "{said}");
    world.prints(&["--layout", "new", "--record"], &[]);
    let (code, text, said) = world.says(&["report", "--layout", "new", "--out", "page.html"]);
    assert_eq!((code, text.as_str()), (Some(0), "page.html\n"), "{said}");
    let page = fs::read_to_string(world.path("page.html")).unwrap();
    for expect in [
        "acme/app:1.2.3-one",
        "acme/app:1.2.3-two",
        "id=\"map-1\"",
        "As pulled, in MB",
        "1.0 MB",
        "id=\"tags\"",
    ] {
        assert!(page.contains(expect), "{expect} is not in the page");
    }
    assert!(!page.contains("<script") && page.ends_with("</html>\n"));
}
