//! Several machines: whose project it is, work that is pending elsewhere, and landings on a remote.

use agents_application::driver::DriveError;
use agents_application::lifecycle::history::{attempts, pending};
use agents_application::{LifecycleError, Wait};
use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Phase, Plan, Saved, State};
use agents_domain::workspace::{Remote, WorkspaceError};
use agents_infrastructure::scripted::Scripted;

use crate::orders::machine;
use crate::recovering::dead_on;
use crate::world::{PLAINLY, World, at, code, fails};

/// A world whose project has a remote.
fn shared() -> World {
    let mut world = World::new();
    world.projects[0].remote = Some(Remote { url: "ssh://far/api.git".into(), push_snapshots: false });
    world
}

/// A world whose project was registered on that machine, without a remote.
fn bound(id: &str) -> World {
    let mut world = World::new();
    world.projects[0].machine = Some(machine(id));
    world
}

fn is_elsewhere(outcome: Result<Plan, DriveError>) -> bool {
    matches!(outcome, Err(DriveError::Workspace(WorkspaceError::NotHere(not_here))) if not_here.machine == machine("far"))
}

#[tokio::test]
async fn a_project_of_another_machine_is_refused_before_anything_is_touched() {
    let world = bound("far");
    let driver = world.process(1).driver;
    assert!(is_elsewhere(driver.run(world.order(|_| ()), true, PLAINLY).await));
    let plan = driver.create(world.order(|_| ())).await.expect("made").id;
    let made = world.load(plan).await;
    assert!(is_elsewhere(driver.execute(plan).await));
    assert_eq!(world.load(plan).await, made);
    assert_eq!(world.workspace.calls("head"), 0);
    driver.revert(plan, None).await.expect("needs no repository");
    let home = bound("here");
    home.process(1).driver.run(home.order(|_| ()), true, PLAINLY).await.expect("driven");
    world.check(plan).await;
}

#[tokio::test]
async fn a_retry_and_an_apply_elsewhere_leave_the_plan_where_it_was() {
    let mut world = World::new();
    world.projects[0].machine = Some(machine("here"));
    world.runner.on("execute", fails(3));
    let process = world.process(1);
    let plan = process.driver.run(world.order(|_| ()), false, PLAINLY).await.expect("driven").id;
    let errored = world.load(plan).await;
    let far = world.process_at("far", 2).driver;
    for refused in [far.retry(plan, PLAINLY).await, far.go_on(plan).await] {
        assert!(matches!(&refused, Err(DriveError::Workspace(WorkspaceError::NotHere(_)))), "{refused:?}");
    }
    assert_eq!(world.load(plan).await, errored);
    let done = process.driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!(at(&done), (Phase::Execute, State::Complete));
    assert!(matches!(far.apply(plan, PLAINLY).await, Err(DriveError::Workspace(_))));
    assert_eq!(world.load(plan).await, done);
}

#[tokio::test]
async fn an_open_landing_of_another_machines_project_stays_open_until_it_is_at_home() {
    let mut world = World::new();
    world.projects[0].machine = Some(machine("here"));
    let plan = world.executed(|_| ()).await;
    let git = WorkspaceError::Git { command: "update-ref".into(), path: "/api".into(), message: "no".into() };
    let fuse = crate::fuse::Fuse::of(u32::MAX);
    let burning = fuse.clone();
    world.workspace.before("land", 1, move |_| {
        burning.blow();
        Err(git)
    });
    let process = world.process_on(1, world.ports().fused(&fuse));
    tokio::select! {
        biased;
        ended = process.driver.apply(plan, PLAINLY) => panic!("it dies: {ended:?}"),
        () = fuse.blown() => {}
    }
    world.dies(1);
    let far = world.process_at("far", 2).driver;
    assert!(matches!(far.recover(plan).await, Err(DriveError::Workspace(WorkspaceError::NotHere(_)))));
    assert!(world.load(plan).await.landing_is_open());
    let landed = world.process(3).driver.recover(plan).await.expect("finished");
    assert_eq!((at(&landed), world.workspace.moves().len()), ((Phase::Apply, State::Applied), 1));
    world.check(plan).await;
}

/// A plan whose driver died on `far`, recovered here.
async fn pending_on_far(world: &World) -> PlanId {
    let plan = dead_on(world, "execute", "far").await;
    world.process(2).driver.recover(plan).await.expect("recovered");
    plan
}

