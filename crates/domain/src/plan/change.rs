//! What can happen to a plan: the typed payloads of its event log.
//!
//! A change is proposed by a service, decided by [`super::next`], and stored as the payload of
//! exactly one event. Replaying the stored changes yields the plan.

use std::collections::BTreeMap;

use crate::action::Automation;
use crate::id::{EventId, IntentId, OwnerId, PlanId};
use crate::lock::{FencingToken, Holder};
use crate::name::Name;
use crate::oid::Oid;
use crate::plan::{Phase, Verb};
use crate::subplan::{GivenUp, Subplan};
use crate::time::Timestamp;
use crate::workspace::Intent;

/// What a plan was made of.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Origin {
    /// A name for people.
    pub name: Option<String>,
    /// The action it uses.
    pub action: Name,
    /// How far it goes by itself.
    pub automation: Automation,
    /// The projects it works on, in the order of their names.
    pub projects: Vec<Name>,
    /// Whose part it is, and which; `None`: it is a plan of its own.
    pub subplan: Option<Subplan>,
}

/// One child that a plan got.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Spawned {
    /// The child.
    pub plan: PlanId,
    /// Its name among its siblings.
    pub name: String,
    /// The action it uses.
    pub action: Name,
    /// The child whose place it takes: one that was given up.
    pub replaces: Option<PlanId>,
}

/// Why a plan is errored or constrained.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Failure {
    /// A stable word: `exit_code`, `signal`, `timeout`, `conflict`, `validation`, `empty`, ….
    pub code: String,
    /// What happened, for people.
    pub message: String,
    /// What helps: words and, where one helps, a command that works.
    pub hint: Option<String>,
    /// Whether the same command may well succeed later, with nothing changed.
    pub retryable: bool,
}

/// How a command ended that nobody stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// With this code.
    Code(i32),
    /// By this signal.
    Signal(i32),
}

/// What became of the work of an attempt in one project.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Work {
    /// The project.
    pub project: Name,
    /// Where the work is.
    pub saved: Saved,
}

/// Where the work of an attempt is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Saved {
    /// In a git ref.
    Snapshot {
        /// The ref.
        reference: String,
        /// Its commit.
        commit: Oid,
        /// Why the directory was kept as well.
        kept: Option<String>,
    },
    /// Only in the attempt's directory, which was kept.
    Directory {
        /// Why no snapshot could be made.
        reason: String,
    },
    /// In the attempt's directory on another machine, whose next process puts it into a snapshot.
    Pending {
        /// That machine's name.
        host: String,
    },
}

/// The outcome of one check on the merged tree.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Validation {
    /// Its name in the action.
    pub name: String,
    /// The project it ran in.
    pub project: Name,
    /// Whether it had to pass.
    pub required: bool,
    /// Whether it passed.
    pub passed: bool,
    /// What it said, if it failed.
    pub message: Option<String>,
}

/// Why a phase was cut short.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum InterruptCause {
    /// The process that drove it is gone.
    OwnerDied,
    /// Its driver lost the lock.
    LeaseLost,
    /// Its driver was asked to end.
    Shutdown,
    /// Its driver was asked, from elsewhere, to let go of the plan.
    Asked,
}

impl InterruptCause {
    /// All causes.
    pub const ALL: [Self; 4] = [Self::OwnerDied, Self::LeaseLost, Self::Shutdown, Self::Asked];

    /// The word used in rows and output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::OwnerDied => "owner_died",
            Self::LeaseLost => "lease_lost",
            Self::Shutdown => "shutdown",
            Self::Asked => "asked",
        }
    }

    /// The cause of that name.
    pub fn parse(word: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|cause| cause.as_str() == word)
    }

    /// The sentence a person reads.
    pub const fn message(self) -> &'static str {
        match self {
            Self::OwnerDied => "the process that drove this phase ended without finishing it",
            Self::LeaseLost => "the process that drove this phase lost the plan's lock",
            Self::Shutdown => "the process that drove this phase was asked to stop",
            Self::Asked => "the process that drove this phase was asked to let go of the plan",
        }
    }

    /// What it is to the plan: a failure that another attempt may mend.
    pub fn failure(self, plan: PlanId) -> Failure {
        Failure {
            code: self.as_str().to_owned(),
            message: self.message().to_owned(),
            hint: Some(format!("agents plan retry {plan}")),
            retryable: true,
        }
    }
}

