//! Apply up to the point of no return: what refuses it, and that nothing has moved then.

use agents_application::LifecycleError;
use agents_application::driver::{ApplyOptions, DriveError};
use agents_application::lock_service::Wait;
use agents_application::observer::Unobserved;
use agents_domain::action::{LandOn, MergeStrategy};
use agents_domain::lock::{LockError, LockKey};
use agents_domain::name::Name;
use agents_domain::plan::{Phase, Plan, State};
use agents_domain::workspace::WorkspaceError;
use rstest::rstest;

use crate::world::{PLAINLY, World, at, code, git_error};

async fn apply(world: &World, plan: agents_domain::id::PlanId) -> Plan {
    let applied = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    world.check(plan).await;
    applied
}

/// Where a refused apply leaves things: nothing has moved, and `retry` leads on.
fn refused(world: &World, plan: &Plan, state: State, expected: &str) {
    assert_eq!((at(plan), code(plan)), ((Phase::Apply, state), expected));
    assert_eq!((world.workspace.moves(), world.workspace.directories()), (vec![], (0, 0)));
}

#[tokio::test(start_paused = true)]
async fn apply_waits_for_its_project() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let (process, rival) = (world.process(1), world.process(2));
    let key = LockKey::Project(world.projects[0].name.clone());
    let held = rival.locks.acquire(vec![key], "plan apply", Wait::No, &Unobserved).await.expect("free");
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    while !process.notes.have("waiting for project/local/api") {
        tokio::task::yield_now().await;
    }
    assert_eq!(world.workspace.calls("merge"), 0);
    held.release().await.expect("released");
    assert_eq!(driving.await.expect("no panic").expect("driven").state(), State::Applied);
    world.check(plan).await;
}

#[tokio::test]
async fn a_project_without_a_lock_is_an_error_and_nothing_starts() {
    let world = World::new();
    let mut order = world.order(|_| ());
    order.definition.projects[0].name = Name::parse("unregistered").expect("valid");
    world.workspace.add(&order.definition.projects[0]);
    let driver = world.process(1).driver;
    let plan = driver.run(order, false, PLAINLY).await.expect("driven").id;
    let none = driver.apply(plan, PLAINLY).await;
    assert!(
        matches!(none, Err(DriveError::Projects { source: LockError::NoSuchLock { .. }, .. })),
        "{none:?}"
    );
    assert_eq!(at(&world.load(plan).await), (Phase::Apply, State::Queued));
    world.check(plan).await;
}

#[tokio::test]
async fn a_rival_that_holds_the_plan_refuses_every_command() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let held = world.process(2).driver.lifecycle().hold(plan, "test", Wait::No).await.expect("free");
    let driver = world.process(1).driver;
    for outcome in [
        driver.execute(plan).await,
        driver.apply(plan, PLAINLY).await,
        driver.retry(plan, PLAINLY).await,
        driver.revert(plan, None).await,
        driver.recover(plan).await,
    ] {
        let Err(DriveError::Lifecycle(LifecycleError::Lock { source, .. })) = outcome else {
            panic!("refused: {outcome:?}")
        };
        assert!(matches!(source, LockError::Conflict(_)));
    }
    held.release().await.expect("released");
    world.check(plan).await;
}

#[tokio::test]
async fn a_conflict_constrains_the_plan_and_names_files_and_the_way_on() {
    let world = World::with(&["api", "web"]);
    let plan = world.executed(|_| ()).await;
    world.workspace.conflict(&world.projects[1], &["a.rs", "b.rs"]);
    let constrained = apply(&world, plan).await;
    refused(&world, &constrained, State::Constrained, "conflict");
    let failure = constrained.failure.clone().expect("said");
    assert!(failure.message.contains("a.rs, b.rs"), "{failure:?}");
    let hint = failure.hint.expect("helps");
    assert!(hint.contains(&format!("agents/plan-{plan}")) && hint.contains("agents plan retry"), "{hint}");
    world.workspace.conflict(&world.projects[1], &[]);
    let retried = world.process(2).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((retried.state(), world.workspace.moves().len()), (State::Applied, 2));
    world.check(plan).await;
}

#[tokio::test]
async fn what_a_person_adds_to_the_plan_branch_lands_too() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let added = world.workspace.commit(&world.projects[0], &format!("refs/heads/agents/plan-{plan}"));
    assert_eq!(apply(&world, plan).await.state(), State::Applied);
    assert!(world.workspace.contains(&world.target(0), &added));
}

