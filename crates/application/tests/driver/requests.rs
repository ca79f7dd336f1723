//! Requests: cancelling a plan that another process drives, and asking its holder to let go.

use std::time::Duration;

use agents_application::driver::DriveError;
use agents_application::lock_service::{BreakError, BreakOrder, Broken};
use agents_application::observer::Unobserved;
use agents_domain::action::ValidationSpec;
use agents_domain::id::PlanId;
use agents_domain::lock::{Liveness, LockKey};
use agents_domain::plan::{Change, Phase, State};
use agents_domain::request::{Request, Wish};
use agents_domain::runner::StopCause;
use agents_infrastructure::scripted::{Gate, Scripted};
use tokio::task::JoinHandle;

use crate::world::{Outcome, PLAINLY, Process, World, at, code, program, settle};

const PATIENCE: Duration = Duration::from_secs(30);

/// A new plan, driven by that process until its command runs.
async fn running(world: &World, process: &Process) -> (PlanId, JoinHandle<Outcome>) {
    let gate = Gate::default();
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    gate.reached().await;
    (plan, driving)
}

/// Another process that asks for the plan to be cancelled; returns once it has asked.
async fn cancelling(world: &World, asker: &Process, plan: PlanId) -> JoinHandle<Outcome> {
    let (driver, reason) = (asker.driver.clone(), Some("wrong branch".to_owned()));
    let cancelling = tokio::spawn(async move { driver.cancel(plan, reason, false).await });
    while asked(world, plan).await.is_empty() {
        tokio::task::yield_now().await;
    }
    cancelling
}

async fn asked(world: &World, plan: PlanId) -> Vec<Request> {
    world.store.requests().history(&LockKey::Plan(plan)).await.expect("read")
}

async fn outcomes(world: &World, plan: PlanId) -> Vec<Option<String>> {
    let all = asked(world, plan).await;
    all.into_iter().map(|request| request.closed.map(|closed| closed.outcome)).collect()
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_another_process_drives_is_cancelled_by_its_driver() {
    let world = World::new();
    let (ada, bob) = (world.process(1), world.process(2));
    let (plan, driving) = running(&world, &ada).await;
    let cancelling = cancelling(&world, &bob, plan).await;
    ada.locks.beat().await;
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::Cancelled }));
    let cancelled = cancelling.await.expect("no panic").expect("cancelled");
    assert_eq!(at(&cancelled), (Phase::Execute, State::Cancelled));
    assert_eq!(cancelled.cancel_reason.as_deref(), Some("wrong branch"));
    let events = world.events(plan).await;
    let Some(Change::Cancelled { work, .. }) = events.last().map(|event| &event.change) else {
        panic!("the last event is another")
    };
    assert_eq!(work.len(), 1, "its work is kept");
    assert_eq!(events.last().and_then(|event| event.owner), Some(ada.locks.owner()), "its driver did it");
    assert_eq!(outcomes(&world, plan).await, [Some("cancelled".to_owned())]);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_does_not_answer_is_named_and_stays_asked() {
    let world = World::new();
    let (ada, bob) = (world.process(1), world.process(2));
    let (plan, driving) = running(&world, &ada).await;
    let cancelling = cancelling(&world, &bob, plan).await;
    world.clock.advance(PATIENCE);
    match cancelling.await.expect("no panic") {
        Err(DriveError::NoAnswer { plan: found, held }) => {
            assert_eq!((found, held.holder.pid), (plan, 1));
        }
        other => panic!("it answered: {other:?}"),
    }
    assert_eq!(outcomes(&world, plan).await, [None]);
    // It thaws: what was asked is served all the same.
    ada.locks.beat().await;
    assert!(driving.await.expect("no panic").is_err());
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Cancelled));
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn the_plan_of_a_dead_holder_is_taken_over_and_cancelled() {
    let world = World::new();
    let (ada, bob) = (world.process(1), world.process(2));
    let (plan, driving) = running(&world, &ada).await;
    let cancelling = cancelling(&world, &bob, plan).await;
    driving.abort();
    world.dies(1);
    let cancelled = cancelling.await.expect("no panic").expect("cancelled");
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(outcomes(&world, plan).await, [Some("cancelled".to_owned())]);
    assert!(world.log(plan).await.contains(&"plan.interrupted"), "its work was put away first");
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_asker_asked_is_served_by_whoever_holds_the_plan_next() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let wish = Wish::Cancel { keep_landed: false };
    let asker = world.process(1);
    asker.locks.ask(LockKey::Plan(plan), wish, Some("asked before".into())).await.expect("stored");
    let stopped = world.process(2).driver.apply(plan, PLAINLY).await;
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::Cancelled }));
    assert_eq!(world.load(plan).await.cancel_reason.as_deref(), Some("asked before"));
    assert!(world.workspace.moves().is_empty(), "nothing landed");
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_plan_that_waits_for_its_project_can_be_cancelled() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let (ada, bob, carl) = (world.process(1), world.process(2), world.process(3));
    let key = LockKey::Project(world.projects[0].name.clone());
    let busy = carl.locks.acquire(vec![key], "test", agents_application::Wait::No, &Unobserved).await;
    let busy = busy.expect("free");
    let driver = ada.driver.clone();
    let landing = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    settle().await;
    let cancelling = cancelling(&world, &bob, plan).await;
    ada.locks.beat().await;
    let stopped = landing.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::Cancelled }));
    let cancelled = cancelling.await.expect("no panic").expect("cancelled");
    assert_eq!(at(&cancelled), (Phase::Apply, State::Cancelled));
    busy.release().await.expect("released");
    world.check(plan).await;
}

