//! The attempts of a plan, each with how it ended: made of the log, by one function.

use std::collections::BTreeMap;

use agents_domain::lock::Holder;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Event, Exit, Failure, Phase, Plan, Step, Work, next};
use agents_domain::time::Timestamp;

use super::of_change;

/// How an attempt ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub enum Outcome {
    /// The phase is complete; of apply: everything has landed.
    Complete,
    /// It failed.
    Failed,
    /// It could not land.
    Constrained,
    /// It was cut short.
    Interrupted,
    /// It asked to be run again later.
    Parked,
    /// The plan was given up while it ran.
    Cancelled,
}

impl Outcome {
    /// How an attempt ends by a change, whether or not it was under way; `None`: it does not.
    pub const fn of(change: &Change) -> Option<Self> {
        Some(match change {
            Change::PhaseCompleted { .. } | Change::Applied => Self::Complete,
            Change::PhaseFailed { .. } => Self::Failed,
            Change::Constrained { .. } => Self::Constrained,
            Change::Interrupted { .. } => Self::Interrupted,
            Change::Parked { .. } => Self::Parked,
            Change::Cancelled { .. } => Self::Cancelled,
            _ => return None,
        })
    }

    /// The word used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Complete => "complete",
            Self::Failed => "failed",
            Self::Constrained => "constrained",
            Self::Interrupted => "interrupted",
            Self::Parked => "parked",
            Self::Cancelled => "cancelled",
        }
    }
}

/// The end of an attempt.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptEnd {
    /// When it was recorded.
    pub at: Timestamp,
    /// What it came to.
    pub outcome: Outcome,
    /// Why, if it failed, could not land or was cut short.
    pub failure: Option<Failure>,
    /// How its command ended, if it failed and its command ended by itself.
    pub exit: Option<Exit>,
    /// Where its work is.
    pub work: Vec<Work>,
}

/// One start of one phase.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptRecord {
    /// Its number, from 1, over the whole life of the plan.
    pub number: u32,
    /// The phase it was an attempt at.
    pub phase: Phase,
    /// When it began.
    pub started_at: Timestamp,
    /// Who drove it, last.
    pub driver: Holder,
    /// Where it began in each project in which it went on with unfinished work.
    pub resumed: BTreeMap<Name, Oid>,
    /// How it ended; `None`: it has not, as far as is recorded.
    pub end: Option<AttemptEnd>,
}

/// All attempts of a plan, oldest first. The log is replayed through the transition function, which
/// says of each start its phase, its number, and with what it goes on.
pub fn attempts(events: &[Event]) -> Vec<AttemptRecord> {
    let mut found: Vec<AttemptRecord> = Vec::new();
    let mut plan: Option<Plan> = None;
    for event in events {
        plan = match (&event.change, plan) {
            (Change::Created(origin), _) => Some(Plan::create(event.plan, origin, event.at)),
            (change, Some(before)) => match next(&before, change, event.at) {
                Ok(Step::Moved(after)) => Some(after),
                _ => Some(before),
            },
            (_, None) => None,
        };
        match (&event.change, &plan, found.last_mut()) {
            (Change::PhaseStarted { driver, .. }, Some(plan), _) => found.push(begun(plan, driver, event.at)),
            (Change::Adopted { driver }, _, Some(attempt)) => attempt.driver = driver.clone(),
            (Change::WorkSaved { attempt, work }, _, _) => replace(&mut found, *attempt, work),
            // A plan may be given up long after its last attempt has ended.
            (_, _, Some(attempt)) if attempt.end.is_none() => attempt.end = end(event),
            _ => {}
        }
    }
    found
}

/// What was only on another machine is in snapshots by now.
fn replace(found: &mut [AttemptRecord], attempt: u32, saved: &[Work]) {
    let end = found.iter_mut().find(|one| one.number == attempt).and_then(|one| one.end.as_mut());
    for work in end.into_iter().flat_map(|end| &mut end.work) {
        if let Some(now) = saved.iter().find(|now| now.project == work.project) {
            *work = now.clone();
        }
    }
}

fn begun(plan: &Plan, driver: &Holder, at: Timestamp) -> AttemptRecord {
    let resumed = plan.projects.iter().filter_map(|facts| Some((facts.name.clone(), facts.resume.clone()?)));
    AttemptRecord {
        number: plan.attempt,
        phase: plan.phase(),
        started_at: at,
        driver: driver.clone(),
        resumed: resumed.collect(),
        end: None,
    }
}

/// How a change ends the attempt that is under way, if it does.
fn end(event: &Event) -> Option<AttemptEnd> {
    let outcome = Outcome::of(&event.change)?;
    let failure = match &event.change {
        Change::PhaseFailed { failure, .. } | Change::Constrained { failure, .. } => Some(failure.clone()),
        Change::Interrupted { cause, .. } => Some(cause.failure(event.plan)),
        _ => None,
    };
    let exit = match event.change {
        Change::PhaseFailed { exit, .. } => exit,
        _ => None,
    };
    Some(AttemptEnd { at: event.at, outcome, failure, exit, work: of_change(&event.change).to_vec() })
}

#[cfg(test)]
#[path = "attempts/tests.rs"]
mod tests;
