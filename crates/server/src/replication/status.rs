//! What clients can ask of replication: functions, views, metrics.

use super::record::{read_lsn, show};
use super::{Role, archive};
use crate::engine::Value;
use crate::session::Server;
use crate::sql::datetime;
use crate::sql::error::{Result, SqlError};
use crate::sql::system::Standby;
use std::sync::atomic::Ordering;
use std::time::Duration;

/// Seconds from 1970 to 2000 in microseconds: the server's own times count from there.
const EPOCH: i64 = datetime::EPOCH_DAYS * datetime::DAY;

/// A function of Postgres' that is about replication; `argument` is its only one, or the second of pg_promote.
pub fn function(server: &Server, name: &str, argument: &Value, superuser: bool) -> Result<Value> {
    let replication = &server.replication;
    let allowed = || {
        let message = format!("permission denied for function {name}");
        if superuser { Ok(()) } else { Err(SqlError::new("42501", message)) }
    };
    let flag = |on: bool| Value::Integer(i64::from(on));
    let lsn = |lsn: u64| Value::Text(show(lsn));
    let replica = replication.role() == Role::Replica;
    Ok(match name {
        "pg_is_in_recovery" => flag(replica),
        "pg_promote" => {
            allowed()?;
            let seconds = match argument {
                Value::Integer(seconds) if *seconds > 0 => seconds.unsigned_abs(),
                Value::Integer(0) => return replication.promote(None).map(flag),
                _ => {
                    return Err(SqlError::new(
                        "22023",
                        "\"wait_seconds\" must not be negative or equal zero",
                    ));
                }
            };
            flag(replication.promote(Some(Duration::from_secs(seconds)))?)
        }
        "pg_current_wal_lsn" if replica => {
            return Err(SqlError::new("55000", "recovery is in progress")
                .hint("WAL control functions cannot be executed during recovery."));
        }
        "pg_current_wal_lsn" => lsn(replication.log()?.whole().lsn),
        "pg_switch_wal" => {
            allowed()?;
            replication.switch_segment();
            server.cluster.gate.wake();
            lsn(replication.log()?.whole().lsn)
        }
        "pg_last_wal_receive_lsn" if replica => lsn(replication.log()?.whole().lsn),
        "pg_last_wal_replay_lsn" if replica => lsn(replication.progress().applied),
        "pg_last_xact_replay_timestamp" if replica && replication.progress().applied_time != 0 => {
            Value::Integer(replication.progress().applied_time - EPOCH)
        }
        "pg_last_wal_receive_lsn" | "pg_last_wal_replay_lsn" | "pg_last_xact_replay_timestamp" => Value::Null,
        "pg_drop_replication_slot" => {
            allowed()?;
            let Value::Text(slot) = argument else { return Ok(Value::Null) };
            if !replication.drop_slot(slot)? {
                return Err(SqlError::new("42704", format!("replication slot \"{slot}\" does not exist")));
            }
            Value::Null
        }
        _ => return Err(SqlError::new("42883", format!("function {name} does not exist"))),
    })
}

/// The distance between two places, as pg_wal_lsn_diff has it.
pub fn distance(a: &str, b: &str) -> Result<i64> {
    let read = |text: &str| {
        read_lsn(text).ok_or_else(|| {
            SqlError::new("22P02", format!("invalid input syntax for type pg_lsn: \"{text}\""))
        })
    };
    Ok(read(a)?.cast_signed().wrapping_sub(read(b)?.cast_signed()))
}

/// The replicas that the primary knows.
pub fn standbys(server: &Server) -> Vec<Standby> {
    let replication = &server.replication;
    let Ok(log) = replication.log() else { return Vec::new() };
    let end = log.whole().lsn;
    let asked = replication.synchronous.load(Ordering::SeqCst);
    let standby = |(name, slot): (String, super::slots::Slot)| Standby {
        name,
        user: slot.user,
        address: slot.address,
        pid: slot.pid,
        sent: show(slot.sent),
        flushed: show(slot.flushed),
        applied: show(slot.applied),
        lost: slot.lost,
        behind: i64::try_from(end.saturating_sub(slot.flushed)).unwrap_or(i64::MAX),
        caught_up: slot.flushed >= end,
        synchronous: asked > 0,
    };
    replication.slots().into_iter().map(standby).collect()
}

