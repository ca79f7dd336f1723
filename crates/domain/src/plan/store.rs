//! The port to whoever stores plans. A write takes a fence; there is no other way.

use async_trait::async_trait;
use thiserror::Error;

use crate::action::{Action, Arguments};
use crate::id::PlanId;
use crate::lock::{AcquireRequest, Fence, Lease, LockKey};
use crate::plan::{Event, Plan};
use crate::workspace::Project;

/// What a plan was ordered to do: frozen when it is made, never changed.
#[derive(Debug, Clone, PartialEq)]
pub struct Definition {
    /// The action, as it was then.
    pub action: Action,
    /// The text it was read from.
    pub action_source: String,
    /// The checked arguments.
    pub arguments: Arguments,
    /// The projects, as they were registered then, in the order of their names.
    pub projects: Vec<Project>,
}

/// A plan that is to be stored for the first time.
#[derive(Debug, Clone, PartialEq)]
pub struct NewPlan {
    /// The plan, at version 1.
    pub plan: Plan,
    /// Its order.
    pub definition: Definition,
    /// Its `plan.created` event.
    pub event: Event,
}

/// How the lock of a new plan begins.
#[derive(Debug, Clone, PartialEq, Eq)]
#[expect(clippy::large_enum_variant, reason = "a value made once for each new plan")]
pub enum Opening {
    /// Held by the maker from the first moment, so that no rival slips in.
    Held(AcquireRequest),
    /// With the no-op lock.
    Unfenced,
}

/// One transition, or several that are one to everybody else, ready to be written.
#[derive(Debug, Clone, PartialEq)]
pub struct PlanWrite {
    /// The plan afterwards.
    pub plan: Plan,
    /// The version it was decided on.
    pub expected_version: u64,
    /// The events, one for each version; the id of the last makes a repeated commit harmless.
    pub events: Vec<Event>,
    /// The children that come to be with it, their locks free.
    pub spawn: Vec<NewPlan>,
    /// Further locks that must still be held: those of the projects, when branches move.
    pub also: Vec<(LockKey, Fence)>,
}

impl PlanWrite {
    /// The event that tells whether this was written before: the last.
    pub fn last_event(&self) -> &Event {
        self.events.last().expect("a write has an event")
    }
}

/// What a commit came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum CommitOutcome {
    /// Written, durable; or written before by the same event.
    Applied,
    /// The fence, or the version, is no longer good. Nothing was written.
    Stale,
    /// There is no such plan. Nothing was written.
    Missing,
}

/// What the store could not do.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum StoreError {
    /// It cannot be reached, is locked by somebody who does not let go, or is full.
    #[error("the store is unavailable: {reason}")]
    Unavailable {
        /// The store's word, for people.
        reason: String,
    },
    /// The connection went away at the commit: whether it was written is unknown. Repeating the
    /// same commit tells.
    #[error("the outcome of a write is unknown: {reason}")]
    Unknown {
        /// The store's word, for people.
        reason: String,
    },
    /// A row that cannot be understood.
    #[error("the store holds a row that makes no sense ({row}): {reason}")]
    Corrupt {
        /// Table and key.
        row: String,
        /// What is wrong with it.
        reason: String,
    },
    /// A write without a fence, in a store that wants one.
    #[error("this store refuses writes without a lock")]
    UnfencedRefused,
    /// A name, or a repository, that is taken.
    #[error("{what} is taken by {by}")]
    Taken {
        /// What is taken.
        what: String,
        /// By whom.
        by: String,
    },
}

/// Stores plans and their logs. Each method makes one attempt.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PlanStore: Send + Sync {
    /// Stores a plan, its lock, its order and its first event, all or nothing, durable. With
    /// [`Opening::Held`] the lock is granted in the same transaction.
    async fn create(&self, new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError>;

    /// The plan as it is now; no cache. `None`: there is none.
    async fn load(&self, plan: PlanId) -> Result<Option<Plan>, StoreError>;

    /// What the plan was ordered to do. `None`: there is none.
    async fn definition(&self, plan: PlanId) -> Result<Option<Definition>, StoreError>;

    /// Writes the plan, its events and its new children in one transaction that also checks the
    /// fence, every lock in `also`, and the version. A child that an event replaces, and all
    /// children of a plan that goes back to its start, belong to its past from then on. Durable when it returns [`CommitOutcome::Applied`]. If
    /// the process dies before, nothing or everything was written; repeating it tells.
    async fn commit(&self, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError>;

    /// The plan's log from its beginning.
    async fn events(&self, plan: PlanId) -> Result<Vec<Event>, StoreError>;
}
