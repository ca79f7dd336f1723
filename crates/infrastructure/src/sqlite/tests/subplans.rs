//! Children of plans: born with a commit of their parent, and retired by it.

use agents_domain::id::RequestId;
use agents_domain::lock::{Fence, LockKey};
use agents_domain::plan::{
    Change, CommitOutcome, NewPlan, Plan, PlanStore as _, PlanWrite, Spawned, State, StoreError,
};
use agents_domain::reads::PlanReads as _;
use agents_domain::request::{Asker, Request, Requests as _, Wish};
use agents_domain::time::Clock as _;
use diesel::RunQueryDsl as _;
use rstest::rstest;

use super::world::{World, child_of, sound, start};
use crate::sqlite::SqliteStore;

/// The write by which a plan gets these children: name, and whose place it takes.
pub(super) fn spawn(
    world: &World,
    parent: &Plan,
    children: &[(&str, Option<&Plan>)],
    fence: &Fence,
) -> PlanWrite {
    let child = |(place, (name, _)): (usize, &(&str, Option<&Plan>))| {
        let place = u32::try_from(place).expect("few");
        world.new_plan(|origin| origin.subplan = Some(child_of(parent, place, name)))
    };
    let spawn: Vec<NewPlan> = children.iter().enumerate().map(child).collect();
    let spawned = spawn.iter().zip(children).map(|(new, (name, replaces))| Spawned {
        plan: new.plan.id,
        name: (*name).to_owned(),
        action: new.plan.action.clone(),
        replaces: replaces.map(|plan| plan.id),
    });
    let change = Change::Spawned { children: spawned.collect() };
    PlanWrite { spawn, ..world.write(parent, change, fence) }
}

async fn family(store: &SqliteStore, parent: &Plan) -> Vec<String> {
    let views = store.reads().family(parent.id).await.expect("read");
    views.into_iter().map(|view| view.record.subplan.clone().expect("a child").name).collect()
}

#[tokio::test]
async fn children_are_born_with_their_parents_commit_free_and_in_order() {
    let (world, store) = World::new();
    let (parent, fence) = world.held_plan(&store).await;
    let write = spawn(&world, &parent, &[("b", None), ("a", None)], &fence);
    for _ in 0..2 {
        assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    }
    assert_eq!(family(&store, &parent).await, ["b", "a"]);
    for new in &write.spawn {
        assert_eq!(store.plans().load(new.plan.id).await.as_ref(), Ok(&Some(new.plan.clone())));
        let child = world.take(&store, &LockKey::Plan(new.plan.id)).await;
        let below = spawn(&world, &new.plan, &[("deep", None)], &child);
        assert_eq!(store.plans().commit(&below, &child).await, Ok(CommitOutcome::Applied));
    }
    assert_eq!(family(&store, &parent).await, ["b", "deep", "a", "deep"]);
    let view = store.reads().status(parent.id).await.expect("read").expect("there");
    assert_eq!((view.subplans.count(State::Queued), view.subplans.total()), (2, 2));
    sound(&store);
}

