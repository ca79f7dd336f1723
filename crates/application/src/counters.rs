//! What one process does, counted: for whoever watches over it.
//!
//! A [`crate::LockService`] has its own, and the services that work under its locks count there too.
//! Nothing is decided by these numbers. They begin at 0 with the process and only grow.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use agents_domain::lock::LockKey;
use agents_domain::plan::{Change, Phase, Plan};

use crate::lifecycle::history::Outcome;

/// How often something took how long.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Durations {
    /// How many took as long as the bound of [`Durations::BOUNDS`] at that place, and longer than the
    /// one before.
    pub within: [u64; Durations::BOUNDS.len()],
    /// How many there were, longer ones among them.
    pub count: u64,
    /// How long they took together.
    pub sum: Duration,
}

impl Durations {
    /// From a grant without a wait to the longest phase.
    pub const BOUNDS: [Duration; 14] = [
        Duration::from_millis(1),
        Duration::from_millis(5),
        Duration::from_millis(25),
        Duration::from_millis(100),
        Duration::from_millis(500),
        Duration::from_secs(1),
        Duration::from_secs(5),
        Duration::from_secs(15),
        Duration::from_mins(1),
        Duration::from_mins(5),
        Duration::from_mins(15),
        Duration::from_hours(1),
        Duration::from_hours(4),
        Duration::from_hours(24),
    ];

    fn add(&mut self, length: Duration) {
        if let Some(place) = Self::BOUNDS.iter().position(|bound| length <= *bound) {
            self.within[place] += 1;
        }
        self.count += 1;
        self.sum += length;
    }
}

/// The numbers so far.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Counted {
    /// How long locks were waited for until they were granted, by type of what is locked.
    pub waits: BTreeMap<&'static str, Durations>,
    /// How long locks were held that are not any more, by type.
    pub holds: BTreeMap<&'static str, Durations>,
    /// Leases that were renewed.
    pub renewals: u64,
    /// Times that the store could not be asked to renew.
    pub failed_renewals: u64,
    /// Locks that were taken from a holder that was proven dead.
    pub takeovers: u64,
    /// Leases that were lost, or not renewed for so long that they counted as lost, by type.
    pub lost: BTreeMap<&'static str, u64>,
    /// Writes that the store refused, for their fence or their version was no longer good.
    pub rejected: u64,
    /// Transitions that were written, by the name of their event.
    pub transitions: BTreeMap<&'static str, u64>,
    /// How long attempts took, by phase and how they ended.
    pub phases: BTreeMap<(Phase, Outcome), Durations>,
}

/// Counts. Shared by all that count; nobody ever waits here for more than another's addition.
#[derive(Debug, Default)]
pub struct Counters(Mutex<Counted>);

impl Counters {
    /// The numbers as they are now, all of one moment.
    pub fn read(&self) -> Counted {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).clone()
    }

    fn count(&self, add: impl FnOnce(&mut Counted)) {
        add(&mut self.0.lock().unwrap_or_else(PoisonError::into_inner));
    }

    pub(crate) fn waited(&self, key: &LockKey, length: Duration) {
        self.count(|counted| counted.waits.entry(key.resource_type()).or_default().add(length));
    }

    pub(crate) fn held(&self, key: &LockKey, length: Duration) {
        self.count(|counted| counted.holds.entry(key.resource_type()).or_default().add(length));
    }

    pub(crate) fn renewed(&self) {
        self.count(|counted| counted.renewals += 1);
    }

    pub(crate) fn renewal_failed(&self) {
        self.count(|counted| counted.failed_renewals += 1);
    }

    pub(crate) fn taken_over(&self, locks: usize) {
        self.count(|counted| counted.takeovers += u64::try_from(locks).unwrap_or(u64::MAX));
    }

    pub(crate) fn lost(&self, key: &LockKey) {
        self.count(|counted| *counted.lost.entry(key.resource_type()).or_default() += 1);
    }

    pub(crate) fn rejected(&self) {
        self.count(|counted| counted.rejected += 1);
    }

    /// A change that was written, and the plan after it.
    pub(crate) fn moved(&self, plan: &Plan, change: &Change) {
        self.count(|counted| {
            *counted.transitions.entry(change.event_name()).or_default() += 1;
            // A plan may be given up long after its last attempt has ended.
            let outcome = Outcome::of(change).filter(|outcome| *outcome != Outcome::Cancelled);
            if let (Some(outcome), Some(attempt)) = (outcome, &plan.last_attempt) {
                let began = attempt.started_at.as_millis();
                let length = u64::try_from(plan.updated_at.as_millis() - began).unwrap_or(0);
                let phases = counted.phases.entry((plan.phase(), outcome)).or_default();
                phases.add(Duration::from_millis(length));
            }
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_length_counts_at_the_first_bound_that_it_does_not_pass() {
        let mut durations = Durations::default();
        for length in [Duration::ZERO, Durations::BOUNDS[0], Duration::from_millis(2), Duration::MAX / 4] {
            durations.add(length);
        }
        assert_eq!((durations.within[0], durations.within[1], durations.count), (2, 1, 4));
        assert_eq!(durations.within.iter().sum::<u64>(), 3, "what passes them all is only in the count");
        assert!(Durations::BOUNDS.is_sorted());
    }
}
