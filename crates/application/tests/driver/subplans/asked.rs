//! What is asked of a parent is heard wherever its scheduler is; and without the parent's lock
//! nothing is given up.

use agents_application::driver::DriveError;
use agents_application::{LifecycleError, Wait};
use agents_domain::action::ValidationSpec;
use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::plan::State;
use agents_domain::request::Wish;
use agents_domain::runner::StopCause;
use agents_domain::subplan::Mode;
use agents_infrastructure::scripted::{Gate, Scripted};
use tokio::task::JoinHandle;

use super::tree::{beats, cancelling, in_the_end, interrupted, item, items, once, retrying, until};
use crate::world::{Outcome, PLAINLY, Process, World, fails, now, program};

/// `b` builds on `a`.
fn family(world: &World, process: &Process) -> JoinHandle<Outcome> {
    let wanted = vec![item("a", &[]), item("b", &["a"])];
    world.spawn_family(process, once(Mode::Dependency), wanted)
}

/// Its process has not heard of the loss when it gives `b` up, and another one has the parent.
#[tokio::test(start_paused = true)]
async fn without_the_parents_lock_nothing_is_given_up() {
    let world = World::of_families();
    let gate = world.gate("a", fails(3));
    let (ada, bob) = (world.process(1), world.process(2));
    let driving = family(&world, &ada);
    gate.reached().await;
    let root = world.root().await.id;
    let before = world.child(root, "b").await;
    world.evict(&LockKey::Plan(root));
    let held = bob.driver.lifecycle().hold(root, "test", Wait::No).await.expect("free");
    gate.open();
    let lost = driving.await.expect("no panic");
    assert!(matches!(lost, Err(DriveError::Lifecycle(LifecycleError::LeaseLost { .. }))), "{lost:?}");
    assert_eq!(world.child(root, "b").await, before, "it is for whoever has the parent to say");
    held.release().await.expect("given back");
    let parent = bob.driver.execute(root).await.expect("carried on");
    assert_eq!(parent.state(), State::Errored);
    assert_eq!(world.states(root).await, [State::Errored, State::Cancelled]);
    world.check_tree(root).await;
}

/// That child is validated before it is merged, and the validation waits for the gate.
fn merges_behind_a_gate(world: &World, child: &str) -> Gate {
    world.store_action("work", |action| {
        let (name, program, timeout, required) = ("lint".to_owned(), program(), None, true);
        action.validations = vec![ValidationSpec { name, program, timeout, required }];
    });
    let gate = Gate::default();
    world.runner.on_plan(child, "validation lint", Scripted::exits(0).behind(&gate));
    gate
}

async fn ends_cancelled(world: &World, root: PlanId, driving: JoinHandle<Outcome>) {
    let stopped = driving.await.expect("no panic");
    assert_eq!(stopped, Err(DriveError::Stopped { plan: root, cause: StopCause::Cancelled }));
    assert_eq!(world.load(root).await.state(), State::Cancelled);
    for child in world.below(root).await {
        assert_eq!(child.state(), State::Cancelled);
        assert_eq!(child.subplan.clone().expect("it is one").given_up, None, "{:?}", child.name);
    }
    let reason = world.child(root, "b").await.cancel_reason.clone();
    assert_eq!(reason.as_deref(), Some("its parent was cancelled"));
    world.check_answers(root).await;
    world.check_tree(root).await;
}

