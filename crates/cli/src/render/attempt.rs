//! The attempts of a plan, and what went wrong in them, as JSON and for people.

use std::collections::BTreeSet;
use std::path::PathBuf;

use agents_application::lifecycle::history::{AttemptEnd, AttemptRecord};
use agents_domain::id::PlanId;
use agents_domain::plan::{Exit, Failure, Saved};
use agents_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::render::event::{commits, exit_code, signal, works};
use crate::render::plan::{error_view, first_line};
use crate::render::{Body, Report, relative, rfc3339};

/// One of `attempts` in `plan.status`.
pub(super) fn attempt_view(attempt: &AttemptRecord) -> Value {
    let end = attempt.end.as_ref();
    json!({
        "attempt": attempt.number,
        "phase": attempt.phase.as_str(),
        "outcome": end.map(|end| end.outcome.as_str()),
        "started_at": rfc3339(attempt.started_at),
        "ended_at": end.map(|end| rfc3339(end.at)),
        "host": attempt.driver.host,
        "pid": attempt.driver.pid,
        "resumed": commits(&attempt.resumed),
        "error": end.and_then(|end| end.failure.as_ref()).map(error_view),
        "exit_code": end.and_then(|end| exit_code(end.exit)),
        "signal": end.and_then(|end| signal(end.exit)),
        "work": end.map(|end| works(&end.work)).unwrap_or_default(),
    })
}

/// One attempt for people: `2 execute, failed (exit_code), 5 minutes ago`.
pub(super) fn attempt_line(attempt: &AttemptRecord, now: Timestamp) -> String {
    format!("{}{}", ended_line(attempt, now), pending(attempt))
}

/// Where work is that only another machine can put into a snapshot.
fn pending(attempt: &AttemptRecord) -> String {
    let work = attempt.end.iter().flat_map(|end| &end.work);
    let hosts: BTreeSet<&str> = work
        .filter_map(|work| match &work.saved {
            Saved::Pending { host } => Some(host.as_str()),
            _ => None,
        })
        .collect();
    let each = hosts.into_iter().map(|host| format!(", its snapshot is pending on {host}"));
    each.collect()
}

fn ended_line(attempt: &AttemptRecord, now: Timestamp) -> String {
    let AttemptRecord { number, phase, resumed, .. } = attempt;
    let on = if resumed.is_empty() { "" } else { ", went on with unfinished work" };
    match &attempt.end {
        None => format!("{number} {phase}{on}, under way since {}", relative(attempt.started_at, now)),
        Some(AttemptEnd { at, outcome, failure: None, .. }) => {
            format!("{number} {phase}{on}, {}, {}", outcome.as_str(), relative(*at, now))
        }
        Some(AttemptEnd { at, outcome, failure: Some(Failure { code, .. }), .. }) => {
            format!("{number} {phase}{on}, {} ({code}), {}", outcome.as_str(), relative(*at, now))
        }
    }
}

/// `plan errors`: whatever went wrong, oldest first. `log`: the log of an attempt, if it has one.
pub fn errors_report(
    plan: PlanId,
    attempts: &[AttemptRecord],
    log: &dyn Fn(u32) -> Option<PathBuf>,
    now: Timestamp,
) -> Report {
    let (mut facts, mut errors) = (Vec::new(), Vec::new());
    for (attempt, end, failure) in attempts.iter().filter_map(gone_wrong) {
        let log = log(attempt.number).map(|path| path.display().to_string());
        errors.push(json!({
            "attempt": attempt.number,
            "phase": attempt.phase.as_str(),
            "outcome": end.outcome.as_str(),
            "code": failure.code,
            "message": failure.message,
            "hint": failure.hint,
            "retryable": failure.retryable,
            "exit_code": exit_code(end.exit),
            "signal": signal(end.exit),
            "started_at": rfc3339(attempt.started_at),
            "at": rfc3339(end.at),
            "log": log,
            "work": works(&end.work),
        }));
        facts.extend(for_people(attempt, end, failure, log, now));
    }
    let none = errors.is_empty();
    let data = json!({ "plan_id": plan.as_str(), "errors": errors });
    let report = Report { body: Body::Facts(facts), ..Report::of(data) };
    if none { report.message(format!("nothing has gone wrong with plan {plan}")) } else { report }
}

fn gone_wrong(attempt: &AttemptRecord) -> Option<(&AttemptRecord, &AttemptEnd, &Failure)> {
    let end = attempt.end.as_ref()?;
    Some((attempt, end, end.failure.as_ref()?))
}

