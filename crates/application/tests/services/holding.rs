//! Holding locks: who is refused, who is replaced, what is renewed, and how a hold ends.

use std::sync::Arc;
use std::time::Duration;

use agents_application::observer::Unobserved;
use agents_application::{LifecycleError, LockGuard, LockService, Wait};
use agents_domain::lock::{
    Conflict, Fence, HeldLock, Lease, Liveness, LockError, LockFilter, LockKey, MockLockPort, Release,
};
use agents_domain::plan::Opening;
use agents_domain::time::{Clock, Timestamp};
use tokio::time::timeout;

use crate::support::World;

const THIRD: Duration = Duration::from_secs(100);

pub(crate) async fn take(locks: &LockService, key: &LockKey) -> Result<LockGuard, LockError> {
    locks.acquire(vec![key.clone()], "test", Wait::No, &Unobserved).await
}

async fn held(locks: &LockService) -> Vec<HeldLock> {
    locks.list(&LockFilter::default()).await.expect("listed")
}

#[tokio::test]
async fn another_owner_is_refused_and_told_who_holds_it() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &key).await.expect("free");
    let Err(LockError::Conflict(Conflict(by))) = take(&bob, &key).await else { panic!("refused") };
    assert_eq!((by.owner, by.holder.pid, by.holder.operation.as_str()), (ada.owner(), 1, "test"));
    guard.release().await.expect("released");
    take(&bob, &key).await.expect("free again").release().await.expect("released");
}

#[tokio::test]
async fn an_inner_release_leaves_the_outer_hold() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    let outer = take(&ada, &key).await.expect("free");
    let inner = take(&ada, &key).await.expect("own");
    assert_eq!(inner.fence(), outer.fence());
    assert!(inner.leases()[0].reentrant);
    inner.release().await.expect("released");
    assert_eq!(held(&ada).await.len(), 1);
    assert!(!outer.is_lost());
    outer.release().await.expect("released");
    assert_eq!(held(&ada).await, []);
}

#[tokio::test]
async fn whoever_must_be_alone_is_refused_by_another_task_of_its_own_process() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    let guard = take(&ada, &key).await.expect("free");
    let keys = vec![world.key().await, key.clone()];
    let alone = ada.acquire_alone(keys, "test", Wait::No, &Unobserved).await;
    let Err(LockError::Conflict(Conflict(by))) = alone else { panic!("refused") };
    assert_eq!((by.key.clone(), by.owner), (key.clone(), ada.owner()));
    assert_eq!(held(&ada).await.len(), 1, "and nothing else was taken");
    guard.release().await.expect("released");
    let alone = ada.acquire_alone(vec![key], "test", Wait::No, &Unobserved).await.expect("free");
    alone.release().await.expect("released");
}

#[tokio::test]
async fn a_transition_inside_a_hold_that_a_rival_took_over_is_a_lost_lease() {
    let world = World::new();
    let plan = world.plan().await;
    let (ada, bob) = (world.lifecycle(1), world.lifecycle(2));
    let lost = ada.hold(plan, "plan execute", Wait::No).await.expect("free");
    world.census.says(1, Liveness::Dead);
    let taken = bob.hold(plan, "plan execute", Wait::No).await.expect("its holder counts as dead");
    let refused = ada.prompt(plan, "go on".into()).await;
    assert_eq!(refused, Err(LifecycleError::LeaseLost { plan }), "though a rival is in the way");
    taken.release().await.expect("released");
    let refused = ada.prompt(plan, "go on".into()).await;
    assert_eq!(refused, Err(LifecycleError::LeaseLost { plan }), "and though it is free by now");
    drop(lost);
}

#[tokio::test]
async fn what_is_refused_or_already_so_inside_a_hold_that_has_ended_is_a_lost_lease_too() {
    for refused in [true, false] {
        let world = World::new();
        let plan = world.plan().await;
        let (ada, bob) = (world.lifecycle(1), world.lifecycle(2));
        let lost = ada.hold(plan, "plan execute", Wait::No).await.expect("free");
        world.census.says(1, Liveness::Dead);
        bob.cancel(plan, None, false, vec![]).await.expect("its holder counts as dead");
        let outcome = if refused {
            ada.prompt(plan, "go on".into()).await
        } else {
            ada.cancel(plan, None, false, vec![]).await
        };
        assert_eq!(outcome, Err(LifecycleError::LeaseLost { plan }), "refused: {refused}");
        drop(lost);
    }
}

#[tokio::test]
async fn a_dead_holder_is_replaced_at_once() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let lost = take(&ada, &key).await.expect("free");
    world.census.says(1, Liveness::Dead);
    let guard = take(&bob, &key).await.expect("the holder is dead");
    assert!(guard.fence().token() > lost.fence().token());
    assert_eq!(lost.release().await, Ok(Release::NotHeld), "reported, and harms nobody");
    assert_eq!(held(&bob).await[0].owner, bob.owner());
    guard.release().await.expect("released");
}

#[tokio::test]
async fn a_proof_that_the_store_does_not_accept_is_not_repeated_for_ever() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    let guard = take(&ada, &key).await.expect("free");
    let by = held(&ada).await.remove(0);
    let mut port = MockLockPort::new();
    port.expect_list().returning(|_| Ok(Vec::new()));
    port.expect_acquire()
        .times(2)
        .returning(move |_| Err(LockError::Conflict(Conflict(Box::new(by.clone())))));
    world.census.says(1, Liveness::Dead);
    assert!(matches!(take(&world.locks_on(2, Arc::new(port)), &key).await, Err(LockError::Conflict(_))));
    guard.release().await.expect("released");
}

