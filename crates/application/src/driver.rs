//! Drives plans: runs the commands of their phases and lands their work, under one hold of the
//! plan's lock from the first transition of a command to its last.
//!
//! What each step leaves behind is decided by transitions; this module only does what lies
//! between them. After a crash at any point the next holder finds a plan whose state says what
//! is known to have happened, and goes on from there (see the module `recovery`).

mod attempt;
mod branch;
mod context;
mod error;
mod failures;
mod landing;
mod ordered;
mod parking;
mod pending;
mod phase;
mod place;
mod recovery;
mod requests;
mod resume;
mod stops;
mod subplans;

use std::sync::Arc;
use std::time::Duration;

use agents_domain::action::Automation;
use agents_domain::files::AttemptFiles;
use agents_domain::id::{Ids, PlanId};
use agents_domain::places::Places;
use agents_domain::plan::{Phase, Plan, State, Verb};
use agents_domain::runner::{Context, PhaseRunner, RunError};
use agents_domain::time::Clock;
use agents_domain::workspace::{Landings, Machine, Project, WorkspaceError, Worktrees, all_here};

use crate::lifecycle::{LifecycleError, PlanLifecycleService};
use crate::lock_service::{LockGuard, Wait};
use crate::order::Order;
use crate::stop::StopHub;
use crate::subplan_service::SubplanService;

pub use error::DriveError;
pub use ordered::Ordered;
use recovery::Found;
use stops::{Under, stop_cause};
use subplans::{Offers, own};

/// What a [`PhaseDriver`] is made of.
#[derive(Clone)]
pub struct DriverParts {
    /// Makes the transitions.
    pub lifecycle: PlanLifecycleService,
    /// Checks and reads children.
    pub subplans: SubplanService,
    /// Directories of attempts.
    pub worktrees: Arc<dyn Worktrees>,
    /// Merging and landing.
    pub landings: Arc<dyn Landings>,
    /// Runs commands.
    pub runner: Arc<dyn PhaseRunner>,
    /// Files beside the worktrees.
    pub files: Arc<dyn AttemptFiles>,
    /// How many commands run at once.
    pub places: Arc<dyn Places>,
    /// Renders the action's commit message.
    pub message: fn(&str, &Context) -> Result<String, RunError>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Names intents.
    pub ids: Arc<dyn Ids>,
    /// Where this is: a project may be at home on another machine.
    pub machine: Machine,
    /// The request to end.
    pub stop: StopHub,
    /// Between TERM and KILL.
    pub grace: Duration,
    /// How long the holder of a plan is waited for that was asked to cancel it.
    pub patience: Duration,
    /// What to do about a plan that another holds.
    pub wait_for_plan: Wait,
    /// What to do about a project that another holds.
    pub wait_for_projects: Wait,
    /// What to do while all places for commands are taken.
    pub wait_for_places: Wait,
}

/// How to apply.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct ApplyOptions {
    /// Whether a plan that changed nothing counts as applied.
    pub allow_empty: bool,
}

