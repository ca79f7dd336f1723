//! How far the landing of a plan in one project is.

use crate::workspace::Intent;

/// An intent of a plan, and whether it has been carried out.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanLanding {
    /// The decision.
    pub intent: Intent,
    /// Whether the branch is known to have moved.
    pub landed: bool,
}
