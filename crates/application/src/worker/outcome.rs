//! What a turn came to, as far as the order is concerned.

use std::time::Duration;

use agents_domain::lock::LockError;
use agents_domain::orders::passes;
use agents_domain::plan::Plan;
use agents_domain::runner::StopCause;
use agents_domain::workspace::WorkspaceError;

use crate::driver::DriveError;
use crate::lifecycle::LifecycleError;

/// A plan that another holds, or whose lock was lost, is looked at again after this.
const SOON: Duration = Duration::from_secs(1);
/// After trouble that is not the plan's: at first, doubled each time, and at most.
const TROUBLE: (Duration, Duration) = (Duration::from_secs(2), Duration::from_mins(5));

/// What becomes of an order after a turn.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum After {
    /// It goes back into the line.
    Back {
        /// Why, for people.
        why: String,
        /// For how long it rests.
        rest: Option<Duration>,
        /// What was in the way that is not the plan's.
        trouble: Option<String>,
    },
    /// It ends: what was ordered may not be done, or somebody wants it out of our hands.
    Void(String),
}

impl After {
    /// After a turn at an order that had been put back so often for trouble.
    pub(super) fn turn(outcome: &Result<Plan, DriveError>, troubles: u32) -> Self {
        match outcome {
            // The turn ends with it, and so does the order where it will not be tried again.
            Ok(plan) if passes(plan) => {
                let why = plan.failure.as_ref().map(|failure| failure.message.clone());
                Self::trouble(why.unwrap_or_default(), troubles)
            }
            Ok(plan) => Self::back(plan.parked.as_ref().map_or_else(
                || format!("now {}", plan.stage),
                |parked| format!("it waits: {}", parked.cause),
            )),
            Err(DriveError::Stopped { cause: StopCause::Asked, .. }) => {
                Self::Void("somebody asked for its lock".to_owned())
            }
            Err(DriveError::Stopped { cause: StopCause::LeaseLost, .. }) => Self::lost(),
            Err(DriveError::Stopped { .. }) => Self::back("it was stopped".to_owned()),
            Err(DriveError::Lifecycle(error)) => Self::of_lifecycle(error, troubles),
            Err(DriveError::Workspace(error @ WorkspaceError::RemoteRefused { remedy, .. })) => {
                Self::Void(format!("refused: {error}; {remedy}"))
            }
            Err(error) => Self::trouble(error.to_string(), troubles),
        }
    }

    fn of_lifecycle(error: &LifecycleError, troubles: u32) -> Self {
        match error {
            LifecycleError::Refused(refusal) => Self::Void(format!("refused: {}", refusal.reason)),
            LifecycleError::LeaseLost { .. } => Self::lost(),
            LifecycleError::Lock { source: LockError::Conflict(_) | LockError::Queued(_), .. } => {
                Self::resting("another process has it", SOON)
            }
            error => Self::trouble(error.to_string(), troubles),
        }
    }

    /// The task that drove it did not come to an end of its own.
    pub(super) fn broken(error: &tokio::task::JoinError, troubles: u32) -> Self {
        Self::trouble(format!("an internal error: {error}"), troubles)
    }

    const fn back(why: String) -> Self {
        Self::Back { why, rest: None, trouble: None }
    }

    fn resting(why: &str, rest: Duration) -> Self {
        Self::Back { why: why.to_owned(), rest: Some(rest), trouble: None }
    }

    fn lost() -> Self {
        Self::resting("its lock was lost", SOON)
    }

    fn trouble(text: String, troubles: u32) -> Self {
        let (first, most) = TROUBLE;
        let rest = first.saturating_mul(1 << troubles.min(16)).min(most);
        Self::Back { why: text.clone(), rest: Some(rest), trouble: Some(text) }
    }
}
