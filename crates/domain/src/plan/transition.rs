//! The transition function: pure, total, the only thing that changes phase and state.
//!
//! [`target`] is the table of `docs/lifecycle.md` (a test compares the two); [`next`] adds what a
//! stage alone cannot tell (open landings, counts, answers owed) and moves the facts along. Live
//! commands and replay of stored history go through the same function.

use thiserror::Error;

use crate::id::PlanId;
use crate::plan::change::{Change, Failure, InterruptCause, Verb};
use crate::plan::{Attempt, Parked, Phase, Plan, PlanLanding, PlanRecord, Stage, State};
use crate::time::Timestamp;

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
        (Verb::Prompt, _, _) if !state.is_terminal() => (phase, state),
        (Verb::Intend | Verb::Land, Phase::Apply, State::Processing) => (phase, state),
        _ => return None,
    };
    Stage::new(phase, state)
}

/// Decides one change of one plan at one moment.
///
/// A command whose effect is there already is [`Step::AlreadySo`]; an illegal one is a
/// [`Refusal`] that names the stage, what is legal, and the command that leads on.
pub fn next(plan: &Plan, change: &Change, at: Timestamp) -> Result<Step, Refusal> {
    if is_already_so(plan, change) {
        return Ok(Step::AlreadySo);
    }
    let stage = target(change.verb(), plan.stage).ok_or_else(|| not_legal(plan, change.verb()))?;
    if let Some((reason, remedy)) = hindrance(plan, change) {
        let verb = change.verb();
        return Err(Refusal { plan: plan.id, verb, stage: plan.stage, reason, remedy });
    }
    let mut record = plan.clone().into_record();
    amend(&mut record, change, at);
    record.stage = stage;
    record.version += 1;
    record.updated_at = at;
    Ok(Step::Moved(Plan::from_transition(record)))
}

/// What the stage alone cannot tell: reason and remedy.
fn hindrance(plan: &Plan, change: &Change) -> Option<(String, Option<String>)> {
    let id = plan.id;
    match change {
        Change::Reverted { .. } | Change::Cancelled { keep_landed: false, .. }
            if plan.landing_is_open() || plan.has_landed() =>
        {
            let reason = "its landing has begun; finish it".to_owned();
            Some((reason, Some(format!("agents plan retry {id}"))))
        }
        Change::Cancelled { .. } if plan.landing_is_open() => {
            let reason = "a landing is open; finish it".to_owned();
            Some((reason, Some(format!("agents plan retry {id}"))))
        }
        Change::Reverted { .. } if plan.reversion_count >= MAX_REVERSIONS => {
            Some((format!("it was reverted {MAX_REVERSIONS} times already"), None))
        }
        Change::PhaseStarted { .. } => answer_owed(plan),
        Change::Applied if plan.landing_is_open() => {
            Some(("a landing is open; it must be carried out first".to_owned(), None))
        }
        Change::Adopted { .. } if plan.last_attempt.as_ref().is_some_and(|a| a.commanded) => {
            Some(("its command ran already; an attempt is not carried on, only repeated".to_owned(), None))
        }
        Change::Landed { intent } if !plan.landings().any(|landing| landing.intent.id == *intent) => {
            Some((format!("there is no intent {intent}"), None))
        }
        Change::LandingIntended { .. } if plan.landing_is_open() => {
            Some(("a landing is open already".to_owned(), None))
        }
        _ => None,
    }
}

fn answer_owed(plan: &Plan) -> Option<(String, Option<String>)> {
    let question = plan.parked.as_ref()?.input.as_ref()?;
    let remedy = format!("agents plan prompt {} \"…\"", plan.id);
    Some((format!("it awaits an answer to: {question}"), Some(remedy)))
}

/// Commands that acknowledge what is there.
fn is_already_so(plan: &Plan, change: &Change) -> bool {
    match change {
        Change::PhaseAdvanced { to: Phase::Apply } => {
            plan.phase() == Phase::Apply && matches!(plan.state(), State::Applied | State::Queued)
        }
        Change::PhaseAdvanced { .. } => plan.phase() == Phase::Execute && plan.state() == State::Queued,
        Change::Cancelled { .. } => plan.state() == State::Cancelled,
        Change::Landed { intent } => {
            plan.landings().any(|landing| landing.intent.id == *intent && landing.landed)
        }
        _ => false,
    }
}

