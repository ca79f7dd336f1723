//! The numbers of a store, which are kept and must stay right.

use std::collections::BTreeMap;

use agents_domain::id::RequestId;
use agents_domain::lock::{Fence, LockKey, Ticket};
use agents_domain::measures::{Measured, OrdersMeasured};
use agents_domain::orders::PutBack;
use agents_domain::plan::{Change, Opening, Phase, Plan, PlanWrite, Stage, State};
use agents_domain::request::{Asker, Closed, Request, Wish};
use agents_domain::time::Clock as _;

use crate::line::asking;
use crate::orders::{any, back, claim, of, ordered};
use crate::support::{Fixture, MILLI, Opener, Unfenced};
use crate::values::{new_plan, owner, project, prompt, step};

fn stage(phase: Phase, state: State) -> Stage {
    Stage::new(phase, state).expect("it exists")
}

impl Fixture {
    pub(crate) async fn measured(&self) -> Measured {
        self.measures.measure().await.expect("numbers")
    }

    async fn put(&self, number: u32) -> Plan {
        let new = new_plan(number, self.clock.now());
        self.plans.create(&new, &Opening::Unfenced).await.expect("a new plan");
        new.plan
    }

    async fn write(&self, write: PlanWrite) -> Plan {
        self.plans.commit(&write, &Fence::Unfenced).await.expect("written");
        write.plan
    }
}

/// Many things happen to a plan at once.
fn many(plan: &Plan, times: u32, store: &Fixture) -> PlanWrite {
    let mut all = prompt(plan, "0", store.clock.now());
    for n in 1..times {
        let one = prompt(&all.plan, &n.to_string(), store.clock.now());
        all.events.extend(one.events);
        all.plan = one.plan;
    }
    all
}

pub(crate) async fn plans_are_counted_by_stage(open: Opener) {
    let store = open(Unfenced::Allowed);
    assert_eq!(store.measured().await, Measured::default());
    let plan = store.put(1).await;
    store.put(2).await;
    let cancelled = Change::Cancelled { reason: None, keep_landed: false, work: vec![], given_up: None };
    store.write(step(&plan, cancelled, store.clock.now())).await;
    let expected = [(Stage::FIRST, 1), (stage(Phase::Strategize, State::Cancelled), 1)];
    let measured = store.measured().await;
    assert_eq!(measured.plans, BTreeMap::from(expected));
    let expected = [("plan.cancelled", 1), ("plan.created", 2)];
    assert_eq!(measured.events, expected.map(|(kind, count)| (kind.to_owned(), count)).into());
}

/// More than any store counts at once.
pub(crate) async fn many_events_are_counted_by_kind(open: Opener) {
    let store = open(Unfenced::Allowed);
    let mut plan = store.put(1).await;
    let mut written = 0;
    for times in [1, 600, 422, 1, 1, 1100] {
        plan = store.write(many(&plan, times, &store)).await;
        written += u64::from(times);
        let measured = store.measured().await;
        assert_eq!(measured.events["plan.prompted"], written);
        assert_eq!(measured.events["plan.created"], 1);
    }
}

pub(crate) async fn who_waits_and_what_is_asked_is_counted(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let before = store.measured().await;
    assert_eq!((before.waiting, before.waiting_since), (0, None));
    let first = store.line.take(&asking(1, &[&a])).await.expect("a ticket");
    let since = store.measured().await.waiting_since.expect("somebody waits");
    store.clock.advance(MILLI);
    store.line.take(&asking(2, &[&a, &b])).await.expect("a ticket");
    let both = store.measured().await;
    assert_eq!((both.waiting, both.waiting_since), (2, Some(since)));
    store.line.leave(owner(1), first).await.expect("left");
    let one = store.measured().await;
    assert_eq!((one.waiting, one.waiting_since), (1, Some(since.plus(MILLI))));
    store.clock.advance(Ticket::LIFE);
    assert_eq!(store.measured().await.waiting, 0, "whose ticket has run out does not wait any more");
    let asked = Request {
        id: RequestId::parse("01ARZ3NDEKTSV4RRFFQ6900001").expect("valid"),
        key: LockKey::Project(project(1).name),
        wish: Wish::Cancel { keep_landed: false },
        by: Asker { host: "box".into(), pid: 7, user: "ada".into() },
        reason: None,
        at: store.clock.now(),
        closed: None,
    };
    store.requests.make(std::slice::from_ref(&asked)).await.expect("asked");
    assert_eq!(store.measured().await.requests, BTreeMap::from([("cancel".to_owned(), 1)]));
    let closed = Closed { at: asked.at, outcome: "cancelled".into() };
    store.requests.close(asked.id, &closed).await.expect("closed");
    assert_eq!(store.measured().await.requests, BTreeMap::new());
}

pub(crate) async fn orders_are_counted_by_where_they_are(open: Opener) {
    let store = open(Unfenced::Refused);
    assert_eq!(store.measured().await.orders, OrdersMeasured::default());
    let (first, second) = (ordered(&store, 1).await, ordered(&store, 2).await);
    let (since, later) = (of(&store, first.id).await.ready_at, of(&store, second.id).await.ready_at);
    let both = OrdersMeasured { in_line: 2, since: Some(since), resting: 0, in_hand: 0 };
    assert_eq!(store.measured().await.orders, both);
    assert_eq!(claim(&store, &any(&store, 8)).await, Some(first.id));
    let taken = OrdersMeasured { in_line: 1, since: Some(later), resting: 0, in_hand: 1 };
    assert_eq!(store.measured().await.orders, taken);
    let at = store.clock.now();
    let back = PutBack { rest: Some(MILLI), ..back(&store, first.id, 8).await };
    store.orders.put_back(&back).await.expect("given back");
    assert_eq!(store.measured().await.orders, OrdersMeasured { resting: 1, in_hand: 0, ..taken });
    store.clock.advance(MILLI);
    assert_eq!(store.measured().await.orders, OrdersMeasured { in_line: 2, resting: 0, in_hand: 0, ..taken });
    for plan in [first.id, second.id] {
        let (order, closed) = (of(&store, plan).await, Closed { at, outcome: "complete".into() });
        assert_eq!(store.orders.end(plan, order.revision, &closed).await, Ok(true));
    }
    assert_eq!(store.measured().await.orders, OrdersMeasured::default());
}
