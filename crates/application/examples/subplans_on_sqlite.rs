//! The same graph of subplans, kept in a SQLite file: should the program die, the next one finds
//! what was done, and by whom.
//!
//! `cargo run -p agents-application --example subplans_on_sqlite [DATABASE]`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "shared/survey.rs"]
mod survey;

use std::path::PathBuf;
use std::sync::Arc;

use agents_domain::lock::Processes as _;
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};

use survey::Stores;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    // A database that is named is kept.
    let scratch = tempfile::tempdir()?;
    let given = std::env::args().nth(1).filter(|argument| !argument.starts_with('-')).map(PathBuf::from);
    let found = run(given.unwrap_or_else(|| scratch.path().join("agents.db"))).await?;
    survey::check(&found);
    for (what, count) in found {
        println!("{what}: {count}");
    }
    Ok(())
}

async fn run(database: PathBuf) -> Result<Vec<(String, usize)>, Box<dyn std::error::Error>> {
    let here = SystemProcesses::new().myself("");
    let options =
        SqliteOptions::new(&database, Arc::new(SystemClock), here.boot_id, here.host, |source, origin| {
            action_file::parse(source, origin).map_err(|error| error.to_string())
        });
    let store = SqliteStore::create(options)?;
    survey::survey(Stores {
        locks: Arc::new(store.locks()),
        heartbeat: Arc::new(store.heartbeat_locks()),
        line: Arc::new(store.line()),
        pulse: Arc::new(store.pulse()),
        requests: Arc::new(store.requests()),
        plans: Arc::new(store.plans()),
        reads: Arc::new(store.reads()),
        actions: Arc::new(store.actions()),
        projects: Arc::new(store.projects()),
    })
    .await
}

#[test]
fn it_runs() {
    main().expect("as it does by itself");
}
