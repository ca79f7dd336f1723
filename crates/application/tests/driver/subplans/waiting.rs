//! Children that wait, and children that other processes run; the parent's own command.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::driver::DriveError;
use agents_application::{Order, Wait};
use agents_domain::action::SubplanSpec;
use agents_domain::files::{Later, When};
use agents_domain::places::{Occupant, Places as _};
use agents_domain::plan::{Phase, State};
use agents_domain::runner::StopCause;
use agents_domain::subplan::{Mode, Settings};
use agents_domain::time::Timestamp;
use agents_infrastructure::scripted::Scripted;

use super::tree::{interrupted, item, items, once, retrying};
use crate::world::{PLAINLY, World, at, code, fails, now, settle, spec};

#[tokio::test]
async fn a_question_parks_the_parent_and_the_answer_goes_on() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(75));
    world.files.commands_say(Some(Later::Answer { question: "which one?".to_owned() }));
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("b", &["a"]), item("c", &[])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await;
    assert_eq!(at(&parent), (Phase::Execute, State::Queued));
    assert_eq!(
        world.states(parent.id).await,
        [State::Queued, State::Queued, State::Applied],
        "the others go on"
    );
    let child = world.child(parent.id, "a").await.id;
    let cause = parent.parked.clone().expect("it waits").cause;
    assert_eq!(cause, format!("subplan `a` asks: which one? (agents plan prompt {child} \"…\")"));
    let again = process.driver.execute(parent.id).await.expect("driven");
    assert_eq!((again.parked.is_some(), world.started().len()), (true, 2), "no answer: nothing runs");
    process.driver.lifecycle().prompt(child, "the second".into()).await.expect("answered");
    let parent = world.process(2).driver.execute(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied; 3]);
    world.check_tree(parent.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_wants_to_run_later_is_waited_for() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(75));
    let when = When::In(Duration::from_mins(5));
    world.files.commands_say(Some(Later::Time { when, reason: None }));
    let process = world.process(1);
    let driving = world.spawn_family(&process, once(Mode::Parallel), items(&["a"]));
    while !process.notes.have("waits until") {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert!(!driving.is_finished());
    let root = world.root().await.id;
    let filter = agents_domain::lock::LockFilter::default();
    assert_eq!(world.store.locks().list(&filter).await.expect("listed").len(), 1, "only the parent is held");
    world.clock.advance(Duration::from_mins(5));
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!((parent.id, parent.state(), world.started().len()), (root, State::Complete, 2));
    assert_eq!(world.child(root, "a").await.subplan.clone().expect("it is one").failures, 0);
    world.check_tree(root).await;
}

#[tokio::test(start_paused = true)]
async fn a_child_that_another_process_runs_is_waited_for_and_its_outcome_used() {
    for (command, end, attempts) in [(Scripted::exits(0), State::Applied, 2), (fails(3), State::Errored, 2)] {
        let world = World::of_families();
        let root = interrupted(&world, once(Mode::Parallel), &["a"]).await;
        let child = world.child(root, "a").await.id;
        // Their parent must be under way before anybody may run a child.
        let (ada, bob) = (world.process(2), world.process(3));
        let gate = world.gate("a", command);
        let elsewhere = retrying(&bob, child);
        gate.reached().await;
        let driving = retrying(&ada, root);
        while !ada.notes.have("waiting for plan/") {
            tokio::task::yield_now().await;
        }
        gate.open();
        elsewhere.await.expect("no panic").expect("driven");
        let parent = driving.await.expect("no panic").expect("driven");
        assert_eq!(world.states(root).await, [end]);
        assert_eq!(world.started().len(), attempts, "it ran once here and there");
        assert_eq!(parent.state() == State::Complete, end == State::Applied);
        world.check_tree(root).await;
    }
}

