//! Roads that take plans through every change, with every field of each change in use.

use std::collections::BTreeMap;

use agents_domain::plan::{Change, Exit, Failure, InterruptCause, Phase, Saved, Spawned, Validation, Work};
use agents_domain::time::Timestamp;
use agents_domain::workspace::Intent;

use crate::children::child;
use crate::values::{holder, intent_id, oid, plan_id, project};

fn work() -> Vec<Work> {
    let kept = Some("ignored files: \"target/\"".to_owned());
    let reference = "refs/agents/01/1/1/team/project-1".to_owned();
    let saved = [
        Saved::Snapshot { reference: reference.clone(), commit: oid('a'), kept },
        Saved::Snapshot { reference, commit: oid('b'), kept: None },
        Saved::Directory { reason: "disk full".to_owned() },
    ];
    saved.into_iter().map(|saved| Work { project: project(1).name, saved }).collect()
}

pub(crate) fn failure(retryable: bool) -> Failure {
    Failure {
        code: "exit_code".to_owned(),
        message: "it said:\n\t\"no\" — {\"json\": null}".to_owned(),
        hint: retryable.then(|| "agents plan retry".to_owned()),
        retryable,
    }
}

fn validations() -> Vec<Validation> {
    let check = |name: &str, required, passed, message: Option<&str>| Validation {
        name: name.to_owned(),
        project: project(2).name,
        required,
        passed,
        message: message.map(str::to_owned),
    };
    vec![check("clippy", true, false, Some("1 error\n")), check("spelling", false, true, None)]
}

pub(crate) fn start(driver: u32, digit: char, commanded: bool) -> Change {
    let bases = BTreeMap::from([(project(1).name, oid(digit)), (project(2).name, oid('0'))]);
    Change::PhaseStarted { driver: holder(driver), bases, commanded }
}

fn complete(strategy: Option<&str>, tip: Option<char>) -> Change {
    let tips = tip.map(|digit| (project(1).name, oid(digit))).into_iter().collect();
    Change::PhaseCompleted { tips, strategy: strategy.map(str::to_owned), work: work() }
}

fn park(until: Option<i64>, input: Option<&str>) -> Change {
    let until = until.map(Timestamp::from_millis);
    Change::Parked { until, input: input.map(str::to_owned), cause: "quota".to_owned(), work: work() }
}

fn intend(projects: &[u32], id: u32) -> Change {
    let intent = |&n: &u32| Intent {
        id: intent_id(id + n),
        project: project(n).name,
        reference: project(n).target_ref(),
        old: oid('c'),
        new: oid('d'),
    };
    Change::LandingIntended { intents: projects.iter().map(intent).collect(), validations: validations() }
}

/// Children with numbers from there on, and whose place each takes.
fn split(children: &[(&str, Option<u32>)], number: u32) -> Change {
    let child = |(n, (name, replaces)): (u32, &(&str, Option<u32>))| Spawned {
        replaces: replaces.map(plan_id),
        ..child(n, name)
    };
    Change::Spawned { children: (number..).zip(children).map(child).collect() }
}

fn merged(tip: Option<char>) -> Change {
    let tips = tip.map(|digit| (project(2).name, oid(digit))).into_iter().collect();
    Change::SubplanMerged { child: plan_id(100), name: "api".to_owned(), tips }
}

fn conflict() -> Change {
    Change::SubplanConflicted { child: plan_id(101), name: "web".to_owned(), failure: failure(false) }
}

/// Everything that can go wrong, and then lands.
pub(crate) fn to_applied() -> Vec<Change> {
    let mut road = vec![split(&[("api", None)], 98), split(&[("api", Some(98)), ("db", None)], 102)];
    road.extend([start(1, '1', true), park(Some(i64::MAX), None), start(2, '2', false)]);
    road.extend([Change::Adopted { driver: holder(3) }, park(None, Some("which \"one\"?"))]);
    road.extend([Change::Prompted { text: "the first\n".to_owned() }, start(4, '3', true)]);
    road.extend([
        Change::PhaseFailed { failure: failure(false), exit: Some(Exit::Code(-1)), work: work() },
        Change::retried(),
    ]);
    road.extend([start(5, '4', true), complete(Some("carefully 🦀"), Some('5'))]);
    road.extend([Change::Reverted { reason: Some("too slow".to_owned()) }, start(6, '6', true)]);
    road.extend([complete(None, None), Change::PhaseAdvanced { to: Phase::Execute }]);
    road.extend([split(&[("api", None), ("web", None)], 100), start(7, '7', true)]);
    let resume = BTreeMap::from([(project(1).name, oid('a'))]);
    let snapshot = |mut work: Vec<Work>| vec![work.swap_remove(1)];
    road.extend([
        Change::PhaseFailed { failure: failure(true), exit: Some(Exit::Signal(9)), work: snapshot(work()) },
        Change::Retried { resume, anew: true },
    ]);
    road.extend([start(7, '7', true), park(None, None), start(7, '7', false)]);
    road.extend([merged(None), merged(Some('6')), conflict(), Change::CommandStarted]);
    road.extend([
        complete(Some(""), Some('8')),
        Change::PhaseAdvanced { to: Phase::Apply },
        start(8, '9', true),
    ]);
    road.extend([intend(&[1, 2], 10), Change::Landed { intent: intent_id(11) }]);
    road.extend([Change::Constrained { failure: failure(true), validations: Vec::new() }, Change::retried()]);
    road.extend([start(9, 'e', true), intend(&[2], 20), Change::Landed { intent: intent_id(22) }]);
    road.push(Change::Applied);
    road
}

/// Interrupted in each way, and given up with a part landed.
pub(crate) fn to_cancelled() -> Vec<Change> {
    let mut road = Vec::new();
    for cause in InterruptCause::ALL {
        road.extend([start(1, '1', true), Change::Interrupted { cause, work: work() }, Change::retried()]);
    }
    road.extend([Change::Reverted { reason: None }, start(2, '2', true), complete(None, None)]);
    road.extend([
        Change::PhaseAdvanced { to: Phase::Execute },
        start(3, '3', true),
        complete(None, Some('4')),
    ]);
    road.extend([Change::PhaseAdvanced { to: Phase::Apply }, start(4, '5', true), intend(&[1], 30)]);
    road.extend([Change::Landed { intent: intent_id(31) }]);
    road.push(Change::PhaseFailed { failure: failure(true), exit: None, work: Vec::new() });
    road.push(Change::Cancelled {
        reason: Some("enough".to_owned()),
        keep_landed: true,
        work: work(),
        given_up: None,
    });
    road
}

/// Given up while it runs, for no reason.
pub(crate) fn to_cancelled_at_once() -> Vec<Change> {
    vec![
        start(1, '1', true),
        Change::Cancelled { reason: None, keep_landed: false, work: Vec::new(), given_up: None },
    ]
}
