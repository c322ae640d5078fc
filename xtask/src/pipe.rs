//! A reader that goes away: `cargo xtask tags | head -n 1` ends without a word, as every other program in a pipe does.
//!
//! Rust ignores SIGPIPE, so that `println!` panics where the signal would end other programs. Taking the signal back would
//! also end xtask where `docker load` or a scanner stops reading, and whose words are the error that is wanted. So it is
//! this panic alone that is kept quiet: the stack unwinds, temporary folders and containers go, and the exit code is a
//! shell's for a program that SIGPIPE has ended.

use std::any::Any;
use std::panic::{self, AssertUnwindSafe};
use std::process::ExitCode;

/// 128 and the number of SIGPIPE. Not 0: what was asked for may not be done.
const ENDED: u8 = 141;

/// Runs `work`; if nobody reads what it prints any more, it ends there, and quietly.
pub fn until_nobody_reads(work: impl FnOnce() -> ExitCode) -> ExitCode {
    let loud = panic::take_hook();
    panic::set_hook(Box::new(move |panic| {
        if !is_unread(panic.payload()) {
            loud(panic);
        }
    }));
    // Nothing of what `work` changed is looked at after it.
    match panic::catch_unwind(AssertUnwindSafe(work)) {
        Ok(code) => code,
        Err(payload) if is_unread(&*payload) => ExitCode::from(ENDED),
        Err(payload) => panic::resume_unwind(payload),
    }
}

/// Whether a panic is `print!`'s or `eprint!`'s about a closed pipe; the error is EPIPE, whatever its text.
fn is_unread(payload: &(dyn Any + Send)) -> bool {
    let message = payload.downcast_ref::<String>();
    message.is_some_and(|text| text.starts_with("failed printing to std") && text.ends_with("(os error 32)"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_that_panic_is_kept_quiet() {
        let check = |text: &str, expect: bool| assert_eq!(is_unread(&text.to_string()), expect, "{text}");
        check("failed printing to stdout: Broken pipe (os error 32)", true);
        check("failed printing to stderr: Broken pipe (os error 32)", true);
        check("failed printing to stdout: No space left on device (os error 28)", false);
        check("docker load: Broken pipe (os error 32)", false);
        assert!(!is_unread(&"a panic without a value"));
    }
}
