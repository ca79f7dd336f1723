//! Orders for workers, as JSON and for people.

use agents_domain::orders::WorkOrder;
use agents_domain::time::Timestamp;
use agents_domain::workers::Worker;
use serde_json::{Value, json};

use crate::render::{Body, Report, relative, rfc3339};

/// An order, and who has it in hand.
#[derive(Debug, Clone)]
pub struct InHand {
    /// The order, open or ended.
    pub order: WorkOrder,
    /// The worker that has claimed it, if it is in the list.
    pub worker: Option<Worker>,
}

/// The report of a plan, with its order: `null` if it never had one.
pub fn with_order(report: Report, order: Option<&InHand>, now: Timestamp) -> Report {
    let Report { mut data, mut body, .. } = report;
    data["order"] = order.map(order_view).into();
    if let (Body::Facts(facts), Some(order)) = (&mut body, order) {
        facts.push(("ordered", order_line(order, now)));
    }
    Report { data, body, ..report }
}

/// The `order` of a plan.
pub(super) fn order_view(in_hand: &InHand) -> Value {
    let InHand { order, worker } = in_hand;
    let (wanted, closed) = (&order.wanted, order.closed.as_ref());
    json!({
        "goal": wanted.goal.as_str(),
        "retry": wanted.again.map(agents_domain::orders::Again::as_str),
        "allow_empty": wanted.allow_empty,
        "ordered_at": rfc3339(wanted.at),
        "ordered_by": { "host": wanted.by.host, "pid": wanted.by.pid, "user": wanted.by.user },
        "not_before": order.not_before.map(rfc3339),
        "trouble": order.trouble,
        "claimed_at": order.claim.map(|claim| rfc3339(claim.since)),
        "worker": order.claim.map(|claim| worker_of(claim.worker.as_str(), worker.as_ref())),
        "ended_at": closed.map(|closed| rfc3339(closed.at)),
        "outcome": closed.map(|closed| &closed.outcome),
    })
}

fn worker_of(id: &str, worker: Option<&Worker>) -> Value {
    let process = worker.map(|worker| &worker.process);
    json!({
        "worker_id": id,
        "host": process.map(|process| &process.host),
        "pid": process.map(|process| process.pid),
        "user": process.map(|process| &process.user),
    })
}

/// The same for people: what, by whom, since when, and how it stands.
pub(super) fn order_line(in_hand: &InHand, now: Timestamp) -> String {
    let InHand { order, worker } = in_hand;
    let wanted = &order.wanted;
    let by = &wanted.by;
    let when = relative(wanted.at, now);
    let stands = match (&order.closed, &order.claim, worker) {
        (Some(closed), _, _) => format!("ended {}: {}", relative(closed.at, now), closed.outcome),
        (None, Some(_), Some(worker)) => {
            let process = &worker.process;
            format!("in hand of a worker (pid {} on {})", process.pid, process.host)
        }
        (None, Some(claim), None) => format!("in hand of worker {}", claim.worker),
        (None, None, _) => waits(order, now),
    };
    format!("{} by {} (pid {} on {}) {when}; {stands}", goal(order), by.user, by.pid, by.host)
}

/// How far it goes.
pub(super) fn goal(order: &WorkOrder) -> String {
    let retry = if order.wanted.again.is_some() { "to be tried again, " } else { "" };
    format!("{retry}up to {}", order.wanted.goal)
}

fn waits(order: &WorkOrder, now: Timestamp) -> String {
    let until = order.not_before.filter(|until| now < *until);
    let until = until.map(|until| format!(" from {} on", rfc3339(until))).unwrap_or_default();
    let trouble = order.trouble.as_ref().map(|trouble| format!("; last time: {trouble}")).unwrap_or_default();
    format!("waits for a worker{until}{trouble}")
}
