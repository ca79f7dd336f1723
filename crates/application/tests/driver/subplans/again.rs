//! Another try: of failed children only, and of a whole plan.

use agents_application::LifecycleError;
use agents_application::driver::DriveError;
use agents_domain::action::{Automation, SubplanSpec};
use agents_domain::files::Later;
use agents_domain::plan::{Change, Phase, State};
use agents_domain::subplan::Mode;

use super::tree::{item, item_of, items, once};
use crate::world::{PLAINLY, World, at, code, fails};

#[tokio::test]
async fn a_plan_that_could_only_fail_again_is_refused_with_the_way_on() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(3));
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a", "b"])).await;
    let before = world.events(parent.id).await;
    let refused = process.driver.retry(parent.id, PLAINLY).await;
    let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.remedy, Some(format!("agents plan retry {} --only-failed", parent.id)));
    assert_eq!(world.events(parent.id).await, before);
}

#[tokio::test]
async fn only_failed_runs_what_failed_and_replaces_what_was_given_up_because_of_it() {
    let world = World::of_families();
    world.runner.on_plan("b", "execute", fails(3));
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("b", &[]), item("c", &["b"])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await;
    let (old, failed) = (world.child(parent.id, "c").await, world.child(parent.id, "b").await);
    let ran = world.started().len();
    let parent = world.process(2).driver.retry_failed(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started()[ran..], ["b", "c"]);
    assert_eq!(world.states(parent.id).await, [State::Applied; 3]);
    let new = world.child(parent.id, "c").await;
    assert_ne!(new.id, old.id, "another one takes its place");
    assert_eq!(world.load(old.id).await, old, "which stays as it was");
    let again = world.child(parent.id, "b").await;
    assert_eq!((again.id, again.subplan.clone().expect("it is one").failures), (failed.id, 0));
    let replaced = world.events(parent.id).await.into_iter().find_map(|event| match event.change {
        Change::Spawned { children } if children[0].replaces.is_some() => children[0].replaces,
        _ => None,
    });
    assert_eq!(replaced, Some(old.id));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn what_a_person_gave_up_stays_given_up() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(3));
    world.runner.on_plan("b", "execute", fails(3));
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("b", &[]), item("c", &["b"])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await;
    let given_up = world.child(parent.id, "b").await.id;
    process.driver.cancel(given_up, None, false).await.expect("cancelled");
    let parent = process.driver.retry_failed(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied, State::Cancelled, State::Cancelled]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn only_failed_reaches_into_failed_children() {
    let world = World::of_families();
    world.store_action("nest", |action| {
        action.execute = None;
        let items = vec![item("x", &[]), item("y", &["x"]), item("z", &[])];
        action.subplans = Some(SubplanSpec { settings: once(Mode::Dependency), items });
    });
    world.runner.on_plan("x", "execute", fails(3));
    let process = world.process(1);
    let wanted = vec![item_of("n", "nest", &[]), item("after", &["n"])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await;
    assert_eq!(code(&parent), "subplans_failed");
    assert_eq!(code(&world.child(parent.id, "n").await), "subplans_failed");
    let ran = world.started().len();
    let parent = world.process(2).driver.retry_failed(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.started()[ran..], ["x", "y", "after"]);
    let below = world.below(parent.id).await;
    assert!(below.iter().all(|plan| plan.state() == State::Applied), "{below:?}");
    assert_eq!(below.len(), 5);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn only_failed_is_refused_where_nothing_has_failed() {
    let world = World::of_families();
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a"])).await;
    let refused = process.driver.retry_failed(parent.id).await;
    assert!(matches!(refused, Err(DriveError::Lifecycle(LifecycleError::Refused(_)))), "{refused:?}");

    // Nor where none has begun.
    let mut order = world.family_order(once(Mode::Parallel), items(&["a"]));
    order.automation = Automation::Manual;
    let fresh = process.driver.create(order).await.expect("made").id;
    process.driver.execute(fresh).await.expect("strategized");
    process.driver.lifecycle().execute(fresh).await.expect("ordered");
    let refused = process.driver.retry_failed(fresh).await;
    let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.remedy, Some(format!("agents plan execute {fresh}")));
    assert_eq!(world.started(), ["a"]);
}

#[tokio::test]
async fn what_failed_is_tried_again_while_another_child_waits_for_an_answer() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(75));
    world.files.commands_say(Some(Later::Answer { question: "which one?".to_owned() }));
    world.runner.on_plan("b", "execute", fails(3));
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("b", &[]), item("c", &["b"])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await;
    assert!(parent.parked.is_some(), "{parent:?}");
    assert_eq!(world.states(parent.id).await, [State::Queued, State::Errored, State::Cancelled]);
    let parent = process.driver.retry_failed(parent.id).await.expect("driven");
    assert!(parent.parked.is_some(), "it still waits: {parent:?}");
    assert_eq!(world.states(parent.id).await, [State::Queued, State::Applied, State::Applied]);
    assert_eq!(world.started(), ["a", "b", "b", "c"]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn going_back_gives_up_the_children_and_the_second_round_has_its_own() {
    let world = World::of_families();
    world.runner.on_plan("a", "execute", fails(3));
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a", "b"])).await;
    let old = world.below(parent.id).await;
    let reverted = process.driver.revert(parent.id, None).await.expect("reverted");
    assert_eq!(at(&reverted), (Phase::Strategize, State::Queued));
    assert_eq!(world.load(old[0].id).await.state(), State::Cancelled);
    assert_eq!(world.load(old[1].id).await.state(), State::Applied, "what is done is done");
    assert_eq!(world.below(parent.id).await, []);
    let base = world.workspace.commit(&world.projects[0], "refs/heads/main");
    let parent = process.driver.execute(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied; 2]);
    let tip = parent.projects[0].tip.clone().expect("made");
    assert!(world.workspace.contains(&tip, &base), "from a base of its own");
    let earlier = old[1].projects[0].tip.clone().expect("made");
    assert!(!world.workspace.contains(&tip, &earlier), "without what was made before");
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn going_back_that_is_refused_gives_up_nothing() {
    let world = World::of_families();
    let process = world.process(1);
    world.runner.on_plan("a", "execute", fails(3));
    let mut parent = world.drive_family(&process, once(Mode::Parallel), items(&["a"])).await;
    for _ in 0..3 {
        process.driver.revert(parent.id, None).await.expect("reverted");
        world.runner.on_plan("a", "execute", fails(3));
        parent = process.driver.execute(parent.id).await.expect("driven");
        assert_eq!(code(&parent), "subplans_failed");
    }
    process.driver.revert(parent.id, None).await.expect_err("it went back three times");
    assert_eq!(world.states(parent.id).await, [State::Errored], "its children are as they were");
}
