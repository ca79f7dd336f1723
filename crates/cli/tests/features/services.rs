//! The services alone, as an embedder composes them: several owners on one store, and a clock
//! that only moves when a step says so.

mod nap;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::lock_service::LockParts;
use agents_application::observer::Unobserved;
use agents_application::{LifecycleError, LockGuard, LockService, Order, PlanLifecycleService, Wait};
use agents_domain::action::{Action, Automation};
use agents_domain::id::{Ids, OwnerId, PlanId};
use agents_domain::lock::{
    Fence, HeldLock, Holder, Liveness, LockError, LockFilter, LockKey, LockPort, NoopLock, Processes,
};
use agents_domain::name::Name;
use agents_domain::plan::{Change, CommitOutcome, Definition, Event, Plan, PlanStore, PlanWrite, Step, next};
use agents_domain::request::NoRequests;
use agents_domain::runner::NoChildren;
use agents_domain::time::{Clock, Ttl};
use agents_domain::workspace::Project;
use agents_infrastructure::action_file;
use agents_infrastructure::clock::HandClock;
use agents_infrastructure::ids::CountingIds;
use agents_infrastructure::memory::MemoryStore;
use agents_infrastructure::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use agents_testing::postgres::Database;

use self::nap::Nap;

const ACTION: &str = "name: local/fix\nexecute: { shell: 'true' }\n";

/// A process that nothing can be proved of, so that its lease alone decides.
struct Stranger(String);

impl Processes for Stranger {
    fn myself(&self, operation: &str) -> Holder {
        Holder {
            host: "box".into(),
            boot_id: "boot".into(),
            pid_namespace: "ns".into(),
            pid: 1,
            started: 1,
            user: self.0.clone(),
            operation: operation.into(),
        }
    }

    fn liveness(&self, _: &Holder) -> Liveness {
        Liveness::Unknown
    }
}

/// One owner: its locks, its lifecycle service, and the holds it has.
struct Driver {
    locks: LockService,
    lifecycle: PlanLifecycleService,
    holds: Vec<LockGuard>,
}

/// Where plans and locks are kept.
#[derive(Clone)]
pub(crate) struct Store {
    plans: Arc<dyn PlanStore>,
    locks: Arc<dyn LockPort>,
}

/// All owners, their store and their clock.
pub(crate) struct Drivers {
    pub(crate) clock: Arc<HandClock>,
    ids: Arc<CountingIds>,
    store: Store,
    all: BTreeMap<String, Driver>,
    plan: Option<PlanId>,
    /// What the last attempt at anything came to.
    pub(crate) last: Result<(), LifecycleError>,
}

/// How unfenced writes are met.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Unfenced {
    Allowed,
    Refused,
}

impl Drivers {
    /// On a fresh database: that on the server, or else a file.
    pub(crate) fn on_database(root: &Path, server: Option<&Database>, unfenced: Unfenced) -> Self {
        let clock = Arc::new(HandClock::default());
        let store = match server {
            Some(server) => on_postgres(server, clock.clone(), unfenced),
            None => on_sqlite(root, clock.clone(), unfenced),
        };
        Self::on(clock, store)
    }

    /// In memory.
    pub(crate) fn in_memory(unfenced: Unfenced) -> Self {
        let clock = Arc::new(HandClock::default());
        let memory = MemoryStore::new(clock.clone());
        let memory = if unfenced == Unfenced::Allowed { memory.allow_unfenced() } else { memory };
        Self::on(clock, Store { plans: memory.plans(), locks: memory.locks() })
    }

    fn on(clock: Arc<HandClock>, store: Store) -> Self {
        let (ids, all) = (Arc::new(CountingIds::default()), BTreeMap::new());
        Self { clock, ids, store, all, plan: None, last: Ok(()) }
    }

