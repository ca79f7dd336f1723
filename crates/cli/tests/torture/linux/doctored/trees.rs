//! The same for a plan with two children that were merged.

use super::{Doctoring, append, unseen};
use crate::linux::child::CALM;
use crate::linux::git;
use crate::linux::journal::{self, What};
use crate::linux::options::Options;
use crate::linux::summary::Report;
use crate::linux::world::World;
use crate::linux::{checker, drain};

/// Before anything runs.
const NOT_ENDED: Doctoring = ("a plan that nobody carries on", |_, _| (), "comes to no end");

const DOCTORINGS: [Doctoring; 9] = [
    (
        "a process that is left",
        |world, _| {
            let mut shell = std::process::Command::new("sh");
            shell.args(["-c", "sleep 600 > /dev/null 2>&1 &"]).env("AGENTS_HOME", world.home());
            shell.status().expect("a shell");
        },
        "a process is left",
    ),
    ("a child whose work is done twice", |world, _| tell(world, "2 begin leaf "), "attempt 2 ran leaf twice"),
    (
        "a child that has finished and runs again",
        |world, _| tell(world, "4 begin leaf "),
        "leaf ran in attempt 4",
    ),
    (
        "work of an attempt that did not succeed",
        |world, _| {
            let commit = commit_of_child(world);
            tell(world, &format!("1 commit api {commit}"));
        },
        "of attempt 1, which does not count, is in its parent's work",
    ),
    (
        "work that its parent lacks",
        |world, _| {
            let base = git::must(&world.repository("api"), &["rev-parse", "main~1"]);
            tell(world, &format!("2 commit api {base}"));
        },
        "is not in its parent's work",
    ),
    (
        "a child that is merged twice",
        |world, plan| {
            let (api, branch) = (world.repository("api"), format!("refs/heads/agents/plan-{plan}"));
            let again = format!("again\n\nAgents-Plan: {}", child(world));
            let tree = format!("{branch}^{{tree}}");
            let commit = git::must(&api, &["commit-tree", &tree, "-p", &branch, "-m", &again]);
            git::must(&api, &["update-ref", &branch, &commit]);
        },
        "and merged 2 times",
    ),
    (
        "work of a child that was given up",
        |world, _| {
            let row = format!("UPDATE plans SET state = 'cancelled' WHERE id = '{}'", child(world));
            world.oracle.doctor(&row);
        },
        "of attempt 2, which does not count, is in its parent's work",
    ),
    (
        "a child that nobody's parent asked for",
        |world, _| {
            let row = format!(
                "INSERT INTO witness (kind, key, owner, token, seq) VALUES ('event', 'plan/{}', 'ada', 1, 1)",
                child(world)
            );
            world.oracle.doctor(&row);
        },
        "a stale write was accepted: event Some(1) under token 1 of Some(\"ada\")",
    ),
    (
        "a child whose work has got lost",
        |world, plan| {
            let branch = format!("refs/heads/agents/plan-{plan}");
            git::must(&world.repository("api"), &["update-ref", &branch, "main~1"]);
        },
        "what was merged is not in its parent's work",
    ),
];

/// Doctors the evidence of one tree, step by step.
pub(super) fn run(options: &Options) -> Report {
    let world = World::new(options, None, None).with_trees();
    world.tell(CALM, "");
    let made = world.run(&["plan", "use", "work", "api"]);
    let document = made.document().unwrap_or_default();
    let plan = document["data"]["plan_id"].as_str().expect("a plan").to_owned();
    for name in ["one", "two"] {
        world.run(&["plan", "spawn", &plan, "--action", "leaf", "--name", name]);
    }
    let mut violations: Vec<String> = unseen(&world, &plan, NOT_ENDED).into_iter().collect();
    world.run(&["plan", "execute", &plan]);
    world.run(&["plan", "apply", &plan, "--yes"]);
    violations.extend(checker::check(&world).violations);
    violations.extend(checker::settled(&world));
    violations.extend(drain::left(&world));
    for doctoring in DOCTORINGS {
        violations.extend(unseen(&world, &plan, doctoring));
    }
    let kept = world.end(options.keep || !violations.is_empty());
    let mut report = Report::of("doctored evidence, trees", &violations, kept);
    report.lines.push(format!("{} kinds of it", DOCTORINGS.len() + 1));
    report
}

/// The first child.
fn child(world: &World) -> String {
    world.oracle.plans().into_iter().find(|plan| plan.parent.is_some()).expect("there is one").id
}

/// What it made in the attempt that counts.
fn commit_of_child(world: &World) -> String {
    let records = journal::read(&world.journal()).remove(&child(world)).unwrap_or_default();
    let commit = records.into_iter().find_map(|record| match record.what {
        What::Commit { commit, .. } => Some(commit),
        _ => None,
    });
    commit.expect("it made one")
}

/// Adds a line to what the child's commands wrote.
fn tell(world: &World, line: &str) {
    append(&world.journal().join(child(world)), &format!("1 1 {line}\n"));
}
