//! Workers: what they take up, how they end, and what they do when something is in the way.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::driver::Ordered;
use agents_application::worker::{Overseer, Terms, WorkerParts};
use agents_application::{DriveError, LifecycleError, StopHub, WorkerService};
use agents_domain::id::PlanId;
use agents_domain::orders::{Again, Orders, Wish, WorkOrder};
use agents_domain::plan::{Phase, Plan, State, StoreError};
use agents_domain::time::Timestamp;
use agents_domain::workers::{ROLL_CALL, Worker};
use agents_infrastructure::scripted::{Gate, Scripted};
use tokio::task::JoinHandle;

use crate::world::{PLAINLY, Process, World, at, fails, pass, settle};

mod silence;
mod trouble;

/// What a person would be told of a worker.
#[derive(Default)]
struct Heard(Mutex<Vec<String>>);

impl Heard {
    fn all(&self) -> Vec<String> {
        self.0.lock().expect("unpoisoned").clone()
    }

    fn count(&self, text: &str) -> usize {
        self.all().iter().filter(|line| line.contains(text)).count()
    }

    fn note(&self, line: String) {
        self.0.lock().expect("unpoisoned").push(line);
    }
}

impl Overseer for Heard {
    fn begun(&self, worker: &Worker) {
        self.note(format!("begun, {} at once", worker.concurrency));
    }
    fn taken(&self, order: &WorkOrder) {
        self.note(format!("taken {}", order.wanted.plan));
    }
    fn ended(&self, _plan: PlanId, outcome: &str) {
        self.note(format!("ended: {outcome}"));
    }
    fn given_back(&self, _plan: PlanId, why: &str, until: Option<Timestamp>) {
        self.note(format!("given back{}: {why}", if until.is_some() { " for later" } else { "" }));
    }
    fn doubted(&self, worker: &Worker) {
        self.note(format!("doubted {}", worker.process.pid));
    }
    fn lost(&self, worker: &Worker) {
        self.note(format!("lost {}", worker.process.pid));
    }
    fn draining(&self, running: usize) {
        self.note(format!("draining, {running} running"));
    }
    fn away(&self, _error: &StoreError) {
        self.note("away".to_owned());
    }
    fn back(&self) {
        self.note("back".to_owned());
    }
}

/// A worker, and how it is asked to end.
struct Hand {
    drain: StopHub,
    heard: Arc<Heard>,
    work: JoinHandle<Result<(), StoreError>>,
}

impl Hand {
    async fn ends(self) -> Vec<String> {
        self.work.await.expect("no panic").expect("the store is there");
        self.heard.all()
    }

    async fn drained(self) -> Vec<String> {
        self.drain.stop();
        self.ends().await
    }
}

fn work_with(world: &World, process: &Process, once: bool, orders: Arc<dyn Orders>) -> Hand {
    let (drain, heard) = (StopHub::default(), Arc::new(Heard::default()));
    let tick = Duration::from_millis(250);
    let worker = WorkerService::new(WorkerParts {
        driver: process.parts.clone(),
        orders,
        workers: world.store.workers(),
        pulse: world.store.pulse(),
        processes: Arc::new(world.census.citizen(process.locks.myself("").pid)),
        drain: drain.clone(),
        overseer: heard.clone(),
        terms: Terms { concurrency: 2, once, projects: vec![], tick },
    });
    Hand { drain, heard, work: tokio::spawn(worker.run()) }
}

fn work(world: &World, process: &Process) -> Hand {
    work_with(world, process, false, world.store.orders())
}

/// Works off what is there, with two plans at once; what it was heard to do.
async fn work_once(world: &World, pid: u32) -> Vec<String> {
    let process = world.process(pid);
    work_with(world, &process, true, world.store.orders()).ends().await
}

/// A plan that is ordered to be executed, and applied if so.
async fn ordered(world: &World, apply: bool) -> PlanId {
    let (orders, apply) = (world.store.orders(), apply.then_some(PLAINLY));
    let ordered = world.process(90).driver.run_later(world.order(|_| ()), apply, &*orders).await;
    ordered.expect("ordered").plan.id
}

async fn order(world: &World, plan: PlanId, wish: Wish) -> Result<Ordered, DriveError> {
    world.process(91).driver.order(plan, wish, &*world.store.orders()).await
}

async fn order_of(world: &World, plan: PlanId) -> WorkOrder {
    world.store.orders().of(plan).await.expect("read").expect("there")
}

async fn outcome(world: &World, plan: PlanId) -> Option<String> {
    order_of(world, plan).await.closed.map(|closed| closed.outcome)
}

async fn is_at(world: &World, plan: PlanId, phase: Phase, state: State) -> Plan {
    let plan = world.load(plan).await;
    assert_eq!(at(&plan), (phase, state), "{:?}", plan.failure);
    plan
}

#[tokio::test(start_paused = true)]
async fn what_is_ordered_is_worked_off_as_far_as_it_is_ordered() {
    let world = World::new();
    let (first, second) = (ordered(&world, false).await, ordered(&world, true).await);
    let plan = world.process(90).driver.create(world.order(|_| ())).await.expect("made").id;
    let heard = work_once(&world, 1).await;
    assert_eq!(
        heard[..3],
        ["begun, 2 at once".to_owned(), format!("taken {first}"), format!("taken {second}")]
    );
    is_at(&world, first, Phase::Execute, State::Complete).await;
    is_at(&world, second, Phase::Apply, State::Applied).await;
    is_at(&world, plan, Phase::Strategize, State::Queued).await;
    assert_eq!(outcome(&world, first).await.as_deref(), Some("reached"));
    assert_eq!(outcome(&world, second).await.as_deref(), Some("applied"));
    assert_eq!(world.store.workers().list().await, Ok(vec![]), "it is in no list any more");
    assert_eq!(work_once(&world, 1).await, ["begun, 2 at once"]);
    world.check(first).await;
    world.check(second).await;
}

