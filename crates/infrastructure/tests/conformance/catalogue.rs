//! Projects with their locks, and actions.

use agents_domain::action::Action;
use agents_domain::catalogue::{Removal, StoredAction};
use agents_domain::lock::{LockError, LockKey};
use agents_domain::plan::{Change, CommitOutcome, StoreError};
use agents_domain::time::{Clock as _, Timestamp};
use agents_domain::workspace::Project;

use crate::support::{Fixture, Opener, Unfenced, request, term};
use crate::values::{FULL, LEAST, full_action, least_action, machine, name, owner, project, step};

pub(crate) async fn projects_are_stored_and_listed_by_name(open: Opener) {
    let store = open(Unfenced::Refused);
    assert_eq!(store.projects.list().await, Ok(Vec::new()));
    store.projects([2, 1, 4, 3]).await;
    assert_eq!(store.projects.list().await, Ok(vec![project(1), project(2), project(3), project(4)]));
    assert_eq!(store.projects.get(&project(2).name).await, Ok(Some(project(2))));
    assert_eq!(store.projects.get(&name("other")).await, Ok(None));
}

pub(crate) async fn a_name_or_a_repository_is_registered_once(open: Opener) {
    let store = open(Unfenced::Refused);
    store.projects([1]).await;
    let same_name = Project { name: project(1).name, ..project(2) };
    let answer = store.projects.add(&same_name, store.clock.now()).await;
    assert!(matches!(answer, Err(StoreError::Taken { .. })), "{answer:?}");
    let same_repository = Project { common_dir: project(1).common_dir, machine: None, ..project(2) };
    match store.projects.add(&same_repository, store.clock.now()).await {
        Err(StoreError::Taken { by, .. }) => assert!(by.contains("team/project-1"), "{by}"),
        other => panic!("not refused: {other:?}"),
    }
    assert_eq!(store.projects.list().await, Ok(vec![project(1)]));
    let key = LockKey::Project(project(2).name);
    let answer = store.locks.acquire(&request(1, &[&key])).await;
    assert_eq!(answer, Err(LockError::NoSuchLock { key }), "a refused project leaves no lock behind");
}

pub(crate) async fn another_machine_may_have_a_repository_at_the_same_path_but_a_remote_is_one(open: Opener) {
    let store = open(Unfenced::Refused);
    store.projects([2, 3]).await;
    let elsewhere = Project { common_dir: project(2).common_dir, machine: Some(machine("2")), ..project(1) };
    assert_eq!(store.projects.add(&elsewhere, store.clock.now()).await, Ok(()));
    let again = Project { name: name("again"), ..elsewhere.clone() };
    let answer = store.projects.add(&again, store.clock.now()).await;
    assert!(matches!(answer, Err(StoreError::Taken { .. })), "{answer:?}");
    let same_remote = Project { remote: project(3).remote, ..project(5) };
    match store.projects.add(&same_remote, store.clock.now()).await {
        Err(StoreError::Taken { what, by }) => {
            assert!(what.contains("ssh://far/3.git") && by.contains("team/project-3"), "{what}, {by}");
        }
        other => panic!("not refused: {other:?}"),
    }
}

pub(crate) async fn a_project_goes_with_its_lock_and_may_come_back(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    assert_eq!(store.projects.remove(&project(9).name).await, Ok(Removal::Missing));
    assert_eq!(store.projects.remove(&project(1).name).await, Ok(Removal::Removed));
    assert_eq!(store.projects.remove(&project(1).name).await, Ok(Removal::Missing));
    let answer = store.locks.acquire(&request(1, &[&key])).await;
    assert_eq!(answer, Err(LockError::NoSuchLock { key: key.clone() }));
    store.projects([1]).await;
    store.take_one(1, &key).await;
}

async fn in_use(store: &Fixture, n: u32) -> String {
    match store.projects.remove(&project(n).name).await {
        Ok(Removal::InUse { by }) => by,
        other => panic!("not in use: {other:?}"),
    }
}

pub(crate) async fn a_project_that_a_plan_needs_stays(open: Opener) {
    let store = open(Unfenced::Refused);
    store.projects([1, 2, 3]).await;
    let (plan, lease) = store.plan(1, 1).await;
    let by = in_use(&store, 1).await;
    assert!(by.contains(plan.id.as_str()), "{by}");
    assert_eq!(store.projects.get(&project(1).name).await, Ok(Some(project(1))));
    assert_eq!(store.projects.remove(&project(3).name).await, Ok(Removal::Removed), "the plan needs 1 and 2");
    let end = Change::Cancelled { reason: None, keep_landed: false, work: Vec::new(), given_up: None };
    let write = step(&plan, end, store.clock.now());
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.projects.remove(&project(1).name).await, Ok(Removal::Removed));
    let definition = store.plans.definition(plan.id).await.expect("an answer").expect("an order");
    assert_eq!(definition.projects, [project(1), project(2)], "an order keeps what it froze");
}

pub(crate) async fn a_project_whose_lock_is_held_stays(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    in_use(&store, 1).await;
    assert_eq!(store.holder_of(&key).await, Some(owner(1)));
    store.locks.release(owner(1), &term(&lease)).await.expect("an answer");
    assert_eq!(store.projects.remove(&project(1).name).await, Ok(Removal::Removed));
}

fn stored(action: Action, source: &str, at: i64) -> StoredAction {
    StoredAction { action, source: source.to_owned(), updated_at: Timestamp::from_millis(at) }
}

pub(crate) async fn actions_are_stored_replaced_and_listed_by_name(open: Opener) {
    let store = open(Unfenced::Refused);
    let (full, least) = (stored(full_action(), FULL, 1), stored(least_action(), LEAST, 2));
    assert_eq!(store.actions.put(&full).await, Ok(false));
    assert_eq!(store.actions.put(&least).await, Ok(false));
    assert_eq!(store.actions.list().await, Ok(vec![least.clone(), full.clone()]));
    let newer = stored(least_action(), LEAST, 3);
    assert_eq!(store.actions.put(&newer).await, Ok(true), "it takes the place of an earlier one");
    assert_eq!(store.actions.get(&newer.action.name).await, Ok(Some(newer.clone())));
    assert_eq!(store.actions.list().await, Ok(vec![newer, full]));
    assert_eq!(store.actions.get(&name("other")).await, Ok(None));
}

pub(crate) async fn an_action_is_removed_whoever_used_it(open: Opener) {
    let store = open(Unfenced::Refused);
    store.actions.put(&stored(least_action(), LEAST, 1)).await.expect("an answer");
    let (plan, _) = store.plan(1, 1).await;
    assert_eq!(plan.action, least_action().name);
    assert_eq!(store.actions.remove(&plan.action).await, Ok(Removal::Removed));
    assert_eq!(store.actions.remove(&plan.action).await, Ok(Removal::Missing));
    let definition = store.plans.definition(plan.id).await.expect("an answer").expect("an order");
    assert_eq!(definition.action, least_action());
}
