//! The work of children comes together in their parent's branch: conflicts, and the fence.

use agents_application::driver::DriveError;
use agents_application::{LifecycleError, Wait};
use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::plan::{Phase, State};
use agents_domain::subplan::{MergePolicy, Mode, Settings};
use agents_infrastructure::scripted::{Scripted, ScriptedRunner};
use rstest::rstest;

use super::tree::{interrupted, item, items, once, until};
use crate::world::{PLAINLY, World, at, code};

/// The merge of that number, from 1, conflicts; those after it do not.
fn conflicts_at(world: &World, nth: u32) {
    let (project, clean) = (world.projects[0].clone(), world.projects[0].clone());
    world.workspace.before("merge", nth, move |workspace| {
        workspace.conflict(&project, &["src/lib.rs"]);
        Ok(())
    });
    world.workspace.before("merge", nth + 1, move |workspace| {
        workspace.conflict(&clean, &[]);
        Ok(())
    });
}

/// Carl stands in line while it does its work; it is merged before it is his.
#[tokio::test(start_paused = true)]
async fn a_child_is_merged_under_the_hold_in_which_it_did_its_work() {
    let world = World::of_families();
    let gate = world.gate("a", Scripted::exits(0));
    let (ada, carl) = (world.process(1), world.process(2));
    let driving = world.spawn_family(&ada, once(Mode::Parallel), items(&["a"]));
    gate.reached().await;
    let child = world.child(world.root().await.id, "a").await.id;
    let lifecycle = carl.driver.lifecycle().clone();
    let holding = tokio::spawn(async move { lifecycle.hold(child, "test", Wait::Forever).await });
    until("carl is in line", async || carl.notes.have("waiting for plan/")).await;
    gate.open();
    let held = holding.await.expect("no panic").expect("held");
    assert_eq!(world.load(child).await.state(), State::Applied);
    let (before, after) = (world.events(child).await, held.fence().token());
    assert!(before.iter().filter_map(|event| event.token).all(|token| Some(token) < after));
    held.release().await.expect("given back");
    driving.await.expect("no panic").expect("driven");
}

