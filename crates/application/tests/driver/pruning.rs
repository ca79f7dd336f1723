//! Housekeeping: what plans left goes under their lock, one thing after another.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::housekeeping::{Housekeeper, HousekeeperParts, Judged, PruneError, Wish};
use agents_application::{LifecycleError, LockService, Wait};
use agents_domain::housekeeping::{Leftover, LeftoverKind, Leftovers, MockLeftovers};
use agents_domain::id::PlanId;
use agents_domain::lock::{LockError, LockKey, MockLockPort};
use agents_domain::name::Name;
use agents_domain::workspace::{Project, WorkspaceError};
use async_trait::async_trait;

use crate::world::{Ports, Process, World, git_error, now};

const WISH: Wish = Wish { older_than: Duration::ZERO, kept: false };

fn left(plan: PlanId, kind: LeftoverKind, project: &str) -> Leftover {
    let project = Some(Name::parse(project).expect("valid"));
    Leftover { plan, attempt: Some(2), project, kind, path: "/x".into(), bytes: 1 }
}

/// A housekeeper of a process, to whom these things are there.
fn keeper(world: &World, process: &Process, all: Vec<Leftover>, found: MockLeftovers) -> Housekeeper {
    let mut leftovers = found;
    leftovers.expect_of().returning(move |_, _| Ok(all.clone()));
    Housekeeper::new(HousekeeperParts {
        lifecycle: process.driver.lifecycle().clone(),
        worktrees: world.ports().worktrees,
        leftovers: Arc::new(leftovers),
        clock: world.clock.clone(),
    })
}

/// A driver whose two directories could not be removed.
async fn with_directories() -> (World, PlanId, Vec<Leftover>) {
    let world = World::with(&["api", "web"]);
    world.workspace.fail("close", 1, git_error());
    world.workspace.fail("close", 2, git_error());
    let plan = world.executed(|_| ()).await;
    assert_eq!(world.workspace.directories().0, 2);
    let all = ["api", "web"].map(|project| left(plan, LeftoverKind::Worktree, project));
    // Attempt 1 was the strategize that runs nothing.
    assert_eq!(world.workspace.opened()[0].attempt, 2);
    (world, plan, all.to_vec())
}

fn outcomes(judged: &[Judged]) -> Vec<Result<bool, String>> {
    judged.iter().map(|one| one.removed.clone()).collect()
}

#[tokio::test]
async fn looking_changes_nothing_and_pruning_removes_what_is_safe() {
    let (world, plan, all) = with_directories().await;
    let process = world.process(2);
    let keeper = keeper(&world, &process, all, MockLeftovers::new());
    let seen = keeper.look(plan, WISH).await.expect("looked");
    assert!(seen.iter().all(|one| one.verdict.goes(false)), "{seen:?}");
    assert_eq!(world.workspace.directories().0, 2);
    let done = keeper.prune(plan, WISH).await.expect("pruned");
    assert_eq!((outcomes(&done), world.workspace.directories().0), (vec![Ok(true), Ok(true)], 0));
    assert_eq!(keeper.missing(plan).await, Ok(vec![]), "nothing was to be kept");
    world.check(plan).await;
}

#[tokio::test]
async fn one_thing_that_cannot_be_removed_does_not_stop_the_rest() {
    let (world, plan, all) = with_directories().await;
    world.workspace.fail("close", 3, git_error());
    let process = world.process(2);
    let done = keeper(&world, &process, all, MockLeftovers::new()).prune(plan, WISH).await.expect("pruned");
    assert!(outcomes(&done)[0].clone().is_err_and(|why| why.contains("disk full")));
    assert_eq!((outcomes(&done)[1].clone(), world.workspace.directories().0), (Ok(true), 1));
    world.check(plan).await;
}