fn order(key: LockKey, token: i64, force: bool) -> BreakOrder {
    BreakOrder { key, token, reason: "stuck".to_owned(), force, patience: PATIENCE }
}

#[tokio::test(start_paused = true)]
async fn a_holder_that_is_asked_to_let_go_stops_and_records_it() {
    let world = World::new();
    let (ada, bob) = (world.process(1), world.process(2));
    let (plan, driving) = running(&world, &ada).await;
    let token = ada.locks.list(&agents_domain::lock::LockFilter::default()).await.expect("listed")[0].token;
    let (locks, key) = (bob.locks.clone(), LockKey::Plan(plan));
    let breaking =
        tokio::spawn(async move { locks.break_lock(order(key, token.value(), false), &Unobserved).await });
    while asked(&world, plan).await.is_empty() {
        tokio::task::yield_now().await;
    }
    ada.locks.beat().await;
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::Asked }));
    assert_eq!(breaking.await.expect("no panic"), Ok(Broken::LetGo));
    let stored = world.load(plan).await;
    assert_eq!((at(&stored), code(&stored)), ((Phase::Execute, State::Errored), "asked"));
    assert_eq!(outcomes(&world, plan).await, [Some("let go".to_owned())]);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_is_taken_only_from_the_dead_or_by_force_and_only_at_the_term_that_is_meant() {
    let world = World::new();
    let (ada, bob) = (world.process(1), world.process(2));
    let (plan, driving) = running(&world, &ada).await;
    let key = LockKey::Plan(plan);
    let later = bob.locks.break_lock(order(key.clone(), 9, true), &Unobserved).await;
    assert!(matches!(later, Err(BreakError::MovedOn(held)) if held.token.value() == 2));
    let (locks, of) = (bob.locks.clone(), key.clone());
    let breaking = tokio::spawn(async move { locks.break_lock(order(of, 2, false), &Unobserved).await });
    while asked(&world, plan).await.is_empty() {
        tokio::task::yield_now().await;
    }
    world.clock.advance(PATIENCE);
    assert!(matches!(breaking.await.expect("no panic"), Err(BreakError::NoAnswer(_))));
    assert_eq!(bob.locks.break_lock(order(key.clone(), 2, true), &Unobserved).await, Ok(Broken::Forced));
    assert_eq!(outcomes(&world, plan).await, [Some("broken by force".to_owned())]);
    ada.locks.beat().await;
    let lost = driving.await.expect("no panic");
    assert_eq!(lost, Err(DriveError::Stopped { plan, cause: StopCause::LeaseLost }));
    assert_eq!(bob.locks.break_lock(order(key.clone(), 2, false), &Unobserved).await, Ok(Broken::WasFree));
    let guard = ada.driver.lifecycle().hold(plan, "test", agents_application::Wait::No).await.expect("free");
    world.census.says(1, Liveness::Dead);
    assert_eq!(bob.locks.break_lock(order(key, 3, false), &Unobserved).await, Ok(Broken::Taken));
    drop(guard);
    world.process(4).driver.recover(plan).await.expect("recovered");
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn whoever_holds_a_project_lets_go_of_it_during_its_checks() {
    let world = World::new();
    let gate = Gate::default();
    let check = ValidationSpec { name: "slow".into(), program: program(), required: true, timeout: None };
    let plan = world.executed(|action| action.validations = vec![check]).await;
    world.runner.on("validation slow", Scripted::exits(0).behind(&gate));
    let (ada, bob) = (world.process(1), world.process(2));
    let driver = ada.driver.clone();
    let landing = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    gate.reached().await;
    let (locks, key) = (bob.locks.clone(), LockKey::Project(world.projects[0].name.clone()));
    let of = key.clone();
    let breaking = tokio::spawn(async move { locks.break_lock(order(of, 1, false), &Unobserved).await });
    while world.store.requests().open(&key).await.expect("read").is_empty() {
        tokio::task::yield_now().await;
    }
    ada.locks.beat().await;
    let stopped = landing.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::Asked }));
    assert_eq!(breaking.await.expect("no panic"), Ok(Broken::LetGo));
    let stored = world.load(plan).await;
    assert_eq!((at(&stored), code(&stored)), ((Phase::Apply, State::Errored), "asked"));
    assert!(world.workspace.moves().is_empty(), "nothing landed");
    world.check(plan).await;
}
