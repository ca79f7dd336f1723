//! Orders for workers: placed, extended, taken up, given back, and ended.

use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::orders::{Again, Claim, Claimed, NewOrder, PutBack, WorkOrder};
use agents_domain::plan::{Change, CommitOutcome, Phase, Plan};
use agents_domain::request::{Asker, Closed};

use crate::support::{Fixture, MILLI, Opener, Unfenced, term};
use crate::values::{owner, plan_id, step};

/// An order to execute, a moment later than whatever was before.
pub(crate) fn wanted(store: &Fixture, plan: &Plan) -> NewOrder {
    store.clock.advance(MILLI);
    NewOrder {
        plan: plan.id,
        goal: Phase::Execute,
        allow_empty: false,
        again: None,
        version: plan.version,
        by: Asker { host: "box".into(), pid: 7, user: "ada".into() },
        at: now(store),
    }
}

pub(crate) fn now(store: &Fixture) -> agents_domain::time::Timestamp {
    agents_domain::time::Clock::now(&*store.clock)
}

pub(crate) async fn place(store: &Fixture, order: &NewOrder) -> WorkOrder {
    store.orders.place(order).await.expect("placed")
}

pub(crate) async fn of(store: &Fixture, plan: PlanId) -> WorkOrder {
    store.orders.of(plan).await.expect("read").expect("there")
}

/// A plan that nobody holds, and that is ordered.
pub(crate) async fn ordered(store: &Fixture, number: u32) -> Plan {
    let (plan, lease) = store.plan(1, number).await;
    store.locks.release(owner(1), &term(&lease)).await.expect("released");
    place(store, &wanted(store, &plan)).await;
    plan
}

/// What that worker may take up now.
pub(crate) fn any(store: &Fixture, worker: u32) -> Claim {
    Claim {
        worker: owner(worker),
        now: now(store),
        since: now(store),
        dead: vec![],
        projects: vec![],
        machine: "Ω-1".to_owned(),
    }
}

/// The plan of the order that is taken up.
pub(crate) async fn claim(store: &Fixture, claim: &Claim) -> Option<PlanId> {
    store.orders.claim(claim).await.expect("an answer").map(|order| order.wanted.plan)
}

pub(crate) async fn write(store: &Fixture, plan: &Plan, who: u32, change: Change) -> Plan {
    let lease = store.take_one(who, &agents_domain::lock::LockKey::Plan(plan.id)).await;
    store.clock.advance(MILLI);
    let write = step(plan, change, now(store));
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    store.locks.release(owner(who), &term(&lease)).await.expect("released");
    write.plan
}

pub(crate) async fn an_order_survives_the_store(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, _) = store.plan(1, 1).await;
    assert_eq!(store.orders.of(plan.id).await, Ok(None));
    let (plan_two, _) = store.plan(1, 2).await;
    let full = NewOrder {
        goal: Phase::Apply,
        allow_empty: true,
        again: Some(Again::OnlyFailed),
        ..wanted(&store, &plan)
    };
    let placed = place(&store, &full).await;
    assert_eq!(placed, WorkOrder::placed(full, 1));
    assert_eq!(of(&store, plan.id).await, placed);
    let least = place(&store, &wanted(&store, &plan_two)).await;
    assert_eq!(store.orders.list().await, Ok(vec![placed, least]));
}

pub(crate) async fn ordering_twice_is_ordering_once(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let first = of(&store, plan.id).await;
    assert_eq!(place(&store, &wanted(&store, &plan)).await, first);
    let later = NewOrder { by: Asker { pid: 9, ..first.wanted.by.clone() }, ..wanted(&store, &plan) };
    let both = WorkOrder { revision: first.revision + 1, ..first };
    assert_eq!(place(&store, &later).await, both, "by whom and when first");
    assert_eq!(store.orders.list().await, Ok(vec![both]));
}

pub(crate) async fn an_order_goes_as_far_as_the_farthest(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let first = of(&store, plan.id).await;
    let farther = NewOrder { goal: Phase::Apply, allow_empty: true, ..wanted(&store, &plan) };
    let grown = place(&store, &farther).await;
    let expected = NewOrder { goal: Phase::Apply, allow_empty: true, ..first.wanted.clone() };
    assert_eq!((grown.wanted.clone(), grown.revision), (expected, first.revision + 1));
    assert_eq!(place(&store, &first.wanted).await, grown, "and no less far");
    assert_eq!(of(&store, plan.id).await, grown);
    let again = NewOrder { again: Some(Again::Continue), version: 5, ..wanted(&store, &plan) };
    let tried = place(&store, &again).await;
    assert_eq!((tried.wanted.again, tried.wanted.version), (Some(Again::Continue), 5));
}

