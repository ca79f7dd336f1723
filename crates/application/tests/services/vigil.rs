//! Waiting for a plan: its end, its limit, and what is told meanwhile.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::observer::{Observer, Unobserved};
use agents_application::vigil::{Awaited, Vigil, VigilParts};
use agents_application::{PlanLifecycleService, Wait};
use agents_domain::id::{Ids as _, OwnerId, PlanId};
use agents_domain::lock::{Liveness, LockKey};
use agents_domain::plan::State;
use agents_domain::reads::PlanView;
use tokio::task::JoinHandle;

use crate::support::World;

/// Counts how often it is told that nobody drives the plan, and says so to whoever listens.
#[derive(Default)]
struct Told(Mutex<u32>, tokio::sync::Notify);

impl Observer for Told {
    fn undriven(&self, _plan: &PlanView) {
        *self.0.lock().expect("unpoisoned") += 1;
        self.1.notify_one();
    }
}

impl Told {
    fn times(&self) -> u32 {
        *self.0.lock().expect("unpoisoned")
    }
}

fn vigil(world: &World) -> Vigil {
    Vigil::new(VigilParts {
        reads: world.store.reads(),
        pulse: world.store.pulse(),
        orders: world.store.orders(),
        processes: world.processes(9),
        clock: world.clock.clone(),
        owner: OwnerId::from(world.ids.ulid()),
        tick: Duration::from_millis(250),
    })
}

type Keeping = JoinHandle<Result<Awaited, agents_domain::plan::StoreError>>;

fn keep(
    world: &World,
    plan: PlanId,
    wanted: Option<State>,
    limit: Option<Duration>,
    told: Arc<Told>,
) -> Keeping {
    let vigil = vigil(world);
    tokio::spawn(async move { vigil.keep(plan, wanted, limit, &*told).await })
}

/// The time of many looks passes, on the paused clock of the runtime.
async fn many_looks() {
    for _ in 0..100 {
        tokio::time::advance(Duration::from_millis(250)).await;
        tokio::task::yield_now().await;
    }
}

/// Strategize, execute: as far as the level lets it.
async fn execute(driver: &PlanLifecycleService, plan: PlanId) {
    driver.complete(plan, BTreeMap::new(), None, Vec::new()).await.expect("strategized");
    driver.execute(plan).await.expect("ordered");
    driver.start(plan, BTreeMap::new(), false).await.expect("started");
    driver.complete(plan, BTreeMap::new(), None, Vec::new()).await.expect("executed");
}

/// The base commit that a first start seals.
pub(crate) fn bases() -> BTreeMap<agents_domain::name::Name, agents_domain::oid::Oid> {
    let name = agents_domain::name::Name::parse("api").expect("valid");
    BTreeMap::from([(name, agents_domain::oid::Oid::parse(&"a".repeat(40)).expect("valid"))])
}

#[tokio::test(start_paused = true)]
async fn a_wait_ends_when_the_plan_rests_and_not_before_its_driver_has_gone() {
    let world = World::new();
    let (plan, driver, told) = (world.plan().await, world.lifecycle(1), Arc::new(Told::default()));
    let hold = driver.locks().acquire(vec![LockKey::Plan(plan)], "run", Wait::No, &Unobserved).await;
    driver.start(plan, bases(), false).await.expect("started");
    let waiting = keep(&world, plan, None, None, told.clone());
    execute(&driver, plan).await;
    many_looks().await;
    assert!(!waiting.is_finished(), "its driver may go on to apply");
    hold.expect("free").release().await.expect("released");
    let Awaited::Reached(view) = waiting.await.expect("no panic").expect("read") else { panic!("not there") };
    assert_eq!((view.record.state(), told.times()), (State::Complete, 0));
}

