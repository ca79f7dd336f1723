//! The list of workers.

use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::time::Timestamp;
use agents_domain::workers::{AtWork, REMEMBRANCE, Worker};

use crate::orders::{any, claim, now, of, ordered};
use crate::support::{Fixture, MILLI, Opener, Unfenced};
use crate::values::{holder, owner};

pub(crate) fn worker(store: &Fixture, number: u32) -> Worker {
    store.clock.advance(MILLI);
    let at = now(store);
    let process = holder(number);
    Worker {
        id: owner(number),
        process,
        since: at,
        seen: at,
        concurrency: number,
        draining: number % 2 == 1,
        lost: None,
    }
}

const fn at_work(worker: Worker, plans: Vec<PlanId>) -> AtWork {
    AtWork { worker, plans, silent: Duration::ZERO }
}

async fn report(store: &Fixture, worker: &Worker, doing: &[PlanId]) {
    store.workers.report(worker, doing).await.expect("written");
}

/// Without the silence, which is of the store's clock, as `seen` is.
async fn list(store: &Fixture) -> Vec<AtWork> {
    let mut all = store.workers.list().await.expect("read");
    for one in &mut all {
        (one.silent, one.worker.seen) = (Duration::ZERO, one.worker.since);
    }
    all
}

pub(crate) async fn workers_are_listed_with_what_they_do(open: Opener) {
    let store = open(Unfenced::Refused);
    assert_eq!(list(&store).await, []);
    let plans = [ordered(&store, 2).await.id, ordered(&store, 1).await.id];
    let (first, second) = (worker(&store, 9), worker(&store, 8));
    report(&store, &second, &[]).await;
    report(&store, &first, &[]).await;
    for plan in plans {
        assert_eq!(claim(&store, &any(&store, 9)).await, Some(plan));
        store.clock.advance(MILLI);
    }
    let drains = Worker { draining: true, ..first };
    report(&store, &drains, &plans).await;
    let expected = [at_work(drains, plans.to_vec()), at_work(second, vec![])];
    assert_eq!(list(&store).await, expected);
}

/// Whatever the clock of its machine says.
pub(crate) async fn how_long_a_worker_is_silent_goes_by_the_stores_clock(open: Opener) {
    let store = open(Unfenced::Refused);
    let ahead = now(&store).plus(Duration::from_hours(3));
    let fast = Worker { since: ahead, seen: ahead, ..worker(&store, 5) };
    report(&store, &fast, &[]).await;
    let silence = Duration::from_secs(7);
    store.clock.advance(silence);
    let listed = store.workers.list().await.expect("read").remove(0);
    assert_eq!((listed.silent, listed.worker.seen.plus(silence)), (silence, now(&store)));
    report(&store, &fast, &[]).await;
    assert_eq!(store.workers.list().await.expect("read").remove(0).silent, Duration::ZERO);
}

pub(crate) async fn what_a_worker_does_not_do_goes_back(open: Opener) {
    let store = open(Unfenced::Refused);
    let plans = [ordered(&store, 1).await.id, ordered(&store, 2).await.id, ordered(&store, 3).await.id];
    let me = worker(&store, 5);
    report(&store, &me, &[]).await;
    let waits = of(&store, plans[0]).await;
    for by in [5, 5, 6] {
        claim(&store, &any(&store, by)).await.expect("taken");
    }
    store.clock.advance(MILLI);
    let me = Worker { seen: now(&store), ..me };
    report(&store, &me, &plans[1..2]).await;
    assert_eq!(of(&store, plans[0]).await, waits, "with its place in the line");
    for (plan, by) in [(plans[1], 5), (plans[2], 6)] {
        assert_eq!(of(&store, plan).await.claim.map(|claim| claim.worker), Some(owner(by)));
    }
}

/// A report that is written once more, because its answer was lost, may be late.
pub(crate) async fn what_a_worker_has_claimed_since_it_reported_stays_in_its_hand(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await.id;
    let me = worker(&store, 5);
    report(&store, &me, &[]).await;
    claim(&store, &any(&store, 5)).await.expect("taken");
    let in_hand = of(&store, plan).await;
    report(&store, &me, &[]).await;
    assert_eq!(of(&store, plan).await, in_hand);
}

pub(crate) async fn who_leaves_has_nothing_in_hand(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await.id;
    report(&store, &worker(&store, 5), &[]).await;
    claim(&store, &any(&store, 5)).await.expect("taken");
    for _ in 0..2 {
        store.workers.leave(owner(5)).await.expect("gone");
        assert_eq!((list(&store).await, of(&store, plan).await.claim), (vec![], None));
    }
}

pub(crate) async fn the_lost_are_shown_for_a_day(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await.id;
    let [one, two] = [worker(&store, 5), worker(&store, 6)];
    report(&store, &one, &[]).await;
    report(&store, &two, &[]).await;
    claim(&store, &any(&store, 5)).await.expect("taken");
    let lost_at = |lost: Option<Timestamp>| at_work(Worker { lost, ..one.clone() }, vec![]);
    let two = at_work(two, vec![]);
    let at = now(&store);
    let seen = async || store.workers.list().await.expect("read").remove(0).worker;
    let never = Worker { id: owner(77), ..one.clone() };
    for later in [at, at.plus(REMEMBRANCE)] {
        store.workers.bury(&[seen().await, never.clone()], later).await.expect("written");
        assert_eq!(list(&store).await, [lost_at(Some(at)), two.clone()]);
        assert_eq!(of(&store, plan).await.claim, None);
    }
    report(&store, &one, &[]).await;
    assert_eq!(list(&store).await, [lost_at(None), two.clone()], "it was alive");
    store.workers.bury(&[seen().await], at).await.expect("written");
    store.workers.bury(&[], at.plus(REMEMBRANCE + Duration::from_millis(1))).await.expect("written");
    assert_eq!(list(&store).await, [two]);
}

pub(crate) async fn who_has_spoken_since_is_not_counted_out(open: Opener) {
    let store = open(Unfenced::Refused);
    let plan = ordered(&store, 1).await.id;
    let one = worker(&store, 5);
    report(&store, &one, &[]).await;
    claim(&store, &any(&store, 5)).await.expect("taken");
    let silent = store.workers.list().await.expect("read").remove(0).worker;
    store.clock.advance(MILLI);
    report(&store, &one, &[plan]).await;
    store.workers.bury(&[silent], now(&store)).await.expect("nothing to do");
    assert_eq!(list(&store).await, [at_work(one, vec![plan])]);
}
