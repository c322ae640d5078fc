//! An image with a program in it, compiled for real: a small one, in a workspace of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use serde_json::Value;
use xshell::{Shell, cmd};

/// A workspace as ours is one: a catalogue, a package that automates, a program, and a library that it uses.
struct World {
    dir: tempfile::TempDir,
}

impl World {
    fn new() -> World {
        let world = World { dir: tempfile::tempdir().unwrap() };
        let package = |name: &str, more: &str| {
            format!("[package]\nname = \"{name}\"\nversion = \"1.2.3\"\nedition = \"2024\"\n{more}")
        };
        world.write(
            "Cargo.toml",
            "[workspace]\nresolver = \"3\"\nmembers = [\"xtask\", \"app\", \"words\"]\n",
        );
        world.write(".gitignore", "/target\n");
        world.write("xtask/Cargo.toml", &package("xtask", ""));
        world.write(".cargo/config.toml", "[alias]\nxtask = \"run --quiet --package xtask --\"\n");
        // `cargo xtask` is the program under test there too.
        let exec = format!(
            "fn main() {{\n    let args = std::env::args_os().skip(1);\n    let status = std::process::Command::new({:?}).args(args).status().unwrap();\n    std::process::exit(status.code().unwrap());\n}}\n",
            env!("CARGO_BIN_EXE_xtask")
        );
        world.write("xtask/src/main.rs", &exec);
        world.write("app/Cargo.toml", &package("app", "[dependencies]\nwords = { path = \"../words\" }\n"));
        world.write(
            "app/src/main.rs",
            "fn main() {\n    println!(\"{}\", words::count(std::env::args().count()));\n}\n",
        );
        world.write("words/Cargo.toml", &package("words", ""));
        world.words(10);
        let fixture = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/fixtures/images.toml");
        let static_program = "cc = \"cc\"\nrustflags = [\"-Ctarget-feature=+crt-static\"]";
        let catalogue = fs::read_to_string(fixture).unwrap().replace("cc = \"cc\"", static_program).replace(
            "[[images.app.files]]\npath = \"/app\"\nsource = \"app\"\nmode = \"0755\"\nowner = \"root\"\n",
            "[images.app.binary]\npackage = \"app\"\npath = \"/bin/app\"\n\n[[images.app.files]]\npath = \"/etc/app\"\ncontents = \"\"\nmode = \"0644\"\nowner = \"root\"\n",
        );
        assert!(catalogue.contains("images.app.binary"));
        world.write("docker/images.toml", &catalogue);
        let sh = world.shell();
        cmd!(sh, "cargo generate-lockfile --offline").quiet().ignore_stderr().run().unwrap();
        cmd!(sh, "git init --quiet").quiet().run().unwrap();
        world.commit();
        world
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join(name)
    }

    fn shell(&self) -> Shell {
        let sh = Shell::new().unwrap();
        sh.change_dir(self.dir.path());
        sh
    }

