//! The event log as JSON, and for people.

use std::collections::BTreeMap;

use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Event, Exit, Origin, Saved, Spawned, Work};
use agents_domain::request::{Request, Wish};
use agents_domain::subplan::GivenUp;
use agents_domain::time::Timestamp;
use agents_domain::workspace::Intent;
use serde_json::{Map, Value, json};

use crate::render::plan::{error_view, place, validation_view};
use crate::render::{Body, Grid, Item, Report, relative, rfc3339};

/// The version of the payloads.
const SCHEMA_VERSION: u32 = 1;

/// One event of `plan.events`.
pub fn event_view(event: &Event) -> Value {
    json!({
        "event_id": event.id.as_str(),
        "plan_id": event.plan.as_str(),
        "seq": event.seq,
        "at": rfc3339(event.at),
        "owner_id": event.owner.map(|owner| owner.to_string()),
        "token": event.token.map(agents_domain::lock::FencingToken::value),
        "event": event.change.event_name(),
        "schema_version": SCHEMA_VERSION,
        "payload": payload(&event.change),
    })
}

fn payload(change: &Change) -> Value {
    match change {
        Change::Created(origin) => json!({
            "name": origin.name,
            "action": origin.action.as_str(),
            "automation": origin.automation.as_str(),
            "projects": origin.projects.iter().map(Name::as_str).collect::<Vec<_>>(),
            "parent_plan_id": origin.subplan.as_ref().map(|subplan| subplan.parent.to_string()),
            "subplan": origin.subplan.as_ref().map(place),
        }),
        Change::PhaseStarted { driver, bases, commanded } => json!({
            "host": driver.host, "pid": driver.pid, "user": driver.user, "operation": driver.operation,
            "base": commits(bases), "commanded": commanded,
        }),
        Change::PhaseCompleted { tips, strategy, work } => {
            json!({ "tips": commits(tips), "strategy": strategy, "work": works(work) })
        }
        Change::PhaseFailed { failure, exit, work } => json!({
            "error": error_view(failure), "exit_code": exit_code(*exit), "signal": signal(*exit), "work": works(work),
        }),
        Change::Parked { until, input, cause, work } => json!({
            "until": until.map(rfc3339), "input": input, "cause": cause, "work": works(work),
        }),
        Change::PhaseAdvanced { to } => json!({ "to": to.as_str() }),
        Change::Applied | Change::CommandStarted => json!({}),
        Change::Retried { resume, anew } => json!({ "resume": commits(resume), "anew": anew }),
        Change::Constrained { failure, validations } => json!({
            "error": error_view(failure),
            "validations": validations.iter().map(validation_view).collect::<Vec<_>>(),
        }),
        Change::Reverted { reason } => json!({ "reason": reason }),
        Change::Interrupted { cause, work } => json!({ "cause": cause.as_str(), "work": works(work) }),
        Change::Adopted { driver } => json!({
            "host": driver.host, "pid": driver.pid, "user": driver.user, "operation": driver.operation,
        }),
        Change::Cancelled { reason, keep_landed, work, given_up } => json!({
            "reason": reason, "keep_landed": keep_landed, "work": works(work),
            "given_up": given_up.as_ref().map(GivenUp::reason),
        }),
        Change::Prompted { text } => json!({ "text": text }),
        Change::LandingIntended { intents, validations } => json!({
            "intents": intents.iter().map(intent_view).collect::<Vec<_>>(),
            "validations": validations.iter().map(validation_view).collect::<Vec<_>>(),
        }),
        Change::Landed { intent } => json!({ "intent_id": intent.as_str() }),
        Change::Spawned { children } => {
            json!({ "children": children.iter().map(spawned).collect::<Vec<_>>() })
        }
        Change::SubplanMerged { child, name, tips } => json!({
            "child_plan_id": child.as_str(),
            "name": name,
            "tips": commits(tips),
        }),
        Change::WorkSaved { attempt, work } => json!({ "attempt": attempt, "work": works(work) }),
        Change::SubplanConflicted { child, name, failure } => json!({
            "child_plan_id": child.as_str(),
            "name": name,
            "error": error_view(failure),
        }),
    }
}

