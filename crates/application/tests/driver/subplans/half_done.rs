//! A process that dies while it ends a family: whoever comes next does the rest of it.

use agents_application::driver::DriveError;
use agents_domain::action::SubplanSpec;
use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::plan::{Phase, State};
use agents_domain::request::Wish;
use agents_domain::runner::StopCause;
use agents_domain::subplan::{GivenUp, Mode, Settings};
use agents_infrastructure::scripted::Scripted;

use super::tree::{beats, dies, interrupted, item, item_of, items, once, retrying, until};
use crate::fuse::Fuse;
use crate::world::{PLAINLY, World, at, code, fails};

/// Nothing burns it down.
const NEVER: u32 = u32::MAX;

fn fail_fast() -> Settings {
    Settings { fail_fast: true, ..once(Mode::Parallel) }
}

/// Resolves when the failure of `bad` is recorded.
async fn failure_of_bad(world: &World, root: PlanId) {
    while code(&world.child(root, "bad").await) != "exit_code" {
        tokio::task::yield_now().await;
    }
}

/// What was to be stopped is given up, and nothing of it is anywhere.
async fn nothing_came_of_slow(world: &World, root: PlanId) {
    assert_eq!(code(&world.load(root).await), "subplans_failed");
    assert_eq!(world.states(root).await, [State::Cancelled, State::Errored]);
    let slow = world.child(root, "slow").await.subplan.clone().expect("it is one");
    assert_eq!(slow.given_up, Some(GivenUp::FailFast { by: "bad".to_owned() }));
    assert_eq!(world.workspace.moves(), [], "nothing of it is merged");
    world.check_answers(root).await;
    world.check_tree(root).await;
}

#[tokio::test]
async fn what_a_dead_scheduler_was_to_stop_is_given_up_by_the_next() {
    let world = World::of_families();
    let (slow, bad) = (world.gate("slow", Scripted::exits(0)), world.gate("bad", fails(3)));
    let fuse = Fuse::of(NEVER);
    let process = world.process_on(1, world.ports().fused(&fuse));
    let order = world.family_order(fail_fast(), items(&["slow", "bad"]));
    let moment = async {
        slow.reached().await;
        bad.reached().await;
        bad.open();
        failure_of_bad(&world, world.root().await.id).await;
    };
    dies((&world, 1, &fuse), Box::pin(process.driver.run(order, false, PLAINLY)), moment).await;
    let root = world.root().await.id;
    assert_eq!(at(&world.child(root, "slow").await), (Phase::Execute, State::Processing), "it ran");

    world.process(2).driver.execute(root).await.expect("carried on");
    assert_eq!(world.started(), ["slow", "bad"], "it is not run again");
    nothing_came_of_slow(&world, root).await;
}

#[tokio::test(start_paused = true)]
async fn what_another_process_runs_for_a_dead_scheduler_is_let_go_of_and_given_up() {
    let world = World::of_families();
    let root = interrupted(&world, fail_fast(), &["slow", "bad"]).await;
    let (child, bob) = (world.child(root, "slow").await.id, world.process(3));
    let (slow, bad) = (world.gate("slow", Scripted::exits(0)), world.gate("bad", fails(3)));
    let elsewhere = retrying(&bob, child);
    slow.reached().await;
    let fuse = Fuse::of(NEVER);
    let ada = world.process_on(2, world.ports().fused(&fuse));
    let moment = async {
        bad.reached().await;
        bad.open();
        failure_of_bad(&world, root).await;
    };
    dies((&world, 2, &fuse), Box::pin(ada.driver.retry(root, PLAINLY)), moment).await;

    let next = world.process(4);
    let driver = next.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(root).await });
    until("bob is asked", async || next.notes.have("asked the holder of plan/")).await;
    bob.locks.beat().await;
    let let_go = elsewhere.await.expect("no panic");
    assert_eq!(let_go, Err(DriveError::Stopped { plan: child, cause: StopCause::Asked }));
    driving.await.expect("no panic").expect("driven");
    nothing_came_of_slow(&world, root).await;
}

/// A parent with three children, all of which were interrupted, and nobody who drives it.
async fn at_rest(world: &World) -> PlanId {
    interrupted(world, once(Mode::Parallel), &["a", "b", "c"]).await
}

