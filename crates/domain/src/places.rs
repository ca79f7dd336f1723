//! The port to places: how many commands run at once on this machine, over all plans.
//!
//! A place is the right to run one command. Whoever waits for a lock, or for commands of others,
//! holds none; so places can be short, but never part of a deadlock.

use async_trait::async_trait;
use thiserror::Error;

use crate::id::PlanId;
use crate::lock::Holder;
use crate::time::Timestamp;

/// Who has a place, and what for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Occupant {
    /// The process that drives the plan.
    pub by: Holder,
    /// The plan whose command runs.
    pub plan: PlanId,
    /// Which attempt of the plan.
    pub attempt: u32,
    /// `execute`, `validation <name>`, …: for people.
    pub purpose: String,
    /// Since when.
    pub since: Timestamp,
}

/// How many places there are, and who has which: a snapshot, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PlacesCensus {
    /// How many commands may run at once.
    pub total: u32,
    /// Those that do, in the order of their places. May for a moment lack somebody who is just
    /// taking a place, or name somebody who is just leaving one.
    pub taken: Vec<Occupant>,
}

impl PlacesCensus {
    /// Whether all are taken.
    pub fn is_full(&self) -> bool {
        self.taken.len() >= usize::try_from(self.total).unwrap_or(usize::MAX)
    }
}

/// The places cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the places for commands, {path}, cannot be used: {reason}")]
pub struct PlacesError {
    /// Where they are.
    pub path: String,
    /// The system's word.
    pub reason: String,
}

/// A place that is taken: free again when this is dropped, and when the process dies.
pub trait Place: Send + Sync {}

/// The places of this machine.
///
/// Crash semantics: the place of a process that dies is free at once, whatever lives on of the
/// commands that it started.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Places: Send + Sync {
    /// Takes a place if one is free now; `None`: all are taken.
    async fn take(&self, occupant: &Occupant) -> Result<Option<Box<dyn Place>>, PlacesError>;

    /// Who has which, and how many there are. Takes nothing and disturbs nobody.
    async fn census(&self) -> Result<PlacesCensus, PlacesError>;
}

/// Places without end: for embedders that bound commands elsewhere, and for a process that itself
/// runs within the place of a command.
#[derive(Debug, Clone, Copy, Default)]
pub struct Boundless;

/// One of them.
struct Anywhere;

impl Place for Anywhere {}

#[async_trait]
impl Places for Boundless {
    async fn take(&self, _occupant: &Occupant) -> Result<Option<Box<dyn Place>>, PlacesError> {
        Ok(Some(Box::new(Anywhere)))
    }

    async fn census(&self) -> Result<PlacesCensus, PlacesError> {
        Ok(PlacesCensus { total: u32::MAX, taken: Vec::new() })
    }
}