    fn driver(&mut self, name: &str) -> &mut Driver {
        if !self.all.contains_key(name) {
            let processes: Arc<dyn Processes> = Arc::new(Stranger(name.to_owned()));
            let locks = LockService::new(LockParts {
                port: self.store.locks.clone(),
                heartbeat: self.store.locks.clone(),
                line: Arc::new(NoopLock),
                pulse: Arc::new(NoRequests),
                requests: Arc::new(NoRequests),
                children: Arc::new(NoChildren),
                owner: OwnerId::from(self.ids.ulid()),
                ttl: Ttl::default(),
                // Hearts beat when a step says so.
                tick: Duration::from_hours(1),
                processes: processes.clone(),
                clock: self.clock.clone(),
                ids: self.ids.clone(),
            });
            let plans = self.store.plans.clone();
            let lifecycle = PlanLifecycleService::new(plans, self.clock.clone(), self.ids.clone(), processes)
                .with_locks(locks.clone());
            self.all.insert(name.to_owned(), Driver { locks, lifecycle, holds: vec![] });
        }
        self.all.get_mut(name).expect("just made")
    }

    /// A service that was given no locks.
    pub(crate) fn without_locks(&self) -> PlanLifecycleService {
        let processes = Arc::new(Stranger("nobody".to_owned()));
        PlanLifecycleService::new(self.store.plans.clone(), self.clock.clone(), self.ids.clone(), processes)
    }

    fn plan(&self) -> PlanId {
        self.plan.expect("a plan was made")
    }

    /// Makes a plan and lets go of it.
    pub(crate) async fn make_plan(&mut self, service: Option<PlanLifecycleService>) {
        let service = service.unwrap_or_else(|| self.driver("maker").lifecycle.clone());
        self.last = async {
            let (plan, hold) = service.create(order(), "plan use").await?;
            hold.release().await.expect("released");
            self.plan = Some(plan.id);
            Ok(())
        }
        .await;
    }

    /// Guidance is the simplest transition.
    pub(crate) async fn prompt(&mut self, service: PlanLifecycleService) {
        self.last = service.prompt(self.plan(), "go on".to_owned()).await.map(drop);
    }

    /// The same by somebody who has locks.
    pub(crate) async fn prompt_as(&mut self, name: &str) {
        let service = self.driver(name).lifecycle.clone();
        self.prompt(service).await;
    }

    /// Somebody takes the plan, or is refused.
    pub(crate) async fn take(&mut self, name: &str) {
        let plan = self.plan();
        let driver = self.driver(name);
        let keys = vec![LockKey::Plan(plan)];
        let taken = driver.locks.acquire(keys, "work", Wait::No, &Unobserved).await;
        let taken = taken.map_err(|source| LifecycleError::Lock { plan, source });
        self.last = taken.map(|hold| driver.holds.push(hold));
    }

    /// Somebody gives one hold back.
    pub(crate) async fn give_back(&mut self, name: &str) {
        let hold = self.driver(name).holds.pop().expect("there is a hold");
        hold.release().await.expect("released");
    }

    /// The tokens of somebody's holds.
    pub(crate) fn tokens(&mut self, name: &str) -> Vec<i64> {
        let tokens = self.driver(name).holds.iter().filter_map(|hold| hold.fence().token());
        tokens.map(agents_domain::lock::FencingToken::value).collect()
    }

    /// Somebody's heart beats.
    pub(crate) async fn beat(&mut self, name: &str) {
        self.driver(name).locks.beat().await;
    }

    pub(crate) fn knows_of_the_loss(&mut self, name: &str) -> bool {
        self.driver(name).holds.last().expect("there is a hold").is_lost()
    }

    /// Who holds the plan.
    pub(crate) async fn holder(&self) -> Option<HeldLock> {
        let filter = LockFilter { key: Some(LockKey::Plan(self.plan())), stale_only: false };
        self.store.locks.list(&filter).await.expect("listed").into_iter().next()
    }

