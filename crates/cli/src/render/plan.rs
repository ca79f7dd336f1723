//! Plans as JSON, and for people.

use std::borrow::Cow;

use agents_application::lifecycle::history::AttemptRecord;
use agents_domain::plan::{Failure, Parked, PlanRecord, State, Validation};
use agents_domain::reads::{PlanPage, PlanView};
use agents_domain::subplan::{GivenUp, Subplan, Tally};
use agents_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::render::attempt::{attempt_line, attempt_view};
use crate::render::lock::{holder_line, lock_of_plan};
use crate::render::{Body, Grid, LivenessOf, Report, relative, rfc3339};

/// The `data` of a plan in `plan.list`: that of `plan.status`, less what one plan alone shows.
pub fn plan_view(view: &PlanView, liveness: LivenessOf<'_>) -> Value {
    let plan = &view.record;
    let asked = view.cancel_requested.as_ref().and_then(|request| request.reason.as_ref());
    json!({
        "plan_id": plan.id.as_str(),
        "name": plan.name,
        "action": plan.action.as_str(),
        "projects": plan.projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>(),
        "phase": plan.phase().as_str(),
        "state": plan.state().as_str(),
        "automation": plan.automation.as_str(),
        "attempt": plan.attempt,
        "version": plan.version,
        "reversion_count": plan.reversion_count,
        "parent_plan_id": plan.parent().map(|parent| parent.to_string()),
        "subplan": plan.subplan.as_ref().map(subplan_view),
        "base": bases(plan),
        "branch": plan.branch(),
        "created_at": rfc3339(plan.created_at),
        "updated_at": rfc3339(plan.updated_at),
        "error": plan.failure.as_ref().map(error_view),
        "lock": view.lock.as_ref().map(|lock| lock_of_plan(lock, liveness)),
        "parked": plan.parked.as_ref().map(parked_view),
        "cancel_requested": view.cancel_requested.is_some(),
        "cancel_reason": plan.cancel_reason.as_ref().or(asked),
        "subplans": tally_view(&view.subplans),
        "landed": landed(plan),
    })
}

/// A child's place in its family.
pub(super) fn place(subplan: &Subplan) -> Value {
    json!({
        "name": subplan.name,
        "root_plan_id": subplan.root.as_str(),
        "depth": subplan.depth,
        "position": subplan.position,
        "depends_on": subplan.depends_on,
    })
}

/// What a child is to its parent: its place, and how it stands with its scheduler.
fn subplan_view(subplan: &Subplan) -> Value {
    let mut view = place(subplan);
    view["failures"] = subplan.failures.into();
    view["given_up"] = subplan.given_up.as_ref().map(GivenUp::reason).into();
    view
}

/// How many children are in which state.
pub(super) fn tally_view(tally: &Tally) -> Value {
    let by_state: Map<String, Value> =
        tally.by_state.iter().map(|(state, count)| (state.to_string(), (*count).into())).collect();
    json!({ "total": tally.total(), "by_state": by_state })
}

/// The same for people: `10: 7 applied, 1 errored, 2 queued`.
pub(super) fn tally_line(tally: &Tally) -> String {
    let counts: Vec<String> =
        tally.by_state.iter().map(|(state, count)| format!("{count} {state}")).collect();
    if counts.is_empty() { "0".to_owned() } else { format!("{}: {}", tally.total(), counts.join(", ")) }
}

/// What a plan waits for by its own wish.
pub fn parked_view(parked: &Parked) -> Value {
    json!({ "until": parked.until.map(rfc3339), "input": parked.input, "cause": parked.cause })
}

/// The base commit of each project that has one.
fn bases(plan: &PlanRecord) -> Map<String, Value> {
    let sealed = |base: &agents_domain::oid::Oid| Value::from(base.as_str());
    let projects = plan.projects.iter();
    projects.filter_map(|project| Some((project.name.to_string(), sealed(project.base.as_ref()?)))).collect()
}

/// What has landed so far.
fn landed(plan: &PlanRecord) -> Vec<Value> {
    let done = plan.landings().filter(|landing| landing.landed).map(|landing| &landing.intent);
    done.map(|intent| {
        json!({
            "project": intent.project.as_str(),
            "ref": intent.reference,
            "old": intent.old.as_str(),
            "new": intent.new.as_str(),
        })
    })
    .collect()
}

