//! ScratchBird: a small, durable database server that speaks the Postgres protocol.
//!
//! A client's bytes walk [`session`] → [`sql`] → [`engine`] and back, never sideways. [`cluster`] owns
//! the data directory, [`auth`] knows who may come in, [`applet`] is what the command line can start,
//! [`client`] is the other end of the protocol, [`http`] the probes, [`backup`] the archives,
//! [`replication`] what primary and replica do.

pub mod applet;
pub mod auth;
pub mod backup;
pub mod client;
pub mod cluster;
pub mod engine;
pub mod http;
pub mod log;
pub mod metrics;
pub mod replication;
pub mod session;
pub mod sql;