pub(crate) async fn an_order_that_ended_makes_way_for_another(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let first = of(&store, plan.id).await;
    let closed = Closed { at: now(&store), outcome: "failed: \"it\"".into() };
    assert_eq!(store.orders.end(plan.id, first.revision, &closed).await, Ok(true));
    assert_eq!(of(&store, plan.id).await, WorkOrder { closed: Some(closed.clone()), ..first.clone() });
    assert_eq!(store.orders.end(plan.id, first.revision, &closed).await, Ok(false), "it has ended");
    assert_eq!((claim(&store, &any(&store, 2)).await, store.orders.list().await), (None, Ok(vec![])));
    let another = wanted(&store, &plan);
    assert_eq!(place(&store, &another).await, WorkOrder::placed(another, first.revision + 1));
    assert_eq!(store.orders.end(plan.id, first.revision, &closed).await, Ok(false), "that was another one");
    assert_eq!(claim(&store, &any(&store, 2)).await, Some(plan.id));
}

pub(crate) async fn an_order_ends_with_its_plan(open: Opener) {
    let store = open(Unfenced::Refused);
    let cancelled = ordered(&store, 1).await;
    let back = ordered(&store, 2).await;
    let goes_on = ordered(&store, 3).await;
    for _ in 0..3 {
        claim(&store, &any(&store, 5)).await.expect("one of them");
    }
    let cancel = Change::Cancelled { reason: None, keep_landed: false, work: vec![], given_up: None };
    let cancelled = write(&store, &cancelled, 2, cancel).await;
    let back = write(&store, &back, 2, Change::Reverted { reason: None }).await;
    let goes_on = write(&store, &goes_on, 2, Change::Prompted { text: "go".into() }).await;
    for (plan, outcome) in [(&cancelled, "cancelled"), (&back, "reverted")] {
        let order = of(&store, plan.id).await;
        let closed = Closed { at: plan.updated_at, outcome: outcome.into() };
        assert_eq!((order.closed, order.claim), (Some(closed), None), "{outcome}");
    }
    let order = of(&store, goes_on.id).await;
    assert!(order.is_open() && order.claim.is_some(), "{order:?}");
    assert_eq!(store.orders.list().await, Ok(vec![order]));
}

pub(crate) async fn an_end_that_was_decided_before_something_was_added_is_void(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let seen = of(&store, plan.id).await;
    let grown = place(&store, &NewOrder { goal: Phase::Apply, ..wanted(&store, &plan) }).await;
    let closed = Closed { at: now(&store), outcome: "reached".into() };
    assert_eq!(store.orders.end(plan.id, seen.revision, &closed).await, Ok(false));
    assert_eq!(of(&store, plan.id).await, grown);
    assert_eq!(store.orders.end(plan.id, grown.revision, &closed).await, Ok(true));
    assert_eq!(store.orders.end(plan_id(77), 1, &closed).await, Ok(false), "there is none");
}

pub(crate) async fn orders_are_taken_up_in_the_order_of_the_line(open: Opener) {
    let store = open(Unfenced::Refused);
    // The youngest plan first: it is the order that counts.
    let plans = [ordered(&store, 3).await, ordered(&store, 1).await, ordered(&store, 2).await];
    let ask = any(&store, 5);
    for plan in &plans {
        let taken = store.orders.claim(&ask).await.expect("an answer").expect("one of them");
        assert_eq!(taken.wanted.plan, plan.id);
        assert_eq!(taken.claim, Some(Claimed { worker: owner(5), since: ask.since }));
        assert_eq!(of(&store, plan.id).await, taken);
    }
    assert_eq!(claim(&store, &any(&store, 6)).await, None, "all are in hand");
    assert_eq!(store.orders.list().await.expect("read").len(), 3, "and open");
}

/// As that worker gives back what it has in hand, or had.
pub(crate) async fn back(store: &Fixture, plan: PlanId, worker: u32) -> PutBack {
    let (found, at) = (store.orders.of(plan).await.expect("read"), now(store));
    let since = found.and_then(|order| order.claim).map_or(at, |claim| claim.since);
    PutBack { plan, claim: Claimed { worker: owner(worker), since }, at, rest: None, trouble: None }
}

