//! T1: tokens only grow, and nothing is written but by whoever holds the plan at that moment.

use std::collections::BTreeMap;

use super::{Evidence, Verdict};
use crate::linux::oracle::Seen;
use crate::linux::runs::{Fault, Run};

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    let mut granted: BTreeMap<&str, i64> = BTreeMap::new();
    for seen in &evidence.seen {
        let token = seen.token.unwrap_or_default();
        match seen.kind.as_str() {
            "grant" => {
                let before = granted.insert(&seen.key, token);
                if before.is_some_and(|before| before >= token) {
                    verdict.violations.push(format!("T1 {}: token {token} after {before:?}", seen.key));
                }
            }
            "renewal" if seen.lock_owner != seen.owner => {
                verdict.violations.push(format!("T1 {}: token {token} changed hands: {seen:?}", seen.key));
            }
            "event" if (&seen.owner, seen.token) != (&seen.lock_owner, seen.lock_token) => {
                verdict.violations.push(format!(
                    "T1 {}: a stale write was accepted: event {:?} under token {token} of {:?}, while {:?} \
                     held it at token {:?}",
                    seen.key, seen.seq, seen.owner, seen.lock_owner, seen.lock_token
                ));
            }
            _ => {}
        }
    }
    for (id, (plan, events)) in &evidence.histories {
        // A child is born at a token of its parent's lock; those of its own begin after that.
        let own = events.iter().skip(usize::from(plan.subplan.is_some()));
        let tokens: Vec<_> = own.map(|event| event.token).collect();
        if tokens.iter().any(Option::is_none) || !tokens.is_sorted() {
            verdict.violations.push(format!("T1 plan {id}: tokens of its events go back: {tokens:?}"));
        }
    }
    verdict.violations.extend(evidence.late.iter().map(|late| format!("T1 {late}")));
    left_behind(evidence, verdict);
}

/// Whoever ended by itself has given its locks back, or has said why not.
fn left_behind(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    for (key, token) in evidence.world.oracle.held() {
        let grant = |seen: &&Seen| seen.kind == "grant" && seen.key == key && seen.token == Some(token);
        let pid = evidence.seen.iter().find(grant).and_then(|seen| seen.pid);
        let holder = evidence.runs.iter().rev().find(|run| pid == Some(run.pid.into()));
        let silent = |run: &&Run| run.exit.is_some() && !run.out.contains("could not be released");
        if let Some(run) = holder.filter(silent).filter(|run| !forgotten(evidence, run)) {
            verdict.violations.push(format!("T1 {key} is left held at token {token} by {}", run.line()));
        }
    }
}

/// Whether the server was killed right after that process had ended: a release waits for no disk, and is
/// forgotten with the last moments. The process is beyond doubt gone; whoever wants the lock sees that.
fn forgotten(evidence: &Evidence<'_>, run: &Run) -> bool {
    const FLUSHED: i64 = 1_000;
    let after = |fault: &Fault| run.from <= fault.to && fault.from <= run.to + FLUSHED;
    evidence.weather.iter().any(|weather| weather.fault.kind == "restart" && after(&weather.fault))
}
