//! Layer rules: dependencies point inward, and the domain is pure.

use toml::Table;

use crate::code::{code_only, names, split_tests};
use crate::tree::{Document, assert_none, documents, is_test};

/// What the domain may depend on; `mockall` only if optional.
const DOMAIN_MAY: [&str; 3] = ["async-trait", "thiserror", "mockall"];

/// What the application must not know: adapters, and what adapters are made of.
const APPLICATION_MUST_NOT: [&str; 9] = [
    "agents",
    "agents-infrastructure",
    "clap",
    "diesel",
    "diesel_migrations",
    "libsqlite3-sys",
    "pq-sys",
    "rustix",
    "ulid",
];

/// Names of `std` that do something: none of them is a value.
const DOMAIN_MUST_NOT: [(&str, &str); 11] = [
    ("std", "env"),
    ("std", "fs"),
    ("std", "io"),
    ("std", "net"),
    ("std", "process"),
    ("std", "thread"),
    ("std::time", "Instant"),
    ("std::time", "SystemTime"),
    ("time", "SystemTime"),
    ("Instant", "now"),
    ("SystemTime", "now"),
];

fn dependencies(manifest: &Table) -> Table {
    manifest.get("dependencies").and_then(toml::Value::as_table).cloned().unwrap_or_default()
}

/// Complaints about what a crate's manifest depends on.
fn manifest_complaints(path: &str, text: &str) -> Vec<String> {
    let manifest: Table = text.parse().unwrap_or_else(|error| panic!("{path}: {error}"));
    let name =
        manifest.get("package").and_then(|p| p.get("name")).and_then(toml::Value::as_str).unwrap_or("");
    let mut complaints = Vec::new();
    for (dependency, value) in &dependencies(&manifest) {
        let optional = value.get("optional").and_then(toml::Value::as_bool).unwrap_or(false);
        let allowed = match name {
            "agents-domain" => {
                DOMAIN_MAY.contains(&dependency.as_str()) && (dependency != "mockall" || optional)
            }
            "agents-application" => !APPLICATION_MUST_NOT.contains(&dependency.as_str()),
            "agents-infrastructure" => !["agents", "clap"].contains(&dependency.as_str()),
            _ => true,
        };
        if !allowed {
            complaints.push(format!("{path}: {name} must not depend on {dependency}"));
        }
        if dependency == "anyhow" {
            complaints.push(format!("{path}: errors are narrow enums here, not anyhow's"));
        }
        if value.get("workspace").and_then(toml::Value::as_bool) != Some(true) {
            complaints.push(format!("{path}: {dependency} must take its version from the workspace"));
        }
    }
    // Whoever builds the program gets every safeguard.
    if names_sabotage(manifest.get("features").and_then(|all| all.get("default"))) {
        complaints.push(format!("{path}: the feature sabotage is for tests, and no default"));
    }
    for (dependency, value) in &dependencies(&manifest) {
        if names_sabotage(value.get("features")) {
            complaints.push(format!("{path}: {dependency} must not be built with the feature sabotage"));
        }
    }
    if manifest.get("lints").and_then(|lints| lints.get("workspace")).and_then(toml::Value::as_bool)
        != Some(true)
    {
        complaints.push(format!("{path}: the workspace's lints are not switched on"));
    }
    complaints
}

/// Whether a list of features names the switches that take safeguards out.
fn names_sabotage(features: Option<&toml::Value>) -> bool {
    let all = features.and_then(toml::Value::as_array).into_iter().flatten();
    all.filter_map(toml::Value::as_str).any(|name| name.contains("sabotage"))
}

/// Complaints about the domain's sources: it must not read time, the environment or a disk.
fn purity_complaints(path: &str, text: &str) -> Vec<String> {
    let code = code_only(text);
    let named = DOMAIN_MUST_NOT.iter().filter(|(module, item)| names(&code, module, item));
    named
        .map(|(module, item)| format!("{path}: the domain is pure and must not name {module}::{item}"))
        .collect()
}

/// Complaints about code that makes a fencing token out of thin air.
fn token_complaints(path: &str, text: &str) -> Vec<String> {
    let from_storage = path.starts_with("crates/domain/src/lock")
        || path.starts_with("crates/infrastructure/")
        || is_test(path);
    let code = code_only(text);
    let (shipped, _) = split_tests(&code);
    if from_storage || !names(shipped, "FencingToken", "from_storage") {
        return Vec::new();
    }
    vec![format!("{path}: a fencing token is made only from storage, by a store or the lock record")]
}