/// The next scheduler waits for `b`, which has done its work and which somebody else has by now.
#[tokio::test(start_paused = true)]
async fn a_cancel_is_heard_while_the_lock_of_a_child_is_waited_for_to_merge_it() {
    let world = World::of_families();
    let root = interrupted(&world, once(Mode::Parallel), &["b"]).await;
    let (ada, bob, carl) = (world.process(1), world.process(2), world.process(3));
    let child = world.child(root, "b").await.id;
    carl.driver.retry(child, PLAINLY).await.expect("it does its work");
    let held = carl.driver.lifecycle().hold(child, "test", Wait::No).await.expect("free");
    let driving = retrying(&ada, root);
    until("ada is in line", async || ada.notes.have("waiting for plan/")).await;
    let asking = cancelling(&bob, root);
    until("ada is asked", async || !world.asked(root).await.is_empty()).await;
    ada.locks.beat().await;
    until("ada has heard it, and wants to cancel `b`", async || ada.notes.have("asked the holder of")).await;
    held.release().await.expect("given back");
    asking.await.expect("no panic").expect("cancelled");
    ends_cancelled(&world, root, driving).await;
}

/// `b` has done its work; its scheduler is at another merge, which may take long.
#[tokio::test(start_paused = true)]
async fn a_child_that_somebody_cancels_before_its_turn_comes_is_not_merged() {
    let world = World::of_families();
    let (gate, lint) = (world.gate("b", Scripted::exits(0)), merges_behind_a_gate(&world, "a"));
    let (ada, bob) = (world.process(1), world.process(2));
    let driving = world.spawn_family(&ada, once(Mode::Parallel), items(&["a", "b"]));
    lint.reached().await;
    gate.reached().await;
    let root = world.root().await.id;
    let b = world.child(root, "b").await.id;
    gate.open();
    until("b has done its work", async || world.load(b).await.state() == State::Complete).await;
    in_the_end(Box::pin(bob.driver.cancel(b, None, false))).await.expect("cancelled at once");
    lint.open();
    in_the_end(driving).await.expect("no panic").expect("driven");
    assert_eq!(world.states(root).await, [State::Applied, State::Cancelled]);
    world.check_answers(root).await;
    world.check_tree(root).await;
}

/// The heartbeat of whoever merges it has not heard of it.
#[tokio::test]
async fn what_was_asked_of_a_child_while_it_did_its_work_is_heeded_before_it_is_merged() {
    let world = World::of_families();
    let (asker, bob) = (world.clone(), world.process(2).locks);
    world.workspace.before("snapshot", 1, move |_| {
        now(async {
            let child = asker.child(asker.root().await.id, "a").await.id;
            let wish = Wish::Cancel { keep_landed: false };
            bob.ask(LockKey::Plan(child), wish, None).await.expect("stored");
        });
        Ok(())
    });
    let process = world.process(1);
    let driven = world.drive_family(&process, once(Mode::Parallel), items(&["a"]));
    let parent = in_the_end(Box::pin(driven)).await;
    assert_eq!(world.states(parent.id).await, [State::Cancelled]);
    world.check_answers(parent.id).await;
    world.check_tree(parent.id).await;
}

/// The scheduler waits for `b`, which is to be given up and which somebody else has.
#[tokio::test(start_paused = true)]
async fn a_cancel_is_heard_while_the_lock_of_a_child_is_waited_for_to_give_it_up() {
    let world = World::of_families();
    let gate = world.gate("a", fails(3));
    let (ada, bob, carl) = (world.process(1), world.process(2), world.process(3));
    let driving = family(&world, &ada);
    gate.reached().await;
    let root = world.root().await.id;
    let child = world.child(root, "b").await.id;
    let held = carl.driver.lifecycle().hold(child, "test", Wait::No).await.expect("free");
    gate.open();
    until("carl is asked to let go", async || ada.notes.count("asked the holder of") == 1).await;
    let asking = cancelling(&bob, root);
    until("ada is asked", async || !world.asked(root).await.is_empty()).await;
    ada.locks.beat().await;
    until("carl is asked to cancel", async || ada.notes.count("asked the holder of") == 2).await;
    held.release().await.expect("given back");
    asking.await.expect("no panic").expect("cancelled");
    ends_cancelled(&world, root, driving).await;
}

