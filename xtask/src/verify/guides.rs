//! The guides in docs/, tried as their readers do: each command of a `console` block is run, and what it prints is what
//! the guide shows.
//!
//! 1. A guide's commands run in their order in one bash, in an empty folder.
//! 2. A line `$ …` is a command, `> …` goes on with it, every other line is output. `…` stands for any text.
//! 3. A command that shows no output has to succeed; one that does has to print that, whether it fails or not.
//! 4. Containers, volumes and networks of a guide are called `guide-…`; they go before and after it.
//! 5. Where a guide needs more than an empty folder, a [`Scene`] makes it.

mod published;

use std::ffi::OsString;
use std::path::Path;
use std::time::Duration;

use anyhow::{Context as _, Result, bail, ensure};

use super::skip;
use crate::engine::Engine;
use crate::facts::{self, Workspace};
use crate::loopback::Registry;

/// The guides whose commands are tried.
pub const GUIDES: &[&str] = &["docs/running.md", published::GUIDE];

/// What a guide finds: variables, and what must live as long as it runs.
#[derive(Default)]
pub struct Scene {
    variables: Vec<(&'static str, OsString)>,
    registry: Option<Registry>,
}

/// A command and what its guide says that it prints.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Command {
    /// The line in the guide.
    line: usize,
    text: String,
    output: Vec<String>,
}

/// How long a guide may take.
const LIMIT: Duration = Duration::from_secs(120);

/// Runs the commands of `guide`, a path below the workspace.
pub fn holds(workspace: &Workspace, guide: &str) -> Result<()> {
    let commands = commands(&workspace.read(guide)?).with_context(|| guide.to_string())?;
    ensure!(!commands.is_empty(), "{guide}: has no `console` block to try");
    let needs_docker = commands.iter().any(|c| c.text.contains("docker"));
    if needs_docker && !matches!(Engine::find(), Ok(engine) if engine.to_string() == "docker") {
        return skip("no Docker engine answers");
    }
    if facts::find_program("bash").is_none() {
        return skip("there is no bash");
    }
    let folder = tempfile::tempdir()?;
    let mut scene = match guide {
        published::GUIDE => published::scene(workspace, folder.path())?,
        _ => Scene::default(),
    };
    // Where the sources are, for guides that need them.
    scene.variables.push(("SCRATCHBIRD_SOURCES", workspace.root.clone().into()));
    sweep();
    let result = run(&commands, folder.path(), &scene.variables);
    sweep();
    drop(scene.registry);
    let outputs = result?;
    for (command, (code, printed)) in commands.iter().zip(&outputs) {
        check(command, *code, printed).with_context(|| format!("{guide}:{}", command.line))?;
    }
    if let Some(next) = commands.get(outputs.len()) {
        bail!("{guide}:{}: `{}` does not end", next.line, next.text.lines().next().unwrap_or_default());
    }
    Ok(())
}

/// The commands in the `console` blocks of a Markdown text.
fn commands(text: &str) -> Result<Vec<Command>> {
    let mut commands: Vec<Command> = Vec::new();
    let mut inside = false;
    for (index, line) in text.lines().enumerate() {
        if line.starts_with("```") {
            inside = line == "```console";
            // Output that follows belongs to the block's own commands.
            continue;
        }
        if !inside {
            continue;
        }
        if let Some(text) = line.strip_prefix("$ ") {
            commands.push(Command { line: index + 1, text: text.into(), output: Vec::new() });
        } else if let Some(command) = commands.last_mut() {
            match line.strip_prefix("> ").or((line == ">").then_some("")) {
                Some(more) if command.output.is_empty() => {
                    command.text.push('\n');
                    command.text.push_str(more);
                }
                _ => command.output.push(line.trim_end().into()),
            }
        } else {
            bail!("line {}: a console block starts with a command, `$ …`", index + 1);
        }
    }
    Ok(commands)
}

/// Runs all commands in one bash; gives back each one's exit code and what it printed, up to where bash ended.
fn run(
    commands: &[Command],
    folder: &Path,
    variables: &[(&'static str, OsString)],
) -> Result<Vec<(i32, String)>> {
    let mut script = String::from("exec 2>&1 </dev/null\n");
    for command in commands {
        script.push_str(&command.text);
        script.push_str("\nprintf '\\n\\001%d\\n' $?\n");
    }
    let mut bash = duct::cmd!("timeout", LIMIT.as_secs().to_string(), "bash", "-c", script).dir(folder);
    for (name, value) in variables {
        bash = bash.env(name, value);
    }
    let output = bash.stdout_capture().unchecked().run().context("bash")?;
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

fn check(command: &Command, code: i32, printed: &str) -> Result<()> {
    let first = command.text.lines().next().unwrap_or_default();
    if command.output.is_empty() {
        ensure!(code == 0, "`{first}` ended with {code}: {}", printed.trim().replace('\n', "; "));
        return Ok(());
    }
    let found: Vec<&str> = printed.trim_end().lines().map(str::trim_end).collect();
    let shown: Vec<&str> = command.output.iter().map(String::as_str).collect();
    let shown = shown.strip_suffix(&[""]).unwrap_or(&shown);
    ensure!(fits(shown, &found), "`{first}` printed other than the guide shows: {}", found.join("; "));
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

fn line_fits(shown: &str, found: &str) -> bool {
    match shown.split_once('…') {
        None => shown == found,
        Some((start, rest)) => found.strip_prefix(start).is_some_and(|tail| {
            tail.char_indices().map(|(at, _)| at).chain([tail.len()]).any(|at| line_fits(rest, &tail[at..]))
        }),
    }
}

/// Removes what guides leave behind when they are cut.
fn sweep() {
    let script = "docker ps -aq --filter name=^guide- | xargs -r docker rm -fv
docker volume ls -q --filter name=^guide- | xargs -r docker volume rm -f
docker network ls -q --filter name=^guide- | xargs -r docker network rm";
    // Nothing to sweep, or no engine: both are fine.
    let _ = duct::cmd!("bash", "-c", script).stdout_null().stderr_null().unchecked().run();
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(text: &str) -> Vec<Command> {
        commands(text).unwrap()
    }

    #[test]
    fn console_blocks_are_commands_with_their_output() {
        let found = parse("# x\n```console\n$ a \\\n> b\nout\n\n$ c\n```\n```sh\n$ not run\n```\n");
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].line, found[0].text.as_str()), (3, "a \\\nb"));
        assert_eq!(found[0].output, ["out", ""]);
        assert!(found[1].output.is_empty());
        assert!(commands("```console\nout\n```\n").unwrap_err().to_string().contains("line 2"));
    }

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
    fn a_guide_that_lies_is_caught() {
        let folder = tempfile::tempdir().unwrap();
        let check = |text: &str, expect: &str| {
            let commands = parse(text);
            let outputs = run(&commands, folder.path(), &[]).unwrap();
            let result = commands.iter().zip(&outputs).try_for_each(|(c, (code, out))| check(c, *code, out));
            let error = result.err().map(|e| e.to_string()).unwrap_or_default();
            assert!(error.contains(expect) && error.is_empty() == expect.is_empty(), "{text}: {error}");
        };
        check("```console\n$ echo one; x=2\none\n$ echo $x\n2\n```\n", "");
        check("```console\n$ false\n```\n", "`false` ended with 1");
        check("```console\n$ echo no; false\nno\n```\n", "");
        check("```console\n$ echo one\ntwo\n```\n", "printed other than the guide shows: one");
        check("```console\n$ cat <<'X'\n> a\n> X\na\n```\n", "");
    }
}
