//! Doubles of what a driver works with: commands, repositories and files, all in memory and all
//! scripted. For tests, here and of embedders; no process is started and no disk is touched.
//!
//! ```text
//! ScriptedRunner ─── what each command comes to, by its purpose; a Gate holds one until told
//! ScriptedWorkspace ─ refs, worktrees, merges and landings; any call can fail or be interfered with
//! ScriptedFiles ──── the files beside the worktrees
//! ```
//!
//! With [`crate::memory::MemoryStore`], [`crate::clock::HandClock`], [`crate::ids::CountingIds`]
//! and a [`Census`] they make a whole world in which nothing happens by chance.

mod census;
mod files;
mod gate;
mod runner;
mod workspace;

pub use census::{Census, Citizen};
pub use files::ScriptedFiles;
pub use gate::Gate;
pub use runner::{Scripted, ScriptedRunner};
pub use workspace::{Moved, ScriptedWorkspace};

use std::sync::{Mutex, MutexGuard, PoisonError};

/// What a double knows; a test that panicked while it held it has failed already.
fn locked<T>(state: &Mutex<T>) -> MutexGuard<'_, T> {
    state.lock().unwrap_or_else(PoisonError::into_inner)
}
