//! What an attempt comes to: every way in which it can fail, and where its work is then.

use agents_domain::action::RetryPolicy;
use agents_domain::plan::{Change, Phase, Plan, Saved, State, Work};
use agents_domain::runner::{Ended, RunError};
use agents_infrastructure::scripted::Scripted;
use rstest::rstest;

use crate::world::{PLAINLY, Process, World, at, code, fails, git_error, program, spec};

async fn run(world: &World, amend: impl FnOnce(&mut agents_domain::action::Action)) -> Plan {
    let driven = world.process(1).driver.run(world.order(amend), false, PLAINLY).await;
    let plan = driven.expect("a phase that fails is no error of the driver");
    world.check(plan.id).await;
    plan
}

/// What the last event says of the attempt's work.
async fn work(world: &World, plan: &Plan) -> Vec<Work> {
    match world.events(plan.id).await.pop().expect("an event").change {
        Change::PhaseFailed { work, .. }
        | Change::PhaseCompleted { work, .. }
        | Change::Parked { work, .. } => work,
        other => panic!("no attempt ended with {other:?}"),
    }
}

#[rstest]
#[case(fails(3), "exit_code", "execute exited with code 3")]
#[case(fails(3).saying("no such file\n"), "exit_code", "its last output:\nno such file")]
#[case(Scripted::ends(Ended::Signalled(9)), "signal", "killed by signal 9")]
#[case(Scripted::ends(Ended::TimedOut), "timeout", "ran out of time")]
#[tokio::test]
async fn a_command_that_ends_badly_fails_its_phase(
    #[case] command: Scripted,
    #[case] expected: &str,
    #[case] said: &str,
) {
    let world = World::new();
    world.runner.on("execute", command);
    let plan = run(&world, |_| ()).await;
    assert_eq!((at(&plan), code(&plan)), ((Phase::Execute, State::Errored), expected));
    let failure = plan.failure.clone().expect("said");
    assert!(failure.message.contains(said) && failure.retryable, "{failure:?}");
    assert_eq!(failure.hint, Some(format!("agents plan log {}", plan.id)));
    let work = work(&world, &plan).await;
    assert!(matches!(&work[..], [Work { saved: Saved::Snapshot { kept: None, .. }, .. }]), "{work:?}");
    assert_eq!(world.workspace.directories().0, 0);
    assert_eq!(plan.projects[0].tip, None, "the plan branch does not follow what failed");
}

#[rstest]
#[case(RunError::NotFound { program: "x".into() }, "command_not_found")]
#[case(RunError::NotExecutable { program: "x".into(), reason: "y".into() }, "command_not_executable")]
#[case(RunError::Template { purpose: "x".into(), reason: "y".into() }, "template")]
#[case(RunError::MissingVariable { name: "X".into() }, "missing_variable")]
#[case(RunError::Failed { reason: "x".into() }, "not_run")]
#[tokio::test]
async fn a_command_that_does_not_run_fails_its_phase(#[case] error: RunError, #[case] expected: &str) {
    let world = World::new();
    world.runner.on("execute", Scripted::does_not_run(error));
    let plan = run(&world, |_| ()).await;
    assert_eq!((at(&plan), code(&plan)), ((Phase::Execute, State::Errored), expected));
    let hint = plan.failure.clone().expect("said").hint;
    assert_eq!(hint, Some(format!("agents plan retry {}", plan.id)));
}

#[tokio::test]
async fn setup_runs_in_every_project_and_can_fail_the_phase() {
    let world = World::with(&["api", "web"]);
    world.runner.on("setup", fails(0));
    world.runner.on("setup", fails(2));
    let plan = run(&world, |action| action.worktree.setup = Some(program())).await;
    assert_eq!((code(&plan), world.runner.purposes()), ("exit_code", vec!["setup".to_owned(); 2]));
    let directories: Vec<_> = world.runner.invocations().into_iter().map(|i| i.directory).collect();
    assert_ne!(directories[0], directories[1]);
    let env = &world.runner.invocations()[0].context.env;
    assert!(env.iter().any(|(name, value)| name == "AGENTS_PROJECT_WEB_DIR" && value.contains("web")));
    assert_eq!(work(&world, &plan).await.len(), 2, "both are put into snapshots");
}

#[tokio::test]
async fn setup_that_does_not_run_fails_the_phase() {
    let world = World::new();
    world.runner.on("setup", Scripted::does_not_run(RunError::NotFound { program: "npm".into() }));
    let plan = run(&world, |action| action.worktree.setup = Some(program())).await;
    assert!(plan.failure.clone().expect("said").message.starts_with("setup: `npm` was not found"));
}

#[tokio::test]
async fn exit_75_parks_the_plan_and_execute_takes_it_up_again() {
    let world = World::new();
    world.runner.on("execute", fails(75));
    let plan = run(&world, |_| ()).await;
    assert_eq!(at(&plan), (Phase::Execute, State::Queued));
    assert!(plan.parked.clone().expect("it waits").cause.contains("exit 75"));
    let plan = world.process(2).driver.execute(plan.id).await.expect("driven");
    assert_eq!((at(&plan), plan.parked.is_none()), ((Phase::Execute, State::Complete), true));
    world.check(plan.id).await;
}

