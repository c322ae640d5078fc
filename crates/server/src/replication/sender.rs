//! A replica's session on the primary.
//!
//! Log bytes and acknowledgements take turns: what is durable is sent, then comes a keep-alive that asks for an answer,
//! and nothing more is sent before it. So one thread does both directions, also under TLS, a slow replica is never
//! ahead of its acknowledgements by more than a turn, and one that is gone is noticed within the patience.

use super::record::{Chain, now, read_chain, read_lsn, show};
use super::slots::{self, Slot};
use super::{QUIET, Role, base, disk, lock};
use crate::log as server_log;
use crate::session::{Incoming, Seat, Server, Wire};
use crate::sql::error::{Result, SqlError};
use bytes::{BufMut, Bytes, BytesMut};
use pgwire::messages::PgWireFrontendMessage as Frontend;
use pgwire::messages::copy::{CopyBothResponse, CopyData, CopyDone, CopyOutResponse};
use pgwire::messages::data::{DataRow, FieldDescription, RowDescription};
use pgwire::messages::response::{CommandComplete, TransactionStatus};
use std::time::Duration;

/// The most log bytes of one turn, and of one message.
const TURN: usize = 4 << 20;
const MESSAGE: usize = 128 * 1024;

/// Serves a replica from its login to its end.
pub fn serve(server: &Server, wire: &mut Wire, seat: &Seat, user: &str, name: &str) -> Result<()> {
    let mut session = Session { server, wire, seat, user, name };
    session.wire.ready(TransactionStatus::Idle)?;
    loop {
        match session.wire.read() {
            Ok(Frontend::Query(query)) => {
                if let Err(error) = session.command(&query.query) {
                    if error.fatal {
                        return Err(error);
                    }
                    session.wire.error(&error, "")?;
                }
                session.wire.ready(TransactionStatus::Idle)?;
            }
            Ok(Frontend::Terminate(_)) | Err(Incoming::End) => return Ok(()),
            Ok(Frontend::CopyDone(_) | Frontend::Sync(_)) => {}
            Ok(_) => {
                return Err(SqlError::fatal("08P01", "a replication connection takes simple queries only"));
            }
            Err(Incoming::TimedOut) if server.is_stopping() => return Err(leaving()),
            Err(Incoming::TimedOut) => {}
            Err(Incoming::Malformed(why)) => return Err(SqlError::fatal("08P01", why)),
        }
    }
}

fn leaving() -> SqlError {
    SqlError::fatal("57P01", "terminating connection due to administrator command")
}

struct Session<'s> {
    server: &'s Server,
    wire: &'s mut Wire,
    seat: &'s Seat,
    user: &'s str,
    name: &'s str,
}