/// One change of one plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Change {
    /// The plan was made.
    Created(Origin),
    /// A driver began the phase.
    PhaseStarted {
        /// Who drives it.
        driver: Holder,
        /// The base commit of each project; given whenever none is sealed.
        bases: BTreeMap<Name, Oid>,
        /// Whether a command of the plan's own runs (a scheduling parent runs none).
        commanded: bool,
    },
    /// Strategize or execute succeeded.
    PhaseCompleted {
        /// Where the plan branch of each project now is.
        tips: BTreeMap<Name, Oid>,
        /// What strategize wrote.
        strategy: Option<String>,
        /// Where the attempt's work is.
        work: Vec<Work>,
    },
    /// The phase failed.
    PhaseFailed {
        /// Why.
        failure: Failure,
        /// How the command ended, if it ended by itself.
        exit: Option<Exit>,
        /// Where the attempt's work is.
        work: Vec<Work>,
    },
    /// The command asked to be run again later.
    Parked {
        /// Not before then.
        until: Option<Timestamp>,
        /// The question that a person must answer first.
        input: Option<String>,
        /// What the command said.
        cause: String,
        /// Where the attempt's work is.
        work: Vec<Work>,
    },
    /// The next phase was ordered.
    PhaseAdvanced {
        /// Which.
        to: Phase,
    },
    /// Everything landed.
    Applied,
    /// The work cannot land as things are.
    Constrained {
        /// Why.
        failure: Failure,
        /// What the checks said.
        validations: Vec<Validation>,
    },
    /// Another attempt was ordered.
    Retried {
        /// The commit at which it begins in each project where it goes on with unfinished work;
        /// elsewhere it begins at the plan branch, or at the base.
        resume: BTreeMap<Name, Oid>,
        /// Whether a child gets all its attempts anew: a person ordered it, not its scheduler.
        anew: bool,
    },
    /// Back to the start.
    Reverted {
        /// Why; becomes guidance.
        reason: Option<String>,
    },
    /// The phase was cut short.
    Interrupted {
        /// By what.
        cause: InterruptCause,
        /// Where the attempt's work is.
        work: Vec<Work>,
    },
    /// A new driver carries on the same attempt.
    Adopted {
        /// Who drives it now.
        driver: Holder,
    },
    /// Given up for good.
    Cancelled {
        /// Why.
        reason: Option<String>,
        /// Whether what has landed stays, knowingly.
        keep_landed: bool,
        /// Where the work of a stopped attempt is.
        work: Vec<Work>,
        /// Why the scheduler of a child gave it up; `None`: somebody asked for it.
        given_up: Option<GivenUp>,
    },
    /// Guidance for the next attempt.
    Prompted {
        /// The text.
        text: String,
    },
    /// The point of no return: these branches are to move, once each.
    LandingIntended {
        /// One for each project; none if the plan branch is the result.
        intents: Vec<Intent>,
        /// What the checks said.
        validations: Vec<Validation>,
    },
    /// One branch has moved.
    Landed {
        /// By which decision.
        intent: IntentId,
    },
    /// It got children, stored in the same transaction.
    Spawned {
        /// At least one, in the order of their places.
        children: Vec<Spawned>,
    },
    /// The work of a child is part of its own.
    SubplanMerged {
        /// The child.
        child: PlanId,
        /// Its name.
        name: String,
        /// Where the plan branch now is, of each project in which it moved.
        tips: BTreeMap<Name, Oid>,
    },
    /// The work of a child could not be merged; a person resolves that.
    SubplanConflicted {
        /// The child.
        child: PlanId,
        /// Its name.
        name: String,
        /// Why not.
        failure: Failure,
    },
    /// What an attempt left on another machine than the one that recorded its end was put into
    /// snapshots there.
    WorkSaved {
        /// Which attempt.
        attempt: u32,
        /// Where its work is.
        work: Vec<Work>,
    },
    /// Its children are merged, and a command of its own begins: from here on the attempt is not
    /// carried on by another driver, only repeated.
    CommandStarted,
}

