//! Trees that are stopped: cancelled from elsewhere, shut down, out of time.

use std::time::Duration;

use agents_application::driver::DriveError;
use agents_domain::lock::LockKey;
use agents_domain::plan::{Change, Phase, State};
use agents_domain::runner::{Ended, StopCause};
use agents_domain::subplan::{GivenUp, Mode, Settings};
use agents_infrastructure::scripted::Scripted;

use super::tree::{cancelling, item, items, once};
use crate::world::{World, at, code};

#[tokio::test(start_paused = true)]
async fn cancelling_a_parent_from_elsewhere_asks_the_whole_tree_root_first_and_leaves_settle_first() {
    let world = World::of_families();
    let (ada, bob) = (world.process(1), world.process(2));
    let (done, slow) = (world.gate("done", Scripted::exits(0)), world.gate("slow", Scripted::exits(0)));
    let wanted = vec![item("done", &[]), item("slow", &["done"]), item("late", &["slow"])];
    let driving = world.spawn_family(&ada, once(Mode::Dependency), wanted);
    done.open();
    slow.reached().await;
    let root = world.root().await.id;
    let (driver, reason) = (bob.driver.clone(), Some("wrong branch".to_owned()));
    let cancelling = tokio::spawn(async move { driver.cancel(root, reason, false).await });
    while world.asked(root).await.is_empty() {
        tokio::task::yield_now().await;
    }
    let mut ids = Vec::from([world.asked(root).await[0].id]);
    for name in ["slow", "late"] {
        ids.push(world.asked(world.child(root, name).await.id).await[0].id);
    }
    assert!(ids.is_sorted(), "root first: {ids:?}");
    assert_eq!(world.asked(world.child(root, "done").await.id).await, [], "it has settled");
    ada.locks.beat().await;
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan: root, cause: StopCause::Cancelled }));
    let cancelled = cancelling.await.expect("no panic").expect("cancelled");
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(world.states(root).await, [State::Applied, State::Cancelled, State::Cancelled]);
    let slow = world.child(root, "slow").await;
    assert_eq!(slow.cancel_reason.as_deref(), Some("wrong branch"));
    assert!(slow.projects[0].snapshot.is_some(), "its work is kept");
    world.check_answers(root).await;
    let last = |events: Vec<agents_domain::plan::Event>| events.last().expect("one").id;
    let of_root = last(world.events(root).await);
    for child in world.below(root).await {
        assert!(last(world.events(child.id).await) < of_root, "leaves settle first");
    }
    world.check_tree(root).await;
}