#[rstest]
#[case("settle", 2)]
#[case("merge", 1)]
#[tokio::test]
async fn a_merge_that_fails_fails_the_phase(#[case] method: &'static str, #[case] nth: u32) {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    world.workspace.fail(method, nth, git_error());
    let errored = apply(&world, plan).await;
    refused(&world, &errored, State::Errored, "git");
    let retried = world.process(2).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!(retried.state(), State::Applied);
    world.check(plan).await;
}

#[tokio::test]
async fn a_plan_branch_that_a_person_has_moved_elsewhere_is_not_overwritten() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let branch = format!("refs/heads/agents/plan-{plan}");
    world.workspace.delete(&world.projects[0], &branch);
    world.workspace.commit(&world.projects[0], &branch);
    let errored = apply(&world, plan).await;
    refused(&world, &errored, State::Errored, "ref_moved");
}

#[rstest]
#[case(false, State::Constrained)]
#[case(true, State::Applied)]
#[tokio::test]
async fn a_plan_that_changed_nothing_lands_only_if_that_is_wanted(
    #[case] allow_empty: bool,
    #[case] end: State,
) {
    let world = World::new();
    let order = world.order(|action| action.strategize = None);
    // The command of this plan writes nothing: its worktree is gone from the world's eyes.
    world.workspace.before("snapshot", 1, |workspace| {
        workspace.discard(&workspace.opened()[0]);
        Ok(())
    });
    let options = ApplyOptions { allow_empty };
    let plan = world.process(1).driver.run(order, true, options).await.expect("driven");
    assert_eq!((plan.state(), world.workspace.moves()), (end, vec![]));
    if end == State::Constrained {
        let hint = plan.failure.clone().expect("said").hint;
        assert_eq!(hint, Some(format!("agents plan retry {} --allow-empty", plan.id)));
        let plan = world.process(2).driver.retry(plan.id, ApplyOptions { allow_empty: true }).await;
        assert_eq!(plan.expect("driven").state(), State::Applied);
    }
    world.check(plan.id).await;
}

#[tokio::test]
async fn work_that_is_on_the_target_already_is_empty() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let tip = world.load(plan).await.projects[0].tip.clone().expect("it made something");
    world.workspace.set(&world.projects[0], "refs/heads/main", &tip);
    let constrained = apply(&world, plan).await;
    refused(&world, &constrained, State::Constrained, "empty");
}

#[tokio::test]
async fn a_checkout_in_the_way_refuses_before_anything_has_moved() {
    let world = World::with(&["api", "web"]);
    let plan = world.executed(|_| ()).await;
    let dirty = WorkspaceError::DirtyCheckout { path: "/src/web".into(), files: vec!["a.rs".into()] };
    world.workspace.fail("check_checkout", 2, dirty);
    let errored = apply(&world, plan).await;
    refused(&world, &errored, State::Errored, "dirty_checkout");
    let retried = world.process(2).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((retried.state(), world.workspace.moves().len()), (State::Applied, 2));
    world.check(plan).await;
}

#[rstest]
#[case(Some("chore:"), "chore: Fix it\n\nAgents-Plan: ")]
#[case(None, ": Fix it\n\nAgents-Plan: ")]
#[tokio::test]
async fn the_message_is_the_actions_and_names_the_plan(#[case] template: Option<&str>, #[case] said: &str) {
    let world = World::new();
    let plan = world
        .executed(|action| {
            action.apply.message = template.map(str::to_owned);
            action.apply.strategy = MergeStrategy::Squash;
        })
        .await;
    assert_eq!(apply(&world, plan).await.state(), State::Applied);
    let message = world.workspace.messages().remove(0);
    assert!(message.contains(&format!("{said}{plan}")), "{message}");
}

#[tokio::test]
async fn without_a_description_the_message_names_the_action() {
    let world = World::new();
    let plan = world.executed(|action| action.description = String::new()).await;
    apply(&world, plan).await;
    assert!(world.workspace.messages()[0].starts_with(&format!("{plan}: local/fix\n")));
}

#[tokio::test]
async fn a_message_that_cannot_be_rendered_fails_the_phase() {
    let world = World::new();
    let plan = world.executed(|action| action.apply.message = Some("broken".into())).await;
    let errored = apply(&world, plan).await;
    refused(&world, &errored, State::Errored, "template");
}

#[tokio::test]
async fn landing_on_the_branch_moves_no_target() {
    let world = World::new();
    let plan = world.executed(|action| action.apply.land = LandOn::Branch).await;
    let before = world.target(0);
    let applied = apply(&world, plan).await;
    assert_eq!((applied.state(), world.workspace.moves()), (State::Applied, vec![]));
    assert_eq!((world.target(0), world.workspace.calls("check_checkout")), (before, 0));
}
