//! Runs what guides show, in one bash, as their readers do.
//!
//! 1. A guide's commands run in their order in one bash, in a folder of their own that has what a checkout has.
//! 2. `…` in what is shown stands for any text. A command that shows no output has to succeed; one that does has to
//!    print that, whether it fails or not.
//! 3. Names that begin with `my-` (containers, volumes, networks, images, projects) and the ports 5432 and 8080 of this
//!    machine are replaced, so that guides neither meet each other nor what else runs here; what has such a name is
//!    removed after the guide, and what a killed run has left before it.

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::document::{Command, Document, Fate};
use crate::facts;

/// How long a guide may take.
const LIMIT: Duration = Duration::from_secs(300);

/// What in a checkout guides use; copied, so that nothing is left in it.
const SOURCES: &[&str] = &["compose", "docker", "examples", "k8s"];

/// What of a guide is done, in its order.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// A command is run.
    Command(Command),
    /// A file is written.
    File(String, String),
}

/// The steps of a guide.
pub fn steps(document: &Document) -> Result<Vec<Step>> {
    let mut steps = Vec::new();
    for block in &document.blocks {
        match &block.fate {
            Fate::Run => steps.extend(block.commands()?.into_iter().map(Step::Command)),
            Fate::File(name) => steps.push(Step::File(name.clone(), block.text.join("\n"))),
            _ => {}
        }
    }
    Ok(steps)
}

/// What is replaced in a guide while it runs.
#[derive(Clone, Debug)]
pub struct Local {
    /// Instead of `my-`.
    prefix: String,
    /// Instead of 5432 and 8080.
    ports: [u16; 2],
}

impl Local {
    /// Names of this process, ports that are free now.
    pub fn new() -> Result<Local> {
        let free = || -> Result<u16> { Ok(std::net::TcpListener::bind("127.0.0.1:0")?.local_addr()?.port()) };
        Ok(Local { prefix: format!("guide-{}-", std::process::id()), ports: [free()?, free()?] })
    }

    fn apply(&self, text: &str) -> String {
        let mut out = String::with_capacity(text.len());
        for (index, part) in text.split("my-").enumerate() {
            if index > 0 {
                let is_inside = out.ends_with(|c: char| c.is_alphanumeric() || c == '-');
                out.push_str(if is_inside { "my-" } else { &self.prefix });
            }
            out.push_str(part);
        }
        for (port, own) in ["5432", "8080"].iter().zip(self.ports) {
            for host in ["127.0.0.1", "localhost"] {
                out = out.replace(&format!("{host}:{port}"), &format!("{host}:{own}"));
            }
        }
        out
    }
}

