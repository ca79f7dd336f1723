//! Exit 75: parked until a person answers, until a time, or tried again by the action's policy; and
//! the pauses between attempts, on a clock moved by hand.

use std::time::Duration;

use agents_application::driver::DriveError;
use agents_application::{LifecycleError, PhaseDriver};
use agents_domain::action::RetryPolicy;
use agents_domain::files::{Later, When};
use agents_domain::id::PlanId;
use agents_domain::plan::{Parked, Phase, Plan, State};
use agents_domain::request::Wish;
use agents_domain::runner::StopCause;
use agents_domain::time::Timestamp;
use rstest::rstest;
use tokio::task::JoinHandle;

use crate::world::{Outcome, PLAINLY, Process, World, at, code, fails, settle};

const PAUSE: Duration = Duration::from_secs(10);

fn policy(max_attempts: u32, on_exit: Vec<i32>) -> RetryPolicy {
    RetryPolicy { max_attempts, on_exit, backoff: Some(PAUSE) }
}

async fn run(world: &World, retry: Option<RetryPolicy>) -> Plan {
    let order = world.order(|action| action.execute.as_mut().expect("there").retry = retry);
    let plan = world.process(1).driver.run(order, false, PLAINLY).await.expect("no error of the driver");
    world.check(plan.id).await;
    plan
}

fn question() -> Later {
    Later::Answer { question: "which one?".to_owned() }
}

fn time(when: When, reason: Option<&str>) -> Later {
    Later::Time { when, reason: reason.map(str::to_owned) }
}

#[rstest]
#[case::nothing_said(None, 65_000, "execute asked to be run again later (exit 75)")]
#[case::no_time_said(Some(time(When::Unsaid, Some("too hot"))), 65_000, "too hot")]
#[case::a_pause(Some(time(When::In(PAUSE), None)), 15_000, "execute asked to be run again later (exit 75)")]
#[case::a_moment(Some(time(When::At(Timestamp::from_millis(7)), Some("night"))), 7, "night")]
#[tokio::test]
async fn exit_75_parks_until_a_time(#[case] said: Option<Later>, #[case] until: i64, #[case] cause: &str) {
    let world = World::new();
    world.clock.set_wall(Timestamp::from_millis(5000));
    world.runner.on("execute", fails(75));
    world.files.commands_say(said);
    let plan = run(&world, None).await;
    assert_eq!(at(&plan), (Phase::Execute, State::Queued));
    let until = Some(Timestamp::from_millis(until));
    assert_eq!(plan.parked, Some(Parked { until, input: None, cause: cause.to_owned() }));
    // An order is an order, however early.
    let plan = world.process(2).driver.execute(plan.id).await.expect("driven");
    assert_eq!((at(&plan), plan.parked.clone()), ((Phase::Execute, State::Complete), None));
    world.check(plan.id).await;
}

#[tokio::test]
async fn a_question_parks_until_it_is_answered() {
    let world = World::new();
    world.runner.on("execute", fails(75));
    world.files.commands_say(Some(question()));
    let plan = run(&world, None).await;
    assert_eq!(plan.parked.as_ref().and_then(|parked| parked.input.as_deref()), Some("which one?"));
    assert_eq!(plan.parked.as_ref().and_then(|parked| parked.until), None);
    let process = world.process(2);
    let refused = process.driver.execute(plan.id).await.expect_err("an answer is owed");
    let DriveError::Lifecycle(LifecycleError::Refused(refusal)) = refused else { panic!("{refused}") };
    assert!(refusal.remedy.clone().expect("a remedy").starts_with("agents plan prompt "), "{refusal:?}");
    assert_eq!(world.runner.purposes().len(), 1, "nothing ran");
    let retried = process.driver.retry(plan.id, PLAINLY).await.expect_err("it is not a failure");
    let DriveError::Lifecycle(LifecycleError::Refused(refusal)) = retried else { panic!("{retried}") };
    assert!(refusal.remedy.clone().expect("a remedy").starts_with("agents plan prompt "), "{refusal:?}");
    process.driver.lifecycle().prompt(plan.id, "the first".into()).await.expect("answered");
    let plan = process.driver.execute(plan.id).await.expect("driven");
    assert_eq!((plan.state(), plan.guidance.clone()), (State::Complete, vec!["the first".to_owned()]));
    world.check(plan.id).await;
}

#[tokio::test]
async fn setup_may_ask_too() {
    let world = World::new();
    world.runner.on("setup", fails(75));
    world.files.commands_say(Some(question()));
    let order = world.order(|action| action.worktree.setup = Some(crate::world::program()));
    let plan = world.process(1).driver.run(order, false, PLAINLY).await.expect("driven");
    assert_eq!(plan.parked.as_ref().map(|p| p.cause.as_str()), Some("setup needs an answer (exit 75)"));
    world.check(plan.id).await;
}

#[rstest]
#[case(true)]
#[case(false)]
#[tokio::test]
async fn what_was_said_and_not_understood_is_told(#[case] unreadable: bool) {
    let world = World::new();
    world.runner.on("execute", fails(75));
    world.files.commands_mumble("1 line was ignored");
    world.files.breaks(unreadable.then_some("said"));
    let process = world.process(1);
    let plan = process.driver.run(world.order(|_| ()), false, PLAINLY).await.expect("driven");
    assert!(plan.parked.is_some());
    let told = if unreadable { "what execute said cannot be read" } else { "1 line was ignored" };
    assert!(process.notes.have(told));
}

