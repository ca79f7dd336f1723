//! T2 and T5: what a process said is in the history, in an order that one clock could have seen, and
//! no process said what no user should read.

use std::collections::BTreeMap;

use agents_domain::plan::{Event, Plan, replay};
use serde_json::Value;

use super::{Evidence, Verdict};
use crate::linux::runs::{Fault, Run};
use crate::linux::weather::{AWAY, Weather};

/// What the database or its adapter says of itself.
const RAW: [&str; 20] = [
    "database is locked",
    "database table is locked",
    "database is busy",
    "SQLITE_",
    "disk image is malformed",
    "constraint failed",
    "deadlock detected",
    "could not serialize",
    "current transaction is aborted",
    "SSL SYSCALL",
    "SQLSTATE",
    "canceling statement",
    "idle-in-transaction",
    "duplicate key",
    "violates",
    "pg_",
    "relation \"",
    "prepared statement",
    "panicked",
    "internal error",
];
/// A writer frozen in its turn keeps the others waiting for ten seconds; then they may give up.
const GATE: i64 = 8_000;

/// A version of a plan that a process told of.
struct Answer<'a> {
    run: &'a Run,
    version: u64,
}

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    let mut answers: BTreeMap<&str, Vec<Answer<'_>>> = BTreeMap::new();
    let documents: Vec<_> = evidence.runs.iter().map(|run| (run, run.document())).collect();
    for (run, document) in &documents {
        words(run, verdict);
        codes(evidence, run, document.as_ref(), verdict);
        let Some(document) = document.as_ref().filter(|document| document["status"] == "ok") else {
            continue;
        };
        for data in told(document) {
            let (Some(id), Some(version)) = (data["plan_id"].as_str(), data["version"].as_u64()) else {
                continue;
            };
            verdict.answers += 1;
            match evidence.histories.get_key_value(id) {
                Some((id, history)) => {
                    if let Some(problem) = contradiction(history, data, version) {
                        verdict.violations.push(format!("T2 {}: {problem}", run.line()));
                    }
                    answers.entry(id).or_default().push(Answer { run, version });
                }
                None => verdict.violations.push(format!("T2 {}: plan {id} is nowhere", run.line())),
            }
        }
    }
    for answers in answers.values_mut() {
        order(answers, verdict);
    }
}

/// The plans that a document tells of.
fn told(document: &Value) -> Vec<&Value> {
    match document["data"]["plans"].as_array() {
        Some(plans) => plans.iter().collect(),
        None => vec![&document["data"]],
    }
}

fn words(run: &Run, verdict: &mut Verdict) {
    for word in RAW {
        if run.err.contains(word) || run.out.contains(word) {
            verdict.violations.push(format!("T5 {} says `{word}`", run.line()));
        }
    }
}

/// Codes that no user should see, unless a fault explains them.
fn codes(evidence: &Evidence<'_>, run: &Run, document: Option<&Value>, verdict: &mut Verdict) {
    let met = |kind: &str| run.faults.iter().any(|fault| fault.kind == kind);
    // Only those that move plans stay to tell what became of them, once they hold one.
    let holds = || evidence.seen.iter().any(|seen| seen.kind == "grant" && seen.pid == Some(run.pid.into()));
    let moves = ["run", "plan", "recover", "prune", "worker"]
        .iter()
        .any(|word| run.words.get(1).is_some_and(|first| first == word));
    let killed = met("kill") || (met("term") && !(moves && holds()));
    if met("hang") {
        verdict.violations.push(format!("T2 {} did not end", run.line()));
    }
    match run.exit {
        None if killed => {}
        // It was asked to end, once or twice; a store that is away it waits for, but at its start.
        Some(0 | 130 | 143) if run.is_worker() => {}
        None => verdict.violations.push(format!("T2 {} ended by a signal of nobody's", run.line())),
        Some(_) if document.is_none() && !run.is_worker() => {
            verdict.violations.push(format!("T2 {} ended without a document", run.line()));
        }
        Some(code) if document.is_some_and(|document| document["exit_code"] != code) => {
            verdict.violations.push(format!("T2 {} ended with {code}, and says another", run.line()));
        }
        // Git could not write: said so, with what helps.
        Some(1) if full(evidence, run, 0) && document.is_some_and(tells_of_a_full_disk) => {}
        // These tell of each thing that they could not do.
        Some(1)
            if !run.words.iter().any(|word| ["recover", "prune", "diagnostics"].contains(&word.as_str())) =>
        {
            verdict.violations.push(format!("T5 {} failed inside: {}", run.line(), run.out));
        }
        Some(code) if run.is_worker() && code != 10 => {
            verdict.violations.push(format!("T5 {} ended with {code}: {}", run.line(), run.err));
        }
        Some(10) if !excused(evidence, run) => {
            verdict.violations.push(format!("T5 {} found no store: {}", run.line(), run.out));
        }
        Some(_) => {}
    }
}

