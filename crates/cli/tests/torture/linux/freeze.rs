//! T6: a machine that sleeps. Driver, guard, command and all are stopped for ten leases; nobody comes
//! meanwhile; when they go on, so does the run, to its end.

use std::collections::BTreeSet;

use rustix::process::Signal;

use crate::linux::checker;
use crate::linux::child::{CALM, LONG};
use crate::linux::clock;
use crate::linux::options::Options;
use crate::linux::procs;
use crate::linux::runs::Fault;
use crate::linux::summary::Report;
use crate::linux::world::{TTL_MS, World};

/// Plays it, as long as T6 wants it, or in the slice of CI for two leases: what is different from a
/// short stop begins at the end of the first.
pub(crate) fn run(options: &Options) -> Report {
    let leases = if options.in_full() { 10 } else { 2 };
    let _quiet = crate::linux::weather::QUIET.read();
    let world = World::new(options, None, None);
    world.tell(LONG, "3000");
    world.tell(CALM, "");
    let started = world.start(&["run", "quick", "api", "--apply"], &[]);
    // The command, and the process that has broken away from it.
    let alive = || {
        let journal = crate::linux::journal::read(&world.journal());
        journal.values().flatten().map(|record| record.pid).collect::<BTreeSet<_>>().len()
    };
    while alive() < 2 {
        clock::pass(std::time::Duration::from_millis(20));
    }
    let (from, tree) = (clock::now(), procs::tree(started.pid()));
    for process in &tree {
        process.signal(Signal::STOP);
    }
    clock::pass(std::time::Duration::from_millis(u64::try_from(leases * TTL_MS).expect("small")));
    world.running.note(started.pid(), Fault { kind: "stop-tree", from, to: clock::now() });
    for process in &tree {
        process.signal(Signal::CONT);
    }
    let run = started.wait();
    let mut verdict = checker::check(&world);
    if run.exit != Some(0) || verdict.landings != 1 || verdict.recovered > 0 {
        verdict.violations.push(format!("T6 the run did not carry on: {} {}", run.line(), run.out));
    }
    let kept = world.end(options.keep || !verdict.violations.is_empty());
    let title = format!("t6 on {}, {} processes stopped for {leases} leases", options.on.name(), tree.len());
    Report::of(&title, &verdict.violations, kept)
}
