//! Being stopped: by a lost lock, by a request to end, by a second one, and by being dropped.

use agents_application::driver::DriveError;
use agents_application::lock_service::Wait;
use agents_application::observer::Unobserved;
use agents_application::{LifecycleError, StopHub};
use agents_domain::action::ValidationSpec;
use agents_domain::id::PlanId;
use agents_domain::lock::{LockFilter, LockKey};
use agents_domain::plan::{Phase, State};
use agents_domain::runner::StopCause;
use agents_infrastructure::scripted::{Gate, Scripted};
use rstest::rstest;
use tokio::task::JoinHandle;

use crate::fuse::Fuse;
use crate::world::{Outcome, PLAINLY, Ports, Process, World, at, code, program, settle};

/// A new plan, and its execute, driven until its command runs.
async fn running(world: &World, process: &Process, command: Scripted) -> (PlanId, JoinHandle<Outcome>) {
    let gate = Gate::default();
    world.runner.on("execute", command.behind(&gate));
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    gate.reached().await;
    (plan, driving)
}

#[tokio::test]
async fn a_lock_lost_during_a_command_stops_it_and_nothing_is_written() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = running(&world, &process, Scripted::exits(0)).await;
    let before = (world.events(plan).await, world.workspace.calls("snapshot"));
    world.evict(&LockKey::Plan(plan));
    world.clock.advance(std::time::Duration::from_secs(100));
    process.locks.beat().await;
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::LeaseLost }));
    assert_eq!((world.events(plan).await, world.workspace.calls("snapshot")), before);
    let plan = world.process(2).driver.recover(plan).await.expect("recovered");
    assert_eq!((at(&plan), code(&plan)), ((Phase::Execute, State::Errored), "owner_died"));
    world.check(plan.id).await;
}

#[tokio::test]
async fn who_does_not_know_yet_that_its_lock_was_broken_writes_nothing_either() {
    let world = World::new();
    let breaker = world.clone();
    world.workspace.before("snapshot", 1, move |workspace| {
        breaker.evict(&LockKey::Plan(workspace.opened()[0].plan));
        Ok(())
    });
    let process = world.process(1);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let lost = process.driver.execute(plan).await;
    assert_eq!(lost, Err(DriveError::Lifecycle(LifecycleError::LeaseLost { plan })));
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Processing));
    world.process(2).driver.recover(plan).await.expect("recovered");
    world.check(plan).await;
}

#[tokio::test]
async fn an_attempt_that_ended_under_a_lost_lock_is_left_to_the_next_holder() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = running(&world, &process, Scripted::exits(0).deaf()).await;
    world.evict(&LockKey::Plan(plan));
    world.clock.advance(std::time::Duration::from_secs(100));
    process.locks.beat().await;
    process.stop.stop();
    process.stop.stop();
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan, cause: StopCause::LeaseLost }));
    assert_eq!(world.workspace.calls("snapshot"), 0, "its directory is another's by now");
    world.process(2).driver.recover(plan).await.expect("recovered");
    assert_eq!(world.workspace.directories().0, 0);
    world.check(plan).await;
}

#[rstest]
#[case(1, false, StopCause::Shutdown)]
#[case(2, true, StopCause::Escalated)]
#[tokio::test]
async fn a_request_to_end_is_recorded_as_an_interruption(
    #[case] requests: u32,
    #[case] deaf: bool,
    #[case] cause: StopCause,
) {
    let world = World::new();
    let process = world.process(1);
    let command = if deaf { Scripted::exits(0).deaf() } else { Scripted::exits(0) };
    let (plan, driving) = running(&world, &process, command).await;
    for _ in 0..requests {
        settle().await;
        assert!(!driving.is_finished());
        process.stop.stop();
    }
    assert_eq!(driving.await.expect("no panic"), Err(DriveError::Stopped { plan, cause }));
    let stored = world.load(plan).await;
    assert_eq!((at(&stored), code(&stored)), ((Phase::Execute, State::Errored), "shutdown"));
    assert_eq!(world.workspace.directories().0, 0, "what was there is in a snapshot");
    world.check(plan).await;
}

#[tokio::test]
async fn a_driver_that_is_dropped_lets_go_of_everything() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = running(&world, &process, Scripted::exits(0)).await;
    driving.abort();
    assert!(driving.await.expect_err("aborted").is_cancelled());
    assert_eq!(world.runner.running(), 0);
    // The heartbeat thread works through its messages in order: after this beat it has released.
    process.locks.beat().await;
    assert_eq!(world.store.locks().list(&LockFilter::default()).await, Ok(vec![]));
    let plan = world.process(2).driver.recover(plan).await.expect("recovered");
    assert_eq!(plan.state(), State::Errored);
    world.check(plan.id).await;
}

