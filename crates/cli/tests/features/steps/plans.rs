//! Steps that look at plans: where they are, what happened to them, what they wrote.

use cucumber::then;
use serde_json::Value;

use crate::world::World;

async fn status(world: &mut World, plan: &str) -> Value {
    world.ask(&format!("plan status {plan}")).await
}

#[then(expr = "the plan is {word}")]
async fn plan_is_at(world: &mut World, stage: String) {
    named_stage(world, "PLAN".to_owned(), stage).await;
}

#[then(expr = "the plan {word} is {word}")]
async fn named_stage(world: &mut World, plan: String, stage: String) {
    let found = status(world, &plan).await;
    let text = |key: &str| found[key].as_str().unwrap_or_default().to_owned();
    assert_eq!(format!("{}/{}", text("phase"), text("state")), stage, "{found}");
}

#[then(expr = "its {string} is {string}")]
async fn field(world: &mut World, path: String, expected: String) {
    let found = status(world, "PLAN").await;
    let expected = world.said(&expected);
    assert_eq!(super::output::at(&found, &path), expected, "{found}");
}

#[then(expr = "its {string} says {string}")]
async fn field_says(world: &mut World, path: String, expected: String) {
    let found = status(world, "PLAN").await;
    let expected = world.said(&expected);
    assert!(super::output::at(&found, &path).contains(&expected), "{found}");
}

#[then(expr = "its history is {string}")]
pub(super) async fn history(world: &mut World, expected: String) {
    let found = world.ask("plan events PLAN").await;
    let events = found["events"].as_array().expect("events");
    let names =
        events.iter().map(|event| event["event"].as_str().expect("a name").trim_start_matches("plan."));
    assert_eq!(names.collect::<Vec<_>>().join(", "), expected);
}

#[then(expr = "its log shows {string}")]
async fn log(world: &mut World, text: String) {
    let before = world.last.clone();
    let shown = world.must("plan log PLAN").await.out;
    world.last = before;
    assert!(shown.contains(&text), "{shown}");
}
