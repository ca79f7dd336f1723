//! Children that other workers run, because their scheduler has no room.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agents_application::driver::DriverParts;
use agents_application::worker::{Terms, Unseen, WorkerParts, WorkerService};
use agents_application::{PhaseDriver, StopHub};
use agents_domain::id::PlanId;
use agents_domain::orders::Wish;
use agents_domain::plan::{Change, Phase, State};
use agents_domain::subplan::Mode;
use agents_infrastructure::places::MemoryPlaces;
use agents_infrastructure::scripted::Scripted;
use tokio::task::JoinHandle;

use super::tree::{items, once};
use crate::world::{PLAINLY, Process, World, at, pass};

/// A worker on a machine of its own, with one place for commands.
fn works(world: &World, process: &Process, pid: u32, drain: &StopHub) -> JoinHandle<()> {
    let parts = DriverParts { places: Arc::new(MemoryPlaces::new(1)), ..process.parts.clone() };
    let worker = WorkerService::new(WorkerParts {
        driver: parts,
        orders: world.store.orders(),
        workers: world.store.workers(),
        pulse: world.store.pulse(),
        processes: Arc::new(world.census.citizen(pid)),
        drain: drain.clone(),
        overseer: Arc::new(Unseen),
        terms: Terms { concurrency: 4, once: false, projects: vec![], tick: Duration::from_millis(250) },
    });
    tokio::spawn(async move { worker.run().await.expect("the store is there") })
}

