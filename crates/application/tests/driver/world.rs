//! A world of several processes that drive plans; nothing in it happens by chance.

use std::collections::BTreeMap;
use std::pin::pin;
use std::sync::Arc;
use std::task::{Context, Poll, Waker};
use std::time::Duration;

use agents_application::driver::{ApplyOptions, DriveError, DriverParts};
use agents_application::lock_service::LockParts;
use agents_application::subplan_service::{SubplanParts, SubplanService};
use agents_application::{LockService, Order, PhaseDriver, PlanLifecycleService, StopHub, Wait};
use agents_domain::action::Action;
use agents_domain::catalogue::ActionStore;
use agents_domain::files::AttemptFiles;
use agents_domain::id::{Ids, OwnerId, PlanId};
use agents_domain::lock::{Liveness, LockFilter, LockKey, LockPort, Processes as _};
use agents_domain::plan::{Change, Definition, Event, Phase, Plan, PlanStore, State, replay};
use agents_domain::reads::PlanReads;
use agents_domain::request::Wish;
use agents_domain::runner::PhaseRunner;
use agents_domain::subplan::MAX_DEPTH;
use agents_domain::time::{Timestamp, Ttl};
use agents_domain::workspace::{Landings, Machine, Project, Slot, Worktrees};
use agents_infrastructure::clock::HandClock;
use agents_infrastructure::ids::CountingIds;
use agents_infrastructure::memory::MemoryStore;
use agents_infrastructure::places::MemoryPlaces;
use agents_infrastructure::scripted::{Census, Citizen, ScriptedFiles, ScriptedRunner, ScriptedWorkspace};

use crate::notes::Notes;
use crate::orders::{action, machine, message, project};
pub(crate) use crate::orders::{fails, git_error, program, spec};

/// What a process reaches the world through.
pub(crate) struct Ports {
    pub(crate) plans: Arc<dyn PlanStore>,
    pub(crate) locks: Arc<dyn LockPort>,
    pub(crate) heartbeat: Arc<dyn LockPort>,
    pub(crate) worktrees: Arc<dyn Worktrees>,
    pub(crate) landings: Arc<dyn Landings>,
    pub(crate) runner: Arc<dyn PhaseRunner>,
    pub(crate) files: Arc<dyn AttemptFiles>,
    pub(crate) reads: Arc<dyn PlanReads>,
    pub(crate) actions: Arc<dyn ActionStore>,
}

/// One process.
pub(crate) struct Process {
    pub(crate) driver: PhaseDriver,
    /// What its driver is made of.
    pub(crate) parts: DriverParts,
    pub(crate) subplans: SubplanService,
    pub(crate) locks: LockService,
    pub(crate) stop: StopHub,
    pub(crate) notes: Arc<Notes>,
}

#[derive(Clone)]
pub(crate) struct World {
    pub(crate) clock: Arc<HandClock>,
    pub(crate) store: MemoryStore,
    pub(crate) census: Census,
    pub(crate) ids: Arc<CountingIds>,
    pub(crate) runner: ScriptedRunner,
    pub(crate) workspace: ScriptedWorkspace,
    pub(crate) files: ScriptedFiles,
    pub(crate) places: MemoryPlaces,
    pub(crate) projects: Vec<Project>,
}

impl World {
    /// With one project, `api`, in which execute changes a file.
    pub(crate) fn new() -> Self {
        Self::with(&["api"])
    }

    /// With these projects, in each of which execute changes a file.
    pub(crate) fn with(names: &[&str]) -> Self {
        let clock = Arc::new(HandClock::default());
        let store = MemoryStore::new(clock.clone());
        let projects: Vec<Project> = names.iter().map(|name| project(name)).collect();
        let (workspace, runner) = (ScriptedWorkspace::default(), ScriptedRunner::default());
        for project in &projects {
            workspace.add(project);
            now(store.projects().add(project, Timestamp::default())).expect("registered");
        }
        let (changed, slots) = (workspace.clone(), workspace.clone());
        runner.each_time(move |invocation| {
            if invocation.purpose == "execute" {
                let its = |slot: &Slot| (slot.plan, slot.attempt) == (invocation.plan, invocation.attempt);
                for slot in slots.opened().iter().filter(|slot| its(slot)) {
                    changed.write(&changed.directory(slot), "src/lib.rs");
                }
            }
        });
        let (ids, files) = (Arc::default(), ScriptedFiles::default());
        let places = MemoryPlaces::new(4);
        Self { clock, store, census: Census::default(), ids, runner, workspace, files, places, projects }
    }

