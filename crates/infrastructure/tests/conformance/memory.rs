//! What the store in memory adds to the promises of the ports: it believes no caller.
//!
//! A durable store has its constraints and triggers for these; here the transition function is
//! asked again.

use std::sync::Arc;

use agents_domain::lock::LockKey;
use agents_domain::plan::{Opening, PlanWrite, StoreError};
use agents_domain::time::Clock;
use agents_infrastructure::clock::HandClock;
use agents_infrastructure::memory::MemoryStore;

use crate::children::{child, spawn};
use crate::support::{TERM, Unfenced, memory, request};
use crate::values::{event_id, new_plan, plan_id, project, prompt};

fn is_nonsense<T>(answer: Result<T, StoreError>) -> bool {
    matches!(answer, Err(StoreError::Corrupt { row, .. }) if row.starts_with("plan "))
}

#[tokio::test]
async fn a_plan_that_its_first_event_does_not_make_is_refused() {
    let store = memory(Unfenced::Allowed);
    let mut new = new_plan(1, store.clock.now());
    new.event.seq = 2;
    assert!(is_nonsense(store.plans.create(&new, &Opening::Unfenced).await));
    assert_eq!(store.plans.load(new.plan.id).await, Ok(None));
}

#[tokio::test]
async fn a_write_that_its_event_does_not_make_is_refused() {
    let store = memory(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let write = prompt(&plan, "one", store.clock.now());
    let another = prompt(&plan, "two", store.clock.now());
    assert!(is_nonsense(
        store.plans.commit(&PlanWrite { plan: another.plan, ..write.clone() }, &lease.fence).await
    ));
    let mut out_of_line = write.clone();
    out_of_line.events[0].seq = 7;
    assert!(is_nonsense(store.plans.commit(&out_of_line, &lease.fence).await));
    assert_eq!(store.stored(&plan).await, plan);
}

#[tokio::test]
async fn children_that_the_events_do_not_tell_of_are_refused() {
    let store = memory(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let at = store.clock.now();
    let write = spawn(&plan, &[child(2, "a"), child(3, "b")], at);
    let (mut less, mut unsorted, mut strange) = (write.clone(), write.clone(), write.clone());
    less.spawn.pop();
    unsorted.spawn.reverse();
    strange.spawn[1].event.seq = 2;
    let unasked = PlanWrite { spawn: write.spawn.clone(), ..prompt(&plan, "x", at) };
    for write in [less, unsorted, strange, unasked] {
        assert!(is_nonsense(store.plans.commit(&write, &lease.fence).await));
    }
    let mut known = write.clone();
    known.spawn[1].event.id = event_id(plan.id, 1);
    let answer = store.plans.commit(&known, &lease.fence).await;
    assert!(matches!(answer, Err(StoreError::Taken { by, .. }) if by.contains(plan.id.as_str())));
    assert_eq!(store.stored(&plan).await, plan);
    assert_eq!(store.plans.load(plan_id(2)).await, Ok(None));
}

#[tokio::test]
async fn an_event_belongs_to_one_plan() {
    let store = memory(Unfenced::Refused);
    let (first, _) = store.plan(1, 1).await;
    let (second, lease) = store.plan(1, 2).await;
    let mut write = prompt(&second, "x", store.clock.now());
    write.events[0].id = event_id(first.id, 1);
    let answer = store.plans.commit(&write, &lease.fence).await;
    assert!(matches!(answer, Err(StoreError::Taken { by, .. }) if by.contains(first.id.as_str())));
}

#[tokio::test]
async fn making_a_plan_again_after_it_was_taken_over_says_by_whom() {
    let store = memory(Unfenced::Refused);
    let new = new_plan(1, store.clock.now());
    let lease = store.make(1, &new).await;
    store.clock.advance(TERM);
    let rival = store.take_one(2, &lease.key).await;
    let answer = store.plans.create(&new, &Opening::Held(request(1, &[&LockKey::Plan(new.plan.id)]))).await;
    let owner = rival.fence.owner().expect("fenced");
    assert!(matches!(answer, Err(StoreError::Taken { by, .. }) if by == owner.as_str()));
}

#[tokio::test]
async fn clones_share_one_state() {
    let clock = Arc::new(HandClock::default());
    let store = MemoryStore::new(Arc::clone(&clock) as Arc<dyn Clock>);
    store.clone().projects().add(&project(1), clock.now()).await.expect("a new project");
    assert_eq!(store.projects().list().await, Ok(vec![project(1)]));
}