#[tokio::test(start_paused = true)]
async fn no_more_are_driven_at_once_than_there_is_room_for() {
    let world = World::new();
    let gate = Gate::default();
    for _ in 0..3 {
        world.runner.on("execute", Scripted::exits(0).behind(&gate));
        ordered(&world, false).await;
    }
    let process = world.process(1);
    let hand = work(&world, &process);
    gate.reached().await;
    pass(Duration::from_secs(10)).await;
    assert_eq!((world.runner.running(), hand.heard.count("taken")), (2, 2));
    gate.open();
    pass(Duration::from_secs(10)).await;
    assert_eq!((hand.heard.count("taken"), hand.heard.count("ended: reached")), (3, 3));
    hand.drained().await;
}

#[tokio::test(start_paused = true)]
async fn an_order_that_grows_while_it_is_worked_off_is_carried_through() {
    let world = World::new();
    let (plan, gate) = (ordered(&world, false).await, Gate::default());
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let process = world.process(1);
    let hand = work(&world, &process);
    gate.reached().await;
    order(&world, plan, Wish::Apply { allow_empty: false }).await.expect("ordered");
    gate.open();
    pass(Duration::from_secs(10)).await;
    is_at(&world, plan, Phase::Apply, State::Applied).await;
    assert_eq!(hand.drained().await.iter().filter(|line| line.starts_with("taken")).count(), 1);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_failure_ends_the_order_and_a_retry_is_ordered_anew() {
    let world = World::new();
    let plan = ordered(&world, true).await;
    world.runner.on("execute", fails(3));
    let heard = work_once(&world, 1).await;
    assert_eq!(heard.last().map(String::as_str), Some("ended: failed: exit_code"));
    is_at(&world, plan, Phase::Execute, State::Errored).await;
    assert_eq!(work_once(&world, 1).await.len(), 1, "nobody takes it up");
    let refused = order(&world, plan, Wish::Execute).await;
    assert!(matches!(refused, Err(DriveError::Lifecycle(LifecycleError::Refused(_)))), "{refused:?}");
    world.runner.on("execute", fails(4));
    for _ in 0..2 {
        // The second failure is not tried again: that has been done.
        order(&world, plan, Wish::Retry { again: Again::Anew, allow_empty: false }).await.expect("ordered");
        work_once(&world, 1).await;
        world.check(plan).await;
    }
    is_at(&world, plan, Phase::Execute, State::Complete).await;
    let starts = world.log(plan).await.iter().filter(|name| **name == "plan.phase_started").count();
    assert_eq!(starts, 1 + 3);
}

#[tokio::test(start_paused = true)]
async fn the_first_request_to_end_lets_what_runs_go_on() {
    let world = World::new();
    let (first, gate) = (ordered(&world, false).await, Gate::default());
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let process = world.process(1);
    let hand = work(&world, &process);
    gate.reached().await;
    hand.drain.stop();
    pass(Duration::from_secs(30)).await;
    let listed = world.store.workers().list().await.expect("read").remove(0);
    assert!(listed.worker.draining && listed.plans.contains(&first), "{listed:?}");
    gate.open();
    let heard = hand.ends().await;
    assert_eq!(heard.iter().filter(|line| line.starts_with("draining")).count(), 1, "{heard:?}");
    is_at(&world, first, Phase::Execute, State::Complete).await;
    assert!(order_of(&world, first).await.closed.is_some());
    assert_eq!(world.store.workers().list().await, Ok(vec![]));
}

#[tokio::test(start_paused = true)]
async fn the_second_request_stops_what_runs_and_its_order_stays_open() {
    let world = World::new();
    let (plan, gate) = (ordered(&world, false).await, Gate::default());
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let process = world.process(1);
    let hand = work(&world, &process);
    gate.reached().await;
    hand.drain.stop();
    settle().await;
    process.stop.stop();
    let heard = hand.ends().await;
    assert_eq!(heard.last().map(String::as_str), Some("given back: it was stopped"));
    is_at(&world, plan, Phase::Execute, State::Errored).await;
    let order = order_of(&world, plan).await;
    assert!(order.is_open() && order.claim.is_none(), "{order:?}");
    world.check(plan).await;
    work_once(&world, 2).await;
    is_at(&world, plan, Phase::Execute, State::Complete).await;
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_worker_says_that_it_lives() {
    let world = World::new();
    let process = world.process(1);
    let hand = work(&world, &process);
    pass(Duration::from_secs(1)).await;
    let seen = async || world.store.workers().list().await.expect("read").remove(0).worker.seen;
    let first = seen().await;
    world.clock.advance(ROLL_CALL);
    pass(Duration::from_secs(1)).await;
    assert_eq!(seen().await, first.plus(ROLL_CALL));
    hand.drained().await;
}

#[tokio::test(start_paused = true)]
async fn what_a_person_breaks_out_of_its_hands_is_not_taken_up_again() {
    let world = World::new();
    let (plan, gate) = (ordered(&world, false).await, Gate::default());
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let (process, other) = (world.process(1), world.process(2));
    let hand = work(&world, &process);
    gate.reached().await;
    world.ask_to_let_go(plan).await;
    process.locks.beat().await;
    pass(Duration::from_mins(1)).await;
    is_at(&world, plan, Phase::Execute, State::Errored).await;
    assert_eq!(outcome(&world, plan).await.as_deref(), Some("somebody asked for its lock"));
    hand.drained().await;
    drop(other);
    world.check(plan).await;
}
