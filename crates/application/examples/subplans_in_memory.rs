//! A graph of subplans with a phase runner of one's own: Rust functions, no git, no process, and a
//! store that is gone with the program.
//!
//! `cargo run -p agents-application --example subplans_in_memory`

#![expect(clippy::print_stdout, reason = "an example shows what it does")]

#[path = "shared/survey.rs"]
mod survey;

use std::sync::Arc;

use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::memory::MemoryStore;

use survey::Stores;

#[tokio::main(flavor = "current_thread")]
async fn main() -> Result<(), Box<dyn std::error::Error>> {
    let store = MemoryStore::new(Arc::new(SystemClock));
    let found = survey::survey(Stores {
        locks: store.locks(),
        heartbeat: store.locks(),
        line: store.line(),
        pulse: store.pulse(),
        requests: store.requests(),
        plans: store.plans(),
        reads: store.reads(),
        actions: store.actions(),
        projects: store.projects(),
    })
    .await?;
    survey::check(&found);
    for (what, count) in found {
        println!("{what}: {count}");
    }
    Ok(())
}

#[test]
fn it_runs() {
    main().expect("as it does by itself");
}
