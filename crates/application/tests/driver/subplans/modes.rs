//! In which order children run, how many at once, and from where they start.

use agents_domain::plan::{Change, Phase, State};
use agents_domain::subplan::{Mode, Settings};
use agents_infrastructure::scripted::Scripted;
use rstest::rstest;

use super::tree::{item, items, once};
use crate::world::{World, at, settle};

#[rstest]
#[case(Mode::Sequential)]
#[case(Mode::Parallel)]
#[case(Mode::Dependency)]
#[tokio::test]
async fn in_every_mode_all_children_are_merged_and_their_parent_is_complete(#[case] mode: Mode) {
    let world = World::of_families();
    let parent = world.drive_family(&world.process(1), once(mode), items(&["a", "b", "c"])).await;
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied; 3]);
    assert_eq!(world.started(), ["a", "b", "c"]);
    let tip = parent.projects[0].tip.clone().expect("it has work");
    for child in world.below(parent.id).await {
        let its = child.projects[0].tip.clone().expect("it has work");
        assert!(world.workspace.contains(&tip, &its), "the work of {:?} is part of it", child.name);
        let subplan = child.subplan.clone().expect("it is a child");
        assert_eq!((subplan.parent, subplan.root, subplan.depth), (parent.id, parent.id, 1));
    }
    assert_eq!(
        world.workspace.read(&world.projects[0], &format!("refs/heads/{}", parent.branch())),
        Some(tip)
    );
    assert_eq!(world.workspace.moves().len(), 3, "each is merged once");
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn how_far_the_children_are_is_told_as_they_end() {
    let (world, children) = (World::of_families(), items(&["a", "b", "c"]));
    let process = world.process(1);
    world.drive_family(&process, once(Mode::Sequential), children).await;
    for told in ["0 merged, 2 queued", "1 merged, 1 queued", "2 merged, 0 queued", "3 merged, 0 queued"] {
        assert!(process.notes.have(told), "never told: {told}");
    }
}

#[tokio::test]
async fn no_more_run_at_once_than_there_may() {
    let world = World::of_families();
    let process = world.process(1);
    let gates = ["a", "b", "c"].map(|name| world.gate(name, Scripted::exits(0)));
    let settings = Settings { max_parallel: 2, ..once(Mode::Parallel) };
    let driving = world.spawn_family(&process, settings, items(&["a", "b", "c"]));
    gates[0].reached().await;
    gates[1].reached().await;
    settle().await;
    assert_eq!(world.started(), ["a", "b"], "the third queues, it is not rejected");
    gates[1].open();
    gates[2].reached().await;
    assert_eq!(world.runner.running(), 2);
    gates[0].open();
    gates[2].open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(world.states(parent.id).await, [State::Applied; 3]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn one_after_the_other_is_one_at_a_time_in_their_order() {
    let world = World::of_families();
    let gate = world.gate("a", Scripted::exits(0));
    let driving = world.spawn_family(&world.process(1), once(Mode::Sequential), items(&["a", "b"]));
    gate.reached().await;
    settle().await;
    assert_eq!(world.started(), ["a"]);
    gate.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(world.started(), ["a", "b"]);
    let (a, b) = (world.child(parent.id, "a").await, world.child(parent.id, "b").await);
    let (before, base) = (a.projects[0].tip.clone(), b.projects[0].base.clone());
    assert!(world.workspace.contains(&base.expect("begun"), &before.expect("made")), "b builds on a");
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn a_child_starts_as_soon_as_what_it_depends_on_is_merged_and_from_there() {
    let world = World::of_families();
    let slow = world.gate("slow", Scripted::exits(0));
    let last = world.gate("last", Scripted::exits(0));
    let wanted = [item("slow", &[]), item("first", &[]), item("last", &["first"])];
    let driving = world.spawn_family(&world.process(1), once(Mode::Dependency), wanted.into());
    last.reached().await;
    assert_eq!(world.started(), ["slow", "first", "last"], "it does not wait for `slow`");
    let parent = world.root().await;
    let first = world.child(parent.id, "first").await;
    assert_eq!(first.state(), State::Applied);
    let base = world.child(parent.id, "last").await.projects[0].base.clone().expect("begun");
    assert!(world.workspace.contains(&base, &first.projects[0].tip.clone().expect("made")));
    assert_eq!(parent.projects[0].tip, Some(base), "it starts where its parent is");
    slow.open();
    last.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(world.states(parent.id).await, [State::Applied; 3]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn in_parallel_the_others_go_on_after_a_failure() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", Scripted::exits(3));
    let parent = world.drive_family(&world.process(1), once(Mode::Parallel), items(&["a", "b", "c"])).await;
    assert_eq!(world.states(parent.id).await, [State::Errored, State::Applied, State::Applied]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn the_log_of_the_parent_tells_of_its_children() {
    let world = World::of_families();
    let parent = world.drive_family(&world.process(1), once(Mode::Parallel), items(&["a", "b"])).await;
    let log = world.log(parent.id).await;
    assert_eq!(
        log,
        [
            "plan.created",
            "plan.phase_started",
            "subplan.spawned",
            "plan.phase_completed",
            "plan.phase_advanced",
            "plan.phase_started",
            "subplan.merged",
            "subplan.merged",
            "plan.phase_completed"
        ]
    );
    let events = world.events(parent.id).await;
    let starts: Vec<bool> = events
        .iter()
        .filter_map(|event| match event.change {
            Change::PhaseStarted { commanded, .. } => Some(commanded),
            _ => None,
        })
        .collect();
    assert_eq!(starts, [false, false], "no command of its own runs");
}

#[tokio::test]
async fn a_plan_whose_parts_change_nothing_is_complete_all_the_same() {
    let world = World::of_families();
    world.workspace.before("snapshot", 1, |workspace| {
        workspace.discard(&workspace.opened()[0]);
        Ok(())
    });
    let parent = world.drive_family(&world.process(1), once(Mode::Parallel), items(&["a"])).await;
    assert_eq!((at(&parent), world.workspace.moves().len()), ((Phase::Execute, State::Complete), 0));
    assert_eq!(world.states(parent.id).await, [State::Applied]);
    world.check_tree(parent.id).await;
}
