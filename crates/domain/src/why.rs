//! Why a plan is not running: from facts to causes, each with the command that helps.
//!
//! Deciding is pure; whoever asks gathers the [`Facts`] first. They come from several reads, and
//! may be old by the time they are looked at: an answer is for people, and nothing acts on it.
//!
//! ```text
//! applied, cancelled ──────────────────────────────────────────────► the end of its road
//! a holder whose lease stands, alive or unknown
//!    ├─ processing ── no place for its command ── or else ─────────► runs, itself or its children
//!    └─ else ── stands in line, or a project is another's ── or else ► held
//! nobody
//!    ├─ ordered for a worker ── and what it would be without
//!    ├─ processing ─────────────────────────────────────────────────► its driver is gone
//!    └─ asked to be cancelled
//!          ├─ a plan of its own ── awaits input, or its children do ── parked ── errored, constrained
//!          │     ── the level says stop ── nobody ordered it
//!          └─ a part of another one ── its parent merges it ── errored ── awaits input ── parked
//!                ── waits for siblings ── waits for its parent
//! ```

mod decide;
mod family;
mod ordered;
mod remedy;
mod settle;

use crate::action::Automation;
use crate::id::PlanId;
use crate::lock::{HeldLock, Holder, Liveness, LockKey};
use crate::places::PlacesCensus;
use crate::plan::{Failure, Phase, PlanRecord, Stage};
use crate::request::{Request, Wish};
use crate::subplan::Tally;
use crate::time::Timestamp;

pub use decide::causes;
pub use family::{Above, Below, Relative, Stall, Stalled};
pub use ordered::Ordered;
pub use settle::{Standing, standing};

/// Who holds a lock, and what can be proved of it from here.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The lock.
    pub lock: HeldLock,
    /// Whether its holder lives.
    pub liveness: Liveness,
}

impl Held {
    /// Whether it keeps others out: its term is not over, and its holder not dead beyond doubt.
    /// The rule of `agents recover`.
    pub fn stands(&self) -> bool {
        !self.lock.stale && self.liveness != Liveness::Dead
    }
}

/// A place in a line: the driver of the plan waits for a lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Waiting {
    /// What it waits for.
    pub key: LockKey,
    /// Where it stands, 1 being next; `None`: not known.
    pub position: Option<u32>,
    /// Who stands before it, the next one first.
    pub ahead: Vec<Holder>,
    /// Who has what it waits for.
    pub holder: Option<Held>,
}

/// What the answer is made from.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Facts {
    /// The plan.
    pub plan: PlanRecord,
    /// Who holds its lock.
    pub holder: Option<Held>,
    /// Who holds the locks of its projects.
    pub projects: Vec<Held>,
    /// In which lines its holder stands.
    pub waiting: Vec<Waiting>,
    /// The places for commands; `None`: not known, or not bounded.
    pub places: Option<PlacesCensus>,
    /// What was asked of its holder and is open, oldest first.
    pub requests: Vec<Request>,
    /// What is above it; `None`: it is a plan of its own.
    pub above: Option<Box<Above>>,
    /// What is below it.
    pub below: Below,
    /// Its order for a worker, if that is open and the plan is not yet as far.
    pub ordered: Option<Ordered>,
    /// Now.
    pub now: Timestamp,
}

