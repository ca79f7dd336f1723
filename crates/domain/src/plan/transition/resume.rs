//! What the next attempt may go on with: the unfinished work of earlier ones.
//!
//! Only execute leaves work that can be gone on with. Strategize must not change files, and what
//! it changed all the same must not become the start of anything; apply lands what is finished.

use std::collections::BTreeMap;

use crate::name::Name;
use crate::oid::Oid;
use crate::plan::{Phase, Plan, Refusal, Verb};

use super::guard::{self, Hindrance};
use super::target;

/// The commit in each project at which an attempt begins that goes on with what earlier ones left;
/// refused where there is nothing of the kind.
pub fn resumption(plan: &Plan) -> Result<BTreeMap<Name, Oid>, Refusal> {
    target(Verb::Retry, plan.stage).ok_or_else(|| guard::not_legal(plan, Verb::Retry))?;
    if let Some(hindrance) = hindrance(plan) {
        return Err(hindrance.refuse(plan, Verb::Retry));
    }
    let left = plan.projects.iter().filter_map(|facts| Some((facts.name.clone(), facts.snapshot.clone()?)));
    let left: BTreeMap<_, _> = left.collect();
    if left.is_empty() {
        let nothing = because(plan, "no attempt has left a snapshot to go on from");
        return Err(nothing.refuse(plan, Verb::Retry));
    }
    Ok(left)
}

/// Why an attempt of this phase cannot go on with unfinished work.
pub(super) fn hindrance(plan: &Plan) -> Option<Hindrance> {
    match plan.phase() {
        Phase::Execute => None,
        Phase::Strategize => {
            Some(because(plan, "strategize changes no files: there is no unfinished work to go on with"))
        }
        Phase::Apply => {
            Some(because(plan, "apply lands what is finished: there is no unfinished work to go on with"))
        }
    }
}

/// Trying again without is always the way on.
fn because(plan: &Plan, reason: &str) -> Hindrance {
    Hindrance::with(reason, format!("agents plan retry {}", plan.id))
}
