//! Steps that give plans children and look at them.

use cucumber::gherkin::Step;
use cucumber::{given, then, when};
use serde_json::Value;

use crate::world::World;

#[given("the plan has the subplans")]
async fn children(world: &mut World, step: &Step) {
    spawn(world, "PLAN", step).await;
}

#[given(expr = "the subplan {word} has the subplans")]
async fn grandchildren(world: &mut World, parent: String, step: &Step) {
    spawn(world, &parent, step).await;
}

/// The columns are a name and an action, and perhaps what it needs. Each child is known by its name
/// in capitals.
async fn spawn(world: &mut World, parent: &str, step: &Step) {
    let table = step.table().expect("a table of subplans");
    for row in table.rows.iter().skip(1) {
        let needs = row.get(2).map(String::as_str).unwrap_or_default().split_whitespace();
        let needs: Vec<_> = needs.map(|name| format!("--depends-on {name}")).collect();
        let (name, action, needs) = (&row[0], &row[1], needs.join(" "));
        let line = format!("-q plan spawn {parent} --name {name} --action {action} {needs}");
        let id = world.must(&line).await.out.trim().to_owned();
        world.words.insert(name.to_uppercase(), id);
    }
}

/// For children that nobody in the scenario has spawned.
#[when("the subplans are known by their names")]
#[given("the subplans are known by their names")]
async fn get_to_know(world: &mut World) {
    for child in family(world, "PLAN").await {
        let name = text(&child, "/subplan/name").to_uppercase();
        world.words.insert(name, text(&child, "/plan_id"));
    }
}

#[then(expr = "the subplans are {string}")]
async fn are(world: &mut World, expected: String) {
    assert_family(world, "PLAN", &expected).await;
}

#[then(expr = "the subplans of {word} are {string}")]
async fn are_of(world: &mut World, parent: String, expected: String) {
    assert_family(world, &parent, &expected).await;
}

#[then(expr = "the {string} of {word} is {string}")]
async fn field(world: &mut World, path: String, child: String, expected: String) {
    let found = world.ask(&format!("plan status {child}")).await;
    assert_eq!(super::output::at(&found, &path), world.said(&expected), "{found}");
}

#[then(expr = "the {string} of {word} says {string}")]
async fn field_says(world: &mut World, path: String, child: String, expected: String) {
    let found = world.ask(&format!("plan status {child}")).await;
    assert!(super::output::at(&found, &path).contains(&world.said(&expected)), "{found}");
}

#[then(expr = "the history of {word} is {string}")]
async fn history(world: &mut World, child: String, expected: String) {
    let found = names_of_events(world, &child).await;
    assert_eq!(found.join(", "), expected);
}

#[then(expr = "the history of {word} has {int} times {string}")]
async fn happened(world: &mut World, child: String, times: usize, event: String) {
    let found = names_of_events(world, &child).await;
    assert_eq!(found.iter().filter(|found| **found == event).count(), times, "{found:?}");
}

/// Whichever of them came second.
#[when(
    expr = "in {string} I merge the subplan in conflict into the plan's branch, and {string} becomes {string}"
)]
async fn resolve(world: &mut World, repository: String, file: String, becomes: String) {
    let child = in_conflict(world).await.expect("one is in conflict");
    let branch = text(&child, "/branch");
    super::git::merge(world, repository, branch, file, becomes);
}

#[when("I give up the subplan in conflict")]
async fn give_up(world: &mut World) {
    let child = in_conflict(world).await.expect("one is in conflict");
    world.run(&format!("plan cancel {}", text(&child, "/plan_id"))).await;
}

#[then("no subplan is in conflict")]
async fn none_in_conflict(world: &mut World) {
    let found = in_conflict(world).await;
    assert!(found.is_none(), "{found:#?}");
}

async fn in_conflict(world: &mut World) -> Option<Value> {
    let all = family(world, "PLAN").await;
    all.into_iter().find(|child| child["state"] == "constrained")
}

/// What scripts of the scenario wrote, one word after the other.
#[then(expr = "the file {string} has {string}, line by line")]
fn lines(world: &mut World, file: String, expected: String) {
    let text = std::fs::read_to_string(world.root().join(file)).unwrap_or_default();
    assert_eq!(text.lines().collect::<Vec<_>>().join(" "), expected);
}

async fn assert_family(world: &mut World, parent: &str, expected: &str) {
    let shown = |child: &Value| {
        let stage = format!("{}/{}", text(child, "/phase"), text(child, "/state"));
        format!("{} {stage}", text(child, "/subplan/name"))
    };
    let found = family(world, parent).await;
    assert_eq!(found.iter().map(shown).collect::<Vec<_>>().join(", "), expected, "{found:#?}");
}

/// The children of a plan, in the order of their places; of a child and those it replaced the last.
async fn family(world: &mut World, parent: &str) -> Vec<Value> {
    let listed = world.ask(&format!("plan list --parent {parent} --limit 1000")).await;
    let mut children = listed["plans"].as_array().expect("plans").clone();
    children.sort_by_key(|child| (child["subplan"]["position"].as_u64(), text(child, "/plan_id")));
    children.reverse();
    children.dedup_by_key(|child| child["subplan"]["position"].as_u64());
    children.reverse();
    children
}

async fn names_of_events(world: &mut World, plan: &str) -> Vec<String> {
    let found = world.ask(&format!("plan events {plan}")).await;
    let events = found["events"].as_array().expect("events");
    let name = |event: &Value| text(event, "/event").trim_start_matches("plan.").to_owned();
    events.iter().map(name).collect()
}

fn text(document: &Value, pointer: &str) -> String {
    document.pointer(pointer).and_then(Value::as_str).unwrap_or_default().to_owned()
}
