//! Who may come in: SCRAM-SHA-256 against stored verifiers.

pub mod scram;
