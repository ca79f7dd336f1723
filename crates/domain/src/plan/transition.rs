//! The transition function: pure, total, the only thing that changes phase and state.
//!
//! [`target`] is the table of `docs/lifecycle.md` (a test compares the two); [`next`] adds what a
//! stage alone cannot tell (open landings, counts, answers owed) and moves the facts along. Live
//! commands and replay of stored history go through the same function.
//!
//! In four files: the table here, the refusals in `guard`, the facts in `amend`, and in `resume` what
//! an attempt may go on with.

mod amend;
mod guard;
mod resume;

use thiserror::Error;

use crate::id::PlanId;
use crate::plan::change::Change;
use crate::plan::{Phase, Plan, Stage, State, Verb};
use crate::time::Timestamp;

pub use resume::resumption;

/// How often a plan may go back to its start (`lifecycle.md`).
pub const MAX_REVERSIONS: u32 = 3;

/// What a change comes to.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "nearly every step moves; boxing would only cost")]
pub enum Step {
    /// The plan afterwards.
    Moved(Plan),
    /// The effect is there already; nothing changes.
    AlreadySo,
}

/// A command that is not legal where the plan is.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("cannot {} plan {plan} in {stage}: {reason}", verb.as_str())]
pub struct Refusal {
    /// The plan.
    pub plan: PlanId,
    /// The command.
    pub verb: Verb,
    /// Where the plan is.
    pub stage: Stage,
    /// Why not, and what is legal.
    pub reason: String,
    /// The command that leads on from here.
    pub remedy: Option<String>,
    /// Another one, where there are two ways on.
    pub otherwise: Option<String>,
}

/// Where a command leads from a stage, looking at nothing but the stage. `None`: not legal.
pub fn target(verb: Verb, from: Stage) -> Option<Stage> {
    let (phase, state) = (from.phase(), from.state());
    let (phase, state) = match (verb, phase, state) {
        (Verb::Start | Verb::Adopt, _, State::Queued | State::Processing)
            if (verb == Verb::Start) == (state == State::Queued) =>
        {
            (phase, State::Processing)
        }
        (Verb::Complete, Phase::Apply, State::Processing) => (phase, State::Applied),
        (Verb::Complete, _, State::Processing) => (phase, State::Complete),
        (Verb::Fail | Verb::Interrupt, _, State::Processing) => (phase, State::Errored),
        (Verb::Execute, Phase::Strategize, State::Complete) => (Phase::Execute, State::Queued),
        (Verb::Apply, Phase::Execute, State::Complete) => (Phase::Apply, State::Queued),
        (Verb::Constrain, Phase::Apply, State::Processing) => (phase, State::Constrained),
        (Verb::Park, _, State::Processing) | (Verb::Retry, _, State::Errored | State::Constrained) => {
            (phase, State::Queued)
        }
        (Verb::Revert, _, _) if !state.is_terminal() && state != State::Processing => {
            (Phase::Strategize, State::Queued)
        }
        (Verb::Cancel, _, _) if !state.is_terminal() => (phase, State::Cancelled),
        (Verb::Save, _, _) if !state.is_terminal() && state != State::Processing => (phase, state),
        (Verb::Prompt, _, _) | (Verb::Spawn, Phase::Strategize, _) if !state.is_terminal() => (phase, state),
        (Verb::Intend | Verb::Land, Phase::Apply, State::Processing)
        | (Verb::Merge | Verb::Conflict | Verb::Command, Phase::Execute, State::Processing)
        | (Verb::Spawn, Phase::Execute, State::Queued | State::Errored) => (phase, state),
        _ => return None,
    };
    Stage::new(phase, state)
}

/// Decides one change of one plan at one moment.
///
/// A command whose effect is there already is [`Step::AlreadySo`]; an illegal one is a
/// [`Refusal`] that names the stage, what is legal, and the command that leads on.
pub fn next(plan: &Plan, change: &Change, at: Timestamp) -> Result<Step, Refusal> {
    if guard::is_already_so(plan, change) {
        return Ok(Step::AlreadySo);
    }
    let stage = target(change.verb(), plan.stage).ok_or_else(|| guard::not_legal(plan, change.verb()))?;
    if let Some(hindrance) = guard::hindrance(plan, change) {
        return Err(hindrance.refuse(plan, change.verb()));
    }
    let mut record = plan.clone().into_record();
    amend::amend(&mut record, change, at);
    record.stage = stage;
    record.version += 1;
    record.updated_at = at;
    Ok(Step::Moved(Plan::from_transition(record)))
}
