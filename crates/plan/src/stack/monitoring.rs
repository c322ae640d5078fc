//! What is watched: alerts and panels, as data. The container tests ask a real Prometheus for each expression.

/// An alert: when `value` `condition` holds for a while.
pub struct Alert {
    /// Its name.
    pub name: &'static str,
    /// A PromQL expression that always has a value.
    pub value: &'static str,
    /// What of the value is bad.
    pub condition: &'static str,
    /// For how long it must be so.
    pub lasting: &'static str,
    /// `critical` wakes somebody, `warning` waits for the morning.
    pub severity: &'static str,
    /// What is wrong, and what to do.
    pub summary: &'static str,
}

/// A panel of the dashboard.
pub struct Panel {
    /// Its heading.
    pub title: &'static str,
    /// Grafana's unit.
    pub unit: &'static str,
    /// Its curves: the expression, and the legend.
    pub curves: &'static [(&'static str, &'static str)],
}

/// Every alert.
pub const ALERTS: &[Alert] = &[
    Alert {
        name: "ScratchBirdDown",
        value: "min by (instance) (up{job=\"scratchbird\"})",
        condition: "== 0",
        lasting: "1m",
        severity: "critical",
        summary: "{{ $labels.instance }} does not answer; see its log",
    },
    Alert {
        name: "ScratchBirdNotServing",
        value: "scratchbird_up",
        condition: "== 0",
        lasting: "2m",
        severity: "critical",
        summary: "{{ $labels.instance }} runs and serves no clients: it is still starting, or stopping",
    },
    Alert {
        name: "ScratchBirdConnectionsNearLimit",
        value: "sum by (instance) (scratchbird_connections) / max by (instance) (scratchbird_connections_max)",
        condition: "> 0.9",
        lasting: "5m",
        severity: "warning",
        summary: "{{ $labels.instance }} has few connections left; raise max_connections or use a pool",
    },
    Alert {
        name: "ScratchBirdRollbacks",
        value: "sum by (instance) (rate(scratchbird_transactions_total{outcome=\"rollback\"}[5m])) / (sum by (instance) (rate(scratchbird_transactions_total[5m])) + 0.001)",
        condition: "> 0.5",
        lasting: "15m",
        severity: "warning",
        summary: "more than half of the transactions on {{ $labels.instance }} are rolled back",
    },
    Alert {
        name: "ScratchBirdCheckpointsFail",
        value: "increase(scratchbird_checkpoint_failures_total[15m])",
        condition: "> 0",
        lasting: "0m",
        severity: "critical",
        summary: "checkpoints fail on {{ $labels.instance }}: its log says why, often the disk is full",
    },
    Alert {
        name: "ScratchBirdLogGrows",
        value: "scratchbird_wal_size_bytes",
        condition: "> 2e9",
        lasting: "15m",
        severity: "warning",
        summary: "the write-ahead log of {{ $labels.database }} on {{ $labels.instance }} keeps growing: a long transaction or a lost replica holds it",
    },
    Alert {
        name: "ScratchBirdRestarts",
        value: "resets(scratchbird_uptime_seconds[1h])",
        condition: "> 3",
        lasting: "0m",
        severity: "warning",
        summary: "{{ $labels.instance }} started again more than three times within an hour",
    },
    Alert {
        name: "ScratchBirdBackupIsOld",
        value: "time() - scratchbird_last_backup_timestamp_seconds",
        condition: "> 2 * 86400",
        lasting: "1h",
        severity: "warning",
        summary: "nobody has made a backup of {{ $labels.instance }} for two days; is one scheduled, and does it fail?",
    },
    Alert {
        name: "ScratchBirdNoPrimary",
        value: "max by (job) (scratchbird_replication_role{role=~\"primary|standalone\"})",
        condition: "== 0",
        lasting: "30s",
        severity: "critical",
        summary: "no server takes writes: promote a replica (docs/replication.md)",
    },
    Alert {
        name: "ScratchBirdFenced",
        value: "scratchbird_replication_role{role=\"fenced\"}",
        condition: "== 1",
        lasting: "0m",
        severity: "warning",
        summary: "{{ $labels.instance }} was the primary until another server was promoted; rebuild it as a replica",
    },
    Alert {
        name: "ScratchBirdReplicaGone",
        value: "scratchbird_replica_connected",
        condition: "== 0",
        lasting: "5m",
        severity: "warning",
        summary: "{{ $labels.replica }} does not follow {{ $labels.instance }}; forget it with pg_drop_replication_slot if it is gone for good",
    },
    Alert {
        name: "ScratchBirdReplicaBehind",
        value: "scratchbird_replication_lag_seconds",
        condition: "> 60",
        lasting: "2m",
        severity: "warning",
        summary: "{{ $labels.instance }} is a replica and was not up to date for more than a minute",
    },
    Alert {
        name: "ScratchBirdArchiveFails",
        value: "increase(scratchbird_archive_failures_total[15m])",
        condition: "> 0",
        lasting: "0m",
        severity: "critical",
        summary: "{{ $labels.instance }} can't archive its log, and keeps it: see its log, often the archive is full",
    },
];

