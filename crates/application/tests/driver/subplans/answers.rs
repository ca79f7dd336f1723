//! Answers of persons to children that wait: heard while their siblings still run.

use std::time::Duration;

use agents_domain::files::{Later, When};
use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, State};
use agents_domain::subplan::{Mode, Settings};
use agents_domain::time::Timestamp;
use agents_infrastructure::scripted::{Gate, Scripted};
use tokio::task::JoinHandle;

use super::tree::{item, items, once, until};
use crate::world::{Outcome, Process, World, at, fails};

/// A family in which `a` asks a question while `slow` runs, and `after` waits for `a`.
struct Asking {
    world: World,
    process: Process,
    root: PlanId,
    slow: Gate,
    driving: JoinHandle<Outcome>,
}

async fn asking(max_parallel: u32) -> Asking {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(75));
    world.files.commands_say(Some(Later::Answer { question: "which one?".to_owned() }));
    let slow = world.gate("slow", Scripted::exits(0));
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("slow", &[]), item("after", &["a"])];
    let settings = Settings { max_parallel, ..once(Mode::Dependency) };
    let driving = world.spawn_family(&process, settings, wanted);
    slow.reached().await;
    let root = world.root().await.id;
    until("`a` asks", async || world.child(root, "a").await.parked.is_some()).await;
    Asking { world, process, root, slow, driving }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_heard_while_a_sibling_runs() {
    let Asking { world, process, root, slow, driving } = asking(2).await;
    let child = world.child(root, "a").await.id;
    process.driver.lifecycle().prompt(child, "the second".into()).await.expect("answered");
    let merged = async || world.states(root).await == [State::Applied, State::Processing, State::Applied];
    until("both are merged while `slow` runs", merged).await;
    slow.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started(), ["a", "slow", "a", "after"]);
    world.check_tree(root).await;
}

/// That takes no slot: `slow` has the only one.
#[tokio::test(start_paused = true)]
async fn an_asking_child_that_a_person_cancels_is_waited_for_no_longer() {
    let Asking { world, root, slow, driving, .. } = asking(1).await;
    let child = world.child(root, "a").await.id;
    world.process(2).driver.cancel(child, None, false).await.expect("cancelled");
    let skipped = async || world.child(root, "after").await.state() == State::Cancelled;
    until("what depends on it is skipped while `slow` runs", skipped).await;
    slow.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "it was given up knowingly");
    assert_eq!(world.states(root).await, [State::Cancelled, State::Applied, State::Cancelled]);
    world.check_tree(root).await;
}

/// Nobody moves the clock on to the end of the pause.
#[tokio::test(start_paused = true)]
async fn a_pause_that_a_person_ends_is_not_sat_out() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(75));
    let when = When::In(Duration::from_mins(5));
    world.files.commands_say(Some(Later::Time { when, reason: None }));
    let process = world.process(1);
    let driving = world.spawn_family(&process, once(Mode::Parallel), items(&["a", "b"]));
    until("`a` pauses", async || process.notes.have("waits until")).await;
    let root = world.root().await.id;
    let child = world.child(root, "a").await.id;
    world.process(2).driver.cancel(child, None, false).await.expect("cancelled");
    until("its parent goes on", async || driving.is_finished()).await;
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(root).await, [State::Cancelled, State::Applied]);
    world.check_tree(root).await;
}

/// The time of day jumps back by two hours while a child pauses for five minutes.
#[tokio::test(start_paused = true)]
async fn a_pause_is_no_longer_than_it_was_meant_to_be_whatever_the_time_of_day_says() {
    let (world, pause) = (World::of_families(), Duration::from_mins(5));
    world.clock.advance(Duration::from_hours(3));
    world.runner.on_plan("a", "execute", fails(75));
    world.files.commands_say(Some(Later::Time { when: When::In(pause), reason: None }));
    let process = world.process(1);
    let driving = world.spawn_family(&process, once(Mode::Parallel), items(&["a", "b"]));
    until("`a` pauses", async || process.notes.have("waits until")).await;
    world
        .clock
        .set_wall(Timestamp::from_millis(Duration::from_hours(1).as_millis().try_into().expect("small")));
    world.clock.advance(pause);
    until("its parent goes on", async || driving.is_finished()).await;
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(world.root().await.id).await, [State::Applied; 2]);
}
