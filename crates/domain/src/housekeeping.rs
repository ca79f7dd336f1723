//! What plans leave on disk, and the port to finding and removing it.

use std::path::PathBuf;

use async_trait::async_trait;

use crate::id::PlanId;
use crate::name::Name;
use crate::oid::Oid;
use crate::workspace::{Project, WorkspaceError};

/// What kind of thing was left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum LeftoverKind {
    /// The directory of an attempt.
    Worktree,
    /// A throwaway directory of a validation.
    Preview,
    /// A marker, or git's own record, of a directory that is not there.
    Record,
    /// Files beside the worktree: logs, strategy, guidance.
    Files {
        /// Whether the command put something into the attempt's folder for artifacts.
        artifacts: bool,
    },
    /// The plan branch.
    Branch {
        /// Where it is.
        tip: Oid,
        /// Whether a checkout is on it.
        checked_out: bool,
    },
    /// Something where a directory of ours would be, which is not ours.
    Foreign {
        /// How that is known.
        reason: String,
    },
}

/// One thing that a plan left.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Leftover {
    /// The plan.
    pub plan: PlanId,
    /// Of which attempt; `None` for what is the whole plan's.
    pub attempt: Option<u32>,
    /// In which project; `None` for files beside the worktrees.
    pub project: Option<Name>,
    /// What it is.
    pub kind: LeftoverKind,
    /// Where it is; of a branch, its repository.
    pub path: PathBuf,
    /// Its size in bytes.
    pub bytes: u64,
}

/// Finds and removes what plans leave. Each method makes one attempt and is safe to repeat.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Leftovers: Send + Sync {
    /// The plans that have left anything: on disk, or in these repositories.
    async fn plans(&self, projects: &[Project]) -> Result<Vec<PlanId>, WorkspaceError>;
    /// What one plan has left. Changes nothing.
    async fn of(&self, plan: PlanId, projects: &[Project]) -> Result<Vec<Leftover>, WorkspaceError>;
    /// Removes one of them, if it is still what it was: ours by its marker and its canonical path,
    /// a branch by compare-and-swap. Gone already is fine. If the process dies in between,
    /// repeating it goes on.
    async fn remove(&self, leftover: &Leftover, projects: &[Project]) -> Result<(), WorkspaceError>;
}