    pub(crate) fn ports(&self) -> Ports {
        Ports {
            plans: self.store.plans(),
            locks: self.store.locks(),
            heartbeat: self.store.locks(),
            worktrees: Arc::new(self.workspace.clone()),
            landings: Arc::new(self.workspace.clone()),
            runner: Arc::new(self.runner.clone()),
            files: Arc::new(self.files.clone()),
            reads: self.store.reads(),
            actions: self.store.actions(),
        }
    }

    pub(crate) fn process(&self, pid: u32) -> Process {
        self.process_on(pid, self.ports())
    }

    pub(crate) fn process_on(&self, pid: u32, ports: Ports) -> Process {
        self.process_as(self.census.citizen(pid), ports)
    }

    pub(crate) fn process_as(&self, citizen: Citizen, ports: Ports) -> Process {
        self.process_with(citizen, ports, Wait::Forever)
    }

    /// A process that waits so for a place.
    pub(crate) fn process_waiting(&self, pid: u32, ports: Ports, wait_for_places: Wait) -> Process {
        self.process_with(self.census.citizen(pid), ports, wait_for_places)
    }

    /// A process on that machine.
    pub(crate) fn process_at(&self, id: &str, pid: u32) -> Process {
        self.process_on_machine(self.census.citizen(pid).on(id), self.ports(), Wait::Forever, machine(id))
    }

    fn process_with(&self, citizen: Citizen, ports: Ports, wait_for_places: Wait) -> Process {
        self.process_on_machine(citizen, ports, wait_for_places, machine("here"))
    }

    fn process_on_machine(
        &self,
        citizen: Citizen,
        ports: Ports,
        wait_for_places: Wait,
        machine: Machine,
    ) -> Process {
        let processes = Arc::new(citizen);
        let locks = LockService::new(LockParts {
            heartbeat: ports.heartbeat,
            port: ports.locks,
            line: self.store.line(),
            pulse: self.store.pulse(),
            requests: self.store.requests(),
            children: Arc::new(self.runner.clone()),
            owner: OwnerId::from(self.ids.ulid()),
            ttl: Ttl::default(),
            // The tests beat by hand.
            tick: Duration::from_hours(1),
            processes: processes.clone(),
            clock: self.clock.clone(),
            ids: self.ids.clone(),
        });
        let (notes, stop) = (Arc::new(Notes::default()), StopHub::default());
        let lifecycle =
            PlanLifecycleService::new(ports.plans, self.clock.clone(), self.ids.clone(), processes)
                .with_locks(locks.clone())
                .with_observer(notes.clone());
        let subplans = SubplanService::new(SubplanParts {
            lifecycle: lifecycle.clone(),
            reads: ports.reads,
            actions: ports.actions,
            ids: self.ids.clone(),
            max_depth: MAX_DEPTH,
        });
        let made_of = DriverParts {
            lifecycle,
            subplans: subplans.clone(),
            worktrees: ports.worktrees,
            landings: ports.landings,
            runner: ports.runner,
            files: ports.files,
            places: Arc::new(self.places.clone()),
            message,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            machine,
            stop: stop.clone(),
            grace: Duration::from_secs(10),
            patience: Duration::from_secs(30),
            wait_for_plan: Wait::No,
            wait_for_projects: Wait::Forever,
            wait_for_places,
        };
        let driver = PhaseDriver::new(made_of.clone());
        Process { driver, parts: made_of, subplans, locks, stop, notes }
    }

    /// An order of the plain action on all projects, amended.
    pub(crate) fn order(&self, amend: impl FnOnce(&mut Action)) -> Order {
        let mut action = action();
        amend(&mut action);
        let automation = action.automation;
        let (action_source, arguments) = (String::new(), BTreeMap::new());
        let projects = self.projects.clone();
        Order {
            definition: Definition { action, action_source, arguments, projects },
            automation,
            name: None,
        }
    }

    /// A plan of that order, driven to execute/complete.
    pub(crate) async fn executed(&self, amend: impl FnOnce(&mut Action)) -> PlanId {
        let done = self.process(90).driver.run(self.order(amend), false, ApplyOptions::default()).await;
        let plan = done.expect("driven");
        assert_eq!(at(&plan), (Phase::Execute, State::Complete), "{:?}", plan.failure);
        plan.id
    }

    pub(crate) async fn load(&self, plan: PlanId) -> Plan {
        self.store.plans().load(plan).await.expect("loaded").expect("there")
    }

