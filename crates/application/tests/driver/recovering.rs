//! What a dead driver left: found by the next command, whichever it is.

use agents_application::driver::DriveError;
use agents_application::{LifecycleError, Wait};
use agents_domain::action::ValidationSpec;
use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Phase, Saved, State, Work};
use agents_domain::workspace::{Slot, WorkspaceError};
use agents_infrastructure::scripted::{Gate, Scripted};
use rstest::rstest;

use crate::fuse::Fuse;
use crate::world::{PLAINLY, World, at, code, git_error, program};

/// A driver dies while a command runs in `command`'s purpose, in the middle of `run --apply`.
async fn dead_during(world: &World, purpose: &str) -> PlanId {
    dead_on(world, purpose, "box").await
}

/// The same for a driver on that machine.
pub(crate) async fn dead_on(world: &World, purpose: &str, host: &str) -> PlanId {
    let gate = Gate::default();
    world.runner.on(purpose, Scripted::exits(0).behind(&gate));
    let fuse = Fuse::of(u32::MAX);
    let process = world.process_as(world.census.citizen(1).on(host), world.ports().fused(&fuse));
    let order = world.order(|action| {
        let (name, program, timeout) = ("lint".to_owned(), program(), None);
        action.validations = vec![ValidationSpec { name, program, timeout, required: true }];
    });
    let plan = tokio::select! {
        biased;
        ended = process.driver.run(order, true, PLAINLY) => panic!("it waits at the gate: {ended:?}"),
        () = gate.reached() => world.runner.invocations()[0].plan,
    };
    // Its heartbeat thread hands its locks to a store that does not answer any more.
    fuse.blow();
    world.dies(1);
    plan
}

async fn saved(world: &World, plan: PlanId) -> Vec<Work> {
    let interrupted = |event: agents_domain::plan::Event| match event.change {
        Change::Interrupted { work, .. } => Some(work),
        _ => None,
    };
    world.events(plan).await.into_iter().find_map(interrupted).expect("interrupted")
}

#[tokio::test]
async fn recover_saves_the_work_and_says_why() {
    let world = World::with(&["api", "web"]);
    let plan = dead_during(&world, "execute").await;
    let process = world.process(2);
    let recovered = process.driver.recover(plan).await.expect("recovered");
    assert_eq!((at(&recovered), code(&recovered)), ((Phase::Execute, State::Errored), "owner_died"));
    assert!(process.notes.have("ended without finishing it"));
    let saved = saved(&world, plan).await;
    assert!(saved.iter().all(|work| matches!(work.saved, Saved::Snapshot { .. })) && saved.len() == 2);
    assert_eq!(world.workspace.directories(), (0, 0));
    let again = process.driver.recover(plan).await.expect("untouched");
    assert_eq!(again, recovered);
    world.check(plan).await;
}

#[tokio::test]
async fn what_a_driver_on_another_machine_left_is_recorded_as_pending_there_and_not_touched() {
    let world = World::with(&["api", "web"]);
    let plan = dead_on(&world, "execute", "far").await;
    let recovered = world.process(2).driver.recover(plan).await.expect("recovered");
    assert_eq!((at(&recovered), code(&recovered)), ((Phase::Execute, State::Errored), "owner_died"));
    let saved = saved(&world, plan).await;
    let pending = |work: &Work| matches!(&work.saved, Saved::Pending { host } if host == "far");
    assert!(saved.iter().all(pending) && saved.len() == 2, "{saved:?}");
    assert_eq!((world.workspace.directories(), world.workspace.calls("snapshot")), ((2, 0), 0));
    world.check(plan).await;
}

#[tokio::test]
async fn an_attempt_whose_directory_is_gone_left_nothing() {
    let world = World::new();
    let plan = dead_during(&world, "execute").await;
    world.workspace.fail("snapshot", 1, WorkspaceError::NoDirectory { path: "/worktrees".into() });
    world.process(2).driver.recover(plan).await.expect("recovered");
    assert_eq!(saved(&world, plan).await, []);
    world.check(plan).await;
}

/// A driver dies between the record of an attempt and the removal of its directory.
async fn dead_before_removal(world: &World) -> PlanId {
    let fuse = Fuse::of(u32::MAX);
    let process = world.process_on(1, world.ports().fused(&fuse));
    let (dead, burning) = (world.clone(), fuse.clone());
    world.workspace.before("close", 1, move |_| {
        burning.blow();
        dead.dies(1);
        Err(git_error())
    });
    tokio::select! {
        biased;
        ended = process.driver.run(world.order(|_| ()), false, PLAINLY) => panic!("it dies: {ended:?}"),
        () = fuse.blown() => {}
    }
    world.workspace.opened()[0].plan
}