#[tokio::test(start_paused = true)]
async fn a_state_is_reached_while_its_driver_is_at_it() {
    let world = World::new();
    let (plan, driver) = (world.plan().await, world.lifecycle(1));
    let waiting = keep(&world, plan, Some(State::Processing), None, Arc::default());
    driver.start(plan, bases(), false).await.expect("started");
    let awaited = waiting.await.expect("no panic").expect("read");
    assert!(matches!(awaited, Awaited::Reached(view) if view.record.state() == State::Processing));
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_rests_elsewhere_ends_the_wait() {
    let world = World::new();
    let (plan, driver) = (world.plan().await, world.lifecycle(1));
    let waiting = keep(&world, plan, Some(State::Applied), None, Arc::default());
    driver.cancel(plan, None, false, Vec::new()).await.expect("cancelled");
    let awaited = waiting.await.expect("no panic").expect("read");
    assert!(matches!(awaited, Awaited::Elsewhere(view) if view.record.state() == State::Cancelled));
}

#[tokio::test(start_paused = true)]
async fn a_limit_ends_the_wait_at_its_very_end() {
    let world = World::new();
    let (plan, told) = (world.plan().await, Arc::new(Told::default()));
    let waiting = keep(&world, plan, None, Some(Duration::from_secs(7)), told.clone());
    told.1.notified().await;
    world.clock.advance(Duration::from_millis(6_999));
    many_looks().await;
    assert!(!waiting.is_finished());
    world.clock.advance(Duration::from_millis(1));
    assert!(matches!(waiting.await.expect("no panic").expect("read"), Awaited::TimedOut(_)));
    assert_eq!(told.times(), 1, "told once");
}

#[tokio::test(start_paused = true)]
async fn a_driver_that_dies_without_a_word_is_noticed() {
    let world = World::new();
    let (plan, driver, told) = (world.plan().await, world.lifecycle(1), Arc::new(Told::default()));
    let hold = driver.locks().acquire(vec![LockKey::Plan(plan)], "run", Wait::No, &Unobserved).await;
    driver.start(plan, bases(), false).await.expect("started");
    let waiting = keep(&world, plan, None, None, told.clone());
    many_looks().await;
    assert_eq!(told.times(), 0);
    world.census.says(1, Liveness::Dead);
    told.1.notified().await;
    world.census.says(1, Liveness::Alive);
    hold.expect("held").release().await.expect("released");
    waiting.abort();
}

#[tokio::test]
async fn a_plan_that_is_not_there_is_missing() {
    let world = World::new();
    let plan = PlanId::from(world.ids.ulid());
    assert_eq!(vigil(&world).keep(plan, None, None, &Unobserved).await, Ok(Awaited::Missing));
}

#[tokio::test(start_paused = true)]
async fn a_plan_is_shown_again_when_it_has_moved_and_not_before_until_it_rests() {
    let world = World::new();
    let (plan, driver) = (world.plan().await, world.lifecycle(1));
    let stages = Arc::new(Mutex::new(Vec::new()));
    let (vigil, seen) = (vigil(&world), stages.clone());
    let following = tokio::spawn(async move {
        let show = |view: &PlanView, below: &[PlanView]| {
            assert!(below.is_empty());
            seen.lock().expect("unpoisoned").push(view.record.state());
            ControlFlow::Continue(())
        };
        vigil.follow(plan, &Unobserved, show).await
    });
    tokio::time::advance(Duration::from_millis(250)).await;
    driver.cancel(plan, None, false, Vec::new()).await.expect("cancelled");
    let followed = following.await.expect("no panic").expect("read");
    assert!(matches!(followed, Awaited::Reached(view) if view.record.state() == State::Cancelled));
    let stages = stages.lock().expect("unpoisoned");
    assert_eq!((stages.first(), stages.last()), (Some(&State::Queued), Some(&State::Cancelled)));
}

#[tokio::test]
async fn whoever_looks_away_ends_the_watch() {
    let world = World::new();
    let plan = world.plan().await;
    let mut looks = 0;
    let look_away = |_: &PlanView, _: &[PlanView]| {
        looks += 1;
        ControlFlow::Break(())
    };
    let followed = vigil(&world).follow(plan, &Unobserved, look_away).await.expect("read");
    assert!(matches!(followed, Awaited::Reached(view) if view.record.state() == State::Queued));
    assert_eq!(looks, 1);
    let nobody = PlanId::from(world.ids.ulid());
    let missing = vigil(&world).follow(nobody, &Unobserved, |_, _| ControlFlow::Continue(())).await;
    assert_eq!(missing, Ok(Awaited::Missing));
}