#[tokio::test]
async fn a_release_that_is_dropped_half_way_is_made_up_for() {
    let (world, fuse) = (World::new(), Fuse::of(u32::MAX));
    let ports = Ports { heartbeat: world.store.locks(), ..world.ports().fused(&fuse) };
    let process = world.process_on(1, ports);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let hold = process.driver.lifecycle().hold(plan, "test", Wait::No).await.expect("free");
    fuse.blow();
    tokio::select! {
        biased;
        _ = hold.release() => panic!("the store does not answer"),
        () = settle() => {}
    }
    process.locks.beat().await;
    world.check(plan).await;
}

#[tokio::test]
async fn who_asks_again_right_after_a_drop_gets_a_term_of_its_own() {
    let world = World::new();
    let process = world.process(1);
    let lifecycle = process.driver.lifecycle();
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    for _ in 0..100 {
        let dropped = lifecycle.hold(plan, "test", Wait::No).await.expect("free");
        let term = dropped.fence().token();
        drop(dropped);
        let hold = lifecycle.hold(plan, "test", Wait::No).await.expect("ours");
        assert!(hold.fence().token() > term);
        process.locks.beat().await;
        lifecycle.prompt(plan, "go on".into()).await.expect("the lock is still there");
        hold.release().await.expect("released");
    }
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_waiting_for_a_project_changes_nothing() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let (process, rival) = (world.process(1), world.process(2));
    let key = LockKey::Project(world.projects[0].name.clone());
    let held = rival.locks.acquire(vec![key], "plan apply", Wait::No, &Unobserved).await.expect("free");
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    while !process.notes.have("waiting for project/local/api") {
        tokio::task::yield_now().await;
    }
    process.stop.stop();
    let cause = StopCause::Shutdown;
    assert_eq!(driving.await.expect("no panic"), Err(DriveError::Stopped { plan, cause }));
    assert_eq!(at(&world.load(plan).await), (Phase::Apply, State::Queued));
    assert_eq!((world.workspace.moves(), world.workspace.calls("merge")), (vec![], 0));
    held.release().await.expect("released");
    assert_eq!(rival.driver.apply(plan, PLAINLY).await.expect("driven").state(), State::Applied);
    world.check(plan).await;
}

#[tokio::test]
async fn who_was_asked_to_end_does_not_take_a_project_that_is_free() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let process = world.process(1);
    process.stop.stop();
    assert!(matches!(process.driver.apply(plan, PLAINLY).await, Err(DriveError::Stopped { .. })));
    assert_eq!(world.workspace.calls("merge"), 0);
    world.check(plan).await;
}

async fn stopped_in_validation(
    stop: impl FnOnce(&World, &Process, &StopHub, PlanId),
) -> (World, PlanId, Outcome) {
    let world = World::new();
    let executed = world.executed(|action| {
        let (name, program, timeout) = ("lint".to_owned(), program(), None);
        action.validations = vec![ValidationSpec { name, program, timeout, required: true }];
    });
    let plan = Box::pin(executed).await;
    let (gate, process) = (Gate::default(), world.process(1));
    world.runner.on("validation lint", Scripted::exits(0).behind(&gate));
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    gate.reached().await;
    stop(&world, &process, &process.stop, plan);
    process.locks.beat().await;
    let outcome = driving.await.expect("no panic");
    assert_eq!((world.workspace.moves(), world.workspace.directories()), (vec![], (0, 0)));
    (world, plan, outcome)
}

#[tokio::test]
async fn a_validation_that_is_stopped_moves_nothing() {
    let (world, plan, outcome) = stopped_in_validation(|_, _, stop, _| stop.stop()).await;
    assert_eq!(outcome, Err(DriveError::Stopped { plan, cause: StopCause::Shutdown }));
    let stored = world.load(plan).await;
    assert_eq!((at(&stored), code(&stored)), ((Phase::Apply, State::Errored), "shutdown"));
    let plan = world.process(2).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!(plan.state(), State::Applied);
    world.check(plan.id).await;
}

#[tokio::test]
async fn a_validation_under_a_lost_lock_records_nothing() {
    let (world, plan, outcome) = stopped_in_validation(|world, _, _, plan| {
        world.evict(&LockKey::Plan(plan));
        world.clock.advance(std::time::Duration::from_secs(100));
    })
    .await;
    assert_eq!(outcome, Err(DriveError::Stopped { plan, cause: StopCause::LeaseLost }));
    assert_eq!(at(&world.load(plan).await), (Phase::Apply, State::Processing));
    world.process(2).driver.recover(plan).await.expect("recovered");
    world.check(plan).await;
}
