//! The `scratchbird` binary: one file with many names, see [`scratchbird::applet`].

use std::process::ExitCode;

fn main() -> ExitCode {
    scratchbird::applet::main(std::env::args_os())
}
