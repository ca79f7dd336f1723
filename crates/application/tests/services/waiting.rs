//! Waiting: as long as asked, told once for each holder, and patient with the living.

use std::sync::Arc;
use std::time::Duration;

use agents_application::Wait;
use agents_application::observer::Unobserved;
use agents_domain::lock::{Liveness, LockError};

use crate::holding::take;
use crate::support::{Notes, World};

#[tokio::test(start_paused = true)]
async fn a_queue_gets_the_lock_when_it_is_free() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &key).await.expect("free");
    let notes = Arc::new(Notes::default());
    let (waiter, told, wanted) = (bob.clone(), notes.clone(), key.clone());
    let waiting =
        tokio::spawn(async move { waiter.acquire(vec![wanted], "test", Wait::Forever, &*told).await });
    while notes.0.lock().expect("unpoisoned").is_empty() {
        tokio::task::yield_now().await;
    }
    guard.release().await.expect("released");
    waiting.await.expect("no panic").expect("granted").release().await.expect("released");
    assert_eq!(*notes.0.lock().expect("unpoisoned"), [format!("{key} by 1, place 1")], "told once");
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_ends() {
    let world = World::new();
    let key = world.key().await;
    let guard = take(&world.locks(1), &key).await.expect("free");
    let notes = Arc::new(Notes::default());
    let (waiter, told, wanted) = (world.locks(2), notes.clone(), key.clone());
    let wait = Wait::AtMost(Duration::from_secs(7));
    let waiting = tokio::spawn(async move { waiter.acquire(vec![wanted], "test", wait, &*told).await });
    while notes.0.lock().expect("unpoisoned").is_empty() {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(7));
    assert!(matches!(waiting.await.expect("no panic"), Err(LockError::Queued(_))));
    guard.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_living_holder_whose_lease_ran_out_gets_time_to_renew() {
    let world = World::new();
    let key = world.key().await;
    let (ada, bob) = (world.locks(1), world.locks(2));
    let guard = take(&ada, &key).await.expect("free");
    world.clock.advance(Duration::from_mins(5));
    let (rival, wanted) = (bob.clone(), key.clone());
    let rivalry = tokio::spawn(async move { take(&rival, &wanted).await });
    for _ in 0..20 {
        tokio::time::advance(Duration::from_millis(100)).await;
    }
    assert!(!rivalry.is_finished(), "no time of the observer's own has passed");
    ada.beat().await;
    assert!(matches!(rivalry.await.expect("no panic"), Err(LockError::Conflict(_))), "it renewed in time");
    guard.release().await.expect("released");
}

#[tokio::test(start_paused = true)]
async fn a_living_holder_that_does_not_renew_is_replaced_after_five_seconds() {
    let world = World::new();
    let key = world.key().await;
    // A holder without a heartbeat: its process has said nothing since.
    let guard = take(&world.locks(1), &key).await.expect("free");
    let token = guard.fence().token();
    std::mem::forget(guard);
    let bob = world.locks(2);
    world.census.says(1, Liveness::Alive);
    world.clock.advance(Duration::from_mins(5));
    let (rival, wanted, clock) = (bob.clone(), key.clone(), world.clock.clone());
    let rivalry =
        tokio::spawn(async move { rival.acquire(vec![wanted], "test", Wait::No, &Unobserved).await });
    tokio::time::advance(Duration::from_millis(500)).await;
    assert!(!rivalry.is_finished());
    clock.advance(Duration::from_secs(5));
    let replaced = rivalry.await.expect("no panic").expect("taken over");
    assert!(replaced.fence().token() > token);
    replaced.release().await.expect("released");
}
