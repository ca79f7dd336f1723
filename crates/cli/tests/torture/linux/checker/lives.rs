//! T4: commands of two attempts of one plan are never alive at once, and none is alive without a
//! lease unless its driver was frozen.

use std::collections::{BTreeMap, BTreeSet};

use super::{Evidence, Verdict};
use crate::linux::journal::{Record, What};
use crate::linux::world::TTL_MS;

/// A time in which a plan was leased without a gap, by the clock since boot.
struct Term {
    from: i64,
    to: i64,
    pid: i64,
}

pub(super) fn check(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    for (plan, records) in &evidence.journal {
        for record in records {
            if let What::Begin(_, others) = &record.what
                && !others.is_empty()
            {
                verdict.violations.push(format!(
                    "T4 plan {plan}: attempt {} began while commands of another lived: {others:?}",
                    record.attempt
                ));
            }
        }
        once(plan, records, verdict);
        apart(plan, records, verdict);
        covered(evidence, plan, records, verdict);
    }
    for left in evidence.world.processes() {
        verdict.violations.push(format!("T4 a process is left: {left:?}"));
    }
}

/// T3: an attempt runs the command of its phase once. (Validations run once for each project.)
fn once(plan: &str, records: &[Record], verdict: &mut Verdict) {
    let mut begun = BTreeSet::new();
    for record in records {
        let What::Begin(role, _) = &record.what else { continue };
        if role != "validate" && !begun.insert((record.attempt, role)) {
            verdict.violations.push(format!("T3 plan {plan}: attempt {} ran {role} twice", record.attempt));
        }
    }
}

/// The last sign of life of an attempt lies before the first of the next.
fn apart(plan: &str, records: &[Record], verdict: &mut Verdict) {
    let mut spans: BTreeMap<u32, (i64, i64)> = BTreeMap::new();
    for record in records {
        let span = spans.entry(record.attempt).or_insert((record.at, record.at));
        *span = (span.0.min(record.at), span.1.max(record.at));
    }
    let spans: Vec<_> = spans.into_iter().collect();
    for pair in spans.windows(2) {
        let margin = pair[1].1.0 - pair[0].1.1;
        verdict.margins.push(margin);
        if margin < 0 {
            verdict.violations.push(format!(
                "T4 plan {plan}: attempt {} lived for {} ms beside attempt {}",
                pair[0].0, -margin, pair[1].0
            ));
        }
    }
}

/// Every sign of life falls into a lease, or its driver was frozen then and could not end it.
fn covered(evidence: &Evidence<'_>, plan: &str, records: &[Record], verdict: &mut Verdict) {
    let terms = terms(evidence, plan);
    let bare = |record: &&Record| {
        let within = terms.iter().any(|term| term.from <= record.at && record.at <= term.to);
        !within && !frozen(evidence, &terms, record.at)
    };
    let mut bare: Vec<_> = records.iter().filter(bare).collect();
    bare.sort_by_key(|record| record.at);
    if let (Some(first), Some(last)) = (bare.first(), bare.last()) {
        verdict.violations.push(format!(
            "T4 plan {plan}: a command of attempt {} lived without a lease, for {} ms and {} signs of life",
            last.attempt,
            last.at - first.at,
            bare.len()
        ));
    }
}

fn terms(evidence: &Evidence<'_>, plan: &str) -> Vec<Term> {
    let key = format!("plan/{plan}");
    let mut terms = Vec::new();
    for seen in evidence.seen.iter().filter(|seen| seen.key == key) {
        match (seen.kind.as_str(), seen.expires) {
            ("grant", Some(to)) => {
                terms.push(Term { from: to - TTL_MS, to, pid: seen.pid.unwrap_or_default() });
            }
            ("renewal", Some(to)) => {
                // A renewal that came too late leaves a gap.
                match terms.last_mut() {
                    Some(term) if to - TTL_MS <= term.to => term.to = term.to.max(to),
                    _ => terms.push(Term { from: to - TTL_MS, to, pid: seen.pid.unwrap_or_default() }),
                }
            }
            _ => {}
        }
    }
    terms
}

/// Whether the driver whose lease was the last before that moment was stopped then, or was so a
/// moment ago: what it thaws to do takes it a beat of its heart.
fn frozen(evidence: &Evidence<'_>, terms: &[Term], at: i64) -> bool {
    const BEAT: i64 = 1_000;
    let Some(term) = terms.iter().rev().find(|term| term.to < at) else { return false };
    let runs = evidence.runs.iter().filter(|run| i64::from(run.pid) == term.pid);
    runs.flat_map(|run| &run.faults)
        .any(|fault| ["stop", "stop-tree"].contains(&fault.kind) && fault.from <= at && at <= fault.to + BEAT)
}
