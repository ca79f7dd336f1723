//! `commit`: applied, stale, missing, and the same again.

use std::time::Duration;

use agents_domain::lock::FencingToken;
use agents_domain::plan::{CommitOutcome, Event};
use agents_domain::time::Clock as _;

use crate::support::{Opener, TERM, Unfenced, term};
use crate::values::{event_id, new_plan, owner, prompt};

pub(crate) async fn a_commit_writes_the_plan_and_its_event(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    store.clock.advance(Duration::from_secs(1));
    let write = prompt(&plan, "smaller", store.clock.now());
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.stored(&plan).await, write.plan);
    let events = store.plans.events(plan.id).await.expect("a log");
    assert_eq!(events.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2]);
    assert_eq!(events[1].change, write.last_event().change);
}

pub(crate) async fn a_repeated_commit_returns_the_first_outcome(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let first = prompt(&plan, "one", store.clock.now());
    let second = prompt(&first.plan, "two", store.clock.now());
    for write in [&first, &first, &second, &first] {
        assert_eq!(store.plans.commit(write, &lease.fence).await, Ok(CommitOutcome::Applied));
    }
    assert_eq!(store.stored(&plan).await, second.plan);
    store.clock.advance(TERM);
    store.take_one(2, &lease.key).await;
    let late = store.plans.commit(&second, &lease.fence).await;
    assert_eq!(late, Ok(CommitOutcome::Applied), "it was written before, whoever holds the lock now");
    assert_eq!(store.plans.events(plan.id).await.expect("a log").len(), 3);
}

pub(crate) async fn a_commit_on_another_version_is_stale(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let first = prompt(&plan, "one", store.clock.now());
    let second = prompt(&first.plan, "two", store.clock.now());
    assert_eq!(store.plans.commit(&second, &lease.fence).await, Ok(CommitOutcome::Stale), "from the future");
    assert_eq!(store.stored(&plan).await, plan);
    assert_eq!(store.plans.events(plan.id).await.expect("a log").len(), 1);
    for write in [&first, &second] {
        assert_eq!(store.plans.commit(write, &lease.fence).await, Ok(CommitOutcome::Applied));
    }
}

pub(crate) async fn of_two_writers_of_one_version_the_second_is_stale(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let (winner, mut loser) = (prompt(&plan, "a", store.clock.now()), prompt(&plan, "b", store.clock.now()));
    loser.events[0].id = event_id(plan.id, 77);
    assert_eq!(store.plans.commit(&winner, &lease.fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.plans.commit(&loser, &lease.fence).await, Ok(CommitOutcome::Stale));
    assert_eq!(store.stored(&plan).await, winner.plan);
}

pub(crate) async fn a_commit_of_a_plan_that_does_not_exist_is_missing(open: Opener) {
    let store = open(Unfenced::Refused);
    let (_, lease) = store.plan(1, 1).await;
    let absent = new_plan(2, store.clock.now()).plan;
    let write = prompt(&absent, "x", store.clock.now());
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Missing));
    assert_eq!(store.plans.load(absent.id).await, Ok(None));
}

pub(crate) async fn the_log_says_who_wrote_at_which_token(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, first) = store.plan(1, 1).await;
    let by_fence = prompt(&plan, "one", store.clock.now());
    store.plans.commit(&by_fence, &first.fence).await.expect("an answer");
    store.locks.release(owner(1), &term(&first)).await.expect("an answer");
    let second = store.take_one(2, &first.key).await;
    let mut by_itself = prompt(&by_fence.plan, "two", store.clock.now());
    let event = by_itself.events.remove(0);
    by_itself.events = vec![Event { owner: Some(owner(2)), token: second.fence.token(), ..event }];
    assert_eq!(store.plans.commit(&by_itself, &second.fence).await, Ok(CommitOutcome::Applied));
    let events = store.plans.events(plan.id).await.expect("a log");
    let authors: Vec<_> = events.iter().map(|e| (e.owner, e.token.map(FencingToken::value))).collect();
    assert_eq!(authors, [(Some(owner(1)), Some(1)), (Some(owner(1)), Some(1)), (Some(owner(2)), Some(2))]);
    assert_eq!(events[2..], by_itself.events);
}