pub(crate) async fn what_is_put_back_stands_at_the_end_and_rests(open: Opener) {
    let store = open(Unfenced::Refused);
    let [first, second] = [ordered(&store, 1).await, ordered(&store, 2).await];
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(first.id));
    store.clock.advance(MILLI);
    store.orders.put_back(&back(&store, first.id, 5).await).await.expect("put back");
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(second.id), "it is the other's turn");
    let trouble = Some("git: \"disk full\"".to_owned());
    let rest = Duration::from_secs(2);
    for times in 1..3 {
        let until = now(&store).plus(rest);
        let back = PutBack { rest: Some(rest), trouble: trouble.clone(), ..back(&store, second.id, 5).await };
        store.orders.put_back(&back).await.expect("put back");
        let order = of(&store, second.id).await;
        assert_eq!((order.troubles, order.not_before, &order.trouble), (times, Some(until), &trouble));
        if times == 1 {
            assert_eq!(claim(&store, &any(&store, 5)).await, Some(first.id));
            assert_eq!(claim(&store, &any(&store, 5)).await, None, "it rests");
            store.clock.advance(rest);
            assert_eq!(claim(&store, &any(&store, 5)).await, Some(second.id), "until its time is there");
        }
    }
    let wanted_now = place(&store, &wanted(&store, &second)).await;
    assert_eq!((wanted_now.not_before, wanted_now.troubles, wanted_now.trouble), (None, 0, None));
}

pub(crate) async fn only_whoever_has_it_puts_it_back(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let waits = of(&store, plan.id).await;
    store.orders.put_back(&back(&store, plan.id, 5).await).await.expect("nothing to do");
    assert_eq!(of(&store, plan.id).await, waits);
    claim(&store, &any(&store, 6)).await.expect("taken");
    let in_hand = of(&store, plan.id).await;
    store.orders.put_back(&back(&store, plan.id, 5).await).await.expect("nothing to do");
    assert_eq!(of(&store, plan.id).await, in_hand);
    assert_eq!(store.orders.put_back(&back(&store, plan_id(77), 5).await).await, Ok(()));
}

/// Whose answer was lost, or whose writer stood still, writes again: it may be late.
pub(crate) async fn a_claim_that_is_over_is_not_put_back_again(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    claim(&store, &any(&store, 5)).await.expect("taken");
    let once = back(&store, plan.id, 5).await;
    store.orders.put_back(&once).await.expect("put back");
    store.clock.advance(MILLI);
    claim(&store, &any(&store, 5)).await.expect("taken again");
    let in_hand = of(&store, plan.id).await;
    store.orders.put_back(&once).await.expect("nothing to do");
    assert_eq!(of(&store, plan.id).await, in_hand);
}

pub(crate) async fn only_what_nobody_has_and_nobody_else_wants_is_withdrawn(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let offer = of(&store, plan.id).await;
    let closed = Closed { at: now(&store), outcome: "withdrawn".into() };
    let withdraw = async |seen: &WorkOrder| store.orders.withdraw(seen, &closed).await.expect("an answer");
    claim(&store, &any(&store, 5)).await.expect("taken");
    assert!(!withdraw(&offer).await, "a worker has it");
    store.orders.put_back(&back(&store, plan.id, 5).await).await.expect("put back");
    let more = NewOrder { by: Asker { pid: 9, ..offer.wanted.by.clone() }, ..wanted(&store, &plan) };
    let wanted = place(&store, &more).await;
    assert!(!withdraw(&offer).await, "somebody else wants the same");
    assert_eq!(of(&store, plan.id).await, wanted);
    assert!(withdraw(&wanted).await);
    assert_eq!(of(&store, plan.id).await, WorkOrder { closed: Some(closed.clone()), ..wanted.clone() });
    assert!(!withdraw(&wanted).await, "it has ended");
    assert!(!withdraw(&WorkOrder { wanted: NewOrder { plan: plan_id(77), ..more }, ..wanted }).await);
}

pub(crate) async fn of_many_who_claim_at_once_each_has_an_order_of_its_own(open: Opener) {
    let store = open(Unfenced::Refused);
    for number in 1..=6 {
        ordered(&store, number).await;
    }
    let ask = [2, 3, 4, 5, 6, 7, 8, 9].map(|worker| any(&store, worker));
    let mut taken = Vec::new();
    let claims = ask.iter().map(|ask| claim(&store, ask));
    for claimed in futures_all(claims).await {
        taken.extend(claimed);
    }
    taken.sort();
    taken.dedup();
    assert_eq!(taken.len(), 6, "each once, and two came too late");
}

/// All at once.
async fn futures_all<T>(futures: impl Iterator<Item = impl Future<Output = T>>) -> Vec<T> {
    let mut futures: Vec<_> = futures.map(|future| (Box::pin(future), None)).collect();
    std::future::poll_fn(|context| {
        let mut ready = true;
        for (future, outcome) in &mut futures {
            if outcome.is_none() {
                match future.as_mut().poll(context) {
                    std::task::Poll::Ready(value) => *outcome = Some(value),
                    std::task::Poll::Pending => ready = false,
                }
            }
        }
        if ready { std::task::Poll::Ready(()) } else { std::task::Poll::Pending }
    })
    .await;
    futures.into_iter().filter_map(|(_, outcome)| outcome).collect()
}
