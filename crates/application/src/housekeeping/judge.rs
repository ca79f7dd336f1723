//! What may go, and why not: pure.
//!
//! | left by | goes | only when asked for what is nowhere else | stays |
//! |---|---|---|---|
//! | any plan not at work | directories whose snapshot is recorded, previews, records | | |
//! | a finished plan, old enough | logs | directories without a whole snapshot, artifacts | |
//! | an applied plan, old enough | the plan branch, where a snapshot has it too | | |
//! | all others | | | everything |

use agents_domain::action::LandOn;
use agents_domain::housekeeping::{Leftover, LeftoverKind};
use agents_domain::oid::Oid;
use agents_domain::plan::{PlanRecord, Saved, State};

use crate::lifecycle::history::Works;

/// What is to become of a leftover.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Verdict {
    /// It may go: nothing is lost by it, or nobody needs it any more.
    Goes,
    /// It is nowhere else, for this reason: it goes only if that is asked for.
    OnlyIfKept(String),
    /// It stays, for this reason.
    Stays(String),
}

impl Verdict {
    /// Whether it goes; `kept`: also what is nowhere else.
    pub fn goes(&self, kept: bool) -> bool {
        match self {
            Self::Goes => true,
            Self::OnlyIfKept(_) => kept,
            Self::Stays(_) => false,
        }
    }
}

/// What is to become of one thing that a plan left; `old`: the plan has not changed for long.
pub fn judge(plan: &PlanRecord, land: LandOn, works: &Works, old: bool, leftover: &Leftover) -> Verdict {
    if plan.state() == State::Processing {
        return stays("the plan is at work");
    }
    match &leftover.kind {
        LeftoverKind::Foreign { reason } => stays(reason),
        LeftoverKind::Record | LeftoverKind::Preview => Verdict::Goes,
        LeftoverKind::Worktree => match of_worktree(works, leftover) {
            None => Verdict::Goes,
            Some(reason) => finished(plan, old).unwrap_or(Verdict::OnlyIfKept(reason)),
        },
        LeftoverKind::Files { artifacts } => finished(plan, old).unwrap_or_else(|| match artifacts {
            true => Verdict::OnlyIfKept("the command left artifacts".to_owned()),
            false => Verdict::Goes,
        }),
        LeftoverKind::Branch { tip, checked_out } => of_branch(plan, land, leftover, tip, *checked_out)
            .or_else(|| finished(plan, old))
            .unwrap_or(Verdict::Goes),
    }
}

fn stays(reason: &str) -> Verdict {
    Verdict::Stays(reason.to_owned())
}

/// Why a directory holds what is nowhere else; `None`: its snapshot has all of it.
fn of_worktree(works: &Works, leftover: &Leftover) -> Option<String> {
    let key = leftover.attempt.zip(leftover.project.clone());
    match key.and_then(|key| works.get(&key)) {
        Some(Saved::Snapshot { kept, .. }) => kept.clone(),
        Some(Saved::Directory { reason }) => Some(format!("no snapshot could be made: {reason}")),
        None => Some("no snapshot of it is recorded".to_owned()),
    }
}

/// Why what a plan needs, or may need, stays.
fn finished(plan: &PlanRecord, old: bool) -> Option<Verdict> {
    match (plan.state().is_terminal(), old) {
        (false, _) => Some(stays("the plan is not finished")),
        (true, false) => Some(stays("the plan finished not long ago")),
        (true, true) => None,
    }
}

fn of_branch(
    plan: &PlanRecord,
    land: LandOn,
    leftover: &Leftover,
    tip: &Oid,
    checked_out: bool,
) -> Option<Verdict> {
    let facts = plan.projects.iter().find(|facts| Some(&facts.name) == leftover.project.as_ref());
    let recorded = facts.and_then(|facts| facts.tip.as_ref());
    let reason = if plan.state() != State::Applied {
        "it has not landed"
    } else if land == LandOn::Branch {
        "it is the plan's result"
    } else if checked_out {
        "a checkout is on it"
    } else if recorded != Some(tip) {
        "somebody has moved it"
    } else {
        return None;
    };
    Some(stays(reason))
}