/// Drives plans through their phases.
///
/// ```
/// # use std::{collections::BTreeMap, sync::Arc};
/// use agents_application::driver::{ApplyOptions, DriverParts};
/// use agents_application::subplan_service::{SubplanParts, SubplanService};
/// use agents_application::{LockService, Order, PhaseDriver, PlanLifecycleService, StopHub, Wait};
/// use agents_domain::plan::State;
/// use agents_infrastructure::scripted::{Census, ScriptedFiles, ScriptedRunner, ScriptedWorkspace};
/// # use agents_domain::action::*;
/// # use agents_domain::{id::{Ids, OwnerId}, name::Name, plan::Definition, workspace::{Machine, Project}};
/// # use agents_domain::time::{Timestamp, Ttl};
/// # use agents_infrastructure::{clock::HandClock, ids::CountingIds, memory::MemoryStore};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), agents_application::DriveError> {
/// # let (clock, ids) = (Arc::new(HandClock::default()), Arc::new(CountingIds::default()));
/// # let (store, processes) = (MemoryStore::new(clock.clone()), Arc::new(Census::default().citizen(1)));
/// # let locks = LockService::new(agents_application::lock_service::LockParts {
/// #     port: store.locks(), heartbeat: store.locks(), line: store.line(), pulse: store.pulse(),
/// #     requests: store.requests(),
/// #     children: Arc::new(agents_domain::runner::NoChildren), owner: OwnerId::from(ids.ulid()),
/// #     ttl: Ttl::default(), tick: LockService::TICK, processes: processes.clone(),
/// #     clock: clock.clone(), ids: ids.clone(),
/// # });
/// # let (name, path) = (Name::parse("api").expect("valid"), "/src/api");
/// # let project =
/// #     Project { name, path: path.into(), common_dir: path.into(), branch: "main".to_owned(), machine: None, remote: None };
/// # store.projects().add(&project, Timestamp::default()).await.expect("registered");
/// # let execute =
/// #     Some(PhaseSpec { program: Program::Shell("make".to_owned()), timeout: None, retry: None });
/// # let action = Action {
/// #     name: Name::parse("fix").expect("valid"), description: String::new(),
/// #     definition_of_done: String::new(), automation: Automation::Review, arguments: vec![],
/// #     worktree: WorktreeSpec::default(), strategize: None, execute, validations: vec![],
/// #     apply: ApplySpec::default(), env: BTreeMap::new(), env_from: vec![], subplans: None,
/// # };
/// # let (arguments, projects) = (BTreeMap::new(), vec![project.clone()]);
/// # let definition = Definition { action, action_source: String::new(), arguments, projects };
/// # let order = Order { definition, automation: Automation::Review, name: None };
/// let (workspace, runner) = (ScriptedWorkspace::default(), ScriptedRunner::default());
/// workspace.add(&project);
/// let changed = workspace.clone();
/// runner.each_time(move |command| changed.write(&command.directory, "src/lib.rs"));
///
/// let lifecycle = PlanLifecycleService::new(store.plans(), clock.clone(), ids.clone(), processes);
/// let lifecycle = lifecycle.with_locks(locks);
/// let subplans = SubplanService::new(SubplanParts {
///     lifecycle: lifecycle.clone(),
///     reads: store.reads(),
///     actions: store.actions(),
///     ids: ids.clone(),
///     max_depth: agents_domain::subplan::MAX_DEPTH,
/// });
/// let driver = PhaseDriver::new(DriverParts {
///     lifecycle,
///     subplans,
///     worktrees: Arc::new(workspace.clone()),
///     landings: Arc::new(workspace.clone()),
///     runner: Arc::new(runner),
///     files: Arc::new(ScriptedFiles::default()),
///     places: Arc::new(agents_domain::places::Boundless),
///     message: |template, _| Ok(template.to_owned()),
///     clock,
///     ids,
///     machine: Machine { id: "1".to_owned(), host: "here".to_owned() },
///     stop: StopHub::default(),
///     grace: std::time::Duration::from_secs(10),
///     patience: std::time::Duration::from_secs(30),
///     wait_for_plan: Wait::No,
///     wait_for_projects: Wait::Forever,
///     wait_for_places: Wait::Forever,
/// });
/// let plan = driver.run(order, true, ApplyOptions::default()).await?;
/// assert_eq!(plan.state(), State::Applied);
/// assert_eq!(workspace.moves().len(), 1);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PhaseDriver {
    parts: DriverParts,
    /// How long an attempt of the child may take that this driver is for; `None`: it is for any plan.
    limit: Option<Limit>,
    /// Where children are offered to workers that have room; `None`: they are not.
    shared: Option<Offers>,
}

/// How long an attempt may take; `None`: as long as it takes.
type Limit = Option<Duration>;

impl PhaseDriver {
    /// A driver of these parts.
    pub fn new(parts: DriverParts) -> Self {
        Self { parts, limit: None, shared: None }
    }

    /// The service that makes the transitions.
    pub fn lifecycle(&self) -> &PlanLifecycleService {
        &self.parts.lifecycle
    }

