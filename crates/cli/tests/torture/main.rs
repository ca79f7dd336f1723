//! The torture program: many real processes of the binary over real repositories, with a nemesis that
//! kills, freezes, interrupts, moves the clock, fills the disk and removes directories; and a checker
//! that proves T1 to T6 and T8 (`docs/reliability.md`).
//!
//! ```text
//! cargo test -p agents --all-features --test torture                      a bounded slice, as CI runs it
//! cargo test -p agents --all-features --test torture -- --seconds 600 --seed 7 --processes 12
//! cargo test -p agents --all-features --test torture -- --only t8         every crash point
//! cargo test -p agents --all-features --test torture -- --sabotage fence  must report violations
//! ```
//!
//! The exit code is not zero if anything was violated; the seed and the kept directory are printed.

mod chance;
mod checker;
mod child;
mod clock;
mod doctored;
mod drain;
mod freeze;
mod git;
mod journal;
mod nemesis;
mod options;
mod oracle;
mod procs;
mod random;
mod room;
mod runs;
mod scenes;
mod steps;
mod summary;
mod users;
mod world;

use std::process::ExitCode;

use options::Options;
use summary::Report;

#[expect(clippy::print_stdout, reason = "a test run says what it came to")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    match arguments.first().map(String::as_str) {
        Some(child::CHILD | child::STRAY) => return child::run(&arguments),
        Some(clock::TELL) => {
            println!("{}", clock::tell());
            return ExitCode::SUCCESS;
        }
        _ if arguments.iter().any(|argument| argument == "--list") => {
            // What test runners ask first; cargo itself never does.
            println!("torture: test");
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let options = match Options::read(&arguments) {
        Ok(options) => options,
        Err(problem) => {
            println!("torture: {problem}");
            return ExitCode::FAILURE;
        }
    };
    room::enter();
    println!("torture: seed {}", options.seed);
    let reports = play(&options);
    let well: Vec<bool> = reports.iter().map(|report| report.print(options.seed)).collect();
    if well.is_empty() || well.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Plays one part of the program.
type Part = fn(&Options) -> Vec<Report>;

/// All parts that are asked for, at once: each has a world of its own.
fn play(options: &Options) -> Vec<Report> {
    let parts: [(&str, Part); 5] = [
        ("random", |options| vec![random::run(options)]),
        ("doctored", |options| vec![doctored::run(options)]),
        ("scenes", scenes::run),
        ("t6", |options| vec![freeze::run(options)]),
        ("t8", |options| vec![steps::run(options)]),
    ];
    std::thread::scope(|scope| {
        let wanted = parts.into_iter().filter(|(name, _)| options.wants(name));
        let playing: Vec<_> =
            wanted.map(|(name, part)| scope.spawn(move || play_one(name, part, options))).collect();
        playing.into_iter().flat_map(|part| part.join().expect("the part is played")).collect()
    })
}

/// A part that needs the switches of the binary is not silently green without them.
fn play_one(name: &str, part: Part, options: &Options) -> Vec<Report> {
    if cfg!(feature = "sabotage") || !["scenes", "t8"].contains(&name) {
        return part(options);
    }
    let mut report = Report::of(name, &[], None);
    report.not_run.push(format!("{name}: the binary is built without the feature sabotage (--all-features)"));
    vec![report]
}
