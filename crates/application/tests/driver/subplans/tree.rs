//! Trees of plans: how a test orders them, and what it looks at.

use agents_domain::action::{Action, SubplanSpec};
use agents_domain::catalogue::StoredAction;
use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::plan::{Plan, State};
use agents_domain::request::Request;
use agents_domain::subplan::{Mode, Settings, SubplanItem};
use agents_domain::time::Timestamp;
use agents_infrastructure::scripted::{Gate, Scripted};
use tokio::task::JoinHandle;

use agents_application::{LockService, Order};

use crate::fuse::Fuse;
use crate::orders::action;
use crate::world::{Outcome, PLAINLY, Process, World, now};

/// A child that uses the action `work`, and what it depends on.
pub(super) fn item(name: &str, depends_on: &[&str]) -> SubplanItem {
    item_of(name, "work", depends_on)
}

/// The same, of another action.
pub(super) fn item_of(name: &str, action: &str, depends_on: &[&str]) -> SubplanItem {
    SubplanItem {
        name: name.to_owned(),
        action: Name::parse(action).expect("valid"),
        args: [].into(),
        depends_on: depends_on.iter().map(ToString::to_string).collect(),
        projects: Vec::new(),
    }
}

/// Children that depend on nothing.
pub(super) fn items(names: &[&str]) -> Vec<SubplanItem> {
    names.iter().map(|name| item(name, &[])).collect()
}

/// Settings in which no child is tried again by its scheduler.
pub(super) fn once(mode: Mode) -> Settings {
    Settings { mode, max_retries: 0, ..Settings::default() }
}

/// Another try of a plan, as a task.
pub(super) fn retrying(process: &Process, plan: PlanId) -> JoinHandle<Outcome> {
    let driver = process.driver.clone();
    tokio::spawn(async move { driver.retry(plan, PLAINLY).await })
}

/// Cancelling a plan, as a task.
pub(super) fn cancelling(process: &Process, plan: PlanId) -> JoinHandle<Outcome> {
    let driver = process.driver.clone();
    tokio::spawn(async move { driver.cancel(plan, None, false).await })
}

/// A parent that was stopped while these children ran; they are there for whoever comes first.
pub(super) async fn interrupted(world: &World, settings: Settings, names: &[&str]) -> PlanId {
    let process = world.process(1);
    let gates: Vec<_> = names.iter().map(|name| world.gate(name, Scripted::exits(0))).collect();
    let driving = world.spawn_family(&process, settings, items(names));
    for gate in gates {
        gate.reached().await;
    }
    process.stop.stop();
    driving.await.expect("no panic").expect_err("stopped");
    world.root().await.id
}

/// Waits for what has to come of it; what waits for ever fails. On a paused clock that takes no time.
pub(super) async fn in_the_end<T>(what: impl Future<Output = T>) -> T {
    let long = std::time::Duration::from_mins(2);
    tokio::time::timeout(long, what).await.expect("it comes to an end")
}

/// Lets one short pause after the other pass, on a paused clock, until that holds.
pub(super) async fn until(what: &str, mut holds: impl AsyncFnMut() -> bool) {
    const LONG: usize = 300;
    for _ in 0..LONG {
        if holds().await {
            return;
        }
        tokio::time::advance(std::time::Duration::from_millis(50)).await;
        crate::world::settle().await;
    }
    panic!("never: {what}");
}

/// The process dies in the middle of its work: at that moment.
pub(super) async fn dies<T: std::fmt::Debug>(
    (world, pid, fuse): (&World, u32, &Fuse),
    work: impl Future<Output = T>,
    moment: impl Future<Output = ()>,
) {
    tokio::select! {
        biased;
        () = moment => fuse.blow(),
        ended = work => panic!("it was to die before: {ended:?}"),
    }
    world.dies(pid);
}

/// One beat of the heartbeat, while nothing else goes on.
pub(super) fn beats(locks: &LockService) {
    let beat = || {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("no I/O, no resources");
        runtime.block_on(locks.beat());
    };
    std::thread::scope(|scope| scope.spawn(beat).join().expect("no panic"));
}

impl World {
    /// All that was ever asked of whoever holds a plan.
    pub(super) async fn asked(&self, plan: PlanId) -> Vec<Request> {
        self.store.requests().history(&LockKey::Plan(plan)).await.expect("read")
    }

