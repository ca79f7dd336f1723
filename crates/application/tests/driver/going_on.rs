//! Going on with unfinished work: where the next attempt begins, and what comes of it.

use agents_application::driver::DriveError;
use agents_application::lifecycle::history::attempts;
use agents_application::{LifecycleError, PhaseDriver};
use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, Saved, State};
use agents_infrastructure::scripted::Scripted;

use crate::world::{World, at, fails, git_error};

async fn failed(world: &World) -> PlanId {
    world.runner.on("execute", fails(3));
    let order = world.order(|_| ());
    let plan = world.process(1).driver.run(order, false, crate::world::PLAINLY).await.expect("driven");
    assert_eq!(at(&plan), (Phase::Execute, State::Errored));
    plan.id
}

async fn refused(driver: &PhaseDriver, plan: PlanId) -> String {
    match driver.go_on(plan).await {
        Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) => refusal.reason,
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn the_next_attempt_begins_at_the_snapshot_and_the_plan_branch_gets_it() {
    let world = World::with(&["api", "web"]);
    let plan = failed(&world).await;
    let left = world.load(plan).await.projects[1].snapshot.clone().expect("it left something");
    let done = world.process(2).driver.go_on(plan).await.expect("driven");
    assert_eq!(at(&done), (Phase::Execute, State::Complete));
    let tip = done.projects[1].tip.clone().expect("the branch has moved");
    assert!(world.workspace.contains(&tip, &left) && !done.resumes());
    world.check(plan).await;
}

#[tokio::test]
async fn an_attempt_that_changes_nothing_more_still_brings_the_work_to_the_branch() {
    let world = World::new();
    let plan = failed(&world).await;
    let left = world.load(plan).await.projects[0].snapshot.clone();
    let quiet = world.clone();
    // What every command here writes is taken back before its snapshot.
    world.workspace.before("snapshot", 3, move |workspace| {
        let slot = quiet.workspace.opened().pop().expect("opened");
        workspace.discard(&slot);
        Ok(())
    });
    let done = world.process(2).driver.go_on(plan).await.expect("driven");
    assert_eq!((done.state(), done.projects[0].tip.clone()), (State::Complete, left));
}

#[tokio::test]
async fn work_that_is_only_in_a_directory_is_saved_first_or_nothing_is_begun() {
    let world = World::new();
    world.workspace.fail("snapshot", 1, git_error());
    let plan = failed(&world).await;
    world.workspace.fail("snapshot", 2, git_error());
    let driver = world.process(2).driver;
    let reason = refused(&driver, plan).await;
    assert!(reason.contains("what attempt 2 left in local/api is in no snapshot"), "{reason}");
    assert_eq!((world.load(plan).await.state(), world.workspace.opened().len()), (State::Errored, 1));
    let done = driver.go_on(plan).await.expect("driven");
    assert_eq!(at(&done), (Phase::Execute, State::Complete));
    let slot = world.workspace.opened()[0].clone();
    let begun = attempts(&world.events(plan).await).pop().expect("an attempt").resumed;
    let tip = done.projects[0].tip.clone().expect("moved");
    assert!(world.workspace.contains(&tip, &begun[&slot.project.name]));
    assert!(world.workspace.has_directory(&slot), "the log calls it kept");
}

#[tokio::test]
async fn what_is_in_no_snapshot_is_said_to_stay_behind() {
    let world = World::new();
    world.workspace.keep_directories("ignored files (.cache/)");
    let plan = failed(&world).await;
    let process = world.process(2);
    process.driver.go_on(plan).await.expect("driven");
    assert!(process.notes.have("what is in no snapshot stays in the directory of attempt 2"));
    assert!(process.notes.have("ignored files (.cache/)"));
}

#[tokio::test]
async fn the_policy_of_an_action_repeats_the_attempt_from_where_it_began() {
    let world = World::new();
    for code in [3, 9] {
        world.runner.on("execute", fails(code));
    }
    let order = world.order(|action| {
        let policy = agents_domain::action::RetryPolicy { max_attempts: 2, on_exit: vec![9], backoff: None };
        action.execute.as_mut().expect("there").retry = Some(policy);
    });
    let process = world.process(1);
    let plan = process.driver.run(order, false, crate::world::PLAINLY).await.expect("driven").id;
    let left = world.load(plan).await.projects[0].snapshot.clone().expect("left");
    let done = process.driver.go_on(plan).await.expect("driven");
    assert_eq!((done.state(), done.attempt), (State::Complete, 4));
    let works = process.driver.lifecycle().works(plan).await.expect("read");
    let bad = works.into_iter().find(|((attempt, _), _)| *attempt == 3).expect("it failed");
    let Saved::Snapshot { commit: bad, .. } = bad.1 else { panic!("in a snapshot") };
    let tip = done.projects[0].tip.clone().expect("moved");
    assert!(world.workspace.contains(&tip, &left) && !world.workspace.contains(&tip, &bad));
}

#[tokio::test]
async fn a_parked_attempt_that_went_on_is_gone_on_with() {
    let world = World::new();
    let plan = failed(&world).await;
    world.runner.on("execute", Scripted::exits(75));
    let driver = world.process(2).driver;
    let parked = driver.go_on(plan).await.expect("driven");
    assert!(parked.parked.is_some() && parked.resumes());
    let left = parked.projects[0].snapshot.clone().expect("left");
    let done = driver.execute(plan).await.expect("driven");
    assert!(world.workspace.contains(&done.projects[0].tip.clone().expect("moved"), &left));
}

#[tokio::test]
async fn a_plan_that_is_done_or_has_left_nothing_is_not_gone_on_with() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let driver = world.process(2).driver;
    assert!(refused(&driver, plan).await.contains("legal here"));
    let applied = driver.apply(plan, crate::world::PLAINLY).await.expect("applied");
    assert_eq!(driver.go_on(plan).await, Ok(applied));
}