/// Whether it says that git could not write, or could not fetch since there was no room here.
fn tells_of_a_full_disk(document: &Value) -> bool {
    let error = &document["error"];
    let room = || error["message"].as_str().is_some_and(|said| said.contains("make room on the disk"));
    error["code"] == "git_failed" || error["code"] == "remote" && room()
}

/// Whether it is no wonder that the store was away. A file: the disk was full, or a process frozen for
/// long, while this one ran. A server: it could not be reached then. That connections were cut is no
/// excuse, for it is tried again; nor is it that one transaction was in the way of another.
fn excused(evidence: &Evidence<'_>, run: &Run) -> bool {
    if evidence.world.oracle.place.server().is_some() {
        let excuses = |weather: &&Weather| AWAY.contains(&weather.fault.kind);
        return evidence.weather.iter().filter(excuses).any(|weather| weather.met(run, 0));
    }
    let frozen = |fault: &Fault| fault.to - fault.from >= GATE;
    let meets = |fault: &Fault| fault.from <= run.to && run.from <= fault.to + GATE;
    let mut faults = evidence.runs.iter().flat_map(|other| &other.faults);
    full(evidence, run, GATE) || faults.any(|fault| frozen(fault) && meets(fault))
}

/// Whether the disk was full while this one ran, or had been so long before.
fn full(evidence: &Evidence<'_>, run: &Run, before: i64) -> bool {
    let mut weather = evidence.weather.iter();
    weather.any(|weather| weather.fault.kind == "full" && weather.met(run, before))
}

/// Whether the history says otherwise.
fn contradiction((_, events): &(Plan, Vec<Event>), data: &Value, version: u64) -> Option<String> {
    let upto = usize::try_from(version).ok().and_then(|count| events.get(..count));
    let Some(upto) = upto else {
        return Some(format!("it told of version {version}, which is not in the history: lost"));
    };
    let plan = replay(upto).ok()?;
    let (phase, state) = (plan.phase().as_str(), plan.state().as_str());
    let same = data["phase"] == phase && data["state"] == state && data["attempt"] == plan.attempt;
    (!same).then(|| {
        format!(
            "it told of {}/{} at version {version}, which was {phase}/{state}",
            data["phase"], data["state"]
        )
    })
}

/// Whoever began after another had answered has seen no less.
fn order(answers: &mut [Answer<'_>], verdict: &mut Verdict) {
    answers.sort_by_key(|answer| answer.run.to);
    for later in answers.iter() {
        let before = answers.iter().take_while(|earlier| earlier.run.to < later.run.from);
        let Some(most) = before.max_by_key(|earlier| earlier.version) else { continue };
        if most.version > later.version {
            verdict.violations.push(format!(
                "T2 {} saw version {}, though {} had told of {} before it began",
                later.run.line(),
                later.version,
                most.run.line(),
                most.version
            ));
        }
    }
}