#[tokio::test]
async fn a_pending_snapshot_is_made_by_whoever_has_the_directory_and_told_once() {
    let world = World::new();
    let plan = pending_on_far(&world).await;
    let works = world.process(3).driver.lifecycle().works(plan).await.expect("read");
    assert_eq!(pending(&works)[&2], [(world.projects[0].name.clone(), "far".to_owned())]);
    let driver = world.process(3).driver;
    let made = driver.save_pending(plan).await.expect("saved");
    assert_eq!(made, [(2, world.projects[0].name.clone())]);
    let events = world.events(plan).await;
    let Change::WorkSaved { attempt: 2, work } = &events.last().expect("events").change else {
        panic!("{:?}", events.last())
    };
    assert!(matches!(&work[0].saved, Saved::Snapshot { kept: None, .. }), "{work:?}");
    let ended = attempts(&events).pop().and_then(|attempt| attempt.end).expect("it has ended");
    assert_eq!(ended.work, *work, "what is shown of the attempt");
    assert_eq!(world.workspace.directories(), (0, 0));
    let before = world.load(plan).await;
    assert_eq!(driver.save_pending(plan).await, Ok(Vec::new()));
    assert_eq!(world.load(plan).await, before);
    world.runner.on("execute", Scripted::exits(0));
    let done = driver.go_on(plan).await.expect("driven");
    assert_eq!(at(&done), (Phase::Execute, State::Complete));
    world.check(plan).await;
}

#[tokio::test]
async fn where_the_directory_is_not_a_pending_snapshot_stays_pending() {
    let world = World::new();
    let plan = pending_on_far(&world).await;
    let before = world.load(plan).await;
    world.workspace.fail("snapshot", 1, WorkspaceError::NoDirectory { path: "/worktrees".into() });
    assert_eq!(world.process(3).driver.save_pending(plan).await, Ok(Vec::new()));
    assert_eq!(world.load(plan).await, before);
    world.workspace.fail("snapshot", 2, WorkspaceError::NoDirectory { path: "/worktrees".into() });
    let refused = world.process(3).driver.go_on(plan).await;
    let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = refused else { panic!("{refused:?}") };
    assert!(refusal.reason.contains("what attempt 2 left in local/api is on far, and not here"), "{refusal}");
}

#[tokio::test]
async fn a_snapshot_on_another_machine_is_not_gone_on_with() {
    let world = shared();
    world.runner.on("execute", fails(3));
    let process = world.process(1);
    let plan = process.driver.run(world.order(|_| ()), false, PLAINLY).await.expect("driven").id;
    let left = world.load(plan).await.projects[0].snapshot.clone().expect("left");
    world.workspace.lack(&world.projects[0], &left);
    let refused = world.process(2).driver.go_on(plan).await;
    let Err(DriveError::Lifecycle(LifecycleError::Refused(refusal))) = refused else { panic!("{refused:?}") };
    assert!(refusal.reason.contains("is on box, and not here"), "{refusal}");
    assert_eq!(world.load(plan).await.state(), State::Errored);
}

fn away(world: &World) -> WorkspaceError {
    let (project, url) = (world.projects[0].name.clone(), "ssh://far/api.git".into());
    WorkspaceError::Remote { project, url, reason: "away".into() }
}

#[tokio::test]
async fn a_result_that_could_not_be_pushed_is_pushed_by_the_machine_that_made_it() {
    let world = shared();
    world.workspace.fail("advance", 1, away(&world));
    let plan = world.executed(|_| ()).await;
    let made = world.load(plan).await;
    let branch =
        |world: &World| world.workspace.read(&world.projects[0], &format!("refs/heads/{}", made.branch()));
    assert_eq!(branch(&world), None);
    let driver = world.process(2).driver;
    let held = world.process(1).driver.lifecycle().hold(plan, "test", Wait::No).await.expect("free");
    assert!(driver.push_missed(plan).await.is_err(), "another has it, and may be about to");
    held.release().await.expect("released");
    assert_eq!(driver.push_missed(plan).await, Ok(vec![world.projects[0].name.clone()]));
    assert_eq!((branch(&world), world.load(plan).await), (made.projects[0].tip.clone(), made.clone()));
    let settled = world.workspace.calls("settle");
    assert_eq!(driver.push_missed(plan).await, Ok(Vec::new()));
    assert_eq!(world.workspace.calls("settle"), settled, "the remote is not asked");
    world.workspace.delete(&world.projects[0], &format!("refs/heads/{}", made.branch()));
    driver.cancel(plan, None, false).await.expect("cancelled");
    assert_eq!(driver.push_missed(plan).await, Ok(Vec::new()), "nobody goes on from it");
    world.check(plan).await;
}

/// Each push may take as long as a remote does not answer.
#[tokio::test]
async fn a_stop_is_heard_between_two_pushes() {
    let mut world = World::with(&["local/api", "local/web"]);
    for project in &mut world.projects {
        project.remote = Some(Remote { url: "ssh://far/x.git".into(), push_snapshots: false });
    }
    for nth in 1..=2 {
        world.workspace.fail("advance", nth, away(&world));
    }
    let plan = world.executed(|_| ()).await;
    let (process, before) = (world.process(2), world.workspace.calls("settle"));
    let stop = process.stop.clone();
    world.workspace.before("settle", before + 1, move |_| {
        stop.stop();
        Ok(())
    });
    let stopped = process.driver.push_missed(plan).await;
    assert!(matches!(stopped, Err(DriveError::Stopped { .. })), "{stopped:?}");
    assert_eq!(world.workspace.calls("settle"), before + 1);
    let second = world.projects[1].name.clone();
    assert_eq!(world.process(3).driver.push_missed(plan).await, Ok(vec![second]));
}

