//! What readers are shown.

use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, NewPlan, Phase, State};
use agents_domain::reads::{PlanFilter, PlanPage};
use agents_domain::subplan::Subplan;
use agents_domain::time::Clock as _;

use crate::children::child_of;
use crate::support::{Fixture, Opener, TERM, Unfenced, term};
use crate::values::{
    full_definition, holder, least_definition, name, new_plan_of, number_of, origin, owner, plan_id, project,
    step,
};

async fn list(store: &Fixture, filter: &PlanFilter) -> PlanPage {
    store.reads.list(filter).await.expect("a page")
}

/// The numbers of the plans on a page.
async fn numbers(store: &Fixture, filter: &PlanFilter) -> Vec<u32> {
    list(store, filter).await.plans.iter().map(|view| number_of(view.record.id)).collect()
}

pub(crate) async fn a_prefix_finds_its_plans_in_either_case(open: Opener) {
    let store = open(Unfenced::Refused);
    for number in [12, 11, 20, 1] {
        store.plan(1, number).await;
    }
    let all: Vec<PlanId> = [1, 11, 12, 20].map(plan_id).to_vec();
    assert_eq!(store.reads.resolve("01pan", 9).await, Ok(all.clone()));
    assert_eq!(store.reads.resolve("01PAN", 2).await, Ok(all[..2].to_vec()));
    assert_eq!(store.reads.resolve("", 9).await, Ok(all));
    let id = plan_id(12);
    let ten = &id.as_str()[..25];
    assert_eq!(store.reads.resolve(ten, 9).await, Ok(vec![plan_id(11), plan_id(12)]));
    assert_eq!(store.reads.resolve(id.as_str(), 9).await, Ok(vec![id]));
    assert_eq!(store.reads.resolve(&id.as_str().to_lowercase(), 1).await, Ok(vec![id]));
    assert_eq!(store.reads.resolve("01PAN", 0).await, Ok(Vec::new()));
}

pub(crate) async fn a_prefix_is_a_text_and_no_pattern(open: Opener) {
    let store = open(Unfenced::Refused);
    store.plan(1, 1).await;
    let id = plan_id(1);
    let longer = format!("{id}0");
    for prefix in ["%", "_", "01_AN", "01%", "*", "0?", "[0]", "'", "ü", "\u{0}", "PAN", longer.as_str()] {
        assert_eq!(store.reads.resolve(prefix, 9).await, Ok(Vec::new()), "{prefix:?}");
    }
}

pub(crate) async fn a_view_shows_the_plan_and_who_holds_it(open: Opener) {
    let store = open(Unfenced::Refused);
    assert_eq!(store.reads.status(plan_id(1)).await, Ok(None));
    let (plan, lease) = store.plan(1, 1).await;
    store.clock.advance(TERM);
    let view = store.reads.status(plan.id).await.expect("an answer").expect("the plan");
    assert_eq!(view.record, plan.clone().into_record());
    let lock = view.lock.clone().expect("held");
    assert_eq!((lock.owner, lock.holder.clone(), lock.stale), (owner(1), holder(1), true));
    assert_eq!((lock.key.clone(), lock.token), term(&lease));
    assert_eq!((lock.acquired_at, lock.expires_at), (lease.acquired_at, lease.expires_at));
    assert_eq!(list(&store, &PlanFilter::default()).await.plans, [view]);
    let renewed = store.take_one(1, &lease.key).await;
    let view = store.reads.status(plan.id).await.expect("an answer").expect("the plan");
    assert!(view.lock.is_some_and(|lock| !lock.stale && lock.expires_at == renewed.expires_at));
    store.locks.release(owner(1), &term(&lease)).await.expect("an answer");
    let view = store.reads.status(plan.id).await.expect("an answer").expect("the plan");
    assert_eq!(view.lock, None);
    assert_eq!(list(&store, &PlanFilter::default()).await.plans, [view]);
}

pub(crate) async fn plans_are_listed_newest_first_and_counted(open: Opener) {
    let store = open(Unfenced::Refused);
    assert_eq!(list(&store, &PlanFilter::default()).await, PlanPage { plans: Vec::new(), total: 0 });
    for number in 1..=4 {
        store.clock.advance(Duration::from_millis(1));
        store.plan(1, number).await;
    }
    assert_eq!(numbers(&store, &PlanFilter::default()).await, [4, 3, 2, 1]);
    for (limit, expected) in [(0, vec![]), (2, vec![4, 3]), (9, vec![4, 3, 2, 1])] {
        let filter = PlanFilter { limit: Some(limit), ..PlanFilter::default() };
        assert_eq!(numbers(&store, &filter).await, expected);
        assert_eq!(list(&store, &filter).await.total, 4, "whatever the limit");
    }
}

