//! The users: each gives one command after another, on plans that the others work on as well.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use crate::linux::chance::Chance;
use crate::linux::clock;
use crate::linux::git;
use crate::linux::oracle::Plan;
use crate::linux::trees::{self, TREES};
use crate::linux::world::{PROJECTS, World};

/// What users like to order.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Taste {
    /// Plans, now and then one with children.
    Plans,
    /// Plans with children.
    Trees,
}

impl Taste {
    /// The name of the part in which they are the users.
    pub(crate) const fn part(self) -> &'static str {
        match self {
            Self::Plans => "random",
            Self::Trees => "trees",
        }
    }
}

/// Gives commands until told to stop.
pub(crate) fn work(world: &World, name: usize, taste: Taste, over: &AtomicBool) {
    let mut chance = Chance::of(world.seed, &format!("{} user {name}", taste.part()));
    while !over.load(Ordering::SeqCst) {
        let plans = world.oracle.plans();
        let open: Vec<&Plan> = plans.iter().filter(|plan| !plan.is_terminal()).collect();
        // What is part of another is no further order.
        let orders = open.iter().filter(|plan| plan.parent.is_none()).count();
        if orders < 3 || (taste == Taste::Plans && chance.percent(12)) {
            order(world, &mut chance, taste, orders);
        } else if let Some(plan) = chance.pick(&open) {
            let words = command(world, &mut chance, plan);
            let run = world.start(&words.iter().map(String::as_str).collect::<Vec<_>>(), &[]).wait();
            if run.exit == Some(10) {
                // As a person does, who is told that the store is away.
                clock::pass(Duration::from_millis(500));
            }
        }
    }
}

/// A new plan.
fn order(world: &World, chance: &mut Chance, taste: Taste, open: usize) {
    let tree = taste == Taste::Trees || chance.percent(15);
    let action = match chance.below(5) {
        pick if tree => TREES[pick % TREES.len()],
        0..3 => "work",
        _ => "quick",
    };
    // The longer the list of open plans, the rather one that goes all the way by itself.
    let mut words = if open < 8 && chance.percent(40) { vec!["plan", "use"] } else { vec!["run"] };
    words.push(action);
    match chance.below(if tree { 6 } else { 3 }) {
        0 => words.extend(PROJECTS),
        other => words.push(PROJECTS[other % PROJECTS.len()]),
    }
    if words[0] == "run" && chance.percent(60) {
        words.push("--apply");
    }
    world.run(&words);
}

/// What a person does with a plan; most often what moves it on, as a rule what races with others.
fn command(world: &World, chance: &mut Chance, plan: &Plan) -> Vec<String> {
    let id = plan.id.as_str();
    let resumes = chance.percent(60);
    let onward = || match (plan.phase.as_str(), plan.state.as_str()) {
        (_, "errored" | "constrained") => format!("plan retry {id}"),
        // Whoever schedules the children of a plan may be followed by another.
        ("execute", "processing") if resumes => format!("plan execute {id}"),
        (_, "processing") => "recover".to_owned(),
        ("execute", "complete") | ("apply", _) => format!("plan apply {id} --yes"),
        _ => format!("plan execute {id}"),
    };
    let onward = || trees::onward(world, plan).unwrap_or_else(onward);
    let line = match chance.below(100) {
        0..42 => onward(),
        // Beyond the lease of a holder that is frozen, and the patience with it.
        42..60 => format!("{} --wait 14s", onward()),
        60..65 => format!("plan retry {id}"),
        65..70 => format!("plan apply {id} --yes --no-wait"),
        70..74 => "recover".to_owned(),
        74..77 => format!("plan cancel {id} --reason torture --wait 4s"),
        77..80 => format!("plan revert {id}"),
        80..83 => format!("plan prompt {id} carry-on"),
        83..85 => format!("plan spawn {id} --action leaf --name by-hand-{}", chance.below(3)),
        85..87 => "prune --older-than 0s --yes".to_owned(),
        87..90 => return break_lock(world, chance),
        90..95 => format!("plan status {id}"),
        95..97 => "diagnostics".to_owned(),
        _ => "plan list --all --limit 20".to_owned(),
    };
    line.split(' ').map(str::to_owned).collect()
}

/// Asks for, or takes, a lock that somebody holds.
fn break_lock(world: &World, chance: &mut Chance) -> Vec<String> {
    let held = world.oracle.held();
    let Some((key, token)) = chance.pick(&held) else { return vec!["recover".to_owned()] };
    let mut words = vec!["lock", "break", key, "--token"].into_iter().map(str::to_owned).collect::<Vec<_>>();
    words.extend([token.to_string(), "--reason".to_owned(), "torture".to_owned()]);
    words.extend(["--wait".to_owned(), "4s".to_owned()]);
    if chance.percent(30) {
        words.push("--force".to_owned());
    }
    words
}

/// Somebody who works in the checkouts, too: branches move under landings.
pub(crate) fn commit(world: &World, chance: &mut Chance, number: usize) {
    let Some(name) = chance.pick(&PROJECTS) else { return };
    let path = world.repository(name);
    let file = format!("by-hand-{number}.txt");
    if std::fs::write(path.join(&file), "by hand\n").is_ok() {
        // A landing may hold the index, or move the branch meanwhile; then there is no commit.
        let added = git::run(&path, &["add", "--", &file]);
        let _ = added.and_then(|_| git::run(&path, &["commit", "-q", "-m", "by hand", "--", &file]));
    }
}
