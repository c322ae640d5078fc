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

/// When the rules are asked: once what must last has lasted; restarts are forgotten by then, and a backup is not old yet.
fn moment(alert: &str) -> &'static str {
    match alert {
        "ScratchBirdRestarts" => "30m",
        "ScratchBirdBackupIsOld" => "50h",
        _ => "1h",
    }
}

pub fn fire(scene: &Scene) -> Result<()> {
    need("promtool", "prometheus")?;
    let folder = unpack(scene, "monitoring")?;
    let path = folder.path().join("monitoring/test.yml");
    // With `reversed` every expectation is the wrong one.
    let run = |reversed: bool| -> Result<(bool, String)> {
        let mut tests = Vec::new();
        for alert in ALERTS {
            let case = CASES.iter().find(|case| case.alert == alert.name);
            let case = case.with_context(|| format!("no case makes {} fire", alert.name))?;
            tests.push(test(alert.name, case.bad, !reversed));
            tests.push(test(alert.name, case.good, reversed));
        }
        let file = json!({ "rule_files": ["alerts.yml"], "evaluation_interval": "1m", "tests": tests });
        write(&path, &file.to_string())?;
        let command = cmd!("promtool", "test", "rules", &path).stderr_to_stdout().stdout_capture();
        let output = command.unchecked().run()?;
        Ok((output.status.success(), String::from_utf8_lossy(&output.stdout).into_owned()))
    };
    let (passed, words) = run(false)?;
    ensure!(passed, "{}", words.trim());
    let (_, words) = run(true)?;
    for alert in ALERTS {
        let failed = words.matches(&expression(alert.name)).count();
        ensure!(failed == 2, "of the two wrong expectations of {} promtool sees {failed}", alert.name);
    }
    Ok(())
}

/// 1 if the alert fires; an expression of its own, so that labels and texts need not be said again.
fn expression(name: &str) -> String {
    format!("count(ALERTS{{alertname='{name}',alertstate='firing'}}) or vector(0)")
}

fn test(name: &str, series: &[(&str, &str)], fires: bool) -> Value {
    let series: Vec<Value> =
        series.iter().map(|(series, values)| json!({ "series": series, "values": values })).collect();
    let expect = json!([{ "labels": "{}", "value": u8::from(fires) }]);
    let ask = json!({ "expr": expression(name), "eval_time": moment(name), "exp_samples": expect });
    json!({ "interval": "1m", "input_series": series, "promql_expr_test": [ask] })
}
