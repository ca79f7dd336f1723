//! The composition root: the only place that knows concrete adapters.
//!
//! An [`App`] is one command's world. It is put together once, hands ports to the services, and
//! is gone with the command.

use std::sync::Arc;
use std::time::Duration;

use agents_application::driver::DriverParts;
use agents_application::follower::{Follower, FollowerParts};
use agents_application::housekeeping::{Housekeeper, HousekeeperParts};
use agents_application::lock_service::LockParts;
use agents_application::subplan_service::SubplanParts;
use agents_application::survey::{Surveyor, SurveyorParts};
use agents_application::vigil::{Vigil, VigilParts};
use agents_application::worker::{Overseer, Terms, WorkerParts};
use agents_application::{
    LockService, Observer, PhaseDriver, PlanLifecycleService, StopHub, SubplanService, Wait,
};
use agents_domain::housekeeping::Leftovers;
use agents_domain::id::{Ids, OwnerId};
use agents_domain::lock::{HeldLock, Holder, Liveness, Processes};
use agents_domain::orders::Orders;
use agents_domain::places::{Boundless, Places};
use agents_domain::time::{Clock, Timestamp};
use agents_domain::workspace::{Machine, Project};
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::files::StateFiles;
use agents_infrastructure::git::{Git, GitWorkspace, Grounds};
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::places::FilePlaces;
use agents_infrastructure::process::{ProcessRunner, RUN_MARKER, SystemProcesses};
use agents_infrastructure::template;
use tokio::runtime::{Builder, Runtime};

use crate::args::Global;
use crate::config::{self, Settings};
use crate::env::Env;
use crate::failure::Failure;
use crate::render::Progress;
#[cfg(feature = "sabotage")]
use crate::sabotage::Sabotage;
use crate::store::{self, Store};
use crate::watch::Watch;

/// Taken from the environment of children: their database is not ours.
const NOT_FOR_CHILDREN: [&str; 2] = ["AGENTS_DATABASE_URL", "AGENTS_DATABASE_DIRECT_URL"];

/// How long the holder of a lock that was asked for something is waited for, beyond the grace of
/// its command.
const ANSWER: Duration = Duration::from_secs(20);

/// How long the end of a command waits for what still goes on in its threads: a transaction that was
/// begun. One at a server that stands still has no end, and is left behind.
const LAST_WORDS: Duration = Duration::from_secs(5);

/// What one command works with, before any store is opened.
pub struct Base {
    /// The flags that every command takes.
    pub flags: Global,
    /// What is in force.
    pub settings: Settings,
    /// What the process was started with.
    pub env: Env,
    /// What long work shows.
    pub progress: Arc<Progress>,
}

/// What one command works with.
pub struct App {
    /// Flags, settings, environment, progress.
    pub base: Base,
    /// The store.
    pub store: Store,
    /// The git program.
    pub git: Git,
    /// The request to end.
    pub stop: StopHub,
    /// What a person is told while work goes on.
    pub watch: Arc<Watch>,
    /// Files of attempts.
    pub files: StateFiles,
    clock: Arc<SystemClock>,
    ids: Arc<SystemIds>,
    processes: Arc<SystemProcesses>,
    locks: LockService,
    runner: ProcessRunner,
    /// There until the command is over.
    runtime: Option<Runtime>,
    #[cfg(feature = "sabotage")]
    sabotage: Sabotage,
}

impl Base {
    /// This machine among those that share the store.
    pub fn machine(&self) -> Machine {
        match &self.settings.machine {
            Some(name) => Machine { id: name.clone(), host: name.clone() },
            None => Machine { id: store::machine(), host: SystemProcesses::new().myself("").host },
        }
    }

    /// The processes of this machine, under its name. Only a file is of one machine beyond doubt: to a
    /// server any number of them may connect under one name.
    pub fn processes(&self) -> SystemProcesses {
        let processes = match &self.settings.machine {
            Some(name) => SystemProcesses::new().named(name),
            None => SystemProcesses::new(),
        };
        if self.settings.database.is_file() { processes.on_one_machine() } else { processes }
    }

    /// Makes the state directory, private to the user.
    pub fn make_state_dir(&self) -> Result<(), Failure> {
        config::private_directory(&self.settings.state_dir)
    }

    fn runner(&self, clock: Arc<SystemClock>) -> ProcessRunner {
        let (progress, env) = (self.progress.clone(), &self.env);
        ProcessRunner::new(
            env.executable.clone(),
            env.inherited.iter().cloned(),
            &NOT_FOR_CHILDREN,
            template::render,
            clock,
        )
        .with_echo(Arc::new(move |chunk| progress.output(chunk)))
    }

