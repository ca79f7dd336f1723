//! Why a plan is not running, as JSON and for people.

use agents_domain::id::PlanId;
use agents_domain::lock::{Holder, LockKey};
use agents_domain::plan::{Failure, Phase, PlanRecord, Stage};
use agents_domain::request::{Request, Wish};
use agents_domain::time::Timestamp;
use agents_domain::why::{Cause, Held, Ordered, Relative, Stall, Stalled, Waiting, Why};
use serde_json::{Value, json};

use crate::render::lock::{holder_line, lock_details};
use crate::render::plan::{first_line, tally_line};
use crate::render::{Body, InHand, Report, occupant_lines, places_line, places_view, relative, rfc3339};

/// `plan why`: the first cause is the answer, the others stand in the way as well.
pub fn why_report(plan: &PlanRecord, causes: &[Cause], now: Timestamp) -> Report {
    let causes_view: Vec<Value> = causes.iter().map(|cause| cause_view(plan, cause, now)).collect();
    let mut data = json!({
        "plan_id": plan.id.as_str(),
        "phase": plan.phase().as_str(),
        "state": plan.state().as_str(),
    });
    for key in ["code", "reason", "remedy", "details"] {
        data[key] = causes_view.first().map_or(Value::Null, |first| first[key].clone());
    }
    data["causes"] = Value::from(causes_view);
    let mut facts = vec![
        ("plan", plan.id.to_string()),
        ("phase", plan.phase().to_string()),
        ("state", plan.state().to_string()),
    ];
    for cause in causes {
        facts.push(("why", reason(Some(plan), &cause.why, now)));
        facts.push(("help", cause.remedy.clone()));
    }
    Report { body: Body::Facts(facts), ids: vec![plan.id.to_string()], ..Report::of(data) }
}

fn cause_view(plan: &PlanRecord, cause: &Cause, now: Timestamp) -> Value {
    json!({
        "code": cause.why.code(),
        "reason": reason(Some(plan), &cause.why, now),
        "remedy": cause.remedy,
        "details": details(&cause.why),
    })
}

/// The sentence for people; without the plan it does not say which attempt it is.
fn reason(plan: Option<&PlanRecord>, why: &Why, now: Timestamp) -> String {
    match why {
        Why::Runs { by } => format!("it runs: {}", at_work(plan, by, now)),
        Why::RunsChildren { by, tally } => format!("its subplans run: {}; {}", tally_line(tally), holder(by)),
        Why::Stalled(stalled) => stall(stalled),
        Why::Held { by } => format!("held by {}", term(by, now)),
        Why::Waits { line, by } => format!("its driver, {}, {}", holder(by), in_line(line, now)),
        Why::NoPlace { places, by } => {
            let (driver, who) = (holder(by), occupant_lines(places).join("; "));
            format!("its driver, {driver}, waits for a place: {}: {who}", places_line(places))
        }
        Why::NoDriver { last: None } => "it is in the middle of a phase, and nobody drives it".to_owned(),
        Why::NoDriver { last: Some(last) } => {
            let gone = if last.lock.stale { "does not renew its lease" } else { "is dead" };
            format!("its driver {gone}: {}", term(last, now))
        }
        Why::Asked { request } => asked(request, now),
        Why::Parked { until: Some(until), cause } => format!("parked until {}: {cause}", when(*until, now)),
        Why::Parked { until: None, cause } => format!("parked until somebody goes on: {cause}"),
        Why::AwaitsInput { question } => format!("it awaits an answer to: {question}"),
        Why::AwaitsApproval { next, level } => {
            format!("{} is complete; at the level {level}, {next} needs its command", before(*next))
        }
        Why::NotOrdered { next } => format!("{next} could begin, and nobody has ordered it"),
        Why::Ordered(ordered) => format!("it is ordered {}", order_words(ordered, now)),
        Why::WaitsForSubplans { siblings } => {
            let which = |one: &Relative| format!("`{}` ({})", one.name, one.stage);
            format!("it waits for {}", siblings.iter().map(which).collect::<Vec<_>>().join(", "))
        }
        Why::WaitsForParent { parent, stage, because } => {
            format!("its parent {parent} ({stage}) begins it: {}", reason(None, &because.why, now))
        }
        Why::MergedByParent { parent, stage, failure, because } => {
            let tried = failure.as_ref().map(|failure| format!("; it was tried: {}", failed(failure)));
            let (tried, because) = (tried.unwrap_or_default(), reason(None, &because.why, now));
            format!("its parent {parent} ({stage}) merges it{tried}; of that: {because}")
        }
        Why::Errored { failure } => format!("it failed: {}", failed(failure)),
        Why::Constrained { failure } => format!("it could not land: {}", failed(failure)),
        Why::Applied => "it has landed; nothing is left to do".to_owned(),
        Why::Cancelled { reason: Some(reason) } => format!("it was cancelled: {reason}"),
        Why::Cancelled { reason: None } => "it was cancelled".to_owned(),
    }
}