/// A parent of three, driven by a worker that has room for one of them.
async fn shared(world: &World, drain: &StopHub) -> (PlanId, Process, JoinHandle<()>) {
    let (orders, settings) = (world.store.orders(), once(Mode::Parallel));
    let order = world.family_order(settings, items(&["a", "b", "c"]));
    let parent = world.process(90).driver.run_later(order, None, &*orders).await.expect("ordered").plan.id;
    let one = world.process(1);
    let first = works(world, &one, 1, drain);
    pass(Duration::from_secs(20)).await;
    assert_eq!(world.runner.running(), 1, "there is one place");
    assert_eq!(orders.list().await.expect("read").len(), 3, "that of the parent, and two offers");
    (parent, one, first)
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_is_withdrawn_if_the_parent_is_stopped() {
    let world = World::of_families();
    let _gates = ["a", "b", "c"].map(|name| world.gate(name, Scripted::exits(0)));
    let drain = StopHub::default();
    let (parent, one, first) = shared(&world, &drain).await;
    let began = world.started().len();
    world.ask_to_let_go(parent).await;
    one.locks.beat().await;
    pass(Duration::from_mins(1)).await;
    assert_eq!(at(&world.load(parent).await), (Phase::Execute, State::Errored));
    assert_eq!(world.store.orders().list().await, Ok(vec![]), "the parent's ended, and no offer stays");
    let two = world.process(2);
    let second = works(&world, &two, 2, &drain);
    pass(Duration::from_secs(20)).await;
    assert_eq!((world.runner.running(), world.started().len()), (0, began), "nothing goes on without it");
    drain.stop();
    first.await.expect("no panic");
    second.await.expect("no panic");
    world.check_tree(parent).await;
}

/// The plans that are ordered once the parent was stopped.
async fn left(world: &World, parent: PlanId, (one, working): (Process, JoinHandle<()>)) -> BTreeSet<PlanId> {
    world.ask_to_let_go(parent).await;
    one.locks.beat().await;
    pass(Duration::from_mins(1)).await;
    assert_eq!(at(&world.load(parent).await), (Phase::Execute, State::Errored));
    let left = world.store.orders().list().await.expect("read");
    working.abort();
    left.into_iter().map(|order| order.wanted.plan).collect()
}

/// A person orders a child.
async fn orders_too(world: &World, parent: PlanId, child: &str) -> PlanId {
    let child = world.child(parent, child).await.id;
    let ordered = world.process(91).driver.order(child, Wish::Execute, &*world.store.orders()).await;
    ordered.expect("ordered").plan.id
}

#[tokio::test(start_paused = true)]
async fn what_somebody_orders_that_is_offered_already_is_not_withdrawn() {
    let world = World::of_families();
    let _gates = ["a", "b", "c"].map(|name| world.gate(name, Scripted::exits(0)));
    let (parent, one, working) = shared(&world, &StopHub::default()).await;
    let offered = world.store.orders().list().await.expect("read");
    let child = offered.into_iter().find(|order| order.wanted.plan != parent).expect("an offer").wanted.plan;
    let name = world.load(child).await.name.clone().expect("it has a name");
    assert_eq!(orders_too(&world, parent, &name).await, child);
    assert_eq!(left(&world, parent, (one, working)).await, BTreeSet::from([child]));
}

#[tokio::test(start_paused = true)]
async fn what_somebody_has_ordered_before_it_is_offered_is_not_withdrawn() {
    let world = World::of_families();
    let gates = || ["a", "b", "c"].map(|name| world.gate(name, Scripted::exits(0)));
    let _first = gates();
    let (parent, one, working) = shared(&world, &StopHub::default()).await;
    assert_eq!(left(&world, parent, (one, working)).await, BTreeSet::new());
    let child = orders_too(&world, parent, "c").await;
    let _again = gates();
    let two = world.process(2);
    let parts = DriverParts { places: Arc::new(MemoryPlaces::new(1)), ..two.parts.clone() };
    let driver = PhaseDriver::new(parts).sharing(world.store.orders());
    let retrying = tokio::spawn(async move { driver.retry(parent, PLAINLY).await });
    pass(Duration::from_secs(20)).await;
    assert_eq!(world.store.orders().list().await.expect("read").len(), 2, "that of the person, and an offer");
    two.stop.stop();
    assert!(retrying.await.expect("no panic").is_err(), "it was stopped");
    let open = world.store.orders().list().await.expect("read");
    assert_eq!(open.iter().map(|order| order.wanted.plan).collect::<Vec<_>>(), [child]);
}

async fn ordered(world: &World) -> BTreeSet<PlanId> {
    let open = world.store.orders().list().await.expect("read");
    open.into_iter().map(|order| order.wanted.plan).collect()
}

/// Three children and one place, and no worker that takes up what is offered. The first comes to its end; of the
/// two that were offered meanwhile, and which a person may have ordered, too, one has its place then, and the
/// other is offered again. Then all is stopped. The children that are ordered still, and the one that ran last.
async fn offered_twice(world: &World, a_person_orders: bool) -> (BTreeSet<PlanId>, PlanId) {
    let gates = ["a", "b", "c"].map(|name| world.gate(name, Scripted::exits(0)));
    let one = world.process(1);
    let parts = DriverParts { places: Arc::new(MemoryPlaces::new(1)), ..one.parts.clone() };
    let driver = PhaseDriver::new(parts).sharing(world.store.orders());
    let order = world.family_order(once(Mode::Parallel), items(&["a", "b", "c"]));
    let driving = tokio::spawn(async move { driver.run(order, false, PLAINLY).await });
    pass(Duration::from_secs(20)).await;
    let (parent, offered) = (world.root().await.id, ordered(world).await);
    assert_eq!((world.runner.running(), offered.len()), (1, 2), "there is one place");
    let names = ["a", "b", "c"];
    for (name, gate) in names.into_iter().zip(gates) {
        match offered.contains(&world.child(parent, name).await.id) {
            true if a_person_orders => drop(orders_too(world, parent, name).await),
            true => {}
            false => gate.open(),
        }
    }
    pass(Duration::from_secs(20)).await;
    assert_eq!((world.runner.running(), world.started().len()), (1, 2), "the next one has the place");
    let children = world.below(parent).await.into_iter();
    let runs = children.map(|child| (child.id, child.state())).find(|(_, state)| *state == State::Processing);
    one.stop.stop();
    assert!(driving.await.expect("no panic").is_err(), "it was stopped");
    (ordered(world).await, runs.expect("it runs").0)
}

#[tokio::test(start_paused = true)]
async fn what_somebody_orders_between_two_offers_is_not_withdrawn() {
    let world = World::of_families();
    let (left, _) = offered_twice(&world, true).await;
    assert_eq!(left.len(), 2, "whether it has begun here or not");
}

#[tokio::test(start_paused = true)]
async fn what_is_offered_twice_and_wanted_by_nobody_else_is_withdrawn() {
    let world = World::of_families();
    let (left, ran) = offered_twice(&world, false).await;
    assert_eq!(left, BTreeSet::from([ran]), "only what has begun here");
}

#[tokio::test(start_paused = true)]
async fn a_child_that_there_is_no_room_for_is_run_by_another_worker() {
    let world = World::of_families();
    let gates = ["a", "b", "c"].map(|name| world.gate(name, Scripted::exits(0)));
    let (orders, drain) = (world.store.orders(), StopHub::default());
    let (parent, _one, first) = shared(&world, &drain).await;
    let two = world.process(2);
    let second = works(&world, &two, 2, &drain);
    pass(Duration::from_secs(20)).await;
    assert_eq!(world.runner.running(), 2, "each runs one");
    gates.iter().for_each(agents_infrastructure::scripted::Gate::open);
    pass(Duration::from_mins(2)).await;
    let done = world.load(parent).await;
    assert_eq!(at(&done), (Phase::Execute, State::Complete), "{:?}", done.failure);
    assert_eq!(world.states(parent).await, [State::Applied; 3]);
    assert_eq!(world.started().len(), 3, "each ran once");
    let mut drivers = BTreeSet::new();
    for child in world.below(parent).await {
        drivers.extend(world.events(child.id).await.into_iter().filter_map(|event| match event.change {
            Change::PhaseStarted { driver, .. } => Some(driver.pid),
            _ => None,
        }));
    }
    assert_eq!(drivers, BTreeSet::from([1, 2]), "by either");
    assert_eq!(orders.list().await, Ok(vec![]), "no offer stays");
    drain.stop();
    first.await.expect("no panic");
    second.await.expect("no panic");
    world.check_tree(parent).await;
}
