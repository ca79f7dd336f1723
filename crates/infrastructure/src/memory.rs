//! A store in memory: locks, plans, projects, actions and reads over one shared state.
//!
//! For embedders who keep nothing, and for tests. It behaves like the durable stores: it passes
//! the same conformance suite, every method is one critical section, and the fence of a write is
//! checked in the section that writes. What it lacks is only durability: everything ends with the
//! last handle.
//!
//! ```text
//! MemoryStore ──┬─ locks()    ─┐
//!               ├─ line()     ─┤
//!               ├─ plans()    ─┤
//!               ├─ projects() ─┼──► one Mutex<State>, one clock, read inside the section
//!               ├─ actions()  ─┤
//!               ├─ requests() ─┤
//!               ├─ pulse()    ─┤
//!               ├─ orders()   ─┤
//!               ├─ workers()  ─┤
//!               ├─ reads()    ─┤
//!               ├─ feed()     ─┤
//!               └─ measures() ─┘
//! ```
//!
//! No lock of the state is ever held across an `.await`, and nothing here waits for anything but
//! that mutex, so a critical section takes microseconds.

mod catalogue;
mod feed;
mod line;
mod locks;
mod measures;
mod orders;
mod plans;
mod reads;
mod requests;
mod workers;

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use agents_domain::catalogue::{ActionStore, ProjectStore, StoredAction};
use agents_domain::feed::Feed;
use agents_domain::id::{EventId, OwnerId, PlanId};
use agents_domain::lock::{Line, LockPort};
use agents_domain::measures::Measures;
use agents_domain::name::Name;
use agents_domain::orders::{Orders, WorkOrder};
use agents_domain::plan::PlanStore;
use agents_domain::reads::PlanReads;
use agents_domain::request::{Pulse, Request, Requests};
use agents_domain::time::{BootInstant, Clock, Timestamp};
use agents_domain::workers::{Worker, Workers};
use agents_domain::workspace::Project;

use self::line::LineTable;
use self::locks::LockTable;
use self::plans::PlanRow;

/// A store in memory. Its handles, and its clones, share one state.
///
/// ```
/// use std::sync::Arc;
///
/// use agents_infrastructure::clock::SystemClock;
/// use agents_infrastructure::memory::MemoryStore;
///
/// let store = MemoryStore::new(Arc::new(SystemClock));
/// let (locks, plans) = (store.locks(), store.plans());
/// # let _ = (locks, plans);
/// ```
#[derive(Clone)]
pub struct MemoryStore {
    shared: Arc<Shared>,
}

/// What all handles share.
struct Shared {
    clock: Arc<dyn Clock>,
    state: Mutex<State>,
}

/// Everything that is stored.
#[derive(Default)]
struct State {
    allow_unfenced: bool,
    locks: LockTable,
    line: LineTable,
    plans: BTreeMap<PlanId, PlanRow>,
    /// Every event that was written, and of which plan.
    written: BTreeMap<EventId, PlanId>,
    /// All of them in the order in which they were written.
    feed: Vec<feed::Entry>,
    projects: BTreeMap<Name, Project>,
    actions: BTreeMap<Name, StoredAction>,
    /// What was asked of the holders of locks, in that order.
    requests: Vec<Request>,
    orders: BTreeMap<PlanId, WorkOrder>,
    workers: BTreeMap<OwnerId, Worker>,
}

/// One moment on both lines of time.
#[derive(Clone, Copy)]
struct Moment {
    wall: Timestamp,
    boot: BootInstant,
}

impl MemoryStore {
    /// An empty store that lives on this clock: leases on its boot time, records on its wall
    /// time. It refuses unfenced writes.
    pub fn new(clock: Arc<dyn Clock>) -> Self {
        Self { shared: Arc::new(Shared { clock, state: Mutex::default() }) }
    }

    /// Takes writes without a fence from now on, as the no-op lock makes them; still not for a
    /// plan that was once written with a token. Holds for every handle of this store.
    #[must_use]
    pub fn allow_unfenced(self) -> Self {
        self.shared.critical(|state, _| state.allow_unfenced = true);
        self
    }

    /// Its locks.
    pub fn locks(&self) -> Arc<dyn LockPort> {
        Arc::new(locks::Locks(Arc::clone(&self.shared)))
    }

    /// The line of those who wait for its locks.
    pub fn line(&self) -> Arc<dyn Line> {
        Arc::new(line::MemoryLine(Arc::clone(&self.shared)))
    }

    /// Its plans and their logs.
    pub fn plans(&self) -> Arc<dyn PlanStore> {
        Arc::new(plans::Plans(Arc::clone(&self.shared)))
    }

    /// Its projects.
    pub fn projects(&self) -> Arc<dyn ProjectStore> {
        Arc::new(catalogue::Projects(Arc::clone(&self.shared)))
    }

    /// Its actions.
    pub fn actions(&self) -> Arc<dyn ActionStore> {
        Arc::new(catalogue::Actions(Arc::clone(&self.shared)))
    }

    /// What is asked of the holders of its locks.
    pub fn requests(&self) -> Arc<dyn Requests> {
        Arc::new(requests::Requests(Arc::clone(&self.shared)))
    }

    /// The look of a heartbeat.
    pub fn pulse(&self) -> Arc<dyn Pulse> {
        Arc::new(requests::Requests(Arc::clone(&self.shared)))
    }

    /// What workers are to do.
    pub fn orders(&self) -> Arc<dyn Orders> {
        Arc::new(orders::MemoryOrders(Arc::clone(&self.shared)))
    }

    /// Who takes it up.
    pub fn workers(&self) -> Arc<dyn Workers> {
        Arc::new(workers::MemoryWorkers(Arc::clone(&self.shared)))
    }

    /// Its plans, for readers.
    pub fn reads(&self) -> Arc<dyn PlanReads> {
        Arc::new(reads::Reads(Arc::clone(&self.shared)))
    }

    /// The events of all its plans.
    pub fn feed(&self) -> Arc<dyn Feed> {
        Arc::new(feed::MemoryFeed(Arc::clone(&self.shared)))
    }

    /// Its numbers.
    pub fn measures(&self) -> Arc<dyn Measures> {
        Arc::new(measures::MemoryMeasures(Arc::clone(&self.shared)))
    }
}

impl Shared {
    /// One critical section. Time is read inside, so its order is the order of the sections. A
    /// panic in an earlier section left the state whole: sections check first and write last.
    fn critical<T>(&self, section: impl FnOnce(&mut State, Moment) -> T) -> T {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let now = Moment { wall: self.clock.now(), boot: self.clock.boottime() };
        section(&mut state, now)
    }
}