    fn write(&self, path: &str, text: &str) {
        let path = self.path(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }

    /// The library has a table of that many thousand bytes, which no compressor makes small.
    fn words(&self, thousands: usize) {
        let mut state = 7u32;
        let bytes: Vec<String> = (0..thousands * 1000)
            .map(|_| {
                state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
                (state >> 24).to_string()
            })
            .collect();
        let text = format!(
            "static WORDS: [u8; {}] = [{}];\n\n#[inline(never)]\npub fn count(at: usize) -> u8 {{\n    WORDS[at % WORDS.len()]\n}}\n",
            bytes.len(),
            bytes.join(",")
        );
        self.write("words/src/lib.rs", &text);
    }

    fn commit(&self) {
        let sh = self.shell();
        let git = ["-c", "user.name=t", "-c", "user.email=t@example.org"];
        cmd!(sh, "git add --all").quiet().run().unwrap();
        cmd!(sh, "git {git...} commit --quiet --message changed").quiet().run().unwrap();
    }

    /// Allows that many compressed bytes.
    fn budget(&self, compressed: &str) {
        let text = fs::read_to_string(self.path("docker/images.toml")).unwrap();
        let text = text.split("\n[images.app.budgets]").next().unwrap().to_string();
        let budget = format!(
            "\n[images.app.budgets]\none = {{ compressed = \"{compressed}\", unpacked = \"50MB\" }}\n"
        );
        self.write("docker/images.toml", &(text + &budget));
    }

    fn xtask(&self, args: &[&str]) -> Output {
        let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
        command
            .args(args)
            .env("CARGO_MANIFEST_DIR", self.path("xtask"))
            .env("CARGO_TARGET_DIR", self.path("target"))
            .env("SOURCE_DATE_EPOCH", "1700000000")
            .current_dir(self.dir.path());
        command.output().unwrap()
    }

    /// Builds the image, and says which layers were made, and what was said.
    fn image(&self) -> (Vec<String>, String) {
        let output = self.xtask(&["image", "--offline", "--explain", "--format", "json"]);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        let json: Value = serde_json::from_slice(&output.stdout).unwrap();
        let layers = json["images"][0]["platforms"][0]["layers"].as_array().unwrap();
        let made = layers.iter().filter(|layer| layer["cached"] == false);
        (made.map(|layer| layer["from"].as_str().unwrap().to_string()).collect(), said)
    }

    fn fails(&self, args: &[&str], code: i32) -> String {
        let output = self.xtask(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert_eq!(output.status.code(), Some(code), "{args:?}: {said}");
        said.lines().find_map(|line| line.strip_prefix("error: ")).unwrap_or_else(|| panic!("{said}")).into()
    }
}

/// A machine that this test's catalogue has no compiler for can't try it.
fn has_cc() -> bool {
    let found = Path::new("/usr/bin/cc").exists();
    if !found {
        println!("skipped: no cc; run `apt-get install gcc libc6-dev`");
    }
    found
}

#[test]
fn an_edited_line_makes_its_own_layer_and_no_other() {
    if !has_cc() {
        return;
    }
    let world = World::new();
    let (made, said) = world.image();
    assert_eq!(made.len(), 2, "{said}");
    assert_eq!(world.image().0, [""; 0]);
    let main = fs::read_to_string(world.path("app/src/main.rs")).unwrap();
    world.write("app/src/main.rs", &main.replace("println!(\"{}\"", "println!(\"{} words\""));
    let (made, said) = world.image();
    assert_eq!(made, ["server"], "{said}");
    assert!(said.contains("because") && said.contains("bin/app"), "{said}");
    // What only the automation is made of is in no image.
    world.write("xtask/src/main.rs", "fn main() { println!(\"another\"); }\n");
    assert_eq!(world.image().0, [""; 0]);
}

#[test]
fn platforms_in_turn_compile_nothing_again() {
    let cross = "aarch64-linux-gnu-gcc";
    if !has_cc() {
        return;
    }
    if !Path::new("/usr/bin").join(cross).exists() {
        println!("skipped: no {cross}; run `apt-get install gcc-aarch64-linux-gnu`");
        return;
    }
    let world = World::new();
    let catalogue = fs::read_to_string(world.path("docker/images.toml")).unwrap();
    let (native, foreign) = catalogue.split_once("[[platforms.\"linux/arm64\"").unwrap();
    let foreign = foreign.replacen("cc = \"cc\"", &format!("cc = \"{cross}\""), 1);
    world.write("docker/images.toml", &format!("{native}[[platforms.\"linux/arm64\"{foreign}"));
    // Cargo compiles it for the machine that builds, whatever it builds for.
    world.write("words/build.rs", "fn main() {}\n");
    world.commit();
    let all = ["image", "--platform", "linux/amd64,linux/arm64"];
    let said = |args: &[&str]| {
        let output = world.xtask(args);
        let said = String::from_utf8_lossy(&output.stderr).into_owned();
        assert!(output.status.success(), "{said}");
        said
    };
    said(&all);
    let again = said(&all);
    assert!(again.contains("0 crates compiled, 0 layers compressed"), "{again}");
    let one = said(&["image", "--platform", "linux/arm64"]);
    assert!(one.contains("0 crates compiled"), "{one}");
}

#[test]
fn what_exceeds_a_budget_is_told_by_layer_file_and_crate() {
    if !has_cc() {
        return;
    }
    let world = World::new();
    world.budget("50MB");
    world.commit();
    world.image();
    world.words(300);
    world.budget("200kB");
    let error = world.fails(&["image", "--offline"], 1);
    for expect in [
        "more than its budget of 204800 (images.toml, budgets.one)",
        "layers: server ",
        "files of ours: /bin/app ",
        "crates: ",
        "words 3000",
        "cargo xtask size --crates --against COMMIT",
    ] {
        assert!(error.contains(expect), "{expect} in {error}");
    }
    // What grew since it was last within its budget.
    let growth = error.split_once("files of ours: /bin/app ").unwrap().1.split_once("(+").unwrap().1;
    let growth: u64 = growth.split(')').next().unwrap().parse().unwrap();
    assert!((250_000..400_000).contains(&growth), "{error}");
    // And by crate, since a commit.
    world.budget("50MB");
    world.image();
    let args = ["size", "--crates", "--against", "HEAD", "--format", "json"];
    let output = world.xtask(&args);
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let json: Value = serde_json::from_slice(&output.stdout).unwrap();
    assert_eq!(json[0]["crates"]["growth"][0][0], "words", "{json}");
    let by = json[0]["crates"]["growth"][0][1].as_i64().unwrap();
    assert!((289_000..291_000).contains(&by), "{by}");
    let error = world.fails(&["size", "--crates", "--against", "target/oci"], 2);
    assert!(error.contains("is no commit or tag"), "{error}");
}
