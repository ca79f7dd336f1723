//! What a store is asked for when its state is measured: numbers that cost little to read, however
//! much is stored.

use std::collections::BTreeMap;

use async_trait::async_trait;

use crate::plan::{Stage, StoreError};
use crate::time::Timestamp;

/// The numbers of one moment.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Measured {
    /// How many plans there are in each stage, subplans among them; none that has none.
    pub plans: BTreeMap<Stage, u64>,
    /// How many events there are of each kind.
    pub events: BTreeMap<String, u64>,
    /// How many stand in line for locks.
    pub waiting: u64,
    /// Since when the one does that has waited longest.
    pub waiting_since: Option<Timestamp>,
    /// Orders for workers.
    pub orders: OrdersMeasured,
    /// How many open requests there are of each kind: `cancel`, `break`.
    pub requests: BTreeMap<String, u64>,
}

/// Open orders for workers, by where they are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct OrdersMeasured {
    /// Those that any worker may take up.
    pub in_line: u64,
    /// Since when the one of these stands in line that has longest.
    pub since: Option<Timestamp>,
    /// Those that are not to be taken up yet.
    pub resting: u64,
    /// Those that a worker has in hand.
    pub in_hand: u64,
}

/// Measures a store. Reads only.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Measures: Send + Sync {
    /// The numbers as they are now, all of one moment.
    async fn measure(&self) -> Result<Measured, StoreError>;
}
