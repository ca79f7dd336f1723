//! The features, in the words of a user: in process and through the binary, on a file and on a server.
//!
//! `features/*.feature` at the root of the workspace is all there is to run. A scenario runs *in
//! process*, through [`agents_cli::run`], unless it is tagged `@process`; one tagged `@binary` or
//! `@process` runs *through the binary*. Each has a directory, a home and repositories of its own.
//!
//! What runs through the binary runs once on SQLite and once on PostgreSQL, with a database of its own,
//! unless it is tagged `@sqlite` or `@postgres`: those are about files, and about servers. Of those in
//! process, the ones tagged `@services` run on PostgreSQL too: they are about what embedders have.
//!
//! A step that is skipped, undefined or ambiguous fails the run, and so does a run without
//! scenarios: nothing here can be green by not having run. The last line counts.
//!
//! `--name TEXT` runs only the scenarios whose name, or whose feature's name, contains the text;
//! `--on sqlite` or `--on postgres` runs them on that database alone. Whatever else `cargo test` passes on
//! is ignored.

mod job;
mod pauses;
mod prometheus;
mod repository;
mod services;
mod steps;
mod stream;
mod world;

use std::path::Path;
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use agents_testing::postgres::Database;
use cucumber::event::ScenarioFinished;
use cucumber::gherkin::{Feature, Scenario};
use cucumber::{StatsWriter as _, World as _};

use crate::world::{On, Through, World};

/// Scenarios at once: most of their time is spent waiting for programs.
const AT_ONCE: usize = 4;

/// Each way that scenarios are run, and the database they are run on.
const WAYS: [(Through, On); 4] = [
    (Through::Library, On::Sqlite),
    (Through::Binary, On::Sqlite),
    (Through::Library, On::Postgres),
    (Through::Binary, On::Postgres),
];

/// What was asked for on the command line.
#[derive(Debug, Clone)]
struct Wanted {
    name: String,
    /// Empty: on both.
    on: String,
}

/// What came of all scenarios.
#[derive(Debug, Default)]
struct Counts {
    passed: AtomicUsize,
    failed: AtomicUsize,
}

#[expect(clippy::print_stdout, reason = "a test run says what it came to")]
fn main() -> ExitCode {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.iter().any(|argument| argument == "--list") {
        // What test runners ask first; cargo itself never does.
        println!("features: test");
        return ExitCode::SUCCESS;
    }
    let option = |name: &str| {
        let at = arguments.iter().position(|argument| argument == name);
        at.and_then(|at| arguments.get(at + 1)).cloned().unwrap_or_default()
    };
    let wanted = Wanted { name: option("--name"), on: option("--on") };
    let counts = Arc::new(Counts::default());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let broken = runtime.block_on(async {
        let mut broken = false;
        for (through, on) in WAYS {
            if wanted.on.is_empty() || wanted.on == on.name() {
                println!("== {through:?}, {on:?}");
                broken |= run(through, on, &wanted.name, &counts).await;
            }
        }
        broken
    });
    let (passed, failed) = (counts.passed.load(Ordering::SeqCst), counts.failed.load(Ordering::SeqCst));
    println!("features: {passed} passed, {failed} failed");
    if broken || failed > 0 || passed == 0 { ExitCode::FAILURE } else { ExitCode::SUCCESS }
}

/// Runs the scenarios that are meant for this way; whether anything at all went wrong.
async fn run(through: Through, on: On, name: &str, counts: &Arc<Counts>) -> bool {
    let features = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../features");
    let (name, counts) = (name.to_owned(), counts.clone());
    let finished = World::cucumber()
        .max_concurrent_scenarios(AT_ONCE)
        .before(move |_, _, _, world| {
            world.through = through;
            if on == On::Postgres {
                world.move_to(Database::fresh());
            }
            Box::pin(async {})
        })
        .after(move |_, _, _, outcome, _| {
            let passed = matches!(outcome, ScenarioFinished::StepPassed);
            let count = if passed { &counts.passed } else { &counts.failed };
            count.fetch_add(1, Ordering::SeqCst);
            Box::pin(async {})
        })
        .fail_on_skipped()
        .with_default_cli()
        .filter_run(features, move |feature, _, scenario| {
            let named = scenario.name.contains(&name) || feature.name.contains(&name);
            named && meant_for(through, on, feature, scenario)
        })
        .await;
    finished.execution_has_failed()
}

/// Tags of the feature hold for its scenarios.
fn meant_for(through: Through, on: On, feature: &Feature, scenario: &Scenario) -> bool {
    let tagged = |tag: &str| feature.tags.iter().chain(&scenario.tags).any(|found| found == tag);
    let other = if on == On::Sqlite { "postgres" } else { "sqlite" };
    let meant = match (through, on) {
        (Through::Library, On::Sqlite) => !tagged("process"),
        (Through::Library, On::Postgres) => tagged("services"),
        (Through::Binary, _) => tagged("binary") || tagged("process"),
    };
    meant && !tagged(other)
}
