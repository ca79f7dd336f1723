//! How far a plan goes by itself, and what strategize hands on.

use agents_application::driver::DriveError;
use agents_application::{LifecycleError, Order};
use agents_domain::action::Automation;
use agents_domain::plan::{Phase, State};
use rstest::rstest;

use crate::world::{PLAINLY, World, at, code, git_error, spec};

fn order(world: &World, automation: Automation) -> Order {
    world.order(|action| {
        action.automation = automation;
        action.strategize = Some(spec());
    })
}

#[rstest]
#[case(Automation::Manual, false, (Phase::Execute, State::Complete))]
#[case(Automation::Review, false, (Phase::Execute, State::Complete))]
#[case(Automation::Auto, false, (Phase::Apply, State::Applied))]
#[case(Automation::Manual, true, (Phase::Apply, State::Applied))]
#[tokio::test]
async fn run_goes_as_far_as_level_and_flag_say(
    #[case] level: Automation,
    #[case] apply: bool,
    #[case] end: (Phase, State),
) {
    let world = World::new();
    let plan = world.process(1).driver.run(order(&world, level), apply, PLAINLY).await.expect("driven");
    assert_eq!(at(&plan), end);
    assert_eq!(world.runner.purposes(), ["strategize", "execute"]);
    assert_eq!(world.workspace.moves().len(), usize::from(end.0 == Phase::Apply));
    assert_eq!(world.workspace.directories(), (0, 0), "nothing is left lying about");
    world.check(plan.id).await;
}

#[rstest]
#[case(Automation::Manual, (Phase::Strategize, State::Complete))]
#[case(Automation::Review, (Phase::Execute, State::Complete))]
#[case(Automation::Auto, (Phase::Execute, State::Complete))]
#[tokio::test]
async fn execute_stops_after_strategize_only_at_the_manual_level(
    #[case] level: Automation,
    #[case] end: (Phase, State),
) {
    let world = World::new();
    let driver = world.process(1).driver;
    let plan = driver.create(order(&world, level)).await.expect("made");
    assert_eq!(at(&plan), (Phase::Strategize, State::Queued));
    assert_eq!(at(&driver.execute(plan.id).await.expect("driven")), end);
    let again = driver.execute(plan.id).await.expect("driven or there");
    assert_eq!(at(&again), (Phase::Execute, State::Complete));
    world.check(plan.id).await;
}

#[tokio::test]
async fn what_strategize_writes_reaches_execute() {
    let world = World::new();
    world.files.strategize_writes("first this, then that");
    let driver = world.process(1).driver;
    let plan = driver.create(order(&world, Automation::Review)).await.expect("made");
    driver.lifecycle().prompt(plan.id, "gently".into()).await.expect("noted");
    let plan = driver.execute(plan.id).await.expect("driven");
    assert_eq!(plan.strategy.as_deref(), Some("first this, then that"));
    let given = world.files.prepared();
    assert_eq!(given[0], (String::new(), "gently".into()));
    assert_eq!(given[1], ("first this, then that".into(), "gently".into()));
    assert_eq!(world.runner.invocations()[1].context.strategy, "first this, then that");
    world.check(plan.id).await;
}

#[tokio::test]
async fn strategize_must_not_change_files() {
    let world = World::new();
    let workspace = world.workspace.clone();
    world.runner.each_time(move |invocation| workspace.write(&invocation.directory, "README"));
    let plan = world.process(1).driver.run(order(&world, Automation::Review), false, PLAINLY).await;
    let plan = plan.expect("driven");
    assert_eq!((at(&plan), code(&plan)), ((Phase::Strategize, State::Errored), "strategize_wrote"));
    let failure = plan.failure.clone().expect("said");
    assert!(failure.message.contains("README") && failure.message.contains("refs/agents/"), "{failure:?}");
    world.check(plan.id).await;
}

#[tokio::test]
async fn without_strategize_the_phase_completes_without_a_directory() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    assert_eq!(world.runner.purposes(), ["execute"]);
    assert_eq!(world.workspace.opened().len(), 1);
    world.check(plan).await;
}

#[tokio::test]
async fn a_dirty_checkout_is_warned_of_once() {
    let world = World::new();
    world.workspace.dirty(&world.projects[0]);
    let process = world.process(1);
    let plan = process.driver.run(world.order(|_| ()), true, PLAINLY).await.expect("driven");
    assert!(process.notes.have("uncommitted changes"));
    assert_eq!(world.workspace.calls("head"), 1, "the base is sealed by the first start");
    assert_eq!(plan.state(), State::Applied);
    world.check(plan.id).await;
}

#[tokio::test]
async fn a_repository_that_cannot_be_read_starts_nothing() {
    let world = World::new();
    world.workspace.fail("head", 1, git_error());
    let driver = world.process(1).driver;
    let plan = driver.create(world.order(|_| ())).await.expect("made");
    assert_eq!(driver.execute(plan.id).await, Err(DriveError::Workspace(git_error())));
    assert_eq!(at(&world.load(plan.id).await), (Phase::Strategize, State::Queued));
    driver.execute(plan.id).await.expect("driven the second time");
    world.check(plan.id).await;
}

#[tokio::test]
async fn a_plan_that_failed_is_refused_with_the_way_on() {
    let world = World::new();
    world.runner.on("execute", crate::world::fails(1));
    let driver = world.process(1).driver;
    let plan = driver.run(world.order(|_| ()), true, PLAINLY).await.expect("driven");
    let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = driver.execute(plan.id).await else {
        panic!("refused")
    };
    assert_eq!(refusal.remedy, Some(format!("agents plan retry {}", plan.id)));
    assert_eq!(driver.retry(plan.id, PLAINLY).await.expect("driven").state(), State::Complete);
    world.check(plan.id).await;
}
