//! Grafana's own model of a dashboard takes the one that is generated.

use std::fs;
use std::io::Write as _;
use std::path::Path;
use std::process::{Command, Stdio};

/// What the model has against a dashboard, a line each; `None` where the model is not installed.
fn problems(dashboard: &str) -> Option<Vec<String>> {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let python = root.join("target/tools/bin/python");
    let model =
        Command::new(&python).args(["-c", "import grafana_foundation_sdk"]).stderr(Stdio::null()).status();
    if !model.is_ok_and(|status| status.success()) {
        println!(
            "skipped: no grafana-foundation-sdk; run `python3 -m venv target/tools && target/tools/bin/pip install -r \
             xtask/tests/requirements.txt`"
        );
        return None;
    }
    let mut child = Command::new(python)
        .arg(root.join("xtask/tests/dashboard/check.py"))
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()
        .unwrap();
    child.stdin.take().unwrap().write_all(dashboard.as_bytes()).unwrap();
    let output = child.wait_with_output().unwrap();
    let lines: Vec<String> = String::from_utf8(output.stdout).unwrap().lines().map(str::to_owned).collect();
    assert_eq!(output.status.success(), lines.iter().all(String::is_empty), "{lines:?}");
    Some(lines.into_iter().filter(|line| !line.is_empty()).collect())
}

#[test]
fn grafana_knows_every_field() {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../compose/monitoring/grafana/scratchbird.json");
    let dashboard = fs::read_to_string(path).unwrap();
    let Some(found) = problems(&dashboard) else { return };
    assert_eq!(found, Vec::<String>::new());
    for (from, to, expect) in [
        (r#""title": "Memory""#, r#""titel": "Memory""#, "titel is unknown"),
        (r#""showLegend": true"#, r#""showLegend": "yes""#, "'yes' is no bool"),
        (r#""mode": "multi""#, r#""mode": "many""#, "'many' is none of"),
        (r#""schemaVersion": 39"#, r#""schemaVersion": "39""#, "'39' is no int"),
    ] {
        assert!(dashboard.contains(from), "{from}");
        let found = problems(&dashboard.replace(from, to)).unwrap();
        assert!(found.iter().any(|line| line.contains(expect)), "{to}: {found:?}");
    }
}
