//! What is in a database that moves, and whether all of it has arrived.

use agents_domain::id::RequestId;
use agents_domain::lock::{LockFilter, LockKey};
use agents_domain::plan::{CommitOutcome, Plan, replay};
use agents_domain::reads::PlanFilter;
use agents_domain::request::{Asker, Request, Wish};
use agents_domain::time::{Clock as _, Timestamp};

use super::place::Place;
use crate::children::{child, spawn};
use crate::journey;
use crate::line::asking;
use crate::orders;
use crate::support::{Fixture, TERM};
use crate::values::{self, number_of, plan_id, step};

/// A request, open, of a plan.
pub(super) fn cancel(key: &LockKey, at: Timestamp) -> Request {
    Request {
        id: RequestId::parse("01ARZ3NDEKTSV4RRFFQ6900001").expect("valid"),
        key: key.clone(),
        wish: Wish::Cancel { keep_landed: true },
        by: Asker { host: "box".into(), pid: 7, user: "ada".into() },
        reason: Some("it's \"stuck\"".into()),
        at,
        closed: None,
    }
}

/// A plan that has gone that road, held by its owner.
async fn travelled(store: &Fixture, who: u32, number: u32, road: Vec<agents_domain::plan::Change>) -> Plan {
    let (mut plan, lease) = store.plan(who, number).await;
    for change in road {
        let write = step(&plan, change, store.clock.now());
        assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
        plan = write.plan;
    }
    plan
}

/// A store with a bit of everything. Ids of children come before those of their parents. The locks of
/// plans are held until their terms run out.
pub(super) async fn filled(place: &Place) -> Fixture {
    let store = place.create();
    let keys = store.projects([1, 2]).await;
    let definition = values::full_definition();
    let action = agents_domain::catalogue::StoredAction {
        action: definition.action.clone(),
        source: definition.action_source.clone(),
        updated_at: store.clock.now(),
    };
    store.actions.put(&action).await.expect("stored");
    travelled(&store, 1, 500, journey::to_applied()).await;
    travelled(&store, 1, 501, journey::to_cancelled()).await;
    travelled(&store, 1, 502, vec![journey::start(3, '1', true)]).await;
    let held = store.take_one(4, &LockKey::Plan(plan_id(103))).await;
    let parent = store.plans.load(plan_id(103)).await.expect("read").expect("a child");
    let write = spawn(&parent, &[child(5, "deep"), child(6, "deeper")], store.clock.now());
    assert_eq!(store.plans.commit(&write, &held.fence).await, Ok(CommitOutcome::Applied));
    let asked = cancel(&LockKey::Plan(plan_id(502)), store.clock.now());
    store.requests.make(&[asked]).await.expect("asked");
    store.line.take(&asking(8, &[&keys[0]])).await.expect("a ticket");
    orders::ordered(&store, 503).await;
    assert!(orders::claim(&store, &orders::any(&store, 11)).await.is_some());
    store.clock.advance(TERM * 2);
    store
}

/// All that two stores can say of plans, projects and actions.
pub(super) async fn same(one: &Fixture, other: &Fixture) {
    let all = PlanFilter { all: true, ..PlanFilter::default() };
    let [ones, others] =
        [one.reads.list(&all).await, other.reads.list(&all).await].map(|list| list.expect("listed"));
    assert_eq!((ones.total, ones.plans.len()), (others.total, others.plans.len()));
    assert!(ones.total > 8, "not much moved: {}", ones.total);
    for (view, arrived) in ones.plans.iter().zip(&others.plans) {
        let id = view.record.id;
        assert_eq!((&view.record, &arrived.lock), (&arrived.record, &None));
        let log = one.plans.events(id).await.expect("a log");
        assert_eq!(Ok(&log), other.plans.events(id).await.as_ref());
        assert_eq!(replay(&log).ok(), other.plans.load(id).await.expect("read"));
        assert_eq!(one.plans.definition(id).await, other.plans.definition(id).await);
        let key = LockKey::Plan(id);
        assert_eq!(one.requests.history(&key).await, other.requests.history(&key).await);
        let below = |views: Vec<agents_domain::reads::PlanView>| -> Vec<u32> {
            views.iter().map(|view| number_of(view.record.id)).collect()
        };
        let (one, other) = (one.reads.family(id).await, other.reads.family(id).await);
        assert_eq!(one.map(below), other.map(below));
    }
    let unclaimed = orders::of(one, plan_id(503)).await;
    assert!(unclaimed.claim.is_some());
    let unclaimed = agents_domain::orders::WorkOrder { claim: None, ..unclaimed };
    assert_eq!(
        orders::of(other, plan_id(503)).await,
        unclaimed,
        "a claim is the word of a worker of the old place"
    );
    assert_eq!(one.projects.list().await, other.projects.list().await);
    assert_eq!(one.actions.list().await, other.actions.list().await);
    assert_eq!(other.locks.list(&LockFilter::default()).await, Ok(vec![]));
    let request = cancel(&LockKey::Plan(plan_id(502)), one.clock.now());
    assert_eq!(
        other.requests.open(&request.key).await.expect("read").len(),
        1,
        "what was asked is still asked"
    );
}