#[tokio::test]
async fn a_plan_that_is_held_is_left_alone_at_once() {
    let (world, plan, all) = with_directories().await;
    let (other, process) = (world.process(2), world.process(3));
    let hold = other.driver.lifecycle().hold(plan, "test", Wait::No).await.expect("free");
    let refused = keeper(&world, &process, all, MockLeftovers::new()).prune(plan, WISH).await;
    assert!(matches!(refused, Err(PruneError::Lifecycle(LifecycleError::Lock { .. }))), "{refused:?}");
    assert_eq!(world.workspace.directories().0, 2);
    hold.release().await.expect("given back");
}

/// Two records; whoever removes the first has lost the plan.
struct Losing {
    world: World,
    locks: LockService,
    removed: Arc<Mutex<u32>>,
}

#[async_trait]
impl Leftovers for Losing {
    async fn plans(&self, _: &[Project]) -> Result<Vec<PlanId>, WorkspaceError> {
        Ok(Vec::new())
    }

    async fn of(&self, plan: PlanId, _: &[Project]) -> Result<Vec<Leftover>, WorkspaceError> {
        Ok(["api", "web"].map(|project| left(plan, LeftoverKind::Record, project)).to_vec())
    }

    async fn remove(&self, leftover: &Leftover, _: &[Project]) -> Result<(), WorkspaceError> {
        *self.removed.lock().expect("unpoisoned") += 1;
        self.world.evict(&LockKey::Plan(leftover.plan));
        self.world.clock.advance(Duration::from_secs(100));
        self.locks.beat().await;
        Ok(())
    }
}

#[tokio::test]
async fn who_loses_the_plan_removes_nothing_more() {
    let (world, plan, _) = with_directories().await;
    let (process, removed) = (world.process(2), Arc::new(Mutex::new(0)));
    let locks = process.locks.clone();
    let keeper = Housekeeper::new(HousekeeperParts {
        lifecycle: process.driver.lifecycle().clone(),
        worktrees: world.ports().worktrees,
        leftovers: Arc::new(Losing { world: world.clone(), locks, removed: removed.clone() }),
        clock: world.clock.clone(),
    });
    let done = keeper.prune(plan, WISH).await.expect("pruned");
    assert_eq!(outcomes(&done), [Ok(true), Err("the plan's lock was lost".to_owned())]);
    assert_eq!(*removed.lock().expect("unpoisoned"), 1);
}

#[tokio::test]
async fn a_lock_that_cannot_be_released_is_told() {
    let (world, plan, all) = with_directories().await;
    let (granting, listing) = (world.store.locks(), world.store.locks());
    let mut locks = MockLockPort::new();
    locks.expect_acquire().returning(move |request| now(granting.acquire(request)));
    locks.expect_list().returning(move |filter| now(listing.list(filter)));
    let full = || LockError::Unavailable { reason: "the disk is full".to_owned() };
    locks.expect_release().returning(move |_, _| Err(full()));
    let process = world.process_on(2, Ports { locks: Arc::new(locks), ..world.ports() });
    let done = keeper(&world, &process, all, MockLeftovers::new()).prune(plan, WISH).await.expect("pruned");
    assert_eq!(outcomes(&done), [Ok(true), Ok(true)], "what is done is done");
    assert!(process.notes.have("could not be released and ends with its lease"));
}

#[tokio::test]
async fn a_kept_directory_that_is_gone_is_missed() {
    let world = World::new();
    world.workspace.keep_directories("nested repositories (n)");
    let plan = world.executed(|_| ()).await;
    let process = world.process(2);
    let there = left(plan, LeftoverKind::Worktree, "api");
    let api = Name::parse("api").expect("valid");
    let missing = keeper(&world, &process, vec![there], MockLeftovers::new()).missing(plan).await;
    assert_eq!(missing, Ok(vec![]));
    let missing = keeper(&world, &process, vec![], MockLeftovers::new()).missing(plan).await;
    assert_eq!(missing, Ok(vec![(2, api)]));
    let nobody = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    keeper(&world, &process, vec![], MockLeftovers::new())
        .look(nobody, WISH)
        .await
        .expect_err("no such plan");
}