#[tokio::test]
async fn the_heartbeat_keeps_a_long_hold() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &key).await.expect("free");
    world.census.says(1, Liveness::Unknown);
    for _ in 0..10 {
        world.clock.advance(THIRD);
        ada.beat().await;
    }
    assert!(!guard.is_lost());
    assert!(matches!(take(&bob, &key).await, Err(LockError::Conflict(_))), "1000 s into a lease of 300 s");
    guard.release().await.expect("released");
}

#[tokio::test]
async fn a_hold_that_another_took_over_is_known_as_lost_at_the_next_beat() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let slept = take(&ada, &key).await.expect("free");
    world.census.says(1, Liveness::Unknown);
    world.clock.advance(3 * THIRD);
    let taken = take(&bob, &key).await.expect("its lease ran out");
    let lost = slept.lost();
    ada.beat().await;
    timeout(Duration::from_secs(10), lost).await.expect("pushed through the guard");
    assert!(slept.is_lost());
    drop(slept);
    taken.release().await.expect("released");
}

#[tokio::test]
async fn a_sleeper_goes_on_if_nobody_came() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    let guard = take(&ada, &key).await.expect("free");
    world.clock.advance(20 * THIRD);
    assert_eq!(ada.count_stale().await, Ok(1));
    ada.beat().await;
    assert_eq!((guard.is_lost(), ada.count_stale().await), (false, Ok(0)));
    guard.release().await.expect("released");
}

fn granting(key: &LockKey, world: &World) -> MockLockPort {
    let mut port = MockLockPort::new();
    let fence = Fence::Token {
        owner: agents_domain::id::OwnerId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid"),
        token: agents_domain::lock::FencingToken::from_storage(1),
    };
    let (key, at) = (key.clone(), world.clock.now());
    port.expect_list().returning(|_| Ok(Vec::new()));
    port.expect_acquire().returning(move |_| {
        Ok(vec![Lease {
            key: key.clone(),
            fence,
            acquired_at: at,
            expires_at: Timestamp::default(),
            reentrant: false,
        }])
    });
    port
}

#[tokio::test]
async fn a_release_that_fails_is_said() {
    let world = World::new();
    let key = world.key().await;
    let mut port = granting(&key, &world);
    port.expect_release().returning(|_, _| Err(LockError::Unavailable { reason: "away".into() }));
    let guard = take(&world.locks_on(1, Arc::new(port)), &key).await.expect("granted");
    assert!(matches!(guard.release().await, Err(LockError::Unavailable { .. })));
}

#[tokio::test]
async fn a_guard_that_is_dropped_is_released_by_the_heartbeat_thread() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    drop(take(&ada, &key).await.expect("free"));
    ada.beat().await;
    assert_eq!(held(&ada).await, []);
}

#[tokio::test]
async fn a_panic_gives_the_lock_back() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    let (locks, inner) = (ada.clone(), key.clone());
    let panicked = tokio::spawn(async move {
        let _guard = take(&locks, &inner).await.expect("free");
        panic!("in the middle of it");
    });
    assert!(panicked.await.expect_err("panicked").is_panic());
    ada.beat().await;
    assert_eq!(held(&ada).await, []);
}

#[tokio::test]
async fn at_the_end_everything_of_the_owner_is_released_at_once() {
    let world = World::new();
    let (first, second) = (world.key().await, world.key().await);
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guards = [take(&ada, &first).await.expect("free"), take(&ada, &second).await.expect("free")];
    let others = world.key().await;
    let other = take(&bob, &others).await.expect("free");
    assert_eq!(ada.release_all_for_owner().await, Ok(2));
    assert!(guards.iter().all(LockGuard::is_lost));
    assert_eq!(held(&ada).await.len(), 1, "bob's stays");
    drop(guards);
    other.release().await.expect("released");
}

#[tokio::test]
async fn all_keys_are_taken_or_none() {
    let world = World::new();
    let (first, second) = (world.key().await, world.key().await);
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &second).await.expect("free");
    let both = bob.acquire(vec![second.clone(), first.clone()], "test", Wait::No, &Unobserved).await;
    assert!(both.is_err());
    assert_eq!(held(&bob).await.len(), 1, "nothing was taken");
    guard.release().await.expect("released");
    let both =
        bob.acquire(vec![second, first.clone(), first], "test", Wait::No, &Unobserved).await.expect("free");
    assert_eq!((both.leases().len(), both.fences().len()), (2, 2));
    both.release().await.expect("released");
    assert_eq!(held(&bob).await, []);
}

#[tokio::test]
async fn without_a_lock_service_nothing_is_fenced_and_it_says_so() {
    let world = World::new();
    let owner = world.locks(1).owner();
    let locks = LockService::unfenced(owner, world.processes(1), world.clock.clone(), world.ids.clone());
    let key = world.key().await;
    assert!(!locks.is_fenced() && world.locks(1).is_fenced());
    assert_eq!(locks.opening(key.clone(), "plan use"), Opening::Unfenced);
    let guard = take(&locks, &key).await.expect("granted");
    assert_eq!(guard.fence(), Fence::Unfenced);
    locks.beat().await;
    assert_eq!(locks.release_all_for_owner().await, Ok(0));
    assert_eq!(guard.release().await, Ok(Release::Released));
}
