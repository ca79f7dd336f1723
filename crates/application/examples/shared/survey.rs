//! What both examples share: the work as Rust functions, the actions that order it, and the engine
//! put together around a store.
//!
//! ```text
//! fetch ──► words ──┐
//!   └─────► lines ──┴─► report          each a subplan; then the plan's own function: publish
//! ```

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::driver::{ApplyOptions, DriverParts};
use agents_application::lock_service::LockParts;
use agents_application::subplan_service::SubplanParts;
use agents_application::{
    LockService, OrderRequest, PhaseDriver, PlanLifecycleService, StopHub, SubplanService, Wait, order,
};
use agents_domain::action::Program;
use agents_domain::catalogue::{ActionStore, ProjectStore, StoredAction};
use agents_domain::id::{Ids, OwnerId};
use agents_domain::lock::{Line, LockPort};
use agents_domain::name::Name;
use agents_domain::places::Boundless;
use agents_domain::plan::{PlanStore, State};
use agents_domain::reads::PlanReads;
use agents_domain::request::{Pulse, Requests};
use agents_domain::runner::{Ended, Invocation, NoChildren, PhaseRunner, RunError, RunReport, StopSignal};
use agents_domain::subplan::MAX_DEPTH;
use agents_domain::time::{Timestamp, Ttl};
use agents_domain::workspace::{Machine, Project};
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::scripted::{ScriptedFiles, ScriptedWorkspace};
use async_trait::async_trait;

/// What a step of the survey runs. `run` names one of the functions below, not a program.
const STEP: &str = "
name: step
arguments: [{ name: what, type: string, required: true }]
execute: { run: [step] }
";

/// The survey: its steps are subplans; `publish` runs after them.
const SURVEY: &str = "
name: survey
subplans:
  mode: dependency
  items:
    - { name: fetch, action: step, args: { what: fetch } }
    - { name: words, action: step, args: { what: words }, depends_on: [fetch] }
    - { name: lines, action: step, args: { what: lines }, depends_on: [fetch] }
    - { name: report, action: step, args: { what: report }, depends_on: [words, lines] }
execute: { run: [publish] }
";

/// The ports of a store.
pub(crate) struct Stores {
    pub(crate) locks: Arc<dyn LockPort>,
    pub(crate) heartbeat: Arc<dyn LockPort>,
    pub(crate) line: Arc<dyn Line>,
    pub(crate) pulse: Arc<dyn Pulse>,
    pub(crate) requests: Arc<dyn Requests>,
    pub(crate) plans: Arc<dyn PlanStore>,
    pub(crate) reads: Arc<dyn PlanReads>,
    pub(crate) actions: Arc<dyn ActionStore>,
    pub(crate) projects: Arc<dyn ProjectStore>,
}

/// Runs Rust functions where others run programs.
#[derive(Clone, Default)]
struct Functions {
    /// What the steps have found, in the order in which they did.
    found: Arc<Mutex<Vec<(String, usize)>>>,
}

impl Functions {
    /// One step: it sees what those before it have found.
    fn call(&self, what: &str) {
        const TEXT: &str = "one two\nthree four five\n";
        let mut found = self.found.lock().expect("no function panics");
        let of = |name: &str| found.iter().find(|(other, _)| other == name).map_or(0, |(_, count)| *count);
        let count = match what {
            "fetch" => TEXT.len(),
            "words" => TEXT.split_whitespace().count(),
            "lines" => TEXT.lines().count(),
            // Nobody is asked before those that it depends on have been merged.
            "report" => of("words") * of("lines"),
            _ => of("report"),
        };
        found.push((what.to_owned(), count));
    }
}

#[async_trait]
impl PhaseRunner for Functions {
    async fn run(&self, invocation: Invocation, _stop: StopSignal) -> Result<RunReport, RunError> {
        let Program::Run(words) = &invocation.program else {
            return Err(RunError::Failed { reason: "a shell is not at hand".to_owned() });
        };
        match invocation.context.arguments.get("what") {
            Some(what) => self.call(&what.to_string()),
            None => self.call(&words[0]),
        }
        Ok(RunReport { ended: Ended::Exited(0), tail: String::new() })
    }
}

