//! An order for a worker among the causes: what it stands in for, and what still stands in its way.

use crate::orders::WorkOrder;
use crate::workers::Worker;

use super::{Facts, Why};

/// An order that is open, and of a plan that is not yet as far.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The order.
    pub order: Box<WorkOrder>,
    /// Who has it in hand, if that is known.
    pub worker: Option<Box<Worker>>,
    /// How many workers are not known to be gone.
    pub alive: usize,
}

impl Ordered {
    /// Whether nobody is there to take it up.
    pub const fn is_nobodys(&self) -> bool {
        self.alive == 0
    }
}

/// The causes of a plan that nobody holds, with its order among them: it comes first, unless the plan
/// waits for something that no worker can give.
pub(super) fn among(facts: &Facts, mut found: Vec<Why>) -> Vec<Why> {
    let Some(ordered) = facts.ordered.clone().map(Why::Ordered) else { return found };
    match found.first_mut() {
        Some(first @ (Why::NotOrdered { .. } | Why::AwaitsApproval { .. })) => *first = ordered,
        Some(Why::AwaitsInput { .. } | Why::Parked { .. } | Why::Stalled(_) | Why::Asked { .. }) => {
            found.push(ordered);
        }
        _ => found.insert(0, ordered),
    }
    found
}
