//! What a fence keeps out, and where none is needed.

use agents_domain::lock::{Fence, LockKey, Release};
use agents_domain::plan::{CommitOutcome, Opening, Plan, PlanWrite, StoreError};
use agents_domain::time::Clock as _;

use crate::support::{Fixture, Opener, TERM, Unfenced, term};
use crate::values::{new_plan, owner, project, prompt};

/// Tries a write that must be stale, and must leave nothing behind.
async fn is_stale(store: &Fixture, before: &Plan, write: &PlanWrite, fence: &Fence) {
    let log = store.plans.events(before.id).await;
    assert_eq!(store.plans.commit(write, fence).await, Ok(CommitOutcome::Stale));
    assert_eq!(store.stored(before).await, *before);
    assert_eq!(store.plans.events(before.id).await, log);
}

pub(crate) async fn a_term_that_was_taken_over_writes_nothing(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, old) = store.plan(1, 1).await;
    store.clock.advance(TERM);
    let current = store.take_one(2, &old.key).await;
    let write = prompt(&plan, "x", store.clock.now());
    is_stale(&store, &plan, &write, &old.fence).await;
    assert_eq!(store.plans.commit(&write, &current.fence).await, Ok(CommitOutcome::Applied));
}

pub(crate) async fn a_term_that_ran_out_untouched_still_writes(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    store.clock.advance(TERM * 5);
    let write = prompt(&plan, "x", store.clock.now());
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
}

pub(crate) async fn a_term_that_was_released_or_evicted_writes_nothing(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let write = prompt(&plan, "x", store.clock.now());
    assert_eq!(store.locks.release(owner(1), &term(&lease)).await, Ok(Release::Released));
    is_stale(&store, &plan, &write, &lease.fence).await;
    let again = store.take_one(1, &lease.key).await;
    assert_eq!(store.locks.evict(&term(&again), owner(2), "stuck").await, Ok(Release::Released));
    is_stale(&store, &plan, &write, &again.fence).await;
    let last = store.take_one(1, &lease.key).await;
    is_stale(&store, &plan, &write, &again.fence).await;
    assert_eq!(store.plans.commit(&write, &last.fence).await, Ok(CommitOutcome::Applied));
}

pub(crate) async fn another_owner_at_the_same_token_writes_nothing(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let (_, other) = store.plan(2, 2).await;
    assert_eq!(term(&lease).1, term(&other).1);
    let write = prompt(&plan, "x", store.clock.now());
    is_stale(&store, &plan, &write, &other.fence).await;
}

pub(crate) async fn further_locks_must_still_be_held(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let [a, b] = store.projects([1, 2]).await;
    let leases = store.take(1, &[&a, &b]).await;
    let also: Vec<(LockKey, Fence)> = leases.iter().map(|lease| (lease.key.clone(), lease.fence)).collect();
    let write = PlanWrite { also, ..prompt(&plan, "x", store.clock.now()) };
    let nowhere = vec![(LockKey::Project(project(9).name), lease.fence)];
    is_stale(&store, &plan, &PlanWrite { also: nowhere, ..write.clone() }, &lease.fence).await;
    store.locks.release(owner(1), &term(&leases[1])).await.expect("an answer");
    is_stale(&store, &plan, &write, &lease.fence).await;
    let rival = store.take_one(2, &b).await;
    is_stale(&store, &plan, &write, &lease.fence).await;
    store.locks.release(owner(2), &term(&rival)).await.expect("an answer");
    let mut fresh = write.clone();
    fresh.also[1].1 = store.take_one(1, &b).await.fence;
    is_stale(&store, &plan, &write, &lease.fence).await;
    assert_eq!(store.plans.commit(&fresh, &lease.fence).await, Ok(CommitOutcome::Applied));
}

pub(crate) async fn an_unfenced_plan_is_not_made_unless_allowed(open: Opener) {
    let store = open(Unfenced::Refused);
    let new = new_plan(1, store.clock.now());
    assert_eq!(store.plans.create(&new, &Opening::Unfenced).await, Err(StoreError::UnfencedRefused));
    assert_eq!(store.plans.load(new.plan.id).await, Ok(None));
    assert_eq!(store.reads.status(new.plan.id).await, Ok(None));
}

pub(crate) async fn an_unfenced_write_is_refused_unless_allowed(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let [key] = store.projects([1]).await;
    let write = prompt(&plan, "x", store.clock.now());
    assert_eq!(store.plans.commit(&write, &Fence::Unfenced).await, Err(StoreError::UnfencedRefused));
    let beside = PlanWrite { also: vec![(key, Fence::Unfenced)], ..write };
    assert_eq!(store.plans.commit(&beside, &lease.fence).await, Err(StoreError::UnfencedRefused));
    assert_eq!(store.stored(&plan).await, plan);
}

pub(crate) async fn unfenced_writes_pass_where_they_are_allowed(open: Opener) {
    let store = open(Unfenced::Allowed);
    let new = new_plan(1, store.clock.now());
    let lease = store.plans.create(&new, &Opening::Unfenced).await.expect("allowed");
    assert_eq!((lease.fence, store.holder_of(&lease.key).await), (Fence::Unfenced, None));
    let [key] = store.projects([1]).await;
    let also = vec![(key, Fence::Unfenced)];
    let write = PlanWrite { also, ..prompt(&new.plan, "x", store.clock.now()) };
    assert_eq!(store.plans.commit(&write, &Fence::Unfenced).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.plans.commit(&write, &Fence::Unfenced).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.stored(&new.plan).await, write.plan);
    let stale = PlanWrite { expected_version: 1, ..prompt(&write.plan, "y", store.clock.now()) };
    is_stale(&store, &write.plan, &stale, &Fence::Unfenced).await;
    let log = store.plans.events(new.plan.id).await.expect("a log");
    assert!(log.iter().all(|event| event.owner.is_none() && event.token.is_none()));
}

pub(crate) async fn a_plan_that_a_token_wrote_refuses_unfenced_writes_always(open: Opener) {
    let store = open(Unfenced::Allowed);
    let (held, _) = store.plan(1, 1).await;
    let write = prompt(&held, "x", store.clock.now());
    assert_eq!(store.plans.commit(&write, &Fence::Unfenced).await, Err(StoreError::UnfencedRefused));
    let new = new_plan(2, store.clock.now());
    let key = store.plans.create(&new, &Opening::Unfenced).await.expect("allowed").key;
    let lease = store.take_one(1, &key).await;
    let fenced = prompt(&new.plan, "fenced", store.clock.now());
    assert_eq!(store.plans.commit(&fenced, &lease.fence).await, Ok(CommitOutcome::Applied));
    store.locks.release(owner(1), &term(&lease)).await.expect("an answer");
    let later = prompt(&fenced.plan, "unfenced", store.clock.now());
    assert_eq!(store.plans.commit(&later, &Fence::Unfenced).await, Err(StoreError::UnfencedRefused));
    assert_eq!(store.stored(&new.plan).await, fenced.plan);
}
