//! Writes of plans: what the fence lets through, and what it does not.

use agents_domain::action::ArgumentValue;
use agents_domain::catalogue::ProjectStore as _;
use agents_domain::lock::{Fence, LockKey, LockPort as _, Release};
use agents_domain::plan::{Change, CommitOutcome, Opening, PlanStore as _, StoreError};
use agents_domain::workspace::Project;

use super::world::{World, owner_of, project, sound, start, token};
use crate::sqlite::{SqliteOptions, SqliteStore};

#[tokio::test]
async fn a_plan_its_order_and_its_log_are_read_back_as_they_were_written() {
    let (world, store) = World::new();
    let mut new = world.new_plan(|_| ());
    new.definition.arguments = [("n".to_owned(), ArgumentValue::Float(0.1))].into();
    let owner = world.owner();
    let key = LockKey::Plan(new.plan.id);
    let opening = Opening::Held(world.request(std::slice::from_ref(&key), owner));
    let lease = store.plans().create(&new, &opening).await.expect("created");
    assert_eq!((lease.key, owner_of(&lease.fence), token(&lease.fence).value()), (key, owner, 1));
    let other = world.open();
    let (plan, definition) = (new.plan.id, new.definition);
    assert_eq!(other.plans().load(plan).await, Ok(Some(new.plan)));
    assert_eq!(other.plans().definition(plan).await, Ok(Some(definition)));
    let events = other.plans().events(plan).await.expect("read");
    assert_eq!((events[0].owner, events[0].token), (Some(owner), lease.fence.token()));
    sound(&store);
}

#[tokio::test]
async fn what_is_not_there_is_none() {
    let (world, store) = World::new();
    let new = world.new_plan(|_| ());
    let plans = store.plans();
    assert_eq!(plans.load(new.plan.id).await, Ok(None));
    assert_eq!(plans.definition(new.plan.id).await, Ok(None));
    assert_eq!(plans.events(new.plan.id).await, Ok(vec![]));
    let fence =
        Fence::Token { owner: world.owner(), token: agents_domain::lock::FencingToken::from_storage(1) };
    let write = world.write(&new.plan, start(), &fence);
    assert_eq!(plans.commit(&write, &fence).await, Ok(CommitOutcome::Missing));
}

#[tokio::test]
async fn creating_twice_is_once_and_another_plan_of_that_id_is_refused() {
    let (world, store) = World::new();
    let new = world.new_plan(|_| ());
    let opening = Opening::Held(world.request(&[LockKey::Plan(new.plan.id)], world.owner()));
    let first = store.plans().create(&new, &opening).await.expect("created");
    let again = store.plans().create(&new, &opening).await.expect("known");
    assert_eq!(first.fence, again.fence);
    let mut other = new.clone();
    other.event.id = world.new_plan(|_| ()).event.id;
    let taken = store.plans().create(&other, &opening).await;
    assert!(matches!(taken, Err(StoreError::Taken { .. })), "{taken:?}");
    let term = (LockKey::Plan(new.plan.id), token(&first.fence));
    store.locks().release(owner_of(&first.fence), &term).await.expect("released");
    let late = store.plans().create(&new, &opening).await.expect("known");
    assert_eq!(token(&late.fence).value(), 2);
    let rival = Opening::Held(world.request(&[LockKey::Plan(new.plan.id)], world.owner()));
    let refused = store.plans().create(&new, &rival).await;
    assert!(matches!(refused, Err(StoreError::Unavailable { .. })), "{refused:?}");
    sound(&store);
}

#[tokio::test]
async fn a_project_that_is_not_in_the_order_stores_nothing() {
    let (world, store) = World::new();
    let mut new = world.new_plan(|_| ());
    new.definition.projects.pop();
    let opening = Opening::Held(world.request(&[LockKey::Plan(new.plan.id)], world.owner()));
    let refused = store.plans().create(&new, &opening).await;
    assert!(matches!(refused, Err(StoreError::Corrupt { .. })), "{refused:?}");
    assert_eq!(store.plans().load(new.plan.id).await, Ok(None));
    sound(&store);
}

#[tokio::test]
async fn a_stale_fence_writes_nothing() {
    let (world, store) = World::new();
    let (plan, old) = world.held_plan(&store).await;
    let key = LockKey::Plan(plan.id);
    world.clock.advance(std::time::Duration::from_secs(301));
    let rival = world.open();
    let new = world.take(&rival, &key).await;
    assert_eq!(token(&new).value(), 2);
    let late = world.write(&plan, start(), &old);
    assert_eq!(store.plans().commit(&late, &old).await, Ok(CommitOutcome::Stale));
    assert_eq!(store.plans().load(plan.id).await, Ok(Some(plan.clone())));
    let after = world.commit(&rival, &plan, start(), &new).await;
    assert_eq!(store.plans().load(plan.id).await, Ok(Some(after)));
    sound(&store);
}

