//! Lists, prefixes and views.

use std::time::Duration;

use agents_domain::lock::LockKey;
use agents_domain::plan::{Change, CommitOutcome, Phase, Plan, PlanStore as _, State};
use agents_domain::reads::{PlanFilter, PlanReads as _};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::subplans::spawn;
use super::world::{World, done, name, owner_of, sound, start, start_on};
use crate::sqlite::SqliteStore;

/// Four plans: one at work, one done with its phase, one cancelled of another action, one child.
async fn four(world: &World, store: &SqliteStore) -> [Plan; 4] {
    let tick = || world.clock.advance(Duration::from_millis(1));
    let (first, of_first) = world.held_plan(store).await;
    let first = world.commit(store, &first, start(), &of_first).await;
    tick();
    let (second, fence) = world.held_plan_of(store, |origin| origin.projects = vec![name("api")]).await;
    let second = world.commit(store, &second, start_on(&["api"]), &fence).await;
    let second = world.commit(store, &second, done(), &fence).await;
    tick();
    let (third, fence) = world.held_plan_of(store, |origin| origin.action = name("fix")).await;
    let cancel =
        Change::Cancelled { reason: Some("no".into()), keep_landed: false, work: vec![], given_up: None };
    let third = world.commit(store, &third, cancel, &fence).await;
    tick();
    let spawned = spawn(world, &first, &[("part", None)], &of_first);
    assert_eq!(store.plans().commit(&spawned, &of_first).await, Ok(CommitOutcome::Applied));
    let (first, child) = (spawned.plan, &spawned.spawn[0].plan);
    let fence = world.take(store, &LockKey::Plan(child.id)).await;
    let child = world.commit(store, child, Change::Prompted { text: "one".into() }, &fence).await;
    let child = world.commit(store, &child, Change::Prompted { text: "two".into() }, &fence).await;
    [first, second, third, child]
}

#[tokio::test]
async fn lists_are_newest_first_filtered_and_know_how_many_there_are() {
    let (world, store) = World::new();
    let [first, second, third, child] = four(&world, &store).await;
    let all = PlanFilter { all: true, ..PlanFilter::default() };
    let expected = [
        (PlanFilter::default(), vec![&third, &second, &first], 3),
        (all.clone(), vec![&child, &third, &second, &first], 4),
        (PlanFilter { limit: Some(2), ..all.clone() }, vec![&child, &third], 4),
        (PlanFilter { limit: Some(0), ..all.clone() }, vec![], 4),
        (
            PlanFilter { phase: Some(Phase::Strategize), limit: Some(1), ..PlanFilter::default() },
            vec![&third],
            3,
        ),
        (PlanFilter { state: Some(State::Complete), ..all.clone() }, vec![&second], 1),
        (PlanFilter { state: Some(State::Applied), ..all.clone() }, vec![], 0),
        (PlanFilter { action: Some(name("port")), ..all.clone() }, vec![&child, &second, &first], 3),
        (PlanFilter { project: Some(name("web")), limit: Some(1), ..all }, vec![&child], 3),
        (PlanFilter { parent: Some(first.id), ..PlanFilter::default() }, vec![&child], 1),
    ];
    for (filter, plans, total) in expected {
        let page = store.reads().list(&filter).await.expect("listed");
        let records: Vec<_> = page.plans.iter().map(|view| &view.record).collect();
        assert_eq!(records, plans.iter().map(|plan| &***plan).collect::<Vec<_>>(), "{filter:?}");
        assert_eq!(page.total, total, "{filter:?}");
    }
    sound(&store);
}

#[tokio::test]
async fn views_show_who_holds_the_lock() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let view = store.reads().status(plan.id).await.expect("read").expect("there");
    let lock = view.lock.clone().expect("held");
    assert_eq!((lock.owner, lock.key, lock.stale), (owner_of(&fence), LockKey::Plan(plan.id), false));
    assert_eq!(&view.record, &*plan);
    world.clock.advance(Duration::from_mins(5));
    let page = store.reads().list(&PlanFilter::default()).await.expect("listed");
    assert!(page.plans[0].lock.as_ref().expect("held").stale);
    assert_eq!(store.reads().status(world.new_plan(|_| ()).plan.id).await, Ok(None));
}

#[tokio::test]
async fn prefixes_resolve_in_either_case_and_up_to_a_limit() {
    let (world, store) = World::new();
    let mut ids: Vec<_> = four(&world, &store).await.map(|plan| plan.id).into();
    ids.sort();
    let reads = store.reads();
    assert_eq!(reads.resolve("01arz", 10).await, Ok(ids.clone()));
    assert_eq!(reads.resolve("", 2).await, Ok(ids[..2].to_vec()));
    assert_eq!(reads.resolve(ids[1].as_str(), 5).await, Ok(vec![ids[1]]));
    assert_eq!(reads.resolve("%", 5).await, Ok(vec![]));
    assert_eq!(store.plans().load(ids[0]).await.expect("read").map(|plan| plan.id), Some(ids[0]));
}

#[derive(QueryableByName)]
struct Explained {
    #[diesel(sql_type = Text)]
    detail: String,
}

/// No list sorts, and none walks through plans that it does not show.
#[test]
fn every_list_walks_an_index_in_its_order() {
    let (world, _store) = World::new();
    for condition in [
        "parent IS NULL",
        "1",
        "phase = 'apply'",
        "state = 'queued'",
        "action = 'local/a'",
        "parent = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
    ] {
        let sql = format!(
            "EXPLAIN QUERY PLAN SELECT * FROM plans WHERE {condition} ORDER BY created_at DESC, id DESC LIMIT 50"
        );
        let steps: Vec<Explained> = diesel::sql_query(sql).load(&mut world.raw()).expect("explained");
        let steps: Vec<_> = steps.into_iter().map(|step| step.detail).collect();
        assert!(steps.len() == 1 && steps[0].contains("USING INDEX plans_"), "{condition}: {steps:?}");
    }
}