#[tokio::test]
async fn cancelling_a_parent_that_nobody_drives_gives_up_all_below_it() {
    let world = World::of_families();
    world.runner.on_plan("b", "execute", Scripted::exits(1));
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a", "b"])).await;
    let cancelled = process.driver.cancel(parent.id, None, false).await.expect("cancelled");
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(world.states(parent.id).await, [State::Applied, State::Cancelled]);
    let reason = world.child(parent.id, "b").await.cancel_reason.clone();
    assert_eq!(reason.as_deref(), Some("its parent was cancelled"));
    world.check_tree(parent.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_a_person_cancels_is_no_failure_and_what_follows_is_skipped() {
    let world = World::of_families();
    let (ada, bob) = (world.process(1), world.process(2));
    let gate = world.gate("a", Scripted::exits(0));
    let wanted = vec![item("a", &[]), item("b", &["a"]), item("c", &[])];
    let driving = world.spawn_family(&ada, once(Mode::Dependency), wanted);
    gate.reached().await;
    let child = world.child(world.root().await.id, "a").await.id;
    let driver = bob.driver.clone();
    let cancelling = tokio::spawn(async move { driver.cancel(child, None, false).await });
    while world.asked(child).await.is_empty() {
        tokio::task::yield_now().await;
    }
    ada.locks.beat().await;
    cancelling.await.expect("no panic").expect("cancelled");
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "it was given up knowingly");
    assert_eq!(world.states(parent.id).await, [State::Cancelled, State::Cancelled, State::Applied]);
    let given_up = |plan: &agents_domain::plan::Plan| plan.subplan.clone().expect("it is one").given_up;
    assert_eq!(given_up(&world.child(parent.id, "a").await), None);
    let by = GivenUp::Skipped { by: "a".to_owned() };
    assert_eq!(given_up(&world.child(parent.id, "b").await), Some(by));
    world.check_tree(parent.id).await;
}

/// A place in an order is no dependency.
#[tokio::test(start_paused = true)]
async fn in_sequence_a_child_that_a_person_cancels_is_passed_over() {
    let world = World::of_families();
    let (ada, bob) = (world.process(1), world.process(2));
    let gate = world.gate("a", Scripted::exits(0));
    let driving = world.spawn_family(&ada, once(Mode::Sequential), items(&["a", "b", "c"]));
    gate.reached().await;
    let child = world.child(world.root().await.id, "a").await.id;
    let cancelling = cancelling(&bob, child);
    while world.asked(child).await.is_empty() {
        tokio::task::yield_now().await;
    }
    ada.locks.beat().await;
    cancelling.await.expect("no panic").expect("cancelled");
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Cancelled, State::Applied, State::Applied]);
    assert_eq!(world.started(), ["a", "b", "c"]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn shutting_down_stops_all_and_records_interruptions_that_do_not_count() {
    let world = World::of_families();
    let process = world.process(1);
    let gates = ["a", "b"].map(|name| world.gate(name, Scripted::exits(0)));
    let driving = world.spawn_family(&process, once(Mode::Parallel), items(&["a", "b"]));
    gates[0].reached().await;
    gates[1].reached().await;
    process.stop.stop();
    let root = world.root().await.id;
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan: root, cause: StopCause::Shutdown }));
    let parent = world.load(root).await;
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "shutdown"));
    for child in world.below(root).await {
        assert_eq!(at(&child), (Phase::Execute, State::Errored));
        assert_eq!(child.subplan.clone().expect("it is one").failures, 0);
    }
    world.check_tree(root).await;
    let parent = world.process(2).driver.retry(root, crate::world::PLAINLY).await.expect("driven");
    assert_eq!(parent.state(), State::Complete, "{:?}", parent.failure);
    assert_eq!(world.states(root).await, [State::Applied; 2]);
    world.check_tree(root).await;
}

#[tokio::test]
async fn the_time_of_a_child_is_that_of_its_parents_action_and_running_out_counts() {
    let world = World::of_families();
    let limit = Duration::from_mins(1);
    world.runner.on_plan("a", "execute", Scripted::ends(Ended::TimedOut));
    let settings = Settings { timeout: Some(limit), max_retries: 1, ..Settings::default() };
    let parent = world.drive_family(&world.process(1), settings, items(&["a"])).await;
    assert_eq!(world.states(parent.id).await, [State::Applied]);
    let limits: Vec<_> = world.runner.invocations().iter().map(|one| one.timeout).collect();
    assert_eq!(limits, [Some(limit); 2], "for each attempt");
    assert_eq!(world.child(parent.id, "a").await.subplan.clone().expect("it is one").failures, 1);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn a_lost_lock_of_the_parent_stops_its_children_and_nothing_is_written_of_it() {
    let world = World::of_families();
    let process = world.process(1);
    let gate = world.gate("a", Scripted::exits(0));
    let driving = world.spawn_family(&process, once(Mode::Parallel), items(&["a"]));
    gate.reached().await;
    let root = world.root().await.id;
    let before = world.events(root).await;
    world.evict(&LockKey::Plan(root));
    world.clock.advance(Duration::from_secs(100));
    process.locks.beat().await;
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan: root, cause: StopCause::LeaseLost }));
    assert_eq!(world.events(root).await, before);
    let child = world.child(root, "a").await;
    assert!(matches!(
        world.events(child.id).await.last().map(|event| event.change.clone()),
        Some(Change::Interrupted { .. })
    ));
    let parent = world.process(2).driver.execute(root).await.expect("carried on");
    assert_eq!((parent.state(), world.states(root).await), (State::Complete, vec![State::Applied]));
    world.check_tree(root).await;
}
