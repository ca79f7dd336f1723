//! When an order may be taken up: never while the living have the plan, or while it waits.

use std::time::Duration;

use agents_domain::lock::LockKey;
use agents_domain::orders::{Claim, LONGEST_REST, PutBack};
use agents_domain::plan::{Change, Plan};
use agents_domain::time::Timestamp;

use crate::children::{child, spawn};
use crate::orders::{any, claim, now, ordered, place, wanted, write};
use crate::support::{ALMOST_A_TERM, MILLI, Opener, Unfenced};
use crate::values::{name, owner, plan_id};

const MINUTE: Duration = Duration::from_mins(1);

pub(crate) async fn a_plan_that_the_living_hold_is_left_alone(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let next = ordered(&store, 2).await;
    store.take_one(3, &LockKey::Plan(plan.id)).await;
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(next.id), "not waited for either");
    store.clock.advance(ALMOST_A_TERM);
    assert_eq!(claim(&store, &any(&store, 5)).await, None);
    let dead = Claim { dead: vec![owner(3)], ..any(&store, 5) };
    assert_eq!(claim(&store, &dead).await, Some(plan.id), "unless they are dead");
    let (third, _) = store.plan(3, 3).await;
    place(&store, &wanted(&store, &third)).await;
    assert_eq!(claim(&store, &any(&store, 5)).await, None);
    store.clock.advance(ALMOST_A_TERM);
    store.clock.advance(MILLI);
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(third.id), "or their term is over");
}

/// A plan parked like this, and ordered.
async fn parked(
    store: &crate::support::Fixture,
    number: u32,
    until: Option<Timestamp>,
    input: Option<&str>,
) -> Plan {
    let plan = ordered(store, number).await;
    let started = write(store, &plan, 4, start()).await;
    let (input, cause) = (input.map(str::to_owned), "later".to_owned());
    write(store, &started, 4, Change::Parked { until, input, cause, work: vec![] }).await
}

fn start() -> Change {
    let driver = crate::values::holder(4);
    Change::PhaseStarted { driver, bases: std::collections::BTreeMap::new(), commanded: true }
}

pub(crate) async fn a_plan_that_waits_is_taken_up_in_time(open: Opener) {
    let store = open(Unfenced::Refused);
    let until = now(&store).plus(MINUTE);
    let plan = parked(&store, 1, Some(until), None).await;
    assert_eq!(claim(&store, &any(&store, 5)).await, None);
    let early = Claim { now: Timestamp::from_millis(until.as_millis() - 1), ..any(&store, 5) };
    assert_eq!(claim(&store, &early).await, None);
    let in_time = Claim { now: until, ..any(&store, 5) };
    assert_eq!(claim(&store, &in_time).await, Some(plan.id));
}

pub(crate) async fn a_plan_that_asks_is_taken_up_once_it_is_answered(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = parked(&store, 1, None, Some("which?")).await;
    store.clock.advance(MINUTE);
    assert_eq!(claim(&store, &any(&store, 5)).await, None);
    write(&store, &plan, 4, Change::Prompted { text: "that".into() }).await;
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(plan.id));
}

pub(crate) async fn a_plan_whose_children_ask_is_taken_up_once_one_is_answered(open: Opener) {
    children_ask(open, false).await;
}

pub(crate) async fn an_answer_given_while_the_plan_goes_to_wait_is_not_overlooked(open: Opener) {
    children_ask(open, true).await;
}

async fn children_ask(open: Opener, early: bool) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let lease = store.take_one(4, &LockKey::Plan(plan.id)).await;
    let family = spawn(&plan, &[child(2, "a"), child(3, "b")], now(&store));
    store.plans.commit(&family, &lease.fence).await.expect("they are there");
    let children = [store.stored_id(2).await, store.stored_id(3).await];
    let mut asking = Vec::new();
    for child in &children {
        let started = write(&store, child, 4, start()).await;
        let asks =
            Change::Parked { until: None, input: Some("which?".into()), cause: "75".into(), work: vec![] };
        asking.push(write(&store, &started, 4, asks).await);
    }
    let started = write(&store, &family.plan, 4, start()).await;
    let waits = Change::Parked { until: None, input: None, cause: "they ask".into(), work: vec![] };
    let answered = Change::Prompted { text: "that".into() };
    if early {
        // Its scheduler has looked before, and writes only now.
        write(&store, &asking[1], 4, answered.clone()).await;
        store.clock.advance(MINUTE);
    }
    write(&store, &started, 4, waits).await;
    store.clock.advance(MINUTE);
    if !early {
        assert_eq!(claim(&store, &any(&store, 5)).await, None);
        write(&store, &asking[1], 4, answered).await;
    }
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(plan_id(1)), "the other one still asks");
    // A plan that waits like this with nobody below it that asks need not wait.
    let alone = parked(&store, 9, None, None).await;
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(alone.id));
}

pub(crate) async fn an_order_rests_in_time_and_never_by_a_clock_that_was_wrong(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let rest = async |until: Timestamp| {
        claim(&store, &any(&store, 5)).await.expect("it is due");
        let at = now(&store);
        let back = PutBack { plan: plan.id, worker: owner(5), at, not_before: Some(until), trouble: None };
        store.orders.put_back(&back).await.expect("given back");
    };
    rest(now(&store).plus(LONGEST_REST)).await;
    assert_eq!(claim(&store, &any(&store, 6)).await, None);
    store.clock.advance(LONGEST_REST);
    rest(now(&store).plus(LONGEST_REST + MILLI)).await;
    assert_eq!(claim(&store, &any(&store, 6)).await, Some(plan.id));
}

pub(crate) async fn only_plans_that_can_be_worked_on_there_are_taken_up(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let elsewhere = Claim { machine: "another".to_owned(), ..any(&store, 5) };
    assert_eq!(claim(&store, &elsewhere).await, None, "project 2 has no remote");
    assert_eq!(claim(&store, &any(&store, 5)).await, Some(plan.id));
}

pub(crate) async fn only_plans_of_these_projects_are_taken_up(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await;
    let of =
        |names: &[&str]| Claim { projects: names.iter().map(|text| name(text)).collect(), ..any(&store, 5) };
    assert_eq!(claim(&store, &of(&["team/project-3", "team/other"])).await, None);
    assert_eq!(claim(&store, &of(&["team/project-3", "team/project-2"])).await, Some(plan.id));
}