/// The code by which a command ended.
pub(super) const fn exit_code(exit: Option<Exit>) -> Option<i32> {
    match exit {
        Some(Exit::Code(code)) => Some(code),
        _ => None,
    }
}

/// The signal by which a command ended.
pub(super) const fn signal(exit: Option<Exit>) -> Option<i32> {
    match exit {
        Some(Exit::Signal(signal)) => Some(signal),
        _ => None,
    }
}

/// Commits by project.
pub(super) fn commits(by_project: &BTreeMap<Name, Oid>) -> Map<String, Value> {
    by_project.iter().map(|(project, commit)| (project.to_string(), commit.as_str().into())).collect()
}

fn spawned(child: &Spawned) -> Value {
    json!({
        "plan_id": child.plan.as_str(),
        "name": child.name,
        "action": child.action.as_str(),
        "replaces": child.replaces.map(|old| old.to_string()),
    })
}

fn intent_view(intent: &Intent) -> Value {
    json!({
        "intent_id": intent.id.as_str(),
        "project": intent.project.as_str(),
        "ref": intent.reference,
        "old": intent.old.as_str(),
        "new": intent.new.as_str(),
    })
}

/// Where work is.
pub(super) fn works(work: &[Work]) -> Vec<Value> {
    let view = |work: &Work| match &work.saved {
        Saved::Snapshot { reference, commit, kept } => json!({
            "project": work.project.as_str(), "ref": reference, "commit": commit.as_str(), "kept": kept,
        }),
        Saved::Directory { reason } => {
            json!({ "project": work.project.as_str(), "ref": null, "commit": null, "kept": reason })
        }
        Saved::Pending { host } => json!({
            "project": work.project.as_str(), "ref": null, "commit": null,
            "kept": format!("pending on {host}"), "pending_on": host,
        }),
    };
    work.iter().map(view).collect()
}

/// What a change says to people, beyond its name.
pub fn event_line(change: &Change) -> String {
    match change {
        Change::Created(origin) => created(origin),
        Change::PhaseStarted { driver, .. } | Change::Adopted { driver } => {
            format!("{} (pid {} on {})", driver.user, driver.pid, driver.host)
        }
        Change::PhaseCompleted { tips, .. } => places(tips),
        Change::PhaseFailed { failure, .. } | Change::Constrained { failure, .. } => {
            format!("{}: {}", failure.code, super::plan::first_line(&failure.message))
        }
        Change::Parked { input: Some(question), .. } => question.clone(),
        Change::Parked { until: Some(until), cause, .. } => format!("until {}: {cause}", rfc3339(*until)),
        Change::Parked { cause, .. } => cause.clone(),
        Change::PhaseAdvanced { to } => to.to_string(),
        Change::Applied => String::new(),
        Change::Retried { resume, .. } if resume.is_empty() => String::new(),
        Change::Retried { resume, .. } => format!("going on from {}", places(resume)),
        Change::Reverted { reason } | Change::Cancelled { reason, .. } => reason.clone().unwrap_or_default(),
        Change::Interrupted { cause, .. } => cause.message().to_owned(),
        Change::Prompted { text } => text.clone(),
        Change::LandingIntended { intents, .. } => {
            names(&intents.iter().map(|intent| intent.project.clone()).collect::<Vec<_>>())
        }
        Change::Landed { intent } => intent.to_string(),
        Change::Spawned { children } => children.iter().map(spawned_line).collect::<Vec<_>>().join(", "),
        Change::SubplanMerged { name, tips, .. } if tips.is_empty() => {
            format!("`{name}`, which changed nothing")
        }
        Change::SubplanMerged { name, tips, .. } => format!("`{name}`: {}", places(tips)),
        Change::SubplanConflicted { name, failure, .. } => {
            format!("`{name}`: {}: {}", failure.code, super::plan::first_line(&failure.message))
        }
        Change::WorkSaved { attempt, work } => {
            let projects: Vec<_> = work.iter().map(|work| work.project.clone()).collect();
            format!("of attempt {attempt} in {}", names(&projects))
        }
        Change::CommandStarted => "its subplans are merged".to_owned(),
    }
}

