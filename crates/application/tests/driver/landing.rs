//! From the point of no return on: each branch moves once, whatever fails, whoever finishes it.

use agents_application::LifecycleError;
use agents_application::driver::DriveError;
use agents_domain::lock::LockKey;
use agents_domain::plan::{Phase, State};
use agents_domain::workspace::{Landing, Landings};
use rstest::rstest;

use crate::fuse::Fuse;
use crate::world::{PLAINLY, World, at, code, git_error, now};

#[tokio::test]
async fn a_project_lock_lost_between_merge_and_intent_moves_nothing() {
    let world = World::with(&["api", "web"]);
    let plan = world.executed(|_| ()).await;
    let (breaker, key) = (world.clone(), LockKey::Project(world.projects[1].name.clone()));
    world.workspace.before("check_checkout", 2, move |_| {
        breaker.evict(&key);
        Ok(())
    });
    let lost = world.process(1).driver.apply(plan, PLAINLY).await;
    assert_eq!(lost, Err(DriveError::Lifecycle(LifecycleError::LeaseLost { plan })));
    assert_eq!((world.workspace.moves(), world.workspace.calls("land")), (vec![], 0));
    assert_eq!(at(&world.load(plan).await), (Phase::Apply, State::Processing));
    assert!(!world.log(plan).await.contains(&"plan.landing_intended"));
    let plan = world.process(2).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((plan.state(), world.workspace.moves().len()), (State::Applied, 2));
    world.check(plan.id).await;
}

#[tokio::test]
async fn a_target_that_moves_before_the_merge_is_merged_onto() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let theirs = world.workspace.commit(&world.projects[0], "refs/heads/main");
    let applied = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!(applied.state(), State::Applied);
    assert!(world.workspace.contains(&world.target(0), &theirs));
    world.check(plan).await;
}

#[tokio::test]
async fn a_target_that_moves_after_the_intent_constrains_and_retry_merges_anew() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let project = world.projects[0].clone();
    world.workspace.before("land", 1, move |workspace| {
        workspace.commit(&project, "refs/heads/main");
        Ok(())
    });
    let driver = world.process(1).driver;
    let constrained = driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((at(&constrained), code(&constrained)), ((Phase::Apply, State::Constrained), "moved_away"));
    assert!(!constrained.landing_is_open());
    assert_eq!(world.workspace.moves(), []);
    let theirs = world.target(0);
    let applied = driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((applied.state(), world.workspace.calls("merge")), (State::Applied, 2));
    assert!(world.workspace.contains(&world.target(0), &theirs));
    world.check(plan).await;
}

/// A driver freezes before it lands, and thaws once its landing was given up, its plan has ended, and a
/// person has put the branch back.
#[rstest]
#[case::cancelled(true)]
#[case::retried(false)]
#[tokio::test]
async fn what_was_given_up_does_not_land_when_a_frozen_driver_thaws(#[case] cancel: bool) {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let project = &world.projects[0];
    let fuse = Fuse::of(u32::MAX);
    let burning = fuse.clone();
    world.workspace.before("land", 1, move |_| {
        burning.blow();
        Err(git_error())
    });
    let frozen = world.process_on(1, world.ports().fused(&fuse));
    tokio::select! {
        biased;
        ended = frozen.driver.apply(plan, PLAINLY) => panic!("it freezes: {ended:?}"),
        () = fuse.blown() => {}
    }
    world.dies(1);
    let decided = world.load(plan).await.landings().next().expect("decided").intent.clone();
    world.workspace.commit(project, "refs/heads/main");
    let driver = world.process(2).driver;
    let constrained = driver.recover(plan).await.expect("found out");
    assert_eq!((constrained.state(), code(&constrained)), (State::Constrained, "moved_away"));
    world.workspace.set(project, "refs/heads/main", &decided.old);
    let ended = if cancel {
        driver.cancel(plan, None, false).await.expect("nothing has landed")
    } else {
        driver.retry(plan, PLAINLY).await.expect("driven")
    };
    let moves = world.workspace.moves();
    assert_eq!(moves.len(), usize::from(!cancel), "only what was decided anew");
    world.workspace.set(project, "refs/heads/main", &decided.old);
    let late: &dyn Landings = &world.workspace;
    let thawed = late.land(project, &decided).await;
    assert_eq!(thawed, Ok(Landing::MovedAway { found: Some(decided.old) }));
    assert_eq!((world.workspace.moves(), world.load(plan).await), (moves, ended));
    world.check(plan).await;
}

