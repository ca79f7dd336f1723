//! T8: the program dies at every step. `run --apply` over two projects is killed at its N-th step,
//! for each N until it comes through; then others carry on, by what the program says helps, until the
//! plan is applied. The same for a plan with children, two levels deep, where the order of steps is
//! chance; and for `recover`: whoever puts things right may die as well.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::linux::chance::Chance;
use crate::linux::checker;
use crate::linux::child::CALM;
use crate::linux::options::Options;
use crate::linux::oracle::Plan;
use crate::linux::runs::Run;
use crate::linux::summary::Report;
use crate::linux::world::World;

/// No step is mended by more commands than these.
const COMMANDS: usize = 9;

/// What is run and killed.
pub(crate) struct Road {
    /// Of the part.
    name: &'static str,
    words: &'static [&'static str],
    /// Where it is killed when its recovery is killed in turn.
    first: &'static [&'static str],
    /// In the slice of CI: so many of the steps of a run, by chance, and of those of a recovery.
    sample: (usize, usize),
    /// At once; each has a world of its own.
    workers: usize,
}

/// A plan over two projects.
pub(crate) const PLAN: Road = Road {
    name: "t8",
    words: &["run", "work", "api", "web", "--apply"],
    // In the middle of its command, with and without a snapshot; decided to land; landed, and not yet
    // recorded.
    first: &[
        "kill:1:runner.run.done",
        "kill:2:worktrees.snapshot.done",
        "kill:1:landings.land",
        "kill:1:landings.land.done",
        "kill:2:landings.land",
    ],
    sample: (60, 12),
    workers: 4,
};

/// A plan with children, of which one has a child.
pub(crate) const TREE: Road = Road {
    name: "t8-trees",
    words: &["run", "grove", "api", "--apply"],
    // In the middle of children's commands; one merged, and not yet recorded; the next one decided.
    first: &["kill:2:runner.run", "kill:1:landings.land.done", "kill:2:landings.land"],
    sample: (8, 2),
    workers: 2,
};

/// Where to die: in the run, and in the recovery after it.
struct Crash {
    words: &'static [&'static str],
    run: String,
    recovery: Option<usize>,
}

/// All crash points, or a sample.
pub(crate) fn run(options: &Options, road: &Road) -> Report {
    let (crashes, steps) = crashes(options, road);
    let next = AtomicUsize::new(0);
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let worker = |_| scope.spawn(|| work(options, &crashes, &next));
        let workers: Vec<_> = (0..road.workers).map(worker).collect();
        workers.into_iter().map(|worker| worker.join().expect("the worker is well")).collect()
    });
    let violations: Vec<String> = verdicts.iter().flat_map(|(violations, _)| violations.clone()).collect();
    let kept = verdicts.into_iter().find_map(|(_, kept)| kept);
    let mut report =
        Report::of(&format!("{} on {}", road.name, options.on.name()), &violations, kept.as_deref());
    report.lines.push(format!("{} of {steps} crash points, each carried on from", crashes.len()));
    report
}

/// Finds how many steps there are, and picks.
fn crashes(options: &Options, road: &Road) -> (Vec<Crash>, usize) {
    let world = quiet_world(options);
    let (mut runs, mut recoveries) = (crashes_of_runs(&world, road), crashes_of_recoveries(&world, road));
    world.end(false);
    let all = runs.len() + recoveries.len();
    if !options.in_full() {
        let mut chance = Chance::of(options.seed, road.name);
        chance.shuffle(&mut runs);
        chance.shuffle(&mut recoveries);
        runs.truncate(road.sample.0);
        recoveries.truncate(road.sample.1);
    }
    runs.extend(recoveries);
    if let Some(most) = options.points {
        Chance::of(options.seed, "points").shuffle(&mut runs);
        runs.truncate(most);
    }
    (runs, all)
}

fn crashes_of_runs(world: &World, road: &Road) -> Vec<Crash> {
    let crash = |at| Crash { words: road.words, run: format!("kill:{at}"), recovery: None };
    (1..=steps_of(world, road.words)).map(crash).collect()
}

