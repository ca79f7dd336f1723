//! The events of all plans, one after the other: the port to whoever stores them.
//!
//! The order is one in which nothing comes before what it follows from: of one plan as in its log, and
//! an event after each that was committed before its own commit began. It never changes: a reader who
//! goes on from where it was has missed nothing and sees nothing twice.
//!
//! ```text
//! commits:   a ── c ── (b still runs) ── d ── b is committed
//! read:      a, c │ not yet: d, for b may come before it │ b, d
//! ```
//!
//! A store that has one writer at a time never holds anything back.

use async_trait::async_trait;

use crate::id::PlanId;
use crate::plan::{Event, StoreError};
use crate::time::Timestamp;

/// A place between two events. Made by a store, and good for that store alone: another one, be it a
/// copy, counts in its own way.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct FeedPosition {
    /// Which count of the store `number` belongs to; counts follow each other.
    pub era: i64,
    /// The number of the event before this place, or of the transaction that wrote it.
    pub number: i64,
    /// The plan of that event, where its number is that of a transaction.
    pub plan: Option<PlanId>,
    /// Its place in the log of that plan.
    pub seq: u64,
}

impl FeedPosition {
    /// Before the first event.
    pub const START: Self = Self { era: 0, number: 0, plan: None, seq: 0 };
}

/// Some events that follow each other.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FeedPage {
    /// The events, in order.
    pub events: Vec<Event>,
    /// Where to go on: after the last of them.
    pub next: FeedPosition,
    /// Whether more has been committed that cannot be read yet: something may still come before it.
    pub held: bool,
}

/// Reads the events of all plans. Takes no lock and keeps nothing for its readers: who goes on keeps
/// its position.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Feed: Send + Sync {
    /// The events after that place, at most `limit` of them; none, if there are no more yet.
    async fn after(&self, position: FeedPosition, limit: u32) -> Result<FeedPage, StoreError>;

    /// The place before the first event that happened then or later, by its own time; the end, if
    /// there is none. Clocks go wrong: after that place there may be earlier ones.
    async fn since(&self, at: Timestamp) -> Result<FeedPosition, StoreError>;
}
