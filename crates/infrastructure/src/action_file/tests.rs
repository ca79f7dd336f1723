//! Tests of action files: what a whole one means, what each mistake says, what hostile ones cost.

use std::time::Duration;

use agents_domain::action::{
    Action, ApplySpec, ArgumentSpec, ArgumentType, ArgumentValue, Automation, LandOn, MergeStrategy,
    PhaseSpec, Program, RetryPolicy, SubplanSpec, ValidationSpec, WorktreeSpec,
};
use agents_domain::name::Name;
use agents_domain::subplan::{MergePolicy, Mode, Settings, SubplanItem};

use super::*;

mod documents;
mod hostile;
mod mistakes;
mod subplans;

/// Every key there is.
const WHOLE: &str = r#"
name: team/fix-lint
description: Make the linter happy
definition_of_done: the linter exits 0
automation: auto
arguments:
  - { name: target, type: string, required: true, description: Path to fix, pattern: "^[a-z/]+$", min: 1, max: 80 }
  - { name: depth, type: integer, default: 2 }
  - { name: ratio, type: float, default: 1 }
  - { name: dry, type: boolean, default: false }
  - { name: files, type: list, default: [1.10, b] }
  - { name: note }
worktree: { setup: [npm, ci], copy: [.env.local, config/local.toml] }
strategize:
  run: [claude, -p, "Plan {{ definition_of_done }} in {{ target }}, to {{ strategy_file }}"]
  timeout: 10m
execute:
  shell: echo "$AGENTS_ARG_TARGET"
  timeout: 1h30m
  retry: { max_attempts: 2, on_exit: [75, 1], backoff: 10s }
validations:
  - { name: clippy, run: [cargo, clippy] }
  - { name: audit, shell: cargo audit, required: false, timeout: 90s }
apply:
  strategy: squash
  land: branch
  after: [gh, pr, create, --fill]
  message: "{{ plan.name }}: {{ description }}"
subplans:
  mode: dependency
  max_parallel: 50
  fail_fast: true
  max_retries: 0
  timeout: 20m
  merge: fail-on-conflict
  items:
    - { name: api, action: fix, args: { s: a, i: -3, f: 1.5, b: true, l: [x, y] }, projects: [api, team/web] }
    - { name: web, action: team/fix, depends_on: [api] }
env: { RUST_LOG: info, PORT: 8080 }
env_from: [API_KEY]
"#;

fn run(items: &[&str]) -> Program {
    Program::Run(items.iter().map(ToString::to_string).collect())
}

fn argument(name: &str, kind: ArgumentType, default: Option<ArgumentValue>) -> ArgumentSpec {
    ArgumentSpec {
        name: name.into(),
        kind,
        required: false,
        default,
        description: None,
        pattern: None,
        min: None,
        max: None,
    }
}

fn whole() -> Action {
    let plan = "Plan {{ definition_of_done }} in {{ target }}, to {{ strategy_file }}";
    Action {
        name: Name::parse("team/fix-lint").expect("valid"),
        description: "Make the linter happy".into(),
        definition_of_done: "the linter exits 0".into(),
        automation: Automation::Auto,
        arguments: vec![
            ArgumentSpec {
                required: true,
                description: Some("Path to fix".into()),
                pattern: Some("^[a-z/]+$".into()),
                min: Some(1.0),
                max: Some(80.0),
                ..argument("target", ArgumentType::String, None)
            },
            argument("depth", ArgumentType::Integer, Some(ArgumentValue::Integer(2))),
            argument("ratio", ArgumentType::Float, Some(ArgumentValue::Float(1.0))),
            argument("dry", ArgumentType::Boolean, Some(ArgumentValue::Boolean(false))),
            argument("files", ArgumentType::List, Some(ArgumentValue::List(vec!["1.10".into(), "b".into()]))),
            argument("note", ArgumentType::String, None),
        ],
        worktree: WorktreeSpec {
            setup: Some(run(&["npm", "ci"])),
            copy: vec![".env.local".into(), "config/local.toml".into()],
        },
        strategize: Some(PhaseSpec {
            program: run(&["claude", "-p", plan]),
            timeout: Some(Duration::from_mins(10)),
            retry: None,
        }),
        execute: Some(PhaseSpec {
            program: Program::Shell("echo \"$AGENTS_ARG_TARGET\"".into()),
            timeout: Some(Duration::from_mins(90)),
            retry: Some(RetryPolicy {
                max_attempts: 2,
                on_exit: vec![75, 1],
                backoff: Some(Duration::from_secs(10)),
            }),
        }),
        validations: vec![
            ValidationSpec {
                name: "clippy".into(),
                program: run(&["cargo", "clippy"]),
                required: true,
                timeout: None,
            },
            ValidationSpec {
                name: "audit".into(),
                program: Program::Shell("cargo audit".into()),
                required: false,
                timeout: Some(Duration::from_secs(90)),
            },
        ],
        apply: ApplySpec {
            strategy: MergeStrategy::Squash,
            land: LandOn::Branch,
            after: Some(run(&["gh", "pr", "create", "--fill"])),
            message: Some("{{ plan.name }}: {{ description }}".into()),
        },
        env: [("RUST_LOG".to_owned(), "info".to_owned()), ("PORT".to_owned(), "8080".to_owned())].into(),
        env_from: vec!["API_KEY".into()],
        subplans: Some(subplans()),
    }
}

