//! The command that helps. Of a child it is never one that only its parent may carry out.

use crate::lock::LockKey;
use crate::plan::{Failure, Phase};
use crate::request::Wish;

use super::decide::{because, next_phase};
use super::{Cause, Facts, Stall, Stalled, Why};

/// The command that helps against one cause.
pub(super) fn remedy(facts: &Facts, why: &Why) -> String {
    let id = facts.plan.id;
    match why {
        Why::Runs { .. } => format!("agents plan wait {id}"),
        Why::RunsChildren { .. } => format!("agents plan tree {id}"),
        Why::Held { .. } => format!("agents lock explain {}", LockKey::Plan(id)),
        Why::Waits { line, .. } => format!("agents lock explain {}", line.key),
        Why::NoPlace { .. } => "agents plan list --state processing".to_owned(),
        Why::NoDriver { .. } => "agents recover".to_owned(),
        Why::Asked { request } => match request.wish {
            Wish::Cancel { .. } => format!("agents plan cancel {id}"),
            Wish::LetGo { .. } => format!("agents lock explain {}", LockKey::Plan(id)),
        },
        Why::AwaitsInput { .. } => format!("agents plan prompt {id} \"…\""),
        Why::Stalled(Stalled { child, stall: Stall::Asks { .. } }) => {
            format!("agents plan prompt {} \"…\"", child.plan)
        }
        Why::Stalled(Stalled { child, stall: Stall::Conflicts { .. } }) => {
            format!("agents plan diff {}", child.plan)
        }
        Why::Parked { .. } | Why::AwaitsApproval { .. } | Why::NotOrdered { .. } => order(facts),
        Why::Ordered(ordered) if ordered.is_nobodys() => "agents worker run".to_owned(),
        Why::Ordered(_) => "agents worker list".to_owned(),
        Why::WaitsForSubplans { siblings } => match siblings.first() {
            Some(first) => format!("agents plan why {}", first.plan),
            None => order(facts),
        },
        Why::WaitsForParent { because, .. } | Why::MergedByParent { because, .. } => {
            from_above(facts, because)
        }
        Why::Errored { failure } | Why::Constrained { failure } => retry(facts, failure),
        Why::Applied => format!("agents plan diff {id}"),
        Why::Cancelled { .. } => format!("agents plan events {id}"),
    }
}

/// The next phase is a person's to order; of a child, it is its parent that goes on.
fn order(facts: &Facts) -> String {
    if let Some(above) = &facts.above {
        return from_above(facts, &because(above));
    }
    let command = if next_phase(&facts.plan) == Phase::Apply { "apply" } else { "execute" };
    format!("agents plan {command} {}", facts.plan.id)
}

/// The failure may know a better one: with a flag. A child is not run before its time.
fn retry(facts: &Facts, failure: &Failure) -> String {
    if let Some(above) = facts.above.as_ref().filter(|above| !above.lets_begin()) {
        return from_above(facts, &because(above));
    }
    let known = failure.hint.clone().filter(|hint| hint.starts_with("agents plan retry"));
    known.unwrap_or_else(|| format!("agents plan retry {}", facts.plan.id))
}

/// What helps the parent helps the child. Nothing comes of a child whose parent is at its end.
fn from_above(facts: &Facts, parent: &Cause) -> String {
    match parent.why {
        Why::Applied | Why::Cancelled { .. } => format!("agents plan cancel {}", facts.plan.id),
        _ => parent.remedy.clone(),
    }
}
