//! Steps that find subplans.

use cucumber::when;
use serde_json::Value;

use crate::world::World;

/// By its names from the top, as in `api/client`; from then on a word stands for its id.
#[when(expr = "I call its subplan {string} {word}")]
async fn call(world: &mut World, path: String, alias: String) {
    let mut found = world.ask("plan tree PLAN").await["tree"].clone();
    for name in path.split('/') {
        let children = found["children"].as_array().expect("children").clone();
        let named = |child: &Value| child["subplan"]["name"] == name;
        found = children.into_iter().find(named).unwrap_or_else(|| panic!("no subplan {name}: {found}"));
    }
    world.words.insert(alias, found["plan_id"].as_str().expect("an id").to_owned());
}
