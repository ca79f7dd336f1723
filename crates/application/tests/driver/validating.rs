//! The action's own commands around a landing: checks before it, one command after it.

use agents_domain::action::{Action, ValidationSpec};
use agents_domain::plan::{Plan, State};
use agents_domain::runner::{RunError, StopCause};
use agents_infrastructure::scripted::{Gate, Scripted};
use rstest::rstest;

use crate::world::{PLAINLY, World, code, fails, git_error, program};

/// Two checks: `lint` must pass, `audit` need not.
fn checks(action: &mut Action) {
    let check = |name: &str, required| ValidationSpec {
        name: name.to_owned(),
        program: program(),
        timeout: None,
        required,
    };
    action.validations = vec![check("lint", true), check("audit", false)];
}

fn after(action: &mut Action) {
    action.apply.after = Some(program());
}

async fn apply(world: &World, amend: impl FnOnce(&mut Action)) -> (Plan, crate::world::Process) {
    let plan = world.executed(amend).await;
    let process = world.process(1);
    let applied = process.driver.apply(plan, PLAINLY).await.expect("driven");
    world.check(plan).await;
    (applied, process)
}

#[tokio::test]
async fn checks_run_on_the_merged_tree_of_every_project() {
    let world = World::with(&["api", "web"]);
    let (plan, _) = apply(&world, checks).await;
    assert_eq!((plan.state(), plan.validations.len()), (State::Applied, 4));
    assert!(plan.validations.iter().all(|validation| validation.passed));
    let in_preview = |i: &agents_domain::runner::Invocation| i.directory.starts_with("/previews");
    assert_eq!(world.runner.invocations().iter().filter(|i| in_preview(i)).count(), 4);
    assert_eq!(world.workspace.directories(), (0, 0));
}

#[rstest]
#[case(fails(1))]
#[case(Scripted::does_not_run(RunError::NotFound { program: "x".into() }))]
#[tokio::test]
async fn a_required_check_that_fails_constrains_the_plan(#[case] command: Scripted) {
    let world = World::with(&["api", "web"]);
    world.runner.on("validation lint", command);
    let (plan, _) = apply(&world, checks).await;
    assert_eq!((plan.state(), code(&plan)), (State::Constrained, "validation"));
    let failure = plan.failure.clone().expect("said");
    assert!(failure.message.ends_with("merged tree: lint"), "{failure:?}");
    assert_eq!(plan.validations.len(), 2, "what the checks of the first project said is kept");
    assert!(!plan.validations[0].passed && plan.validations[0].message.is_some());
    assert_eq!((world.workspace.moves(), world.workspace.directories()), (vec![], (0, 0)));
    let retried = world.process(2).driver.retry(plan.id, PLAINLY).await.expect("driven");
    assert_eq!(retried.state(), State::Applied);
    world.check(plan.id).await;
}

#[tokio::test]
async fn an_informational_check_that_fails_is_recorded() {
    let world = World::new();
    world.runner.on("validation audit", fails(1).saying("one advisory"));
    let (plan, _) = apply(&world, checks).await;
    assert_eq!(plan.state(), State::Applied);
    let audit = plan.validations.iter().find(|validation| validation.name == "audit").expect("recorded");
    assert!(!audit.passed && audit.message.as_ref().is_some_and(|said| said.contains("one advisory")));
}

#[tokio::test]
async fn a_tree_that_cannot_be_previewed_fails_the_phase() {
    let world = World::new();
    world.workspace.fail("preview", 1, git_error());
    let (plan, _) = apply(&world, checks).await;
    assert_eq!((plan.state(), code(&plan), world.workspace.moves()), (State::Errored, "git", vec![]));
}

#[tokio::test]
async fn files_that_cannot_be_made_for_a_check_fail_the_phase() {
    let world = World::new();
    let plan = world.executed(checks).await;
    world.files.breaks(Some("prepare"));
    let errored = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((errored.state(), code(&errored)), (State::Errored, "files"));
    assert_eq!(world.workspace.directories(), (0, 0), "its preview is closed");
    world.check(plan).await;
}

#[tokio::test]
async fn a_preview_that_cannot_be_removed_is_only_warned_of() {
    let world = World::new();
    world.workspace.fail("close_preview", 1, git_error());
    let (plan, process) = apply(&world, checks).await;
    assert_eq!(plan.state(), State::Applied);
    assert!(process.notes.have("could not be removed"));
}

#[tokio::test]
async fn the_command_for_afterwards_runs_once_in_the_landed_tree() {
    let world = World::with(&["api", "web"]);
    let (plan, process) = apply(&world, after).await;
    assert_eq!(
        (plan.state(), world.runner.purposes()),
        (State::Applied, vec!["execute".into(), "after".into()])
    );
    assert!(world.runner.invocations()[1].directory.starts_with("/previews"));
    assert!(!process.notes.have("`after`"));
    process.driver.apply(plan.id, PLAINLY).await.expect("acknowledged");
    assert_eq!(world.runner.purposes().len(), 2, "not again");
}

#[rstest]
#[case(fails(1), "exited with code 1")]
#[case(Scripted::does_not_run(RunError::NotFound { program: "gh".into() }), "`gh` was not found")]
#[tokio::test]
async fn a_command_for_afterwards_that_fails_undoes_nothing(#[case] command: Scripted, #[case] said: &str) {
    let world = World::new();
    world.runner.on("after", command);
    let (plan, process) = apply(&world, after).await;
    assert_eq!(plan.state(), State::Applied);
    assert!(process.notes.have("its `after` command failed") && process.notes.have(said));
}

#[tokio::test]
async fn a_landed_tree_that_cannot_be_previewed_undoes_nothing() {
    let world = World::new();
    world.workspace.fail("preview", 1, git_error());
    let (plan, process) = apply(&world, after).await;
    assert_eq!(plan.state(), State::Applied);
    assert!(process.notes.have("disk full"));
}

#[tokio::test]
async fn files_that_cannot_be_made_for_afterwards_undo_nothing() {
    let world = World::new();
    let plan = world.executed(after).await;
    world.files.breaks(Some("prepare"));
    let process = world.process(1);
    assert_eq!(process.driver.apply(plan, PLAINLY).await.expect("driven").state(), State::Applied);
    assert!(process.notes.have("its `after` command failed"));
    world.check(plan).await;
}

#[tokio::test]
async fn a_command_for_afterwards_that_is_stopped_is_warned_of() {
    let world = World::new();
    let plan = world.executed(after).await;
    let (gate, process) = (Gate::default(), world.process(1));
    world.runner.on("after", Scripted::exits(0).behind(&gate));
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    gate.reached().await;
    process.stop.stop();
    assert_eq!(process.stop.requested(), Some(StopCause::Shutdown));
    assert_eq!(driving.await.expect("no panic").expect("applied").state(), State::Applied);
    assert!(process.notes.have("it was stopped"));
    world.check(plan).await;
}
