//! The engine: SQLite through rusqlite. Nothing else in the server touches it.
//!
//! One [`Database`] is one file with its write lock, sequences and checkpoints; one [`Connection`] is
//! one client's handle on it. SQLite's own waiting polls, so writers queue in process at
//! [`Database`]'s lock, which is taken at the first writing statement and released at its end.

mod aggregates;
mod backup;
mod connection;
mod database;
mod error;
mod foreign;
mod functions;
mod gate;
mod global;
mod json;
pub mod pages;
mod percentile;
mod vacuum;
pub mod wal;
mod write_lock;

pub use backup::{Snapshot, check};
pub use connection::{Connection, Interrupt, Reason, Repeated};
pub use database::Database;
pub use gate::{Gate, Tickets};
pub use global::{Global, Role};
pub use rusqlite::types::{Value, ValueRef};
pub use write_lock::HAS_SPARE_CORE;
