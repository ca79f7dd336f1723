//! The decision: total over stages and facts. The first cause is the answer; what else stands in
//! the way follows.

use crate::action::Automation;
use crate::lock::LockKey;
use crate::places::PlacesCensus;
use crate::plan::{Failure, Phase, PlanRecord, State};
use crate::request::{Request, Wish};

use super::{Cause, Facts, Held, Waiting, Why};

/// Why the plan is not running, or that it is: at least one cause, the nearest first.
pub fn causes(facts: &Facts) -> Vec<Cause> {
    let plan = &facts.plan;
    let found = match &facts.holder {
        _ if plan.state().is_terminal() => vec![end_of_road(plan)],
        Some(held) if held.stands() => in_hand(facts, held),
        _ => at_rest(facts),
    };
    found.into_iter().map(|why| Cause { remedy: remedy(plan, &why), why }).collect()
}

fn end_of_road(plan: &PlanRecord) -> Why {
    match plan.state() {
        State::Cancelled => Why::Cancelled { reason: plan.cancel_reason.clone() },
        _ => Why::Applied,
    }
}

/// Somebody is at it.
fn in_hand(facts: &Facts, by: &Held) -> Vec<Why> {
    let lines = lines(facts, by);
    let mut found: Vec<Why> = if !lines.is_empty() {
        lines.into_iter().map(|line| Why::Waits { line: Box::new(line), by: by.clone() }).collect()
    } else if let Some(places) = full_house(facts) {
        vec![Why::NoPlace { places, by: by.clone() }]
    } else if facts.plan.state() == State::Processing {
        vec![Why::Runs { by: by.clone() }]
    } else {
        vec![Why::Held { by: by.clone() }]
    };
    // What was asked of a term before this one is no longer asked of anybody.
    let answerable = |request: &&Request| match request.wish {
        Wish::Cancel { .. } => true,
        Wish::LetGo { token } => token == by.lock.token,
    };
    let asked = facts.requests.iter().filter(answerable);
    found.extend(asked.map(|request| Why::Asked { request: request.clone() }));
    found
}

/// The lines its driver stands in; where nobody keeps a line, the projects that others hold while
/// it is at apply, which takes them all.
fn lines(facts: &Facts, by: &Held) -> Vec<Waiting> {
    if !facts.waiting.is_empty() || facts.plan.phase() != Phase::Apply {
        return facts.waiting.clone();
    }
    let others = facts.projects.iter().filter(|held| held.stands() && held.lock.owner != by.lock.owner);
    let line = |held: &Held| Waiting {
        key: held.lock.key.clone(),
        position: None,
        ahead: Vec::new(),
        holder: Some(held.clone()),
    };
    others.map(line).collect()
}

/// All places, if they are taken and none by this plan. An attempt takes its place before it starts:
/// whoever is queued, or between two commands, waits for one then.
fn full_house(facts: &Facts) -> Option<PlacesCensus> {
    let at_work = matches!(facts.plan.state(), State::Queued | State::Processing);
    let places = facts.places.as_ref().filter(|_| at_work)?;
    let full = places.taken.len() >= usize::try_from(places.total).unwrap_or(usize::MAX);
    let ours = places.taken.iter().any(|place| place.plan == facts.plan.id);
    (full && !ours).then(|| places.clone())
}

/// Nobody is at it. Whoever comes next finds what a dead driver left, and then what was asked.
fn at_rest(facts: &Facts) -> Vec<Why> {
    let open = facts.requests.iter().filter(|request| matches!(request.wish, Wish::Cancel { .. }));
    let asked = open.map(|request| Why::Asked { request: request.clone() });
    if facts.plan.state() == State::Processing {
        return [Why::NoDriver { last: facts.holder.clone() }].into_iter().chain(asked).collect();
    }
    asked.chain([of_stage(facts)]).collect()
}

/// What the plan itself says.
fn of_stage(facts: &Facts) -> Why {
    let plan = &facts.plan;
    let failure = || plan.failure.clone().unwrap_or_else(unexplained);
    match plan.state() {
        State::Errored => Why::Errored { failure: failure() },
        State::Constrained => Why::Constrained { failure: failure() },
        State::Complete => complete(plan),
        _ => queued(facts),
    }
}

/// The domain refuses such a plan (`Plan::from_storage`); a record alone may still be one.
fn unexplained() -> Failure {
    let (code, message) = ("unknown".to_owned(), "nothing says why".to_owned());
    Failure { code, message, hint: None, retryable: false }
}

/// A phase is done: the level says stop, or nobody has gone on.
pub(super) fn complete(plan: &PlanRecord) -> Why {
    let next = next_phase(plan);
    let stops = match plan.automation {
        Automation::Manual => true,
        Automation::Review => next == Phase::Apply,
        Automation::Auto => false,
    };
    if stops { Why::AwaitsApproval { next, level: plan.automation } } else { Why::NotOrdered { next } }
}

fn queued(facts: &Facts) -> Why {
    let Some(parked) = &facts.plan.parked else { return Why::NotOrdered { next: facts.plan.phase() } };
    match (&parked.input, parked.until) {
        (Some(question), _) => Why::AwaitsInput { question: question.clone() },
        (None, Some(until)) if until <= facts.now => Why::NotOrdered { next: facts.plan.phase() },
        (None, until) => Why::Parked { until, cause: parked.cause.clone() },
    }
}

/// The phase that a command for a plan at rest would begin.
fn next_phase(plan: &PlanRecord) -> Phase {
    match (plan.phase(), plan.state()) {
        (Phase::Strategize, State::Complete) => Phase::Execute,
        (Phase::Execute, State::Complete) => Phase::Apply,
        (phase, _) => phase,
    }
}

/// The command that helps.
fn remedy(plan: &PlanRecord, why: &Why) -> String {
    let id = plan.id;
    match why {
        Why::Runs { .. } => format!("agents plan wait {id}"),
        Why::Held { .. } => format!("agents lock explain {}", LockKey::Plan(id)),
        Why::Waits { line, .. } => format!("agents lock explain {}", line.key),
        Why::NoPlace { .. } => "agents plan list --state processing".to_owned(),
        Why::NoDriver { .. } => "agents recover".to_owned(),
        Why::Asked { request } => match request.wish {
            Wish::Cancel { .. } => format!("agents plan cancel {id}"),
            Wish::LetGo { .. } => format!("agents lock explain {}", LockKey::Plan(id)),
        },
        Why::AwaitsInput { .. } => format!("agents plan prompt {id} \"…\""),
        Why::Parked { .. } | Why::AwaitsApproval { .. } | Why::NotOrdered { .. } => order(plan),
        Why::Errored { failure } | Why::Constrained { failure } => {
            // The failure may know a better one: with a flag.
            let known = failure.hint.clone().filter(|hint| hint.starts_with("agents plan retry"));
            known.unwrap_or_else(|| format!("agents plan retry {id}"))
        }
        Why::Applied => format!("agents plan diff {id}"),
        Why::Cancelled { .. } => format!("agents plan events {id}"),
    }
}

fn order(plan: &PlanRecord) -> String {
    let command = if next_phase(plan) == Phase::Apply { "apply" } else { "execute" };
    format!("agents plan {command} {}", plan.id)
}