/// The `error` of a plan.
pub(super) fn error_view(failure: &Failure) -> Value {
    json!({
        "code": failure.code,
        "message": failure.message,
        "hint": failure.hint,
        "retryable": failure.retryable,
    })
}

/// One check.
pub(super) fn validation_view(validation: &Validation) -> Value {
    json!({
        "name": validation.name,
        "project": validation.project.as_str(),
        "required": validation.required,
        "passed": validation.passed,
        "message": validation.message,
    })
}

/// `plan status`, and whatever else shows one plan.
pub fn plan_report(
    view: &PlanView,
    attempts: &[AttemptRecord],
    liveness: LivenessOf<'_>,
    now: Timestamp,
) -> Report {
    let plan = &view.record;
    let mut data = plan_view(view, liveness);
    data["strategy"] = json!(plan.strategy);
    data["validations"] = plan.validations.iter().map(validation_view).collect();
    data["attempts"] = attempts.iter().map(attempt_view).collect();
    let (facts, ids) = (facts(view, attempts, liveness, now), vec![plan.id.to_string()]);
    Report { body: Body::Facts(facts), ids, ..Report::of(data) }
}

/// What is known of a plan, for people: nothing that is not there.
fn facts(
    view: &PlanView,
    attempts: &[AttemptRecord],
    liveness: LivenessOf<'_>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let (plan, subplan) = (&view.record, view.record.subplan.as_ref());
    let when = |at| format!("{} ({})", rfc3339(at), relative(at, now));
    let some = [
        ("plan", Some(plan.id.to_string())),
        ("name", plan.name.clone()),
        ("action", Some(plan.action.to_string())),
        ("projects", Some(projects(plan))),
        ("phase", Some(plan.phase().to_string())),
        ("state", Some(plan.state().to_string())),
        ("automation", Some(plan.automation.to_string())),
        ("attempt", Some(plan.attempt.to_string())),
        ("reversions", (plan.reversion_count > 0).then(|| plan.reversion_count.to_string())),
        ("parent", plan.parent().map(|parent| parent.to_string())),
        ("subplan", subplan.map(|subplan| subplan.name.clone())),
        ("depends on", subplan.and_then(depends_on)),
        ("failures", subplan.and_then(|one| (one.failures > 0).then(|| one.failures.to_string()))),
        ("subplans", (view.subplans.total() > 0).then(|| tally_line(&view.subplans))),
        ("branch", Some(plan.branch())),
        ("created", Some(when(plan.created_at))),
        ("updated", Some(when(plan.updated_at))),
        ("locked by", view.lock.as_ref().map(|lock| holder_line(lock, liveness(&lock.holder)))),
        ("waits for", plan.parked.as_ref().map(|parked| waits_for(parked, now))),
        (
            "error",
            plan.failure
                .as_ref()
                .map(|failure| format!("{}: {}", failure.code, first_line(&failure.message))),
        ),
        ("help", plan.failure.as_ref().and_then(|failure| failure.hint.clone())),
        ("help", asks(plan).then(|| format!("agents plan prompt {} \"…\"", plan.id))),
        ("cancelled", plan.cancel_reason.clone().filter(|_| plan.state() == State::Cancelled)),
    ];
    let tried = attempts.iter().map(|attempt| ("tried", attempt_line(attempt, now)));
    let landed = plan.landings().filter(|landing| landing.landed).map(|landing| {
        let intent = &landing.intent;
        (
            "landed",
            format!("{} {} {}..{}", intent.project, intent.reference, intent.old.short(), intent.new.short()),
        )
    });
    let checks = plan.validations.iter().map(|check| {
        let word = match (check.passed, check.required) {
            (true, _) => "passed",
            (false, true) => "failed",
            (false, false) => "failed (not required)",
        };
        ("check", format!("{} in {}: {word}", check.name, check.project))
    });
    let some = some.into_iter().filter_map(|(name, text)| Some((name, text?)));
    some.chain(tried).chain(checks).chain(landed_part(plan)).chain(landed).collect()
}

fn depends_on(subplan: &Subplan) -> Option<String> {
    (!subplan.depends_on.is_empty()).then(|| subplan.depends_on.join(", "))
}

/// How much of a plan with several projects has landed, while it is a part.
fn landed_part(plan: &PlanRecord) -> Option<(&'static str, String)> {
    let (landed, all) = (plan.landings().filter(|landing| landing.landed).count(), plan.projects.len());
    (1..all).contains(&landed).then(|| ("landed", format!("{landed} of {all} projects")))
}

