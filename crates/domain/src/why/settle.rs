//! Whether a plan is where somebody waits for it to be, or will not get there by itself.

use crate::plan::{Phase, PlanRecord, State};

use super::Why;
use super::decide::complete;

/// How the wait for a plan stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Standing {
    /// It goes on, or may.
    NotYet,
    /// The plan is there.
    Reached,
    /// The plan has come to rest elsewhere, and needs a person.
    Elsewhere,
}

/// How a wait stands: for a state, or until the plan has come to rest.
///
/// `driven`: somebody validly holds its lock, and may move it on. A phase that is complete is no
/// rest for whoever waits for a later state: the order for it may still come.
pub fn standing(plan: &PlanRecord, driven: bool, wanted: Option<State>) -> Standing {
    match wanted {
        Some(wanted) if is_there(plan, wanted) => Standing::Reached,
        Some(_) if plan.state().is_terminal() => Standing::Elsewhere,
        _ if driven || !rests(plan) => Standing::NotYet,
        Some(_) if plan.state() == State::Complete => Standing::NotYet,
        Some(_) => Standing::Elsewhere,
        None => Standing::Reached,
    }
}

/// `complete` is the work: also where apply has begun. Every other state is itself.
fn is_there(plan: &PlanRecord, wanted: State) -> bool {
    match (wanted, plan.phase(), plan.state()) {
        (State::Complete, _, State::Cancelled) => false,
        (State::Complete, Phase::Apply, _) => true,
        (State::Complete, Phase::Strategize, State::Complete) => awaits_approval(plan),
        (wanted, _, state) => wanted == state,
    }
}

/// Whether nothing moves it on but a person.
fn rests(plan: &PlanRecord) -> bool {
    match plan.state() {
        State::Applied | State::Cancelled | State::Errored | State::Constrained => true,
        State::Complete => awaits_approval(plan),
        State::Queued => plan.parked.is_some(),
        State::Processing => false,
    }
}

fn awaits_approval(plan: &PlanRecord) -> bool {
    matches!(complete(plan), Why::AwaitsApproval { .. })
}
