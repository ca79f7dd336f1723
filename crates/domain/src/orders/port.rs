//! The port to whoever stores orders.

use std::time::Duration;

use async_trait::async_trait;

use crate::id::{OwnerId, PlanId};
use crate::name::Name;
use crate::plan::StoreError;
use crate::request::Closed;
use crate::time::Timestamp;

use super::{Claimed, NewOrder, WorkOrder};

/// Who takes up an order, and of which plans.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Claim {
    /// The worker, by the owner of its locks.
    pub worker: OwnerId,
    /// Now, wall time of its machine: what plans wait for goes by that.
    pub now: Timestamp,
    /// What is stored as the moment of the claim: now, or later if the clock was set back, so that it is
    /// later than any claim or report of this worker before.
    pub since: Timestamp,
    /// Owners that are beyond doubt no more: what they hold is free for whoever takes it.
    pub dead: Vec<OwnerId>,
    /// Only plans that use one of these projects; none: all.
    pub projects: Vec<Name>,
    /// The id of the machine: only plans that can be worked on there
    /// ([`all_here`](crate::workspace::all_here)).
    pub machine: String,
}

/// An order that is given back, open as before.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PutBack {
    /// Its plan.
    pub plan: PlanId,
    /// The claim that ends; a later one stays, also of the same worker.
    pub claim: Claimed,
    /// When: it stands at the end of the line.
    pub at: Timestamp,
    /// For how long it is not to be taken up, by the store's clock: those of machines differ. At most
    /// [`LONGEST_REST`](super::LONGEST_REST).
    pub rest: Option<Duration>,
    /// What was in the way that is not the plan's; `None`: nothing was.
    pub trouble: Option<String>,
}

/// Stores orders. Each method makes one attempt.
///
/// What is ordered, and that it has ended, is durable. A claim need not be: one that is forgotten is
/// made again, and the lock of the plan keeps two workers apart.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Orders: Send + Sync {
    /// Stores an order, or adds it to the open one of that plan ([`WorkOrder::with`]); durable. What
    /// is stored then.
    async fn place(&self, order: &NewOrder) -> Result<WorkOrder, StoreError>;

    /// The order of a plan, open or as it ended; `None`: there never was one.
    async fn of(&self, plan: PlanId) -> Result<Option<WorkOrder>, StoreError>;

    /// Takes up the order that has stood in line longest of those that are due
    /// ([`is_due`](super::is_due)). `None`: none is.
    async fn claim(&self, claim: &Claim) -> Result<Option<WorkOrder>, StoreError>;

    /// Gives an order back. Changes nothing if that claim is over: it has ended, or was given back before.
    async fn put_back(&self, back: &PutBack) -> Result<(), StoreError>;

    /// Ends an order that is open and at that revision; durable. Whether it did: something may have
    /// been added since.
    async fn end(&self, plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, StoreError>;

    /// Takes an order back that is open, as it was seen, and in nobody's hand; durable. Whether it did: it
    /// may have been taken up since, or somebody else may want it.
    async fn withdraw(&self, seen: &WorkOrder, closed: &Closed) -> Result<bool, StoreError>;

    /// The open orders, longest in line first.
    async fn list(&self) -> Result<Vec<WorkOrder>, StoreError>;
}