/// Every panel, in reading order.
pub const PANELS: &[Panel] = &[
    Panel { title: "Serving", unit: "short", curves: &[("scratchbird_up", "{{instance}}")] },
    Panel {
        title: "Connections",
        unit: "short",
        curves: &[
            ("sum by (instance, state) (scratchbird_connections)", "{{instance}} {{state}}"),
            ("max by (instance) (scratchbird_connections_max)", "{{instance}} limit"),
        ],
    },
    Panel {
        title: "Statements",
        unit: "ops",
        curves: &[("sum by (kind) (rate(scratchbird_statements_total[1m]))", "{{kind}}")],
    },
    Panel {
        title: "Transactions",
        unit: "ops",
        curves: &[("sum by (outcome) (rate(scratchbird_transactions_total[1m]))", "{{outcome}}")],
    },
    Panel {
        title: "Errors by SQLSTATE class",
        unit: "ops",
        curves: &[("sum by (class) (rate(scratchbird_errors_total[1m]))", "{{class}}")],
    },
    Panel {
        title: "Checkpoints",
        unit: "ops",
        curves: &[
            ("rate(scratchbird_checkpoints_total[5m])", "{{instance}}"),
            ("rate(scratchbird_checkpoint_failures_total[5m])", "{{instance}} failed"),
        ],
    },
    Panel {
        title: "Time in checkpoints",
        unit: "percentunit",
        curves: &[("rate(scratchbird_checkpoint_seconds_total[5m])", "{{instance}}")],
    },
    Panel {
        title: "Database size",
        unit: "bytes",
        curves: &[("scratchbird_database_size_bytes", "{{instance}} {{database}}")],
    },
    Panel {
        title: "Write-ahead log",
        unit: "bytes",
        curves: &[("scratchbird_wal_size_bytes", "{{instance}} {{database}}")],
    },
    Panel {
        title: "Age of the last backup",
        unit: "s",
        curves: &[("time() - (scratchbird_last_backup_timestamp_seconds > 0)", "{{instance}}")],
    },
    Panel {
        title: "Roles",
        unit: "short",
        curves: &[("sum by (role) (scratchbird_replication_role)", "{{role}}")],
    },
    Panel {
        title: "Replication lag",
        unit: "s",
        curves: &[("scratchbird_replication_lag_seconds", "{{instance}}")],
    },
    Panel {
        title: "Log that is not yet elsewhere",
        unit: "bytes",
        curves: &[
            ("scratchbird_replica_behind_bytes", "{{instance}} → {{replica}}"),
            ("scratchbird_archive_behind_bytes", "{{instance}} → archive"),
            ("scratchbird_replication_log_bytes", "{{instance}} holds"),
        ],
    },
    Panel { title: "Memory", unit: "bytes", curves: &[("process_resident_memory_bytes", "{{instance}}")] },
];
