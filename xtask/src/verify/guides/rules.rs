//! What every Markdown file of the project is held to, and texts broken on purpose that must be found.

use std::collections::BTreeSet;

use clap::CommandFactory as _;

use super::document::{Block, Document, Fate, Runner};
use super::run::line_fits;
use super::texts;
use crate::facts::Workspace;

/// What is wrong with a text, one line each. `read` gives the other files of the project, by their path.
fn faults(path: &str, text: &str, read: &dyn Fn(&str) -> Option<String>, gate: &[String]) -> Vec<String> {
    let document = match Document::parse(text) {
        Ok(document) => document,
        Err(e) => return vec![format!("{path}: {e}")],
    };
    let mut faults = links(path, text, read);
    for block in &document.blocks {
        let mut add = |fault: String| faults.push(format!("{path}:{}: {fault}", block.line));
        if let Err(fault) = fate(block, read, gate) {
            add(fault);
        }
        if block.fate == Fate::Run {
            block.text.iter().filter_map(|line| foreign_name(line)).for_each(&mut add);
        }
        for line in commands_of(block) {
            if let Err(fault) = xtask_line(&line) {
                add(fault);
            }
        }
    }
    let prose = outside_of_blocks(text);
    let spans = prose.split('`').skip(1).step_by(2).filter(|span| span.starts_with("cargo xtask "));
    faults.extend(spans.filter_map(|span| xtask_line(span).err()).map(|fault| format!("{path}: {fault}")));
    faults
}

/// Whether a block is run, or has a reason that holds.
fn fate(block: &Block, read: &dyn Fn(&str) -> Option<String>, gate: &[String]) -> Result<(), String> {
    match &block.fate {
        Fate::Run if block.language == "console" => Ok(()),
        Fate::Run => Err(format!("a block of `{}` can't be run; say `console`", block.language)),
        Fate::File(name) if name.starts_with('/') || name.contains("..") || name.contains('\'') => {
            Err(format!("the file `{name}` would lie elsewhere"))
        }
        Fate::File(_) | Fate::Left(_) => Ok(()),
        Fate::Test(file, function) => match read(file) {
            None => Err(format!("there is no file `{file}` that could try it")),
            Some(text) if text.contains(&format!("fn {function}(")) => Ok(()),
            Some(_) => Err(format!("`{file}` has no function `{function}` that could try it")),
        },
        Fate::Gate => match commands_of(block).iter().find(|line| !gate.contains(line)) {
            Some(line) => Err(format!("`{line}` is no step of the gate")),
            None => Ok(()),
        },
        // A picture made of letters holds no command.
        Fate::Unknown if block.language.is_empty() && commands_of(block).is_empty() => Ok(()),
        Fate::Unknown => Err("nothing runs this block, and no comment says why".into()),
    }
}

/// The first lines of what a block has one type, without comments.
fn commands_of(block: &Block) -> Vec<String> {
    let typed = block.text.iter().filter_map(|line| line.strip_prefix("$ "));
    typed.map(|line| line.split(" #").next().unwrap_or_default().trim().to_owned()).collect()
}

/// What the line makes must be called `my-…`, so that it is this run's own and can be removed.
fn foreign_name(line: &str) -> Option<String> {
    let line = line.strip_prefix("$ ").or(line.strip_prefix("> "))?;
    let words: Vec<&str> = line.split([' ', '=']).collect();
    let makes = |flag: &str| matches!(flag, "--name" | "--network" | "--project-name" | "--tag");
    for pair in words.windows(2) {
        let own = pair[1].starts_with("my-") || pair[1].starts_with(['$', '"', '\'', '-']);
        if makes(pair[0]) && line.contains("docker") && !own && pair[1] != "none" {
            return Some(format!("`{}` may be somebody's: names here begin with `my-`", pair[1]));
        }
    }
    for volume in words.windows(2).filter(|pair| matches!(pair[0], "-v" | "--volume")).map(|pair| pair[1]) {
        // psql's -v is followed by a name and a value.
        let is_path = volume.starts_with(['/', '.', '"', '$']);
        if volume.contains(':') && !is_path && !volume.starts_with("my-") {
            return Some(format!("`{volume}` may be somebody's: names here begin with `my-`"));
        }
    }
    None
}

/// Whether `cargo xtask …` names a subcommand and flags that there are; what stands in capitals or brackets is left.
fn xtask_line(line: &str) -> Result<(), String> {
    let Some((_, line)) = line.split_once("cargo xtask ") else { return Ok(()) };
    let line = line.split([';', '|', '&', '>', ')']).next().unwrap_or_default();
    let mut command = crate::Cli::command();
    // With the flags of `--help`, and the global ones in each subcommand.
    command.build();
    let mut command = &command;
    let mut takes_value = false;
    for word in line.split_whitespace().map(|word| word.trim_matches(['[', ']', '…'])) {
        if let Some(flag) = word.strip_prefix("--").filter(|flag| !flag.is_empty()) {
            let name = flag.split('=').next().unwrap_or_default();
            let known = command.get_arguments().find(|argument| argument.get_long() == Some(name));
            let Some(known) = known else {
                return Err(format!("`cargo xtask {line}`: there is no `--{name}`"));
            };
            takes_value = known.get_action().takes_values() && !flag.contains('=');
        } else if std::mem::take(&mut takes_value) || word.is_empty() {
            // The value of the flag before it.
        } else if let Some(below) = command.find_subcommand(word) {
            command = below;
        } else if command.has_subcommands()
            && command.get_positionals().next().is_none()
            && word.chars().all(|c| c.is_ascii_lowercase() || c == '-')
        {
            return Err(format!("`cargo xtask {line}`: there is no subcommand `{word}`"));
        }
    }
    Ok(())
}