/// Why a plan is not running, or that it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Why {
    /// It runs.
    Runs {
        /// Who drives it.
        by: Held,
    },
    /// Its driver runs its children.
    RunsChildren {
        /// Who drives it.
        by: Held,
        /// How many children are in which state.
        tally: Tally,
    },
    /// A child of it waits for a person.
    Stalled(Stalled),
    /// Somebody has it in hand, between two phases or for a command of another kind.
    Held {
        /// Who.
        by: Held,
    },
    /// Its driver waits for a lock.
    Waits {
        /// In which line.
        line: Box<Waiting>,
        /// Who drives it.
        by: Held,
    },
    /// Its driver waits for a place to run its command in.
    NoPlace {
        /// The places.
        places: PlacesCensus,
        /// Who drives it.
        by: Held,
    },
    /// It is in the middle of a phase, and nobody drives it.
    NoDriver {
        /// Who did, if the lock still says so: dead, or with its lease run out.
        last: Option<Held>,
    },
    /// The holder was asked for something and has not answered so far.
    Asked {
        /// What.
        request: Request,
    },
    /// It waits by its own wish.
    Parked {
        /// Not before then.
        until: Option<Timestamp>,
        /// What its command said.
        cause: String,
    },
    /// It waits for a person's answer.
    AwaitsInput {
        /// The question.
        question: String,
    },
    /// A phase is complete, and its level says that the next one needs its command.
    AwaitsApproval {
        /// The next phase.
        next: Phase,
        /// The level.
        level: Automation,
    },
    /// Nothing is in the way, and nobody has ordered it.
    NotOrdered {
        /// The phase that would come.
        next: Phase,
    },
    /// It is ordered, and a worker has it in hand or is to come.
    Ordered(Ordered),
    /// Siblings that it depends on are not merged.
    WaitsForSubplans {
        /// Which, at least one, in the order of their places.
        siblings: Vec<Relative>,
    },
    /// Its parent begins it, and has not.
    WaitsForParent {
        /// The parent.
        parent: PlanId,
        /// Where that is.
        stage: Stage,
        /// Why that is not going on, or that it is.
        because: Box<Cause>,
    },
    /// Its work is done; whoever drives its parent merges it.
    MergedByParent {
        /// The parent.
        parent: PlanId,
        /// Where that is.
        stage: Stage,
        /// Why it could not be merged, if that was tried.
        failure: Option<Failure>,
        /// Why the parent is not going on, or that it is.
        because: Box<Cause>,
    },
    /// It failed, or was interrupted.
    Errored {
        /// How.
        failure: Failure,
    },
    /// It could not land as things are.
    Constrained {
        /// Why not.
        failure: Failure,
    },
    /// It has landed.
    Applied,
    /// It was given up.
    Cancelled {
        /// Why.
        reason: Option<String>,
    },
}

impl Why {
    /// The word for programs.
    pub const fn code(&self) -> &'static str {
        match self {
            Self::Runs { .. } => "runs",
            Self::RunsChildren { .. } => "runs_children",
            Self::Stalled(Stalled { stall: Stall::Asks { .. }, .. }) => "subplan_asks",
            Self::Stalled(Stalled { stall: Stall::Conflicts { .. }, .. }) => "subplan_conflicts",
            Self::Held { .. } => "held",
            Self::Waits { .. } => "waits_in_line",
            Self::NoPlace { .. } => "no_place",
            Self::NoDriver { .. } => "no_driver",
            Self::Asked { request: Request { wish: Wish::Cancel { .. }, .. } } => "cancel_requested",
            Self::Asked { request: Request { wish: Wish::LetGo { .. }, .. } } => "break_requested",
            Self::Parked { .. } => "parked",
            Self::AwaitsInput { .. } => "awaits_input",
            Self::AwaitsApproval { .. } => "awaits_approval",
            Self::NotOrdered { .. } => "not_ordered",
            Self::Ordered(ordered) if ordered.is_nobodys() => "no_worker",
            Self::Ordered(_) => "waits_for_worker",
            Self::WaitsForSubplans { .. } => "waits_for_subplans",
            Self::WaitsForParent { .. } => "waits_for_parent",
            Self::MergedByParent { .. } => "merged_by_parent",
            Self::Errored { .. } => "errored",
            Self::Constrained { .. } => "constrained",
            Self::Applied => "applied",
            Self::Cancelled { .. } => "cancelled",
        }
    }
}

/// One cause, and what helps.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Cause {
    /// Why.
    pub why: Why,
    /// The command that helps.
    pub remedy: String,
}
