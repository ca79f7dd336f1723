//! What a person is told while work goes on, and what is said again at the end.

use std::sync::{Arc, Mutex, PoisonError};

use agents_application::Observer;
use agents_domain::lock::{HeldLock, Standing};
use agents_domain::plan::{Change, Plan};

use crate::render::{Progress, event_line, waiting_line};

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

    fn warning(&self, text: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(format!("warning: {text}"));
    }
}
