//! `pg_catalog`: who is connected, who follows, and what is counted of it.

use super::objects::{kind_letter, owner, relations};
use super::pg::indexes;
use super::*;

pub(super) const STATISTICS: &[System] = &[
    System {
        name: "pg_stat_activity",
        columns: "datid:oid datname pid:int4 leader_pid:int4 usesysid:oid usename application_name:text \
            client_addr:text client_hostname:text client_port:int4 backend_start:timestamptz \
            xact_start:timestamptz query_start:timestamptz state_change:timestamptz wait_event_type:text \
            wait_event:text state:text backend_xid:text backend_xmin:text query_id:int8 query:text \
            backend_type:text",
        rows: |source| {
            let databases = source.cluster.databases();
            let row = |session: Activity| {
                let database = databases.iter().find(|database| database.name == session.database);
                let mut row = vec![Value::Null; 22];
                row[0] = database.map_or(Value::Null, |database| n(database.oid));
                row[1] = if session.replica { Value::Null } else { t(&session.database) };
                row[2] = n(session.pid.into());
                row[4] = n(owner(source, &session.user));
                row[5] = t(&session.user);
                row[21] = t(if session.replica { "walsender" } else { "client backend" });
                let Some(seen) = session.seen else {
                    row[20] = t("<insufficient privilege>");
                    return row;
                };
                let instant = |micros: Option<i64>| micros.map_or(Value::Null, n);
                row[6] = t(&seen.application);
                row[7] = session.address.map_or(Value::Null, |a| t(&a.ip().to_canonical().to_string()));
                row[9] = n(session.address.map_or(-1, |address| address.port().into()));
                row[10] = n(seen.connected);
                row[11] = instant(seen.transaction);
                row[12] = instant(seen.statement);
                row[13] = n(seen.changed);
                row[16] = t(seen.state);
                row[20] = t(&seen.query);
                row
            };
            source.cluster.sessions().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_stat_replication",
        columns: "pid:int4 usesysid:oid usename application_name:text client_addr:text client_hostname:text \
            client_port:int4 backend_start:timestamptz backend_xmin:text state:text sent_lsn:text write_lsn:text \
            flush_lsn:text replay_lsn:text write_lag:interval flush_lag:interval replay_lag:interval \
            sync_priority:int4 sync_state:text reply_time:timestamptz",
        rows: |source| {
            let connected = source.cluster.standbys().into_iter().filter(|standby| standby.pid != 0);
            let row = |standby: Standby| {
                let (address, port) = standby.address.rsplit_once(':').unwrap_or((&standby.address, ""));
                let mut row = vec![Value::Null; 20];
                row[0] = n(standby.pid.into());
                row[1] = n(owner(source, &standby.user));
                row[2] = t(&standby.user);
                row[3] = t(&standby.name);
                row[4] = t(address.trim_matches(['[', ']']));
                row[6] = port.parse().map_or(Value::Null, n);
                row[9] = t(if standby.caught_up { "streaming" } else { "catchup" });
                row[10] = t(&standby.sent);
                row[11] = t(&standby.flushed);
                row[12] = t(&standby.flushed);
                row[13] = t(&standby.applied);
                row[17] = n(i64::from(standby.synchronous));
                row[18] = t(if standby.synchronous { "quorum" } else { "async" });
                row
            };
            connected.map(row).collect()
        },
    },
    System {
        name: "pg_replication_slots",
        columns: "slot_name plugin slot_type:text datoid:oid database temporary:bool active:bool active_pid:int4 \
            xmin:text catalog_xmin:text restart_lsn:text confirmed_flush_lsn:text wal_status:text \
            safe_wal_size:int8 two_phase:bool",
        rows: |source| {
            let row = |standby: Standby| {
                let mut row = vec![Value::Null; 15];
                row[0] = t(&standby.name);
                row[2] = t("physical");
                row[5] = yes(false);
                row[6] = yes(standby.pid != 0);
                row[7] = if standby.pid == 0 { Value::Null } else { n(standby.pid.into()) };
                row[10] = t(&standby.flushed);
                row[12] = t(if standby.lost { "lost" } else { "reserved" });
                row[14] = yes(false);
                row
            };
            source.cluster.standbys().into_iter().map(row).collect()
        },
    },
    System {
        name: "pg_stat_database",
        columns: "datid:oid datname numbackends:int4 xact_commit:int8 xact_rollback:int8 blks_read:int8 \
            blks_hit:int8 tup_returned:int8 tup_fetched:int8 tup_inserted:int8 tup_updated:int8 \
            tup_deleted:int8 conflicts:int8 temp_files:int8 temp_bytes:int8 deadlocks:int8 \
            checksum_failures:int8 checksum_last_failure:timestamptz blk_read_time:float8 \
            blk_write_time:float8 session_time:float8 active_time:float8 idle_in_transaction_time:float8 \
            sessions:int8 sessions_abandoned:int8 sessions_fatal:int8 sessions_killed:int8 \
            stats_reset:timestamptz",
        rows: |source| {
            let sessions = source.cluster.sessions();
            let row = |database: Relation| {
                let here = sessions.iter().filter(|session| session.database == database.name).count();
                vec![n(database.oid), t(&database.name), n(here as i64)]
            };
            source.cluster.databases().into_iter().map(row).collect()
        },
    },
    System { name: "pg_stat_all_tables", columns: TABLE_COUNTS, rows: counted_tables },
    System { name: "pg_statio_all_tables", columns: TABLE_BLOCKS, rows: counted_tables },
    System { name: "pg_stat_user_tables", columns: TABLE_COUNTS, rows: counted_tables },
    System { name: "pg_statio_user_tables", columns: TABLE_BLOCKS, rows: counted_tables },
    System { name: "pg_stat_all_indexes", columns: INDEX_COUNTS, rows: counted_indexes },
    System { name: "pg_statio_all_indexes", columns: INDEX_BLOCKS, rows: counted_indexes },
    System { name: "pg_stat_user_indexes", columns: INDEX_COUNTS, rows: counted_indexes },
    System { name: "pg_statio_user_indexes", columns: INDEX_BLOCKS, rows: counted_indexes },
];

// SQLite counts nothing of this: what there is is told, and the figures are NULL.
const TABLE_COUNTS: &str = "relid:oid schemaname relname seq_scan:int8 seq_tup_read:int8 idx_scan:int8 \
    idx_tup_fetch:int8 n_tup_ins:int8 n_tup_upd:int8 n_tup_del:int8 n_tup_hot_upd:int8 n_live_tup:int8 \
    n_dead_tup:int8 n_mod_since_analyze:int8 n_ins_since_vacuum:int8 last_vacuum:timestamptz \
    last_autovacuum:timestamptz last_analyze:timestamptz last_autoanalyze:timestamptz vacuum_count:int8 \
    autovacuum_count:int8 analyze_count:int8 autoanalyze_count:int8";
const TABLE_BLOCKS: &str = "relid:oid schemaname relname heap_blks_read:int8 heap_blks_hit:int8 \
    idx_blks_read:int8 idx_blks_hit:int8 toast_blks_read:int8 toast_blks_hit:int8 tidx_blks_read:int8 \
    tidx_blks_hit:int8";
const INDEX_COUNTS: &str = "relid:oid indexrelid:oid schemaname relname indexrelname idx_scan:int8 \
    idx_tup_read:int8 idx_tup_fetch:int8";
const INDEX_BLOCKS: &str = "relid:oid indexrelid:oid schemaname relname indexrelname idx_blks_read:int8 \
    idx_blks_hit:int8";

fn counted_tables(source: &Source<'_>) -> Rows {
    let tables = relations(source.catalog).filter(|relation| matches!(kind_letter(relation.kind), "r" | "m"));
    tables.map(|table| vec![n(table.oid), t(table.schema()), t(table.base())]).collect()
}

fn counted_indexes(source: &Source<'_>) -> Rows {
    let row = |(table, name, oid): (&Relation, &str, i64)| {
        vec![n(table.oid), n(oid), t(table.schema()), t(table.base()), t(name)]
    };
    indexes(source.catalog).map(row).collect()
}
