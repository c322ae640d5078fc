//! SET, and what becomes of it when the transaction ends.
//!
//! A setting changed within a transaction is taken back with it; SET LOCAL holds until its end either way.

use super::parameters::Parameters;
use super::{Session, Transaction};
use crate::sql::error::Result;
use crate::sql::zone;

/// The parameters to return to when the transaction ends.
pub(super) struct Saved {
    /// As they were when it began.
    before: Parameters,
    /// As they shall be once it has committed.
    after: Parameters,
}

impl Session {
    pub(super) fn set_parameter(&mut self, name: &str, value: Option<&str>, local: bool) -> Result<()> {
        if self.transaction == Transaction::Idle && local {
            let message = "SET LOCAL can only be used in transaction blocks";
            return self.wire.notice("WARNING", "25P01", message);
        }
        if self.transaction != Transaction::Idle {
            let parameters = &self.parameters;
            let saved = self
                .saved
                .get_or_insert_with(|| Saved { before: parameters.clone(), after: parameters.clone() });
            if !local {
                saved.after.set(name, value)?;
            }
        }
        let told = self.parameters.set(name, value)?;
        // Literals in plans were read in the zone of then.
        let moved = zone::enter(self.parameters.time_zone());
        if moved || ["search_path", "all"].iter().any(|path| name.eq_ignore_ascii_case(path)) {
            self.replan();
        }
        match told {
            Some((name, value)) => self.tell(&name, &value),
            None => Ok(()),
        }
    }

    /// Does what functions have asked for while a statement ran.
    pub(super) fn apply_wanted(&mut self) -> Result<()> {
        for (channel, message) in self.connection.wanted_messages() {
            self.notify(&channel, &message);
        }
        for (name, value, local) in self.connection.wanted_settings() {
            if !local || self.transaction != Transaction::Idle {
                self.set_parameter(&name, Some(&value), local)?;
            }
        }
        Ok(())
    }

    /// The transaction is over.
    pub(super) fn settle_parameters(&mut self, committed: bool) -> Result<()> {
        let Some(saved) = self.saved.take() else { return Ok(()) };
        let settled = if committed { saved.after } else { saved.before };
        let changed: Vec<(String, String)> = settled
            .reported()
            .zip(self.parameters.reported())
            .filter(|(new, old)| new != old)
            .map(|((name, value), _)| (name.to_owned(), value.to_owned()))
            .collect();
        self.parameters = settled;
        zone::enter(self.parameters.time_zone());
        self.replan();
        changed.iter().try_for_each(|(name, value)| self.tell(name, value))
    }

    /// A parameter that the client is told of, and others of the client's name, has changed.
    fn tell(&mut self, name: &str, value: &str) -> Result<()> {
        if name == "application_name" {
            self.seat.activity.is_called(value);
        }
        self.wire.parameter(name, value)
    }

    /// What names mean, or what may be done, has changed: every plan is made anew before its next run.
    pub(super) fn replan(&mut self) {
        self.plans.clear();
        self.epoch += 1;
    }
}
