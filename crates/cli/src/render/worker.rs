//! The list of workers, as JSON and for people.

use agents_domain::id::PlanId;
use agents_domain::lock::Liveness;
use agents_domain::time::Timestamp;
use agents_domain::workers::AtWork;
use serde_json::{Value, json};

use crate::render::{Body, Grid, LivenessOf, Report, relative, rfc3339};

/// `worker list`.
pub fn workers_report(all: &[AtWork], liveness: LivenessOf<'_>, now: Timestamp) -> Report {
    let mut grid =
        Grid::new(&["WORKER", "STATE", "USER", "HOST", "PID", "SINCE", "SEEN", "PLANS", "ROOM", "DOING"]);
    let mut views = Vec::new();
    for at_work in all {
        let (worker, process) = (&at_work.worker, &at_work.worker.process);
        let alive = at_work.liveness(liveness(process));
        let plans: Vec<&str> = at_work.plans.iter().map(PlanId::as_str).collect();
        grid.row([
            worker.id.to_string(),
            state(alive, worker.draining).to_owned(),
            process.user.clone(),
            process.host.clone(),
            process.pid.to_string(),
            relative(worker.since, now),
            relative(worker.seen, now),
            plans.len().to_string(),
            worker.concurrency.to_string(),
            plans.join(", "),
        ]);
        views.push(view(at_work, alive));
    }
    let ids = all.iter().map(|at_work| at_work.worker.id.to_string()).collect();
    Report { body: Body::Table(grid), ids, ..Report::of(json!({ "workers": views })) }
}

const fn state(liveness: Liveness, draining: bool) -> &'static str {
    match liveness {
        Liveness::Alive if draining => "draining",
        liveness => liveness.as_str(),
    }
}

fn view(at_work: &AtWork, liveness: Liveness) -> Value {
    let worker = &at_work.worker;
    json!({
        "worker_id": worker.id.as_str(),
        "host": worker.process.host,
        "pid": worker.process.pid,
        "user": worker.process.user,
        "since": rfc3339(worker.since),
        "seen_at": rfc3339(worker.seen),
        "concurrency": worker.concurrency,
        "draining": worker.draining,
        "liveness": liveness.as_str(),
        "lost_at": worker.lost.map(rfc3339),
        "plans": at_work.plans.iter().map(PlanId::as_str).collect::<Vec<_>>(),
    })
}
