//! What people see: progress on stderr, as a bar on a terminal and as plain lines elsewhere; errors in one line.

use std::collections::HashMap;
use std::fmt;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use indicatif::{MultiProgress, ProgressBar, ProgressDrawTarget, ProgressStyle};

/// Says what goes on. Clones write to the same place.
#[derive(Clone)]
pub struct Ui {
    quiet: bool,
    bars: MultiProgress,
    transfers: Arc<Mutex<HashMap<String, ProgressBar>>>,
}

/// A command line that contradicts itself, beyond what clap sees: exit code 2.
#[derive(Debug)]
pub struct Usage(pub String);

impl fmt::Display for Usage {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for Usage {}

/// Whether the command line is at fault.
pub fn is_usage(error: &anyhow::Error) -> bool {
    error.chain().any(|cause| {
        cause.is::<Usage>() || cause.downcast_ref::<plan::Error>().is_some_and(plan::Error::is_usage)
    })
}

impl Ui {
    /// With `quiet` only errors are said.
    pub fn new(quiet: bool) -> Ui {
        let target = if quiet { ProgressDrawTarget::hidden() } else { ProgressDrawTarget::stderr() };
        Ui { quiet, bars: MultiProgress::with_draw_target(target), transfers: Arc::default() }
    }

    /// Whether progress is unwanted.
    pub fn is_quiet(&self) -> bool {
        self.quiet
    }

    /// A step that was done, or a note: a verb and its object.
    pub fn line(&self, verb: &str, object: impl fmt::Display) {
        if !self.quiet {
            self.bars.suspend(|| eprintln!("{verb:>10} {object}"));
        }
    }

    /// The error and its causes, as one line.
    pub fn error(&self, error: &anyhow::Error) {
        let text =
            whole(error).lines().map(str::trim).filter(|l| !l.is_empty()).collect::<Vec<_>>().join("; ");
        self.bars.suspend(|| eprintln!("error: {text}"));
    }

    /// What a registry client tells of its transfers.
    pub fn transfer(&self, event: &registry::Event<'_>) {
        match event {
            registry::Event::Progress { digest, done, total } => {
                let mut transfers = self.transfers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                let bar =
                    transfers.entry(digest.to_string()).or_insert_with(|| self.bar(digest.digest(), *total));
                bar.set_position(*done);
            }
            registry::Event::Finished { digest, bytes, how } => {
                let mut transfers = self.transfers.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
                if let Some(bar) = transfers.remove(&digest.to_string()) {
                    bar.finish_and_clear();
                }
                let verb = match how {
                    registry::How::Fetched => "pulled",
                    registry::How::Uploaded => "pushed",
                    registry::How::Mounted { .. } => "mounted",
                    _ => return,
                };
                self.line(verb, format_args!("{digest} ({})", bytes_text(*bytes)));
            }
            registry::Event::Retry { problem, wait } => {
                self.line("again", format_args!("in {:.1} s: {problem}", wait.as_secs_f64()));
            }
            registry::Event::MirrorFailed { mirror, problem } => {
                self.line("mirror", format_args!("{mirror} is left out: {problem}"));
            }
            registry::Event::HelperFailed { program, problem } => {
                self.line("login", format_args!("{program} is left out: {problem}"));
            }
            _ => {}
        }
    }

    fn bar(&self, digest: &str, total: u64) -> ProgressBar {
        let style = ProgressStyle::with_template("{msg} [{wide_bar}] {bytes}/{total_bytes} {eta}")
            .expect("the template is well-formed")
            .progress_chars("=> ");
        let bar =
            self.bars.add(ProgressBar::new(total).with_style(style).with_message(digest[..12].to_string()));
        bar.enable_steady_tick(Duration::from_millis(200));
        bar
    }
}

/// A number of bytes for people: `2.9 MB`.
pub fn bytes_text(bytes: u64) -> String {
    match bytes {
        0..1_000 => format!("{bytes} B"),
        1_000..1_000_000 => format!("{:.1} kB", bytes as f64 / 1e3),
        1_000_000..1_000_000_000 => format!("{:.1} MB", bytes as f64 / 1e6),
        _ => format!("{:.1} GB", bytes as f64 / 1e9),
    }
}

/// An error with its causes, each once: some say their cause themselves.
fn whole(error: &anyhow::Error) -> String {
    error.chain().skip(1).fold(error.to_string(), |text, cause| {
        let cause = cause.to_string();
        if text.ends_with(&cause) { text } else { format!("{text}: {cause}") }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn sizes_for_people() {
        let check = |bytes, expect: &str| assert_eq!(bytes_text(bytes), expect);
        check(999, "999 B");
        check(1_000, "1.0 kB");
        check(2_912_345, "2.9 MB");
        check(3_000_000_000, "3.0 GB");
    }

    #[test]
    fn a_cause_is_told_once() {
        let check = |error: anyhow::Error| assert_eq!(whole(&error), "a: cannot read: no");
        check(oci::Error::io("read", "a")(std::io::Error::other("no")).into());
        check(anyhow::anyhow!("no").context("a: cannot read"));
    }

    #[test]
    fn usage_is_found_below_context() {
        let usage = anyhow::Error::new(Usage("x".into())).context("while y");
        let failure = anyhow::anyhow!("x").context("while y");
        assert!(is_usage(&usage) && !is_usage(&failure));
    }
}
