//! A plan: data that anyone may read and only the transition function may change.

use std::ops::Deref;

use thiserror::Error;

use crate::action::Automation;
use crate::id::PlanId;
use crate::lock::Holder;
use crate::name::Name;
use crate::oid::Oid;
use crate::plan::{Failure, Origin, Phase, PlanLanding, Stage, State, Validation};
use crate::subplan::{GivenUp, Subplan};
use crate::time::Timestamp;

/// Who began the current or last attempt, and when.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Attempt {
    /// The process.
    pub driver: Holder,
    /// When it began.
    pub started_at: Timestamp,
    /// Whether a command of the plan's own runs in it.
    pub commanded: bool,
}

/// A plan that waits by its own wish.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parked {
    /// Not before then.
    pub until: Option<Timestamp>,
    /// The question that a person must answer first.
    pub input: Option<String>,
    /// What the command said.
    pub cause: String,
}

/// A plan's facts about one of its projects.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanProject {
    /// The project.
    pub name: Name,
    /// The commit the plan starts from; sealed at the first start.
    pub base: Option<Oid>,
    /// Where the plan branch is; `None` while it does not exist.
    pub tip: Option<Oid>,
    /// The snapshot of the newest attempt that left unfinished work here; `None`: none did since
    /// the last phase that was completed, or the newest could not be put into a snapshot.
    pub snapshot: Option<Oid>,
    /// Where the next attempt begins, or the current one began, if it goes on with unfinished work.
    pub resume: Option<Oid>,
    /// How far its landing is.
    pub landing: Option<PlanLanding>,
}

impl PlanProject {
    /// A project in which nothing has happened yet.
    pub fn new(name: &Name) -> Self {
        Self { name: name.clone(), base: None, tip: None, snapshot: None, resume: None, landing: None }
    }

    /// Where an attempt begins that goes on with nothing: the plan branch, or else the base.
    pub fn foundation(&self) -> Option<&Oid> {
        self.tip.as_ref().or(self.base.as_ref())
    }
}

/// All that is known of a plan: a field of its own for each fact.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanRecord {
    /// Its identity.
    pub id: PlanId,
    /// A name for people.
    pub name: Option<String>,
    /// The action it uses.
    pub action: Name,
    /// How far it goes by itself.
    pub automation: Automation,
    /// Whose part it is, and which; `None`: it is a plan of its own.
    pub subplan: Option<Subplan>,
    /// Phase and state.
    pub stage: Stage,
    /// How often a phase was started; each start has its own directory and refs.
    pub attempt: u32,
    /// One for each event.
    pub version: u64,
    /// How often the plan went back to its start.
    pub reversion_count: u32,
    /// Its projects, in the order of their names.
    pub projects: Vec<PlanProject>,
    /// The current or last attempt.
    pub last_attempt: Option<Attempt>,
    /// Why it is errored or constrained.
    pub failure: Option<Failure>,
    /// What it waits for by its own wish.
    pub parked: Option<Parked>,
    /// What strategize wrote.
    pub strategy: Option<String>,
    /// What people added for the next attempt, oldest first.
    pub guidance: Vec<String>,
    /// What the checks said last.
    pub validations: Vec<Validation>,
    /// Why it was cancelled.
    pub cancel_reason: Option<String>,
    /// When it was made.
    pub created_at: Timestamp,
    /// When it last changed.
    pub updated_at: Timestamp,
}

/// A row that the domain cannot express.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the plan {plan} makes no sense: {reason}")]
pub struct InvalidPlan {
    /// The plan.
    pub plan: PlanId,
    /// What is wrong.
    pub reason: String,
}

/// A plan. Reads like its [`PlanRecord`]; changes only through [`super::next`].
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Plan(PlanRecord);

impl Plan {
    /// A new plan, at strategize/queued, version 1.
    pub fn create(id: PlanId, origin: &Origin, at: Timestamp) -> Self {
        Self(PlanRecord {
            id,
            name: origin.name.clone(),
            action: origin.action.clone(),
            automation: origin.automation,
            subplan: origin.subplan.clone(),
            stage: Stage::FIRST,
            attempt: 0,
            version: 1,
            reversion_count: 0,
            projects: origin.projects.iter().map(PlanProject::new).collect(),
            last_attempt: None,
            failure: None,
            parked: None,
            strategy: None,
            guidance: Vec::new(),
            validations: Vec::new(),
            cancel_reason: None,
            created_at: at,
            updated_at: at,
        })
    }

    /// A plan as a store holds it, if it can exist.
    pub fn from_storage(record: PlanRecord) -> Result<Self, InvalidPlan> {
        let state = record.stage.state();
        let wrong = if record.version == 0 {
            "its version is 0"
        } else if i64::try_from(record.version).is_err() {
            "its version is out of range"
        } else if state == State::Processing && record.last_attempt.is_none() {
            "it is processing, and nobody drives it"
        } else if matches!(state, State::Errored | State::Constrained) && record.failure.is_none() {
            "it failed for no reason"
        } else if record.landing_is_open() && (state.is_terminal() || state == State::Constrained) {
            "it is past its apply, and a landing is open"
        } else if record.phase() != Phase::Apply && record.landings().next().is_some() {
            "it has a landing before its apply"
        } else if record.phase() != Phase::Execute && record.resumes() {
            "it goes on with unfinished work, and not in execute"
        } else {
            return Ok(Self(record));
        };
        Err(InvalidPlan { plan: record.id, reason: wrong.to_owned() })
    }

    /// What the transition function made.
    pub(super) const fn from_transition(record: PlanRecord) -> Self {
        Self(record)
    }

    /// The record, to store it.
    pub fn into_record(self) -> PlanRecord {
        self.0
    }
}

impl Deref for Plan {
    type Target = PlanRecord;

    fn deref(&self) -> &PlanRecord {
        &self.0
    }
}

impl PlanRecord {
    /// The phase.
    pub const fn phase(&self) -> Phase {
        self.stage.phase()
    }

    /// The state.
    pub const fn state(&self) -> State {
        self.stage.state()
    }

    /// The plan it is a part of.
    pub fn parent(&self) -> Option<PlanId> {
        self.subplan.as_ref().map(|subplan| subplan.parent)
    }

    /// Why its scheduler gave it up, if it did.
    pub fn given_up(&self) -> Option<&GivenUp> {
        self.subplan.as_ref()?.given_up.as_ref()
    }

    /// The branch that collects the results of successful phases, without `refs/heads/`.
    pub fn branch(&self) -> String {
        plan_branch(self.id)
    }

    /// Whether its current or next attempt goes on with unfinished work.
    pub fn resumes(&self) -> bool {
        self.projects.iter().any(|project| project.resume.is_some())
    }

    /// Whether a landing was decided and is not known to have happened.
    pub fn landing_is_open(&self) -> bool {
        self.landings().any(|landing| !landing.landed)
    }

    /// Whether anything has landed.
    pub fn has_landed(&self) -> bool {
        self.landings().any(|landing| landing.landed)
    }

    /// The landings decided on so far.
    pub fn landings(&self) -> impl Iterator<Item = &PlanLanding> {
        self.projects.iter().filter_map(|project| project.landing.as_ref())
    }
}

/// The branch that collects the results of a plan, without `refs/heads/`. The children of a plan
/// land on it.
pub fn plan_branch(plan: PlanId) -> String {
    format!("agents/plan-{plan}")
}