#[tokio::test]
async fn a_released_lock_is_stale_and_an_expired_one_that_nobody_took_is_not() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    world.clock.advance(std::time::Duration::from_secs(9_999));
    let plan = world.commit(&store, &plan, start(), &fence).await;
    let term = (LockKey::Plan(plan.id), token(&fence));
    assert_eq!(store.locks().release(owner_of(&fence), &term).await, Ok(Release::Released));
    let write = world.write(&plan, super::world::done(), &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Stale));
}

#[tokio::test]
async fn the_same_event_again_is_applied_and_writes_nothing_more() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let write = world.write(&plan, start(), &fence);
    for _ in 0..2 {
        assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    }
    let term = (LockKey::Plan(plan.id), token(&fence));
    store.locks().release(owner_of(&fence), &term).await.expect("released");
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.plans().events(plan.id).await.expect("read").len(), 2);
    sound(&store);
}

#[tokio::test]
async fn another_version_is_stale() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    world.commit(&store, &plan, start(), &fence).await;
    let late = world.write(&plan, Change::Prompted { text: "t".into() }, &fence);
    assert_eq!(store.plans().commit(&late, &fence).await, Ok(CommitOutcome::Stale));
}

#[tokio::test]
async fn a_lock_that_must_also_stand_is_checked() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let api: Project = project("api");
    store.projects().add(&api, plan.created_at).await.expect("added");
    let key = LockKey::Project(api.name);
    let project_fence = world.take(&store, &key).await;
    let mut write = world.write(&plan, start(), &fence);
    write.also = vec![(key.clone(), project_fence)];
    let term = (key.clone(), token(&project_fence));
    let by = world.owner();
    assert_eq!(store.locks().evict(&term, by, "test").await, Ok(Release::Released));
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Stale));
    write.also = vec![(key.clone(), world.take(&store, &key).await)];
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
}

#[tokio::test]
async fn without_a_fence_nothing_is_written_unless_the_store_was_told_so() {
    let (world, store) = World::new();
    let new = world.new_plan(|_| ());
    let strict = store.plans();
    assert_eq!(strict.create(&new, &Opening::Unfenced).await, Err(StoreError::UnfencedRefused));
    let lax = SqliteStore::open(SqliteOptions::allow_unfenced(world.options())).expect("opens");
    let lease = lax.plans().create(&new, &Opening::Unfenced).await.expect("allowed");
    assert_eq!(lease.fence, Fence::Unfenced);
    assert_eq!(lax.plans().create(&new, &Opening::Unfenced).await, Ok(lease));
    let write = world.write(&new.plan, start(), &Fence::Unfenced);
    assert_eq!(strict.commit(&write, &Fence::Unfenced).await, Err(StoreError::UnfencedRefused));
    let plan = world.commit(&lax, &new.plan, start(), &Fence::Unfenced).await;
    let fence = world.take(&lax, &LockKey::Plan(plan.id)).await;
    let plan = world.commit(&lax, &plan, Change::Prompted { text: "t".into() }, &fence).await;
    let write = world.write(&plan, Change::Prompted { text: "u".into() }, &Fence::Unfenced);
    let refused = lax.plans().commit(&write, &Fence::Unfenced).await;
    assert_eq!(refused, Err(StoreError::UnfencedRefused), "a token has written it");
    sound(&lax);
}

#[tokio::test]
async fn raw_sql_can_neither_lower_a_token_nor_change_history() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    world.commit(&store, &plan, start(), &fence).await;
    for sql in [
        "UPDATE plans SET token = 0",
        "UPDATE plans SET token = NULL",
        "UPDATE plans SET version = 1",
        "UPDATE locks SET token = 0",
        "UPDATE events SET at = 0",
        "DELETE FROM events",
        "UPDATE plan_definitions SET action_source = ''",
        "UPDATE plan_projects SET path = '/elsewhere'",
        "UPDATE plans SET phase = 'apply', state = 'complete'",
        "UPDATE plans SET automation = 'full'",
        "UPDATE plans SET attempt = -1",
        "UPDATE plans SET attempt_started_at = NULL",
        "UPDATE locks SET owner_id = NULL",
    ] {
        assert!(world.sql(sql).is_err(), "{sql}");
    }
    sound(&store);
}
