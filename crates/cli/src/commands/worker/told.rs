//! What a worker is heard to do: a line on stderr for people, and an object for programs.

use std::sync::Mutex;
use std::sync::{Arc, PoisonError};

use agents_application::Observer;
use agents_application::worker::Overseer;
use agents_domain::id::PlanId;
use agents_domain::lock::{HeldLock, Standing};
use agents_domain::orders::WorkOrder;
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Change as PlanChange, Plan, StoreError};
use agents_domain::time::Timestamp;
use agents_domain::workers::Worker;
use serde_json::{Value, json};
use tokio::sync::mpsc::UnboundedSender;

use crate::failure::Failure;
use crate::render::{Change, Grid, Progress, Seen, rfc3339};
use crate::watch::Watch;

/// Passes on what goes on.
pub(super) struct Told {
    watch: Arc<Watch>,
    progress: Arc<Progress>,
    sender: Mutex<UnboundedSender<Change>>,
}

impl Told {
    pub(super) const fn new(
        watch: Arc<Watch>,
        progress: Arc<Progress>,
        sender: UnboundedSender<Change>,
    ) -> Self {
        Self { watch, progress, sender: Mutex::new(sender) }
    }

    /// A line for people alone.
    pub(super) fn say(&self, line: &str) {
        self.progress.transition(line);
    }

    /// An object for programs alone.
    fn send(&self, id: &str, object: Value) {
        let change = Change { id: id.to_owned(), line: String::new(), object };
        // Nobody listens any more at the very end.
        let _ = self.sender.lock().unwrap_or_else(PoisonError::into_inner).send(change);
    }

    fn tell(&self, event: &str, plan: Option<PlanId>, line: &str, mut more: Value) {
        self.say(line);
        let id = plan.map(|plan| plan.to_string());
        more["event"] = event.into();
        more["plan_id"] = id.clone().into();
        self.send(&id.unwrap_or_default(), more);
    }
}

/// How a failure of the worker itself is shown to programs.
pub(super) fn failed(failure: &Failure) -> Seen {
    let object = json!({
        "event": "failed", "plan_id": null,
        "error": { "code": failure.code, "message": failure.message, "retryable": failure.retryable },
    });
    let change = Change { id: String::new(), line: String::new(), object };
    Seen { whole: Grid::new(&[]), changes: vec![change] }
}

impl Observer for Told {
    fn transition(&self, plan: &Plan, change: &PlanChange) {
        self.watch.transition(plan, change);
        let id = plan.id.to_string();
        self.send(
            &id,
            json!({
                "event": change.event_name(),
                "plan_id": id,
                "phase": plan.phase().as_str(),
                "state": plan.state().as_str(),
                "attempt": plan.attempt,
                "version": plan.version,
                "at": rfc3339(plan.updated_at),
            }),
        );
    }

    fn waiting(&self, standing: &Standing) {
        self.watch.waiting(standing);
    }

    fn asked(&self, held: &HeldLock) {
        self.watch.asked(held);
    }

    fn crowded(&self, census: &PlacesCensus) {
        self.watch.crowded(census);
    }

    fn pausing(&self, plan: &Plan, until: Timestamp) {
        self.watch.pausing(plan, until);
    }

    /// At once: the end may be days away.
    fn warning(&self, text: &str) {
        self.tell("warning", None, &format!("warning: {text}"), json!({ "message": text }));
    }
}

impl Overseer for Told {
    fn begun(&self, worker: &Worker) {
        let (id, room) = (worker.id.as_str(), worker.concurrency);
        let line = format!("worker {id} takes up what is ordered, {room} at once");
        self.tell("worker.begun", None, &line, json!({ "worker_id": id, "concurrency": room }));
    }

    fn taken(&self, order: &WorkOrder) {
        let (plan, goal) = (order.wanted.plan, order.wanted.goal);
        let line = format!("plan {plan} taken up, to go up to {goal}");
        self.tell("order.taken", Some(plan), &line, json!({ "goal": goal.as_str() }));
    }

    fn ended(&self, plan: PlanId, outcome: &str) {
        let line = format!("plan {plan}: its order has ended: {outcome}");
        self.tell("order.ended", Some(plan), &line, json!({ "outcome": outcome }));
    }

    fn given_back(&self, plan: PlanId, why: &str, until: Option<Timestamp>) {
        let rest = until.map(|until| format!(", not before {}", rfc3339(until))).unwrap_or_default();
        let line = format!("plan {plan} stays ordered{rest}: {why}");
        let more = json!({ "reason": why, "not_before": until.map(rfc3339) });
        self.tell("order.given_back", Some(plan), &line, more);
    }

    fn doubted(&self, worker: &Worker) {
        let process = &worker.process;
        let line = format!(
            "worker {} (pid {} on {}) is silent and has plans in hand; waiting a minute to see whether it is gone",
            worker.id, process.pid, process.host
        );
        let more = json!({ "worker_id": worker.id.as_str(), "host": process.host, "pid": process.pid });
        self.tell("worker.silent", None, &line, more);
    }

    fn lost(&self, worker: &Worker) {
        let process = &worker.process;
        let line = format!(
            "worker {} (pid {} on {}) is gone; what it had in hand is free",
            worker.id, process.pid, process.host
        );
        let more = json!({ "worker_id": worker.id.as_str(), "host": process.host, "pid": process.pid });
        self.tell("worker.lost", None, &line, more);
    }

    fn draining(&self, running: usize) {
        let line = match running {
            0 => "asked to end: nothing more is taken up".to_owned(),
            n => format!("asked to end: nothing more is taken up, {n} running go on; once more stops them"),
        };
        self.tell("worker.draining", None, &line, json!({ "running": running }));
    }

    fn away(&self, error: &StoreError) {
        let line = format!("{error}; trying again");
        self.tell("store.away", None, &line, json!({ "message": error.to_string() }));
    }

    fn back(&self) {
        self.tell("store.back", None, "the store is there again", json!({}));
    }
}
