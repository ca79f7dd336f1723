//! Why a command could not go on.

use agents_domain::id::PlanId;
use agents_domain::lock::{HeldLock, LockError};
use agents_domain::places::{PlacesCensus, PlacesError};
use agents_domain::plan::Phase;
use agents_domain::runner::StopCause;
use agents_domain::workspace::WorkspaceError;
use thiserror::Error;

use crate::lifecycle::LifecycleError;

/// Why a command could not go on. A phase that fails is no error of the driver: the plan says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum DriveError {
    /// A transition did not happen.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// A project's lock is held by another, or out of reach.
    #[error("waiting for the projects of plan {plan}: {source}")]
    Projects {
        /// The plan.
        plan: PlanId,
        /// What the locks say.
        source: LockError,
    },
    /// Git could not do what was needed before anything was changed.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
    /// The holder of a plan was asked to cancel it and has not answered so far. The request stays:
    /// whoever holds the plan next serves it.
    #[error("plan {plan}: its holder was asked to cancel it and has not answered")]
    NoAnswer {
        /// The plan.
        plan: PlanId,
        /// Its holder.
        held: Box<HeldLock>,
    },
    /// All places for commands are taken. The plan is queued in that phase.
    #[error("plan {plan}: no place is free for a command of {phase}")]
    NoPlace {
        /// The plan.
        plan: PlanId,
        /// Where it waits.
        phase: Phase,
        /// Who has the places.
        census: Box<PlacesCensus>,
    },
    /// The places for commands cannot be used. Nothing was started.
    #[error(transparent)]
    Places(#[from] PlacesError),
    /// This process was asked to end, or lost the plan.
    #[error("plan {plan} was stopped")]
    Stopped {
        /// The plan.
        plan: PlanId,
        /// Why.
        cause: StopCause,
    },
}
