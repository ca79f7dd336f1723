//! Whether a plan may be ordered to go somewhere: what the command itself would refuse is not ordered
//! either.

use crate::plan::{Change, Phase, Plan, Refusal, State, Step, next};
use crate::request::Asker;
use crate::time::Timestamp;

use super::{Again, NewOrder, WorkOrder, goal_of_execute};

/// What a person wants done by a worker.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wish {
    /// What `plan execute` does.
    Execute,
    /// What `plan apply` does.
    Apply {
        /// Whether nothing may be landed.
        allow_empty: bool,
    },
    /// What `plan retry` does.
    Retry {
        /// How.
        again: Again,
        /// Whether nothing may be landed.
        allow_empty: bool,
    },
}

/// The order that a wish comes to; `None`: the plan is there already. `open`: the order that the plan
/// has. A plan that is on its way by an order may be ordered further before it is there.
pub fn place(
    plan: &Plan,
    open: Option<&WorkOrder>,
    wish: Wish,
    by: Asker,
    at: Timestamp,
) -> Result<Option<NewOrder>, Refusal> {
    let under_way = open.is_some_and(WorkOrder::is_open) || plan.state() == State::Processing;
    let (goal, allow_empty, again) = match wish {
        Wish::Execute => (goal_of_execute(plan), false, None),
        Wish::Apply { allow_empty } => (Phase::Apply, allow_empty, None),
        Wish::Retry { again, allow_empty } => {
            let applies = plan.phase() == Phase::Apply;
            (if applies { Phase::Apply } else { goal_of_execute(plan) }, allow_empty, Some(again))
        }
    };
    if is_there(plan, wish) {
        return Ok(None);
    }
    if !under_way || plan.state().is_terminal() {
        legal(plan, wish, at)?;
    }
    Ok(Some(NewOrder { plan: plan.id, goal, allow_empty, again, version: plan.version, by, at }))
}

fn is_there(plan: &Plan, wish: Wish) -> bool {
    match wish {
        Wish::Execute => (plan.phase(), plan.state()) == (Phase::Execute, State::Complete),
        Wish::Apply { .. } | Wish::Retry { .. } => plan.state() == State::Applied,
    }
}

/// Refuses what the command would refuse, in its words.
fn legal(plan: &Plan, wish: Wish, at: Timestamp) -> Result<(), Refusal> {
    let change = match wish {
        Wish::Execute if may_begin(plan) => return Ok(()),
        Wish::Execute => Change::PhaseAdvanced { to: Phase::Execute },
        Wish::Apply { .. } => Change::PhaseAdvanced { to: Phase::Apply },
        // Children may be tried again also where the plan itself waits; whoever knows them says whether.
        Wish::Retry { again: Again::OnlyFailed, .. } if plan.state() == State::Queued => return Ok(()),
        Wish::Retry { .. } => Change::retried(),
    };
    match next(plan, &change, at)? {
        Step::AlreadySo | Step::Moved(_) => Ok(()),
    }
}

fn may_begin(plan: &Plan) -> bool {
    matches!((plan.phase(), plan.state()), (Phase::Strategize | Phase::Execute, State::Queued))
}