    /// Opens the store and puts the services together.
    pub fn open(self) -> Result<App, Failure> {
        let store = Store::open(&self.settings)?;
        let runtime = Builder::new_current_thread().enable_all().build();
        let runtime = runtime.map_err(|error| Failure::internal("no runtime").caused_by(&error))?;
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds::new()));
        let processes = Arc::new(self.processes());
        let runner = self.runner(clock.clone());
        let parts = LockParts {
            port: store.locks(),
            heartbeat: store.heartbeat_locks(),
            line: store.line(),
            pulse: store.pulse(),
            requests: store.requests(),
            children: Arc::new(runner.clone()),
            owner: OwnerId::from(ids.ulid()),
            ttl: self.settings.lease_ttl,
            tick: LockService::TICK,
            processes: processes.clone(),
            clock: clock.clone(),
            ids: ids.clone(),
        };
        #[cfg(feature = "sabotage")]
        let sabotage = Sabotage::of(&self.env)?;
        #[cfg(feature = "sabotage")]
        let parts = sabotage.lock_parts(parts);
        let locks = LockService::new(parts);
        let (remote_timeout, escort) = (self.settings.remote_timeout, self.env.executable.clone());
        Ok(App {
            #[cfg(feature = "sabotage")]
            sabotage,
            watch: Arc::new(Watch::new(self.progress.clone())),
            files: StateFiles::new(&self.settings.state_dir),
            base: self,
            store,
            git: Git::default().with_remote_limit(remote_timeout).with_escort(escort),
            stop: StopHub::default(),
            clock,
            ids,
            processes,
            locks,
            runner,
            runtime: Some(runtime),
        })
    }
}

impl Drop for App {
    fn drop(&mut self) {
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_timeout(LAST_WORDS);
        }
    }
}

impl App {
    /// Runs a future to its end on this command's own thread.
    pub fn block_on<F: Future>(&self, work: F) -> F::Output {
        self.runtime.as_ref().expect("the command is not over").block_on(work)
    }

    /// Now, for relative times.
    pub fn now(&self) -> Timestamp {
        self.clock.now()
    }

    /// What can be proved of a holder from here.
    pub fn liveness(&self, holder: &Holder) -> Liveness {
        self.processes.liveness(holder)
    }

    /// The failure that says who holds a lock.
    pub fn locked(&self, held: &HeldLock) -> Failure {
        Failure::locked(held, self.liveness(&held.holder))
    }

    /// The locks of this process.
    pub fn locks(&self) -> &LockService {
        &self.locks
    }

    /// The service that makes transitions.
    pub fn lifecycle(&self) -> PlanLifecycleService {
        let plans = self.store.plans();
        #[cfg(feature = "sabotage")]
        let plans = self.sabotage.plans(plans, self.store.locks());
        PlanLifecycleService::new(plans, self.clock.clone(), self.ids.clone(), self.processes.clone())
            .with_locks(self.locks.clone())
            .with_observer(self.watch.clone())
    }

    /// The service that makes children of plans.
    pub fn subplans(&self) -> SubplanService {
        let parts = SubplanParts {
            lifecycle: self.lifecycle(),
            reads: self.store.reads(),
            actions: self.store.actions(),
            ids: self.ids.clone(),
            max_depth: self.base.settings.subplan_depth,
        };
        #[cfg(feature = "sabotage")]
        let parts = self.sabotage.subplan_parts(parts);
        SubplanService::new(parts)
    }

    /// The driver of phases.
    pub fn driver(&self) -> PhaseDriver {
        PhaseDriver::new(self.driver_parts())
    }

    /// The driver that looks after plan after plan until `stop` is heard: unless told, it waits for no
    /// project.
    pub fn recoverer(&self, stop: &StopHub) -> PhaseDriver {
        let (stop, wait_for_projects) = (stop.clone(), self.wait(Wait::No));
        PhaseDriver::new(DriverParts { stop, wait_for_projects, ..self.driver_parts() })
    }

    fn driver_parts(&self) -> DriverParts {
        let workspace = Arc::new(self.workspace());
        let parts = DriverParts {
            lifecycle: self.lifecycle(),
            subplans: self.subplans(),
            worktrees: workspace.clone(),
            landings: workspace,
            runner: Arc::new(self.runner.clone()),
            files: Arc::new(self.files.clone()),
            places: self.places_to_work(),
            message: template::render_message,
            clock: self.clock.clone(),
            ids: self.ids.clone(),
            machine: self.base.machine(),
            stop: self.stop.clone(),
            grace: self.base.settings.grace,
            patience: self.patience(),
            wait_for_plan: self.wait_for_plan(),
            wait_for_projects: self.wait(Wait::Forever),
            wait_for_places: self.wait(Wait::Forever),
        };
        #[cfg(feature = "sabotage")]
        let parts = self.sabotage.driver_parts(parts);
        parts
    }