/// Whether the process lived to the end of its command.
async fn lives<T>(world: &World, fuse: &Fuse, command: impl Future<Output = T>) -> bool {
    let lived = tokio::select! {
        biased;
        _ = command => true,
        () = fuse.blown() => false,
    };
    if !lived {
        world.dies(2);
    }
    lived
}

/// Whether something of the family was cancelled, or is to be.
async fn is_begun(world: &World, root: PlanId) -> bool {
    let asked = world.asked(root).await.iter().any(|request| request.closed.is_none());
    asked || world.load(root).await.state() == State::Cancelled
}

#[tokio::test]
async fn a_cancel_that_dies_halfway_is_finished_by_whoever_comes_next() {
    let (mut points, mut halfway) = (0, 0);
    loop {
        points += 1;
        let world = World::of_families();
        let root = at_rest(&world).await;
        let fuse = Fuse::of(points);
        let dying = world.process_on(2, world.ports().fused(&fuse)).driver;
        let cancel = Box::pin(dying.cancel(root, Some("wrong branch".to_owned()), false));
        if lives(&world, &fuse, cancel).await {
            break;
        }
        let begun = is_begun(&world, root).await;
        let what = format!("dead at step {points}");
        let was = world.load(root).await.state();
        let gone = world.states(root).await.contains(&State::Cancelled);
        assert!(begun || !gone, "{what}: no child goes before the wish for it is known");
        let driver = world.process(3).driver;
        let next =
            if points % 2 == 0 { driver.retry(root, PLAINLY).await } else { driver.execute(root).await };
        if !begun {
            assert_eq!(next.is_ok(), points % 2 == 0, "{what}: nothing was to be cancelled: {next:?}");
            continue;
        }
        if was != State::Cancelled {
            halfway += u32::from(gone);
            let heard = Err(DriveError::Stopped { plan: root, cause: StopCause::Cancelled });
            assert_eq!(next, heard, "{what}");
        }
        assert_eq!(world.load(root).await.state(), State::Cancelled, "{what}");
        for child in world.below(root).await {
            assert_eq!(child.state(), State::Cancelled, "{what}: {:?}", child.name);
            assert_eq!(child.cancel_reason.as_deref(), Some("wrong branch"), "{what}: {:?}", child.name);
        }
        world.check_answers(root).await;
        world.check_tree(root).await;
    }
    assert!(halfway > 10, "a cancel has many steps: {halfway} of {points}");
}

/// It is cancelled from elsewhere while both of its children run, and dies so many steps later; whether
/// it lived through all that.
async fn cancelled_to_death(world: &World, steps: u32) -> bool {
    let gates = ["a", "b"].map(|name| world.gate(name, Scripted::exits(0)));
    let fuse = Fuse::of(NEVER);
    let (ada, bob) = (world.process_on(1, world.ports().fused(&fuse)), world.process(2).locks);
    let order = world.family_order(once(Mode::Parallel), items(&["a", "b"]));
    let dies = async {
        for gate in &gates {
            gate.reached().await;
        }
        let root = world.root().await.id;
        let below = world.below(root).await;
        let keys = std::iter::once(root).chain(below.iter().map(|child| child.id)).map(LockKey::Plan);
        let (wish, reason) = (Wish::Cancel { keep_landed: false }, Some("wrong branch".to_owned()));
        bob.ask_all(keys.collect(), wish, reason).await.expect("stored");
        beats(&ada.locks);
        fuse.burn(steps);
        fuse.blown().await;
    };
    let lived = tokio::select! {
        biased;
        () = dies => false,
        _ = ada.driver.run(order, false, PLAINLY) => true,
    };
    if !lived {
        world.dies(1);
    }
    lived
}

