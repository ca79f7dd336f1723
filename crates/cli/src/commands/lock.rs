//! `agents lock …`: who holds what.

use agents_domain::lock::{LockFilter, LockKey};

use crate::app::App;
use crate::args::lock::LockCommand;
use crate::failure::Failure;
use crate::render::{Report, lock_report, locks_report};

/// Runs one of them.
pub fn lock(app: &App, command: &LockCommand) -> Result<Report, Failure> {
    match command {
        LockCommand::List { stale } => list(app, *stale),
        LockCommand::Show { key } => show(app, key),
    }
}

fn list(app: &App, stale_only: bool) -> Result<Report, Failure> {
    let locks = app.block_on(app.locks().list(&LockFilter { key: None, stale_only }))?;
    Ok(locks_report(&locks, &|holder| app.liveness(holder), app.now()))
}

fn show(app: &App, key: &LockKey) -> Result<Report, Failure> {
    let filter = LockFilter { key: Some(key.clone()), stale_only: false };
    let held = app.block_on(app.locks().list(&filter))?;
    let lock = held.first().ok_or_else(|| {
        Failure::not_found("not_held", format!("nobody holds {key}")).hint("agents lock list")
    })?;
    Ok(lock_report(lock, &|holder| app.liveness(holder), app.now()))
}