/// Does `steps` in `folder`; gives back each command's exit code and what it printed, up to where bash ended.
pub fn run(
    steps: &[Step],
    local: &Local,
    folder: &Path,
    variables: &[(&'static str, OsString)],
) -> Result<Vec<(i32, String)>> {
    let mut script = String::from(PROLOGUE);
    for step in steps {
        match step {
            Step::File(name, text) => {
                let text = local.apply(text);
                script.push_str(&format!(
                    "mkdir -p \"$(dirname '{name}')\" && cat > '{name}' <<'END-OF-FILE'\n{text}\nEND-OF-FILE\n"
                ));
            }
            Step::Command(command) => {
                script.push_str(&local.apply(&command.text));
                script.push_str("\nprintf '\\n\\001%d\\n' $?\n");
            }
        }
    }
    let mut bash = duct::cmd!("timeout", LIMIT.as_secs().to_string(), "bash", "-c", script).dir(folder);
    for (name, value) in variables {
        bash = bash.env(name, value);
    }
    let output = bash
        .env("XTASK", facts::own_program()?)
        .env("PGPORT", local.ports[0].to_string())
        .env("DB_PORT", local.ports[0].to_string())
        .stdout_capture()
        .unchecked()
        .run()
        .context("bash")?;
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let mut outputs = Vec::new();
    let mut rest = printed.as_str();
    while let Some((before, after)) = rest.split_once("\n\u{1}") {
        let (code, next) = after.split_once('\n').unwrap_or((after, ""));
        outputs.push((code.parse().unwrap_or(-1), before.to_string()));
        rest = next;
    }
    Ok(outputs)
}

/// `cargo xtask` is this program, whatever it was built as, and the layout of an image is the guide's own: target/oci may
/// hold more than a guide builds. Where Compose is no plugin, it is docker-compose. Nothing is inherited that a client
/// would listen to.
const PROLOGUE: &str = r#"exec 2>&1 </dev/null
unset PGHOST PGUSER PGPASSWORD PGDATABASE PGSSLMODE
cargo() {
    if [ "$1" != xtask ]; then command cargo "$@"
    elif [ "$2" = image ] && [[ " $* " != *" --output "* ]]; then "$XTASK" "${@:2}" --output target/oci
    else "$XTASK" "${@:2}"
    fi
}
if [ "$(type -P docker)" ] && ! command docker compose version >/dev/null 2>&1; then
docker() { if [ "$1" = compose ]; then docker-compose "${@:2}"; else command docker "$@"; fi; }
fi
"#;

/// Compares what was printed with what is shown; an error names the line.
pub fn check(steps: &[Step], outputs: &[(i32, String)], local: &Local) -> Result<()> {
    let commands: Vec<&Command> =
        steps.iter().filter_map(|step| if let Step::Command(c) = step { Some(c) } else { None }).collect();
    for (command, (code, printed)) in commands.iter().zip(outputs) {
        compare(command, *code, printed, local).with_context(|| format!("line {}", command.line))?;
    }
    match commands.get(outputs.len()) {
        Some(next) => {
            bail!("line {}: `{}` does not end", next.line, next.text.lines().next().unwrap_or_default())
        }
        None => Ok(()),
    }
}

fn compare(command: &Command, code: i32, printed: &str, local: &Local) -> Result<()> {
    let first = command.text.lines().next().unwrap_or_default();
    if command.output.is_empty() {
        ensure!(code == 0, "`{first}` ended with {code}: {}", printed.trim().replace('\n', "; "));
        return Ok(());
    }
    let found: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
    let shown: Vec<String> = command.output.iter().map(|line| local.apply(line)).collect();
    let mut shown: Vec<&str> = shown.iter().map(String::as_str).collect();
    while shown.last() == Some(&"") {
        shown.pop();
    }
    ensure!(fits(&shown, &found), "`{first}` printed other than the guide shows: {}", found.join("; "));
    Ok(())
}

/// Whether lines are as shown; a line `…` stands for any lines, `…` inside a line for any text.
fn fits(shown: &[&str], found: &[&str]) -> bool {
    match shown {
        [] => found.is_empty(),
        ["…", rest @ ..] => (0..=found.len()).any(|skipped| fits(rest, &found[skipped..])),
        [line, rest @ ..] => match found {
            [first, others @ ..] => line_fits(line, first) && fits(rest, others),
            [] => false,
        },
    }
}

/// Whether a line is as shown, where `…` stands for any text.
pub fn line_fits(shown: &str, found: &str) -> bool {
    match shown.split_once('…') {
        None => shown == found,
        Some((start, rest)) => found.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| line_fits(rest, &tail[at..]))
        }),
    }
}

/// Copies what guides use of the checkout at `root`; secrets that somebody made there stay.
pub fn furnish(root: &Path, folder: &Path) -> Result<()> {
    let mut pending: Vec<_> = SOURCES.iter().map(std::path::PathBuf::from).collect();
    while let Some(dir) = pending.pop() {
        std::fs::create_dir_all(folder.join(&dir))?;
        for entry in std::fs::read_dir(root.join(&dir)).with_context(|| dir.display().to_string())? {
            let entry = entry?;
            let path = dir.join(entry.file_name());
            if !entry.file_type()?.is_dir() {
                std::fs::copy(entry.path(), folder.join(&path))
                    .with_context(|| path.display().to_string())?;
            } else if entry.file_name() != "secrets" {
                pending.push(path);
            }
        }
    }
    Ok(())
}

