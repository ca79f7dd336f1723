//! Watching over a store: following its events, measuring it, and what a process counts.

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::Duration;

use agents_application::follower::{Follower, FollowerParts, Reach};
use agents_application::lifecycle::history::Outcome;
use agents_application::observer::Unobserved;
use agents_application::survey::{Survey, Surveyor, SurveyorParts};
use agents_application::{LifecycleError, LockService, Wait};
use agents_domain::feed::{Feed, FeedPage, FeedPosition, MockFeed};
use agents_domain::id::{Ids as _, OwnerId, PlanId};
use agents_domain::lock::{Liveness, LockKey};
use agents_domain::plan::{Failure, Phase, StoreError};
use agents_domain::time::Timestamp;
use async_trait::async_trait;

use crate::holding::take;
use crate::support::World;
use crate::vigil::bases;

const TICK: Duration = Duration::from_millis(250);

fn follower(world: &World, feed: Arc<dyn Feed>) -> Follower {
    let owner = OwnerId::from(world.ids.ulid());
    Follower::new(FollowerParts { feed, pulse: world.store.pulse(), owner, tick: TICK })
}

#[tokio::test(start_paused = true)]
async fn a_follower_shows_what_is_there_and_what_comes_each_once() {
    let world = World::new();
    let first = world.plan().await;
    let (shown, mut seen) = tokio::sync::mpsc::unbounded_channel();
    let following = follower(&world, world.store.feed());
    let task = tokio::spawn(async move {
        let show = |events: &[agents_domain::plan::Event]| {
            for event in events {
                shown.send((event.plan, event.seq)).expect("somebody listens");
            }
            ControlFlow::Continue(())
        };
        following.follow(FeedPosition::START, Reach::OnAndOn, show).await
    });
    assert_eq!(seen.recv().await, Some((first, 1)));
    world.lifecycle(1).prompt(first, "on".into()).await.expect("prompted");
    assert_eq!(seen.recv().await, Some((first, 2)));
    let second = world.plan().await;
    assert_eq!(seen.recv().await, Some((second, 1)));
    assert!(seen.is_empty() && !task.is_finished());
    task.abort();
}

#[tokio::test]
async fn who_has_seen_enough_ends_at_what_was_shown() {
    let world = World::new();
    world.plan().await;
    let following = follower(&world, world.store.feed());
    let place = following
        .follow(FeedPosition::START, Reach::OnAndOn, |_| ControlFlow::Break(()))
        .await
        .expect("read");
    assert_eq!(world.store.feed().after(place, 9).await.expect("read").events, []);
}

/// A store in which something is always about to come, and is let go after some reads.
struct Held {
    inner: Arc<dyn Feed>,
    reads: AtomicU32,
    for_reads: u32,
}

#[async_trait]
impl Feed for Held {
    async fn after(&self, position: FeedPosition, limit: u32) -> Result<FeedPage, StoreError> {
        if self.reads.fetch_add(1, Ordering::SeqCst) < self.for_reads {
            return Ok(FeedPage { events: vec![], next: position, held: true });
        }
        self.inner.after(position, limit).await
    }

