//! No probe of `cargo xtask verify` passes by default: each fails on an image that lacks what it asks for, and says what.
//!
//! Ignored by `cargo test`, since it needs Docker and the image of the variant alpine; `cargo xtask ci` runs it.

use std::io::Write as _;
use std::process::{Command, Output, Stdio};

use serde_json::Value;

/// Instructions that break an image, the probe that must notice, and a word of what it says.
type Case = (&'static str, &'static str, &'static str);

/// Instructions, what a shell does instead of the server, and the probes that must notice, each with a word of what it
/// says.
type CaseAtWork = (&'static str, &'static str, &'static [(&'static str, &'static str)]);

const SERVE: &str = "exec /usr/local/bin/scratchbird entrypoint serve";

/// What is told from the image at rest.
const AT_REST: &[Case] = &[
    ("USER root", "is configured", "User is [\"root\"]"),
    ("ENTRYPOINT [\"/bin/sh\"]", "is configured", "Entrypoint is"),
    ("CMD [\"initdb\"]", "is configured", "Cmd is"),
    ("WORKDIR /tmp", "is configured", "WorkingDir is [\"/tmp\"]"),
    ("ENV SCRATCHBIRD_HTTP_PORT=1", "is configured", "Env has no SCRATCHBIRD_HTTP_PORT=8080"),
    ("EXPOSE 9999", "is configured", "ExposedPorts is"),
    ("VOLUME /other", "is configured", "Volumes is"),
    ("STOPSIGNAL SIGKILL", "is configured", "StopSignal is [\"SIGKILL\"]"),
    ("HEALTHCHECK NONE", "is configured", "Healthcheck is [\"NONE\"]"),
    (
        "LABEL org.opencontainers.image.title=\"\"",
        "standard labels",
        "no label org.opencontainers.image.title",
    ),
    ("LABEL org.opencontainers.image.version=9.9.9", "standard labels", "its version is \"9.9.9\""),
    ("ENV DB_PASSWORD=hunter2", "holds no secret", "DB_PASSWORD=hunter2"),
    ("USER root\nRUN API_TOKEN=abc true", "holds no secret", "API_TOKEN"),
    ("USER root\nRUN rm -r /backup", "has its folders", "there is no /backup"),
    (
        "USER root\nRUN chmod 0777 /etc/scratchbird",
        "has its folders",
        "/etc/scratchbird is 0777 of 1000:0, not 0775",
    ),
    (
        "USER root\nRUN chown root /var/log/scratchbird",
        "has its folders",
        "/var/log/scratchbird is 0775 of 0:0",
    ),
    ("USER root\nRUN chmod 0700 /usr/local/bin/scratchbird", "has its folders", "is 0700 of 0:0, not 0755"),
    (
        "USER root\nRUN ln -sf /bin/true /usr/local/bin/psql",
        "has its folders",
        "/usr/local/bin/psql is no link to",
    ),
    (
        "USER root\nRUN sed -i /scratchbird/d /etc/passwd",
        "has its folders",
        "/etc/passwd has no line scratchbird:x:1000:",
    ),
    (
        "USER root\nRUN cp /bin/busybox /su && chmod 4755 /su",
        "adds no setuid",
        "/su is setuid (4755, owner 0)",
    ),
    ("USER root\nRUN touch /open && chmod 0666 /open", "adds no setuid", "/open everybody may write it"),
    (
        "USER root\nRUN mkdir -p /var/cache/apk && echo x > /var/cache/apk/x.tar",
        "adds no setuid",
        "package-cache",
    ),
    ("USER root\nRUN touch /id_rsa", "adds no setuid", "/id_rsa"),
    (
        "USER root\nRUN printf 'ghp_%s' 0123456789abcdefghij0123456789abcdefghij > /notes",
        "adds no setuid",
        "a GitHub token",
    ),
    ("USER root\nRUN rm /usr/local/bin/createdb", "every applet", "createdb"),
    (
        "USER root\nRUN rm /usr/local/bin/scratchbird && ln -s /bin/true /usr/local/bin/scratchbird",
        "of the right version",
        "applet not found",
    ),
];

/// The same by Google's program and the files that are generated for it.
const BY_STRUCTURE_TEST: &[Case] = &[
    ("USER root", "structure tests", "user root"),
    ("STOPSIGNAL SIGTERM\nLABEL org.opencontainers.image.vendor=me", "structure tests", "vendor"),
    ("USER root\nRUN chmod 0777 /backup\nUSER 1000:1000", "structure tests", "/backup"),
    ("USER root\nRUN rm /usr/local/bin/psql\nUSER 1000:1000", "structure tests", "psql"),
    ("CMD [\"initdb\"]", "structure tests", "Cmd [initdb]"),
];

/// What a server does that is not what it should be: a shell before it that does something else.
const AT_WORK: &[CaseAtWork] = &[
    (
        "ENV SCRATCHBIRD_HOST_AUTH_METHOD=trust",
        "",
        &[("nobody with a wrong password", "psql got in with the password")],
    ),
    (
        "USER root",
        "trap 'exit 3' TERM; /usr/local/bin/scratchbird entrypoint serve & wait",
        &[
            ("as the only process", "its user ids are [\"0\""),
            ("drops to uid 1000 when it is started as root", "Uid: 0 0 0 0"),
        ],
    ),
    (
        "",
        "trap 'exit 3' TERM; /usr/local/bin/scratchbird entrypoint serve & wait",
        &[
            ("as the only process", "it has child processes"),
            ("stops within 2 s", "its status is 3"),
            ("stops with status 0 under 100 writing clients", "its status is 3"),
            ("works with half a processor", "it stops with 3"),
        ],
    ),
    (
        "",
        "[ \"$SCRATCHBIRD_PASSWORD\" ] || exit 0; {serve}",
        &[("refuses to start without a password", "status is 0")],
    ),
    ("", "env; {serve}", &[("never tells its password", "its log holds the password")]),
    (
        "",
        "{serve} >/dev/null 2>&1",
        &[
            ("never tells its password", "it logs nothing at all"),
            ("refuses to start without a password", "does not name SCRATCHBIRD_PASSWORD"),
            ("names the folder to chown", "it does not say what to chown"),
            ("says which variables an existing cluster ignores", "SCRATCHBIRD_PASSWORD is ignored"),
            ("refuses a newer and a foreign data directory", "it does not say format `99`"),
            ("stops at a broken one", "its log does not name file and line"),
            ("runs init scripts in all their forms", "its log does not name 1-table.sql"),
            ("works on a bind mount and on tmpfs", "status 1: "),
        ],
    ),
    ("", "touch /var/lib/scratchbird/x && {serve}", &[("read-only root", "the container is exited")]),
    (
        "",
        "rm -rf /var/lib/scratchbird/data/*; {serve}",
        &[
            ("through SIGKILL", "\"birds\" does not exist"),
            ("through kill -9", "\"move\" does not exist"),
            ("opens what older versions wrote", "does not exist"),
        ],
    ),
    (
        "",
        "export SCRATCHBIRD_DATA=/tmp/data; {serve}",
        &[
            ("works on a bind mount and on tmpfs", "nothing lies in the folder"),
            ("answers a full disk with an error", "30 MB fit into 8 MB"),
            ("goes on when there is room on the disk again", "40 MB fit into 16 MB"),
        ],
    ),
    (
        "ENV SCRATCHBIRD_INITDB_DIRECTORY=/var/log/scratchbird",
        "",
        &[
            ("stops at a broken one", "\"birds\" does not exist"),
            ("runs init scripts in all their forms", "\"birds\" does not exist"),
            ("runs shell scripts where there is a shell", "\"birds\" does not exist"),
        ],
    ),
    (
        "USER root\nRUN echo 'create table birds (n int);' > /docker-entrypoint-initdb.d/0.sql\nUSER 1000:1000",
        "",
        &[("creates, inserts, selects, and rolls back", "already exists")],
    ),
    // The engine's own profile lets this through, ours does not.
    ("", "mkfifo /tmp/fifo && {serve}", &[("works under the seccomp profile", "the container is exited")]),
    (
        "USER root\nRUN chmod 0700 /var/lib/scratchbird\nUSER 1000:1000",
        "",
        &[("works under any uid of root's group", "the container is exited")],
    ),
    ("", "unset SCRATCHBIRD_PASSWORD_FILE; {serve}", &[("password from a file", "the container is exited")]),
    ("", "export SCRATCHBIRD_HTTP_PORT=0; {serve}", &[("answers /livez", "no HTTP answer")]),
    ("", "export SCRATCHBIRD_LOG_FORMAT=text; {serve}", &[("logs statements as JSON", "no JSON")]),
    (
        "",
        "export SCRATCHBIRD_MAX_CONNECTIONS=9; {serve}",
        &[
            ("takes options", "`-c max_connections=5` makes it 9"),
            ("answers its probes while 100 clients compute", "clients were busy"),
        ],
    ),
    ("ENV SCRATCHBIRD_STATEMENT_TIMEOUT=500ms", "", &[("lives in 64 MB of memory", "57014")]),
    ("ENV SCRATCHBIRD_HTTP_PORT=1", "", &[("tells where each setting comes from", "http_port is not 8080")]),
    (
        "USER root\nRUN rm /usr/local/bin/psql /usr/local/bin/backup\nUSER 1000:1000",
        "",
        &[
            ("brings a client along", "executable file not found"),
            ("is backed up while it runs", "executable file not found"),
            ("backs another container up on a schedule", "executable file not found"),
        ],
    ),
    ("HEALTHCHECK --start-period=1ms --retries=1 CMD false", "", &[("turns healthy", "unhealthy")]),
];

/// Probes that hold on an image with nothing in it: they forbid, and [`AT_REST`] has what they forbid.
const FORBID: [&str; 2] = [
    "holds no secret in its environment or history",
    "adds no setuid or world-writable file, no leftover and no secret to its base",
];

fn docker(args: &[&str], input: &str) -> Output {
    let mut child = Command::new("docker")
        .args(args)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("docker does not start");
    child.stdin.take().unwrap().write_all(input.as_bytes()).unwrap();
    child.wait_with_output().unwrap()
}

/// An image of these tests, which ends with this value.
struct Image(String);

impl Image {
    fn build(name: &str, instructions: &str) -> Image {
        let whole = format!("scratchbird:{}-alpine", env!("CARGO_PKG_VERSION"));
        let dockerfile = format!("FROM {whole}\n{instructions}\n");
        let name = format!("broken-{}/scratchbird:{name}", std::process::id());
        let output = docker(&["build", "--quiet", "--tag", &name, "-"], &dockerfile);
        let words = String::from_utf8_lossy(&output.stderr);
        assert!(
            output.status.success(),
            "{dockerfile}\n{words}\nrun `cargo xtask image --variant alpine --load`"
        );
        Image(name)
    }
}

impl Drop for Image {
    fn drop(&mut self) {
        docker(&["image", "rm", "--force", &self.0], "");
    }
}

/// What `cargo xtask verify` says, and its exit code.
fn verify(image: &str, probes: &[&str]) -> (Option<i32>, Vec<Value>, String) {
    let mut command = Command::new(env!("CARGO_BIN_EXE_xtask"));
    command.args(["--quiet", "verify", image, "--engine", "docker", "--format", "json"]);
    for probe in probes {
        command.args(["--probe", probe]);
    }
    let output = command.output().unwrap();
    let lines = serde_json::from_slice(&output.stdout).unwrap_or_default();
    (output.status.code(), lines, String::from_utf8_lossy(&output.stderr).into_owned())
}

/// `lines` are of a run of every probe.
fn every_probe_has_a_case(lines: &[Value]) {
    let at_rest = AT_REST.iter().chain(BY_STRUCTURE_TEST).map(|(_, probe, _)| *probe);
    let at_work = AT_WORK.iter().flat_map(|(.., expected)| expected.iter().map(|(probe, _)| *probe));
    let tried: Vec<&str> = at_rest.chain(at_work).collect();
    let untried = lines.iter().map(|line| line["probe"].as_str().unwrap());
    let untried: Vec<&str> = untried.filter(|name| !tried.iter().any(|part| name.contains(part))).collect();
    assert!(untried.is_empty(), "no image here breaks {untried:?}");
}

/// Whether this machine can run them; the gate says the same as skipped.
fn has_docker() -> bool {
    let answers = Command::new("docker").arg("version").output().is_ok_and(|output| output.status.success());
    if !answers {
        println!("skipped: no Docker engine answers");
    }
    answers
}

/// Which probes don't notice what is wrong with an image.
fn missed(number: usize, instructions: &str, expected: &[(&str, &str)]) -> Vec<String> {
    let image = Image::build(&number.to_string(), instructions);
    let probes: Vec<&str> = expected.iter().map(|(probe, _)| *probe).collect();
    let (code, lines, said) = verify(&image.0, &probes);
    let miss = |(probe, word): &(&str, &str)| {
        let mut found = lines.iter().filter(|line| line["probe"].as_str().unwrap().contains(probe));
        let (Some(line), None) = (found.next(), found.next()) else {
            return Some(format!("`{probe}` is no single probe: {said}"));
        };
        let why = line["why"].as_str().unwrap_or_default();
        if line["outcome"] == "skipped" {
            println!("skipped: {instructions}: {why}");
            return None;
        }
        let is_caught = line["outcome"] == "failed" && code == Some(1) && why.contains(word);
        (!is_caught).then(|| format!("{instructions}\n`{probe}` says: {why}\nwithout: {word}"))
    };
    expected.iter().filter_map(miss).collect()
}

#[test]
#[ignore = "needs Docker and an image; `cargo xtask ci` runs it"]
fn what_is_wrong_at_rest_is_named() {
    if has_docker() {
        let cases = AT_REST.iter().chain(BY_STRUCTURE_TEST).enumerate();
        let missed: Vec<String> = cases
            .flat_map(|(number, (instructions, probe, word))| missed(number, instructions, &[(probe, word)]))
            .collect();
        assert!(missed.is_empty(), "{}", missed.join("\n\n"));
    }
}

#[test]
#[ignore = "needs Docker and an image; `cargo xtask ci` runs it"]
fn what_is_wrong_at_work_is_named() {
    if !has_docker() {
        return;
    }
    let mut all = Vec::new();
    for (number, (instructions, shell, expected)) in AT_WORK.iter().enumerate() {
        let shell = shell.replace("{serve}", SERVE);
        let entrypoint = format!("ENTRYPOINT {}\nCMD []", serde_json::json!(["/bin/sh", "-c", shell]));
        let text = format!("{instructions}\n{}", if shell.is_empty() { "" } else { &entrypoint });
        all.extend(missed(1000 + number, &text, expected));
    }
    assert!(all.is_empty(), "{}", all.join("\n\n"));
}

#[test]
#[ignore = "needs Docker; `cargo xtask ci` runs it"]
fn on_an_image_with_nothing_in_it_every_probe_fails() {
    if !has_docker() {
        return;
    }
    let name = format!("broken-{}/nothing:1", std::process::id());
    let output = docker(&["build", "--quiet", "--tag", &name, "-"], "FROM scratch\nLABEL none=none\n");
    assert!(output.status.success(), "{}", String::from_utf8_lossy(&output.stderr));
    let image = Image(name);
    let (code, lines, said) = verify(&image.0, &[]);
    assert_eq!(code, Some(1), "{said}");
    assert!(!said.contains("panicked") && lines.len() > 40, "{} probes: {said}", lines.len());
    every_probe_has_a_case(&lines);
    for line in &lines {
        let (probe, outcome) = (line["probe"].as_str().unwrap(), line["outcome"].as_str().unwrap());
        match outcome {
            "passed" => assert!(FORBID.contains(&probe), "`{probe}` passes on nothing"),
            "skipped" => println!("skipped: {probe}: {}", line["why"]),
            _ => assert!(!line["why"].as_str().unwrap().is_empty(), "`{probe}` does not say why"),
        }
    }
    // The same by its digest, as one pins it.
    let id = docker(&["image", "inspect", "--format", "{{.Id}}", &image.0], "");
    let id = String::from_utf8_lossy(&id.stdout).trim().to_string();
    let (code, lines, _) = verify(&id, &["is configured"]);
    assert_eq!((code, &lines[0]["outcome"]), (Some(1), &"failed".into()));
}
