//! Every alert fires when what it is for happens, and not when all is well: promtool runs the rules over made-up series.

use anyhow::{Context as _, Result, ensure};
use duct::cmd;
use plan::stack::monitoring::ALERTS;
use serde_json::{Value, json};

use super::running::{unpack, write};
use super::{Scene, need};

/// An alert with series that must wake somebody, and series that must not; in promtool's notation, a value a minute.
struct Case {
    alert: &'static str,
    bad: &'static [(&'static str, &'static str)],
    good: &'static [(&'static str, &'static str)],
}

const UP: &str = "up{job=\"scratchbird\",instance=\"a\"}";
const ROLLBACKS: &str = "scratchbird_transactions_total{instance=\"a\",outcome=\"rollback\"}";
const COMMITS: &str = "scratchbird_transactions_total{instance=\"a\",outcome=\"commit\"}";

const CASES: &[Case] = &[
    Case { alert: "ScratchBirdDown", bad: &[(UP, "1 0x5000")], good: &[(UP, "1x5000")] },
    Case {
        alert: "ScratchBirdNotServing",
        bad: &[("scratchbird_up", "0x5000")],
        good: &[("scratchbird_up", "1x5000")],
    },
    Case {
        alert: "ScratchBirdConnectionsNearLimit",
        bad: &[
            ("scratchbird_connections{state=\"idle\"}", "95x5000"),
            ("scratchbird_connections_max", "100x5000"),
        ],
        good: &[
            ("scratchbird_connections{state=\"idle\"}", "85x5000"),
            ("scratchbird_connections_max", "100x5000"),
        ],
    },
    Case {
        alert: "ScratchBirdRollbacks",
        bad: &[(ROLLBACKS, "0+60x5000"), (COMMITS, "0+30x5000")],
        good: &[(ROLLBACKS, "0+30x5000"), (COMMITS, "0+60x5000")],
    },
    Case {
        alert: "ScratchBirdCheckpointsFail",
        bad: &[("scratchbird_checkpoint_failures_total", "0+1x5000")],
        good: &[("scratchbird_checkpoint_failures_total", "3x5000")],
    },
    Case {
        alert: "ScratchBirdLogGrows",
        bad: &[("scratchbird_wal_size_bytes", "3000000000x5000")],
        good: &[("scratchbird_wal_size_bytes", "1000000000x5000")],
    },
    Case {
        alert: "ScratchBirdRestarts",
        bad: &[("scratchbird_uptime_seconds", "0 60 0 60 0 60 0 60 0 60 0 60 0 60 0 60 0 60 0+60x5000")],
        good: &[("scratchbird_uptime_seconds", "0+60x5000")],
    },
    Case {
        alert: "ScratchBirdBackupIsOld",
        bad: &[("scratchbird_last_backup_timestamp_seconds", "0x5000")],
        good: &[("scratchbird_last_backup_timestamp_seconds", "0+60x5000")],
    },
    Case {
        alert: "ScratchBirdNoPrimary",
        bad: &[("scratchbird_replication_role{role=\"primary\",job=\"s\",instance=\"a\"}", "0x5000")],
        good: &[
            ("scratchbird_replication_role{role=\"primary\",job=\"s\",instance=\"a\"}", "0x5000"),
            ("scratchbird_replication_role{role=\"primary\",job=\"s\",instance=\"b\"}", "1x5000"),
        ],
    },
    Case {
        alert: "ScratchBirdFenced",
        bad: &[("scratchbird_replication_role{role=\"fenced\"}", "1x5000")],
        good: &[("scratchbird_replication_role{role=\"primary\"}", "1x5000")],
    },
    Case {
        alert: "ScratchBirdReplicaGone",
        bad: &[("scratchbird_replica_connected{replica=\"r\"}", "0x5000")],
        good: &[("scratchbird_replica_connected{replica=\"r\"}", "1x5000")],
    },
    Case {
        alert: "ScratchBirdReplicaBehind",
        bad: &[("scratchbird_replication_lag_seconds", "0+60x5000")],
        good: &[("scratchbird_replication_lag_seconds", "5x5000")],
    },
    Case {
        alert: "ScratchBirdArchiveFails",
        bad: &[("scratchbird_archive_failures_total", "0+1x5000")],
        good: &[("scratchbird_archive_failures_total", "2x5000")],
    },
];

/// When the rules are asked: before that a counter that begins has restarts behind it, and after it a backup is old.
fn moment(alert: &str) -> &'static str {
    if alert == "ScratchBirdRestarts" { "30m" } else { "60h" }
}

pub fn fire(scene: &Scene) -> Result<()> {
    need("promtool", "prometheus")?;
    let folder = unpack(scene, "monitoring")?;
    let root = folder.path().join("monitoring");
    let mut tests = Vec::new();
    for alert in ALERTS {
        let case = CASES.iter().find(|case| case.alert == alert.name);
        let case = case.with_context(|| format!("no case makes {} fire", alert.name))?;
        tests.push((alert.name, "fires", case.bad, true));
        tests.push((alert.name, "is silent", case.good, false));
    }
    let run = |name: &str, series: &[(&str, &str)], fires: bool| -> Result<std::process::Output> {
        let series: Vec<Value> =
            series.iter().map(|(series, values)| json!({ "series": series, "values": values })).collect();
        // An expression of its own, so that labels and texts need not be said again.
        let query = format!("count(ALERTS{{alertname=\"{name}\",alertstate=\"firing\"}}) or vector(0)");
        let expect = json!([{ "labels": "{}", "value": u8::from(fires) }]);
        let test = json!({
            "interval": "1m",
            "input_series": series,
            "promql_expr_test": [{ "expr": query, "eval_time": moment(name), "exp_samples": expect }],
        });
        let file = json!({ "rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": [test] });
        let path = root.join("test.yml");
        write(&path, &file.to_string())?;
        Ok(cmd!("promtool", "test", "rules", path).stdout_capture().stderr_capture().unchecked().run()?)
    };
    for (name, what, series, fires) in tests {
        let output = run(name, series, fires)?;
        let words = [output.stdout.as_slice(), &output.stderr].concat();
        ensure!(output.status.success(), "{name} {what}: {}", String::from_utf8_lossy(&words).trim());
        ensure!(!run(name, series, !fires)?.status.success(), "{name}: promtool takes anything");
    }
    Ok(())
}