#[tokio::test]
async fn a_scheduler_that_dies_while_it_heeds_a_cancel_is_followed_by_one_that_does() {
    let mut points = 0;
    loop {
        points += 1;
        let world = World::of_families();
        let lived = Box::pin(cancelled_to_death(&world, points)).await;
        let what = format!("dead at step {points}");
        let parent = world.root().await;
        let next = world.process(3).driver.execute(parent.id).await;
        if parent.state() != State::Cancelled {
            let heard = Err(DriveError::Stopped { plan: parent.id, cause: StopCause::Cancelled });
            assert_eq!(next, heard, "{what}");
        }
        assert_eq!(world.root().await.state(), State::Cancelled, "{what}");
        for child in world.below(parent.id).await {
            assert_eq!(child.state(), State::Cancelled, "{what}: {:?}", child.name);
            assert_eq!(child.cancel_reason.as_deref(), Some("wrong branch"), "{what}: {:?}", child.name);
            assert!(child.projects[0].snapshot.is_some(), "{what}: the work of {:?} is kept", child.name);
        }
        assert_eq!(world.started().len(), 2, "{what}: nothing runs again");
        world.check_answers(parent.id).await;
        world.check_tree(parent.id).await;
        if lived {
            break;
        }
    }
    println!("{points} crash points");
    assert!(points > 30, "to heed a cancel takes many steps: {points}");
}

#[tokio::test]
async fn a_revert_that_dies_halfway_leaves_children_of_the_past_and_the_second_round_is_complete() {
    let (mut points, mut halfway) = (0, 0);
    loop {
        points += 1;
        let world = World::of_families();
        let root = at_rest(&world).await;
        let old: Vec<_> = world.below(root).await.iter().map(|child| child.id).collect();
        let fuse = Fuse::of(points);
        let dying = world.process_on(2, world.ports().fused(&fuse)).driver;
        if lives(&world, &fuse, Box::pin(dying.revert(root, None))).await {
            break;
        }
        let what = format!("dead at step {points}");
        let driver = world.process(3).driver;
        if world.load(root).await.phase() == Phase::Execute {
            for child in &old {
                assert_ne!(world.load(*child).await.state(), State::Cancelled, "{what}: it is still wanted");
            }
            driver.revert(root, None).await.expect("reverted");
        } else {
            halfway += 1;
        }
        let parent = driver.execute(root).await.unwrap_or_else(|error| panic!("{what}: {error}"));
        assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{what}: {:?}", parent.failure);
        assert_eq!(world.states(root).await, [State::Applied; 3], "{what}");
        assert!(world.below(root).await.iter().all(|child| !old.contains(&child.id)), "{what}");
        for child in &old {
            let state = world.load(*child).await.state();
            assert!(state.is_terminal(), "{what}: a child of the past is {state}, and nobody carries it on");
        }
        world.check_answers(root).await;
        world.check_tree(root).await;
    }
    assert!(halfway > 10, "a revert has many steps: {halfway} of {points}");
}

/// `x` failed below `n`, and `y` was given up for it, and `after` for `n`.
async fn failed_below(world: &World) -> PlanId {
    world.store_action("nest", |action| {
        action.execute = None;
        let items = vec![item("x", &[]), item("y", &["x"])];
        action.subplans = Some(SubplanSpec { settings: once(Mode::Dependency), items });
    });
    world.runner.on_plan("x", "execute", fails(3));
    let wanted = vec![item_of("n", "nest", &[]), item("after", &["n"])];
    world.drive_family(&world.process(1), once(Mode::Dependency), wanted).await.id
}

#[tokio::test]
async fn another_try_of_what_failed_that_dies_halfway_is_done_by_the_same_command() {
    /// Each costs as much as two runs of a whole family.
    const STRIDE: u32 = 3;
    let mut points = 0;
    loop {
        points += STRIDE;
        let world = World::of_families();
        let root = failed_below(&world).await;
        let fuse = Fuse::of(points);
        let dying = world.process_on(2, world.ports().fused(&fuse)).driver;
        let lived = lives(&world, &fuse, Box::pin(dying.retry_failed(root))).await;
        let what = format!("dead at step {points}");
        let mut parent = world.load(root).await;
        if parent.state() != State::Complete {
            let again = world.process(3).driver.retry_failed(root).await;
            parent = again.unwrap_or_else(|error| panic!("{what}: {error}"));
        }
        assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{what}: {:?}", parent.failure);
        assert_eq!(world.states(root).await, [State::Applied; 2], "{what}: each is replaced once");
        assert_eq!(world.states(world.child(root, "n").await.id).await, [State::Applied; 2], "{what}");
        world.check_tree(root).await;
        if lived {
            break;
        }
    }
    println!("{points} crash points");
    assert!(points > 100, "such a try has many steps: {points}");
}
