//! What failed, whether it is worth another attempt, and how long to wait for it.

use std::hash::{BuildHasher as _, RandomState};
use std::io;
use std::thread;
use std::time::{Duration, Instant, SystemTime};

use crate::config::Event;
use crate::error::{Error, Result};
use crate::transport::{Call, Transport};

/// The longest sleep between two looks at the cancel flag.
const SLICE: Duration = Duration::from_millis(50);

/// Whether a failed request is worth another attempt.
pub(crate) enum Verdict {
    Fatal,
    Soon,
    After(Duration),
}

/// The result of one attempt.
pub(crate) type Attempt<T> = std::result::Result<T, Failure>;

/// An error with its verdict.
#[must_use = "a failure is either waited for or returned"]
pub(crate) struct Failure {
    pub(crate) error: Box<Error>,
    pub(crate) verdict: Verdict,
}

impl Failure {
    pub(crate) fn fatal(error: Error) -> Failure {
        Failure { error: Box::new(error), verdict: Verdict::Fatal }
    }

    pub(crate) fn soon(error: Error) -> Failure {
        Failure { error: Box::new(error), verdict: Verdict::Soon }
    }

    /// What a failed connection means: worth another attempt unless it would fail the same way again.
    pub(crate) fn transport(call: &Call<'_>, error: ureq::Error) -> Failure {
        let (problem, again) = match error {
            ureq::Error::Io(e) => {
                if e.get_ref().is_some_and(<dyn std::error::Error + Send + Sync>::is::<Error>) {
                    return Failure::fatal(Error::Cancelled);
                }
                // rustls reports a certificate that it does not trust as invalid data.
                (e.to_string(), e.kind() != io::ErrorKind::InvalidData)
            }
            ureq::Error::Timeout(phase) => (format!("nothing came in time ({phase:?})"), true),
            ureq::Error::HostNotFound => ("the host is not known to the name service".into(), true),
            // A server that breaks off may leave half a header behind.
            e @ (ureq::Error::Protocol(_) | ureq::Error::ConnectionFailed) => (e.to_string(), true),
            e => (e.to_string(), false),
        };
        let error = Error::Unreachable { subject: call.subject(), action: call.action, problem };
        if again { Failure::soon(error) } else { Failure::fatal(error) }
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Failure {
        Failure::fatal(error)
    }
}

/// Counts attempts and waits between them.
pub(crate) struct Backoff<'a> {
    transport: &'a Transport,
    failed: u32,
}

impl<'a> Backoff<'a> {
    pub(crate) fn new(transport: &'a Transport) -> Self {
        Backoff { transport, failed: 0 }
    }

    /// Starts counting anew: something was achieved.
    pub(crate) fn reset(&mut self) {
        self.failed = 0;
    }

    /// Waits for the next attempt.
    ///
    /// # Errors
    /// The failure's own error when there is no next attempt, [`Error::Cancelled`].
    pub(crate) fn wait(&mut self, failure: Failure) -> Result<()> {
        let policy = &self.transport.config.retry;
        self.failed += 1;
        let grown = policy.first.saturating_mul(1 << (self.failed - 1).min(20)).min(policy.longest);
        let jittered = grown.mul_f64(0.5 + 0.5 * random());
        let wait = match failure.verdict {
            Verdict::Fatal => return Err(*failure.error),
            _ if self.failed >= policy.attempts => return Err(*failure.error),
            Verdict::Soon => jittered,
            // Everybody who was sent away is told the same time; jitter spreads them.
            Verdict::After(asked) => asked + policy.first.mul_f64(random()),
        };
        (self.transport.config.on_event)(&Event::Retry { problem: failure.error.to_string(), wait });
        sleep(self.transport, wait)
    }
}

/// Sleeps, but not beyond a raised cancel flag.
pub(crate) fn sleep(transport: &Transport, time: Duration) -> Result<()> {
    let end = Instant::now() + time;
    loop {
        transport.check_cancelled()?;
        let left = end.saturating_duration_since(Instant::now());
        if left.is_zero() {
            return Ok(());
        }
        thread::sleep(left.min(SLICE));
    }
}

/// `Retry-After`: seconds or a date (RFC 9110 section 10.2.3).
pub(crate) fn parse_retry_after(value: &str) -> Option<Duration> {
    match value.trim().parse() {
        Ok(seconds) => Some(Duration::from_secs(seconds)),
        Err(_) => {
            let date = httpdate::parse_http_date(value.trim()).ok()?;
            Some(date.duration_since(SystemTime::now()).unwrap_or_default())
        }
    }
}

/// A number in 0..1 for jitter. The standard library's hash keys are random; nothing better is needed.
pub(crate) fn random() -> f64 {
    let bits = RandomState::new().hash_one(Instant::now()) >> 11;
    bits as f64 / (1u64 << 53) as f64
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn retry_after() {
        let seconds = |value: &str| parse_retry_after(value).map(|d| d.as_secs());
        assert_eq!(seconds("0"), Some(0));
        assert_eq!(seconds(" 120 "), Some(120));
        assert_eq!(seconds("Sun, 06 Nov 1994 08:49:37 GMT"), Some(0));
        let later = httpdate::fmt_http_date(SystemTime::now() + Duration::from_secs(600));
        assert!((590..=600).contains(&seconds(&later).unwrap()));
        assert_eq!(seconds("soon"), None);
        assert_eq!(seconds("-1"), None);
    }

    #[test]
    fn jitter_is_in_range_and_varies() {
        let numbers: Vec<f64> = (0..100).map(|_| random()).collect();
        assert!(numbers.iter().all(|n| (0.0..1.0).contains(n)));
        assert!(numbers.iter().any(|n| *n < 0.5) && numbers.iter().any(|n| *n > 0.5));
    }
}
