//! A real Prometheus scrapes a real server: every expression of the alerts and the dashboard has series.

use std::io::{Read as _, Write as _};
use std::net::TcpStream;
use std::time::{Duration, Instant};

use anyhow::{Context as _, Result, bail, ensure};
use plan::stack::monitoring::{ALERTS, PANELS};
use plan::stack::{self, Pins};
use serde_json::{Value, json};

use super::Scene;
use super::running::{Running, unpack, write};

pub fn every_expression(scene: &Scene) -> Result<()> {
    // Beside what the stack has: a replica, an archive, and a Prometheus that knows the replica.
    let folder = unpack(scene, "monitoring")?;
    let config = folder.path().join("monitoring/prometheus.yml");
    let more =
        std::fs::read_to_string(&config)?.replace("    - db:8080\n", "    - db:8080\n    - replica:8080\n");
    ensure!(more.contains("replica"), "prometheus.yml has no target db:8080");
    write(&config, &more)?;
    let role = |role: &str| {
        json!({
            "SCRATCHBIRD_REPLICATION_MODE": role,
            "SCRATCHBIRD_PRIMARY_HOST": "db",
            "SCRATCHBIRD_REPLICATION_USER": "walker",
            "SCRATCHBIRD_REPLICATION_PASSWORD": "w",
            "SCRATCHBIRD_ARCHIVE_DIRECTORY": if role == "primary" { "/tmp/archive" } else { "" },
        })
    };
    let none = Pins::new();
    let stack = stack::find(scene.spec, "monitoring", &none)?;
    let server = stack::reference(scene.spec, &stack.stack.services["db"]);
    let replica = json!({ "image": scene.images[&server], "environment": role("replica") });
    let mount = format!("{}:/etc/prometheus/prometheus.yml:ro", config.display());
    let change = json!({ "services": {
        "db": { "environment": role("primary") },
        "replica": replica,
        "prometheus": { "volumes": [mount] },
    } });
    let running = Running::start(scene, "monitoring", &["db", "replica", "prometheus"], &change)?;
    let (database, prometheus) = (running.port("DB_PORT")?, running.port("PROMETHEUS_PORT")?);
    running.compose.output(&["exec", "-T", "db", "backup", "--quiet", "/tmp/once.tar.gz"])?;
    // Something of each kind that is counted.
    running.query(
        database,
        "create table t (n int); insert into t values (1); begin; delete from t; rollback;",
    )?;
    ensure!(!running.ask(database, "select nothing")?.status.success(), "an error was wanted");
    let alerts = ALERTS.iter().map(|alert| (alert.name, alert.value));
    let curves =
        PANELS.iter().flat_map(|panel| panel.curves.iter().map(|(expression, _)| (panel.title, *expression)));
    let mut missing: Vec<(&str, &str)> = alerts.chain(curves).collect();
    let deadline = Instant::now() + Duration::from_secs(60);
    loop {
        let mut still = Vec::new();
        for (name, expression) in missing {
            let answer = get(prometheus, &format!("/api/v1/query?query={}", encode(expression)))?;
            ensure!(answer["status"] == "success", "{name}: `{expression}`: {answer}");
            if answer["data"]["result"].as_array().is_none_or(Vec::is_empty) {
                still.push((name, expression));
            }
        }
        if still.is_empty() {
            break;
        }
        if Instant::now() > deadline {
            bail!("no series for {still:?}");
        }
        missing = still;
        std::thread::sleep(Duration::from_secs(1));
    }
    // An expression that nothing answers has none: the check above can fail.
    let none = get(prometheus, "/api/v1/query?query=scratchbird_no_such_metric")?;
    ensure!(none["data"]["result"] == Value::Array(Vec::new()), "{none}");
    let rules = get(prometheus, "/api/v1/rules")?;
    let loaded: Vec<&str> = rules["data"]["groups"][0]["rules"]
        .as_array()
        .into_iter()
        .flatten()
        .filter(|rule| rule["health"] != "err")
        .filter_map(|rule| rule["name"].as_str())
        .collect();
    let wanted: Vec<&str> = ALERTS.iter().map(|alert| alert.name).collect();
    ensure!(loaded == wanted, "Prometheus has the rules {loaded:?}");
    Ok(())
}

/// The JSON at a path of this machine's port.
fn get(port: u16, path: &str) -> Result<Value> {
    let mut stream = TcpStream::connect(("127.0.0.1", port))?;
    stream.set_read_timeout(Some(Duration::from_secs(10)))?;
    write!(stream, "GET {path} HTTP/1.0\r\nHost: localhost\r\n\r\n")?;
    let mut answer = String::new();
    stream.read_to_string(&mut answer)?;
    let (_, body) = answer.split_once("\r\n\r\n").with_context(|| format!("{path}: no answer"))?;
    serde_json::from_str(body).with_context(|| format!("{path}: {body}"))
}

/// Percent-encodes what is not unreserved (RFC 3986, section 2.3).
fn encode(text: &str) -> String {
    let byte = |byte: u8| match byte {
        b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' | b'-' | b'.' | b'_' | b'~' => char::from(byte).to_string(),
        other => format!("%{other:02X}"),
    };
    text.bytes().map(byte).collect()
}

#[cfg(test)]
mod tests {
    #[test]
    fn encoding() {
        assert_eq!(super::encode("up{a=\"b c\"}"), "up%7Ba%3D%22b%20c%22%7D");
    }
}
