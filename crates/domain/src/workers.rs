//! Workers: processes that take up orders, and the port to the list of them.
//!
//! The list is for people, and to know whose claims are void. Nothing is safe because of it: a worker
//! that is counted out and lives runs on under the locks that it holds.

use std::time::Duration;

use async_trait::async_trait;

use crate::id::{OwnerId, PlanId};
use crate::lock::{Holder, Liveness};
use crate::plan::StoreError;
use crate::time::Timestamp;

/// How often a worker says that it lives.
pub const ROLL_CALL: Duration = Duration::from_secs(10);
/// After so long a silence a worker of which nothing can be proved is counted out.
pub const SILENCE: Duration = Duration::from_mins(1);
/// For so long those that are no more are shown.
pub const REMEMBRANCE: Duration = Duration::from_hours(24);

/// One worker.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Worker {
    /// The owner of its locks.
    pub id: OwnerId,
    /// The process.
    pub process: Holder,
    /// Since when it works, wall time.
    pub since: Timestamp,
    /// When it last said that it lives, wall time.
    pub seen: Timestamp,
    /// How many plans it drives at once.
    pub concurrency: u32,
    /// Whether it takes up nothing more.
    pub draining: bool,
    /// When it was counted out; `None`: it was not.
    pub lost: Option<Timestamp>,
}

impl Worker {
    /// Whether it works, as far as can be told now. `proved`: what can be proved of its process.
    pub fn liveness(&self, proved: Liveness, now: Timestamp) -> Liveness {
        let silent = self.seen.plus(SILENCE) <= now;
        match proved {
            Liveness::Unknown if self.lost.is_some() || silent => Liveness::Dead,
            proved => proved,
        }
    }
}

/// A worker, and the plans that it has in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Who.
    pub worker: Worker,
    /// What it has claimed, oldest claim first.
    pub plans: Vec<PlanId>,
}

/// Stores the list of workers. Each method makes one attempt; none need be durable.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Workers: Send + Sync {
    /// Writes a worker into the list, or that it still works. Orders that it has claimed and not in
    /// `doing` go back: an answer of the store may have been lost.
    async fn report(&self, worker: &Worker, doing: &[PlanId]) -> Result<(), StoreError>;

    /// Takes a worker off the list; what it has claimed goes back.
    async fn leave(&self, worker: OwnerId) -> Result<(), StoreError>;

    /// Counts workers out that are no more; what they have claimed goes back. Those that were counted
    /// out longer than [`REMEMBRANCE`] ago are forgotten.
    async fn bury(&self, workers: &[OwnerId], at: Timestamp) -> Result<(), StoreError>;

    /// All in the list, the longest at work first.
    async fn list(&self) -> Result<Vec<AtWork>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn silence_counts_only_where_nothing_can_be_proved() {
        let process = Holder {
            host: "box".into(),
            boot_id: String::new(),
            pid_namespace: String::new(),
            pid: 1,
            started: 1,
            user: "ada".into(),
            operation: "worker".into(),
        };
        let start = Timestamp::from_millis(0);
        let worker = Worker {
            id: OwnerId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID"),
            process,
            since: start,
            seen: start,
            concurrency: 1,
            draining: false,
            lost: None,
        };
        let (soon, late) = (start.plus(SILENCE / 2), start.plus(SILENCE));
        for proved in [Liveness::Alive, Liveness::Dead] {
            assert_eq!((worker.liveness(proved, soon), worker.liveness(proved, late)), (proved, proved));
        }
        assert_eq!(worker.liveness(Liveness::Unknown, soon), Liveness::Unknown);
        assert_eq!(worker.liveness(Liveness::Unknown, late), Liveness::Dead);
        let lost = Worker { lost: Some(soon), ..worker };
        assert_eq!(lost.liveness(Liveness::Unknown, soon), Liveness::Dead);
    }
}
