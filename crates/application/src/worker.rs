//! A worker: takes up orders, works them off, and gives back what it cannot finish.
//!
//! ```text
//!           ┌──────────────────────────── a tick, or an end ◄───────────────────────────┐
//! roll call ─ count out the dead ─ give back what ended ─ while there is room: claim, drive ─┘
//! first request to end:  nothing more is claimed, what runs goes on to its end
//! second:                what runs is stopped, recorded, given back; its orders stay open
//! ```
//!
//! What makes this safe is the lock of each plan, under which the driver does everything. A claim
//! spreads workers, and the list of workers is for people; so either may be wrong, or forgotten.
//!
//! One that works once ends when nothing is due and nothing can become so by counting out who is silent: for
//! that it stays until it has been answered for long enough to tell.
//!
//! If the store is out of reach nothing new is taken up, and the worker tries again, later each time.
//! What runs meanwhile is ended by the heartbeat thread if its lease cannot be renewed.

mod answered;
mod outcome;
mod shift;

use std::sync::Arc;
use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::lock::Processes;
use agents_domain::name::Name;
use agents_domain::orders::{Orders, WorkOrder};
use agents_domain::plan::StoreError;
use agents_domain::request::Pulse;
use agents_domain::time::Timestamp;
use agents_domain::workers::{Worker, Workers};

use crate::driver::DriverParts;
use crate::stop::StopHub;

use shift::Shift;

/// What a [`WorkerService`] is made of.
#[derive(Clone)]
pub struct WorkerParts {
    /// What plans are driven with. Its hub stops what runs.
    pub driver: DriverParts,
    /// What there is to do.
    pub orders: Arc<dyn Orders>,
    /// Who else works.
    pub workers: Arc<dyn Workers>,
    /// Says whether anything has changed in the store.
    pub pulse: Arc<dyn Pulse>,
    /// Knows who is dead.
    pub processes: Arc<dyn Processes>,
    /// The request to take up nothing more.
    pub drain: StopHub,
    /// Told what goes on.
    pub overseer: Arc<dyn Overseer>,
    /// How it works.
    pub terms: Terms,
}

/// How a worker works.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Terms {
    /// How many plans it drives at once; at least one.
    pub concurrency: u32,
    /// Whether it ends once nothing is due.
    pub once: bool,
    /// Only plans that use one of these projects; none: all.
    pub projects: Vec<Name>,
    /// Between two looks.
    pub tick: Duration,
}

/// Told what a worker does. Must not block.
pub trait Overseer: Send + Sync {
    /// It is in the list, and begins.
    fn begun(&self, _worker: &Worker) {}
    /// It has taken up an order.
    fn taken(&self, _order: &WorkOrder) {}
    /// An order has ended, like this.
    fn ended(&self, _plan: PlanId, _outcome: &str) {}
    /// An order was given back, open: why, and until when it rests.
    fn given_back(&self, _plan: PlanId, _why: &str, _until: Option<Timestamp>) {}
    /// Another worker is silent, and has plans in hand: this one stays to see whether it is gone.
    fn doubted(&self, _worker: &Worker) {}
    /// Another worker was counted out.
    fn lost(&self, _worker: &Worker) {}
    /// Nothing more is taken up; so many plans go on to their end.
    fn draining(&self, _running: usize) {}
    /// The store is out of reach. Told when that begins, and when its reason changes.
    fn away(&self, _error: &StoreError) {}
    /// It is there again.
    fn back(&self) {}
}

/// Sees nothing.
#[derive(Debug, Clone, Copy, Default)]
pub struct Unseen;

impl Overseer for Unseen {}

/// Works off what was ordered.
///
/// ```no_run
/// # use agents_application::worker::{WorkerParts, WorkerService};
/// # async fn example(parts: WorkerParts) -> Result<(), agents_domain::plan::StoreError> {
/// let drain = parts.drain.clone();
/// // A signal handler calls `drain.stop()`; then this returns as soon as nothing runs any more.
/// WorkerService::new(parts).run().await
/// # }
/// ```
pub struct WorkerService {
    parts: WorkerParts,
}

impl WorkerService {
    /// A worker of these parts.
    pub const fn new(parts: WorkerParts) -> Self {
        Self { parts }
    }

    /// Works until it is asked to end, or, if it works once, until nothing is due and nothing runs.
    /// Only then an error ends it: the store was out of reach.
    ///
    /// Crash semantics: what it has claimed goes back once its death is seen, at once on its own
    /// machine; what it drove is recovered by whoever takes it up next.
    pub async fn run(self) -> Result<(), StoreError> {
        Shift::new(self.parts).work().await
    }
}