fn created(origin: &Origin) -> String {
    let what = format!("{} on {}", origin.action, names(&origin.projects));
    match &origin.subplan {
        Some(subplan) => format!("subplan `{}` of {}: {what}", subplan.name, subplan.parent),
        None => what,
    }
}

fn spawned_line(child: &Spawned) -> String {
    let again = if child.replaces.is_some() { " again" } else { "" };
    format!("`{}`{again}", child.name)
}

fn places(commits: &BTreeMap<Name, Oid>) -> String {
    let place = |(project, commit): (&Name, &Oid)| format!("{project} at {}", commit.short());
    commits.iter().map(place).collect::<Vec<_>>().join(", ")
}

fn names(projects: &[Name]) -> String {
    projects.iter().map(Name::as_str).collect::<Vec<_>>().join(", ")
}

/// One line of `events`.
pub fn event_item(event: &Event) -> Item {
    let token = event.token.map(|token| token.to_string()).unwrap_or_default();
    let fields = vec![
        (rfc3339(event.at), 24),
        (event.plan.to_string(), 26),
        (event.seq.to_string(), 3),
        (event.change.event_name().to_owned(), 21),
        (token, 3),
        (event_line(&event.change), 0),
    ];
    Item { id: event.id.to_string(), fields, object: event_view(event) }
}

/// `plan events`.
pub fn events_report(events: &[Event], requests: &[Request], now: Timestamp) -> Report {
    let of_event = |event: &Event| {
        let token = event.token.map(|token| token.to_string()).unwrap_or_default();
        let name = event.change.event_name().to_owned();
        (event.at, [event.seq.to_string(), relative(event.at, now), name, token, event_line(&event.change)])
    };
    let mut rows: Vec<_> = events.iter().map(of_event).collect();
    for (at, name, token, what) in requests.iter().flat_map(notes) {
        rows.push((at, [String::new(), relative(at, now), name.to_owned(), token, what]));
    }
    // Stable: what the log numbers stays in its order.
    rows.sort_by_key(|(at, _)| *at);
    let mut grid = Grid::new(&["SEQ", "WHEN", "EVENT", "TOKEN", "WHAT"]);
    for (_, row) in rows {
        grid.row(row);
    }
    let views: Vec<Value> = events.iter().map(event_view).collect();
    let asked: Vec<Value> = requests.iter().map(request_view).collect();
    let ids = events.iter().map(|event| event.id.to_string()).collect();
    let data = json!({ "events": views, "requests": asked });
    Report { body: Body::Table(grid), ids, ..Report::of(data) }
}

/// One request to the holder of a lock.
pub fn request_view(request: &Request) -> Value {
    let (wish, token) = match request.wish {
        Wish::Cancel { .. } => ("cancel", None),
        Wish::LetGo { token } => ("break", Some(token.value())),
    };
    json!({
        "request_id": request.id.as_str(),
        "event": "request.made",
        "kind": wish,
        "key": request.key.to_string(),
        "token": token,
        "by": { "user": request.by.user, "pid": request.by.pid, "host": request.by.host },
        "reason": request.reason,
        "at": rfc3339(request.at),
        "closed_at": request.closed.as_ref().map(|closed| rfc3339(closed.at)),
        "outcome": request.closed.as_ref().map(|closed| &closed.outcome),
    })
}