/// What a person needs to know; the rest is in the log, and in JSON.
pub fn first_line(text: &str) -> Cow<'_, str> {
    let first = text.lines().next().unwrap_or_default();
    let last = text.lines().skip(1).filter(|line| !line.trim().is_empty()).last();
    match (first.strip_suffix("; its last output:"), last) {
        // The end of what a command said is most often why.
        (Some(what), Some(last)) => Cow::Owned(format!("{what}: {}", last.trim())),
        _ => Cow::Borrowed(first.trim_end_matches(':')),
    }
}

fn waits_for(parked: &Parked, now: Timestamp) -> String {
    match (&parked.input, parked.until) {
        (Some(question), _) => format!("an answer to: {question}"),
        (None, Some(until)) => format!("{} ({}): {}", rfc3339(until), relative(until, now), parked.cause),
        (None, None) => parked.cause.clone(),
    }
}

fn asks(plan: &PlanRecord) -> bool {
    plan.parked.as_ref().is_some_and(|parked| parked.input.is_some())
}

fn projects(plan: &PlanRecord) -> String {
    plan.projects.iter().map(|project| project.name.as_str()).collect::<Vec<_>>().join(", ")
}

/// `plan list`: the fields of `plan.status` less strategy and validations.
pub fn plans_report(page: &PlanPage, liveness: LivenessOf<'_>, now: Timestamp) -> Report {
    let mut grid = Grid::new(&[
        "PLAN",
        "PHASE",
        "STATE",
        "ACTION",
        "PROJECTS",
        "ATTEMPT",
        "UPDATED",
        "NAME",
        "WAITS FOR",
    ]);
    for view in &page.plans {
        let plan = &view.record;
        grid.row([
            plan.id.to_string(),
            plan.phase().to_string(),
            plan.state().to_string(),
            plan.action.to_string(),
            projects(plan),
            plan.attempt.to_string(),
            relative(plan.updated_at, now),
            plan.name.clone().unwrap_or_default(),
            plan.parked.as_ref().map(|parked| waits_for(parked, now)).unwrap_or_default(),
        ]);
    }
    let plans: Vec<Value> = page.plans.iter().map(|view| plan_view(view, liveness)).collect();
    let report = Report {
        body: Body::Table(grid),
        ids: page.plans.iter().map(|view| view.record.id.to_string()).collect(),
        ..Report::of(json!({ "plans": plans, "total": page.total }))
    };
    match page.plans.len() {
        0 => report.message("no plans"),
        shown if (shown as u64) < page.total => report.message(format!("{shown} of {} plans", page.total)),
        _ => report,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use agents_domain::lock::Liveness;

    const ALIVE: LivenessOf<'static> = &|_| Liveness::Alive;
    const ID: &str = "01ARZ3NDEKTSV4RRFFQ69G5FAV";

    fn status(view: &PlanView) -> Value {
        plan_report(view, &[], ALIVE, view.record.created_at).data
    }

    fn fields(value: &Value) -> Vec<&str> {
        value.as_object().expect("an object").keys().map(String::as_str).collect()
    }

    #[test]
    fn a_plan_has_exactly_the_fields_of_the_contract() {
        let mut contract = vec![
            "plan_id",
            "name",
            "action",
            "projects",
            "phase",
            "state",
            "automation",
            "attempt",
            "version",
            "reversion_count",
            "parent_plan_id",
            "subplan",
            "base",
            "branch",
            "created_at",
            "updated_at",
            "error",
            "lock",
            "cancel_requested",
            "cancel_reason",
            "strategy",
            "validations",
            "subplans",
            "landed",
            "parked",
            "attempts",
        ];
        contract.sort_unstable();
        for view in [samples::view(), samples::full_view()] {
            assert_eq!(fields(&status(&view)), contract);
        }
    }

    #[test]
    fn a_new_plan_has_nulls_and_empty_lists() {
        let data = status(&samples::view());
        let expected = json!({
            "plan_id": ID, "name": "Lint", "action": "local/fix-lint", "projects": ["local/api", "local/web"],
            "phase": "strategize", "state": "queued", "automation": "review", "attempt": 0, "version": 1,
            "reversion_count": 0, "parent_plan_id": null, "subplan": null, "base": {}, "branch": format!("agents/plan-{ID}"),
            "created_at": "2026-01-02T03:04:05.678Z", "updated_at": "2026-01-02T03:04:05.678Z", "error": null,
            "lock": null, "cancel_requested": false, "cancel_reason": null, "strategy": null, "validations": [],
            "subplans": {"total": 0, "by_state": {}}, "landed": [], "parked": null, "attempts": [],
        });
        assert_eq!(data, expected);
    }

    #[test]
    fn facts_of_a_plan_become_fields_and_only_what_landed_is_landed() {
        let data = status(&samples::full_view());
        assert_eq!(data["base"], json!({"local/api": "a".repeat(40)}));
        assert_eq!(
            data["landed"],
            json!([{"project": "local/api", "ref": "refs/heads/main", "old": "a".repeat(40), "new": "b".repeat(40)}])
        );
        assert_eq!(fields(&data["error"]), ["code", "hint", "message", "retryable"]);
        assert_eq!(
            fields(&data["lock"]),
            ["acquired_at", "expires_at", "holder", "owner_id", "stale", "token"]
        );
        assert_eq!(data["lock"]["holder"]["liveness"], "alive");
        assert_eq!(data["validations"][0]["name"], "clippy");
    }

    #[test]
    fn people_see_what_is_there_and_nothing_else() {
        let view = samples::view();
        let Body::Facts(few) = plan_report(&view, &[], ALIVE, view.record.created_at).body else {
            panic!("no facts")
        };
        assert!(few.contains(&("state", "queued".to_owned())));
        assert!(few.iter().all(|(name, _)| !["error", "locked by", "parent", "landed"].contains(name)));

        let view = samples::full_view();
        let report = plan_report(&view, &[], ALIVE, view.record.created_at);
        assert_eq!(report.ids, [ID]);
        let Body::Facts(many) = report.body else { panic!("no facts") };
        for expected in [
            ("locked by", "ada (pid 4711 on box, alive), doing: plan execute"),
            ("waits for", "an answer to: which?"),
            ("reversions", "1"),
            ("parent", "01ARZ3NDEKTSV4RRFFQ69G5FA0"),
            ("subplan", "client"),
            ("depends on", "api"),
            ("failures", "1"),
            ("check", "clippy in local/api: passed"),
            ("landed", "1 of 2 projects"),
            ("landed", "local/api refs/heads/main aaaaaaaaaa..bbbbbbbbbb"),
        ] {
            assert!(many.contains(&(expected.0, expected.1.to_owned())), "{expected:?} in {many:?}");
        }
    }

    #[test]
    fn children_are_counted_by_state() {
        let mut view = samples::view();
        view.subplans.add(State::Applied, 7);
        view.subplans.add(State::Errored, 1);
        let Body::Facts(facts) = plan_report(&view, &[], ALIVE, view.record.created_at).body else {
            panic!("no facts")
        };
        let counted = facts.iter().find(|(name, _)| *name == "subplans").expect("counted");
        assert!(["8: 7 applied, 1 errored", "8: 1 errored, 7 applied"].contains(&counted.1.as_str()));
    }

    #[test]
    fn a_parked_plan_says_what_it_waits_for() {
        let now = samples::view().record.created_at;
        let mut parked = samples::full_view().record.parked.expect("parked");
        parked.input = None;
        assert_eq!(waits_for(&parked, now), "2026-01-02T03:04:05.678Z (now): 75");
        parked.until = None;
        assert_eq!(waits_for(&parked, now), "75");
    }

    #[test]
    fn a_list_is_brief_and_says_when_there_is_more() {
        let page = PlanPage { plans: vec![samples::full_view()], total: 3 };
        let report = plans_report(&page, ALIVE, samples::view().record.created_at);
        assert_eq!((report.data["total"].as_u64(), report.messages.len()), (Some(3), 1));
        let plan = fields(&report.data["plans"][0]);
        assert!(plan.len() == 23 && !plan.contains(&"strategy") && !plan.contains(&"validations"));
        let Body::Table(grid) = report.body else { panic!("no table") };
        let row = format!(
            "{ID}\tapply\terrored\tlocal/fix-lint\tlocal/api, local/web\t2\tnow\tLint\tan answer to: which?\n"
        );
        assert_eq!(grid.plain(), row);
        let now = samples::view().record.created_at;
        let empty = plans_report(&PlanPage { plans: vec![], total: 0 }, ALIVE, now);
        assert_eq!(empty.messages, ["no plans"]);
        let all = plans_report(&PlanPage { plans: vec![samples::view()], total: 1 }, ALIVE, now);
        assert!(all.messages.is_empty());
    }
}
