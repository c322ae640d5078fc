//! How the last backup into a directory went, for a health check: a small file beside the backups.

use serde::{Deserialize, Serialize};
use std::io::{Error, ErrorKind, Result};
use std::path::Path;

const FILE: &str = "backup-status.json";
/// How late a backup may be before it is missed, in seconds.
const GRACE: i64 = 300;

/// How it went; times are seconds since 1970.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Status {
    /// When the last good one was done.
    pub last_success: Option<i64>,
    /// Why the last one failed, if it did.
    pub error: Option<String>,
    /// When the next one begins, if there is a schedule.
    pub next: Option<i64>,
}

impl Status {
    /// What the directory tells; nothing where there was no backup yet.
    pub fn read(directory: &Path) -> Result<Self> {
        let path = directory.join(FILE);
        match std::fs::read(&path) {
            Ok(text) => serde_json::from_slice(&text)
                .map_err(|error| Error::other(format!("`{}` is damaged: {error}", path.display()))),
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(Self::default()),
            Err(error) => Err(Error::new(error.kind(), format!("can't read `{}`: {error}", path.display()))),
        }
    }

    /// Writes it in one step.
    pub fn write(&self, directory: &Path) -> Result<()> {
        let temporary = directory.join(format!(".{FILE}"));
        std::fs::write(&temporary, serde_json::to_vec(self)?)?;
        std::fs::rename(&temporary, directory.join(FILE))
    }

    /// Whether all is well, in words either way.
    pub fn verdict(&self, now: i64) -> std::result::Result<String, String> {
        if let Some(error) = &self.error {
            return Err(format!("the last backup failed: {error}"));
        }
        let Some(last) = self.last_success else { return Err("there was no backup yet".to_owned()) };
        match self.next {
            Some(next) if now > next + GRACE => {
                Err(format!("the backup that was due {} s ago did not happen", now - next))
            }
            _ => Ok(format!("the last backup was made {} s ago", now - last)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_good_and_timely_backup_is_healthy() {
        let check = |last_success, error: Option<&str>, next, healthy: bool| {
            let status = Status { last_success, error: error.map(str::to_owned), next };
            assert_eq!(status.verdict(1000).is_ok(), healthy, "{status:?}");
        };
        check(None, None, None, false);
        check(Some(900), None, None, true);
        check(Some(900), None, Some(1100), true);
        check(Some(900), None, Some(900), true);
        check(Some(500), None, Some(600), false);
        check(Some(900), Some("disk full"), Some(1100), false);
    }
}
