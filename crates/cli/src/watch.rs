//! What a person is told while work goes on, and what is said again at the end.

use std::sync::{Arc, Mutex, PoisonError};

use agents_application::Observer;
use agents_domain::lock::{HeldLock, Standing};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Change, Plan};
use agents_domain::reads::PlanView;
use agents_domain::time::Timestamp;

use crate::render::{Progress, event_line, occupant_lines, places_line, rfc3339, waiting_line};

/// Passes transitions and waits on to the progress display; keeps warnings for the report.
pub struct Watch {
    progress: Arc<Progress>,
    warnings: Mutex<Vec<String>>,
}

impl Watch {
    /// Shows things on that display.
    pub fn new(progress: Arc<Progress>) -> Self {
        Self { progress, warnings: Mutex::default() }
    }

    /// The warnings so far; they are handed out once.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Watch {
    fn transition(&self, plan: &Plan, change: &Change) {
        let facts = event_line(change);
        let facts = if facts.is_empty() { facts } else { format!(": {facts}") };
        self.progress.transition(&format!("plan {} {}{facts}", plan.id, plan.stage));
    }

    fn waiting(&self, standing: &Standing) {
        self.progress.transition(&waiting_line(standing));
    }

    fn asked(&self, held: &HeldLock) {
        let holder = &held.holder;
        self.progress.transition(&format!(
            "asked {} (pid {} on {}) to let go of {}; waiting for the answer",
            holder.user, holder.pid, holder.host, held.key
        ));
    }

    fn undriven(&self, plan: &PlanView) {
        let (id, stage) = (plan.record.id, plan.record.stage);
        self.progress
            .transition(&format!("nobody drives plan {id} ({stage}); `agents plan why {id}` says why"));
    }

    fn crowded(&self, census: &PlacesCensus) {
        let who = occupant_lines(census).join("; ");
        self.progress.transition(&format!("waiting for a place: {}: {who}", places_line(census)));
    }

    fn pausing(&self, plan: &Plan, until: Timestamp) {
        let (next, until) = (plan.attempt.saturating_add(1), rfc3339(until));
        self.progress.transition(&format!("plan {} waits until {until} before attempt {next}", plan.id));
    }

    fn warning(&self, text: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(format!("warning: {text}"));
    }
}
