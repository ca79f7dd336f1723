//! Projects and actions.

use agents_domain::catalogue::{ActionStore as _, ProjectStore as _, Removal, StoredAction};
use agents_domain::lock::{LockError, LockKey, LockPort as _};
use agents_domain::plan::{Change, PlanStore as _, StoreError};
use agents_domain::time::Timestamp;

use super::world::{World, name, owner_of, parse_action, project, sound, token};

const AT: Timestamp = Timestamp::from_millis(5);

#[tokio::test]
async fn projects_come_back_by_name_and_neither_name_nor_repository_is_given_twice() {
    let (_world, store) = World::new();
    let projects = store.projects();
    for text in ["web", "api"] {
        projects.add(&project(text), AT).await.expect("added");
    }
    assert_eq!(projects.list().await, Ok(vec![project("api"), project("web")]));
    assert_eq!(projects.get(&name("api")).await, Ok(Some(project("api"))));
    assert_eq!(projects.get(&name("none")).await, Ok(None));
    let same_name = agents_domain::workspace::Project { common_dir: "/other".into(), ..project("api") };
    let same_repository = agents_domain::workspace::Project { name: name("new"), ..project("api") };
    let by = |error: Result<(), StoreError>| error.expect_err("taken").to_string();
    assert_eq!(
        by(projects.add(&same_name, AT).await),
        "the name local/api is taken by the project at /src/api"
    );
    assert_eq!(
        by(projects.add(&same_repository, AT).await),
        "the repository /src/api/.git is taken by the project local/api"
    );
    sound(&store);
}

#[tokio::test]
async fn a_project_that_is_needed_stays() {
    let (world, store) = World::new();
    let (projects, api) = (store.projects(), name("api"));
    assert_eq!(projects.remove(&api).await, Ok(Removal::Missing));
    projects.add(&project("api"), AT).await.expect("added");
    let key = LockKey::Project(api.clone());
    let fence = world.take(&store, &key).await;
    let in_use = projects.remove(&api).await.expect("answers");
    assert_eq!(in_use, Removal::InUse { by: "ada (pid 4242 on here), who holds its lock".into() });
    let term = (key.clone(), token(&fence));
    store.locks().release(owner_of(&fence), &term).await.expect("released");
    let (plan, fence) = world.held_plan(&store).await;
    let in_use = projects.remove(&api).await.expect("answers");
    assert_eq!(in_use, Removal::InUse { by: format!("the plan {}, which is not at its end", plan.id) });
    let cancel = Change::Cancelled { reason: None, keep_landed: false, work: vec![], given_up: None };
    let plan = world.commit(&store, &plan, cancel, &fence).await;
    assert_eq!(projects.remove(&api).await, Ok(Removal::Removed));
    let request = world.request(std::slice::from_ref(&key), world.owner());
    assert_eq!(store.locks().acquire(&request).await, Err(LockError::NoSuchLock { key }));
    let definition = store.plans().definition(plan.id).await.expect("read").expect("there");
    assert_eq!(definition.projects[0], project("api"), "plans freeze what they use");
    sound(&store);
}

#[tokio::test]
async fn actions_are_kept_as_text_and_replaced_by_name() {
    let (world, store) = World::new();
    let actions = store.actions();
    let action = |text: &str, at| StoredAction {
        action: parse_action(text, "test").expect("parses"),
        source: text.into(),
        updated_at: Timestamp::from_millis(at),
    };
    assert_eq!(actions.put(&action("port", 1)).await, Ok(false));
    assert_eq!(actions.put(&action("port", 2)).await, Ok(true));
    assert_eq!(actions.put(&action("fix", 3)).await, Ok(false));
    assert_eq!(actions.get(&name("port")).await, Ok(Some(action("port", 2))));
    assert_eq!(actions.list().await, Ok(vec![action("fix", 3), action("port", 2)]));
    world.sql("UPDATE actions SET source = 'NOT' WHERE name = 'local/fix'").expect("written");
    for error in [actions.get(&name("fix")).await.map(|_| ()), actions.list().await.map(|_| ())] {
        let Err(StoreError::Corrupt { row, reason }) = error else { panic!("{error:?}") };
        assert_eq!(row, "actions/local/fix");
        assert!(reason.contains("the stored action local/fix"), "{reason}");
    }
    assert_eq!(actions.remove(&name("fix")).await, Ok(Removal::Removed));
    assert_eq!(actions.remove(&name("fix")).await, Ok(Removal::Missing));
}
