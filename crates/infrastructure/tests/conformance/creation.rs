//! `create`, and what is there afterwards.

use agents_domain::lock::{Fence, LockKey};
use agents_domain::plan::{Event, Opening, StoreError};
use agents_domain::time::Clock as _;

use crate::children::child_of;
use crate::support::{Opener, TERM, Unfenced, request, term};
use crate::values::{event_id, holder, least_definition, new_plan, new_plan_of, origin, owner, plan_id};

pub(crate) async fn a_new_plan_is_stored_with_its_order_its_log_and_its_lock(open: Opener) {
    let store = open(Unfenced::Refused);
    let new = new_plan(1, store.clock.now());
    let lease = store.make(1, &new).await;
    assert_eq!(store.stored(&new.plan).await, new.plan);
    assert_eq!(store.plans.definition(new.plan.id).await, Ok(Some(new.definition)));
    let events = store.plans.events(new.plan.id).await.expect("a log");
    let written = Event { owner: Some(owner(1)), token: lease.fence.token(), ..new.event };
    assert_eq!(events, [written], "the fence says who made it");
    assert_eq!(store.holder_of(&lease.key).await, Some(owner(1)));
}

pub(crate) async fn a_new_plan_is_held_from_its_first_moment(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let key = LockKey::Plan(plan.id);
    assert_eq!((&lease.key, term(&lease).1.value(), lease.reentrant), (&key, 1, false));
    assert_eq!((lease.fence.owner(), lease.acquired_at), (Some(owner(1)), store.clock.now()));
    assert_eq!(lease.expires_at, store.clock.now().plus(TERM));
    let held = store.conflict(&request(2, &[&key])).await;
    assert_eq!((held.owner, held.holder), (owner(1), holder(1)));
}

pub(crate) async fn making_a_plan_again_is_harmless(open: Opener) {
    let store = open(Unfenced::Refused);
    let new = new_plan(1, store.clock.now());
    let (first, again) = (store.make(1, &new).await, store.make(1, &new).await);
    assert_eq!(first.fence, again.fence);
    assert_eq!(store.plans.events(new.plan.id).await.expect("a log").len(), 1);
    assert_eq!(store.stored(&new.plan).await, new.plan);
}

pub(crate) async fn an_id_that_is_taken_is_refused(open: Opener) {
    let store = open(Unfenced::Refused);
    let first = new_plan(1, store.clock.now());
    store.make(1, &first).await;
    let mut rival = first.clone();
    rival.event.id = event_id(plan_id(77), 1);
    let opening = Opening::Held(request(1, &[&LockKey::Plan(first.plan.id)]));
    let answer = store.plans.create(&rival, &opening).await;
    assert!(matches!(answer, Err(StoreError::Taken { .. })), "{answer:?}");
    assert_eq!(store.plans.events(first.plan.id).await.expect("a log").len(), 1);
}

pub(crate) async fn a_part_of_a_plan_that_does_not_exist_is_refused(open: Opener) {
    let store = open(Unfenced::Refused);
    let mut origin = origin(&least_definition());
    let parent = new_plan(9, store.clock.now());
    origin.subplan = Some(child_of(&parent.plan, 0, "part"));
    let orphan = new_plan_of(1, store.clock.now(), origin, least_definition());
    let key = LockKey::Plan(orphan.plan.id);
    assert!(store.plans.create(&orphan, &Opening::Held(request(1, &[&key]))).await.is_err());
    assert_eq!(store.plans.load(orphan.plan.id).await, Ok(None));
    assert_eq!(store.holder_of(&key).await, None);
    store.make(1, &parent).await;
    store.make(1, &orphan).await;
    assert_eq!(store.stored(&orphan.plan).await.subplan, orphan.plan.subplan);
}

pub(crate) async fn what_is_not_there_is_not_found(open: Opener) {
    let store = open(Unfenced::Allowed);
    assert_eq!(store.plans.load(plan_id(1)).await, Ok(None));
    assert_eq!(store.plans.definition(plan_id(1)).await, Ok(None));
    assert_eq!(store.plans.events(plan_id(1)).await, Ok(Vec::new()));
    let new = new_plan(2, store.clock.now());
    let lease = store.plans.create(&new, &Opening::Unfenced).await.expect("allowed");
    assert_eq!((lease.key, lease.fence), (LockKey::Plan(new.plan.id), Fence::Unfenced));
    assert_eq!(store.plans.load(plan_id(1)).await, Ok(None));
}
