//! Trees: plans whose children run at once, in order or one after the other, two levels deep; some
//! fail, some do not go together, some are given up.

mod actions;
mod resolve;

pub(crate) use actions::{actions, plant};
pub(crate) use resolve::resolve;

use crate::linux::oracle::Plan;
use crate::linux::world::World;

/// The actions whose plans have children that they ask for themselves.
pub(crate) const TREES: [&str; 4] = ["any-order", "in-order", "one-by-one", "all-or-none"];

/// What moves a plan on that has children, where that differs from other plans.
pub(crate) fn onward(world: &World, plan: &Plan) -> Option<String> {
    let id = &plan.id;
    match plan.error_code.as_deref() {
        Some("conflict" | "subplan_not_merged") if plan.phase == "execute" => {
            resolve(world, id);
            Some(format!("plan retry {id}"))
        }
        Some("subplans_failed") => {
            // One that failed may have failed because children of its own do not go together.
            resolve(world, id);
            Some(format!("plan retry {id} --only-failed"))
        }
        _ => None,
    }
}