#[tokio::test]
async fn a_question_is_no_matter_for_the_policy_and_neither_is_a_time() {
    for said in [question(), time(When::In(PAUSE), None)] {
        let world = World::new();
        world.runner.on("execute", fails(75));
        world.files.commands_say(Some(said));
        let plan = run(&world, Some(policy(3, vec![75]))).await;
        assert_eq!((plan.parked.is_some(), world.runner.purposes().len()), (true, 1));
    }
}

#[rstest]
#[case::not_named(vec![], 1)]
#[case::another_is_named(vec![3], 1)]
#[case::named(vec![3, 75], 2)]
#[tokio::test]
async fn a_bare_75_is_tried_again_where_the_policy_names_it_and_parks_in_the_end(
    #[case] on_exit: Vec<i32>,
    #[case] attempts: usize,
) {
    let world = World::new();
    world.runner.on("execute", fails(75));
    world.runner.on("execute", fails(75));
    let retry = RetryPolicy { max_attempts: 2, on_exit, backoff: None };
    let plan = run(&world, Some(retry)).await;
    assert_eq!((plan.state(), plan.parked.is_some()), (State::Queued, true));
    assert_eq!(world.runner.purposes().len(), attempts);
}

/// A plan whose command fails, and its driver, which pauses before the next attempt.
async fn pausing(
    world: &World,
    process: &Process,
    failures: u32,
    pause: Duration,
) -> (PlanId, JoinHandle<Outcome>) {
    for _ in 0..failures {
        world.runner.on("execute", fails(3));
    }
    let retry = RetryPolicy { backoff: Some(pause), ..policy(4, vec![3]) };
    let order = world.order(|action| action.execute.as_mut().expect("there").retry = Some(retry));
    let plan = process.driver.create(order).await.expect("made").id;
    let driver: PhaseDriver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    while !process.notes.have("waits until") {
        tokio::task::yield_now().await;
    }
    (plan, driving)
}

#[tokio::test(start_paused = true)]
async fn pauses_grow_twofold_and_are_waited_for_with_the_hold_and_without_a_place() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = pausing(&world, &process, 2, PAUSE).await;
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Queued));
    assert!(process.notes.have(&format!("attempt 3 of {plan} waits until 10000")));
    let census = agents_domain::places::Places::census(&world.places).await.expect("read");
    assert_eq!(census.taken, []);
    let rival = world.process(2).driver.execute(plan).await.expect_err("it is held");
    assert!(matches!(rival, DriveError::Lifecycle(LifecycleError::Lock { .. })), "{rival}");
    // However long the runtime's own time goes on, it is the clock that counts.
    tokio::time::advance(Duration::from_hours(1)).await;
    settle().await;
    assert_eq!(world.runner.purposes().len(), 1);
    world.clock.advance(PAUSE);
    while !process.notes.have("attempt 4 of") {
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(1)).await;
    }
    assert!(process.notes.have("waits until 30000"), "20 seconds after the first 10");
    world.clock.advance(2 * PAUSE);
    let plan = driving.await.expect("no panic").expect("driven");
    assert_eq!((plan.state(), plan.attempt, world.runner.purposes().len()), (State::Complete, 4, 3));
    let attempts = ["phase_started", "phase_failed", "retried"].map(|name| format!("plan.{name}"));
    let log = world.log(plan.id).await;
    assert_eq!(log[4..10], [&attempts[..], &attempts[..]].concat());
    world.check(plan.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_stop_during_a_pause_leaves_the_plan_queued() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = pausing(&world, &process, 1, PAUSE).await;
    process.stop.stop();
    let cause = StopCause::Shutdown;
    assert_eq!(driving.await.expect("no panic"), Err(DriveError::Stopped { plan, cause }));
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Queued));
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_cancel_during_a_pause_is_served_at_once() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = pausing(&world, &process, 1, PAUSE).await;
    let asker = world.process(2);
    let key = agents_domain::lock::LockKey::Plan(plan);
    asker.locks.ask(key, Wish::Cancel { keep_landed: false }, None).await.expect("asked");
    process.locks.beat().await;
    let cause = StopCause::Cancelled;
    assert_eq!(driving.await.expect("no panic"), Err(DriveError::Stopped { plan, cause }));
    assert_eq!(world.load(plan).await.state(), State::Cancelled);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_lock_lost_during_a_pause_ends_it_and_nothing_is_written() {
    let world = World::new();
    let process = world.process(1);
    let (plan, driving) = pausing(&world, &process, 1, Duration::from_hours(1)).await;
    let before = world.events(plan).await;
    world.evict(&agents_domain::lock::LockKey::Plan(plan));
    world.clock.advance(Duration::from_secs(100));
    process.locks.beat().await;
    let outcome = driving.await.expect("no panic");
    assert!(
        matches!(outcome, Err(DriveError::Stopped { cause: StopCause::LeaseLost, .. })),
        "nothing is started: {outcome:?}"
    );
    assert_eq!(world.events(plan).await, before);
    assert_eq!(code(&world.load(plan).await), "none");
}