    /// What workers are to do.
    pub fn orders(&self) -> Arc<dyn Orders> {
        let orders = self.store.orders();
        #[cfg(feature = "sabotage")]
        let orders = self.sabotage.orders(orders);
        orders
    }

    /// What a worker works with, in a process that is told by `observer` and `overseer` what it does.
    pub fn worker_parts(
        &self,
        (observer, overseer): (Arc<dyn Observer>, Arc<dyn Overseer>),
        drain: StopHub,
        terms: Terms,
    ) -> WorkerParts {
        let parts = self.driver_parts();
        let lifecycle = parts.lifecycle.clone().with_observer(observer);
        WorkerParts {
            driver: DriverParts { lifecycle, ..parts },
            orders: self.orders(),
            workers: self.store.workers(),
            pulse: self.store.pulse(),
            processes: self.processes.clone(),
            drain,
            overseer,
            terms,
        }
    }

    /// Waits for plans. It has a connection of its own, to see that others have written.
    pub fn vigil(&self) -> Vigil {
        Vigil::new(VigilParts {
            reads: self.store.reads(),
            pulse: self.store.pulse(),
            orders: self.orders(),
            processes: self.processes.clone(),
            clock: self.clock.clone(),
            owner: OwnerId::from(self.ids.ulid()),
            tick: LockService::TICK,
        })
    }

    /// Reads the events of all plans. It has a connection of its own, to see that others have written.
    pub fn follower(&self) -> Follower {
        Follower::new(FollowerParts {
            feed: self.store.feed(),
            pulse: self.store.pulse(),
            owner: OwnerId::from(self.ids.ulid()),
            tick: LockService::TICK,
        })
    }

    /// Measures the store.
    pub fn surveyor(&self) -> Surveyor {
        Surveyor::new(SurveyorParts {
            measures: self.store.measures(),
            feed: self.store.feed(),
            plans: self.store.plans(),
            locks: self.store.locks(),
            clock: self.clock.clone(),
        })
    }

    /// The places for commands of this machine, for whoever wants to know who has them.
    pub fn places(&self) -> FilePlaces {
        let settings = &self.base.settings;
        FilePlaces::new(&settings.state_dir, settings.concurrency, self.processes.clone())
    }

    /// A command of a plan that itself runs `agents` waits for it with a place in hand. What runs
    /// within it works in that place: were it to wait for another, all might wait for ever.
    fn places_to_work(&self) -> Arc<dyn Places> {
        let within = self.base.env.inherited.iter().any(|(name, _)| name == RUN_MARKER);
        if within { Arc::new(Boundless) } else { Arc::new(self.places()) }
    }

    /// How long a holder that was asked for something is waited for: the grace that its command
    /// gets, and time to put its work away.
    pub fn patience(&self) -> Duration {
        match (self.base.flags.no_wait, self.base.flags.wait) {
            (true, _) => Duration::ZERO,
            (false, Some(limit)) => limit,
            (false, None) => self.base.settings.grace + ANSWER,
        }
    }

    fn workspace(&self) -> GitWorkspace {
        let state_dir = &self.base.settings.state_dir;
        GitWorkspace::new(self.git.clone(), state_dir).on(self.base.machine(), state_dir)
    }

    /// A project as it is on this machine: under its checkout, or in a mirror of its remote.
    pub fn here(&self, project: &Project) -> Result<Project, Failure> {
        let grounds = Grounds::new(Some(self.base.machine()), &self.base.settings.state_dir);
        Ok(grounds.here(&self.git, project)?)
    }

    /// Finds what plans left on disk.
    pub fn leftovers(&self) -> Arc<dyn Leftovers> {
        Arc::new(self.workspace())
    }

    /// Removes what plans left on disk.
    pub fn housekeeper(&self) -> Housekeeper {
        let workspace = Arc::new(self.workspace());
        Housekeeper::new(HousekeeperParts {
            lifecycle: self.lifecycle(),
            worktrees: workspace.clone(),
            leftovers: workspace,
            clock: self.clock.clone(),
        })
    }

    /// What to do about a plan that another holds: it is a rival, unless told otherwise.
    pub fn wait_for_plan(&self) -> Wait {
        self.wait(Wait::No)
    }

    /// `--wait` and `--no-wait` say it for every lock.
    fn wait(&self, otherwise: Wait) -> Wait {
        match (self.base.flags.no_wait, self.base.flags.wait) {
            (true, _) => Wait::No,
            (false, Some(limit)) => Wait::AtMost(limit),
            (false, None) => otherwise,
        }
    }
}
