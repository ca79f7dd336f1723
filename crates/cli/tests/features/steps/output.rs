//! Steps about the form of what is written.

use cucumber::then;
use serde_json::Value;

use crate::world::World;

/// A value by its path, `error.details.key` or `data.plans.0.state`, as text; texts bare.
pub(crate) fn at(document: &Value, path: &str) -> String {
    let pointer = format!("/{}", path.replace('.', "/"));
    match document.pointer(&pointer) {
        Some(Value::String(text)) => text.clone(),
        Some(value) => value.to_string(),
        None => "(nothing)".to_owned(),
    }
}

#[then("stdout is one JSON document and stderr is empty")]
fn one_document(world: &mut World) {
    assert!(world.last.json().is_object());
    assert_eq!(world.last.out.lines().count(), 1);
    assert_eq!(world.last.err, "");
}

#[then(expr = "each line of stdout is a JSON object with {string}")]
fn objects(world: &mut World, keys: String) {
    assert!(!world.last.out.is_empty(), "{:?}", world.last);
    for line in world.last.out.lines() {
        let object: Value = serde_json::from_str(line).unwrap_or_else(|why| panic!("{line}: {why}"));
        assert!(keys.split(',').all(|key| object.get(key).is_some()), "{line}");
    }
}

#[then("stdout is empty")]
fn silent(world: &mut World) {
    assert_eq!(world.last.out, "");
}

#[then("stderr is empty")]
fn no_errors(world: &mut World) {
    assert_eq!(world.last.err, "");
}

#[then(expr = "stdout is {string}")]
fn exactly(world: &mut World, text: String) {
    assert_eq!(world.last.out.trim_end(), world.said(&text));
}

#[then(expr = "stdout has {int} line(s) with {int} tab(s) each")]
fn separated(world: &mut World, lines: usize, tabs: usize) {
    assert_eq!(world.last.out.lines().count(), lines, "{:?}", world.last);
    assert!(world.last.out.lines().all(|line| line.matches('\t').count() == tabs), "{}", world.last.out);
}

#[then(expr = "there {string} is {string}")]
fn is(world: &mut World, path: String, expected: String) {
    let document = world.last.json();
    assert_eq!(at(&document, &path), world.said(&expected), "{document}");
}

#[then(expr = "there {string} says {string}")]
fn says(world: &mut World, path: String, expected: String) {
    let document = world.last.json();
    assert!(at(&document, &path).contains(&world.said(&expected)), "{document}");
}

#[then(expr = "there {string} is given")]
fn given(world: &mut World, path: String) {
    let document = world.last.json();
    assert!(!["(nothing)", "null", ""].contains(&at(&document, &path).as_str()), "{path}: {document}");
}

#[then(expr = "there {string} is a time in UTC")]
fn time(world: &mut World, path: String) {
    let document = world.last.json();
    let text = at(&document, &path);
    let shape: String = text.chars().map(|c| if c.is_ascii_digit() { '0' } else { c }).collect();
    assert_eq!(shape, "0000-00-00T00:00:00.000Z", "{path}: {document}");
}

#[then(expr = "there the check {string} is {string}")]
fn check(world: &mut World, name: String, status: String) {
    let document = world.last.json();
    let checks = document["data"]["checks"].as_array().expect("checks");
    let found = checks.iter().find(|check| check["name"] == name.as_str()).expect("that check");
    assert_eq!(found["status"], status.as_str(), "{found}");
}

#[then(expr = "stderr says {string}")]
fn err_says(world: &mut World, text: String) {
    assert!(world.last.err.contains(&world.said(&text)), "{:?}", world.last);
}

#[then(expr = "stdout says {string}")]
fn out_says(world: &mut World, text: String) {
    assert!(world.last.out.contains(&world.said(&text)), "{:?}", world.last);
}
