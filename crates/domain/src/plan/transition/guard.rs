//! What a stage alone cannot tell: acknowledgements, hindrances, and the words of a refusal.
//!
//! A hindrance is looked for only after the table has allowed the command, so each one here
//! speaks of a plan that is at the right place for it.

use std::collections::BTreeSet;

use crate::name::Name;
use crate::plan::change::Change;
use crate::plan::{Phase, Plan, Refusal, State, Verb};
use crate::workspace::Intent;

use super::{MAX_REVERSIONS, resume, target};

/// Why not, and the commands that lead on.
pub(super) struct Hindrance {
    reason: String,
    remedy: Option<String>,
    otherwise: Option<String>,
}

impl Hindrance {
    /// A hindrance, and the command that removes it or leads around it.
    pub(super) fn with(reason: impl Into<String>, remedy: String) -> Self {
        Self { reason: reason.into(), remedy: Some(remedy), otherwise: None }
    }

    /// The refusal of that command.
    pub(super) fn refuse(self, plan: &Plan, verb: Verb) -> Refusal {
        let Self { reason, remedy, otherwise } = self;
        Refusal { plan: plan.id, verb, stage: plan.stage, reason, remedy, otherwise }
    }
}

/// Commands that acknowledge what is there.
pub(super) fn is_already_so(plan: &Plan, change: &Change) -> bool {
    match change {
        Change::PhaseAdvanced { to: Phase::Apply } => {
            plan.phase() == Phase::Apply && matches!(plan.state(), State::Applied | State::Queued)
        }
        Change::PhaseAdvanced { to: Phase::Execute } => {
            plan.phase() == Phase::Execute && plan.state() == State::Queued
        }
        Change::Cancelled { .. } => plan.state() == State::Cancelled,
        Change::Landed { intent } => {
            plan.landings().any(|landing| landing.intent.id == *intent && landing.landed)
        }
        _ => false,
    }
}

/// What the stage alone cannot tell: reason and remedy.
pub(super) fn hindrance(plan: &Plan, change: &Change) -> Option<Hindrance> {
    match change {
        Change::Reverted { .. } | Change::Cancelled { .. } => landing_begun(plan, change),
        Change::PhaseStarted { bases, .. } => answer_owed(plan).or_else(|| stranger(plan, bases.keys())),
        Change::PhaseCompleted { .. } if plan.phase() == Phase::Apply => {
            Some(because("apply ends by landing, not by a completed phase"))
        }
        Change::PhaseCompleted { tips, .. } | Change::SubplanMerged { tips, .. } => {
            stranger(plan, tips.keys())
        }
        Change::PhaseAdvanced { to: Phase::Strategize } => Some(because("nothing leads on to strategize")),
        Change::Applied if plan.phase() != Phase::Apply => {
            Some(because("only apply ends with everything landed"))
        }
        Change::Applied if plan.landing_is_open() => {
            Some(because("a landing is open; it must be carried out first"))
        }
        Change::Adopted { .. } if plan.last_attempt.as_ref().is_some_and(|a| a.commanded) => {
            Some(because("its command ran already; an attempt is not carried on, only repeated"))
        }
        Change::Landed { intent } if !plan.landings().any(|landing| landing.intent.id == *intent) => {
            Some(because(&format!("there is no intent {intent}")))
        }
        Change::Spawned { children } if children.is_empty() => Some(because("there is no child to spawn")),
        Change::CommandStarted if plan.last_attempt.as_ref().is_some_and(|a| a.commanded) => {
            Some(because("a command of its own runs in this attempt already"))
        }
        Change::Retried { resume, .. } if !resume.is_empty() => {
            resume::hindrance(plan).or_else(|| stranger(plan, resume.keys()))
        }
        Change::LandingIntended { .. } if plan.landing_is_open() => {
            Some(because("a landing is open already"))
        }
        Change::LandingIntended { intents, .. } => {
            stranger(plan, intents.iter().map(|intent| &intent.project)).or_else(|| twice(plan, intents))
        }
        _ => None,
    }
}

/// A hindrance that no command of a person's removes.
fn because(reason: &str) -> Hindrance {
    Hindrance { reason: reason.to_owned(), remedy: None, otherwise: None }
}