/// The figures of replication: name, kind, help, and the values with their labels.
pub type Figure = (&'static str, &'static str, &'static str, Vec<(Option<(&'static str, String)>, f64)>);

/// The figures of replication for the page of metrics.
#[expect(clippy::cast_precision_loss, reason = "Prometheus knows only floating point")]
pub fn figures(server: &Server) -> Vec<Figure> {
    let replication = &server.replication;
    let role = replication.role();
    let one = |value: f64| vec![(None, value)];
    let label = |name: &'static str, value: &str| Some((name, value.to_owned()));
    let mut figures: Vec<Figure> = vec![(
        "scratchbird_replication_role",
        "gauge",
        "1 for the role that this server has.",
        [Role::Standalone, Role::Primary, Role::Replica, Role::Fenced]
            .map(|known| (label("role", known.name()), f64::from(u8::from(known == role))))
            .into(),
    )];
    let Ok(log) = replication.log() else { return figures };
    let end = log.whole().lsn;
    let timeline = f64::from(replication.state().timeline);
    figures.push((
        "scratchbird_replication_timeline",
        "gauge",
        "Promotions of this history, and one.",
        one(timeline),
    ));
    let help = "Bytes of the replication log since it began.";
    figures.push(("scratchbird_replication_position_bytes", "counter", help, one(end as f64)));
    let held = end.saturating_sub(log.oldest()) as f64;
    figures.push((
        "scratchbird_replication_log_bytes",
        "gauge",
        "The size of the replication log.",
        one(held),
    ));
    if let Some(lag) = replication.lag() {
        let progress = replication.progress();
        let connected = f64::from(u8::from(progress.connected));
        let bytes = progress.primary_end.saturating_sub(progress.applied) as f64;
        // A replica that was never up to date says so by a figure beyond all limits.
        let seconds = if lag == Duration::MAX { f64::INFINITY } else { lag.as_secs_f64() };
        let help = "How long ago this replica was up to date.";
        figures.push(("scratchbird_replication_lag_seconds", "gauge", help, one(seconds)));
        let help = "What the primary has told of and this replica has not applied.";
        figures.push(("scratchbird_replication_lag_bytes", "gauge", help, one(bytes)));
        let help = "Whether the primary's log is coming in.";
        figures.push(("scratchbird_replication_connected", "gauge", help, one(connected)));
    }
    if role == Role::Primary {
        let slots = replication.slots();
        let values =
            slots.iter().map(|(name, slot)| (label("replica", name), f64::from(u8::from(slot.pid != 0))));
        let help = "Whether a replica is connected.";
        figures.push(("scratchbird_replica_connected", "gauge", help, values.collect()));
        let values = slots
            .iter()
            .map(|(name, slot)| (label("replica", name), end.saturating_sub(slot.flushed) as f64));
        let help = "Bytes of the log that a replica has not made durable.";
        figures.push(("scratchbird_replica_behind_bytes", "gauge", help, values.collect()));
    }
    if archive::directory(server).is_some() {
        let behind = end.saturating_sub(replication.archived.load(Ordering::SeqCst)) as f64;
        let help = "Bytes of the log that are not in the archive yet.";
        figures.push(("scratchbird_archive_behind_bytes", "gauge", help, one(behind)));
        let failures = replication.archive_failures.load(Ordering::SeqCst) as f64;
        let help = "Attempts to archive that failed.";
        figures.push(("scratchbird_archive_failures_total", "counter", help, one(failures)));
    }
    figures
}
