//! The no-op lock keeps its word: it grants everything, and protects nothing.

use std::sync::Arc;

use agents_domain::lock::{Fence, LockFilter, LockKey, LockPort as _, NoopLock, Release, Renewal};
use agents_domain::plan::StoreError;
use agents_domain::time::Clock as _;

use crate::differential;
use crate::support::{TERM, Unfenced, memory, request, term, ttl};
use crate::values::{owner, plan_id, project, prompt};

#[tokio::test]
async fn everybody_is_granted_everything_without_a_fence() {
    let keys = [LockKey::Plan(plan_id(1)), LockKey::Project(project(1).name)];
    for who in [1, 2] {
        let leases = NoopLock.acquire(&request(who, &[&keys[0], &keys[1]])).await.expect("granted");
        assert_eq!(leases.iter().map(|lease| &lease.key).collect::<Vec<_>>(), [&keys[0], &keys[1]]);
        assert!(leases.iter().all(|lease| lease.fence == Fence::Unfenced && !lease.reentrant));
    }
    assert_eq!(NoopLock.list(&LockFilter::default()).await, Ok(Vec::new()));
}

#[tokio::test]
async fn nothing_is_held_so_nothing_ends() {
    let (_, lease) = memory(Unfenced::Refused).plan(1, 1).await;
    let term = term(&lease);
    let renewed =
        NoopLock.renew(owner(1), &[term.clone(), term.clone()], ttl(TERM)).await.expect("an answer");
    assert!(renewed.len() == 2 && renewed.iter().all(|term| matches!(term, Renewal::Extended { .. })));
    assert_eq!(NoopLock.release(owner(1), &term).await, Ok(Release::Released));
    assert_eq!(NoopLock.evict(&term, owner(1), "stuck").await, Ok(Release::NotHeld));
    assert_eq!(NoopLock.release_all_for_owner(owner(1)).await, Ok(0));
}

#[tokio::test]
async fn it_cannot_stand_in_for_a_lock_that_wrote_before() {
    let store = memory(Unfenced::Allowed);
    let (plan, lease) = store.plan(1, 1).await;
    let courtesy = NoopLock.acquire(&request(2, &[&lease.key])).await.expect("granted").remove(0);
    let write = prompt(&plan, "x", store.clock.now());
    assert_eq!(store.plans.commit(&write, &courtesy.fence).await, Err(StoreError::UnfencedRefused));
}

#[tokio::test]
async fn the_differential_test_finds_it_out() {
    let mut store = memory(Unfenced::Allowed);
    store.locks = Arc::new(NoopLock);
    let rivals = differential::rivals();
    assert!(differential::run(&store, &rivals).await.is_err());
    assert_eq!(differential::run(&memory(Unfenced::Allowed), &rivals).await, Ok(()));
}