fn for_people(
    attempt: &AttemptRecord,
    end: &AttemptEnd,
    failure: &Failure,
    log: Option<String>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let mut lines = failure.message.lines();
    let first = format!("{}: {}", failure.code, first_line(lines.next().unwrap_or_default()));
    let exit = end.exit.map(|exit| match exit {
        Exit::Code(code) => ("exit code", code.to_string()),
        Exit::Signal(signal) => ("signal", signal.to_string()),
    });
    let work = end.work.iter().map(|work| {
        let place = match &work.saved {
            Saved::Snapshot { reference, .. } => format!("{}: {reference}", work.project),
            Saved::Directory { reason } => format!("{}: only in its directory: {reason}", work.project),
            Saved::Pending { host } => {
                format!("{}: its snapshot is pending on {host}; there: agents recover", work.project)
            }
        };
        ("work", place)
    });
    std::iter::once(("attempt", attempt_line(attempt, now)))
        .chain([("when", rfc3339(end.at)), ("error", first)])
        .chain(lines.map(|line| ("", line.to_owned())))
        .chain(exit)
        .chain(failure.hint.clone().map(|hint| ("help", hint)))
        .chain(log.map(|path| ("log", path)))
        .chain(work)
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use agents_application::lifecycle::history::Outcome;
    use agents_domain::plan::{Phase, Work};

    fn attempt(number: u32, end: Option<AttemptEnd>) -> AttemptRecord {
        let started_at = samples::view().record.created_at;
        let resumed =
            if number == 3 { [(samples::name("api"), samples::oid('a'))].into() } else { [].into() };
        AttemptRecord { number, phase: Phase::Execute, started_at, driver: samples::holder(), resumed, end }
    }

    fn end(outcome: Outcome, failure: Option<Failure>, exit: Option<Exit>) -> AttemptEnd {
        let snapshot =
            Saved::Snapshot { reference: "refs/agents/x".to_owned(), commit: samples::oid('c'), kept: None };
        let directory = Saved::Directory { reason: "disk full".to_owned() };
        let work = [("api", snapshot), ("web", directory)];
        let work = work.map(|(project, saved)| Work { project: samples::name(project), saved }).to_vec();
        AttemptEnd { at: samples::view().record.created_at, outcome, failure, exit, work }
    }

    fn all() -> Vec<AttemptRecord> {
        let failure = Failure { message: "exited with 3\nlast words".to_owned(), ..samples::error() };
        vec![
            attempt(1, Some(end(Outcome::Complete, None, None))),
            attempt(2, Some(end(Outcome::Failed, Some(failure), Some(Exit::Code(3))))),
            attempt(3, Some(end(Outcome::Failed, Some(samples::error()), Some(Exit::Signal(9))))),
            attempt(4, None),
        ]
    }

    #[test]
    fn each_attempt_is_one_line() {
        let now = samples::view().record.created_at;
        let lines: Vec<_> = all().iter().map(|attempt| attempt_line(attempt, now)).collect();
        let expected = [
            "1 execute, complete, now",
            "2 execute, failed (exit_code), now",
            "3 execute, went on with unfinished work, failed (exit_code), now",
            "4 execute, under way since now",
        ];
        assert_eq!(lines, expected);
    }

    #[test]
    fn an_attempt_under_way_has_no_end() {
        let view = attempt_view(&all()[3]);
        assert_eq!(
            (&view["outcome"], &view["ended_at"], &view["work"]),
            (&Value::Null, &Value::Null, &json!([]))
        );
        let view = attempt_view(&all()[2]);
        assert_eq!(view["resumed"], json!({ "local/api": "a".repeat(40) }));
        assert_eq!((&view["signal"], &view["exit_code"]), (&json!(9), &Value::Null));
    }

    #[test]
    fn only_what_went_wrong_is_an_error_and_it_is_told_in_full() {
        let now = samples::view().record.created_at;
        let log = |attempt| (attempt == 2).then(|| PathBuf::from("/logs/2"));
        let report = errors_report(samples::plan_id(), &all(), &log, now);
        let errors = report.data["errors"].as_array().expect("a list");
        assert_eq!((errors.len(), &errors[0]["attempt"], &errors[1]["attempt"]), (2, &json!(2), &json!(3)));
        assert_eq!((&errors[0]["exit_code"], &errors[0]["log"]), (&json!(3), &json!("/logs/2")));
        assert_eq!(
            (&errors[1]["log"], &errors[0]["work"][0]["ref"]),
            (&Value::Null, &json!("refs/agents/x"))
        );
        let Body::Facts(facts) = report.body else { panic!("no facts") };
        for expected in [
            ("error", "exit_code: exited with 3"),
            ("", "last words"),
            ("exit code", "3"),
            ("signal", "9"),
            ("log", "/logs/2"),
            ("work", "local/api: refs/agents/x"),
            ("work", "local/web: only in its directory: disk full"),
        ] {
            assert!(facts.contains(&(expected.0, expected.1.to_owned())), "{expected:?} in {facts:?}");
        }
    }

    #[test]
    fn nothing_that_went_wrong_is_said_so() {
        let now = samples::view().record.created_at;
        let report = errors_report(samples::plan_id(), &all()[..1], &|_| None, now);
        assert_eq!(report.data["errors"], json!([]));
        assert!(report.messages[0].starts_with("nothing has gone wrong"));
    }
}
