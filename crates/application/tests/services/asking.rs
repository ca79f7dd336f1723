//! What the store is asked for a grant: how often, and what is made of its answers.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_application::observer::Unobserved;
use agents_application::{LockGuard, LockService, Wait};
use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, FencingToken, HeldLock, Lease, Liveness, LockError, LockFilter, LockKey, LockPort,
    Release, Renewal, Term,
};
use agents_domain::time::Ttl;
use async_trait::async_trait;
use tokio::time::timeout;

use crate::holding::take;
use crate::support::World;

/// What becomes of the reply to a grant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Reply {
    Comes,
    /// It is lost once, and the store asks its server again.
    LostBelow,
    /// It is lost, and nobody has asked again.
    Lost,
}

/// Locks that remember what they were asked.
struct Heard {
    inner: Arc<dyn LockPort>,
    calls: Mutex<Vec<&'static str>>,
    /// Of the next grant.
    reply: Mutex<Reply>,
}

impl Heard {
    fn new(world: &World) -> Arc<Self> {
        Arc::new(Self {
            inner: world.store.locks(),
            calls: Mutex::default(),
            reply: Mutex::new(Reply::Comes),
        })
    }

    fn next(&self, reply: Reply) {
        *self.reply.lock().expect("unpoisoned") = reply;
    }

    fn hear(&self, call: &'static str) {
        self.calls.lock().expect("unpoisoned").push(call);
    }

    /// What was asked since this was asked last.
    fn calls(&self) -> Vec<&'static str> {
        std::mem::take(&mut self.calls.lock().expect("unpoisoned"))
    }
}

#[async_trait]
impl LockPort for Heard {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        self.hear("acquire");
        let granted = self.inner.acquire(request).await?;
        match std::mem::replace(&mut *self.reply.lock().expect("unpoisoned"), Reply::Comes) {
            Reply::Comes => return Ok(granted),
            Reply::LostBelow => {}
            Reply::Lost => return Err(LockError::Unavailable { reason: "no answer".to_owned() }),
        }
        self.inner.acquire(request).await
    }

    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        self.hear("renew");
        self.inner.renew(owner, terms, ttl).await
    }

    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
        self.hear("release");
        self.inner.release(owner, term).await
    }

    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError> {
        self.hear("release all");
        self.inner.release_all_for_owner(owner).await
    }

    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError> {
        self.hear("evict");
        self.inner.evict(term, by, reason).await
    }

    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        self.hear("list");
        self.inner.list(filter).await
    }
}

async fn take_all(locks: &LockService, keys: &[&LockKey]) -> Result<LockGuard, LockError> {
    let keys = keys.iter().map(|key| (*key).clone()).collect();
    locks.acquire(keys, "test", Wait::No, &Unobserved).await
}

/// A hold of a process that does nothing for it.
async fn forsaken(world: &World, pid: u32, key: &LockKey) {
    std::mem::forget(take(&world.locks(pid), key).await.expect("free"));
}

const A_LEASE: Duration = Duration::from_mins(5);

#[tokio::test]
async fn a_free_lock_is_granted_by_one_call_and_so_is_a_refusal() {
    let world = World::new();
    let (one, other) = (world.key().await, world.key().await);
    let port = Heard::new(&world);
    let ada = world.locks_on(1, port.clone());
    let guard = take(&ada, &one).await.expect("free");
    assert_eq!(port.calls(), ["acquire"]);
    let both = take_all(&ada, &[&one, &other]).await.expect("ours and free");
    assert_eq!(port.calls(), ["acquire"]);
    let rival = Heard::new(&world);
    assert!(matches!(take(&world.locks_on(2, rival.clone()), &one).await, Err(LockError::Conflict(_))));
    assert_eq!(rival.calls(), ["acquire"]);
    both.release().await.expect("released");
    guard.release().await.expect("released");
    assert_eq!(port.calls(), ["release", "release"]);
}

#[tokio::test]
async fn only_a_holder_whose_lease_ran_out_costs_another_call() {
    let world = World::new();
    for (liveness, pause) in [(Liveness::Dead, Duration::ZERO), (Liveness::Unknown, A_LEASE)] {
        let key = world.key().await;
        forsaken(&world, 3, &key).await;
        world.census.says(3, liveness);
        world.clock.advance(pause);
        let port = Heard::new(&world);
        let guard = take(&world.locks_on(1, port.clone()), &key).await.expect("taken over");
        assert_eq!(guard.fence().token().map(FencingToken::value), Some(3));
        assert_eq!(port.calls(), ["acquire", "acquire"], "{liveness:?}");
        guard.release().await.expect("released");
    }
}