    async fn since(&self, at: Timestamp) -> Result<FeedPosition, StoreError> {
        self.inner.since(at).await
    }
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_read_yet_is_waited_for_but_not_for_ever() {
    let world = World::new();
    world.plan().await;
    for (for_reads, expected) in [(3, 1), (u32::MAX, 0)] {
        let feed = Held { inner: world.store.feed(), reads: AtomicU32::new(0), for_reads };
        let mut count = 0;
        let show = |events: &[agents_domain::plan::Event]| {
            count += events.len();
            ControlFlow::Continue(())
        };
        follower(&world, Arc::new(feed))
            .follow(FeedPosition::START, Reach::ToTheEnd, show)
            .await
            .expect("read");
        assert_eq!(count, expected);
    }
}

#[tokio::test]
async fn a_store_that_cannot_be_read_ends_it() {
    let world = World::new();
    let mut feed = MockFeed::new();
    let away = StoreError::Unavailable { reason: "away".into() };
    let answer = away.clone();
    feed.expect_after().return_once(move |_, _| Err(answer));
    let ended = follower(&world, Arc::new(feed))
        .follow(FeedPosition::START, Reach::OnAndOn, |_| unreachable!())
        .await;
    assert_eq!(ended, Err(away));
}

async fn survey(world: &World) -> Survey {
    let surveyor = Surveyor::new(SurveyorParts {
        measures: world.store.measures(),
        feed: world.store.feed(),
        plans: world.store.plans(),
        locks: world.store.locks(),
        clock: world.clock.clone(),
    });
    surveyor.survey().await.expect("measured")
}

/// One attempt that takes so long, and fails.
async fn attempt(world: &World, plan: PlanId, length: Duration) {
    let driver = world.lifecycle(1);
    driver.start(plan, bases(), false).await.expect("started");
    world.clock.advance(length);
    let failure = Failure { code: "x".into(), message: "x".into(), hint: None, retryable: false };
    driver.fail(plan, failure, None, Vec::new()).await.expect("failed");
}

#[tokio::test]
async fn attempts_that_ended_in_the_last_while_are_measured_however_long_they_took() {
    let world = World::new();
    let (old, long, short) = (world.plan().await, world.plan().await, world.plan().await);
    attempt(&world, old, Duration::from_secs(5)).await;
    attempt(&world, long, Duration::from_hours(3)).await;
    attempt(&world, short, Duration::from_secs(7)).await;
    let recent = survey(&world).await.recent;
    let lengths = vec![Duration::from_secs(7), Duration::from_hours(3)];
    assert_eq!(recent.length, Duration::from_hours(1));
    assert_eq!(recent.phases, BTreeMap::from([((Phase::Strategize, Outcome::Failed), lengths)]));
}

#[tokio::test]
async fn what_is_held_and_waited_for_is_measured() {
    let world = World::new();
    let key = world.key().await;
    let guard = take(&world.locks(1), &key).await.expect("free");
    world.stray_ticket(7, &key).await;
    world.clock.advance(Duration::from_secs(2));
    let found = survey(&world).await;
    let locks = &found.locks["plan"];
    assert_eq!((locks.held, locks.stale, locks.longest), (1, 0, Duration::from_secs(2)));
    assert_eq!((found.measured.waiting, found.longest_wait), (1, Duration::from_secs(2)));
    assert_eq!(found.locks["project"].held, 0);
    world.clock.advance(Duration::from_mins(5));
    assert_eq!(survey(&world).await.locks["plan"].stale, 1);
    drop(guard);
}

#[tokio::test]
async fn a_process_counts_its_holds_its_renewals_and_what_it_took_over() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &key).await.expect("free");
    let again = take(&ada, &key).await.expect("own");
    again.release().await.expect("released");
    world.clock.advance(Duration::from_secs(100));
    ada.beat().await;
    let counted = ada.counters().read();
    assert_eq!((counted.waits["plan"].count, counted.renewals), (1, 1));
    assert_eq!(counted.holds, BTreeMap::new(), "it holds on");
    world.census.says(1, Liveness::Dead);
    let taken = take(&bob, &key).await.expect("its holder counts as dead");
    assert_eq!(bob.counters().read().takeovers, 1);
    ada.beat().await;
    ada.beat().await;
    assert_eq!(ada.counters().read().lost, BTreeMap::from([("plan", 1)]), "once, however often it looks");
    guard.release().await.expect("known to be lost");
    let counted = ada.counters().read();
    assert_eq!((counted.holds["plan"].count, counted.holds["plan"].sum), (1, Duration::from_secs(100)));
    taken.release().await.expect("released");
}

#[tokio::test]
async fn a_process_counts_what_it_wrote_and_what_it_was_refused() {
    let world = World::new();
    let (plan, other) = (world.plan().await, world.plan().await);
    let (ada, bob) = (world.lifecycle(1), world.lifecycle(2));
    let lost = ada.hold(plan, "plan execute", Wait::No).await.expect("free");
    ada.start(plan, bases(), false).await.expect("started");
    world.clock.advance(Duration::from_secs(3));
    ada.complete(plan, BTreeMap::new(), None, Vec::new()).await.expect("completed");
    ada.cancel(other, None, false, Vec::new()).await.expect("cancelled");
    let counted = ada.locks().counters().read();
    assert_eq!((counted.transitions["plan.phase_started"], counted.rejected), (1, 0));
    let took = &counted.phases[&(Phase::Strategize, Outcome::Complete)];
    assert_eq!((took.count, took.sum), (1, Duration::from_secs(3)));
    assert_eq!(counted.phases.len(), 1, "what was never begun took no time");
    world.census.says(1, Liveness::Dead);
    let taken = bob.hold(plan, "plan execute", Wait::No).await.expect("its holder counts as dead");
    assert_eq!(ada.prompt(plan, "on".into()).await, Err(LifecycleError::LeaseLost { plan }));
    assert_eq!(ada.locks().counters().read().rejected, 1);
    drop((lost, taken));
}

#[tokio::test]
async fn a_wait_in_line_is_counted_when_it_is_over() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob): (LockService, LockService) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &key).await.expect("free");
    let waiting = tokio::spawn({
        let (bob, key): (LockService, LockKey) = (bob.clone(), key.clone());
        async move { bob.acquire(vec![key], "test", Wait::Forever, &Unobserved).await }
    });
    while survey(&world).await.measured.waiting == 0 {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(2));
    guard.release().await.expect("released");
    waiting.await.expect("no panic").expect("granted").release().await.expect("released");
    let waits = bob.counters().read().waits;
    assert_eq!(waits["plan"].sum, Duration::from_secs(2));
}