    /// Nothing that was asked of a tree has stayed without an answer.
    pub(super) async fn check_answers(&self, root: PlanId) {
        for plan in self.below(root).await.iter().map(|child| child.id).chain([root]) {
            let asked = self.asked(plan).await;
            assert!(asked.iter().all(|request| request.closed.is_some()), "of {plan}: {asked:?}");
        }
    }

    /// Stores the plain action under that name, amended.
    pub(super) fn store_action(&self, name: &str, amend: impl FnOnce(&mut Action)) {
        let mut action = action();
        action.name = Name::parse(name).expect("valid");
        amend(&mut action);
        let stored = StoredAction { action, source: String::new(), updated_at: Timestamp::default() };
        now(self.store.actions().put(&stored)).expect("stored");
    }

    /// A world whose children do the work of the plain action.
    pub(super) fn of_families() -> Self {
        let world = Self::new();
        world.store_action("work", |_| ());
        world
    }

    /// An order of a plan that has these children, and no command of its own.
    pub(super) fn family_order(&self, settings: Settings, items: Vec<SubplanItem>) -> Order {
        self.order(|action| {
            action.execute = None;
            action.subplans = Some(SubplanSpec { settings, items });
        })
    }

    /// Makes such a plan and drives it.
    pub(super) async fn drive_family(
        &self,
        process: &Process,
        settings: Settings,
        items: Vec<SubplanItem>,
    ) -> Plan {
        let order = self.family_order(settings, items);
        process.driver.run(order, false, PLAINLY).await.expect("no error of the driver")
    }

    /// The same, as a task.
    pub(super) fn spawn_family(
        &self,
        process: &Process,
        settings: Settings,
        items: Vec<SubplanItem>,
    ) -> JoinHandle<Outcome> {
        let (driver, order) = (process.driver.clone(), self.family_order(settings, items));
        tokio::spawn(async move { driver.run(order, false, PLAINLY).await })
    }

    /// The next command of a plan of that name comes to this, but not before the gate is opened.
    pub(super) fn gate(&self, name: &str, command: Scripted) -> Gate {
        let gate = Gate::default();
        self.runner.on_plan(name, "execute", command.behind(&gate));
        gate
    }

    /// The plan without a parent.
    pub(super) async fn root(&self) -> Plan {
        let filter = agents_domain::reads::PlanFilter::default();
        let page = self.store.reads().list(&filter).await.expect("listed");
        assert_eq!(page.total, 1);
        self.load(page.plans[0].record.id).await
    }

    /// All that are below a plan now, each after its parent.
    pub(super) async fn below(&self, plan: PlanId) -> Vec<Plan> {
        let mut plans = Vec::new();
        for view in self.store.reads().family(plan).await.expect("read") {
            plans.push(self.load(view.record.id).await);
        }
        plans
    }

    /// The plan of that name below another.
    pub(super) async fn child(&self, above: PlanId, name: &str) -> Plan {
        let mut below = self.below(above).await;
        let place = below.iter().position(|plan| plan.name.as_deref() == Some(name));
        below.swap_remove(place.unwrap_or_else(|| panic!("there is no {name}")))
    }

    /// The states of the children of a plan, in the order of their places.
    pub(super) async fn states(&self, plan: PlanId) -> Vec<State> {
        let below = self.below(plan).await;
        below.iter().filter(|child| child.parent() == Some(plan)).map(|child| child.state()).collect()
    }

    /// The plans whose execute commands were started, by name, in that order.
    pub(super) fn started(&self) -> Vec<String> {
        let all = self.runner.invocations();
        let executes = all.into_iter().filter(|invocation| invocation.purpose == "execute");
        executes.map(|invocation| invocation.context.plan_name).collect()
    }

    /// What must hold of a tree that nobody drives any more.
    pub(super) async fn check_tree(&self, root: PlanId) {
        self.check(root).await;
        for child in self.below(root).await {
            self.check(child.id).await;
        }
        let mut ran: Vec<_> =
            self.runner.invocations().iter().map(|i| (i.plan, i.attempt, i.purpose.clone())).collect();
        ran.sort_unstable();
        let twice = ran.windows(2).find(|pair| pair[0] == pair[1]);
        assert_eq!(twice, None, "each command runs once an attempt");
    }
}
