//! Scenes: for each safeguard, the race that it is there for, brought about step by step. Played with
//! the safeguard nothing is violated; played without it the checker must notice, or it proves nothing.

use std::collections::BTreeSet;
use std::sync::PoisonError;
use std::time::Duration;

use agents_testing::proxy::Direction;
use rustix::process::Signal;

use crate::linux::child::LONG;
use crate::linux::clock;
use crate::linux::git;
use crate::linux::options::{Options, SABOTAGE};
use crate::linux::runs::{Fault, Next, Started};
use crate::linux::summary::Report;
use crate::linux::weather::QUIET;
use crate::linux::world::{TTL_MS, World};
use crate::linux::{checker, drain};

/// Plays a scene once; what was violated.
type Scene = fn(&World);

fn scene(name: &str) -> Scene {
    match name {
        "fence" => overtaken_before_its_write,
        "kill" => cut_off_from_the_store,
        _ => late_for_its_landing,
    }
}

/// What the checker must say of it without the safeguard.
fn seen_without(name: &str) -> &'static [&'static str] {
    match name {
        "fence" => &["a stale write was accepted"],
        "kill" => &["lived without a lease", "began while commands of another lived", "beside attempt"],
        _ => &[
            "moved the branch 2 times",
            "has the marker None",
            "moved the branch and is not recorded",
            "is given up, not marked so",
        ],
    }
}

/// With each safeguard and without it, or only without that one.
pub(crate) fn run(options: &Options) -> Vec<Report> {
    let only = options.sabotage.as_deref();
    std::thread::scope(|scope| {
        let wanted = SABOTAGE.into_iter().filter(|name| only.is_none_or(|only| only == *name));
        let played = wanted.map(|name| scope.spawn(move || both(options, name, only.is_some())));
        let played: Vec<_> = played.collect();
        played.into_iter().flat_map(|scene| scene.join().expect("the scene is played")).collect()
    })
}

/// One of them, with its safeguard and without it.
pub(crate) fn run_one(options: &Options, name: &str) -> Vec<Report> {
    both(options, name, false)
}

fn both(options: &Options, name: &str, without_only: bool) -> Vec<Report> {
    let mut reports = Vec::new();
    if !without_only {
        reports.push(play(options, name, None));
    }
    let mut without = play(options, name, Some(name));
    if !without_only {
        // Asked for by name, its violations stand; here it is their absence that is one.
        without.invert(seen_without(name));
    }
    reports.push(without);
    reports
}

fn play(options: &Options, name: &str, sabotage: Option<&str>) -> Report {
    // What is brought about step by step cannot do with a server that goes away.
    let _quiet = QUIET.read().unwrap_or_else(PoisonError::into_inner);
    let world = World::new(options, sabotage, None);
    scene(name)(&world);
    let stuck = drain::drain(&world);
    let mut verdict = checker::check(&world);
    // Without a safeguard a plan may well come to no end; with it that is no excuse.
    verdict.violations.extend(stuck);
    let how = if sabotage.is_some() { "switched off" } else { "as it is" };
    let title = format!("scene {name} on {}, {how}", options.on.name());
    let kept = world.end(options.keep || (sabotage.is_none() && !verdict.violations.is_empty()));
    Report::of(&title, &verdict.violations, kept)
}

/// T1. Ada freezes between having the plan's lock and writing; Bob takes it over and freezes there,
/// too, with nothing written yet; Ada thaws, and writes.
fn overtaken_before_its_write(world: &World) {
    let plan = order(world, &["plan", "use", "quick", "api"]);
    let ada = frozen(world, &["plan", "execute", &plan], "stop:1:plans.commit");
    break_locks(world);
    let bob = frozen(world, &["plan", "execute", &plan], "stop:1:plans.commit");
    thaw(ada);
    thaw(bob);
}

/// T4, twice. Nobody can write to the store, so Ada cannot renew her lease. What she runs has broken
/// away and ignores TERM; it must be dead when the lease is over. Then her lock is taken by force while
/// she lives, and Bob starts over: what she ran must be dead before what he runs.
fn cut_off_from_the_store(world: &World) {
    let plan = order(world, &["plan", "use", "quick", "api"]);
    let ada = at_work(world, &["plan", "execute", &plan], &plan);
    without_the_store(world, || {
        // Beyond the end of any lease that was granted or renewed before.
        clock::pass(Duration::from_millis(u64::try_from(TTL_MS).expect("small") + 1_000));
    });
    ada.wait();

    let plan = order(world, &["plan", "use", "quick", "api"]);
    let ada = at_work(world, &["plan", "execute", &plan], &plan);
    break_locks(world);
    world.run(&["recover"]);
    world.run(&["plan", "retry", &plan]);
    ada.wait();
}

