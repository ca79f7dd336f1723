//! Replaying a plan's log through the transition function.

use thiserror::Error;

use crate::id::PlanId;
use crate::plan::{Change, Event, Plan, Refusal, Step, next};

/// A log that does not make sense.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ReplayError {
    /// There is no event, or the first is not `plan.created`.
    #[error("the log does not begin with plan.created")]
    NoBeginning,
    /// A number is missing, doubled, or out of order.
    #[error("event {found} follows where {expected} should")]
    Gap {
        /// The number that should follow.
        expected: u64,
        /// The number that does.
        found: u64,
    },
    /// An event of another plan.
    #[error("event {seq} belongs to plan {plan}")]
    Foreign {
        /// Its number.
        seq: u64,
        /// The plan it belongs to.
        plan: PlanId,
    },
    /// An event that was not legal where it stands.
    #[error("event {seq} was not legal")]
    Illegal {
        /// Its number.
        seq: u64,
        /// What the transition function says.
        #[source]
        refusal: Box<Refusal>,
    },
    /// An event that changed nothing.
    #[error("event {seq} changes nothing")]
    Idle {
        /// Its number.
        seq: u64,
    },
}

/// The plan that these events lead to.
pub fn replay(events: &[Event]) -> Result<Plan, ReplayError> {
    let (first, rest) = events.split_first().ok_or(ReplayError::NoBeginning)?;
    let Change::Created(origin) = &first.change else {
        return Err(ReplayError::NoBeginning);
    };
    let mut plan = Plan::create(first.plan, origin, first.at);
    if first.seq != plan.version {
        return Err(ReplayError::Gap { expected: plan.version, found: first.seq });
    }
    for event in rest {
        let (expected, seq) = (plan.version + 1, event.seq);
        if seq != expected {
            return Err(ReplayError::Gap { expected, found: seq });
        }
        if event.plan != plan.id {
            return Err(ReplayError::Foreign { seq, plan: event.plan });
        }
        plan = match next(&plan, &event.change, event.at) {
            Ok(Step::Moved(plan)) => plan,
            Ok(Step::AlreadySo) => return Err(ReplayError::Idle { seq }),
            Err(refusal) => return Err(ReplayError::Illegal { seq, refusal: Box::new(refusal) }),
        };
    }
    Ok(plan)
}