fn subplans() -> SubplanSpec {
    let name = |text: &str| Name::parse(text).expect("valid");
    let args = [
        ("s", ArgumentValue::String("a".into())),
        ("i", ArgumentValue::Integer(-3)),
        ("f", ArgumentValue::Float(1.5)),
        ("b", ArgumentValue::Boolean(true)),
        ("l", ArgumentValue::List(vec!["x".into(), "y".into()])),
    ];
    let api = SubplanItem {
        name: "api".into(),
        action: name("fix"),
        args: args.map(|(name, value)| (name.to_owned(), value)).into(),
        depends_on: vec![],
        projects: vec![name("api"), name("team/web")],
    };
    let web = SubplanItem {
        name: "web".into(),
        action: name("team/fix"),
        args: [].into(),
        depends_on: vec!["api".into()],
        projects: vec![],
    };
    let settings = Settings {
        mode: Mode::Dependency,
        max_parallel: 50,
        fail_fast: true,
        max_retries: 0,
        timeout: Some(Duration::from_mins(20)),
        merge: MergePolicy::FailOnConflict,
    };
    SubplanSpec { settings, items: vec![api, web] }
}

#[test]
fn every_key_arrives() {
    assert_eq!(parse(WHOLE, "whole.yaml"), Ok(whole()));
}

#[test]
fn a_name_and_a_command_are_enough() {
    let action = parse("name: hello\nexecute: { run: [echo] }\n", "hello.yaml").expect("valid");
    let execute = PhaseSpec { program: run(&["echo"]), timeout: None, retry: None };
    let expected = Action {
        name: Name::parse("local/hello").expect("valid"),
        description: String::new(),
        definition_of_done: String::new(),
        automation: Automation::Review,
        arguments: Vec::new(),
        worktree: WorktreeSpec::default(),
        strategize: None,
        execute: Some(execute),
        validations: Vec::new(),
        apply: ApplySpec::default(),
        env: [].into(),
        env_from: Vec::new(),
        subplans: None,
    };
    assert_eq!(action, expected);
}

#[test]
fn anchors_and_merge_keys_work() {
    let text = "name: x\nexecute: &run { run: [a], timeout: 5m }\nstrategize: { <<: *run, timeout: 1m }\n";
    let action = parse(text, "x.yaml").expect("valid");
    assert_eq!(action.execute.expect("given").timeout, Some(Duration::from_mins(5)));
    let strategize = action.strategize.expect("given");
    assert_eq!((strategize.program, strategize.timeout), (run(&["a"]), Some(Duration::from_mins(1))));
}

#[test]
fn words_of_every_enum_are_known() {
    for word in ["manual", "review", "auto"] {
        let text = format!("name: x\nexecute: {{ run: [a] }}\nautomation: {word}\n");
        assert_eq!(parse(&text, "x").expect("valid").automation.as_str(), word);
    }
    let text = "name: x\nexecute: { run: [a] }\napply: { strategy: merge, land: target }\n";
    assert_eq!(parse(text, "x").expect("valid").apply, ApplySpec::default());
}

#[test]
fn a_file_is_read_with_its_text() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("whole.yaml");
    std::fs::write(&path, WHOLE).expect("written");
    assert_eq!(read(&path), Ok((whole(), WHOLE.to_owned())));
}

#[test]
fn what_cannot_be_read_names_the_path_and_the_reason() {
    let directory = tempfile::tempdir().expect("a directory");
    let absent = directory.path().join("absent.yaml");
    let error = read(&absent).expect_err("not there").to_string();
    assert!(error.starts_with(&format!("{}: cannot be read: No such file", absent.display())), "{error}");
    assert!(matches!(read(directory.path()), Err(ActionFileError::Unreadable { .. })));
}

#[test]
fn text_that_is_not_utf8_has_a_place() {
    let directory = tempfile::tempdir().expect("a directory");
    let path = directory.path().join("latin1.yaml");
    std::fs::write(&path, b"name: x\ndescription: gr\xfc\xdfe\n").expect("written");
    let Err(ActionFileError::Invalid(diagnostic)) = read(&path) else { panic!("it is not UTF-8") };
    assert_eq!(diagnostic.at, Some(Position { line: 2, column: 16 }));
    assert!(
        diagnostic
            .to_string()
            .ends_with(":2:16: this is not UTF-8 text\n  |\n2 | description: gr\n  |                ^"),
        "{diagnostic}"
    );
}

#[test]
fn the_schema_knows_every_key_and_no_other() {
    let schema = schema();
    let keys: Vec<_> =
        schema["properties"].as_object().expect("an object").keys().map(String::as_str).collect();
    let error = parse("zzz: 1\n", "x").expect_err("unknown").to_string();
    let known = error.lines().next().and_then(|line| line.split_once("known here: ")).expect("a list").1;
    let mut known: Vec<_> = known.split(", ").collect();
    known.sort_unstable();
    assert_eq!(keys, known);
    assert_eq!(schema["required"], serde_json::json!(["name"]));
    let either = serde_json::json!([{ "required": ["execute"] }, { "required": ["subplans"] }]);
    assert_eq!(schema["anyOf"], either);
    assert_eq!(schema["additionalProperties"], false);
    for (name, definition) in schema["$defs"].as_object().expect("an object") {
        let is_closed = definition["additionalProperties"] == false;
        assert!(is_closed || definition.get("properties").is_none(), "{name} takes unknown keys");
        assert!(!name.contains("Entry") && !name.contains("Word"), "{name} is a name of ours");
    }
}
