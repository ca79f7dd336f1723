//! Reading plans for people: plain structs, past the aggregate.

use async_trait::async_trait;

use crate::id::PlanId;
use crate::lock::HeldLock;
use crate::name::Name;
use crate::plan::{Phase, PlanRecord, State, StoreError};
use crate::request::Request;
use crate::subplan::Tally;

/// A plan as a reader sees it: its facts, and who holds its lock.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanView {
    /// Its facts.
    pub record: PlanRecord,
    /// Who holds its lock, stale or not.
    pub lock: Option<HeldLock>,
    /// The open request to cancel it.
    pub cancel_requested: Option<Request>,
    /// Its children, but those of its past.
    pub subplans: Tally,
}

/// Which plans are listed, newest first.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct PlanFilter {
    /// Only in this phase.
    pub phase: Option<Phase>,
    /// Only in this state.
    pub state: Option<State>,
    /// Only those that use this project.
    pub project: Option<Name>,
    /// Only those that use this action.
    pub action: Option<Name>,
    /// Only the children of this plan.
    pub parent: Option<PlanId>,
    /// Subplans too, not only plans without a parent.
    pub all: bool,
    /// At most so many; `None`: all.
    pub limit: Option<u32>,
}

/// Some plans, and how many there are in all.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlanPage {
    /// Newest first.
    pub plans: Vec<PlanView>,
    /// How many pass the filter, whatever the limit.
    pub total: u64,
}

/// Reads plans. Takes no lock and no fence; what it returns may be old by the time it is seen.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait PlanReads: Send + Sync {
    /// The plans whose id begins with that text (upper or lower case), at most `limit`, by id.
    async fn resolve(&self, prefix: &str, limit: u32) -> Result<Vec<PlanId>, StoreError>;
    /// One plan.
    async fn status(&self, plan: PlanId) -> Result<Option<PlanView>, StoreError>;
    /// All that are below a plan, at any depth, but those of a past of its or theirs: each after
    /// its parent, siblings in the order of their places.
    async fn family(&self, plan: PlanId) -> Result<Vec<PlanView>, StoreError>;
    /// Many plans.
    async fn list(&self, filter: &PlanFilter) -> Result<PlanPage, StoreError>;
}