/// Moves the facts along; the stage is set by the caller.
fn amend(record: &mut PlanRecord, change: &Change, at: Timestamp) {
    match change {
        Change::Created(_) | Change::PhaseAdvanced { .. } => {}
        Change::PhaseStarted { driver, bases, commanded } => {
            record.attempt += 1;
            record.failure = None;
            record.parked = None;
            record.last_attempt =
                Some(Attempt { driver: driver.clone(), started_at: at, commanded: *commanded });
            for project in &mut record.projects {
                project.base = project.base.take().or_else(|| bases.get(&project.name).cloned());
            }
        }
        Change::PhaseCompleted { tips, strategy, .. } => {
            record.strategy = strategy.clone().or(record.strategy.take());
            for project in &mut record.projects {
                project.tip = tips.get(&project.name).cloned().or(project.tip.take());
            }
        }
        Change::PhaseFailed { failure, .. } => record.failure = Some(failure.clone()),
        Change::Parked { until, input, cause, .. } => {
            record.parked = Some(Parked { until: *until, input: input.clone(), cause: cause.clone() });
        }
        Change::Applied | Change::Retried => record.failure = None,
        Change::Constrained { failure, validations } => {
            record.failure = Some(failure.clone());
            record.validations.clone_from(validations);
            forget_open_landings(record);
        }
        Change::Reverted { reason } => go_back(record, reason.as_deref()),
        Change::Interrupted { cause, .. } => record.failure = Some(interruption(record, *cause)),
        Change::Adopted { driver } => {
            if let Some(attempt) = &mut record.last_attempt {
                attempt.driver = driver.clone();
            }
        }
        Change::Cancelled { reason, .. } => record.cancel_reason.clone_from(reason),
        Change::Prompted { text } => {
            record.guidance.push(text.clone());
            if record.parked.as_ref().is_some_and(|parked| parked.input.is_some()) {
                record.parked = None;
            }
        }
        Change::LandingIntended { intents, validations } => {
            record.validations.clone_from(validations);
            for project in &mut record.projects {
                if let Some(intent) = intents.iter().find(|intent| intent.project == project.name) {
                    project.landing = Some(PlanLanding { intent: intent.clone(), landed: false });
                }
            }
        }
        Change::Landed { intent } => {
            let landings = record.projects.iter_mut().filter_map(|project| project.landing.as_mut());
            landings.filter(|landing| landing.intent.id == *intent).for_each(|landing| landing.landed = true);
        }
    }
}

/// A branch that moved away ends its intent; the next attempt decides anew. What landed stays.
fn forget_open_landings(record: &mut PlanRecord) {
    for project in &mut record.projects {
        project.landing.take_if(|landing| !landing.landed);
    }
}

/// Earlier work stays in its refs; what went wrong becomes guidance.
fn go_back(record: &mut PlanRecord, reason: Option<&str>) {
    let finding = record.failure.take().map(|failure| failure.message);
    record.guidance.extend(finding);
    record.guidance.extend(reason.map(str::to_owned));
    record.reversion_count += 1;
    record.strategy = None;
    record.parked = None;
    record.validations.clear();
    for project in &mut record.projects {
        (project.base, project.tip) = (None, None);
    }
}

fn interruption(record: &PlanRecord, cause: InterruptCause) -> Failure {
    Failure {
        code: cause.as_str().to_owned(),
        message: cause.message().to_owned(),
        hint: Some(format!("agents plan retry {}", record.id)),
        retryable: true,
    }
}

/// Says what is legal here.
fn not_legal(plan: &Plan, verb: Verb) -> Refusal {
    let stage = plan.stage;
    let legal: Vec<&str> = Verb::ALL
        .into_iter()
        .filter(|verb| target(*verb, stage).is_some() && person_commands(*verb))
        .map(Verb::as_str)
        .collect();
    let reason = if legal.is_empty() {
        "this is the end of its road".to_owned()
    } else {
        format!("legal here: {}", legal.join(", "))
    };
    Refusal { plan: plan.id, verb, stage, reason, remedy: Some(way_on(plan)) }
}

/// The commands that a person gives; the others belong to whoever drives the plan.
const fn person_commands(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Start | Verb::Execute | Verb::Apply | Verb::Retry | Verb::Revert | Verb::Cancel | Verb::Prompt
    )
}

/// The command that leads on from where the plan is.
fn way_on(plan: &Plan) -> String {
    let command = match (plan.phase(), plan.state()) {
        (_, State::Errored | State::Constrained) => "retry",
        (Phase::Strategize, State::Queued | State::Complete) | (Phase::Execute, State::Queued) => "execute",
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => "apply",
        _ => "status",
    };
    format!("agents plan {command} {}", plan.id)
}
