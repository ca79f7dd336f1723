//! A world in which several owners share one store and one clock that moves by hand.

use std::collections::HashMap;
use std::path::PathBuf;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::lock_service::LockParts;
use agents_application::{LockService, Observer, Order, PlanLifecycleService};
use agents_domain::action::{Action, ApplySpec, Automation, PhaseSpec, Program, WorktreeSpec};
use agents_domain::id::{Ids, OwnerId, PlanId};
use agents_domain::lock::{Holder, Liveness, LockKey, LockPort, Processes, Standing, Ticket, TicketRequest};
use agents_domain::name::Name;
use agents_domain::plan::Definition;
use agents_domain::runner::NoChildren;
use agents_domain::time::{Clock, Ttl};
use agents_domain::workspace::Project;
use agents_infrastructure::clock::HandClock;
use agents_infrastructure::ids::CountingIds;
use agents_infrastructure::memory::MemoryStore;

/// Who is alive is said by the test, by pid; nobody has said: alive.
#[derive(Default)]
pub(crate) struct Census(Mutex<HashMap<u32, Liveness>>);

impl Census {
    pub(crate) fn says(&self, pid: u32, liveness: Liveness) {
        self.0.lock().expect("unpoisoned").insert(pid, liveness);
    }
}

/// One process as the census knows it.
pub(crate) struct Citizen {
    pid: u32,
    census: Arc<Census>,
}

impl Processes for Citizen {
    fn myself(&self, operation: &str) -> Holder {
        Holder {
            host: "box".into(),
            boot_id: "boot".into(),
            pid_namespace: "ns".into(),
            pid: self.pid,
            started: 1,
            user: "ada".into(),
            operation: operation.into(),
        }
    }

    fn liveness(&self, holder: &Holder) -> Liveness {
        self.census.0.lock().expect("unpoisoned").get(&holder.pid).copied().unwrap_or(Liveness::Alive)
    }
}

/// Remembers who was waited for.
#[derive(Default)]
pub(crate) struct Notes(pub(crate) Mutex<Vec<String>>);

impl Observer for Notes {
    fn waiting(&self, standing: &Standing) {
        let holder = standing.held.as_ref().map_or(0, |held| held.holder.pid);
        let note = format!("{} by {holder}, place {}", standing.key, standing.position());
        self.0.lock().expect("unpoisoned").push(note);
    }

    fn warning(&self, text: &str) {
        self.0.lock().expect("unpoisoned").push(text.to_owned());
    }
}

pub(crate) struct World {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) store: MemoryStore,
    pub(crate) census: Arc<Census>,
    pub(crate) ids: Arc<CountingIds>,
}

impl World {
    pub(crate) fn new() -> Self {
        let clock = Arc::new(HandClock::default());
        let store = MemoryStore::new(clock.clone());
        Self { clock, store, census: Arc::default(), ids: Arc::new(CountingIds::default()) }
    }

    pub(crate) fn processes(&self, pid: u32) -> Arc<dyn Processes> {
        Arc::new(Citizen { pid, census: self.census.clone() })
    }

    /// The locks of another process, with the default lease of 300 s.
    pub(crate) fn locks(&self, pid: u32) -> LockService {
        self.locks_on(pid, self.store.locks())
    }

    /// The same, with a port of the test's own.
    pub(crate) fn locks_on(&self, pid: u32, port: Arc<dyn LockPort>) -> LockService {
        self.locks_with(pid, port.clone(), port)
    }

    /// The same, with another for the heartbeat.
    pub(crate) fn locks_with(
        &self,
        pid: u32,
        port: Arc<dyn LockPort>,
        heartbeat: Arc<dyn LockPort>,
    ) -> LockService {
        LockService::new(LockParts {
            port,
            heartbeat,
            line: self.store.line(),
            pulse: self.store.pulse(),
            requests: self.store.requests(),
            children: Arc::new(NoChildren),
            owner: OwnerId::from(self.ids.ulid()),
            ttl: Ttl::default(),
            // The tests beat by hand.
            tick: Duration::from_hours(1),
            processes: self.processes(pid),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        })
    }

    /// The lifecycle service of another process.
    pub(crate) fn lifecycle(&self, pid: u32) -> PlanLifecycleService {
        let clock: Arc<dyn Clock> = self.clock.clone();
        PlanLifecycleService::new(self.store.plans(), clock, self.ids.clone(), self.processes(pid))
            .with_locks(self.locks(pid))
    }

    /// A ticket of a process that does nothing for it.
    pub(crate) async fn stray_ticket(&self, pid: u32, key: &LockKey) {
        let owner = OwnerId::from(self.ids.ulid());
        let holder = self.processes(pid).myself("test");
        let request = TicketRequest { keys: vec![key.clone()], owner, life: Ticket::LIFE, holder };
        self.store.line().take(&request).await.expect("a ticket");
    }

    /// A plan that nobody holds.
    pub(crate) async fn plan(&self) -> PlanId {
        let (plan, guard) = self.lifecycle(99).create(order(), "plan use").await.expect("created");
        guard.release().await.expect("released");
        plan.id
    }

    /// Its key.
    pub(crate) async fn key(&self) -> LockKey {
        LockKey::Plan(self.plan().await)
    }
}

pub(crate) fn project(name: &str) -> Project {
    let (name, path) = (Name::parse(name).expect("valid"), PathBuf::from("/src").join(name));
    Project { name, common_dir: path.join(".git"), path, branch: "main".into(), machine: None, remote: None }
}

pub(crate) fn order() -> Order {
    let action = Action {
        name: Name::parse("fix").expect("valid"),
        description: "Fix it".into(),
        definition_of_done: String::new(),
        automation: Automation::Review,
        arguments: Vec::new(),
        worktree: WorktreeSpec::default(),
        strategize: None,
        execute: Some(PhaseSpec { program: Program::Shell("true".into()), timeout: None, retry: None }),
        validations: Vec::new(),
        apply: ApplySpec::default(),
        env: std::collections::BTreeMap::new(),
        env_from: Vec::new(),
        subplans: None,
    };
    let definition = Definition {
        action,
        action_source: String::new(),
        arguments: std::collections::BTreeMap::new(),
        projects: vec![project("api")],
    };
    Order { definition, automation: Automation::Review, name: None }
}
