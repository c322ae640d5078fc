//! `healthcheck`: 0 if this container's server answers on its Unix socket, 1 and the reason if not.
//!
//! The socket is made after the first start's initialisation, so that can't pass for healthy. The
//! answer comes within 3 seconds and needs no password.

use super::Failure;
use super::ready::{Answer, Target, probe};
use std::process::ExitCode;

pub(super) fn run(args: &[String]) -> Result<ExitCode, Failure> {
    let target = Target::local(args)?;
    match probe(&target) {
        Answer::Accepting => {
            println!("healthy: {target} accepts connections");
            Ok(ExitCode::SUCCESS)
        }
        Answer::Rejecting(why) | Answer::None(why) => {
            Err(Failure::new(format!("unhealthy: {target}: {why}")))
        }
    }
}
