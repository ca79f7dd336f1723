//! Futures cut off at the worst moment, and tasks of one process at one lock.

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::observer::Unobserved;
use agents_application::{LifecycleError, PlanLifecycleService, Wait};
use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, HeldLock, Lease, LockError, LockFilter, LockPort, MockLockPort, Release, Renewal, Term,
};
use agents_domain::plan::{MockPlanStore, StoreError};
use agents_domain::time::Ttl;
use async_trait::async_trait;
use tokio::sync::Semaphore;
use tokio::time::timeout;

use crate::holding::take;
use crate::support::{World, order};

/// A store that keeps its replies to `acquire` back, and releases, until it is told.
struct Slow {
    inner: Arc<dyn LockPort>,
    /// The grants that were made.
    granted: Semaphore,
    /// The replies that may go out.
    replies: Semaphore,
    /// The releases that may be made.
    releases: Semaphore,
    /// Whether the next release fails.
    failing: AtomicBool,
}

impl Slow {
    fn new(world: &World) -> Arc<Self> {
        let (granted, replies) = (Semaphore::new(0), Semaphore::new(0));
        let (releases, failing) = (Semaphore::new(0), AtomicBool::new(false));
        Arc::new(Self { inner: world.store.locks(), granted, replies, releases, failing })
    }
}

async fn pass(gate: &Semaphore) {
    gate.acquire().await.expect("open").forget();
}

#[async_trait]
impl LockPort for Slow {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        let granted = self.inner.acquire(request).await;
        self.granted.add_permits(1);
        pass(&self.replies).await;
        granted
    }
    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        self.inner.renew(owner, terms, ttl).await
    }
    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
        pass(&self.releases).await;
        if self.failing.swap(false, Ordering::SeqCst) {
            return Err(LockError::Unavailable { reason: "away".into() });
        }
        self.inner.release(owner, term).await
    }
    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError> {
        self.inner.release_all_for_owner(owner).await
    }
    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError> {
        self.inner.evict(term, by, reason).await
    }
    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        self.inner.list(filter).await
    }
}

async fn held(world: &World) -> Vec<HeldLock> {
    world.store.locks().list(&LockFilter::default()).await.expect("listed")
}

#[tokio::test]
async fn a_grant_that_nobody_waits_for_any_more_is_given_back() {
    let world = World::new();
    let key = world.key().await;
    let port = Slow::new(&world);
    let ada = world.locks_on(1, port.clone());
    let (locks, wanted) = (ada.clone(), key.clone());
    let asking = tokio::spawn(async move { take(&locks, &wanted).await });
    pass(&port.granted).await;
    asking.abort();
    assert!(asking.await.is_err_and(|ended| ended.is_cancelled()));
    assert_eq!(held(&world).await.len(), 1, "the store has granted it");
    port.replies.add_permits(1);
    port.releases.add_permits(1);
    while !held(&world).await.is_empty() {
        tokio::task::yield_now().await;
    }
}

#[tokio::test]
async fn a_term_that_is_being_left_is_not_entered_again() {
    let world = World::new();
    let key = world.key().await;
    let port = Slow::new(&world);
    let ada = world.locks_on(1, port.clone());
    port.replies.add_permits(9);
    let first = take(&ada, &key).await.expect("free");
    let before = first.fence();
    // It has let go, but the store does not know yet.
    let leaving = tokio::spawn(first.release());
    tokio::task::yield_now().await;
    let (locks, wanted) = (ada.clone(), key.clone());
    let entering = tokio::spawn(async move { take(&locks, &wanted).await });
    pass(&port.granted).await;
    pass(&port.granted).await;
    port.releases.add_permits(2);
    let second = entering.await.expect("no panic").expect("ours or free");
    leaving.await.expect("no panic").expect("answered");
    assert!(second.fence().token() > before.token());
    let listed = held(&world).await;
    assert_eq!((listed.len(), Some(listed[0].token)), (1, second.fence().token()), "and it stands");
    std::mem::forget(second);
}

#[tokio::test]
async fn nor_is_one_whose_release_was_known_before_the_answer_that_it_was_ours() {
    let world = World::new();
    let key = world.key().await;
    let port = Slow::new(&world);
    let ada = world.locks_on(1, port.clone());
    port.replies.add_permits(1);
    let first = take(&ada, &key).await.expect("free");
    let before = first.fence();
    pass(&port.granted).await;
    let leaving = tokio::spawn(first.release());
    tokio::task::yield_now().await;
    let (locks, wanted) = (ada.clone(), key.clone());
    let entering = tokio::spawn(async move { take(&locks, &wanted).await });
    pass(&port.granted).await;
    // The store has said that it is ours, and then ended it.
    port.releases.add_permits(1);
    leaving.await.expect("no panic").expect("released");
    port.replies.add_permits(2);
    port.releases.add_permits(1);
    let second = entering.await.expect("no panic").expect("free");
    assert!(second.fence().token() > before.token());
    assert_eq!(held(&world).await.len(), 1, "and it stands");
    std::mem::forget(second);
}