/// Plan 1: queued, local/least, projects 1 and 2. Plan 2: processing, team/full, project 2.
/// Plans 3 and 4: queued parts of plan 1. Plan 5: cancelled, local/least, projects 1 and 2.
async fn family(store: &Fixture) {
    let make = async |number, new: NewPlan| {
        store.clock.advance(Duration::from_millis(1));
        assert_eq!(new.plan.id, plan_id(number));
        (new.plan.clone(), store.make(1, &new).await.fence)
    };
    let least = |number, subplan: Option<Subplan>| {
        let mut origin = origin(&least_definition());
        origin.subplan = subplan;
        new_plan_of(number, store.clock.now(), origin, least_definition())
    };
    let (first, _) = make(1, least(1, None)).await;
    let mut full = full_definition();
    full.projects = vec![project(2)];
    let (plan, fence) = make(2, new_plan_of(2, store.clock.now(), origin(&full), full)).await;
    let start = Change::PhaseStarted { driver: holder(1), bases: [].into(), commanded: true };
    store.plans.commit(&step(&plan, start, store.clock.now()), &fence).await.expect("an answer");
    make(3, least(3, Some(child_of(&first, 0, "a")))).await;
    make(4, least(4, Some(child_of(&first, 1, "b")))).await;
    let (plan, fence) = make(5, least(5, None)).await;
    let cancel = Change::Cancelled { reason: None, keep_landed: false, work: Vec::new(), given_up: None };
    store.plans.commit(&step(&plan, cancel, store.clock.now()), &fence).await.expect("an answer");
}

pub(crate) async fn filters_narrow_the_list(open: Opener) {
    let store = open(Unfenced::Refused);
    family(&store).await;
    let all = || PlanFilter { all: true, ..PlanFilter::default() };
    let least = least_definition().action.name;
    let cases = [
        (all(), vec![5, 4, 3, 2, 1]),
        (PlanFilter { phase: Some(Phase::Strategize), ..all() }, vec![5, 4, 3, 2, 1]),
        (PlanFilter { phase: Some(Phase::Apply), ..all() }, vec![]),
        (PlanFilter { state: Some(State::Queued), ..all() }, vec![4, 3, 1]),
        (PlanFilter { state: Some(State::Processing), ..all() }, vec![2]),
        (PlanFilter { project: Some(project(1).name), ..all() }, vec![5, 4, 3, 1]),
        (PlanFilter { project: Some(project(2).name), ..all() }, vec![5, 4, 3, 2, 1]),
        (PlanFilter { project: Some(name("other")), ..all() }, vec![]),
        (PlanFilter { action: Some(name("team/full")), ..all() }, vec![2]),
        (PlanFilter { action: Some(least.clone()), state: Some(State::Cancelled), ..all() }, vec![5]),
        (
            PlanFilter { action: Some(least), project: Some(project(2).name), ..PlanFilter::default() },
            vec![5, 1],
        ),
    ];
    for (filter, expected) in cases {
        assert_eq!(numbers(&store, &filter).await, expected, "{filter:?}");
        let limited = PlanFilter { limit: Some(1), ..filter };
        let page = list(&store, &limited).await;
        assert_eq!(page.total, u64::try_from(expected.len()).expect("few"), "{limited:?}");
        assert_eq!(page.plans.len(), expected.len().min(1));
    }
}

pub(crate) async fn parts_of_plans_are_listed_when_asked_for(open: Opener) {
    let store = open(Unfenced::Refused);
    family(&store).await;
    assert_eq!(numbers(&store, &PlanFilter::default()).await, [5, 2, 1]);
    let queued = PlanFilter { state: Some(State::Queued), ..PlanFilter::default() };
    assert_eq!(numbers(&store, &queued).await, [1]);
    assert_eq!(list(&store, &queued).await.total, 1);
    for all in [false, true] {
        let parts = PlanFilter { parent: Some(plan_id(1)), all, ..PlanFilter::default() };
        assert_eq!(numbers(&store, &parts).await, [4, 3]);
        assert_eq!(list(&store, &parts).await.total, 2);
    }
    let none = PlanFilter { parent: Some(plan_id(2)), ..PlanFilter::default() };
    assert_eq!(list(&store, &none).await.total, 0);
}