fn in_hand(ordered: &Ordered) -> InHand {
    InHand { order: (*ordered.order).clone(), worker: ordered.worker.as_deref().cloned() }
}

/// What is ordered, and who is there for it.
fn order_words(ordered: &Ordered, now: Timestamp) -> String {
    let line = super::order::order_line(&in_hand(ordered), now);
    if ordered.is_nobodys() { format!("{line}, and none is alive") } else { line }
}

/// Who is at it, with which attempt, and since when.
fn at_work(plan: Option<&PlanRecord>, by: &Held, now: Timestamp) -> String {
    let Some(plan) = plan else { return format!("{} since {}", holder(by), when(by.lock.acquired_at, now)) };
    let began = plan.last_attempt.as_ref().map_or(by.lock.acquired_at, |attempt| attempt.started_at);
    format!("{}, attempt {} since {}", holder(by), plan.attempt, when(began, now))
}

fn stall(stalled: &Stalled) -> String {
    let name = &stalled.child.name;
    match &stalled.stall {
        Stall::Asks { question } => format!("its subplan `{name}` awaits an answer to: {question}"),
        Stall::Conflicts { failure } => {
            format!("its subplan `{name}` could not be merged: {}", failed(failure))
        }
    }
}

const fn before(next: Phase) -> Phase {
    match next {
        Phase::Strategize | Phase::Execute => Phase::Strategize,
        Phase::Apply => Phase::Execute,
    }
}

fn when(at: Timestamp, now: Timestamp) -> String {
    format!("{} ({})", rfc3339(at), relative(at, now))
}

fn holder(held: &Held) -> String {
    holder_line(&held.lock, held.liveness)
}

/// Who holds a lock, since when, until when.
fn term(held: &Held, now: Timestamp) -> String {
    let lock = &held.lock;
    format!("{}, since {}, until {}", holder(held), when(lock.acquired_at, now), when(lock.expires_at, now))
}

fn in_line(line: &Waiting, now: Timestamp) -> String {
    let what = match &line.key {
        LockKey::Plan(id) => format!("plan {id}"),
        LockKey::Project(name) => format!("project {name}"),
    };
    let place = line.position.map(|position| format!(", as number {position} in line")).unwrap_or_default();
    let ahead = match line.ahead.first() {
        Some(first) => format!(", behind {} (pid {} on {})", first.user, first.pid, first.host),
        None => String::new(),
    };
    let by = line.holder.as_ref().map(|held| format!(", held by {}", term(held, now))).unwrap_or_default();
    format!("waits for {what}{place}{ahead}{by}")
}

fn asked(request: &Request, now: Timestamp) -> String {
    let by = &request.by;
    let what = match request.wish {
        Wish::Cancel { .. } => "cancel it",
        Wish::LetGo { .. } => "let go of it",
    };
    let why = request.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    format!(
        "{} (pid {} on {}) asked {} to {what}, which is not done yet{why}",
        by.user,
        by.pid,
        by.host,
        relative(request.at, now)
    )
}

