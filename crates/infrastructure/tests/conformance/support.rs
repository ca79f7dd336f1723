//! The fixture: the ports of one fresh store, and a clock that moves by hand.

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::catalogue::{ActionStore, ProjectStore};
use agents_domain::feed::Feed;
use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, Conflict, HeldLock, Lease, Line, LockError, LockFilter, LockKey, LockPort, Overdue, Term,
};
use agents_domain::measures::Measures;
use agents_domain::orders::Orders;
use agents_domain::plan::{NewPlan, Opening, Plan, PlanStore};
use agents_domain::reads::PlanReads;
use agents_domain::request::{Pulse, Requests};
use agents_domain::time::{BootInstant, Clock, Timestamp, Ttl};
use agents_domain::workers::Workers;
use agents_infrastructure::clock::HandClock;
use agents_infrastructure::memory::MemoryStore;
use agents_infrastructure::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use agents_testing::postgres::Database;
use tempfile::TempDir;

use crate::values::{self, holder, owner};

/// Whether the store takes writes without a fence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfenced {
    Refused,
    Allowed,
}

/// Opens a fresh, empty store.
pub(crate) type Opener = fn(Unfenced) -> Fixture;

/// The ports of one store. A store that reads actions back from their text is given
/// [`values::parse_action`].
pub(crate) struct Fixture {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) locks: Arc<dyn LockPort>,
    pub(crate) plans: Arc<dyn PlanStore>,
    pub(crate) projects: Arc<dyn ProjectStore>,
    pub(crate) actions: Arc<dyn ActionStore>,
    pub(crate) reads: Arc<dyn PlanReads>,
    pub(crate) requests: Arc<dyn Requests>,
    pub(crate) pulse: Arc<dyn Pulse>,
    pub(crate) line: Arc<dyn Line>,
    pub(crate) feed: Arc<dyn Feed>,
    pub(crate) measures: Arc<dyn Measures>,
    /// Whether opening another one takes its time, so that fewer random histories have to do.
    pub(crate) costly: bool,
    pub(crate) orders: Arc<dyn Orders>,
    pub(crate) workers: Arc<dyn Workers>,
    /// What must live as long as the store: a directory, for one.
    pub(crate) _kept: Box<dyn Any>,
}

/// The ports of an opened store; stores of different kinds have no trait in common.
macro_rules! ports {
    ($store:ident, $clock:ident, $costly:literal, $kept:ident) => {
        Fixture {
            clock: $clock,
            locks: Arc::new($store.locks()),
            plans: Arc::new($store.plans()),
            projects: Arc::new($store.projects()),
            actions: Arc::new($store.actions()),
            reads: Arc::new($store.reads()),
            requests: Arc::new($store.requests()),
            pulse: Arc::new($store.pulse()),
            line: Arc::new($store.line()),
            feed: Arc::new($store.feed()),
            measures: Arc::new($store.measures()),
            costly: $costly,
            orders: Arc::new($store.orders()),
            workers: Arc::new($store.workers()),
            _kept: $kept,
        }
    };
}

/// The ports of a store on a SQLite file.
pub(crate) fn of_sqlite(store: &SqliteStore, clock: Arc<HandClock>, kept: Box<dyn Any>) -> Fixture {
    ports!(store, clock, false, kept)
}

/// The ports of a store on PostgreSQL.
pub(crate) fn of_postgres(store: &PostgresStore, clock: Arc<HandClock>, kept: Box<dyn Any>) -> Fixture {
    ports!(store, clock, true, kept)
}

/// A file in that directory, on that clock.
pub(crate) fn sqlite_options(directory: &TempDir, clock: &Arc<HandClock>) -> SqliteOptions {
    let (path, time) = (directory.path().join("agents.db"), Arc::clone(clock) as Arc<dyn Clock>);
    SqliteOptions::new(path, time, "this boot", "this machine", values::parse_action)
}

/// A database on a server, on the clock of that.
pub(crate) fn postgres_options(url: &str) -> PostgresOptions {
    PostgresOptions::new(PostgresUrl::parse(url).expect("a URL"), values::parse_action)
}

/// The store in memory.
pub(crate) fn memory(unfenced: Unfenced) -> Fixture {
    let clock = hand_clock();
    let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
    let store = if unfenced == Unfenced::Allowed { store.allow_unfenced() } else { store };
    Fixture {
        clock,
        locks: store.locks(),
        plans: store.plans(),
        projects: store.projects(),
        actions: store.actions(),
        reads: store.reads(),
        requests: store.requests(),
        pulse: store.pulse(),
        line: store.line(),
        feed: store.feed(),
        measures: store.measures(),
        costly: false,
        orders: store.orders(),
        workers: store.workers(),
        _kept: Box::new(()),
    }
}

/// The store on a SQLite file, as embedders have it.
pub(crate) fn sqlite(unfenced: Unfenced) -> Fixture {
    sqlite_with(unfenced, |options| options)
}

/// The store on a SQLite file, as the command line has it.
pub(crate) fn sqlite_in_place(unfenced: Unfenced) -> Fixture {
    sqlite_with(unfenced, SqliteOptions::in_place)
}

fn sqlite_with(unfenced: Unfenced, more: fn(SqliteOptions) -> SqliteOptions) -> Fixture {
    let (clock, directory) = (hand_clock(), tempfile::tempdir().expect("a directory"));
    let options = sqlite_options(&directory, &clock);
    let options = if unfenced == Unfenced::Allowed { options.allow_unfenced() } else { options };
    let store = SqliteStore::create(more(options)).expect("a database");
    of_sqlite(&store, clock, Box::new(directory))
}