    pub(crate) async fn events(&self, plan: PlanId) -> Vec<Event> {
        self.store.plans().events(plan).await.expect("read")
    }

    /// The names of a plan's events.
    pub(crate) async fn log(&self, plan: PlanId) -> Vec<&'static str> {
        self.events(plan).await.iter().map(|event| event.change.event_name()).collect()
    }

    /// The commit on the target branch of a project.
    pub(crate) fn target(&self, index: usize) -> agents_domain::oid::Oid {
        let project = &self.projects[index];
        self.workspace.read(project, &project.target_ref()).expect("there")
    }

    /// Ends a hold as `lock break --force` does.
    pub(crate) fn evict(&self, key: &LockKey) {
        let locks = self.store.locks();
        let filter = LockFilter { key: Some(key.clone()), stale_only: false };
        let held = now(locks.list(&filter)).expect("listed").remove(0);
        now(locks.evict(&(held.key, held.token), held.owner, "test")).expect("evicted");
    }

    /// Asks whoever has a plan to let go of it, as `lock break` does.
    pub(crate) async fn ask_to_let_go(&self, plan: PlanId) {
        let (key, asking) = (LockKey::Plan(plan), self.process(99).locks);
        let filter = LockFilter { key: Some(key.clone()), stale_only: false };
        let token = self.store.locks().list(&filter).await.expect("listed").remove(0).token;
        asking.ask(key, Wish::LetGo { token }, None).await.expect("asked");
    }

    /// What must hold of a plan that nobody drives any more, whatever happened to it.
    pub(crate) async fn check(&self, plan: PlanId) {
        let (stored, events) = (self.load(plan).await, self.events(plan).await);
        assert_eq!(replay(&events).expect("a log that makes sense"), stored, "the log tells the state");
        // A child is made under its parent's lock, whose tokens are others.
        let own = events.iter().skip(usize::from(stored.subplan.is_some()));
        let terms: Vec<_> = own.map(|event| (event.token, event.owner)).collect();
        for pair in terms.windows(2) {
            assert!(
                pair[0] == pair[1] || pair[0].0 < pair[1].0,
                "a later term has a greater token: {terms:?}"
            );
        }
        assert!(events.iter().all(|event| event.token.is_some() && event.owner.is_some()), "all are fenced");
        let starts = events.iter().filter(|event| matches!(event.change, Change::PhaseStarted { .. }));
        assert_eq!(stored.attempt, u32::try_from(starts.count()).expect("few"), "one number for each start");
        let opened = self.workspace.opened();
        let reused = |slot| opened.iter().filter(|other| *other == slot).count() > 1;
        assert!(!opened.iter().any(reused), "no directory is used twice");
        // What a dead process held when it had nothing left to do is free for whoever asks.
        let held = self.store.locks().list(&LockFilter::default()).await.expect("listed");
        let witness = self.census.citizen(0);
        let living = held.iter().find(|held| witness.liveness(&held.holder) != Liveness::Dead);
        assert_eq!(living, None, "no lock stays");
        assert_eq!(self.runner.running(), 0, "no command runs on");
        let places = now(agents_domain::places::Places::census(&self.places)).expect("read");
        assert_eq!(places.taken, [], "no place stays taken");
    }

    /// A process is gone, and everybody on this machine can tell.
    pub(crate) fn dies(&self, pid: u32) {
        self.census.says(pid, Liveness::Dead);
    }
}

/// The outcome of a future that waits for nothing.
pub(crate) fn now<T>(future: impl Future<Output = T>) -> T {
    match pin!(future).poll(&mut Context::from_waker(Waker::noop())) {
        Poll::Ready(outcome) => outcome,
        Poll::Pending => panic!("it waits"),
    }
}

/// Drives a future for as far as it goes by itself.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// So much time passes on the paused clock of the runtime, which jumps ahead whenever all wait.
pub(crate) async fn pass(length: Duration) {
    let nothing = tokio::time::timeout(length, std::future::pending::<()>()).await;
    nothing.expect_err("nothing comes");
}

pub(crate) fn at(plan: &Plan) -> (Phase, State) {
    (plan.phase(), plan.state())
}

pub(crate) fn code(plan: &Plan) -> &str {
    plan.failure.as_ref().map_or("none", |failure| failure.code.as_str())
}

/// What most tests ask for.
pub(crate) const PLAINLY: ApplyOptions = ApplyOptions { allow_empty: false };

/// A driver that ended without driving on.
pub(crate) type Outcome = Result<Plan, DriveError>;