impl Change {
    /// Another attempt that goes on with nothing, ordered by a person.
    pub const fn retried() -> Self {
        Self::Retried { resume: BTreeMap::new(), anew: true }
    }

    /// Which command of the table this is.
    pub const fn verb(&self) -> Verb {
        match self {
            Self::Created(_) => Verb::Use,
            Self::PhaseStarted { .. } => Verb::Start,
            Self::PhaseCompleted { .. } | Self::Applied => Verb::Complete,
            Self::PhaseFailed { .. } => Verb::Fail,
            Self::Parked { .. } => Verb::Park,
            Self::PhaseAdvanced { to: Phase::Apply } => Verb::Apply,
            Self::PhaseAdvanced { .. } => Verb::Execute,
            Self::Constrained { .. } => Verb::Constrain,
            Self::Retried { .. } => Verb::Retry,
            Self::Reverted { .. } => Verb::Revert,
            Self::Interrupted { .. } => Verb::Interrupt,
            Self::Adopted { .. } => Verb::Adopt,
            Self::Cancelled { .. } => Verb::Cancel,
            Self::Prompted { .. } => Verb::Prompt,
            Self::LandingIntended { .. } => Verb::Intend,
            Self::Landed { .. } => Verb::Land,
            Self::Spawned { .. } => Verb::Spawn,
            Self::SubplanMerged { .. } => Verb::Merge,
            Self::SubplanConflicted { .. } => Verb::Conflict,
            Self::WorkSaved { .. } => Verb::Save,
            Self::CommandStarted => Verb::Command,
        }
    }

    /// The name of the event that stores it.
    pub const fn event_name(&self) -> &'static str {
        match self {
            Self::Created(_) => "plan.created",
            Self::PhaseStarted { .. } => "plan.phase_started",
            Self::PhaseCompleted { .. } => "plan.phase_completed",
            Self::PhaseFailed { .. } => "plan.phase_failed",
            Self::Parked { .. } => "plan.parked",
            Self::PhaseAdvanced { .. } => "plan.phase_advanced",
            Self::Applied => "plan.applied",
            Self::Constrained { .. } => "plan.constrained",
            Self::Retried { .. } => "plan.retried",
            Self::Reverted { .. } => "plan.reverted",
            Self::Interrupted { .. } => "plan.interrupted",
            Self::Adopted { .. } => "plan.adopted",
            Self::Cancelled { .. } => "plan.cancelled",
            Self::Prompted { .. } => "plan.prompted",
            Self::LandingIntended { .. } => "plan.landing_intended",
            Self::Landed { .. } => "plan.landed",
            Self::Spawned { .. } => "subplan.spawned",
            Self::SubplanMerged { .. } => "subplan.merged",
            Self::SubplanConflicted { .. } => "subplan.conflicted",
            Self::WorkSaved { .. } => "plan.work_saved",
            Self::CommandStarted => "plan.command_started",
        }
    }
}

/// One change as it is stored: append-only, exactly one for each version of a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its identity, and the idempotency key of the commit that carries it.
    pub id: EventId,
    /// The plan.
    pub plan: PlanId,
    /// Its place in the plan's log, from 1; equals the plan's version after it.
    pub seq: u64,
    /// When, wall time.
    pub at: Timestamp,
    /// Who held the lock.
    pub owner: Option<OwnerId>,
    /// At which token.
    pub token: Option<FencingToken>,
    /// What happened.
    pub change: Change,
}
