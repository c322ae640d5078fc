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
    Panel { title: "Memory", unit: "bytes", curves: &[("process_resident_memory_bytes", "{{instance}}")] },
];