/// What happened, and the words that help; a bare command is the remedy already.
fn failed(failure: &Failure) -> String {
    let what = format!("{}: {}", failure.code, first_line(&failure.message));
    match &failure.hint {
        Some(hint) if !hint.starts_with("agents plan retry") => format!("{what} ({hint})"),
        _ => what,
    }
}

/// The facts for programs.
fn details(why: &Why) -> Value {
    match why {
        Why::Runs { by } | Why::Held { by } => json!({ "lock": held_view(by) }),
        Why::RunsChildren { by, tally } => json!({
            "lock": held_view(by),
            "subplans": super::plan::tally_view(tally),
        }),
        Why::Stalled(stalled) => stalled_view(stalled),
        Why::Waits { line, by } => json!({
            "lock": held_view(by),
            "key": line.key.to_string(),
            "position": line.position,
            "ahead": line.ahead.iter().map(person).collect::<Vec<_>>(),
            "held_by": line.holder.as_ref().map(held_view),
        }),
        Why::NoPlace { places, by } => {
            let mut details = places_view(places);
            details["lock"] = held_view(by);
            details
        }
        Why::NoDriver { last } => json!({ "lock": last.as_ref().map(held_view) }),
        Why::Asked { request } => json!({
            "request_id": request.id.as_str(),
            "reason": request.reason,
            "at": rfc3339(request.at),
            "by": { "host": request.by.host, "pid": request.by.pid, "user": request.by.user },
        }),
        Why::Parked { until, cause } => json!({ "until": until.map(rfc3339), "cause": cause }),
        Why::AwaitsInput { question } => json!({ "question": question }),
        Why::AwaitsApproval { next, level } => {
            json!({ "next_phase": next.as_str(), "automation": level.as_str() })
        }
        Why::NotOrdered { next } => json!({ "next_phase": next.as_str() }),
        Why::Ordered(ordered) => {
            json!({ "order": super::order::order_view(&in_hand(ordered)), "workers_alive": ordered.alive })
        }
        Why::WaitsForSubplans { siblings } => {
            json!({ "subplans": siblings.iter().map(relative_view).collect::<Vec<_>>() })
        }
        Why::WaitsForParent { parent, stage, because } => parent_view(*parent, *stage, None, because),
        Why::MergedByParent { parent, stage, failure, because } => {
            parent_view(*parent, *stage, failure.as_ref(), because)
        }
        Why::Errored { failure } | Why::Constrained { failure } => {
            json!({ "error": super::plan::error_view(failure) })
        }
        Why::Applied => json!({}),
        Why::Cancelled { reason } => json!({ "reason": reason }),
    }
}

fn relative_view(relative: &Relative) -> Value {
    json!({
        "name": relative.name,
        "plan_id": relative.plan.as_str(),
        "phase": relative.stage.phase().as_str(),
        "state": relative.stage.state().as_str(),
    })
}

fn stalled_view(stalled: &Stalled) -> Value {
    let mut view = relative_view(&stalled.child);
    match &stalled.stall {
        Stall::Asks { question } => view["question"] = question.as_str().into(),
        Stall::Conflicts { failure } => view["error"] = super::plan::error_view(failure),
    }
    view
}

fn parent_view(parent: PlanId, stage: Stage, failure: Option<&Failure>, because: &Cause) -> Value {
    json!({
        "parent_plan_id": parent.as_str(),
        "phase": stage.phase().as_str(),
        "state": stage.state().as_str(),
        "error": failure.map(super::plan::error_view),
        "because": { "code": because.why.code(), "details": details(&because.why) },
    })
}

fn held_view(held: &Held) -> Value {
    let mut view = lock_details(&held.lock, held.liveness);
    view["stale"] = held.lock.stale.into();
    view
}

fn person(holder: &Holder) -> Value {
    json!({ "host": holder.host, "pid": holder.pid, "user": holder.user, "operation": holder.operation })
}

#[cfg(test)]
mod tests;
