//! Values for the suite: ids, plans and orders, from the least to the fullest.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use agents_domain::action::{
    Action, ApplySpec, ArgumentSpec, ArgumentType, ArgumentValue, Arguments, Automation, LandOn,
    MergeStrategy, PhaseSpec, Program, RetryPolicy, ValidationSpec, WorktreeSpec,
};
use agents_domain::id::{EventId, IntentId, OwnerId, PlanId};
use agents_domain::lock::Holder;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Definition, Event, NewPlan, Origin, Plan, PlanWrite, Step, next};
use agents_domain::time::Timestamp;
use agents_domain::workspace::{Machine, Project, Remote};

use crate::children::born;

pub(crate) fn owner(n: u32) -> OwnerId {
    OwnerId::parse(&format!("01WNER{n:020}")).expect("a ULID")
}

/// Greater numbers are younger plans.
pub(crate) fn plan_id(n: u32) -> PlanId {
    PlanId::parse(&format!("01PAN{n:021}")).expect("a ULID")
}

/// The number that [`plan_id`] was given.
pub(crate) fn number_of(plan: PlanId) -> u32 {
    plan.as_str()[5..].parse().expect("a number")
}

pub(crate) fn intent_id(n: u32) -> IntentId {
    IntentId::parse(&format!("01NTENT{n:019}")).expect("a ULID")
}

/// The id of the event that makes version `seq` of that plan.
pub(crate) fn event_id(plan: PlanId, seq: u64) -> EventId {
    let number = &plan.as_str()[16..];
    EventId::parse(&format!("01EVT{number}{seq:011}")).expect("a ULID")
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

pub(crate) fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).expect("an object id")
}

/// The process behind an owner, every field its own.
pub(crate) fn holder(who: u32) -> Holder {
    Holder {
        host: format!("host-{who}"),
        boot_id: format!("boot-{who}"),
        pid_namespace: format!("pid:[{who}]"),
        pid: 4_000_000_000 + who,
        started: u64::from(who) + (1 << 40),
        user: format!("user-{who}"),
        operation: format!("operation {who}"),
    }
}

pub(crate) fn machine(id: &str) -> Machine {
    Machine { id: id.to_owned(), host: format!("host of {id}") }
}

pub(crate) fn project(n: u32) -> Project {
    Project {
        name: name(&format!("team/project-{n}")),
        path: PathBuf::from(format!("/src/checkout {n}")),
        common_dir: PathBuf::from(format!("/src/checkout {n}/.git")),
        branch: format!("main-{n}"),
        machine: (n > 1).then(|| machine("Ω-1")),
        remote: (n > 2).then(|| Remote { url: format!("ssh://far/{n}.git"), push_snapshots: n == 4 }),
    }
}

pub(crate) const LEAST: &str = "name: local/least\n";
pub(crate) const FULL: &str = "name: team/full\ndescription: \"Ω, 'quoted' — \\\"twice\\\"\"\n";

/// Reads the actions of this suite back from their texts.
pub(crate) fn parse_action(source: &str, origin: &str) -> Result<Action, String> {
    match source {
        LEAST => Ok(least_action()),
        FULL => Ok(full_action()),
        _ => Err(format!("{origin}: not a text of this suite")),
    }
}

pub(crate) fn least_action() -> Action {
    let program = Program::Run(vec!["true".to_owned()]);
    Action {
        name: name("least"),
        description: String::new(),
        definition_of_done: String::new(),
        automation: Automation::default(),
        arguments: Vec::new(),
        worktree: WorktreeSpec::default(),
        strategize: None,
        execute: Some(PhaseSpec { program, timeout: None, retry: None }),
        validations: Vec::new(),
        apply: ApplySpec::default(),
        env: BTreeMap::new(),
        env_from: Vec::new(),
        subplans: None,
    }
}

fn shell(text: &str) -> Program {
    Program::Shell(text.to_owned())
}

pub(crate) fn full_action() -> Action {
    let minute = Some(Duration::from_mins(1));
    let retry =
        Some(RetryPolicy { max_attempts: 3, on_exit: vec![75, -1], backoff: Some(Duration::from_secs(10)) });
    Action {
        name: name("team/full"),
        description: "Ω, 'quoted' — \"twice\"".to_owned(),
        definition_of_done: "all is green".to_owned(),
        automation: Automation::Auto,
        arguments: vec![full_argument()],
        worktree: WorktreeSpec { setup: Some(shell("npm ci")), copy: vec![".env.local".to_owned()] },
        strategize: Some(PhaseSpec { program: shell("think"), timeout: minute, retry: retry.clone() }),
        execute: Some(PhaseSpec {
            program: Program::Run(vec!["do".to_owned(), String::new()]),
            timeout: minute,
            retry,
        }),
        validations: vec![ValidationSpec {
            name: "clippy".to_owned(),
            program: shell("cargo clippy"),
            required: true,
            timeout: minute,
        }],
        apply: ApplySpec {
            strategy: MergeStrategy::Squash,
            land: LandOn::Branch,
            after: Some(shell("gh pr create")),
            message: Some("{{ plan.name }}".to_owned()),
        },
        env: BTreeMap::from([("RUST_LOG".to_owned(), "info".to_owned())]),
        env_from: vec!["API_KEY".to_owned()],
        subplans: None,
    }
}