/// Links to files and headings that are not there.
fn links(path: &str, text: &str, read: &dyn Fn(&str) -> Option<String>) -> Vec<String> {
    let prose = outside_of_blocks(text);
    let targets = prose.split("](").skip(1).filter_map(|rest| rest.split([')', ' ']).next());
    let mut faults = Vec::new();
    for target in targets.filter(|t| !t.contains("://") && !t.starts_with("mailto:")) {
        let (file, anchor) = target.split_once('#').unwrap_or((target, ""));
        let full = if file.is_empty() { path.to_owned() } else { beside(path, file) };
        let Some(other) = (if file.is_empty() { Some(text.to_owned()) } else { read(&full) }) else {
            faults.push(format!("{path}: the link to `{target}` leads nowhere"));
            continue;
        };
        if !anchor.is_empty() && !headings(&other).contains(anchor) {
            faults.push(format!("{path}: `{full}` has no heading `#{anchor}`"));
        }
    }
    faults
}

fn outside_of_blocks(text: &str) -> String {
    format!("\n{text}").split("\n```").step_by(2).collect::<Vec<_>>().join("\n")
}

/// The path of `file`, as a link in the text at `path` means it.
fn beside(path: &str, file: &str) -> String {
    let mut parts: Vec<&str> = path.split('/').collect();
    parts.pop();
    for part in file.split('/') {
        match part {
            ".." => drop(parts.pop()),
            "." | "" => {}
            other => parts.push(other),
        }
    }
    parts.join("/")
}

/// The anchors that GitHub gives to headings.
fn headings(text: &str) -> BTreeSet<String> {
    let prose = outside_of_blocks(text);
    let titles = prose.lines().filter_map(|line| line.strip_prefix('#'));
    titles
        .map(|title| {
            let title = title.trim_start_matches('#').trim().to_lowercase();
            let kept = title.chars().filter(|c| c.is_alphanumeric() || matches!(c, ' ' | '-' | '_'));
            kept.map(|c| if c == ' ' { '-' } else { c }).collect()
        })
        .collect()
}

/// Headings of the troubleshooting guide that quote a message which the commands below them don't print.
fn unproved(text: &str) -> Vec<String> {
    let mut faults = Vec::new();
    for section in text.split("\n### ").skip(1) {
        let heading = section.lines().next().unwrap_or_default();
        let message = heading.trim_matches('`');
        let document = match Document::parse(&format!("<!-- run by cargo test -->\n{section}")) {
            Ok(document) => document,
            Err(e) => return vec![format!("{heading}: {e}")],
        };
        let printed = document
            .blocks
            .iter()
            .flat_map(|block| block.commands().unwrap_or_default())
            .flat_map(|command| command.output)
            .any(|line| line_fits(&format!("…{message}…"), &line));
        if !printed {
            faults.push(format!("`{message}` is printed by no command of its section"));
        }
    }
    faults
}

fn workspace() -> Workspace {
    Workspace::find(None).unwrap()
}

#[test]
fn every_text_holds_to_the_rules() {
    let workspace = workspace();
    let read = |path: &str| {
        // A link may lead to a folder or a picture.
        let full = workspace.root.join(path);
        if full.is_dir() {
            Some(String::new())
        } else {
            std::fs::read(full).ok().map(|b| String::from_utf8_lossy(&b).into_owned())
        }
    };
    let gate = crate::ci::every_line();
    let texts = texts(&workspace).unwrap();
    assert!(texts.len() > 20, "{texts:?}");
    let mut found: Vec<String> =
        texts.iter().flat_map(|path| faults(path, &workspace.read(path).unwrap(), &read, &gate)).collect();
    found.extend(unproved(&workspace.read("docs/troubleshooting.md").unwrap()));
    assert!(found.is_empty(), "{}", found.join("\n"));
}

#[test]
fn the_index_names_every_guide() {
    let workspace = workspace();
    let index = workspace.read("docs/README.md").unwrap();
    for path in texts(&workspace).unwrap() {
        let Some(name) = path.strip_prefix("docs/").filter(|name| *name != "README.md") else { continue };
        assert!(index.contains(&format!("]({name})")), "docs/README.md does not lead to {name}");
    }
    assert!(workspace.read("README.md").unwrap().contains("](docs/README.md)"));
    assert!(workspace.read("README.md").unwrap().lines().count() <= 60, "README.md is one screen");
}

