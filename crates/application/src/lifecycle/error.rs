//! Why a transition did not happen.

use agents_domain::id::PlanId;
use agents_domain::lock::LockError;
use agents_domain::plan::{Refusal, StoreError};
use thiserror::Error;

/// Why a transition did not happen. Nothing was written, unless it says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LifecycleError {
    /// There is no such plan.
    #[error("there is no plan {plan}")]
    NoSuchPlan {
        /// The plan.
        plan: PlanId,
    },
    /// Not legal where the plan is.
    #[error(transparent)]
    Refused(Box<Refusal>),
    /// Another holds the plan, or the locks are out of reach.
    #[error("plan {plan}: {source}")]
    Lock {
        /// The plan.
        plan: PlanId,
        /// What the locks say.
        source: LockError,
    },
    /// The lock was lost on the way: the write was refused.
    #[error("the lock of plan {plan} was lost; nothing was written")]
    LeaseLost {
        /// The plan.
        plan: PlanId,
    },
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Why a lock was not taken: one that is not there is a plan that is not there.
pub(super) fn not_held(plan: PlanId, source: LockError) -> LifecycleError {
    match source {
        LockError::NoSuchLock { .. } => LifecycleError::NoSuchPlan { plan },
        source => LifecycleError::Lock { plan, source },
    }
}
