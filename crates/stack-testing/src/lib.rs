//! Nothing but tests; see `tests/`. They need crates that are too heavy for whatever `xtask` leads to.