#[rstest]
#[case(vec![], 2, 2, State::Complete)]
#[case(vec![3], 2, 2, State::Complete)]
#[case(vec![4], 2, 1, State::Errored)]
#[case(vec![], 1, 1, State::Errored)]
#[tokio::test]
async fn the_actions_policy_tries_again(
    #[case] on_exit: Vec<i32>,
    #[case] max_attempts: u32,
    #[case] attempts: u32,
    #[case] end: State,
) {
    let world = World::new();
    world.runner.on("execute", fails(3));
    let retry = Some(RetryPolicy { max_attempts, on_exit, backoff: None });
    let plan = run(&world, |action| action.execute.as_mut().expect("there").retry = retry).await;
    assert_eq!((plan.state(), world.runner.purposes().len()), (end, attempts as usize));
}

#[tokio::test]
async fn a_policy_tries_no_signal_again() {
    let world = World::new();
    world.runner.on("execute", Scripted::ends(Ended::Signalled(11)));
    let retry = Some(RetryPolicy { max_attempts: 5, on_exit: vec![], backoff: None });
    assert_eq!(
        code(&run(&world, |action| action.execute.as_mut().expect("there").retry = retry).await),
        "signal"
    );
}

#[tokio::test]
async fn without_a_snapshot_success_is_a_failure_and_the_directory_stays() {
    let world = World::with(&["api", "web"]);
    world.workspace.fail("snapshot", 1, git_error());
    let plan = run(&world, |_| ()).await;
    assert_eq!((at(&plan), code(&plan)), ((Phase::Execute, State::Errored), "git"));
    let work = work(&world, &plan).await;
    assert!(matches!(&work[0].saved, Saved::Directory { reason } if reason.contains("disk full")));
    assert!(matches!(&work[1].saved, Saved::Snapshot { .. }), "the other project's work is safe");
    assert_eq!(world.workspace.directories().0, 1);
}

#[tokio::test]
async fn without_a_snapshot_a_failure_stays_what_it_was() {
    let world = World::new();
    world.runner.on("execute", fails(3));
    world.workspace.fail("snapshot", 1, git_error());
    assert_eq!(code(&run(&world, |_| ()).await), "exit_code");
}

#[tokio::test]
async fn a_directory_that_cannot_be_removed_stays_until_the_next_command_and_the_phase_succeeds() {
    let world = World::new();
    world.workspace.fail("close", 1, git_error());
    let plan = run(&world, |_| ()).await;
    let work = work(&world, &plan).await;
    assert_eq!(plan.state(), State::Complete);
    assert!(matches!(&work[0].saved, Saved::Snapshot { kept: None, .. }), "known before it was tried");
    assert_eq!(world.workspace.directories().0, 1);
    world.process(2).driver.recover(plan.id).await.expect("nothing else to do");
    assert_eq!(world.workspace.directories().0, 0);
}

#[tokio::test]
async fn a_directory_with_more_than_its_snapshot_is_not_removed() {
    let world = World::new();
    world.workspace.keep_directories("ignored files");
    let plan = run(&world, |_| ()).await;
    let work = work(&world, &plan).await;
    assert!(matches!(&work[0].saved, Saved::Snapshot { kept: Some(why), .. } if why == "ignored files"));
    assert_eq!((world.workspace.calls("close"), world.workspace.directories().0), (0, 1));
}

#[rstest]
#[case("settle")]
#[case("open")]
#[tokio::test]
async fn a_worktree_that_cannot_be_made_fails_the_phase(#[case] method: &'static str) {
    let world = World::with(&["api", "web"]);
    world.workspace.fail(method, 2, git_error());
    let plan = run(&world, |_| ()).await;
    assert_eq!((at(&plan), code(&plan)), ((Phase::Execute, State::Errored), "git"));
    assert_eq!(world.runner.purposes().len(), 0);
    assert_eq!(work(&world, &plan).await.len(), 1, "what was made is put away");
    assert_eq!(world.workspace.directories().0, 0);
}

#[rstest]
#[case("prepare")]
#[case("strategy")]
#[tokio::test]
async fn files_of_the_attempt_that_fail_fail_the_phase(#[case] method: &'static str) {
    let world = World::new();
    world.files.breaks(Some(method));
    let plan = run(&world, |action| action.strategize = Some(spec())).await;
    assert_eq!((at(&plan), code(&plan)), ((Phase::Strategize, State::Errored), "files"));
}

#[tokio::test]
async fn the_plan_branch_follows_at_the_next_command_if_it_could_not_at_once() {
    let world = World::new();
    world.workspace.fail("advance", 1, git_error());
    let Process { driver, notes, .. } = world.process(1);
    let plan = driver.run(world.order(|_| ()), false, PLAINLY).await.expect("what is recorded stands");
    assert_eq!(at(&plan), (Phase::Execute, State::Complete));
    assert!(notes.have("its branch will follow when the plan goes on"));
    let branch = format!("refs/heads/{}", plan.branch());
    assert_eq!(world.workspace.read(&world.projects[0], &branch), None);
    let plan = driver.apply(plan.id, PLAINLY).await.expect("driven");
    assert_eq!(plan.state(), State::Applied);
    assert_eq!(world.workspace.read(&world.projects[0], &branch), plan.projects[0].tip);
    world.check(plan.id).await;
}

#[tokio::test]
async fn the_next_attempt_starts_from_the_sealed_base() {
    let world = World::new();
    let base = world.target(0);
    world.runner.on("execute", fails(1));
    let plan = run(&world, |_| ()).await;
    world.workspace.commit(&world.projects[0], "refs/heads/main");
    let plan = world.process(2).driver.retry(plan.id, PLAINLY).await.expect("driven");
    assert_eq!(plan.projects[0].base, Some(base));
    world.check(plan.id).await;
}