#[tokio::test]
async fn of_several_keys_only_those_on_no_book_are_asked_for_anew() {
    let world = World::new();
    let (outer, other, free) = (world.key().await, world.key().await, world.key().await);
    let (store, mut away) = (world.store.locks(), MockLockPort::new());
    let nobody = || LockError::Unavailable { reason: "away".into() };
    away.expect_release().returning(move |_, _| Err(nobody()));
    let port = Slow::new(&world);
    port.replies.add_permits(9);
    port.releases.add_permits(9);
    port.failing.store(true, Ordering::SeqCst);
    let ada = world.locks_with(1, port, Arc::new(away));
    let kept = take(&ada, &outer).await.expect("free");
    // Its release fails, here and in the heartbeat thread.
    let left = take(&ada, &other).await.expect("free");
    let before = left.fence();
    assert_eq!(left.release().await, Err(nobody()));
    assert_eq!(store.list(&LockFilter::default()).await.map(|held| held.len()), Ok(2));
    let keys = vec![outer, other, free];
    let all = ada.acquire(keys, "test", Wait::No, &Unobserved).await.expect("ours or free");
    let fence = |n: usize| all.leases()[n].fence;
    assert_eq!(fence(0), kept.fence(), "re-entered");
    assert!(fence(1).token() > before.token());
    assert!(!all.is_lost());
    all.release().await.expect("released");
    kept.release().await.expect("released");
    assert_eq!(store.list(&LockFilter::default()).await, Ok(Vec::new()));
}

#[tokio::test]
async fn without_its_heartbeat_thread_nothing_is_trusted() {
    let world = World::new();
    let key = world.key().await;
    let mut port = MockLockPort::new();
    port.expect_renew().returning(|_, _, _| panic!("a fault of the adapter"));
    let (ada, store) = (world.locks_with(1, world.store.locks(), Arc::new(port)), world.store.locks());
    let guard = take(&ada, &key).await.expect("free");
    world.clock.advance(Duration::from_secs(100));
    ada.beat().await;
    timeout(Duration::from_secs(10), guard.lost()).await.expect("it is said");
    assert!(guard.is_lost());
    guard.release().await.expect("released");
    let late = take(&ada, &key).await.expect("granted");
    assert!(late.is_lost(), "nobody would renew it");
    late.release().await.expect("released");
    assert_eq!(store.list(&LockFilter::default()).await, Ok(Vec::new()));
}

#[tokio::test]
async fn trust_begins_when_the_lock_was_asked_for() {
    let world = World::new();
    let key = world.key().await;
    let slow = Slow::new(&world);
    slow.releases.add_permits(9);
    let mut heartbeat = MockLockPort::new();
    heartbeat.expect_renew().returning(|_, _, _| Err(LockError::Unavailable { reason: "away".into() }));
    let ada = world.locks_with(1, slow.clone(), Arc::new(heartbeat));
    let (locks, wanted) = (ada.clone(), key.clone());
    let asking = tokio::spawn(async move { take(&locks, &wanted).await });
    pass(&slow.granted).await;
    // The process sleeps between the grant and its knowledge of it.
    world.clock.advance(Duration::from_mins(3));
    slow.replies.add_permits(1);
    let guard = asking.await.expect("no panic").expect("granted");
    ada.beat().await;
    assert!(guard.is_lost(), "six tenths of the lease are over");
    guard.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn whether_a_plan_was_made_is_asked_again_with_the_same_event() {
    let world = World::new();
    let asked = Arc::new(Mutex::new(Vec::new()));
    let (calls, mut store) = (asked.clone(), MockPlanStore::new());
    store.expect_create().returning(move |new, _| {
        calls.lock().expect("unpoisoned").push(new.event.id);
        Err(StoreError::Unknown { reason: "the reply was lost".into() })
    });
    let (clock, ids) = (world.clock.clone(), world.ids.clone());
    let service = PlanLifecycleService::new(Arc::new(store), clock, ids, world.processes(1));
    let unknown = service.with_locks(world.locks(1)).create(order(), "plan use").await.err();
    assert!(matches!(unknown, Some(LifecycleError::Store(StoreError::Unknown { .. }))), "{unknown:?}");
    let asked = asked.lock().expect("unpoisoned");
    assert_eq!(*asked, [asked[0]; 6]);
}
