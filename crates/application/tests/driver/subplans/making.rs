//! Where children come from, and what they have of their parent.

use agents_application::Wait;
use agents_domain::action::{ArgumentSpec, ArgumentType, ArgumentValue, LandOn, SubplanSpec};
use agents_domain::plan::{Phase, State};
use agents_domain::subplan::Mode;

use super::tree::{item, items, once};
use crate::world::{World, at, code, spec};

#[tokio::test]
async fn children_come_from_the_action_and_from_what_strategize_wrote() {
    let world = World::of_families();
    let process = world.process(1);
    let order = world.order(|action| {
        (action.execute, action.strategize) = (None, Some(spec()));
        action.subplans = Some(SubplanSpec { settings: once(Mode::Dependency), items: items(&["a"]) });
    });
    let plan = process.driver.create(order).await.expect("made").id;
    world.files.says_subplans(plan, vec![item("b", &["a"]), item("c", &[])]);
    let parent = process.driver.execute(plan).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(plan).await, [State::Applied; 3]);
    let names: Vec<_> = world.below(plan).await.iter().map(|child| child.name.clone()).collect();
    assert_eq!(names, ["a", "b", "c"].map(|name| Some(name.to_owned())));
    world.check_tree(plan).await;
}

#[tokio::test]
async fn a_file_that_cannot_be_read_fails_strategize_with_all_that_is_wrong_and_stores_nothing() {
    let world = World::of_families();
    let process = world.process(1);
    let order = world.order(|action| {
        (action.execute, action.strategize) = (None, Some(spec()));
        action.subplans =
            Some(SubplanSpec { settings: once(Mode::Dependency), items: vec![item("a", &["z"])] });
    });
    let plan = process.driver.create(order).await.expect("made").id;
    world.files.mumbles_subplans(plan, &["line 1: no JSON"]);
    let parent = process.driver.execute(plan).await.expect("driven");
    assert_eq!((at(&parent), code(&parent)), ((Phase::Strategize, State::Errored), "subplans"));
    let said = parent.failure.clone().expect("said").message;
    assert!(said.contains("line 1: no JSON") && said.contains("`z`"), "{said}");
    assert_eq!(world.below(plan).await, []);
    world.files.breaks(Some("subplans"));
    let parent = process.driver.retry(plan, crate::world::PLAINLY).await.expect("driven");
    assert_eq!(code(&parent), "files");
    world.check_tree(plan).await;
}

#[tokio::test]
async fn a_person_adds_children_until_the_first_has_begun() {
    let world = World::of_families();
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a"])).await;
    process.subplans.spawn(parent.id, &items(&["late"]), Wait::No).await.expect_err("it is too late");
    let order = world.family_order(once(Mode::Dependency), Vec::new());
    let plan = process.driver.create(order).await.expect("made").id;
    process.subplans.spawn(plan, &items(&["a", "b"]), Wait::No).await.expect("spawned");
    process.subplans.spawn(plan, &items(&["b"]), Wait::No).await.expect_err("there is one of that name");
    process.subplans.spawn(plan, &[item("c", &["a"])], Wait::No).await.expect("spawned");
    let parent = process.driver.execute(plan).await.expect("driven");
    assert_eq!((parent.state(), world.states(plan).await), (State::Complete, vec![State::Applied; 3]));
    world.check_tree(plan).await;
}

fn argument(name: &str) -> ArgumentSpec {
    ArgumentSpec {
        name: name.to_owned(),
        kind: ArgumentType::String,
        required: true,
        default: None,
        description: None,
        pattern: None,
        min: None,
        max: None,
    }
}

#[tokio::test]
async fn a_child_has_what_it_does_not_name_from_its_parent() {
    let world = World::with(&["api", "web"]);
    world.store_action("work", |action| action.arguments = vec![argument("language"), argument("topic")]);
    let process = world.process(1);
    let text = |text: &str| ArgumentValue::String(text.to_owned());
    let wanted = {
        let mut one = item("a", &[]);
        one.args = [("topic".to_owned(), text("its own"))].into();
        one.projects = vec![world.projects[1].name.clone()];
        one
    };
    let mut order = world.family_order(once(Mode::Parallel), vec![wanted]);
    order.definition.action.definition_of_done = "all is well".to_owned();
    let given = [("language", "en"), ("topic", "the parent's"), ("other", "x")];
    order.definition.arguments = given.map(|(name, value)| (name.to_owned(), text(value))).into();
    let parent = process.driver.run(order, false, crate::world::PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    let child = world.child(parent.id, "a").await.id;
    let definition = process.driver.lifecycle().definition(child).await.expect("there");
    let expected = [("language", "en"), ("topic", "its own")];
    assert_eq!(definition.arguments, expected.map(|(name, value)| (name.to_owned(), text(value))).into());
    assert_eq!(definition.action.definition_of_done, "all is well");
    let [project] = definition.projects.as_slice() else { panic!("{:?}", definition.projects) };
    assert_eq!((&project.name, &project.branch), (&world.projects[1].name, &parent.branch()));
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn the_work_of_a_child_is_its_parents_wherever_its_own_action_would_land_it() {
    let world = World::new();
    world.store_action("work", |action| action.apply.land = LandOn::Branch);
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), items(&["a"])).await;
    assert_eq!((parent.state(), world.workspace.moves().len()), (State::Complete, 1));
    world.check_tree(parent.id).await;
}
