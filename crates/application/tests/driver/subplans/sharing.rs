//! Children that other workers run, because their scheduler has no room.

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agents_application::StopHub;
use agents_application::driver::DriverParts;
use agents_application::worker::{Terms, Unseen, WorkerParts, WorkerService};
use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Phase, State};
use agents_domain::subplan::Mode;
use agents_infrastructure::places::MemoryPlaces;
use agents_infrastructure::scripted::Scripted;
use tokio::task::JoinHandle;

use super::tree::{items, once};
use crate::world::{Process, World, at, pass};

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