/// Removes what guides of this process, and of processes that are no more, have left in Docker.
pub fn sweep() {
    let script = r#"gone() { while read -r name; do pid=${name#guide-}; pid=${pid%%-*}
    if [ "$pid" = "$OWN" ] || ! [ -d "/proc/$pid" ]; then echo "$name"; fi; done; }
docker ps -a --filter name=^guide- --format '{{.Names}}' | gone | xargs -r docker rm -fv
docker volume ls --filter name=^guide- --format '{{.Name}}' | gone | xargs -r docker volume rm -f
docker network ls --filter name=^guide- --format '{{.Name}}' | gone | xargs -r docker network rm
docker images --filter 'reference=guide-*' --format '{{.Repository}}:{{.Tag}}' | gone | xargs -r docker rmi -f"#;
    // Nothing to sweep, or no engine: both are fine.
    let _ = duct::cmd!("bash", "-c", script)
        .env("OWN", std::process::id().to_string())
        .stdout_null()
        .stderr_null()
        .unchecked()
        .run();
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_shown_is_what_is_printed() {
        let check =
            |shown: &[&str], found: &[&str], expect| assert_eq!(fits(shown, found), expect, "{shown:?}");
        check(&["a"], &["a"], true);
        check(&["a"], &["b"], false);
        check(&["a"], &["a", "b"], false);
        check(&["a", "…"], &["a", "b", "c"], true);
        check(&["…", "c"], &["a", "b", "c"], true);
        check(&["…", "d"], &["a", "b", "c"], false);
        check(&["a … c"], &["a bb c"], true);
        check(&["a … c"], &["a bb d"], false);
        check(&["…é…"], &["xéy"], true);
        check(&[], &[], true);
    }

    #[test]
    fn names_and_ports_are_this_runs_own() {
        let local = Local { prefix: "guide-7-".into(), ports: [7001, 7002] };
        let check = |text: &str, expect: &str| assert_eq!(local.apply(text), expect);
        check("docker rm my-db", "docker rm guide-7-db");
        check("-v my-data:/x --name=my-db", "-v guide-7-data:/x --name=guide-7-db");
        check("tommy-db x-my-db", "tommy-db x-my-db");
        check("-p 127.0.0.1:5432:5432 localhost:8080/x", "-p 127.0.0.1:7001:5432 localhost:7002/x");
    }

    #[test]
    fn a_guide_that_lies_is_caught() {
        let folder = tempfile::tempdir().unwrap();
        let local = Local::new().unwrap();
        let try_out = |text: &str, expect: &str| {
            let text = format!("<!-- run by cargo test -->\n{text}");
            let steps = steps(&Document::parse(&text).unwrap()).unwrap();
            let outputs = run(&steps, &local, folder.path(), &[]).unwrap();
            let error = check(&steps, &outputs, &local).err().map(|e| format!("{e:#}")).unwrap_or_default();
            assert!(error.contains(expect) && error.is_empty() == expect.is_empty(), "{text}: {error}");
        };
        try_out("```console\n$ echo one; x=2\none\n$ echo $x\n2\n```\n", "");
        try_out("```console\n$ false\n```\n", "line 3: `false` ended with 1");
        try_out("```console\n$ echo no; false\nno\n```\n", "");
        try_out("```console\n$ echo one\ntwo\n```\n", "printed other than the guide shows: one");
        try_out("```console\n$ cat <<'X'\n> a\n> X\na\n```\n", "");
        try_out("```console\n$ echo my-db\nmy-db\n```\n", "");
        try_out("```console\n$ true\n$ exit 0\n$ echo never\nnever\n```\n", "line 4: `exit 0` does not end");
        try_out(
            "\n<!-- file: a/b.txt -->\n```toml\nx = '$y'\n```\n```console\n$ cat a/b.txt\nx = '$y'\n```\n",
            "",
        );
    }
}
