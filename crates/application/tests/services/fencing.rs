//! The self-fence: what runs under a lease that can no longer be trusted is ended by the heartbeat.

use std::sync::Arc;
use std::sync::mpsc::{Sender, channel};
use std::time::Duration;

use agents_application::LockService;
use agents_application::lock_service::LockParts;
use agents_domain::id::{Ids as _, OwnerId, PlanId};
use agents_domain::lock::{
    AcquireRequest, HeldLock, Lease, LockError, LockFilter, LockKey, LockPort, Release, Renewal, Term,
};
use agents_domain::request::Wish;
use agents_domain::runner::{Children, StopCause, Urgency};
use agents_domain::time::Ttl;
use agents_infrastructure::scripted::Gate;
use async_trait::async_trait;

use crate::holding::take;
use crate::support::World;

/// Passes on what is to end.
struct Told(Sender<(PlanId, Urgency)>);

impl Children for Told {
    fn end(&self, plan: PlanId, urgency: Urgency) {
        self.0.send((plan, urgency)).ok();
    }
}

/// Locks whose renewals and releases come to what a test says.
struct Away {
    inner: Arc<dyn LockPort>,
    /// Behind it every renewal waits; `None`: they fail at once.
    hanging: Option<Gate>,
}

#[async_trait]
impl LockPort for Away {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        self.inner.acquire(request).await
    }

    async fn renew(&self, _: OwnerId, _: &[Term], _: Ttl) -> Result<Vec<Renewal>, LockError> {
        if let Some(gate) = &self.hanging {
            gate.pass().await;
        }
        Err(LockError::Unavailable { reason: "away".to_owned() })
    }

    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
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

fn service(world: &World, heartbeat: Arc<dyn LockPort>, tick: Duration, told: Told) -> LockService {
    LockService::new(LockParts {
        port: world.store.locks(),
        heartbeat,
        line: world.store.line(),
        pulse: world.store.pulse(),
        requests: world.store.requests(),
        children: Arc::new(told),
        owner: OwnerId::from(world.ids.ulid()),
        ttl: Ttl::default(),
        tick,
        processes: world.processes(1),
        clock: world.clock.clone(),
        ids: world.ids.clone(),
    })
}

const BY_HAND: Duration = Duration::from_hours(1);

#[tokio::test]
async fn what_runs_is_asked_to_end_at_six_tenths_of_the_lease_and_killed_at_eight() {
    let world = World::new();
    let plan = world.plan().await;
    let (told, ended) = channel();
    let away = Arc::new(Away { inner: world.store.locks(), hanging: None });
    let locks = service(&world, away, BY_HAND, Told(told));
    let guard = take(&locks, &LockKey::Plan(plan)).await.expect("free");
    let ages =
        [(179, vec![]), (1, vec![Urgency::Term]), (59, vec![]), (1, vec![Urgency::Kill]), (60, vec![])];
    for (seconds, expected) in ages {
        world.clock.advance(Duration::from_secs(seconds));
        locks.beat().await;
        let news: Vec<_> = ended.try_iter().inspect(|(of, _)| assert_eq!(*of, plan)).collect();
        assert_eq!(news.into_iter().map(|(_, urgency)| urgency).collect::<Vec<_>>(), expected);
    }
    guard.release().await.expect("still ours: nobody came");
}

#[tokio::test]
async fn a_doubted_lease_is_told_from_one_that_is_gone() {
    let world = World::new();
    let plan = world.plan().await;
    let (told, _ended) = channel();
    let away = Arc::new(Away { inner: world.store.locks(), hanging: None });
    let locks = service(&world, away, BY_HAND, Told(told));
    let guard = take(&locks, &LockKey::Plan(plan)).await.expect("free");
    world.clock.advance(Duration::from_mins(3));
    locks.beat().await;
    assert_eq!((guard.lost().await, guard.is_lost()), (StopCause::LeaseDoubted, true));
    world.clock.advance(Duration::from_mins(1));
    locks.beat().await;
    assert_eq!(guard.lost().await, StopCause::LeaseLost);
    guard.release().await.expect("still ours: nobody came");
}

#[tokio::test]
async fn a_lock_that_was_taken_ends_what_runs_at_the_next_beat() {
    let world = World::new();
    let plan = world.plan().await;
    let (told, ended) = channel();
    let locks = service(&world, world.store.locks(), BY_HAND, Told(told));
    let guard = take(&locks, &LockKey::Plan(plan)).await.expect("free");
    let lease = &guard.leases()[0];
    let term = (lease.key.clone(), lease.fence.token().expect("fenced"));
    world.store.locks().evict(&term, locks.owner(), "test").await.expect("evicted");
    locks.beat().await;
    assert_eq!(ended.try_iter().collect::<Vec<_>>(), [(plan, Urgency::Kill)]);
    assert_eq!(guard.lost().await, StopCause::LeaseLost);
    drop(guard);
}

#[tokio::test]
async fn a_store_that_hangs_does_not_keep_what_runs_alive() {
    let world = World::new();
    let plan = world.plan().await;
    let (told, ended) = channel();
    let gate = Gate::default();
    let away = Arc::new(Away { inner: world.store.locks(), hanging: Some(gate.clone()) });
    let locks = service(&world, away, Duration::from_millis(1), Told(told));
    let guard = take(&locks, &LockKey::Plan(plan)).await.expect("free");
    world.clock.advance(Duration::from_mins(4));
    // The heartbeat thread is in its renewal by now, or soon, and stays there.
    let killed = tokio::task::spawn_blocking(move || ended.recv_timeout(Duration::from_secs(30)));
    assert_eq!(killed.await.expect("no panic"), Ok((plan, Urgency::Kill)));
    assert!(guard.is_lost());
    gate.open();
    drop(guard);
}

#[tokio::test]
async fn a_request_is_heard_at_the_next_beat_and_concerns_only_the_term_it_means() {
    let world = World::new();
    let plan = world.plan().await;
    let key = LockKey::Plan(plan);
    let (ada, bob) = (world.locks(1), world.locks(2));
    let earlier = take(&ada, &key).await.expect("free");
    let old = earlier.fence().token().expect("fenced");
    earlier.release().await.expect("released");
    let guard = take(&ada, &key).await.expect("free");
    let heard = guard.asked();
    bob.ask(key.clone(), Wish::LetGo { token: old }, None).await.expect("stored");
    ada.beat().await;
    assert_eq!(guard.request(), None, "it means a term that is over");
    let wish = Wish::Cancel { keep_landed: false };
    let asked = bob.ask(key.clone(), wish, Some("why not".to_owned())).await.expect("stored");
    assert_eq!(bob.ask(key.clone(), wish, None).await, Ok(asked.clone()), "asking twice is asking once");
    ada.beat().await;
    assert_eq!((heard.await, guard.request()), (asked.clone(), Some(asked.clone())));
    ada.close(&asked, "refused").await.expect("closed");
    ada.beat().await;
    assert_eq!(guard.request(), None);
    assert_eq!(world.store.requests().history(&key).await.expect("read").len(), 2);
    guard.release().await.expect("released");
}