/// What follows was not skipped: nothing failed.
#[tokio::test(start_paused = true)]
async fn a_cancel_that_comes_during_a_merge_is_one_of_the_whole_tree() {
    let world = World::of_families();
    let gate = merges_behind_a_gate(&world, "a");
    let (ada, bob) = (world.process(1), world.process(2));
    let driving = family(&world, &ada);
    gate.reached().await;
    let root = world.root().await.id;
    let asking = cancelling(&bob, root);
    until("ada is asked", async || !world.asked(root).await.is_empty()).await;
    ada.locks.beat().await;
    asking.await.expect("no panic").expect("cancelled");
    assert_eq!(world.workspace.moves(), []);
    ends_cancelled(&world, root, driving).await;
}

/// It is heard while the branch of the last child moves, which nothing stops any more.
#[tokio::test]
async fn a_cancel_that_comes_with_the_last_merge_still_ends_the_parent() {
    let world = World::of_families();
    let (asker, bob, ada) = (world.clone(), world.process(2).locks, world.process(1));
    let holder = ada.locks.clone();
    world.workspace.before("land", 1, move |_| {
        now(async {
            let (key, wish) = (LockKey::Plan(asker.root().await.id), Wish::Cancel { keep_landed: false });
            bob.ask(key, wish, None).await.expect("stored");
        });
        beats(&holder);
        Ok(())
    });
    let driving = world.spawn_family(&ada, once(Mode::Parallel), items(&["a"]));
    let stopped = driving.await.expect("no panic");
    let root = world.root().await.id;
    assert_eq!(stopped, Err(DriveError::Stopped { plan: root, cause: StopCause::Cancelled }));
    assert_eq!(
        (world.load(root).await.state(), world.states(root).await),
        (State::Cancelled, vec![State::Applied])
    );
    world.check_answers(root).await;
    world.check_tree(root).await;
}

/// Somebody asks to cancel `b` and waits for no answer; its holder does not hear of it before its
/// scheduler gives it up.
#[tokio::test(start_paused = true)]
async fn who_asked_to_cancel_a_child_is_answered_when_its_scheduler_gives_it_up() {
    let world = World::of_families();
    let gate = world.gate("a", fails(3));
    let (ada, bob, carl) = (world.process(1), world.process(2), world.process(3));
    let driving = family(&world, &ada);
    gate.reached().await;
    let root = world.root().await.id;
    let child = world.child(root, "b").await.id;
    let held = carl.driver.lifecycle().hold(child, "test", Wait::No).await.expect("free");
    let asking = cancelling(&bob, child);
    until("carl is asked", async || bob.notes.have("asked the holder of")).await;
    asking.abort();
    gate.open();
    until("ada is in line", async || ada.notes.have("waiting for plan/")).await;
    held.release().await.expect("given back");
    driving.await.expect("no panic").expect("driven");
    assert_eq!(world.states(root).await, [State::Errored, State::Cancelled]);
    world.check_answers(root).await;
    world.check_tree(root).await;
}

/// The branch is about to move, and nobody has heard of it yet.
#[tokio::test]
async fn a_cancel_that_comes_too_late_for_a_child_is_answered_so() {
    let world = World::of_families();
    let (asker, bob) = (world.clone(), world.process(2).locks);
    world.workspace.before("land", 1, move |_| {
        now(async {
            let child = asker.child(asker.root().await.id, "a").await.id;
            let wish = Wish::Cancel { keep_landed: true };
            bob.ask(LockKey::Plan(child), wish, None).await.expect("stored");
        });
        Ok(())
    });
    let parent = world.drive_family(&world.process(1), once(Mode::Parallel), items(&["a"])).await;
    assert_eq!((parent.state(), world.states(parent.id).await), (State::Complete, vec![State::Applied]));
    let requests = world.asked(world.child(parent.id, "a").await.id).await;
    let outcome = requests[0].closed.clone().expect("it is answered").outcome;
    assert_eq!(outcome, "too late: it is applied");
    world.check_tree(parent.id).await;
}
