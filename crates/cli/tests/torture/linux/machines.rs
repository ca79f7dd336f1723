//! Several machines: separate homes, state directories and clones; one server, one remote for each
//! project. On each, workers take up what users of all of them order; all of it is killed, frozen and
//! ended at random, each machine has a bad network of its own, and somebody else pushes to the remote.
//!
//! A project is registered by the machine that has a clone of it; the others work in mirrors.
//!
//! They are one kernel's, so a next holder may find in `/proc` what no machine could see of another. So
//! that it does not hide anything, T4 asks for more here than that attempts do not overlap: no command
//! lives beyond its own lease, unless its driver was frozen.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use rustix::process::Signal;

use crate::linux::chance::Chance;
use crate::linux::checker;
use crate::linux::child::CALM;
use crate::linux::clock;
use crate::linux::drain;
use crate::linux::git;
use crate::linux::nemesis::{self, Nemesis};
use crate::linux::options::Options;
use crate::linux::oracle::Plan;
use crate::linux::summary::{self, Report};
use crate::linux::weather::Storm;
use crate::linux::world::{PROJECTS, World};

/// Workers on each machine.
const WORKERS: usize = 2;
/// In milliseconds: how long workers may take to work off what is left, once nothing goes wrong.
const REST: i64 = 90_000;

/// Runs it; the report says what was violated.
pub(crate) fn run(options: &Options) -> Report {
    let options = options.on_postgres();
    let world = World::of_machines(&options).without_counters();
    let (hands, not_run) = nemesis::prepare(&world, &options.faults());
    let mut storm = Storm::over(&world, &options.faults());
    let (over, calm, done) = (AtomicBool::new(false), AtomicBool::new(false), AtomicBool::new(false));
    let unfinished = std::thread::scope(|scope| {
        let (world, over, done) = (&world, &over, &done);
        for machine in 0..world.machines.len() {
            for _ in 0..WORKERS {
                scope.spawn(move || employ(world, machine, done));
            }
        }
        for name in 0..options.processes.min(if options.in_slice() { 3 } else { usize::MAX }) {
            scope.spawn(move || order(world, name, over));
        }
        let rage = |mut hand: Nemesis<'_>| hand.rage(&calm);
        let mut raging: Vec<_> = hands.into_iter().map(|hand| scope.spawn(move || rage(hand))).collect();
        raging.extend(storm.as_mut().map(|storm| scope.spawn(|| storm.rage(&calm))));
        clock::pass(options.duration());
        calm.store(true, Ordering::SeqCst);
        for hand in raging {
            hand.join().expect("the nemesis is well");
        }
        over.store(true, Ordering::SeqCst);
        let unfinished = work_off(world);
        done.store(true, Ordering::SeqCst);
        unfinished
    });
    let stuck = drain::drain(&world);
    let mut verdict = checker::check(&world);
    verdict.violations.extend(unfinished);
    verdict.violations.extend(stuck);
    verdict.violations.extend(checker::settled(&world));
    let directory = world.end(options.keep || !verdict.violations.is_empty());
    let mut report = Report::of(&format!("{} machines", options.machines), &verdict.violations, directory);
    report.lines = summary::figures(&verdict);
    report.lines.push(outcomes(&world));
    report.not_run = not_run;
    report
}

/// Keeps a worker running, and starts another whenever one has ended, however it did. In the end it is
/// asked to end, and has to.
fn employ(world: &World, machine: usize, done: &AtomicBool) {
    while !done.load(Ordering::SeqCst) {
        let worker = world.start_on(machine, &["worker", "run", "--concurrency", "2"], &[]);
        while !done.load(Ordering::SeqCst) && !worker.has_ended() {
            clock::pass(Duration::from_millis(50));
        }
        worker.signal(Signal::TERM);
        worker.wait();
    }
}

/// Workers alone, with nothing in their way, work off what is ordered; what they do not is a violation.
fn work_off(world: &World) -> Vec<String> {
    world.tell(CALM, "");
    let end = clock::now() + REST;
    loop {
        let open = world.oracle.open_orders();
        if open.is_empty() || clock::now() > end {
            return open.into_iter().map(|order| format!("T2 an order has no end: {order}")).collect();
        }
        clock::pass(Duration::from_millis(200));
    }
}