impl Session<'_> {
    fn command(&mut self, text: &str) -> Result<()> {
        let words: Vec<&str> = text.trim_end_matches([';', ' ']).split_whitespace().collect();
        match words.as_slice() {
            ["IDENTIFY_SYSTEM"] => self.identify(),
            ["BASE_BACKUP"] => self.copy(),
            ["START_REPLICATION", lsn, "CHAIN", chain, "TIMELINE", timeline, "GENERATION", generation] => {
                let wrong = || SqlError::new("42601", format!("can't read the command `{text}`"));
                let lsn = read_lsn(lsn).ok_or_else(wrong)?;
                let chain = read_chain(chain).ok_or_else(wrong)?;
                self.start(lsn, chain, timeline.parse().map_err(|_| wrong())?, generation)
            }
            ["FENCE", generation, timeline] => self.fence(generation, timeline.parse().unwrap_or(0)),
            _ => Err(SqlError::new("42601", format!("unknown replication command `{text}`"))),
        }
    }

    fn identify(&mut self) -> Result<()> {
        let (replication, state) = (&self.server.replication, self.server.replication.state());
        let end = replication.log().map_or(0, |log| log.whole().lsn);
        let fields = [
            ("systemid", state.generation),
            ("timeline", state.timeline.to_string()),
            ("xlogpos", show(end)),
            ("dbname", String::new()),
            ("role", replication.role().name().to_owned()),
        ];
        let column = |name: &str| FieldDescription::new(name.to_owned(), 0, 0, 25, -1, -1, 0);
        self.wire.put(&RowDescription::new(fields.iter().map(|(name, _)| column(name)).collect()))?;
        let mut data = BytesMut::new();
        for (_, value) in &fields {
            data.put_i32(i32::try_from(value.len()).unwrap_or(0));
            data.put_slice(value.as_bytes());
        }
        self.wire.put(&DataRow::new(data, 5))?;
        self.wire.put(&CommandComplete::new("IDENTIFY_SYSTEM".to_owned()))
    }

    /// Only a primary has a log that others may follow.
    fn primary(&self) -> Result<()> {
        match self.server.replication.role() {
            Role::Primary => Ok(()),
            role => Err(SqlError::new("55000", format!("this server is {}, and no primary", role.name()))),
        }
    }

    /// Another server's promotion: true or not, two primaries of one history are worse than none.
    fn fence(&mut self, generation: &str, timeline: u32) -> Result<()> {
        let (replication, state) = (&self.server.replication, self.server.replication.state());
        if replication.role() == Role::Primary && state.generation == generation && timeline > state.timeline
        {
            replication.fence(&self.server.cluster, timeline)?;
        }
        self.wire.put(&CommandComplete::new("FENCE".to_owned()))
    }

    fn slot(&self, change: impl FnOnce(&mut Slot)) {
        change(lock(&self.server.replication.slots).of(self.name));
    }

    fn copy(&mut self) -> Result<()> {
        self.primary()?;
        server_log::info(&format!("replica `{}` copies everything", self.name));
        self.wire.put(&CopyOutResponse::new(1, 0, Vec::new()))?;
        let (server, name) = (self.server, self.name);
        // The log is kept from the copy's place on.
        let mut begun = |header: &base::Header| {
            *lock(&server.replication.slots).of(name) = Slot { flushed: header.lsn, ..Slot::default() };
            Ok(())
        };
        let wire = &mut *self.wire;
        let mut put = |message: Vec<u8>| {
            if server.is_stopping() {
                return Err(leaving());
            }
            wire.put(&CopyData::new(Bytes::from(message)))
        };
        base::send(server, &mut begun, &mut put).map_err(|error| SqlError { fatal: true, ..error })?;
        self.wire.put(&CopyDone::new())?;
        self.wire.put(&CommandComplete::new("BASE_BACKUP".to_owned()))
    }

    fn start(&mut self, lsn: u64, chain: Chain, timeline: u32, generation: &str) -> Result<()> {
        self.primary()?;
        let (replication, state) = (&self.server.replication, self.server.replication.state());
        let gone = |why: String| SqlError::new("58P01", why).hint("The replica must copy everything again.");
        if generation != state.generation {
            let message =
                format!("this is generation {}, and the replica has {generation}", state.generation);
            return Err(gone(message));
        }
        if timeline > state.timeline {
            replication.fence(&self.server.cluster, timeline)?;
            let message = format!("the replica has seen timeline {timeline}, and this is {}", state.timeline);
            return Err(SqlError::new("55000", message));
        }
        let log = replication.log()?;
        let own = log.chain_at(lsn).map_err(|error| disk("can't read the replication log", &error))?;
        match own {
            Some(own) if own == chain => {}
            Some(_) => return Err(gone(format!("the replica's log differs before {}", show(lsn)))),
            None if lsn < log.oldest() => {
                return Err(gone(format!("the log before {} is removed", show(lsn))));
            }
            None => return Err(gone(format!("{} is no place in this log", show(lsn)))),
        }
        let (pid, address, user) = (self.seat.pid, self.wire.stream.peer(), self.user.to_owned());
        self.slot(|slot| {
            *slot = Slot { flushed: lsn, applied: 0, sent: lsn, pid, address, user, lost: false }
        });
        server_log::info(&format!("replica `{}` follows from {}", self.name, show(lsn)));
        self.wire.put(&CopyBothResponse::new(1, 0, Vec::new()))?;
        let streamed = self.stream(lsn);
        self.slot(|slot| {
            if slot.pid == pid {
                slot.pid = 0;
            }
        });
        let why = streamed.as_ref().err().map_or("it left", |error| error.message.as_str());
        server_log::info(&format!("replica `{}` no longer follows: {why}", self.name));
        streamed.map_err(|error| SqlError { fatal: true, ..error })
    }

    fn stream(&mut self, mut sent: u64) -> Result<()> {
        let patience = Duration::from_millis(self.server.settings.time("replication_timeout"));
        let (replication, log) = (&self.server.replication, self.server.replication.log()?);
        self.wire.set_limit(Some(patience))?;
        loop {
            let durable = log.wait(sent, QUIET);
            // At a shutdown a replica gets everything first; the log has grown its last when clients are gone.
            if self.server.is_stopping() && (replication.is_ending() && durable == sent) {
                return Err(leaving());
            }
            if self.seat.interrupt.terminated() {
                return Err(leaving());
            }
            self.primary()?;
            let turn = sent + TURN as u64;
            while sent < durable.min(turn) {
                let bytes = log
                    .read(sent, MESSAGE)
                    .map_err(|error| disk("can't read the replication log", &error))?;
                let mut message = BytesMut::with_capacity(bytes.len() + 25);
                message.put_u8(b'w');
                message.put_u64(sent);
                message.put_u64(durable);
                message.put_i64(now());
                message.put_slice(&bytes);
                sent += bytes.len() as u64;
                self.wire.put(&CopyData::new(message.freeze()))?;
            }
            let mut message = BytesMut::new();
            message.put_u8(b'k');
            message.put_u64(durable);
            message.put_i64(now());
            message.put_u8(1);
            self.wire.put(&CopyData::new(message.freeze()))?;
            self.wire.flush()?;
            self.slot(|slot| slot.sent = sent);
            if !self.acknowledgement(sent)? {
                return Ok(());
            }
        }
    }

    /// Takes the replica's answer; says whether it stays.
    fn acknowledgement(&mut self, sent: u64) -> Result<bool> {
        match self.wire.read() {
            Ok(Frontend::CopyData(data)) if data.data.len() >= 25 && data.data[0] == b'r' => {
                let place =
                    |at: usize| data.data[at..at + 8].iter().fold(0_u64, |n, byte| n << 8 | u64::from(*byte));
                let (flushed, applied) = (place(9), place(17));
                if flushed > sent || applied > sent {
                    return Err(SqlError::new("08P01", "the replica acknowledges what it was not sent"));
                }
                self.slot(|slot| (slot.flushed, slot.applied) = (flushed, applied));
                slots::release(self.server);
                Ok(true)
            }
            Ok(Frontend::CopyDone(_) | Frontend::Terminate(_)) | Err(Incoming::End) => Ok(false),
            Ok(_) => Err(SqlError::new("08P01", "expected an acknowledgement")),
            Err(Incoming::TimedOut) => Err(SqlError::new("57P05", "the replica did not answer in time")),
            Err(Incoming::Malformed(why)) => Err(SqlError::new("08P01", why)),
        }
    }
}
