//! Whatever is written is read back: every change, every fact, every order.

use std::collections::BTreeSet;
use std::time::Duration;

use agents_domain::plan::{Change, CommitOutcome, Definition, Event, NewPlan, replay};
use agents_domain::time::Clock as _;

use crate::support::{Fixture, Opener, Unfenced};
use crate::values::{full_definition, least_definition, new_plan, new_plan_of, origin, owner, prompt, step};
use crate::{journey, values};

/// Takes a plan down a road; after each change it is read back in every way.
async fn drive(store: &Fixture, number: u32, road: Vec<Change>) -> Vec<Event> {
    let (mut plan, lease) = store.plan(1, number).await;
    let mut log = store.plans.events(plan.id).await.expect("a log");
    for change in road {
        store.clock.advance(Duration::from_millis(7));
        let write = step(&plan, change, store.clock.now());
        assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
        let stored = store.stored(&plan).await;
        assert_eq!(stored, write.plan, "after {}", write.last_event().change.event_name());
        let view = store.reads.status(plan.id).await.expect("an answer").expect("the plan");
        assert_eq!(view.record, stored.clone().into_record());
        let by = |event| Event { owner: Some(owner(1)), token: lease.fence.token(), ..event };
        log.extend(write.events.into_iter().map(by));
        plan = stored;
    }
    let events = store.plans.events(plan.id).await.expect("a log");
    assert_eq!(events, log);
    assert_eq!(replay(&events), Ok(plan));
    events
}

pub(crate) async fn every_change_and_every_fact_survives_the_store(open: Opener) {
    let store = open(Unfenced::Refused);
    let mut log = drive(&store, 1, journey::to_applied()).await;
    log.extend(drive(&store, 2, journey::to_cancelled()).await);
    log.extend(drive(&store, 3, journey::to_cancelled_at_once()).await);
    let names: BTreeSet<&str> = log.iter().map(|event| event.change.event_name()).collect();
    assert_eq!(names.len(), 20, "a change is missing on the roads: {names:?}");
}

async fn order(store: &Fixture, new: &NewPlan) -> Definition {
    store.make(1, new).await;
    assert_eq!(store.stored(&new.plan).await, new.plan);
    store.plans.definition(new.plan.id).await.expect("an answer").expect("an order")
}

pub(crate) async fn every_field_of_an_order_survives_the_store(open: Opener) {
    let store = open(Unfenced::Refused);
    let definition = full_definition();
    let new = new_plan_of(1, store.clock.now(), origin(&definition), definition.clone());
    let stored = order(&store, &new).await;
    assert_eq!(stored, definition);
    assert_eq!(stored.arguments.len(), values::arguments().len());
}

pub(crate) async fn the_least_order_survives_the_store(open: Opener) {
    let store = open(Unfenced::Refused);
    let definition = Definition { projects: Vec::new(), ..least_definition() };
    let mut origin = origin(&definition);
    origin.name = None;
    let new = new_plan_of(1, store.clock.now(), origin, definition.clone());
    assert_eq!(order(&store, &new).await, definition);
}

pub(crate) async fn odd_texts_survive_the_store(open: Opener) {
    let store = open(Unfenced::Refused);
    let new = new_plan(1, store.clock.now());
    let (fence, mut plan) = (store.make(1, &new).await.fence, new.plan);
    for text in ["", " ", "null", "'; DROP TABLE plans; --", "\"\\\r\n\t", "ü🦀\u{202e}", "{\"a\": [1,]}"]
    {
        let write = prompt(&plan, text, store.clock.now());
        assert_eq!(store.plans.commit(&write, &fence).await, Ok(CommitOutcome::Applied));
        plan = store.stored(&plan).await;
        assert_eq!(plan.guidance.last().map(String::as_str), Some(text));
    }
}