async fn recorded(world: &World, plan: PlanId) -> Vec<Work> {
    let works = world.process(80).driver.lifecycle().works(plan).await.expect("read");
    works.into_iter().map(|((_, project), saved)| Work { project, saved }).collect()
}

#[tokio::test]
async fn a_directory_goes_only_once_its_snapshot_is_recorded() {
    let world = World::new();
    let plan = dead_before_removal(&world).await;
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Complete));
    let works = recorded(&world, plan).await;
    let Saved::Snapshot { reference, commit, kept: None } = &works[0].saved else { panic!("{works:?}") };
    assert_eq!(world.workspace.read(&world.projects[0], reference).as_ref(), Some(commit));
    assert_eq!(world.workspace.directories().0, 1, "a crash leaves a directory too many");
    let applied = world.process(2).driver.apply(plan, PLAINLY).await.expect("applied");
    assert_eq!((applied.state(), world.workspace.directories().0), (State::Applied, 0));
    world.check(plan).await;
}

#[tokio::test]
async fn what_was_written_after_the_record_gets_a_snapshot_before_its_directory_goes() {
    let world = World::new();
    let plan = dead_before_removal(&world).await;
    let slot = world.workspace.opened()[0].clone();
    world.workspace.write(&world.workspace.directory(&slot), "by-hand");
    world.process(2).driver.recover(plan).await.expect("nothing else to do");
    assert_eq!(world.workspace.directories().0, 0);
    let left = world.ports().worktrees;
    let newest = left.snapshot(&slot, &world.target(0), None, &[]).await.expect("there is one");
    assert!(newest.changed.contains(&"by-hand".to_owned()), "{newest:?}");
    let recorded = recorded(&world, plan).await;
    assert!(matches!(&recorded[0].saved, Saved::Snapshot { commit, .. } if *commit != newest.commit));
}

#[tokio::test]
async fn what_has_changed_and_cannot_be_saved_stays() {
    let world = World::new();
    let plan = dead_before_removal(&world).await;
    world.workspace.fail("snapshot", 2, git_error());
    let process = world.process(2);
    process.driver.recover(plan).await.expect("nothing else to do");
    assert_eq!(world.workspace.directories().0, 1);
    assert!(process.notes.have("the directory of attempt 2 stays"));
    world.workspace.keep_directories("nested repositories (n)");
    process.driver.recover(plan).await.expect("nothing else to do");
    assert!(process.notes.have("stays: nested repositories (n)"));
    assert_eq!(world.workspace.directories().0, 1);
}

/// The driver of an earlier token died after its snapshot and before the record of it.
#[tokio::test]
async fn a_snapshot_that_nothing_names_yet_is_found_by_the_next_holder() {
    for directory_gone in [false, true] {
        let world = World::new();
        let plan = dead_during(&world, "execute").await;
        let slot = world.workspace.opened()[0].clone();
        world.workspace.write(&world.workspace.directory(&slot), "half");
        let (trees, start) = (world.ports().worktrees, world.target(0));
        let first = trees.snapshot(&slot, &start, None, &[]).await.expect("taken");
        if directory_gone {
            trees.close(&slot).await.expect("removed by somebody");
        }
        world.process(2).driver.recover(plan).await.expect("recovered");
        let works = saved(&world, plan).await;
        assert!(
            matches!(&works[0].saved, Saved::Snapshot { commit, kept: None, .. } if *commit == first.commit),
            "{works:?}"
        );
        assert_eq!(world.workspace.directories().0, 0);
        world.check(plan).await;
    }
}

#[rstest]
#[case(git_error())]
#[case(WorkspaceError::Unsuitable { path: "/worktrees".into(), reason: "disk full".into() })]
#[tokio::test]
async fn a_directory_that_cannot_be_saved_is_recorded_and_kept(#[case] error: WorkspaceError) {
    let world = World::new();
    let plan = dead_during(&world, "execute").await;
    world.workspace.fail("snapshot", 1, error);
    world.process(2).driver.recover(plan).await.expect("recovered");
    let saved = saved(&world, plan).await;
    assert!(matches!(&saved[0].saved, Saved::Directory { reason } if reason.contains("disk full")));
    assert_eq!(world.workspace.directories().0, 1);
    world.check(plan).await;
}

#[tokio::test]
async fn a_preview_that_a_dead_driver_left_is_removed() {
    let world = World::new();
    let plan = dead_during(&world, "validation lint").await;
    assert_eq!(world.workspace.directories(), (0, 1));
    let recovered = world.process(2).driver.recover(plan).await.expect("recovered");
    assert_eq!(at(&recovered), (Phase::Apply, State::Errored));
    assert_eq!((world.workspace.directories(), world.workspace.moves()), ((0, 0), vec![]));
    world.check(plan).await;
}