#[tokio::test]
async fn a_whole_tree_is_asked_or_nobody_is() {
    let (world, store) = World::new();
    let (parent, fence) = world.held_plan(&store).await;
    let write = spawn(&world, &parent, &[("a", None), ("b", None)], &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    let tree = [parent.id, write.spawn[0].plan.id, write.spawn[1].plan.id];
    let ask = |plan| Request {
        id: RequestId::parse(world.owner().as_str()).expect("valid"),
        key: LockKey::Plan(plan),
        wish: Wish::Cancel { keep_landed: false },
        by: Asker { host: "here".into(), pid: 7, user: "ada".into() },
        reason: None,
        at: world.clock.now(),
        closed: None,
    };
    let asked = tree.map(ask);
    let last = tree[2];
    let hindrance = format!(
        "CREATE TRIGGER hindrance BEFORE INSERT ON requests WHEN NEW.resource_id = '{last}' \
         BEGIN SELECT raise(ABORT, 'no'); END"
    );
    world.sql(&hindrance).expect("made");
    assert!(store.requests().make(&asked).await.is_err());
    for plan in tree {
        assert_eq!(store.requests().history(&LockKey::Plan(plan)).await, Ok(vec![]));
    }
    world.sql("DROP TRIGGER hindrance").expect("dropped");
    assert_eq!(store.requests().make(&asked).await, Ok(asked.to_vec()));
}

#[tokio::test]
async fn a_child_that_cannot_be_leaves_nothing_behind() {
    let (world, store) = World::new();
    let (parent, fence) = world.held_plan(&store).await;
    let (other, _) = world.held_plan(&store).await;
    let there = spawn(&world, &parent, &[("there", None)], &fence);
    assert_eq!(store.plans().commit(&there, &fence).await, Ok(CommitOutcome::Applied));
    let parent = there.plan;
    let twice = spawn(&world, &parent, &[("a", None), ("a", None)], &fence);
    let name = spawn(&world, &parent, &[("a", None), ("there", None)], &fence);
    let mut known = spawn(&world, &parent, &[("a", None), ("b", None)], &fence);
    known.spawn[1].plan = there.spawn[0].plan.clone();
    for write in [twice, name, known] {
        let refused = store.plans().commit(&write, &fence).await;
        assert!(matches!(refused, Err(StoreError::Taken { .. })), "{refused:?}");
    }
    let mut strange = spawn(&world, &parent, &[("a", None)], &fence);
    strange.spawn[0] = world.new_plan(|origin| origin.subplan = Some(child_of(&other, 0, "a")));
    let refused = store.plans().commit(&strange, &fence).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(store.plans().load(parent.id).await, Ok(Some(parent.clone())));
    assert_eq!(family(&store, &parent).await, ["there"]);
    sound(&store);
}

#[rstest]
#[case("UPDATE subplans SET name = 'z'", "never changes")]
#[case("UPDATE subplans SET depth = 3", "never changes")]
#[case("UPDATE subplans SET current = 0; UPDATE subplans SET current = 1", "never comes back")]
#[case("DELETE FROM subplans", "stays known")]
#[case("UPDATE subplans SET failures = -1", "CHECK")]
#[case("UPDATE subplans SET given_up_kind = 'tired', given_up_by = 'a'", "CHECK")]
#[case("UPDATE subplans SET given_up_kind = 'skipped'", "CHECK")]
#[case(
    "INSERT INTO subplans SELECT parent, plan_id, root, 2, 0, 'x', '[]', 0, NULL, NULL, 1 FROM subplans",
    "one level below"
)]
#[tokio::test]
async fn the_table_is_a_second_fence(#[case] sql: &str, #[case] words: &str) {
    let (world, store) = World::new();
    let (parent, fence) = world.held_plan(&store).await;
    let write = spawn(&world, &parent, &[("a", None)], &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    let refused = world.sql(sql).expect_err("refused");
    assert!(refused.contains(words), "{refused}");
}

/// Who looks for the children of a plan does not walk through those of others.
#[test]
fn children_are_found_along_an_index() {
    let (world, _store) = World::new();
    for condition in
        ["current = 1 AND parent = 'x'", "current = 1 AND parent = 'x' AND name = 'y'", "root = 'x'"]
    {
        let sql = format!("EXPLAIN QUERY PLAN SELECT * FROM subplans WHERE {condition}");
        let steps: Vec<Explained> = diesel::sql_query(sql).load(&mut world.raw()).expect("explained");
        assert!(steps.len() == 1 && steps[0].detail.contains("USING INDEX subplans_by_"), "{condition}");
    }
}

#[derive(diesel::QueryableByName)]
struct Explained {
    #[diesel(sql_type = diesel::sql_types::Text)]
    detail: String,
}

#[tokio::test]
async fn children_of_the_past_make_room() {
    let (world, store) = World::new();
    let (parent, fence) = world.held_plan(&store).await;
    let first = spawn(&world, &parent, &[("a", None), ("b", None)], &fence);
    assert_eq!(store.plans().commit(&first, &fence).await, Ok(CommitOutcome::Applied));
    let old = &first.spawn[0].plan;
    let second = spawn(&world, &first.plan, &[("a", Some(old))], &fence);
    assert_eq!(store.plans().commit(&second, &fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(family(&store, &parent).await, ["a", "b"]);
    let again = spawn(&world, &second.plan, &[("c", Some(old))], &fence);
    assert!(store.plans().commit(&again, &fence).await.is_err(), "it has no place to give");
    let parent = world.commit(&store, &second.plan, start(), &fence).await;
    let back = Change::Reverted { reason: None };
    let failed = Change::PhaseFailed {
        failure: agents_domain::plan::Failure {
            code: "c".into(),
            message: "m".into(),
            hint: None,
            retryable: true,
        },
        exit: None,
        work: vec![],
    };
    let parent = world.commit(&store, &parent, failed, &fence).await;
    let parent = world.commit(&store, &parent, back, &fence).await;
    assert_eq!(family(&store, &parent).await, Vec::<String>::new());
    let third = spawn(&world, &parent, &[("a", None)], &fence);
    assert_eq!(store.plans().commit(&third, &fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(family(&store, &parent).await, ["a"]);
    sound(&store);
}