#[tokio::test(start_paused = true)]
async fn a_child_whose_other_process_dies_is_tried_again() {
    let world = World::of_families();
    let root = interrupted(&world, once(Mode::Parallel), &["a"]).await;
    let child = world.child(root, "a").await.id;
    let (ada, bob) = (world.process(2), world.process(3));
    let gate = world.gate("a", Scripted::exits(0));
    let elsewhere = retrying(&bob, child);
    gate.reached().await;
    let driving = retrying(&ada, root);
    while !ada.notes.have("waiting for plan/") {
        tokio::task::yield_now().await;
    }
    elsewhere.abort();
    world.dies(3);
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!((parent.state(), world.states(root).await), (State::Complete, vec![State::Applied]));
    assert_eq!(world.child(root, "a").await.subplan.clone().expect("it is one").failures, 0);
    world.check_tree(root).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_process_runs_is_let_go_of_there_when_a_failure_ends_everything() {
    let world = World::of_families();
    let root = interrupted(&world, Settings { fail_fast: true, ..once(Mode::Parallel) }, &["a", "b"]).await;
    let child = world.child(root, "a").await.id;
    let (ada, bob) = (world.process(2), world.process(3));
    let gate = world.gate("a", Scripted::exits(0));
    let elsewhere = retrying(&bob, child);
    gate.reached().await;
    world.runner.on_plan("b", "execute", fails(3));
    let driving = retrying(&ada, root);
    while !ada.notes.have("asked the holder of plan/") {
        tokio::task::yield_now().await;
    }
    bob.locks.beat().await;
    let let_go = elsewhere.await.expect("no panic");
    assert_eq!(let_go, Err(DriveError::Stopped { plan: child, cause: StopCause::Asked }));
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(
        (code(&parent), world.states(root).await),
        ("subplans_failed", vec![State::Cancelled, State::Errored])
    );
    assert!(world.child(root, "a").await.projects[0].snapshot.is_some(), "its work is kept");
    world.check_tree(root).await;
}

/// A parent with children and a command of its own.
fn with_own_command(world: &World, names: &[&str]) -> Order {
    let items = items(names);
    world.order(|action| {
        action.execute = Some(spec());
        action.subplans = Some(SubplanSpec { settings: once(Mode::Parallel), items });
    })
}

#[tokio::test]
async fn the_parents_own_command_runs_after_the_children_on_the_merged_tree() {
    let world = World::of_families();
    let process = world.process(1);
    let parent =
        process.driver.run(with_own_command(&world, &["a", "b"]), false, PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started(), ["a", "b", parent.id.as_str()]);
    assert!(world.log(parent.id).await.contains(&"plan.command_started"), "{:?}", world.log(parent.id).await);
    let tip = parent.projects[0].tip.clone().expect("made");
    for child in world.below(parent.id).await {
        assert!(world.workspace.contains(&tip, &child.projects[0].tip.clone().expect("made")));
    }
    let applied = process.driver.apply(parent.id, PLAINLY).await.expect("driven");
    assert_eq!(applied.state(), State::Applied);
    assert!(world.workspace.contains(&world.target(0), &tip));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn an_own_command_that_fails_is_tried_again_without_the_children() {
    let world = World::of_families();
    let process = world.process(1);
    let order = with_own_command(&world, &["a"]);
    world.runner.on_plan("a", "execute", Scripted::exits(0));
    world.runner.on("execute", fails(3));
    let parent = process.driver.run(order, false, PLAINLY).await.expect("driven");
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "exit_code"));
    let parent = process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started(), ["a", parent.id.as_str(), parent.id.as_str()]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn a_parent_without_a_place_for_its_own_command_is_queued_and_goes_on_there() {
    let world = World::of_families();
    let process = world.process_waiting(1, world.ports(), Wait::No);
    let taken = Arc::new(Mutex::new(Vec::new()));
    let (places, kept) = (world.places.clone(), taken.clone());
    let by = process.locks.myself("test");
    world.workspace.before("land", 1, move |workspace| {
        let (plan, attempt, purpose) = (workspace.opened()[0].plan, 1, "test".to_owned());
        let occupant = Occupant { by, plan, attempt, purpose, since: Timestamp::default() };
        while let Some(place) = now(places.take(&occupant)).expect("usable") {
            kept.lock().expect("unpoisoned").push(place);
        }
        Ok(())
    });
    let outcome = process.driver.run(with_own_command(&world, &["a"]), false, PLAINLY).await;
    assert!(matches!(outcome, Err(DriveError::NoPlace { phase: Phase::Execute, .. })), "{outcome:?}");
    let parent = world.root().await;
    assert_eq!(at(&parent), (Phase::Execute, State::Queued));
    assert!(parent.parked.clone().expect("it waits").cause.contains("no place was free"));
    taken.lock().expect("unpoisoned").clear();
    let parent = process.driver.execute(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started(), ["a", parent.id.as_str()], "the child is not run again");
    world.check_tree(parent.id).await;
}
