//! Steps about orders, and about those who work them off.

use std::collections::BTreeMap;

use agents_testing::proxy::Proxy;
use cucumber::{given, then, when};

use crate::world::World;

/// Each is known by its number: `PLAN1`, `PLAN2`, …
#[given(expr = "{int} plans of {string} on {string} that are ordered")]
async fn many(world: &mut World, count: usize, action: String, project: String) {
    for number in 1..=count {
        let id = world.must(&format!("-q run {action} {project} --detach")).await.out.trim().to_owned();
        world.words.insert(format!("PLAN{number}"), id.clone());
        world.words.insert("PLAN".to_owned(), id);
    }
}

/// By the lines that their commands have written into a file.
#[then(expr = "{int} plans have run, each once, by {string}")]
fn each_once(world: &mut World, count: usize, file: String) {
    let text = std::fs::read_to_string(world.root().join(file)).expect("something has run");
    let mut times: BTreeMap<&str, usize> = BTreeMap::new();
    for line in text.lines() {
        *times.entry(line).or_default() += 1;
    }
    assert!(times.len() == count && times.values().all(|times| *times == 1), "{times:?}");
}

/// A server is, by way of a network; a file always can.
#[given("the database can be put out of reach")]
fn within_reach(world: &mut World) {
    world.network = world.server.as_ref().map(|server| Proxy::to(server.server()));
}

/// A file stays open with whoever has it open, but nobody finds it by its name.
#[when("the database is out of reach")]
fn away(world: &mut World) {
    if let Some(network) = &world.network {
        network.refuse();
        network.cut();
    } else {
        let file = world.database();
        std::fs::rename(&file, file.with_extension("away")).expect("moved");
    }
}

#[when("the database is there again")]
fn back(world: &mut World) {
    if let Some(network) = &world.network {
        network.heal();
    } else {
        let file = world.database();
        std::fs::rename(file.with_extension("away"), file).expect("moved");
    }
}

/// Of those in the list, as it is now.
#[then(expr = "the list of workers shows one that is {word} and does {string}")]
async fn listed(world: &mut World, state: String, plans: String) {
    let data = world.ask("worker list").await;
    let workers = data["workers"].as_array().expect("workers");
    let doing = |worker: &serde_json::Value| {
        let plans = worker["plans"].as_array().expect("plans");
        plans.iter().map(|plan| plan.as_str().expect("an id").to_owned()).collect::<Vec<_>>().join(" ")
    };
    let is = |worker: &serde_json::Value| match state.as_str() {
        "draining" => worker["draining"] == true && worker["liveness"] == "alive",
        state => worker["liveness"] == state,
    };
    let plans = world.said(&plans);
    let one = workers.iter().any(|worker| is(worker) && doing(worker) == plans);
    assert!(one, "none is {state} and does `{plans}`: {data}");
}