fn full_argument() -> ArgumentSpec {
    ArgumentSpec {
        name: "target".to_owned(),
        kind: ArgumentType::List,
        required: true,
        default: Some(ArgumentValue::List(vec!["a".to_owned()])),
        description: Some("Paths".to_owned()),
        pattern: Some("^[a-z]+$".to_owned()),
        min: Some(1.0),
        max: Some(9.5),
    }
}

/// Each type of argument, at its edges.
pub(crate) fn arguments() -> Arguments {
    let text = |text: &str| ArgumentValue::String(text.to_owned());
    let items = |items: &[&str]| ArgumentValue::List(items.iter().map(|&item| item.to_owned()).collect());
    let values = [
        ("text", text("a \"b\"\n\tc\\ ü 🦀 \u{7}")),
        ("empty", text("")),
        ("looks_like_a_number", text("1.0")),
        ("least", ArgumentValue::Integer(i64::MIN)),
        ("most", ArgumentValue::Integer(i64::MAX)),
        ("whole", ArgumentValue::Float(1.0)),
        ("tiny", ArgumentValue::Float(f64::MIN_POSITIVE)),
        ("huge", ArgumentValue::Float(f64::MAX)),
        ("third", ArgumentValue::Float(-1.0 / 3.0)),
        ("yes", ArgumentValue::Boolean(true)),
        ("no", ArgumentValue::Boolean(false)),
        ("none", items(&[])),
        ("some", items(&["a", "", "true", "2"])),
    ];
    values.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
}

/// The order of a plan with the projects 1 and 2 and the least action.
pub(crate) fn least_definition() -> Definition {
    Definition {
        action: least_action(),
        action_source: LEAST.to_owned(),
        arguments: Arguments::new(),
        projects: vec![project(1), project(2)],
    }
}

pub(crate) fn full_definition() -> Definition {
    Definition {
        action: full_action(),
        action_source: FULL.to_owned(),
        arguments: arguments(),
        projects: vec![project(1), project(2)],
    }
}

/// The origin of a plan that follows that order.
pub(crate) fn origin(definition: &Definition) -> Origin {
    Origin {
        name: Some("a name, for people".to_owned()),
        action: definition.action.name.clone(),
        automation: definition.action.automation,
        projects: definition.projects.iter().map(|project| project.name.clone()).collect(),
        subplan: None,
    }
}

pub(crate) fn new_plan_of(number: u32, at: Timestamp, origin: Origin, definition: Definition) -> NewPlan {
    let plan = Plan::create(plan_id(number), &origin, at);
    let id = event_id(plan.id, 1);
    let change = Change::Created(origin);
    let event = Event { id, plan: plan.id, seq: 1, at, owner: None, token: None, change };
    NewPlan { plan, definition, event }
}

/// The plan of that number, with the least order.
pub(crate) fn new_plan(number: u32, at: Timestamp) -> NewPlan {
    let definition = least_definition();
    new_plan_of(number, at, origin(&definition), definition)
}

/// One legal step of a plan, as it is written, with the children that it tells of.
pub(crate) fn step(plan: &Plan, change: Change, at: Timestamp) -> PlanWrite {
    let after = match next(plan, &change, at) {
        Ok(Step::Moved(after)) => after,
        other => panic!("{change:?} did not move {}: {other:?}", plan.stage),
    };
    let (seq, id) = (after.version, event_id(plan.id, after.version));
    let spawn = born(plan, &change, at);
    let event = Event { id, plan: plan.id, seq, at, owner: None, token: None, change };
    PlanWrite { plan: after, expected_version: plan.version, events: vec![event], spawn, also: Vec::new() }
}

/// A step that is always legal before the end.
pub(crate) fn prompt(plan: &Plan, text: &str, at: Timestamp) -> PlanWrite {
    step(plan, Change::Prompted { text: text.to_owned() }, at)
}

#[test]
fn the_actions_of_this_suite_are_read_back_from_their_texts() {
    for definition in [least_definition(), full_definition()] {
        assert_eq!(parse_action(&definition.action_source, "here"), Ok(definition.action));
    }
    assert_eq!(parse_action("name: other", "here"), Err("here: not a text of this suite".to_owned()));
}