/// Gives orders, and all kinds of commands, on any of the machines.
fn order(world: &World, name: usize, over: &AtomicBool) {
    let mut chance = Chance::of(world.seed, &format!("machines user {name}"));
    let mut commits = 0;
    while !over.load(Ordering::SeqCst) {
        let machine = chance.below(world.machines.len());
        let plans = world.oracle.plans();
        let open: Vec<&Plan> = plans.iter().filter(|plan| !plan.is_terminal()).collect();
        let line = match chance.pick(&open) {
            Some(plan) if open.len() >= 4 && !chance.percent(15) => command(&mut chance, plan),
            _ => new(&mut chance),
        };
        let words: Vec<&str> = line.split(' ').collect();
        let run = world.start_on(machine, &words, &[]).wait();
        if run.exit == Some(10) {
            clock::pass(Duration::from_millis(500));
        }
        if chance.percent(15) {
            commits += 1;
            push(world, &mut chance, &format!("by-hand-{name}-{commits}.txt"));
        }
    }
}

fn new(chance: &mut Chance) -> String {
    let action = if chance.percent(60) { "quick" } else { "work" };
    let projects = match chance.below(4) {
        0 => PROJECTS.join(" "),
        other => PROJECTS[other % PROJECTS.len()].to_owned(),
    };
    match chance.below(10) {
        0..7 => format!("run {action} {projects} --apply --detach"),
        7 => format!("run {action} {projects} --detach"),
        8 => format!("plan use {action} {projects}"),
        _ => format!("run {action} {projects} --apply"),
    }
}

/// Most often another order.
fn command(chance: &mut Chance, plan: &Plan) -> String {
    let id = plan.id.as_str();
    match (chance.below(100), plan.phase.as_str(), plan.state.as_str()) {
        (0..35, _, "errored" | "constrained") => format!("plan retry {id} --detach"),
        (0..20, "strategize", _) | (0..20, "execute", "queued" | "processing") => {
            format!("plan execute {id} --detach")
        }
        (0..35, ..) => format!("plan apply {id} --detach"),
        (35..55, ..) => format!("plan wait {id} --timeout 3s"),
        (55..62, _, "errored" | "constrained") => format!("plan retry {id}"),
        (55..62, ..) => format!("plan apply {id} --yes --no-wait"),
        (62..68, ..) => format!("plan cancel {id} --reason torture --wait 4s"),
        (68..73, ..) => format!("plan revert {id}"),
        (73..80, ..) => "recover".to_owned(),
        (80..83, ..) => "prune --older-than 0s --yes".to_owned(),
        (83..88, ..) => format!("plan prompt {id} carry-on"),
        (88..92, ..) => "worker list".to_owned(),
        (92..96, ..) => format!("plan status {id}"),
        _ => "plan list --all --limit 20".to_owned(),
    }
}

/// Somebody else works in a clone, and pushes; if a landing was faster, nothing comes of it.
fn push(world: &World, chance: &mut Chance, file: &str) {
    let name = chance.pick(&PROJECTS).copied().expect("some");
    let clone = world.checkout(name);
    let pushed = git::run(&clone, &["pull", "-q", "--rebase", "origin", "main"])
        .filter(|_| std::fs::write(clone.join(file), "by hand\n").is_ok())
        .and_then(|_| git::run(&clone, &["add", "--", file]))
        .and_then(|_| git::run(&clone, &["commit", "-q", "-m", "by hand", "--", file]))
        .and_then(|_| git::run(&clone, &["push", "-q", "origin", "main"]));
    drop(pushed);
}

/// How orders ended.
fn outcomes(world: &World) -> String {
    let ended = world.oracle.ended_orders();
    let ended: Vec<_> = ended.into_iter().map(|(outcome, count)| format!("{outcome} {count}")).collect();
    format!("orders ended: {}", ended.join(", "))
}