#[test]
fn manifests_keep_the_layers() {
    let manifests = documents("crates", "toml");
    let manifests: Vec<&Document> =
        manifests.iter().filter(|file| file.path.ends_with("Cargo.toml")).collect();
    assert!(manifests.len() >= 4, "all four crates are looked at");
    assert_none(
        &manifests.iter().flat_map(|file| manifest_complaints(&file.path, &file.text)).collect::<Vec<_>>(),
    );
}

#[test]
fn the_domain_is_pure() {
    let sources = documents("crates/domain/src", "rs");
    assert_none(
        &sources.iter().flat_map(|file| purity_complaints(&file.path, &file.text)).collect::<Vec<_>>(),
    );
}

#[test]
fn tokens_come_only_from_storage() {
    let sources = documents("crates", "rs");
    assert_none(
        &sources.iter().flat_map(|file| token_complaints(&file.path, &file.text)).collect::<Vec<_>>(),
    );
}

#[cfg(test)]
mod can_fail {
    use super::*;

    fn manifest(name: &str, dependencies: &str) -> usize {
        let text = format!(
            "[package]\nname = \"{name}\"\n[lints]\nworkspace = true\n[dependencies]\n{dependencies}"
        );
        manifest_complaints("Cargo.toml", &text).len()
    }

    #[test]
    fn manifests() {
        assert_eq!(manifest("agents-domain", "thiserror.workspace = true"), 0);
        assert_eq!(manifest("agents-domain", "mockall = { workspace = true, optional = true }"), 0);
        assert_eq!(manifest("agents-domain", "mockall.workspace = true"), 1);
        assert_eq!(manifest("agents-domain", "tokio.workspace = true"), 1);
        assert_eq!(manifest("agents-domain", "thiserror = \"2\""), 1);
        assert_eq!(manifest("agents-application", "tokio.workspace = true"), 0);
        assert_eq!(manifest("agents-application", "diesel.workspace = true"), 1);
        assert_eq!(manifest("agents-application", "agents-infrastructure.workspace = true"), 1);
        assert_eq!(manifest("agents-infrastructure", "clap.workspace = true"), 1);
        assert_eq!(manifest("agents", "anyhow.workspace = true"), 1);
        assert_eq!(manifest_complaints("Cargo.toml", "[package]\nname = \"agents\"").len(), 1);
    }

    #[test]
    fn switches_for_tests() {
        let asked = "agents-domain = { workspace = true, features = [\"sabotage\"] }";
        assert_eq!(manifest("agents", asked), 1);
        let default = "thiserror.workspace = true\n[features]\ndefault = [\"sabotage\"]\nsabotage = []";
        assert_eq!(manifest("agents", default), 1);
        assert_eq!(manifest("agents", "[features]\ndefault = []\nsabotage = []"), 0);
    }

    #[test]
    fn purity() {
        for code in
            ["use std::{fmt, fs};", "let x = std::env::var(\"A\");", "SystemTime::now()", "Instant::now()"]
        {
            assert!(!purity_complaints("crates/domain/src/a.rs", code).is_empty(), "{code}");
        }
        for code in ["use std::path::PathBuf;", "//! std::fs is not for us", "use std::time::Duration;"] {
            assert!(purity_complaints("crates/domain/src/a.rs", code).is_empty(), "{code}");
        }
    }

    #[test]
    fn tokens() {
        let forged = "fn f() { FencingToken::from_storage(7) }";
        let tested = format!("fn f() {{}}\n#[cfg(test)]\nmod tests {{ {forged} }}");
        let complaints = |path: &str, code: &str| token_complaints(path, code).len();
        assert_eq!(complaints("crates/application/src/lock.rs", forged), 1);
        assert_eq!(complaints("crates/domain/src/plan.rs", forged), 1);
        assert_eq!(complaints("crates/domain/src/lock/fence.rs", forged), 0);
        assert_eq!(complaints("crates/infrastructure/src/sqlite.rs", forged), 0);
        assert_eq!(complaints("crates/cli/tests/features/locks.rs", forged), 0);
        assert_eq!(complaints("crates/application/src/lock.rs", &tested), 0);
    }
}
