//! T8: the program dies at every step. `run --apply` over two projects is killed at its N-th step,
//! for each N until it comes through; then others carry on, by what the program says helps, until the
//! plan is applied. The same for `recover`: whoever puts things right may die as well.

use std::sync::atomic::{AtomicUsize, Ordering};

use serde_json::Value;

use crate::linux::chance::Chance;
use crate::linux::checker;
use crate::linux::child::CALM;
use crate::linux::options::Options;
use crate::linux::runs::Run;
use crate::linux::summary::Report;
use crate::linux::world::World;

/// At once; each has a world of its own.
const WORKERS: usize = 4;
/// In the slice of CI: so many of the steps of a run, by chance, and of those of a recovery.
const SAMPLE: (usize, usize) = (60, 12);
/// No step is mended by more commands than these.
const COMMANDS: usize = 9;
/// Where a run is killed whose recovery is killed in turn: in the middle of its command, with and
/// without a snapshot; decided to land; landed, and not yet recorded.
const FIRST: [&str; 5] = [
    "kill:1:runner.run.done",
    "kill:2:worktrees.snapshot.done",
    "kill:1:landings.land",
    "kill:1:landings.land.done",
    "kill:2:landings.land",
];

/// Where to die: in the run, and in the recovery after it.
struct Crash {
    run: String,
    recovery: Option<usize>,
}

/// All crash points, or a sample.
pub(crate) fn run(options: &Options) -> Report {
    let (crashes, steps) = crashes(options);
    let next = AtomicUsize::new(0);
    let verdicts: Vec<_> = std::thread::scope(|scope| {
        let worker = |_| scope.spawn(|| work(options, &crashes, &next));
        let workers: Vec<_> = (0..WORKERS).map(worker).collect();
        workers.into_iter().map(|worker| worker.join().expect("the worker is well")).collect()
    });
    let violations: Vec<String> = verdicts.iter().flat_map(|(violations, _)| violations.clone()).collect();
    let kept = verdicts.into_iter().find_map(|(_, kept)| kept);
    let mut report = Report::of("t8", &violations, kept.as_deref());
    report.lines.push(format!("{} of {steps} crash points, each carried on from", crashes.len()));
    report
}

/// Finds how many steps there are, and picks.
fn crashes(options: &Options) -> (Vec<Crash>, usize) {
    let world = quiet_world(options);
    let steps = steps_of(&world, &["run", "work", "api", "web", "--apply"]);
    let recoveries: Vec<(&str, usize)> = FIRST
        .iter()
        .map(|first| {
            world.start(&["run", "work", "api", "web", "--apply"], &[("AGENTS_FAILPOINT", first)]).wait();
            (*first, steps_of(&world, &["recover"]))
        })
        .collect();
    world.end(false);
    let mut runs: Vec<_> =
        (1..=steps).map(|at| Crash { run: format!("kill:{at}"), recovery: None }).collect();
    let both = |(first, steps): (&str, usize)| {
        (1..=steps).map(move |at| Crash { run: first.to_owned(), recovery: Some(at) }).collect::<Vec<_>>()
    };
    let mut recoveries: Vec<_> = recoveries.into_iter().flat_map(both).collect();
    let all = runs.len() + recoveries.len();
    if !options.in_full() {
        let mut chance = Chance::of(options.seed, "steps");
        chance.shuffle(&mut runs);
        chance.shuffle(&mut recoveries);
        runs.truncate(SAMPLE.0);
        recoveries.truncate(SAMPLE.1);
    }
    runs.extend(recoveries);
    (runs, all)
}

fn quiet_world(options: &Options) -> World {
    let world = World::new(options.seed, None, None).without_counters();
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
            violations.push(format!("T8 {} {:?}: {problem}", crash.run, crash.recovery));
        }
    }
    violations.extend(checker::check(&world).violations);
    let kept = world.end(options.keep || !violations.is_empty()).map(ToOwned::to_owned);
    (violations, kept)
}

/// One crash, or two, and the way back to a plan that is applied.
fn survive(world: &World, crash: &Crash) -> Result<(), String> {
    let before: Vec<_> = world.oracle.plans().into_iter().map(|plan| plan.id).collect();
    let run = die(world, &["run", "work", "api", "web", "--apply"], &crash.run);
    if run.exit.is_none()
        && let Some(at) = crash.recovery
    {
        die(world, &["recover"], &format!("kill:{at}"));
    }
    let made = world.oracle.plans().into_iter().find(|plan| !before.contains(&plan.id));
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