/// `xtask/tests/guides.rs` names those that need no engine; nobody may be forgotten there.
#[test]
fn every_guide_is_run_by_somebody() {
    let workspace = workspace();
    let tests = workspace.read("xtask/tests/guides.rs").unwrap();
    for path in texts(&workspace).unwrap() {
        let document = Document::parse(&workspace.read(&path).unwrap()).unwrap();
        if document.runner == Some(Runner::Test) {
            assert!(tests.contains(&format!("\"{path}\"")), "xtask/tests/guides.rs does not run {path}");
        }
    }
    assert!(super::all(&workspace).unwrap().len() >= 8);
}

#[test]
fn commands_are_bash() {
    let Some(bash) = crate::facts::find_program("bash") else {
        println!("skipped: no bash");
        return;
    };
    let check = |script: &str| {
        let output = duct::cmd!(&bash, "-n", "-c", script).stderr_capture().unchecked().run().unwrap();
        (output.status.success(), String::from_utf8_lossy(&output.stderr).into_owned())
    };
    assert!(!check("if true").0);
    let workspace = workspace();
    for path in texts(&workspace).unwrap() {
        for block in Document::parse(&workspace.read(&path).unwrap()).unwrap().blocks {
            if block.language == "console" {
                let lines: Vec<String> = block.commands().unwrap().into_iter().map(|c| c.text).collect();
                let (good, words) = check(&lines.join("\n"));
                assert!(good, "{path}:{}: {words}", block.line);
            }
        }
    }
}

#[test]
fn broken_texts_are_found() {
    let read = |path: &str| match path {
        "docs/b.md" => Some("# Other\n\n## A `b` & c-d\n\n```\n## no heading\n```\n".to_owned()),
        "x/t.rs" => Some("fn it_works() {}".to_owned()),
        _ => None,
    };
    let gate = ["cargo test --workspace".to_owned()];
    let check = |text: &str, expect: &str| {
        let found = faults("docs/a.md", text, &read, &gate).join("\n");
        assert!(found.contains(expect) && found.is_empty() == expect.is_empty(), "{text}\n→ {found}");
    };
    let run = |line: &str| format!("<!-- run by cargo test -->\n# A\n\n```console\n$ {line}\n```\n");
    check("# A\n[b](b.md) [c](b.md#a-b--c-d) [d](#a) [e](https://x.org/#y)\n", "");
    check("[b](c.md)", "the link to `c.md` leads nowhere");
    check("[b](../docs/b.md#e)", "`docs/b.md` has no heading `#e`");
    check("[b](b.md#no-heading)", "no heading");
    check("[b](#e)", "no heading `#e`");
    check("```console\n$ a\n```\n", "docs/a.md:1: nothing runs this block");
    check("```\n$ a\n```\n", "nothing runs this block");
    check("```\na → b\n```\n", "");
    check("```toml\na = 1\n```\n", "nothing runs this block");
    check("T\n<!-- tried by x/t.rs::it_works -->\n```sh\na\n```\n", "");
    check("T\n<!-- tried by x/t.rs::it_fails -->\n```sh\na\n```\n", "no function `it_fails`");
    check("T\n<!-- tried by x/u.rs::it_works -->\n```sh\na\n```\n", "no file `x/u.rs`");
    check("T\n<!-- tried by cargo xtask ci -->\n```console\n$ cargo test --workspace   # all\n```\n", "");
    check(
        "T\n<!-- tried by cargo xtask ci -->\n```console\n$ cargo clean\n```\n",
        "`cargo clean` is no step",
    );
    check("T\n<!-- not run: I was tired -->\n```sh\na\n```\n", "is no comment that");
    check("T\n<!-- file: ../a -->\n```sh\na\n```\n", "would lie elsewhere");
    check(&run("docker run --name my-db -v my-data:/x -v $PWD/a:/b -v /c:/c scratchbird"), "");
    check(&run("docker run --name db scratchbird"), "`db` may be somebody's");
    check(&run("docker run --name=db scratchbird"), "`db` may be somebody's");
    check(&run("docker run -v data:/x scratchbird"), "`data:/x` may be somebody's");
    check(&run("cargo xtask image --variant all --load && cargo test"), "");
    check(&run("cargo xtask imagine"), "there is no subcommand `imagine`");
    check(&run("cargo xtask image --variants all"), "there is no `--variants`");
    check(&run("cargo xtask base forget alpine"), "there is no subcommand `forget`");
    check("Say `cargo xtask imagine`.\n", "there is no subcommand `imagine`");
    let proof = |text: &str, expect: usize| assert_eq!(unproved(text).len(), expect, "{text}");
    proof("# T\n\n### `no … here`\n\n```console\n$ a\nerror: no birds here.\n```\n", 0);
    proof("# T\n\n### `no … there`\n\n```console\n$ a\nerror: no birds here.\n```\n", 1);
    proof("# T\n\n### `no birds`\n\nBut why?\n", 1);
}
