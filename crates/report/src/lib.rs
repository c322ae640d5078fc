//! What was measured and tried, as people and other programs read it: the page of `cargo xtask report`, JUnit XML, and
//! the histories of benchmarks and sizes with their comparison.
//!
//! A crate of its own and no part of `plan`, which decides what will be built, or of `supply`, which tells what an image
//! is made of: this only shows what it is given. It knows neither images nor probes, but trees of bytes, tables, series
//! of figures and cases. Pure: `clippy.toml` bans the outside, `tests/boundaries.rs` in xtask checks the dependencies.

pub mod compare;
pub mod history;
pub mod junit;
pub mod page;
pub mod treemap;