#[tokio::test]
async fn a_conflict_waits_for_a_person_and_the_siblings_settle_and_are_kept() {
    let world = World::of_families();
    conflicts_at(&world, 2);
    let process = world.process(1);
    let wanted = vec![item("a", &[]), item("b", &[]), item("c", &[]), item("d", &["b"])];
    let parent = world.drive_family(&process, once(Mode::Dependency), wanted).await;
    let id = parent.id;
    assert_eq!((at(&parent), code(&parent)), ((Phase::Execute, State::Errored), "conflict"));
    let failure = parent.failure.clone().expect("said");
    let child = world.child(id, "b").await;
    for part in ["`b`", child.branch().as_str(), "src/lib.rs"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
    let hint = failure.hint.expect("there is a way on");
    assert!(hint.ends_with(&format!("then: agents plan retry {id}")) && hint.contains(&parent.branch()));
    assert_eq!((at(&child), code(&child)), ((Phase::Apply, State::Constrained), "conflict"));
    assert_eq!(
        world.states(id).await,
        [State::Applied, State::Constrained, State::Applied, State::Queued],
        "what depends on it waits"
    );
    assert_eq!(world.log(id).await.iter().filter(|event| **event == "subplan.conflicted").count(), 1);
    world.check_tree(id).await;

    // A person merges by hand, on the parent's branch.
    let by_hand = world.workspace.commit(&world.projects[0], &format!("refs/heads/{}", parent.branch()));
    let ran = world.started();
    let parent = world.process(2).driver.retry(id, PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(id).await, [State::Applied; 4]);
    assert_eq!(world.started()[ran.len()..], ["d"], "what has settled is not run again");
    assert!(world.workspace.contains(&parent.projects[0].tip.clone().expect("made"), &by_hand));
    world.check_tree(id).await;
}

#[tokio::test]
async fn a_conflict_that_is_not_resolved_is_the_same_conflict_again() {
    let world = World::of_families();
    world.workspace.conflict(&world.projects[0], &["src/lib.rs"]);
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a"])).await;
    assert_eq!(code(&parent), "conflict");
    let parent = process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!((code(&parent), world.started().len()), ("conflict", 1));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn a_conflict_and_a_failure_are_told_together() {
    let world = World::of_families();
    conflicts_at(&world, 1);
    world.runner.on_plan("b", "execute", Scripted::exits(1));
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a", "b"])).await;
    assert_eq!(code(&parent), "conflict");
    assert!(parent.failure.clone().expect("said").message.contains("1 of 2 subplans failed: `b`"));
    let parent = process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!(code(&parent), "subplans_failed");
    assert_eq!(world.states(parent.id).await, [State::Applied, State::Errored]);
    world.check_tree(parent.id).await;
}

/// All commands here write the same file.
#[rstest]
#[case::merges(MergePolicy::ThreeWay, State::Complete, State::Applied)]
#[case::is_exclusive(MergePolicy::FailOnConflict, State::Errored, State::Constrained)]
#[tokio::test]
async fn a_file_of_two_children_is_a_conflict_if_the_action_says_so(
    #[case] merge: MergePolicy,
    #[case] end: State,
    #[case] of_second: State,
) {
    let world = World::of_families();
    let settings = Settings { merge, ..once(Mode::Dependency) };
    let wanted = vec![item("a", &[]), item("b", &[]), item("on-a", &["a"])];
    let parent = world.drive_family(&world.process(1), settings, wanted).await;
    assert_eq!(at(&parent), (Phase::Execute, end), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied, of_second, State::Applied]);
    if end == State::Errored {
        assert_eq!(code(&parent), "conflict");
        assert!(parent.failure.clone().expect("said").message.contains("src/lib.rs"));
    }
    world.check_tree(parent.id).await;
}

/// Its process has not heard of the loss when it decides to merge.
#[tokio::test]
async fn without_the_parents_lock_nothing_lands_in_its_branch() {
    let world = World::of_families();
    let breaker = world.clone();
    world.workspace.before("check_checkout", 1, move |_| {
        let root = crate::world::now(breaker.root()).id;
        breaker.evict(&LockKey::Plan(root));
        Ok(())
    });
    let driving = world.spawn_family(&world.process(1), once(Mode::Parallel), items(&["a"]));
    let lost = driving.await.expect("no panic");
    assert!(matches!(lost, Err(DriveError::Lifecycle(LifecycleError::LeaseLost { .. }))), "{lost:?}");
    let root = world.root().await.id;
    assert_eq!((world.workspace.moves(), world.workspace.calls("land")), (vec![], 0));
    assert_eq!(at(&world.child(root, "a").await), (Phase::Apply, State::Processing));
    let parent = world.process(2).driver.execute(root).await.expect("carried on");
    assert_eq!((parent.state(), world.workspace.moves().len()), (State::Complete, 1));
    world.check_tree(root).await;
}

#[tokio::test]
async fn a_child_that_changed_nothing_is_applied_in_one_commit_and_git_is_not_asked() {
    // Its commands do nothing.
    let world = World { runner: ScriptedRunner::default(), ..World::of_families() };
    let parent = world.drive_family(&world.process(1), once(Mode::Parallel), items(&["a"])).await;
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    let child = world.child(parent.id, "a").await;
    assert_eq!((at(&child), world.workspace.calls("merge")), ((Phase::Apply, State::Applied), 0));
    let applied = ["plan.phase_advanced", "plan.phase_started", "plan.landing_intended", "plan.applied"];
    assert!(world.log(child.id).await.ends_with(&applied));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn without_the_parents_lock_not_even_nothing_lands() {
    let world = World::of_families();
    let root = interrupted(&world, once(Mode::Parallel), &["a"]).await;
    let process = world.process(2);
    let child = world.child(root, "a").await.id;
    process.driver.retry(child, PLAINLY).await.expect("driven");
    let lifecycle = process.driver.lifecycle();
    let parent = lifecycle.hold(root, "test", Wait::No).await.expect("free");
    world.evict(&LockKey::Plan(root));
    let lost = lifecycle.pass_apply(child, &parent).await;
    assert!(matches!(lost, Err(LifecycleError::LeaseLost { .. })), "{lost:?}");
    assert_eq!(at(&world.load(child).await), (Phase::Execute, State::Complete));
}

fn refusal(outcome: crate::world::Outcome) -> (String, String) {
    match outcome {
        Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) => {
            (refusal.reason, refusal.remedy.expect("there is a way on"))
        }
        other => panic!("it is not refused: {other:?}"),
    }
}

fn why(parent: PlanId) -> String {
    format!("agents plan why {parent}")
}

#[tokio::test]
async fn only_its_parent_merges_a_child() {
    let world = World::of_families();
    conflicts_at(&world, 1);
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a"])).await;
    let child = world.child(parent.id, "a").await.id;
    let (reason, remedy) = refusal(process.driver.retry(child, PLAINLY).await);
    assert!(reason.contains("it is a subplan"), "{reason}");
    assert_eq!(remedy, why(parent.id));
    let (reason, remedy) = refusal(process.driver.apply(child, PLAINLY).await);
    assert!(reason.contains("it is a subplan"), "{reason}");
    assert_eq!(remedy, why(parent.id));
    process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    let applied = process.driver.apply(child, PLAINLY).await.expect("acknowledged");
    assert_eq!((applied.state(), world.workspace.moves().len()), (State::Applied, 1));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn a_child_is_not_run_before_its_time() {
    let world = World::of_families();
    let process = world.process(1);
    let order = world.family_order(once(Mode::Dependency), vec![item("a", &[]), item("b", &["a"])]);
    let plan = process.driver.create(order).await.expect("made").id;
    let wanted = [item("extra", &[]), item("after", &["extra"])];
    process.subplans.spawn(plan, &wanted, Wait::No).await.expect("spawned");
    let (first, second) = (world.child(plan, "extra").await.id, world.child(plan, "after").await.id);
    let (reason, _) = refusal(process.driver.execute(first).await);
    assert!(reason.contains("has not come to it"), "{reason}");
    let gate = world.gate("extra", Scripted::exits(0));
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    gate.reached().await;
    let (reason, remedy) = refusal(world.process(2).driver.execute(second).await);
    assert!(reason.contains("begins with the work of `extra`"), "{reason}");
    assert_eq!(remedy, why(plan));
    let (reason, _) = refusal(world.process(2).driver.go_on(second).await);
    assert!(reason.contains("begins with the work of `extra`"), "with earlier work neither: {reason}");
    gate.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!((parent.state(), world.states(plan).await), (State::Complete, vec![State::Applied; 4]));
    world.check_tree(plan).await;
}