/// Going back, or giving up, once branches are about to move or have moved.
fn landing_begun(plan: &Plan, change: &Change) -> Option<Hindrance> {
    let keep_landed = matches!(change, Change::Cancelled { keep_landed: true, .. });
    if plan.landing_is_open() {
        let reason = "a landing is open: its branch may have moved already; finish it first";
        Some(Hindrance::with(reason, way_on(plan)))
    } else if plan.has_landed() && !keep_landed {
        let give_up = Some(format!("agents plan cancel {} --keep-landed", plan.id));
        let reason = format!("{} has landed; finish it, or give up the rest", landed(plan));
        Some(Hindrance { otherwise: give_up, ..Hindrance::with(reason, way_on(plan)) })
    } else if matches!(change, Change::Reverted { .. }) && plan.reversion_count >= MAX_REVERSIONS {
        Some(because(&format!("it was reverted {MAX_REVERSIONS} times already")))
    } else {
        None
    }
}

/// `local/api`, or `2 of 3 projects`.
fn landed(plan: &Plan) -> String {
    let landed: Vec<_> = plan.landings().filter(|landing| landing.landed).collect();
    match landed.as_slice() {
        [one] => one.intent.project.to_string(),
        several => format!("{} of {} projects", several.len(), plan.projects.len()),
    }
}

fn answer_owed(plan: &Plan) -> Option<Hindrance> {
    let question = plan.parked.as_ref()?.input.as_ref()?;
    let remedy = format!("agents plan prompt {} \"…\"", plan.id);
    Some(Hindrance::with(format!("it awaits an answer to: {question}"), remedy))
}

/// A fact about a project that is not the plan's would vanish without a word.
fn stranger<'a>(plan: &Plan, mut named: impl Iterator<Item = &'a Name>) -> Option<Hindrance> {
    let stranger = named.find(|name| plan.projects.iter().all(|project| project.name != **name))?;
    Some(because(&format!("{stranger} is not one of its projects")))
}

/// An intent moves one branch once: one for each project, each with an id of its own, and none
/// for a project that has landed.
fn twice(plan: &Plan, intents: &[Intent]) -> Option<Hindrance> {
    let mut projects: BTreeSet<&Name> = plan.landings().map(|landing| &landing.intent.project).collect();
    let mut ids: BTreeSet<_> = plan.landings().map(|landing| landing.intent.id).collect();
    let doubled =
        intents.iter().find(|intent| !projects.insert(&intent.project) || !ids.insert(intent.id))?;
    Some(because(&format!("{} would land twice (intent {})", doubled.project, doubled.id)))
}

/// Says what is legal here.
pub(super) fn not_legal(plan: &Plan, verb: Verb) -> Refusal {
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
    Hindrance::with(reason, way_on(plan)).refuse(plan, verb)
}

/// The commands that a person gives; the others belong to whoever drives the plan.
const fn person_commands(verb: Verb) -> bool {
    matches!(
        verb,
        Verb::Start
            | Verb::Execute
            | Verb::Apply
            | Verb::Retry
            | Verb::Revert
            | Verb::Cancel
            | Verb::Prompt
            | Verb::Spawn
    )
}

/// The command that leads on from where the plan is.
fn way_on(plan: &Plan) -> String {
    if let Some(Hindrance { remedy: Some(remedy), .. }) = answer_owed(plan) {
        return remedy;
    }
    // What a child has done is merged by its parent, and by nobody else.
    let done = matches!((plan.phase(), plan.state()), (Phase::Execute, State::Complete) | (Phase::Apply, _));
    if let Some(parent) = plan.parent().filter(|_| done && !plan.state().is_terminal()) {
        return format!("agents plan why {parent}");
    }
    // The failure may know a better command than the stage does.
    let known = plan.failure.as_ref().and_then(|failure| failure.hint.clone());
    if let Some(hint) = known.filter(|hint| hint.starts_with("agents plan retry")) {
        return hint;
    }
    let command = match (plan.phase(), plan.state()) {
        (_, State::Errored | State::Constrained) => "retry",
        (Phase::Strategize, State::Queued | State::Complete) | (Phase::Execute, State::Queued) => "execute",
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => "apply",
        _ => "status",
    };
    format!("agents plan {command} {}", plan.id)
}