#[tokio::test]
async fn execute_and_apply_recover_first_and_then_name_the_way_on() {
    for apply in [false, true] {
        let world = World::new();
        let plan = dead_during(&world, "execute").await;
        let driver = world.process(2).driver;
        let refused = if apply { driver.apply(plan, PLAINLY).await } else { driver.execute(plan).await };
        let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = refused else {
            panic!("{refused:?}")
        };
        assert_eq!(refusal.remedy, Some(format!("agents plan retry {plan}")));
        assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Errored));
        world.check(plan).await;
    }
}

#[tokio::test]
async fn retry_recovers_and_goes_on_in_a_directory_of_its_own() {
    let world = World::new();
    let plan = dead_during(&world, "execute").await;
    let driven = world.process(2).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((at(&driven), driven.attempt), ((Phase::Execute, State::Complete), 3));
    let attempts: Vec<u32> = world.workspace.opened().iter().map(|slot: &Slot| slot.attempt).collect();
    assert_eq!(attempts, [2, 3]);
    world.check(plan).await;
}

#[tokio::test]
async fn cancel_puts_away_what_was_left() {
    let world = World::new();
    let plan = dead_during(&world, "execute").await;
    let driver = world.process(2).driver;
    let cancelled = driver.cancel(plan, Some("not needed".into()), false).await.expect("cancelled");
    assert_eq!((cancelled.state(), world.workspace.directories().0), (State::Cancelled, 0));
    assert_eq!(driver.cancel(plan, None, false).await.expect("acknowledged"), cancelled);
    assert!(driver.execute(plan).await.is_err(), "the end of its road");
    world.check(plan).await;
}

#[tokio::test]
async fn revert_goes_back_to_the_start_and_earlier_work_stays_in_its_refs() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let first = world.load(plan).await.projects[0].tip.clone().expect("it made something");
    let driver = world.process(2).driver;
    let reverted = driver.revert(plan, Some("too clumsy".into())).await.expect("reverted");
    assert_eq!(
        (at(&reverted), reverted.guidance.clone()),
        ((Phase::Strategize, State::Queued), vec!["too clumsy".to_owned()])
    );
    let base = world.workspace.commit(&world.projects[0], "refs/heads/main");
    let done = driver.execute(plan).await.expect("driven");
    let facts = &done.projects[0];
    let tip = facts.tip.clone().expect("it made something");
    assert_eq!(facts.base, Some(base));
    assert!(!world.workspace.contains(&tip, &first), "it did not build on what was reverted");
    world.check(plan).await;
}

#[rstest]
#[case("recover")]
#[case("retry")]
#[case("apply")]
#[case("cancel")]
#[tokio::test]
async fn whatever_the_command_an_open_landing_is_finished(#[case] command: &str) {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let fuse = Fuse::of(u32::MAX);
    let dying = world.process_on(1, world.ports().fused(&fuse));
    let (dead, burning) = (world.clone(), fuse.clone());
    world.workspace.before("land", 1, move |_| {
        burning.blow();
        dead.dies(1);
        Err(git_error())
    });
    tokio::select! {
        biased;
        ended = dying.driver.apply(plan, PLAINLY) => panic!("it dies: {ended:?}"),
        () = fuse.blown() => {}
    }
    assert!(world.load(plan).await.landing_is_open());
    let next = world.process(2).driver;
    let outcome = match command {
        "recover" => next.recover(plan).await,
        "retry" => next.retry(plan, PLAINLY).await,
        "apply" => next.apply(plan, PLAINLY).await,
        _ => next.cancel(plan, None, false).await,
    };
    assert_eq!(outcome.is_err(), command == "cancel", "what has landed cannot be given up: {outcome:?}");
    let landed = world.load(plan).await;
    assert_eq!((landed.state(), world.workspace.moves().len()), (State::Applied, 1));
    assert_eq!(world.runner.purposes(), ["execute"], "nothing ran again");
    let refused = world.process(3).driver.cancel(plan, None, false).await;
    assert!(matches!(refused, Err(DriveError::Lifecycle(LifecycleError::Refused(_)))));
    world.check(plan).await;
}

#[tokio::test]
async fn a_plan_that_is_not_there_is_said_not_to_be_there() {
    let world = World::new();
    let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    let none = world.process(1).driver.recover(plan).await;
    assert_eq!(none, Err(DriveError::Lifecycle(LifecycleError::NoSuchPlan { plan })));
}

#[tokio::test]
async fn a_lock_that_cannot_be_given_back_changes_no_outcome() {
    let world = World::new();
    let breaker = world.clone();
    let process = world.process(1);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let hold = process.driver.lifecycle().hold(plan, "test", Wait::No).await.expect("free");
    breaker.evict(&agents_domain::lock::LockKey::Plan(plan));
    hold.release().await.expect("reported, and harms nobody");
    world.check(plan).await;
}
