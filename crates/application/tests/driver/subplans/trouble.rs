//! What is in the way of one child and no other: a full house, git, a lock that is broken.

use agents_application::Wait;
use agents_application::driver::DriveError;
use agents_domain::lock::LockKey;
use agents_domain::plan::{Phase, State};
use agents_domain::subplan::{Mode, Settings};
use agents_infrastructure::scripted::{Gate, Scripted};
use rstest::rstest;

use super::tree::{items, once, until};
use crate::world::{PLAINLY, World, at, code, git_error, now};

/// There are four places; the person has said that nothing is to be waited for.
#[tokio::test(start_paused = true)]
async fn a_house_that_is_full_of_siblings_ends_no_family() {
    let world = World::of_families();
    let names = ["a", "b", "c", "d", "e", "f"];
    let gates: Vec<_> = names.iter().map(|name| world.gate(name, Scripted::exits(0))).collect();
    let process = world.process_waiting(1, world.ports(), Wait::No);
    let settings = Settings { max_parallel: 6, ..once(Mode::Parallel) };
    let driving = world.spawn_family(&process, settings, items(&names));
    until("all places are taken", async || process.notes.have("waiting for a place")).await;
    assert_eq!(world.started().len(), 4);
    gates.iter().for_each(Gate::open);
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied; 6]);
    world.check_tree(parent.id).await;
}

/// Which call of git fails: that which looks for the ground of `a`, and is made before `b` begins.
#[rstest]
#[case(1)]
#[case(2)]
#[tokio::test]
async fn trouble_with_one_child_stops_no_other_and_the_next_try_goes_on(#[case] max_parallel: u32) {
    let world = World::of_families();
    world.workspace.fail("settle", 2, git_error());
    let process = world.process(1);
    let settings = Settings { max_parallel, ..once(Mode::Parallel) };
    let order = world.family_order(settings, items(&["a", "b", "c"]));
    let outcome = process.driver.run(order, false, PLAINLY).await;
    assert!(matches!(outcome, Err(DriveError::Workspace(_))), "{outcome:?}");
    let parent = world.root().await;
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "subplan_not_run"));
    assert!(parent.failure.clone().expect("said").message.contains("disk full"));
    assert_eq!(world.states(parent.id).await, [State::Queued, State::Applied, State::Applied]);
    assert!(process.notes.have("subplan `a`: "), "it is said whose trouble it was");
    world.check_tree(parent.id).await;
    let parent = process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started(), ["b", "c", "a"]);
    world.check_tree(parent.id).await;
}

#[rstest]
#[case("merge")]
#[case("check_checkout")]
#[tokio::test]
async fn a_childs_lock_that_is_broken_during_its_merge_begins_the_merge_again(#[case] step: &'static str) {
    let world = World::of_families();
    let breaker = world.clone();
    world.workspace.before(step, 1, move |_| {
        let child = now(async { breaker.child(breaker.root().await.id, "a").await.id });
        breaker.evict(&LockKey::Plan(child));
        Ok(())
    });
    let parent = world.drive_family(&world.process(1), once(Mode::Parallel), items(&["a", "b"])).await;
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied; 2]);
    assert_eq!(world.workspace.moves().len(), 2);
    world.check_tree(parent.id).await;
}