#[tokio::test]
async fn a_phase_is_complete_though_the_remote_refuses_its_result_for_good() {
    let world = shared();
    let (project, url) = (world.projects[0].name.clone(), "ssh://far/api.git".into());
    let (reason, remedy) = ("hook declined".into(), "see to its hook".into());
    world.workspace.fail("advance", 1, WorkspaceError::RemoteRefused { project, url, reason, remedy });
    let plan = world.executed(|_| ()).await;
    assert_eq!(world.load(plan).await.state(), State::Complete);
}

#[tokio::test]
async fn a_result_that_is_only_on_another_machine_is_said_to_be_there() {
    let world = shared();
    let plan = world.executed(|_| ()).await;
    let (project, tip) = (world.projects[0].name.clone(), world.load(plan).await.projects[0].tip.clone());
    let lacking = WorkspaceError::NoCommit { project, commit: tip.expect("made"), host: None };
    world.workspace.fail("settle", world.workspace.calls("settle") + 1, lacking);
    let failed = world.process_at("far", 2).driver.apply(plan, PLAINLY).await.expect("driven");
    let failure = failed.failure.clone().expect("told");
    assert_eq!((at(&failed), code(&failed)), ((Phase::Apply, State::Errored), "no_commit"));
    assert!(failure.message.ends_with("it is pending on box"), "{failure:?}");
    assert_eq!(failure.hint, Some(format!("on box: agents recover; then: agents plan retry {plan}")));
}

#[tokio::test]
async fn what_was_made_before_a_revert_is_not_in_the_way_when_the_branch_did_not_follow() {
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let first = world.load(plan).await.projects[0].tip.clone().expect("made");
    let driver = world.process(2).driver;
    driver.revert(plan, None).await.expect("reverted");
    world.workspace.fail("advance", world.workspace.calls("advance") + 1, away(&world));
    let again = driver.execute(plan).await.expect("driven");
    let second = again.projects[0].tip.clone().expect("made");
    assert!(!world.workspace.contains(&second, &first));
    let applied = driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((applied.state(), world.workspace.moves().len()), (State::Applied, 1), "{applied:?}");
    assert!(world.workspace.contains(&world.target(0), &second));
    world.check(plan).await;
    // What neither the repository nor the log knows is somebody's.
    let world = World::new();
    let plan = world.executed(|_| ()).await;
    let branch = format!("refs/heads/{}", world.load(plan).await.branch());
    world.workspace.delete(&world.projects[0], &branch);
    world.workspace.commit(&world.projects[0], &branch);
    let refused = world.process(2).driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((at(&refused), code(&refused)), ((Phase::Apply, State::Errored), "ref_moved"));
}

#[tokio::test]
async fn a_commit_that_cannot_be_shared_is_not_decided_on() {
    let world = shared();
    let plan = world.executed(|_| ()).await;
    world.workspace.fail("share", 1, away(&world));
    let failed = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((at(&failed), code(&failed)), ((Phase::Apply, State::Errored), "remote"));
    assert!(!failed.landing_is_open() && world.workspace.calls("land") == 0);
    let landed = world.process(1).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((landed.state(), world.workspace.moves().len()), (State::Applied, 1));
}

#[tokio::test]
async fn a_landing_of_which_nothing_is_known_stays_open_and_is_found_out() {
    let world = shared();
    let plan = world.executed(|_| ()).await;
    let unknown = WorkspaceError::LandingUnknown {
        project: world.projects[0].name.clone(),
        reference: "refs/heads/main".into(),
        reason: "the remote hung up".into(),
    };
    world.workspace.fail("land", 1, unknown);
    let unknown = world.process(1).driver.apply(plan, PLAINLY).await.expect("driven");
    assert_eq!((at(&unknown), code(&unknown)), ((Phase::Apply, State::Errored), "landing_unknown"));
    let failure = unknown.failure.clone().expect("told");
    assert!(failure.message.contains("is not known") && failure.retryable, "{failure:?}");
    assert!(unknown.landing_is_open());
    let cancel = world.process(1).driver.cancel(plan, None, false).await;
    assert!(cancel.is_err(), "what may have happened is not given up");
    let landed = world.process(1).driver.retry(plan, PLAINLY).await.expect("driven");
    assert_eq!((landed.state(), world.workspace.moves().len()), (State::Applied, 1));
    assert_eq!(world.workspace.calls("merge"), 1, "no new decision");
    world.check(plan).await;
}
