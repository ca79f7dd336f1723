//! Children that fail: their attempts, and what it means to the others and to their parent.

use agents_domain::action::SubplanSpec;
use agents_domain::plan::{Phase, State};
use agents_domain::subplan::{GivenUp, Mode, Settings};
use agents_infrastructure::scripted::Scripted;
use rstest::rstest;

use super::tree::{item, item_of, items, once};
use crate::world::{World, at, code, fails, settle};

#[rstest]
#[case(0, 1, State::Applied)]
#[case(1, 2, State::Applied)]
#[case(2, 3, State::Applied)]
#[case(3, 3, State::Errored)]
#[tokio::test]
async fn a_child_has_one_attempt_more_than_retries(
    #[case] failures: usize,
    #[case] attempts: usize,
    #[case] end: State,
) {
    let world = World::of_families();
    for _ in 0..failures {
        world.runner.on_plan("a", "execute", fails(3));
    }
    let settings = Settings { max_retries: 2, ..Settings::default() };
    let parent = world.drive_family(&world.process(1), settings, items(&["a"])).await;
    assert_eq!((world.states(parent.id).await, world.started().len()), (vec![end], attempts));
    let child = world.child(parent.id, "a").await;
    let log = world.log(child.id).await;
    assert_eq!(
        log.iter().filter(|event| **event == "plan.phase_failed").count(),
        failures,
        "each is visible"
    );
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn what_could_only_fail_again_is_not_tried_again() {
    let world = World::of_families();
    world.store_action("nest", |action| {
        action.execute = None;
        action.subplans = Some(SubplanSpec { settings: once(Mode::Parallel), items: items(&["leaf"]) });
    });
    world.runner.on_plan("leaf", "execute", fails(3));
    let settings = Settings { max_retries: 5, ..Settings::default() };
    let parent = world.drive_family(&world.process(1), settings, vec![item_of("a", "nest", &[])]).await;
    assert_eq!((world.started().len(), world.states(parent.id).await), (1, vec![State::Errored]));
    assert_eq!(code(&parent), "subplans_failed");
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn after_a_failure_the_parent_names_it_and_the_way_on_and_what_follows_is_skipped() {
    let world = World::of_families();
    world.runner.on_plan("b", "execute", fails(3));
    let wanted = [item("a", &[]), item("b", &[]), item("c", &["b"]), item("d", &["c"]), item("e", &["a"])];
    let parent = world.drive_family(&world.process(1), once(Mode::Dependency), wanted.into()).await;
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "subplans_failed"));
    let failure = parent.failure.clone().expect("said");
    assert_eq!(failure.hint, Some(format!("agents plan retry {} --only-failed", parent.id)));
    assert_eq!(failure.message, "1 of 5 subplans failed: `b`; given up because of that: `c`, `d`");
    let (applied, errored, cancelled) = (State::Applied, State::Errored, State::Cancelled);
    assert_eq!(world.states(parent.id).await, [applied, errored, cancelled, cancelled, applied]);
    for name in ["c", "d"] {
        let child = world.child(parent.id, name).await;
        let subplan = child.subplan.clone().expect("it is one");
        assert_eq!(subplan.given_up, Some(GivenUp::Skipped { by: "b".to_owned() }), "{name}: down the chain");
        assert_eq!(child.cancel_reason.as_deref(), Some("skipped: `b` did not succeed"));
        assert_eq!(child.attempt, 0, "it never began");
    }
    assert!(!world.started().contains(&"c".to_owned()));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn one_after_the_other_stops_at_the_first_failure() {
    let world = World::of_families();
    world.runner.on_plan("b", "execute", fails(3));
    let parent = world.drive_family(&world.process(1), once(Mode::Sequential), items(&["a", "b", "c"])).await;
    assert_eq!(world.states(parent.id).await, [State::Applied, State::Errored, State::Cancelled]);
    assert_eq!(world.started(), ["a", "b"]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn fail_fast_stops_what_runs_and_its_result_is_discarded() {
    let world = World::of_families();
    let (slow, failing) = (world.gate("slow", Scripted::exits(0)), world.gate("bad", fails(3)));
    let settings = Settings { fail_fast: true, max_parallel: 2, ..once(Mode::Parallel) };
    let driving = world.spawn_family(&world.process(1), settings, items(&["slow", "bad", "late"]));
    slow.reached().await;
    failing.reached().await;
    failing.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "subplans_failed"));
    assert_eq!(world.states(parent.id).await, [State::Cancelled, State::Errored, State::Cancelled]);
    for name in ["slow", "late"] {
        let child = world.child(parent.id, name).await;
        let given_up = child.subplan.clone().expect("it is one").given_up;
        assert_eq!(given_up, Some(GivenUp::FailFast { by: "bad".to_owned() }), "{name}");
        assert!(!world.log(child.id).await.contains(&"plan.applied"));
    }
    assert_eq!(world.workspace.moves(), [], "nothing of it is merged");
    assert_eq!(world.started(), ["slow", "bad"]);
    let slow = world.child(parent.id, "slow").await;
    assert!(slow.projects[0].snapshot.is_some(), "what it had done stays in a snapshot");
    world.check_tree(parent.id).await;
}

/// Both commands end before the scheduler hears of either.
#[rstest]
#[case::the_failure_is_heard_first(["bad", "good"], State::Cancelled)]
#[case::the_success_is_heard_first(["good", "bad"], State::Applied)]
#[tokio::test]
async fn what_completes_in_the_moment_of_the_failure_is_never_left_complete(
    #[case] order: [&str; 2],
    #[case] end: State,
) {
    let world = World::of_families();
    let (good, bad) = (world.gate("good", Scripted::exits(0).deaf()), world.gate("bad", fails(3)));
    let settings = Settings { fail_fast: true, ..once(Mode::Parallel) };
    let driving = world.spawn_family(&world.process(1), settings, items(&["good", "bad"]));
    good.reached().await;
    bad.reached().await;
    for name in order {
        let gate = if name == "good" { &good } else { &bad };
        gate.open();
    }
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!((world.child(parent.id, "good").await.state(), code(&parent)), (end, "subplans_failed"));
    world.check_tree(parent.id).await;
}

/// It does not heed the stop, and succeeds after it.
#[tokio::test]
async fn a_success_that_comes_after_the_stop_is_cancelled_too() {
    let world = World::of_families();
    let (good, bad) = (world.gate("good", Scripted::exits(0).deaf()), world.gate("bad", fails(3)));
    let settings = Settings { fail_fast: true, ..once(Mode::Parallel) };
    let driving = world.spawn_family(&world.process(1), settings, items(&["good", "bad"]));
    good.reached().await;
    bad.reached().await;
    bad.open();
    settle().await;
    assert!(!driving.is_finished(), "it waits for what still runs");
    good.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(world.states(parent.id).await, [State::Cancelled, State::Errored]);
    assert_eq!(world.workspace.moves(), []);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn items_that_cannot_be_made_fail_strategize_and_no_child_is_there() {
    let world = World::of_families();
    let wanted = [item("a", &["b"]), item("b", &["a"])];
    let parent = world.drive_family(&world.process(1), once(Mode::Dependency), wanted.into()).await;
    assert_eq!((at(&parent), code(&parent)), ((Phase::Strategize, State::Errored), "subplans"));
    assert_eq!(world.below(parent.id).await, []);
}
