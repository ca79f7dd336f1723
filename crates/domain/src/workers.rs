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
/// After so long a silence a worker is counted out, be it that nothing can be proved of its process, or
/// that it is there and does not run: by those whom the store has answered for as long.
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
    /// When it last said that it lives, wall time of the store; of who says so now, see
    /// [`Workers::report`].
    pub seen: Timestamp,
    /// How many plans it drives at once.
    pub concurrency: u32,
    /// Whether it takes up nothing more.
    pub draining: bool,
    /// When it was counted out; `None`: it was not.
    pub lost: Option<Timestamp>,
}

/// A worker, and the plans that it has in hand.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AtWork {
    /// Who.
    pub worker: Worker,
    /// What it has claimed, oldest claim first.
    pub plans: Vec<PlanId>,
    /// For how long it has not said that it lives, by the store's clock alone: those of machines differ.
    pub silent: Duration,
}

impl AtWork {
    /// Whether it works, as far as can be told now. `proved`: what can be proved of its process. One
    /// that is there and silent may be stopped, or the store out of its reach.
    pub fn liveness(&self, proved: Liveness) -> Liveness {
        let silent = self.is_silent();
        match proved {
            Liveness::Unknown if self.worker.lost.is_some() || silent => Liveness::Dead,
            Liveness::Alive if silent => Liveness::Unknown,
            proved => proved,
        }
    }

    /// Whether it is to be counted out now, so that others take up what it has in hand. If it runs on
    /// all the same, it does so under the locks that it holds, and is back in the list before long. What
    /// it has claimed before that goes back once more if it is gone then.
    ///
    /// `answered`: for how long the store has answered whoever judges, without a gap. A silence may be
    /// that of the store, unless one has oneself been heard for as long; a death that is proved is one.
    pub fn is_gone(&self, proved: Liveness, answered: Duration) -> bool {
        let has_something = self.worker.lost.is_none() || !self.plans.is_empty();
        has_something && (proved == Liveness::Dead || (self.is_silent() && answered >= SILENCE))
    }

    /// Whether others may have to take up what it has in hand, and it cannot be told yet.
    pub fn is_in_doubt(&self, proved: Liveness, answered: Duration) -> bool {
        self.is_silent() && !self.plans.is_empty() && !self.is_gone(proved, answered)
    }

    fn is_silent(&self) -> bool {
        self.silent >= SILENCE
    }
}

/// Stores the list of workers. Each method makes one attempt; none need be durable.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Workers: Send + Sync {
    /// Writes a worker into the list, or that it still works: it is seen now, by the store's clock.
    /// Orders that it has claimed and not in `doing` go back: an answer of the store may have been lost. But
    /// only those that it claimed before the report ([`Claim::since`](crate::orders::Claim::since) before
    /// [`Worker::seen`]): a report may come late.
    async fn report(&self, worker: &Worker, doing: &[PlanId]) -> Result<(), StoreError>;

    /// Takes a worker off the list; what it has claimed goes back.
    async fn leave(&self, worker: OwnerId) -> Result<(), StoreError>;

    /// Counts workers out that are no more, if they have said nothing since they were listed like this;
    /// what they have claimed goes back. Those that were counted out longer than [`REMEMBRANCE`] ago are
    /// forgotten.
    async fn bury(&self, workers: &[Worker], at: Timestamp) -> Result<(), StoreError>;

    /// All in the list, the longest at work first.
    async fn list(&self) -> Result<Vec<AtWork>, StoreError>;
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at_work(lost: Option<Timestamp>, silent: Duration) -> AtWork {
        let process = Holder {
            host: "box".into(),
            boot_id: String::new(),
            pid_namespace: String::new(),
            pid: 1,
            started: 1,
            user: "ada".into(),
            operation: "worker".into(),
        };
        let id = OwnerId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID");
        let start = Timestamp::from_millis(0);
        let worker = Worker { id, process, since: start, seen: start, concurrency: 1, draining: false, lost };
        AtWork { worker, plans: vec![], silent }
    }

    #[test]
    fn who_is_silent_is_counted_out_once_whatever_is_known_of_its_process() {
        use Liveness::{Alive, Dead, Unknown};
        let (speaks, silent) = (at_work(None, SILENCE / 2), at_work(None, SILENCE));
        let lost = Some(Timestamp::from_millis(0));
        for (at_work, proved, liveness, gone) in [
            (&speaks, Alive, Alive, false),
            (&speaks, Unknown, Unknown, false),
            (&speaks, Dead, Dead, true),
            (&silent, Alive, Unknown, true),
            (&silent, Unknown, Dead, true),
            (&silent, Dead, Dead, true),
            (&at_work(lost, SILENCE / 2), Unknown, Dead, false),
            (&at_work(lost, SILENCE), Alive, Unknown, false),
            (&at_work(lost, SILENCE), Dead, Dead, false),
        ] {
            let found = (at_work.liveness(proved), at_work.is_gone(proved, SILENCE));
            assert_eq!(found, (liveness, gone), "{at_work:?}");
        }
    }

    #[test]
    fn nobody_is_counted_out_for_silence_by_whom_the_store_has_not_answered_for_as_long() {
        use Liveness::{Alive, Dead, Unknown};
        let silent = at_work(None, SILENCE);
        let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID");
        let busy = AtWork { plans: vec![plan], ..silent.clone() };
        let (short, long) = (SILENCE.saturating_sub(Duration::from_millis(1)), SILENCE);
        for proved in [Alive, Unknown] {
            assert!(!silent.is_gone(proved, short) && silent.is_gone(proved, long));
            assert!(busy.is_in_doubt(proved, short) && !busy.is_in_doubt(proved, long));
            assert!(!silent.is_in_doubt(proved, short), "it has nothing that others might take up");
        }
        assert!(silent.is_gone(Dead, Duration::ZERO), "that is no silence");
        assert!(!busy.is_in_doubt(Dead, Duration::ZERO));
        let speaks = AtWork { silent: short, ..busy };
        assert!(!speaks.is_gone(Alive, long) && !speaks.is_in_doubt(Alive, short));
    }
}
