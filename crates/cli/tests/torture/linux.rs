//! The program itself. It needs Linux: `/proc`, pidfds, the clock since boot, and a tmpfs.

mod chance;
mod checker;
mod child;
mod clock;
mod doctored;
mod drain;
mod freeze;
mod git;
mod journal;
mod machine;
mod machines;
mod nemesis;
mod options;
mod oracle;
mod place;
mod procs;
mod random;
mod room;
mod runs;
mod scenes;
mod steps;
mod summary;
mod trees;
mod users;
mod weather;
mod witness;
mod world;

use std::process::ExitCode;

use options::Options;
use summary::Report;
use users::Taste;

#[expect(clippy::print_stdout, reason = "a test run says what it came to")]
pub(crate) fn run(arguments: &[String]) -> ExitCode {
    match arguments.first().map(String::as_str) {
        Some(child::CHILD | child::STRAY) => return child::run(arguments),
        Some(clock::TELL) => {
            println!("{}", clock::tell());
            return ExitCode::SUCCESS;
        }
        _ => {}
    }
    let options = match Options::read(arguments) {
        Ok(options) => options,
        Err(problem) => {
            println!("torture: {problem}");
            return ExitCode::FAILURE;
        }
    };
    if options.filtered_out {
        println!("torture: filtered out");
        return ExitCode::SUCCESS;
    }
    room::enter();
    println!("torture: seed {}", options.seed);
    let reports = play(&options);
    let well: Vec<bool> = reports.iter().map(|report| report.print(options.seed)).collect();
    if well.is_empty() || well.contains(&false) { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// What the slice plays on a server, one after the other: what shows that the checker can fail there,
/// too, and then the random part.
fn on_a_server(options: &Options) -> Vec<Report> {
    let options = options.on_postgres();
    let mut reports = doctored::run(&options);
    reports.extend(scenes::run_one(&options, "fence"));
    reports.push(random::run(&options, Taste::Plans));
    reports
}

/// Plays one part of the program.
type Part = fn(&Options) -> Vec<Report>;

/// All parts that are asked for, at once: each has a world of its own.
fn play(options: &Options) -> Vec<Report> {
    let parts: [(&str, Part); 9] = [
        ("random", |options| vec![random::run(options, Taste::Plans)]),
        ("trees", |options| vec![random::run(options, Taste::Trees)]),
        ("doctored", doctored::run),
        ("scenes", scenes::run),
        ("t6", |options| vec![freeze::run(options)]),
        ("t8", |options| vec![steps::run(options, &steps::PLAN)]),
        ("postgres", on_a_server),
        ("machines", |options| vec![machines::run(options)]),
        ("t8-trees", |options| vec![steps::run(options, &steps::TREE)]),
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
    if cfg!(feature = "sabotage") || !["scenes", "postgres", "t8", "t8-trees"].contains(&name) {
        return part(options);
    }
    let mut report = Report::of(name, &[], None);
    report.not_run.push(format!("{name}: the binary is built without the feature sabotage (--all-features)"));
    vec![report]
}
