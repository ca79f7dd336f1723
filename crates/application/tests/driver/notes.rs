//! What a person would have been told.

use std::sync::Mutex;

use agents_application::Observer;
use agents_domain::lock::{HeldLock, Standing};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::Plan;
use agents_domain::subplan::Totals;
use agents_domain::time::Timestamp;

/// Remembers what a person would be told.
#[derive(Default)]
pub(crate) struct Notes(Mutex<Vec<String>>);

impl Notes {
    pub(crate) fn have(&self, text: &str) -> bool {
        self.count(text) > 0
    }

    /// How often a person was told that.
    pub(crate) fn count(&self, text: &str) -> usize {
        self.0.lock().expect("unpoisoned").iter().filter(|note| note.contains(text)).count()
    }
}

impl Observer for Notes {
    fn waiting(&self, standing: &Standing) {
        self.warning(&format!("waiting for {}", standing.key));
    }

    fn asked(&self, held: &HeldLock) {
        self.warning(&format!("asked the holder of {}", held.key));
    }

    fn crowded(&self, census: &PlacesCensus) {
        let who = census.taken.iter().map(|who| who.by.pid.to_string()).collect::<Vec<_>>().join(", ");
        self.warning(&format!("waiting for a place, taken by {who}"));
    }

    fn pausing(&self, plan: &Plan, until: Timestamp) {
        self.warning(&format!(
            "attempt {} of {} waits until {}",
            plan.attempt + 1,
            plan.id,
            until.as_millis()
        ));
    }

    fn subplans(&self, _plan: &Plan, totals: &Totals) {
        self.warning(&format!("{} merged, {} queued", totals.merged, totals.queued));
    }

    fn warning(&self, text: &str) {
        self.0.lock().expect("unpoisoned").push(text.to_owned());
    }
}
