//! When an order may be taken up: never while the living have the plan, or while it waits.

use std::time::Duration;

use agents_domain::lock::LockKey;
use agents_domain::orders::{Claim, LONGEST_REST, PutBack};
use agents_domain::plan::{Change, Plan};
use agents_domain::time::{BootInstant, Clock as _, Timestamp};

use crate::children::{child, spawn};
use crate::orders::{any, back, claim, now, of, ordered, place, wanted, write};
use crate::support::{ALMOST_A_TERM, Fixture, MILLI, Opener, Unfenced};
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
async fn parked(store: &Fixture, number: u32, until: Option<Timestamp>, input: Option<&str>) -> Plan {
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

/// An order that was put back to rest for so long.
async fn resting(store: &Fixture, rest: Duration) -> Plan {
    let plan = ordered(store, 1).await;
    claim(store, &any(store, 5)).await.expect("it is due");
    let back = PutBack { rest: Some(rest), ..back(store, plan.id, 5).await };
    store.orders.put_back(&back).await.expect("given back");
    plan
}

/// Whatever the clocks of machines say.
pub(crate) async fn an_order_rests_by_the_stores_clock(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = resting(&store, MINUTE).await;
    assert_eq!(of(&store, plan.id).await.not_before, Some(now(&store).plus(MINUTE)));
    let ahead = Claim { now: now(&store).plus(2 * MINUTE), ..any(&store, 6) };
    assert_eq!(claim(&store, &ahead).await, None);
    let behind = any(&store, 7);
    store.clock.advance(MINUTE);
    assert_eq!(claim(&store, &behind).await, Some(plan.id));
}

/// Not even if the store's clock is set back.
pub(crate) async fn no_order_rests_for_longer_than_any_is_meant_to(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = resting(&store, 2 * LONGEST_REST).await;
    let until = now(&store).plus(LONGEST_REST);
    assert_eq!(of(&store, plan.id).await.not_before, Some(until));
    assert_eq!(claim(&store, &any(&store, 6)).await, None);
    assert_eq!(store.measured().await.orders.resting, 1);
    store.clock.set_wall(Timestamp::from_millis(now(&store).as_millis() - 1));
    store.clock.set_boottime(BootInstant::from_millis(store.clock.boottime().as_millis() - 1));
    assert_eq!(store.measured().await.orders.resting, 0);
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
