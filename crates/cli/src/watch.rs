//! What a person is told while work goes on, and what is said again at the end.
//!
//! A child is named by its names from the top, beside the plan that they lead down from.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use agents_application::Observer;
use agents_domain::id::PlanId;
use agents_domain::lock::{HeldLock, Standing};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Change, Plan};
use agents_domain::reads::PlanView;
use agents_domain::subplan::{Subplan, Totals};
use agents_domain::time::Timestamp;

use crate::render::{Progress, event_line, first_line, occupant_lines, places_line, rfc3339, waiting_line};

/// Passes transitions and waits on to the progress display; keeps warnings for the report.
pub struct Watch {
    progress: Arc<Progress>,
    warnings: Mutex<Vec<String>>,
    /// The children that have moved.
    children: Mutex<BTreeMap<PlanId, Subplan>>,
    /// Whose children are counted: the first plan that ran any.
    counted: Mutex<Option<PlanId>>,
}

impl Watch {
    /// Shows things on that display.
    pub fn new(progress: Arc<Progress>) -> Self {
        let (children, counted) = (Mutex::default(), Mutex::default());
        Self { progress, warnings: Mutex::default(), children, counted }
    }

    /// `plan 01J…`, or of a child ``plan 01J… subplan `api/client` ``. Whoever runs a child has moved
    /// its parent before, so its names are known up to the plan that was ordered.
    fn named(&self, plan: &Plan) -> String {
        let Some(own) = &plan.subplan else { return format!("plan {}", plan.id) };
        let mut children = self.children.lock().unwrap_or_else(PoisonError::into_inner);
        children.insert(plan.id, own.clone());
        let above = |child: &&Subplan| children.get(&child.parent);
        let line: Vec<&Subplan> = std::iter::successors(Some(own), above).collect();
        let names: Vec<&str> = line.iter().rev().map(|child| child.name.as_str()).collect();
        let head = line.last().map_or(plan.id, |child| child.parent);
        format!("plan {head} subplan `{}`", names.join("/"))
    }

    /// The warnings so far; they are handed out once.
    pub fn take_warnings(&self) -> Vec<String> {
        std::mem::take(&mut *self.warnings.lock().unwrap_or_else(PoisonError::into_inner))
    }
}

impl Observer for Watch {
    fn transition(&self, plan: &Plan, change: &Change) {
        let named = self.named(plan);
        let text = match change {
            Change::Spawned { .. } => format!("{named}: its subplans are stored: {}", event_line(change)),
            Change::SubplanMerged { name, .. } => format!("{named}: `{name}` is merged"),
            Change::SubplanConflicted { name, failure, .. } => {
                format!("{named}: `{name}` is not merged: {}: {}", failure.code, first_line(&failure.message))
            }
            Change::Cancelled { given_up: Some(given_up), .. } => format!("{named} {}", given_up.reason()),
            change => {
                let facts = event_line(change);
                let facts = if facts.is_empty() { facts } else { format!(": {facts}") };
                format!("{named} {}{facts}", plan.stage)
            }
        };
        self.progress.transition(&text);
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
        self.progress.transition(&format!("{} waits until {until} before attempt {next}", self.named(plan)));
    }

    fn subplans(&self, plan: &Plan, totals: &Totals) {
        let mut counted = self.counted.lock().unwrap_or_else(PoisonError::into_inner);
        if *counted.get_or_insert(plan.id) == plan.id {
            let ended = totals.merged + totals.failed + totals.cancelled;
            let open = totals.queued + totals.running + totals.parked + totals.conflicted;
            self.progress.subplans(ended, ended + open);
        }
    }

    fn warning(&self, text: &str) {
        self.warnings.lock().unwrap_or_else(PoisonError::into_inner).push(format!("warning: {text}"));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::args::Global;
    use crate::env::Env;
    use crate::render::{Capture, samples};
    use agents_domain::plan::Stage;
    use agents_domain::subplan::GivenUp;

    fn child(id: &str, parent: &Plan, name: &str) -> Plan {
        let mut record = samples::plan_at(Stage::FIRST).into_record();
        record.id = PlanId::parse(id).expect("a ULID");
        let (parent, depth) = (parent.id, parent.subplan.as_ref().map_or(1, |above| above.depth + 1));
        record.subplan = Some(Subplan {
            parent,
            root: samples::plan_id(),
            depth,
            position: 0,
            name: name.to_owned(),
            depends_on: vec![],
            failures: 0,
            given_up: None,
        });
        Plan::from_storage(record).expect("valid")
    }

    fn told(changes: &[(&Plan, Change)]) -> Vec<String> {
        let err = Capture::default();
        let progress = Progress::new(&Global::default(), &Env::default(), Box::new(err.clone()));
        let watch = Watch::new(Arc::new(progress));
        for (plan, change) in changes {
            watch.transition(plan, change);
        }
        err.text().lines().map(str::to_owned).collect()
    }

    #[test]
    fn a_child_is_named_by_its_names_from_the_top() {
        let head = samples::plan_at(Stage::FIRST);
        let api = child("01ARZ3NDEKTSV4RRFFQ69G5FA1", &head, "api");
        let client = child("01ARZ3NDEKTSV4RRFFQ69G5FA2", &api, "client");
        let lines = told(&[(&api, Change::retried()), (&client, Change::retried())]);
        let head = head.id;
        let expected =
            ["api", "api/client"].map(|path| format!("plan {head} subplan `{path}` strategize/queued"));
        assert_eq!(lines, expected);
        let alone = told(&[(&client, Change::retried())]);
        assert_eq!(alone, [format!("plan {} subplan `client` strategize/queued", api.id)]);
    }

    #[test]
    fn what_becomes_of_a_child_is_a_line_of_its_own() {
        let head = samples::plan_at(Stage::FIRST);
        let docs = child("01ARZ3NDEKTSV4RRFFQ69G5FA1", &head, "docs");
        let given_up = GivenUp::Skipped { by: "api".to_owned() };
        let skipped = Change::Cancelled {
            reason: Some(given_up.reason()),
            keep_landed: true,
            work: vec![],
            given_up: Some(given_up),
        };
        let name = "docs".to_owned();
        let (failure, tips) = (samples::error(), BTreeMap::new());
        let lines = told(&[
            (&docs, skipped),
            (&head, Change::SubplanMerged { child: docs.id, name: name.clone(), tips }),
            (&head, Change::SubplanConflicted { child: docs.id, name, failure }),
        ]);
        let head = head.id;
        assert_eq!(
            lines,
            [
                format!("plan {head} subplan `docs` skipped: `api` did not succeed"),
                format!("plan {head}: `docs` is merged"),
                format!("plan {head}: `docs` is not merged: exit_code: the command ended with 1"),
            ]
        );
    }
}
