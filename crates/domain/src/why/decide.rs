//! The decision: total over stages and facts. The first cause is the answer; what else stands in
//! the way follows.

use crate::action::Automation;
use crate::places::PlacesCensus;
use crate::plan::{Failure, Phase, PlanRecord, State};
use crate::request::{Request, Wish};

use super::ordered;
use super::remedy::remedy;
use super::{Above, Cause, Facts, Held, Stall, Waiting, Why};

/// Why the plan is not running, or that it is: at least one cause, the nearest first.
pub fn causes(facts: &Facts) -> Vec<Cause> {
    let plan = &facts.plan;
    let found = match &facts.holder {
        _ if plan.state().is_terminal() => vec![end_of_road(plan)],
        Some(held) if held.stands() => in_hand(facts, held),
        _ => ordered::among(facts, at_rest(facts)),
    };
    found.into_iter().map(|why| Cause { remedy: remedy(facts, &why), why }).collect()
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
    } else if facts.plan.state() == State::Processing && is_about_children(facts) {
        let runs = Why::RunsChildren { by: by.clone(), tally: facts.below.tally.clone() };
        [runs].into_iter().chain(facts.below.stalled.iter().cloned().map(Why::Stalled)).collect()
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

/// Whether its attempt, or the next one, is about its children, and not about a command of its own.
fn is_about_children(facts: &Facts) -> bool {
    let plan = &facts.plan;
    let own_command = plan.last_attempt.as_ref().is_some_and(|attempt| attempt.commanded);
    let scheduling = plan.state() == State::Queued || !own_command;
    plan.phase() == Phase::Execute && scheduling && facts.below.is_open()
}

/// The lines its driver stands in; where nobody keeps a line, the projects that others hold while
/// it is at apply, which takes them all: but not for a child, which moves no branch but its parent's.
fn lines(facts: &Facts, by: &Held) -> Vec<Waiting> {
    if !facts.waiting.is_empty() || facts.plan.phase() != Phase::Apply || facts.above.is_some() {
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
/// whoever is queued, or between two commands, waits for one then. Whoever runs children takes none.
fn full_house(facts: &Facts) -> Option<PlacesCensus> {
    let at_work =
        matches!(facts.plan.state(), State::Queued | State::Processing) && !is_about_children(facts);
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
    match &facts.above {
        Some(above) => asked.chain(of_child(facts, above)).collect(),
        None => asked.chain(asking_children(facts)).chain([of_stage(facts)]).collect(),
    }
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

/// The children whose answers a plan waits for before it goes on with them.
fn asking_children(facts: &Facts) -> impl Iterator<Item = Why> {
    let waits = facts.plan.state() == State::Queued && is_about_children(facts);
    let asking = facts
        .below
        .stalled
        .iter()
        .filter(move |stalled| waits && matches!(stalled.stall, Stall::Asks { .. }));
    asking.cloned().map(Why::Stalled)
}

/// What a child says, and what it waits for. Its parent begins it, and merges it.
fn of_child(facts: &Facts, above: &Above) -> Vec<Why> {
    let plan = &facts.plan;
    if plan.phase() == Phase::Apply || (plan.phase(), plan.state()) == (Phase::Execute, State::Complete) {
        let (parent, stage) = (above.parent.plan.id, above.parent.plan.stage);
        let (failure, because) = (plan.failure.clone(), Box::new(because(above)));
        return vec![Why::MergedByParent { parent, stage, failure, because }];
    }
    let own = match of_stage(facts) {
        own @ (Why::Errored { .. } | Why::AwaitsInput { .. } | Why::Parked { .. }) => vec![own],
        _ => unready(above),
    };
    asking_children(facts).chain(own).collect()
}

/// Its siblings, and its parent unless that is at it.
fn unready(above: &Above) -> Vec<Why> {
    let siblings = above.waits_for.clone();
    let for_siblings = (!siblings.is_empty()).then_some(Why::WaitsForSubplans { siblings });
    let for_parent = (for_siblings.is_none() || !above.is_driven()).then(|| Why::WaitsForParent {
        parent: above.parent.plan.id,
        stage: above.parent.plan.stage,
        because: Box::new(because(above)),
    });
    for_siblings.into_iter().chain(for_parent).collect()
}

/// Why the parent of a child is not going on, or that it is.
pub(super) fn because(above: &Above) -> Cause {
    causes(&above.parent).swap_remove(0)
}

/// The domain refuses such a plan (`Plan::from_storage`); a record alone may still be one.
fn unexplained() -> Failure {
    let (code, message) = ("unknown".to_owned(), "nothing says why".to_owned());
    Failure { code, message, hint: None, retryable: false }
}

/// A phase is done: the level says stop, or nobody has gone on. A child goes as far as its parent
/// needs it, whatever its level.
pub(super) fn complete(plan: &PlanRecord) -> Why {
    let next = next_phase(plan);
    let stops = match plan.automation {
        _ if plan.subplan.is_some() => false,
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
pub(super) fn next_phase(plan: &PlanRecord) -> Phase {
    match (plan.phase(), plan.state()) {
        (Phase::Strategize, State::Complete) => Phase::Execute,
        (Phase::Execute, State::Complete) => Phase::Apply,
        (phase, _) => phase,
    }
}