/// What a request leaves in the log for people: that it was made, and what came of it.
fn notes(request: &Request) -> Vec<(Timestamp, &'static str, String, String)> {
    let (wish, token) = match request.wish {
        Wish::Cancel { .. } => ("cancel", String::new()),
        Wish::LetGo { token } => ("let go", token.to_string()),
    };
    let by = &request.by;
    let reason = request.reason.as_ref().map(|reason| format!(": {reason}")).unwrap_or_default();
    let made = format!("{wish}, by {} (pid {} on {}){reason}", by.user, by.pid, by.host);
    let mut notes = vec![(request.at, "request.made", token.clone(), made)];
    if let Some(closed) = &request.closed {
        let name = if closed.outcome.starts_with("broken") { "lock.broken" } else { "request.closed" };
        notes.push((closed.at, name, token, closed.outcome.clone()));
    }
    notes
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use agents_domain::plan::{InterruptCause, Phase};

    fn work() -> Vec<Work> {
        let saved =
            Saved::Snapshot { reference: "refs/agents/x".to_owned(), commit: samples::oid('c'), kept: None };
        let kept = Saved::Directory { reason: "disk full".to_owned() };
        vec![
            Work { project: samples::name("api"), saved },
            Work { project: samples::name("web"), saved: kept },
        ]
    }

    /// Every change with its line for people and the fields of its payload, in order.
    fn table() -> Vec<(Change, &'static str, &'static str)> {
        let commits = BTreeMap::from([(samples::name("api"), samples::oid('a'))]);
        let (driver, failure, work) = (samples::holder(), samples::error(), work());
        let (text, reason) = ("why".to_owned(), Some("why".to_owned()));
        let validations = vec![samples::validation()];
        let intent = samples::intent();
        vec![
            (
                Change::Created(samples::origin()),
                "local/fix-lint on local/api, local/web",
                "action automation name parent_plan_id projects subplan",
            ),
            (
                Change::PhaseStarted { driver: driver.clone(), bases: commits.clone(), commanded: true },
                "ada (pid 4711 on box)",
                "base commanded host operation pid user",
            ),
            (
                Change::PhaseCompleted { tips: commits.clone(), strategy: None, work: work.clone() },
                "local/api at aaaaaaaaaa",
                "strategy tips work",
            ),
            (
                Change::PhaseFailed {
                    failure: failure.clone(),
                    exit: Some(Exit::Code(1)),
                    work: work.clone(),
                },
                "exit_code: the command ended with 1",
                "error exit_code signal work",
            ),
            (
                Change::Parked { until: None, input: None, cause: text.clone(), work: work.clone() },
                "why",
                "cause input until work",
            ),
            (
                Change::Parked {
                    until: Some(Timestamp::from_millis(0)),
                    input: None,
                    cause: text.clone(),
                    work: work.clone(),
                },
                "until 1970-01-01T00:00:00.000Z: why",
                "cause input until work",
            ),
            (
                Change::Parked {
                    until: None,
                    input: reason.clone(),
                    cause: String::new(),
                    work: work.clone(),
                },
                "why",
                "cause input until work",
            ),
            (Change::PhaseAdvanced { to: Phase::Apply }, "apply", "to"),
            (Change::Applied, "", ""),
            (
                Change::Constrained { failure, validations: validations.clone() },
                "exit_code: the command ended with 1",
                "error validations",
            ),
            (Change::retried(), "", "anew resume"),
            (
                Change::Retried { resume: commits.clone(), anew: false },
                "going on from local/api at aaaaaaaaaa",
                "anew resume",
            ),
            (Change::Reverted { reason: reason.clone() }, "why", "reason"),
            (
                Change::Interrupted { cause: InterruptCause::LeaseLost, work: work.clone() },
                InterruptCause::LeaseLost.message(),
                "cause work",
            ),
            (Change::Adopted { driver }, "ada (pid 4711 on box)", "host operation pid user"),
            (
                Change::Cancelled { reason, keep_landed: false, work, given_up: None },
                "why",
                "given_up keep_landed reason work",
            ),
            (Change::Prompted { text }, "why", "text"),
            (
                Change::LandingIntended { intents: vec![intent.clone()], validations },
                "local/api",
                "intents validations",
            ),
            (Change::Landed { intent: intent.id }, "01ARZ3NDEKTSV4RRFFQ69G5FB1", "intent_id"),
        ]
    }

    /// The same for what happens to parents and children.
    fn of_families() -> Vec<(Change, String, &'static str)> {
        let child = samples::full_view().record;
        let (parent, name) = (child.parent().expect("a child"), "client".to_owned());
        let origin = Origin { subplan: child.subplan, ..samples::origin() };
        let children = [None, Some(child.id)].map(|replaces| Spawned {
            plan: child.id,
            name: name.clone(),
            action: samples::name("fix-lint"),
            replaces,
        });
        let merged = |tips| Change::SubplanMerged { child: child.id, name: name.clone(), tips };
        let failure = samples::error();
        vec![
            (
                Change::Created(origin),
                format!("subplan `client` of {parent}: local/fix-lint on local/api, local/web"),
                "action automation name parent_plan_id projects subplan",
            ),
            (
                Change::Spawned { children: children.into() },
                "`client`, `client` again".to_owned(),
                "children",
            ),
            (
                merged(BTreeMap::from([(samples::name("api"), samples::oid('a'))])),
                "`client`: local/api at aaaaaaaaaa".to_owned(),
                "child_plan_id name tips",
            ),
            (
                merged(BTreeMap::new()),
                "`client`, which changed nothing".to_owned(),
                "child_plan_id name tips",
            ),
            (
                Change::SubplanConflicted { child: child.id, name: name.clone(), failure },
                "`client`: exit_code: the command ended with 1".to_owned(),
                "child_plan_id error name",
            ),
            (Change::CommandStarted, "its subplans are merged".to_owned(), ""),
        ]
    }

    #[test]
    fn every_change_has_a_payload_and_a_line() {
        let table = table().into_iter().map(|(change, line, fields)| (change, line.to_owned(), fields));
        for (change, line, fields) in table.chain(of_families()) {
            assert_eq!(event_line(&change), line);
            let payload = payload(&change);
            let keys: Vec<_> = payload.as_object().expect("an object").keys().map(String::as_str).collect();
            assert_eq!(keys.join(" "), fields, "{}", change.event_name());
        }
    }

    #[test]
    fn an_event_says_who_wrote_it_under_which_token() {
        let view = event_view(&samples::event(Change::PhaseAdvanced { to: Phase::Execute }));
        let expected = json!({
            "event_id": "01ARZ3NDEKTSV4RRFFQ69G5FB2", "plan_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV", "seq": 3,
            "at": "2026-01-02T03:04:05.678Z", "owner_id": "01ARZ3NDEKTSV4RRFFQ69G5FB0", "token": 7,
            "event": "plan.phase_advanced", "schema_version": 1, "payload": {"to": "execute"},
        });
        assert_eq!(view, expected);
    }

    #[test]
    fn where_work_is_kept_is_part_of_the_payload() {
        let expected = json!([
            {"project": "local/api", "ref": "refs/agents/x", "commit": "c".repeat(40), "kept": null},
            {"project": "local/web", "ref": null, "commit": null, "kept": "disk full"},
        ]);
        assert_eq!(Value::from(works(&work())), expected);
    }

    #[test]
    fn the_log_is_a_table_in_order() {
        let event = samples::event(Change::Prompted { text: "two\nlines".to_owned() });
        let report = events_report(std::slice::from_ref(&event), &[], event.at);
        let Body::Table(grid) = report.body else { panic!("no table") };
        assert_eq!(grid.plain(), "3\tnow\tplan.prompted\t7\ttwo\\nlines\n");
        assert_eq!((report.ids.len(), report.data["events"][0]["seq"].as_u64()), (1, Some(3)));
    }
}
