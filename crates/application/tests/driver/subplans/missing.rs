//! Children that were given up because of others: none is missed without a word.

use agents_application::LifecycleError;
use agents_application::driver::DriveError;
use agents_domain::action::SubplanSpec;
use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, State};
use agents_domain::subplan::{GivenUp, Mode, Settings};
use agents_infrastructure::scripted::Scripted;

use super::tree::{dies, item, item_of, once, until};
use crate::fuse::Fuse;
use crate::world::{PLAINLY, World, at, code, fails};

async fn given_up(world: &World, root: PlanId, name: &str) -> Option<GivenUp> {
    world.child(root, name).await.subplan.clone().expect("it is one").given_up
}

/// `a` has failed, and `b` was given up for it; then somebody tries `a` again, and it succeeds.
async fn succeeded_by_hand(world: &World) -> PlanId {
    world.runner.on_plan("a", "execute", fails(3));
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("b", &["a"])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await.id;
    let child = world.child(parent, "a").await.id;
    process.driver.retry(child, PLAINLY).await.expect("driven");
    parent
}

#[tokio::test]
async fn what_was_given_up_for_a_child_that_has_succeeded_since_is_missing_until_it_is_replaced() {
    let world = World::of_families();
    let id = succeeded_by_hand(&world).await;
    let old = world.child(id, "b").await;
    let process = world.process(2);
    let parent = process.driver.retry(id, PLAINLY).await.expect("driven");
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "subplans_failed"));
    let failure = parent.failure.clone().expect("said");
    assert_eq!(failure.message, "1 of 2 subplans were given up because of others: `b`");
    assert_eq!(failure.hint, Some(format!("agents plan retry {id} --only-failed")));
    assert_eq!(world.states(id).await, [State::Applied, State::Cancelled]);
    let parent = process.driver.retry_failed(id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(id).await, [State::Applied; 2]);
    assert_ne!(world.child(id, "b").await.id, old.id, "another one takes its place");
    assert_eq!(world.started(), ["a", "a", "b"]);
    world.check_tree(id).await;
}

#[tokio::test]
async fn trying_a_parent_again_that_lacks_such_a_child_is_refused_with_the_way_on() {
    let world = World::of_families();
    let id = succeeded_by_hand(&world).await;
    let process = world.process(2);
    process.driver.retry(id, PLAINLY).await.expect("driven");
    let before = world.events(id).await;
    let refused = process.driver.retry(id, PLAINLY).await;
    let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = refused else { panic!("{refused:?}") };
    assert_eq!(refusal.remedy, Some(format!("agents plan retry {id} --only-failed")));
    assert_eq!(world.events(id).await, before);
}

/// `y` was given up for `x` while `z` still ran; then everything was stopped.
#[tokio::test(start_paused = true)]
async fn only_failed_replaces_what_is_missing_below_a_child_that_was_interrupted() {
    let world = World::of_families();
    world.store_action("nest", |action| {
        action.execute = None;
        let items = vec![item("x", &[]), item("y", &["x"]), item("z", &[])];
        action.subplans = Some(SubplanSpec { settings: once(Mode::Dependency), items });
    });
    world.runner.on_plan("x", "execute", fails(3));
    let gate = world.gate("z", Scripted::exits(0));
    let process = world.process(1);
    let driving = world.spawn_family(&process, once(Mode::Parallel), vec![item_of("n", "nest", &[])]);
    gate.reached().await;
    let root = world.root().await.id;
    until("`y` is given up", async || world.child(root, "y").await.state() == State::Cancelled).await;
    let old = world.child(root, "y").await.id;
    process.stop.stop();
    driving.await.expect("no panic").expect_err("stopped");
    assert_eq!(code(&world.child(root, "n").await), "shutdown");

    let parent = world.process(2).driver.retry_failed(root).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    let nested = world.child(root, "n").await.id;
    assert_eq!(world.states(nested).await, [State::Applied; 3]);
    assert_ne!(world.child(root, "y").await.id, old);
    world.check_tree(root).await;
}

/// `bad` has failed, so all others are given up; `w` only because `v` was, which never began.
#[tokio::test]
async fn a_chain_of_children_that_were_given_up_is_replaced_up_to_its_end() {
    let world = World::of_families();
    let (gate, bad) = (world.gate("z", Scripted::exits(0)), world.gate("bad", fails(3)));
    let settings = Settings { fail_fast: true, ..once(Mode::Dependency) };
    let wanted = vec![item("z", &[]), item("v", &["z"]), item("w", &["v"]), item("bad", &[])];
    let fuse = Fuse::of(u32::MAX);
    let process = world.process_on(1, world.ports().fused(&fuse));
    let order = world.family_order(settings, wanted);
    let moment = async {
        gate.reached().await;
        bad.reached().await;
        bad.open();
        let root = world.root().await.id;
        while world.child(root, "v").await.state() != State::Cancelled {
            tokio::task::yield_now().await;
        }
    };
    dies((&world, 1, &fuse), Box::pin(process.driver.run(order, false, PLAINLY)), moment).await;
    let root = world.root().await.id;
    assert_eq!(world.child(root, "w").await.state(), State::Queued, "nobody has come to it");

    let process = world.process(2);
    let parent = process.driver.execute(root).await.expect("carried on");
    assert_eq!(code(&parent), "subplans_failed");
    let message = "1 of 4 subplans failed: `bad`; given up because of that: `z`, `v`, `w`";
    assert_eq!(parent.failure.clone().expect("said").message, message);
    assert_eq!(given_up(&world, root, "v").await, Some(GivenUp::FailFast { by: "bad".to_owned() }));
    assert_eq!(given_up(&world, root, "w").await, Some(GivenUp::Skipped { by: "v".to_owned() }));
    let parent = process.driver.retry_failed(root).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(root).await, [State::Applied; 4]);
    world.check_tree(root).await;
}