fn crashes_of_recoveries(world: &World, road: &Road) -> Vec<Crash> {
    let mut crashes = Vec::new();
    for first in road.first {
        world.start(road.words, &[("AGENTS_FAILPOINT", first)]).wait();
        let crash = |at| Crash { words: road.words, run: (*first).to_owned(), recovery: Some(at) };
        crashes.extend((1..=steps_of(world, &["recover"])).map(crash));
    }
    crashes
}

fn quiet_world(options: &Options) -> World {
    let world = World::new(options, None, None).without_counters().with_trees();
    world.tell(CALM, "");
    world
}

/// How many steps a command has that comes through.
fn steps_of(world: &World, words: &[&str]) -> usize {
    let words: Vec<&str> = words.iter().copied().chain(["-vv"]).collect();
    let run = world.start(&words, &[("AGENTS_FAILPOINT", "count:0")]).wait();
    assert_eq!(run.exit, Some(0), "it comes through: {run:?}");
    run.err.lines().filter(|line| line.contains("failpoint")).count()
}

/// Takes one crash after another; in the end judges its world as a whole.
fn work(
    options: &Options,
    crashes: &[Crash],
    next: &AtomicUsize,
) -> (Vec<String>, Option<std::path::PathBuf>) {
    let world = quiet_world(options);
    let mut violations = Vec::new();
    while let Some(crash) = crashes.get(next.fetch_add(1, Ordering::SeqCst)) {
        if let Err(problem) = survive(&world, crash) {
            let Crash { words, run, recovery } = crash;
            violations.push(format!("T8 {} {run} {recovery:?}: {problem}", words.join(" ")));
        }
    }
    violations.extend(checker::check(&world).violations);
    let kept = world.end(options.keep || !violations.is_empty()).map(ToOwned::to_owned);
    (violations, kept)
}

/// One crash, or two, and the way back to a plan that is applied.
fn survive(world: &World, crash: &Crash) -> Result<(), String> {
    let before: Vec<_> = world.oracle.plans().into_iter().map(|plan| plan.id).collect();
    let run = die(world, crash.words, &crash.run);
    if run.exit.is_none()
        && let Some(at) = crash.recovery
    {
        die(world, &["recover"], &format!("kill:{at}"));
    }
    let new = |plan: &Plan| plan.parent.is_none() && !before.contains(&plan.id);
    let made = world.oracle.plans().into_iter().find(new);
    let Some(plan) = made else {
        // It died before there was a plan: nothing to carry on.
        return if run.exit.is_none() { Ok(()) } else { Err(format!("no plan: {}", run.out)) };
    };
    carry_on(world, &plan.id)
}

/// Runs a command that is to be killed at a step.
fn die(world: &World, words: &[&str], point: &str) -> Run {
    let started = world.start(words, &[("AGENTS_FAILPOINT", point)]);
    let from = crate::linux::clock::now();
    world.running.note(started.pid(), crate::linux::runs::Fault { kind: "kill", from, to: from });
    started.wait()
}

/// Begins with what a person wants, and does what the program says helps until there is it.
fn carry_on(world: &World, plan: &str) -> Result<(), String> {
    let mut line = format!("plan apply {plan} --yes");
    for _ in 0..COMMANDS {
        let run = world.run(&line.split(' ').collect::<Vec<_>>());
        let document = run.document().unwrap_or_default();
        if run.exit == Some(0) && document["data"]["state"] == "applied" {
            return Ok(());
        }
        line = remedy(&document).ok_or_else(|| format!("`{line}` says nothing that helps: {}", run.out))?;
    }
    Err(format!("not applied after {COMMANDS} commands; the next would be `{line}`"))
}

/// The first command that a document names.
fn remedy(document: &Value) -> Option<String> {
    let hint = document["error"]["hint"].as_str().map(str::to_owned);
    let messages = document["messages"].as_array().into_iter().flatten();
    let said = hint.into_iter().chain(messages.filter_map(|text| text.as_str().map(str::to_owned)));
    let command = |text: String| {
        let words = text.split_once("agents ")?.1.split(['\n', '`']).next()?.trim().to_owned();
        words.starts_with("plan ").then_some(words)
    };
    said.into_iter().find_map(command)
}