/// For as long, no process can write: the turn is somebody else's, or the server hears of nothing.
fn without_the_store(world: &World, meanwhile: impl FnOnce()) {
    if let Some(network) = &world.machines[0].network {
        network.hold_back(Direction::Both);
        meanwhile();
        network.heal();
    } else {
        let turn = std::fs::File::open(world.home().join("state/agents.db-turn")).expect("the gate is there");
        turn.lock().expect("locked");
        meanwhile();
        turn.unlock().expect("unlocked");
    }
}

/// Starts a command that runs for two leases; returns once it does.
fn at_work<'a>(world: &'a World, words: &[&str], plan: &str) -> Started<'a> {
    world.tell(LONG, &(2 * TTL_MS).to_string());
    let started = world.start(words, &[]);
    let signs = || crate::linux::journal::read(&world.journal()).remove(plan).unwrap_or_default();
    let alive = || signs().iter().map(|sign| sign.pid).collect::<BTreeSet<_>>().len();
    // The command, and the process that has broken away from it.
    while alive() < 2 {
        clock::pass(Duration::from_millis(20));
    }
    std::fs::remove_file(world.directory.join(LONG)).expect("it was told");
    started
}

/// T3, twice.
fn late_for_its_landing(world: &World) {
    frozen_before_its_landing(world);
    frozen_until_it_was_given_up(world);
}

/// Somebody moves the branch while Ada is frozen, so that Bob gives her landing up and ends the plan;
/// then the branch is put back; Ada thaws.
fn frozen_until_it_was_given_up(world: &World) {
    let plan = order(world, &["run", "quick", "api"]);
    let ada = frozen(world, &["plan", "apply", &plan, "--yes"], "stop:1:landings.land");
    break_locks(world);
    let repository = world.repository("api");
    let old = git::must(&repository, &["rev-parse", "main"]);
    git::must(&repository, &["commit", "-q", "--allow-empty", "-m", "by hand"]);
    world.run(&["plan", "apply", &plan, "--yes"]);
    world.run(&["plan", "cancel", &plan]);
    git::must(&repository, &["reset", "-q", "--hard", &old]);
    thaw(ada);
}

/// Ada has decided to land, and freezes before she does; Bob lands for her; somebody takes that
/// back; Ada thaws.
fn frozen_before_its_landing(world: &World) {
    let plan = order(world, &["run", "quick", "api"]);
    let ada = frozen(world, &["plan", "apply", &plan, "--yes"], "stop:1:landings.land");
    break_locks(world);
    world.run(&["plan", "apply", &plan, "--yes"]);
    let repository = world.repository("api");
    let landed = git::must(&repository, &["rev-parse", "main"]);
    git::must(&repository, &["reset", "-q", "--hard", "main~1"]);
    thaw(ada);
    // Landed once means: not again. What somebody took back is put back for the checker, which
    // looks for work that has got lost.
    if git::must(&repository, &["rev-parse", "main"]) != landed {
        git::must(&repository, &["reset", "-q", "--hard", &landed]);
    }
}

/// Gives a command that makes a plan.
fn order(world: &World, words: &[&str]) -> String {
    world.tell(crate::linux::child::CALM, "");
    let run = world.run(words);
    let document = run.document().unwrap_or_default();
    document["data"]["plan_id"].as_str().unwrap_or_else(|| panic!("no plan: {run:?}")).to_owned()
}

/// Starts a command that stops itself at a step.
fn frozen<'a>(world: &'a World, words: &[&str], point: &str) -> Started<'a> {
    let started = world.start(words, &[("AGENTS_FAILPOINT", point)]);
    let from = clock::now();
    let next = started.next();
    world.running.note(started.pid(), Fault { kind: "stop", from, to: from + TTL_MS });
    assert_eq!(next, Next::Stopped, "agents {words:?} stops at {point}");
    started
}

fn thaw(started: Started<'_>) {
    started.signal(Signal::CONT);
    started.wait();
}

/// Takes every lock from whoever holds it.
fn break_locks(world: &World) {
    for (key, token) in world.oracle.held() {
        let token = token.to_string();
        world.run(&["lock", "break", &key, "--token", &token, "--reason", "frozen", "--force"]);
    }
}