/// Runs the survey on a store; what each step has found.
pub(crate) async fn survey(stores: Stores) -> Result<Vec<(String, usize)>, Box<dyn std::error::Error>> {
    let project = Project {
        name: Name::parse("text")?,
        path: "/nowhere/text".into(),
        common_dir: "/nowhere/text/.git".into(),
        branch: "main".to_owned(),
        machine: None,
        remote: None,
    };
    let workspace = ScriptedWorkspace::default();
    workspace.add(&project);
    stores.projects.add(&project, Timestamp::default()).await?;
    for source in [STEP, SURVEY] {
        let action = action_file::parse(source, "example")?;
        let order = StoredAction { action, source: source.to_owned(), updated_at: Timestamp::default() };
        stores.actions.put(&order).await?;
    }
    let request = OrderRequest {
        action: Name::parse("survey")?,
        projects: vec![project.name],
        arguments: Vec::new(),
        automation: None,
        name: None,
    };
    let order = order::prepare(&*stores.actions, &*stores.projects, request).await?;
    let functions = Functions::default();
    let driver = engine(&stores, workspace, functions.clone());
    let plan = driver.run(order, true, ApplyOptions { allow_empty: true }).await?;
    assert_eq!(plan.state(), State::Applied, "{:?}", plan.failure);
    let family = stores.reads.family(plan.id).await?;
    assert!(family.iter().all(|child| child.record.state() == State::Applied));
    let found = functions.found.lock().expect("no function panics").clone();
    Ok(found)
}

/// A driver around a store: locks, lifecycle, subplans, and the functions for commands.
fn engine(stores: &Stores, workspace: ScriptedWorkspace, functions: Functions) -> PhaseDriver {
    let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds::new()));
    let processes = Arc::new(SystemProcesses::new());
    let locks = LockService::new(LockParts {
        port: stores.locks.clone(),
        heartbeat: stores.heartbeat.clone(),
        line: stores.line.clone(),
        pulse: stores.pulse.clone(),
        requests: stores.requests.clone(),
        children: Arc::new(NoChildren),
        owner: OwnerId::from(ids.ulid()),
        ttl: Ttl::default(),
        tick: LockService::TICK,
        processes: processes.clone(),
        clock: clock.clone(),
        ids: ids.clone(),
    });
    let plans = stores.plans.clone();
    let lifecycle = PlanLifecycleService::new(plans, clock.clone(), ids.clone(), processes).with_locks(locks);
    let subplans = SubplanService::new(SubplanParts {
        lifecycle: lifecycle.clone(),
        reads: stores.reads.clone(),
        actions: stores.actions.clone(),
        ids: ids.clone(),
        max_depth: MAX_DEPTH,
    });
    PhaseDriver::new(DriverParts {
        lifecycle,
        subplans,
        worktrees: Arc::new(workspace.clone()),
        landings: Arc::new(workspace),
        runner: Arc::new(functions),
        files: Arc::new(ScriptedFiles::default()),
        places: Arc::new(Boundless),
        message: |template, _| Ok(template.to_owned()),
        clock,
        ids,
        machine: Machine { id: "1".to_owned(), host: "here".to_owned() },
        stop: StopHub::default(),
        grace: Duration::from_secs(10),
        patience: Duration::from_secs(30),
        wait_for_plan: Wait::No,
        wait_for_projects: Wait::Forever,
        wait_for_places: Wait::Forever,
    })
}

/// What the survey must have found, whatever the store: every step once, none before its time.
pub(crate) fn check(found: &[(String, usize)]) {
    let counts: BTreeMap<&str, usize> = found.iter().map(|(what, count)| (what.as_str(), *count)).collect();
    assert_eq!(found.len(), counts.len(), "each ran once: {found:?}");
    assert_eq!((counts["words"], counts["lines"], counts["report"], counts["publish"]), (5, 2, 10, 10));
}
