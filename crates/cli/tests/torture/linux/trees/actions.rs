//! What plans with children are made of, and the children that their strategize asks for.

use serde_json::{Value, json};

use crate::linux::chance::Chance;
use crate::linux::world::World;

/// Files and texts of the actions. A tree has branches (`twig`) and leaves.
pub(crate) fn actions(world: &World) -> Vec<(String, String)> {
    let plant = |role: &str| format!("strategize: {{ {} }}", world.runs(role));
    let own = format!("execute: {{ {} }}", world.runs("execute"));
    let tree = |name: &str, settings: &str, more: &[&str]| {
        let text = format!("name: local/{name}\nsubplans: {{ {settings} }}\n{}\n", more.join("\n"));
        (format!("{name}.yaml"), text)
    };
    let leaf = format!(
        "name: local/leaf\narguments: [{{ name: clash, type: string, default: 'no' }}]\nexecute: {{ {} }}\n",
        world.runs("leaf")
    );
    // What has always the same children, for who counts steps.
    let items = |items: &str| format!("mode: dependency, items: [{items}]");
    vec![
        tree("shoot", &items("{ name: bud, action: leaf }"), &[]),
        tree(
            "grove",
            &items(
                "{ name: a, action: leaf }, { name: b, action: leaf, depends_on: [a] }, { name: c, action: shoot }",
            ),
            &[&own],
        ),
        ("leaf.yaml".to_owned(), leaf),
        tree("twig", "mode: parallel, max_parallel: 2, max_retries: 1", &[&plant("plant-twig")]),
        tree("any-order", "mode: parallel, max_parallel: 3, max_retries: 1", &[&plant("plant"), &own]),
        tree(
            "in-order",
            "mode: dependency, max_parallel: 3, max_retries: 1",
            &[&plant("plant-in-order"), &own],
        ),
        tree("one-by-one", "mode: sequential, max_retries: 2", &[&plant("plant")]),
        tree(
            "all-or-none",
            "mode: parallel, max_parallel: 4, max_retries: 0, fail_fast: true",
            &[&plant("plant")],
        ),
    ]
}

/// The children that a command with that role asks for, one a line. Which of them do not go together
/// is decided here: they write the same file.
pub(crate) fn plant(role: &str, projects: &[String], chance: &mut Chance) -> String {
    let twigs = if role == "plant-twig" { 0 } else { 25 };
    let mut lines = Vec::new();
    for number in 0..2 + chance.below(3) {
        let twig = chance.percent(twigs);
        let mut item = json!({ "name": format!("n{number}"), "action": if twig { "twig" } else { "leaf" } });
        if !twig && chance.percent(25) {
            item["args"] = json!({ "clash": "yes" });
        }
        if projects.len() > 1 && chance.percent(50) {
            item["projects"] = json!([projects[chance.below(projects.len())]]);
        }
        if role == "plant-in-order" {
            let before: Vec<Value> = (0..number).map(|at| json!(format!("n{at}"))).collect();
            item["depends_on"] = Value::Array(before.into_iter().filter(|_| chance.percent(40)).collect());
        }
        lines.push(item.to_string());
    }
    lines.join("\n")
}