#[tokio::test]
async fn who_dies_between_giving_up_and_the_record_leaves_it_given_up() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let (project, reader) = (world.projects[0].clone(), world.clone());
    world.workspace.before("land", 1, move |workspace| {
        let intent = now(reader.load(plan)).landings().next().expect("decided").intent.clone();
        workspace.commit(&project, "refs/heads/main");
        let landings: &dyn Landings = workspace;
        now(landings.land(&project, &intent)).expect("given up");
        workspace.set(&project, "refs/heads/main", &intent.old);
        Err(git_error())
    });
    let driver = world.process(1).driver;
    assert_eq!(driver.apply(plan, PLAINLY).await.expect("driven").state(), State::Errored);
    let constrained = driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((constrained.state(), code(&constrained)), (State::Constrained, "moved_away"));
    let said = constrained.failure.clone().expect("said").message;
    assert!(said.ends_with("but was elsewhere meanwhile"), "{said}");
    assert_eq!(driver.retry(plan, PLAINLY).await.expect("driven").state(), State::Applied);
    assert_eq!(world.workspace.moves().len(), 1);
    world.check(plan).await;
}

#[tokio::test]
async fn a_target_that_is_gone_is_said_to_be_gone() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let project = world.projects[0].clone();
    world.workspace.before("land", 1, move |workspace| {
        workspace.delete(&project, "refs/heads/main");
        Ok(())
    });
    let constrained = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    assert!(constrained.failure.clone().expect("said").message.ends_with("but is now gone"));
    world.check(plan).await;
}

#[tokio::test]
async fn a_landing_that_fails_is_rolled_forward_by_retry_under_the_same_intent() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    world.workspace.fail("land", 1, git_error());
    let driver = world.process(1).driver;
    let errored = driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((at(&errored), code(&errored)), ((Phase::Apply, State::Errored), "git"));
    assert!(errored.landing_is_open(), "what was decided stays decided");
    let refused = driver.revert(plan, None).await;
    assert!(matches!(refused, Err(DriveError::Lifecycle(LifecycleError::Refused(_)))), "{refused:?}");
    let applied = driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((applied.state(), world.workspace.moves().len()), (State::Applied, 1));
    let intended = world.log(plan).await.iter().filter(|name| **name == "plan.landing_intended").count();
    assert_eq!((intended, world.workspace.calls("merge")), (1, 1));
    world.check(plan).await;
}

#[tokio::test]
async fn a_landing_that_was_made_but_reported_as_failed_is_not_made_again() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let project = world.projects[0].clone();
    let reader = world.clone();
    world.workspace.before("land", 1, move |workspace| {
        let plan = now(reader.load(plan));
        let intent = plan.landings().next().expect("decided").intent.clone();
        let landings: &dyn Landings = workspace;
        now(landings.land(&project, &intent)).expect("landed");
        // A person goes back to where it was; the marker says that it has landed.
        workspace.set(&project, "refs/heads/main", &intent.old);
        Err(git_error())
    });
    let driver = world.process(1).driver;
    assert_eq!(driver.apply(plan, PLAINLY).await.expect("driven").state(), State::Errored);
    assert_eq!(driver.retry(plan, PLAINLY).await.expect("driven").state(), State::Applied);
    assert_eq!(world.workspace.moves().len(), 1);
    world.check(plan).await;
}

#[tokio::test]
async fn a_checkout_that_cannot_follow_is_warned_of_and_the_landing_stands() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    world.workspace.fail("follow", 1, git_error());
    let process = world.process(1);
    let applied = process.driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((applied.state(), world.workspace.moves().len()), (State::Applied, 1));
    assert!(process.notes.have("could not follow"));
    world.check(plan).await;
}

#[tokio::test]
async fn of_several_projects_retry_lands_only_the_rest() {
    let world = World::with(&["api", "web"]);
    let plan = world.executed(|_| ()).await;
    let project = world.projects[1].clone();
    world.workspace.before("land", 2, move |workspace| {
        workspace.commit(&project, "refs/heads/main");
        Ok(())
    });
    let driver = world.process(1).driver;
    let constrained = driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((constrained.state(), constrained.has_landed()), (State::Constrained, true));
    let (landed, merges) = (world.workspace.moves(), world.workspace.calls("merge"));
    assert_eq!((landed.len(), merges), (1, 2));
    let cancelled = driver.cancel(plan, None, false).await;
    assert!(matches!(cancelled, Err(DriveError::Lifecycle(LifecycleError::Refused(_)))), "{cancelled:?}");
    let applied = driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((applied.state(), world.workspace.calls("merge")), (State::Applied, 3));
    let moves = world.workspace.moves();
    assert_eq!((moves.len(), &moves[0]), (2, &landed[0]));
    assert_eq!(moves[1].project, world.projects[1].name);
    world.check(plan).await;
}

#[tokio::test]
async fn a_project_in_which_nothing_changed_does_not_land() {
    let world = World::with(&["api", "web"]);
    world.workspace.before("snapshot", 1, |workspace| {
        workspace.discard(&workspace.opened()[0]);
        Ok(())
    });
    let plan = world.executed(|_| ()).await;
    let applied = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!(applied.state(), State::Applied);
    assert_eq!(world.workspace.moves().len(), 1);
    world.check(plan).await;
}