    /// Somebody remembers a fence, decides on a write, and writes it when all has changed.
    pub(crate) async fn late_write(&mut self, name: &str) -> CommitOutcome {
        let fence = self.driver(name).holds.last().expect("there is a hold").fence();
        let before = self.stored().await;
        let write = self.write(&before, &fence);
        let outcome = self.store.plans.commit(&write, &fence).await.expect("an answer");
        assert_eq!(self.stored().await.version, before.version, "nothing was written");
        outcome
    }

    async fn stored(&self) -> Plan {
        self.store.plans.load(self.plan()).await.expect("an answer").expect("the plan is there")
    }

    fn write(&self, before: &Plan, fence: &Fence) -> PlanWrite {
        let change = Change::Prompted { text: "late".to_owned() };
        let at = self.clock.now();
        let Ok(Step::Moved(plan)) = next(before, &change, at) else { panic!("guidance is legal") };
        let id = self.ids.ulid().into();
        let (owner, token) = (fence.owner(), fence.token());
        let event = Event { id, plan: plan.id, seq: plan.version, at, owner, token, change };
        PlanWrite { expected_version: before.version, plan, events: vec![event], spawn: vec![], also: vec![] }
    }

    /// `sleeper` falls asleep between reading the plan and writing it; its lease runs out and
    /// `rival` takes over.
    pub(crate) async fn overtaken_in_the_middle(&mut self, sleeper: &str, rival: &str) {
        let usurper = self.driver(rival).lifecycle.clone();
        let locks = self.driver(sleeper).locks.clone();
        let (inner, clock, holds) = (self.store.plans.clone(), self.clock.clone(), Mutex::default());
        let nap = Arc::new(Nap { inner, clock, rival: usurper, holds });
        let processes = Arc::new(Stranger(sleeper.to_owned()));
        let service = PlanLifecycleService::new(nap.clone(), self.clock.clone(), self.ids.clone(), processes)
            .with_locks(locks);
        self.prompt(service).await;
        self.driver(rival).holds.append(&mut nap.holds.lock().expect("unpoisoned"));
    }
}

fn on_sqlite(root: &Path, clock: Arc<HandClock>, unfenced: Unfenced) -> Store {
    let options = SqliteOptions::new(root.join("services.db"), clock, "boot", "machine", parse);
    let options = if unfenced == Unfenced::Allowed { options.allow_unfenced() } else { options };
    let sqlite = SqliteStore::create(options).expect("a database");
    Store { plans: Arc::new(sqlite.plans()), locks: Arc::new(sqlite.locks()) }
}

fn on_postgres(server: &Database, clock: Arc<HandClock>, unfenced: Unfenced) -> Store {
    let url = PostgresUrl::parse(&server.url()).expect("a URL");
    let options = PostgresOptions::new(url, parse).on_clock(clock);
    let options = if unfenced == Unfenced::Allowed { options.allow_unfenced() } else { options };
    let postgres = PostgresStore::create(options).expect("a database");
    Store { plans: Arc::new(postgres.plans()), locks: Arc::new(postgres.locks()) }
}

/// Who was in the way.
pub(crate) fn refused_by(outcome: &Result<(), LifecycleError>) -> Option<String> {
    match outcome {
        Err(LifecycleError::Lock { source: LockError::Conflict(conflict), .. }) => {
            Some(conflict.0.holder.user.clone())
        }
        _ => None,
    }
}

/// How stores read actions back.
pub(crate) fn parse(source: &str, origin: &str) -> Result<Action, String> {
    action_file::parse(source, origin).map_err(|error| error.to_string())
}

fn order() -> Order {
    let action = action_file::parse(ACTION, "fix.yaml").expect("an action");
    let name = Name::parse("local/site").expect("a name");
    let project = Project {
        path: "/src/site".into(),
        common_dir: "/src/site/.git".into(),
        branch: "main".into(),
        machine: None,
        remote: None,
        name,
    };
    let definition = Definition {
        action,
        action_source: ACTION.to_owned(),
        arguments: BTreeMap::new(),
        projects: vec![project],
    };
    Order { definition, automation: Automation::Review, name: None }
}