/// The store on PostgreSQL.
pub(crate) fn postgres(unfenced: Unfenced) -> Fixture {
    let database = Database::fresh();
    postgres_at(&database.url(), unfenced, |options| options, Box::new(database))
}

/// The same as if a pooler in transaction mode stood in between, or by way of one if there is one: nothing
/// outlives a transaction.
pub(crate) fn postgres_pooled(unfenced: Unfenced) -> Fixture {
    let database = Database::fresh();
    postgres_at(&database.url_of_a_pooler(), unfenced, PostgresOptions::pooled, Box::new(database))
}

/// The same, at that URL.
pub(crate) fn postgres_at(
    url: &str,
    unfenced: Unfenced,
    more: fn(PostgresOptions) -> PostgresOptions,
    kept: Box<dyn Any>,
) -> Fixture {
    let clock = hand_clock();
    let options = postgres_options(url).on_clock(Arc::clone(&clock) as Arc<dyn Clock>);
    let options = if unfenced == Unfenced::Allowed { options.allow_unfenced() } else { options };
    let store = PostgresStore::create(more(options)).expect("a database");
    of_postgres(&store, clock, kept)
}

/// Some day in 2026, by a machine that was booted a while ago.
pub(crate) fn hand_clock() -> Arc<HandClock> {
    let clock = HandClock::new(Timestamp::from_millis(1_790_000_000_000));
    clock.set_boottime(BootInstant::from_millis(50_000));
    Arc::new(clock)
}

pub(crate) const MILLI: Duration = Duration::from_millis(1);
/// The length of the leases that tests take: 10 s.
pub(crate) const TERM: Duration = Duration::from_secs(10);
/// One millisecond less than [`TERM`].
pub(crate) const ALMOST_A_TERM: Duration = Duration::from_millis(9_999);

pub(crate) fn ttl(length: Duration) -> Ttl {
    Ttl::new(length).expect("within the bounds")
}

/// What an owner asks for, for [`TERM`].
pub(crate) fn request(who: u32, keys: &[&LockKey]) -> AcquireRequest {
    AcquireRequest {
        keys: keys.iter().map(|key| (*key).clone()).collect(),
        owner: owner(who),
        ttl: ttl(TERM),
        proven_dead: Vec::new(),
        overdue: Overdue::Replaced,
        ticket: None,
        dead_tickets: Vec::new(),
        holder: holder(who),
    }
}

/// The term that a lease began.
pub(crate) fn term(lease: &Lease) -> Term {
    (lease.key.clone(), lease.fence.token().expect("a fenced lease"))
}

impl Fixture {
    /// Registers the projects of those numbers; returns their keys.
    pub(crate) async fn projects<const N: usize>(&self, numbers: [u32; N]) -> [LockKey; N] {
        for n in numbers {
            self.projects.add(&values::project(n), self.clock.now()).await.expect("a new project");
        }
        numbers.map(|n| LockKey::Project(values::project(n).name))
    }

    /// Takes locks that must be free or the owner's own.
    pub(crate) async fn take(&self, who: u32, keys: &[&LockKey]) -> Vec<Lease> {
        self.locks.acquire(&request(who, keys)).await.expect("grantable locks")
    }

    /// Takes one lock.
    pub(crate) async fn take_one(&self, who: u32, key: &LockKey) -> Lease {
        self.take(who, &[key]).await.pop().expect("one lease")
    }

    /// What is in the way of an owner.
    pub(crate) async fn conflict(&self, request: &AcquireRequest) -> HeldLock {
        match self.locks.acquire(request).await {
            Err(LockError::Conflict(Conflict(held))) => *held,
            other => panic!("no conflict: {other:?}"),
        }
    }

    /// Who holds that lock.
    pub(crate) async fn holder_of(&self, key: &LockKey) -> Option<OwnerId> {
        let filter = LockFilter { key: Some(key.clone()), stale_only: false };
        let held = self.locks.list(&filter).await.expect("a list");
        assert!(held.len() <= 1, "one lock, listed twice");
        held.first().map(|lock| lock.owner)
    }

    /// Makes a plan, held by that owner.
    pub(crate) async fn make(&self, who: u32, new: &NewPlan) -> Lease {
        let opening = Opening::Held(request(who, &[&LockKey::Plan(new.plan.id)]));
        self.plans.create(new, &opening).await.expect("a new plan")
    }

    /// The plan of that number, held by that owner, of the projects 1 and 2.
    pub(crate) async fn plan(&self, who: u32, number: u32) -> (Plan, Lease) {
        let new = values::new_plan(number, self.clock.now());
        let lease = self.make(who, &new).await;
        (new.plan, lease)
    }

    /// How many random histories are run, of that many on a store that opens quickly.
    pub(crate) const fn histories(&self, many: usize) -> usize {
        if self.costly { many / 8 } else { many }
    }

    /// The plan of that number, as it is stored.
    pub(crate) async fn stored_id(&self, number: u32) -> Plan {
        self.plans.load(values::plan_id(number)).await.expect("an answer").expect("the plan")
    }

    /// The plan as it is stored.
    pub(crate) async fn stored(&self, plan: &Plan) -> Plan {
        self.plans.load(plan.id).await.expect("an answer").expect("the plan")
    }
}