    /// Makes a plan and drives it through strategize and execute, and through apply with `apply`
    /// or if its level says so; all under one hold.
    pub async fn run(&self, order: Order, apply: bool, options: ApplyOptions) -> Result<Plan, DriveError> {
        self.at_home(&order.definition.projects)?;
        let (plan, hold) = Box::pin(self.parts.lifecycle.create(order, "run")).await?;
        let id = plan.id;
        let outcome = Box::pin(async {
            let plan = self.drive_to_executed(plan, &hold, true).await?;
            let on = apply || plan.automation == Automation::Auto;
            if on && is_at(&plan, Phase::Execute, State::Complete) {
                self.drive_to_applied(plan, &hold, options).await
            } else {
                Ok(plan)
            }
        })
        .await;
        self.end(id, hold, outcome).await
    }

    /// `plan execute`: strategize, then, unless the level is `manual`, execute.
    pub async fn execute(&self, plan: PlanId) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, hold: &LockGuard| {
            self.may_begin(&plan).await?;
            self.drive_to_executed(plan, hold, false).await
        };
        self.under_hold(plan, "plan execute", Found::CarriedOn, work).await
    }

    /// `plan apply`: lands what execute made.
    pub async fn apply(&self, plan: PlanId, options: ApplyOptions) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, hold: &LockGuard| {
            own(&plan, Verb::Apply)?;
            self.drive_to_applied(plan, hold, options).await
        };
        self.under_hold(plan, "plan apply", Found::PutAway, work).await
    }

    /// `plan retry`: orders another attempt and drives it.
    pub async fn retry(&self, plan: PlanId, options: ApplyOptions) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, hold: &LockGuard| {
            if plan.state() == State::Applied {
                return Ok(plan);
            }
            if plan.phase() == Phase::Apply {
                own(&plan, Verb::Retry)?;
            }
            if plan.state() == State::Processing {
                // Carried on for a dead driver: the attempt goes on.
                return self.drive_to_executed(plan, hold, false).await;
            }
            let plan = self.queue_again(&plan).await?;
            if plan.phase() == Phase::Apply {
                self.drive_to_applied(plan, hold, options).await
            } else {
                self.drive_to_executed(plan, hold, false).await
            }
        };
        self.under_hold(plan, "plan retry", Found::CarriedOn, work).await
    }

    /// Queues another attempt that begins anew.
    async fn queue_again(&self, plan: &Plan) -> Result<Plan, DriveError> {
        self.at_home(&self.parts.lifecycle.definition(plan.id).await?.projects)?;
        self.may_begin(plan).await?;
        self.may_go_on(plan).await?;
        Ok(self.parts.lifecycle.retry(plan.id).await?)
    }

    /// `plan revert`: back to the start, with what a dead driver left put away first.
    pub async fn revert(&self, plan: PlanId, reason: Option<String>) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, _: &LockGuard| {
            // The children first become its past, then are given up: should this process die in
            // between, none of them is missed, and whoever holds the plan next gives them up.
            let family = self.parts.subplans.family(plan.id).await.map_err(LifecycleError::from)?;
            let reverted = self.parts.lifecycle.revert(plan.id, reason).await?;
            self.cancel_those(&requests::unsettled(&family), recovery::PAST).await?;
            Ok(reverted)
        };
        self.under_hold(plan, "plan revert", Found::PutAway, work).await
    }

    /// `recover`: ends what a dead driver left of a plan. Untouched if it is not processing.
    pub async fn recover(&self, plan: PlanId) -> Result<Plan, DriveError> {
        self.under_hold(plan, "recover", Found::PutAway, async |plan, _: &LockGuard| Ok(plan)).await
    }

    /// One command on one plan: hold it, put away what a dead driver left, work, and let go
    /// whatever came of it.
    async fn under_hold(
        &self,
        plan: PlanId,
        operation: &str,
        found: Found,
        work: impl AsyncFnOnce(Plan, &LockGuard) -> Result<Plan, DriveError>,
    ) -> Result<Plan, DriveError> {
        let hold = self.hold(plan, operation).await?;
        let outcome = Box::pin(async {
            let plan = self.recovered(plan, &hold, found).await?;
            self.heed_earlier(&plan).await?;
            work(plan, &hold).await
        })
        .await;
        self.end(plan, hold, outcome).await
    }

    async fn hold(&self, plan: PlanId, operation: &str) -> Result<LockGuard, DriveError> {
        tokio::select! {
            biased;
            // A wait for a plan may be long.
            cause = self.parts.stop.stopped() => Err(DriveError::Stopped { plan, cause }),
            held = self.parts.lifecycle.hold(plan, operation, self.parts.wait_for_plan) => Ok(held?),
        }
    }

    /// `plan use`: makes a plan and lets go of it.
    pub async fn create(&self, order: Order) -> Result<Plan, DriveError> {
        let (plan, hold) = Box::pin(self.parts.lifecycle.create(order, "plan use")).await?;
        self.end(plan.id, hold, Ok(plan)).await
    }

    /// Answers what was asked meanwhile and gives the hold back, whatever came of the command.
    async fn end(
        &self,
        plan: PlanId,
        hold: LockGuard,
        outcome: Result<Plan, DriveError>,
    ) -> Result<Plan, DriveError> {
        let outcome = self.answer(plan, &hold, outcome).await;
        self.let_go(hold).await;
        outcome
    }

    /// A lock that cannot be released ends with its lease; it is said, and changes no outcome.
    async fn let_go(&self, guard: LockGuard) {
        let asked = guard.request();
        if let Err(error) = guard.release().await {
            self.warn(&format!("a lock could not be released and ends with its lease: {error}"));
        }
        self.answer_let_go(asked).await;
    }

    /// Strategize and execute, as far as the level lets it; stops where the plan fails or waits.
    async fn drive_to_executed(
        &self,
        mut plan: Plan,
        hold: &LockGuard,
        whole_way: bool,
    ) -> Result<Plan, DriveError> {
        let definition = self.parts.lifecycle.definition(plan.id).await?;
        self.at_home(&definition.projects)?;
        let stop_after_strategize = !whole_way && plan.automation == Automation::Manual;
        loop {
            self.heed(plan.id, hold).await?;
            let began_in = plan.phase();
            plan = match (plan.phase(), plan.state()) {
                (Phase::Strategize | Phase::Execute, State::Queued) | (Phase::Execute, State::Processing) => {
                    self.run_phase(plan, &definition, !stop_after_strategize, hold).await?
                }
                (Phase::Execute, State::Complete) => return Ok(plan),
                // Orders execute; refuses, with the way on, wherever that is not legal.
                _ => self.parts.lifecycle.execute(plan.id).await?,
            };
            let stays = plan.state() != State::Complete && plan.state() != State::Queued;
            let waits = plan.parked.is_some();
            let paused = stop_after_strategize && began_in == Phase::Strategize && plan.phase() == began_in;
            if stays || waits || paused {
                return Ok(plan);
            }
        }
    }

    async fn drive_to_applied(
        &self,
        plan: Plan,
        hold: &LockGuard,
        options: ApplyOptions,
    ) -> Result<Plan, DriveError> {
        let definition = self.parts.lifecycle.definition(plan.id).await?;
        self.at_home(&definition.projects)?;
        let plan = self.parts.lifecycle.apply(plan.id).await?;
        if plan.state() == State::Applied {
            return Ok(plan);
        }
        self.land(plan, &definition, hold, options).await
    }

    /// Refuses a plan that cannot be worked on from this machine; nothing of it is touched.
    fn at_home(&self, projects: &[Project]) -> Result<(), DriveError> {
        Ok(all_here(projects, &self.parts.machine).map_err(WorkspaceError::from)?)
    }

    fn warn(&self, text: &str) {
        tracing::warn!("{text}");
        self.parts.lifecycle.observer().warning(text);
    }
}

fn is_at(plan: &Plan, phase: Phase, state: State) -> bool {
    plan.phase() == phase && plan.state() == state
}
