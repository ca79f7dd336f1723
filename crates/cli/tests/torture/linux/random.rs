//! The random part, and that with trees alone: many users, one nemesis, for a while; then the end,
//! and the judgement.

use std::sync::atomic::{AtomicBool, Ordering};

use crate::linux::checker;
use crate::linux::clock;
use crate::linux::drain;
use crate::linux::nemesis;
use crate::linux::options::Options;
use crate::linux::summary::{self, Report};
use crate::linux::users::{self, Taste};
use crate::linux::weather::Storm;
use crate::linux::world::World;

/// Runs it; the report says what was violated.
pub(crate) fn run(options: &Options, taste: Taste) -> Report {
    let megabytes = 192 + options.duration().as_secs();
    let world = World::new(options, options.sabotage.as_deref(), Some(megabytes));
    let world = world.without_counters().with_trees();
    let (hands, not_run) = nemesis::prepare(&world, &options.faults());
    let mut storm = Storm::over(&world, &options.faults());
    let (over, calm) = (AtomicBool::new(false), AtomicBool::new(false));
    std::thread::scope(|scope| {
        for name in 0..options.processes {
            let (world, over) = (&world, &over);
            scope.spawn(move || users::work(world, name, taste, over));
        }
        let rage = |mut hand: nemesis::Nemesis<'_>| hand.rage(&calm);
        let raging: Vec<_> = hands.into_iter().map(|hand| scope.spawn(move || rage(hand))).collect();
        let raging_above = storm.as_mut().map(|storm| scope.spawn(|| storm.rage(&calm)));
        clock::pass(options.duration());
        // Faults first: whoever is frozen goes on, and everybody comes to an end.
        calm.store(true, Ordering::SeqCst);
        for hand in raging {
            hand.join().expect("the nemesis is well");
        }
        if let Some(storm) = raging_above {
            storm.join().expect("the storm is over");
        }
        over.store(true, Ordering::SeqCst);
    });
    let stuck = drain::drain(&world);
    let mut verdict = checker::check(&world);
    verdict.violations.extend(stuck);
    verdict.violations.extend(checker::settled(&world));
    let title = format!("{} on {}", taste.part(), options.on.name());
    let directory = world.end(options.keep || !verdict.violations.is_empty());
    let mut report = Report::of(&title, &verdict.violations, directory);
    report.lines = summary::figures(&verdict);
    report.not_run = not_run;
    report
}
