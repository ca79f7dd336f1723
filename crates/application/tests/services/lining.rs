//! The line: order of arrival, the dead and the silent, and nothing left behind.

use std::sync::Arc;
use std::time::Duration;

use agents_application::observer::Unobserved;
use agents_application::{LockGuard, LockService, Wait};
use agents_domain::lock::{LineView, Liveness, LockError, LockKey, Ticket};
use tokio::task::JoinHandle;

use crate::holding::take;
use crate::support::{Notes, World};

type Waiting = JoinHandle<Result<LockGuard, LockError>>;

/// One that waits for those locks; it stands in line when this returns.
async fn waits(world: &World, service: &LockService, keys: &[&LockKey], wait: Wait) -> (Waiting, Arc<Notes>) {
    let before = world.line(keys[0]).await.line.len();
    let notes = Arc::new(Notes::default());
    let (service, told) = (service.clone(), notes.clone());
    let wanted: Vec<LockKey> = keys.iter().map(|key| (*key).clone()).collect();
    let waiting = tokio::spawn(async move { service.acquire(wanted, "test", wait, &*told).await });
    while world.line(keys[0]).await.line.len() == before {
        tokio::task::yield_now().await;
    }
    (waiting, notes)
}

impl World {
    async fn line(&self, key: &LockKey) -> LineView {
        self.locks(50).line_of(key).await.expect("a lock")
    }

    /// Until nobody waits any more.
    async fn nobody_waits(&self, key: &LockKey) {
        for _ in 0..1_000 {
            if self.line(key).await.line.is_empty() {
                return;
            }
            tokio::task::yield_now().await;
        }
        panic!("somebody stays in line");
    }
}

async fn granted(waiting: Waiting) -> LockGuard {
    let granted = tokio::time::timeout(Duration::from_mins(10), waiting).await.expect("granted in time");
    granted.expect("no panic").expect("granted")
}

#[tokio::test(start_paused = true)]
async fn whoever_came_first_is_granted_first() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    let (second, _) = waits(&world, &world.locks(2), &[&key], Wait::Forever).await;
    let (third, told) = waits(&world, &world.locks(3), &[&key], Wait::Forever).await;
    holder.release().await.expect("released");
    let guard = granted(second).await;
    let heard = |text: &str| told.0.lock().expect("unpoisoned").iter().any(|note| note == text);
    while !heard(&format!("{key} by 2, place 1")) {
        tokio::time::advance(Duration::from_millis(1)).await;
    }
    assert!(!third.is_finished());
    guard.release().await.expect("released");
    granted(third).await.release().await.expect("released");
    let notes = told.0.lock().expect("unpoisoned").clone();
    assert_eq!(notes.first(), Some(&format!("{key} by 1, place 2")), "{notes:?}");
    assert_eq!(world.line(&key).await.line, [], "a grant uses its ticket up");
}

#[tokio::test(start_paused = true)]
async fn whoever_will_not_wait_does_not_pass_the_line() {
    let world = World::new();
    let (free, held) = (world.key().await, world.key().await);
    let holder = take(&world.locks(1), &held).await.expect("free");
    let (wide, _) = waits(&world, &world.locks(2), &[&free, &held], Wait::Forever).await;
    let Err(LockError::Queued(standing)) = take(&world.locks(3), &free).await else { panic!("not refused") };
    assert_eq!((&standing.key, &standing.held, standing.ticket), (&free, &None, None));
    assert_eq!(standing.ahead[0].holder.pid, 2);
    holder.release().await.expect("released");
    granted(wide).await.release().await.expect("released");
    take(&world.locks(3), &free).await.expect("nobody waits").release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dead_is_passed_at_once() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    world.stray_ticket(2, &key).await;
    let (living, _) = waits(&world, &world.locks(3), &[&key], Wait::Forever).await;
    world.census.says(2, Liveness::Dead);
    holder.release().await.expect("released");
    let guard = granted(living).await;
    assert_eq!(world.line(&key).await.line, [], "whoever passes it removes it");
    world.stray_ticket(2, &key).await;
    guard.release().await.expect("released");
    // Also for one who has no ticket.
    take(&world.locks(4), &key).await.expect("granted").release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_is_dropped_leaves_the_line() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    let (waiting, _) = waits(&world, &world.locks(2), &[&key], Wait::Forever).await;
    waiting.abort();
    assert!(waiting.await.is_err(), "aborted");
    world.nobody_waits(&key).await;
    holder.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_wait_that_took_too_long_says_who_holds_and_which_place_and_leaves() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    let (first, _) = waits(&world, &world.locks(2), &[&key], Wait::Forever).await;
    let limit = Wait::AtMost(Duration::from_secs(3));
    let (second, _) = waits(&world, &world.locks(3), &[&key], limit).await;
    world.clock.advance(Duration::from_secs(3));
    let Err(LockError::Queued(standing)) = second.await.expect("no panic") else { panic!("not refused") };
    assert_eq!(standing.held.as_ref().map(|held| held.holder.pid), Some(1));
    assert_eq!((standing.position(), standing.ticket.is_some(), standing.since.is_some()), (2, true, true));
    assert_eq!(world.line(&key).await.line.len(), 1, "it has left");
    holder.release().await.expect("released");
    granted(first).await.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_says_that_it_is_there_and_keeps_its_number() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    let (waiting, _) = waits(&world, &world.locks(2), &[&key], Wait::Forever).await;
    let number = world.line(&key).await.line[0].number;
    for _ in 0..3 {
        world.clock.advance(Ticket::LIFE);
        while world.line(&key).await.line[0].over {
            tokio::time::advance(Duration::from_millis(100)).await;
        }
    }
    assert_eq!(world.line(&key).await.line[0].number, number);
    holder.release().await.expect("released");
    granted(waiting).await.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_waiter_that_was_passed_joins_again_at_the_end() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    let (waiting, _) = waits(&world, &world.locks(2), &[&key], Wait::Forever).await;
    let lost = world.line(&key).await.line[0].number;
    // As if it had been frozen, and the one who passed it had removed its ticket.
    let owner = world.line(&key).await.line[0].owner;
    world.store.line().leave(owner, lost).await.expect("gone");
    world.clock.advance(Ticket::LIFE);
    while world.line(&key).await.line.is_empty() {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!(world.line(&key).await.line[0].number > lost);
    holder.release().await.expect("released");
    granted(waiting).await.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn at_the_end_all_waiting_of_the_owner_ends() {
    let world = World::new();
    let key = world.key().await;
    let holder = take(&world.locks(1), &key).await.expect("free");
    let bob = world.locks(2);
    let (waiting, _) = waits(&world, &bob, &[&key], Wait::Forever).await;
    waiting.abort();
    bob.release_all_for_owner().await.expect("released");
    assert_eq!(world.line(&key).await.line, []);
    holder.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_task_waits_in_line_for_another_task_of_its_process() {
    let world = World::new();
    let key = world.key().await;
    let ada = world.locks(1);
    let first = ada.acquire_alone(vec![key.clone()], "one", Wait::No, &Unobserved).await.expect("free");
    let (service, wanted) = (ada.clone(), key.clone());
    let second =
        tokio::spawn(
            async move { service.acquire_alone(vec![wanted], "two", Wait::Forever, &Unobserved).await },
        );
    while world.line(&key).await.line.is_empty() {
        tokio::task::yield_now().await;
    }
    first.release().await.expect("released");
    granted(second).await.release().await.expect("released");
}