#[tokio::test(start_paused = true)]
async fn one_that_lives_is_spared_also_beside_one_of_whom_nobody_knows() {
    let world = World::new();
    let (strange, known) = (world.key().await, world.key().await);
    forsaken(&world, 3, &strange).await;
    world.census.says(3, Liveness::Unknown);
    let bob = world.locks(2);
    let guard = take(&bob, &known).await.expect("free");
    world.clock.advance(A_LEASE);
    let port = Heard::new(&world);
    let (rival, keys) = (world.locks_on(1, port.clone()), [strange.clone(), known]);
    let rivalry = tokio::spawn(async move { take_all(&rival, &[&keys[0], &keys[1]]).await });
    while !port.calls().contains(&"list") {
        tokio::task::yield_now().await;
    }
    bob.beat().await;
    let refused = rivalry.await.expect("no panic").err();
    assert!(matches!(refused, Some(LockError::Conflict(held)) if held.0.holder.pid == 2), "it has renewed");
    let filter = LockFilter { key: Some(strange), stale_only: true };
    assert_eq!(world.store.locks().list(&filter).await.map(|held| held.len()), Ok(1), "all or none");
    guard.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_grant_whose_reply_was_lost_is_entered_and_nobody_comes_in_between() {
    let world = World::new();
    let (key, other) = (world.key().await, world.key().await);
    let port = Heard::new(&world);
    let ada = world.locks_on(1, port.clone());
    let outer = take(&ada, &other).await.expect("free");
    port.calls();
    port.next(Reply::LostBelow);
    let guard = take_all(&ada, &[&key, &other]).await.expect("granted");
    assert_eq!(port.calls(), ["acquire"], "it was not given back");
    world.stray_ticket(2, &key).await;
    let term = (key.clone(), guard.fence().token().expect("fenced"));
    assert_eq!((term.1.value(), guard.is_lost()), (2, false));
    guard.release().await.expect("ours");
    assert_eq!(port.inner.release(ada.owner(), &term).await, Ok(Release::NotHeld), "it was released once");
    outer.release().await.expect("ours");
}

#[tokio::test(start_paused = true)]
async fn whose_turn_it_is_does_not_lose_it_with_the_reply() {
    let world = World::new();
    let key = world.key().await;
    let guard = take(&world.locks(3), &key).await.expect("free");
    let port = Heard::new(&world);
    let (ada, wanted) = (world.locks_on(1, port.clone()), key.clone());
    let waiting =
        tokio::spawn(async move { ada.acquire(vec![wanted], "test", Wait::Forever, &Unobserved).await });
    let line = world.store.line();
    let in_line = async || {
        line.look(std::slice::from_ref(&key), None, None).await.map(|view| view.map(|v| v.line.len()))
    };
    while in_line().await != Ok(Some(1)) {
        tokio::task::yield_now().await;
    }
    world.stray_ticket(2, &key).await;
    port.next(Reply::LostBelow);
    guard.release().await.expect("released");
    let granted = timeout(Duration::from_mins(1), waiting).await.expect("soon");
    let granted = granted.expect("no panic").expect("its turn");
    assert_eq!(granted.fence().token().map(FencingToken::value), Some(3), "granted once");
    assert_eq!(in_line().await, Ok(Some(1)), "the next one waits still");
    granted.release().await.expect("released");
}

#[tokio::test]
async fn a_grant_of_which_nobody_heard_is_entered_by_whoever_asks_next() {
    let world = World::new();
    let key = world.key().await;
    let port = Heard::new(&world);
    let ada = world.locks_on(1, port.clone());
    port.next(Reply::Lost);
    assert!(matches!(take(&ada, &key).await, Err(LockError::Unavailable { .. })));
    world.stray_ticket(2, &key).await;
    let guard = take(&ada, &key).await.expect("it is ours");
    assert_eq!(guard.fence().token().map(FencingToken::value), Some(2), "granted once");
    assert_eq!(port.calls(), ["acquire", "acquire"]);
    world.clock.advance(Duration::from_secs(200));
    ada.beat().await;
    assert!(!guard.is_lost(), "and it is renewed");
    guard.release().await.expect("released");
}
