//! The words between a scheduler and whoever carries out what it wants: where a child is, what is to
//! be done, what is found after a crash.

use super::NodeId;

/// Why a child was cancelled.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Cause {
    /// One that it depends on, directly or not, did not succeed.
    Skipped {
        /// The first in the chain.
        by: NodeId,
    },
    /// Another one failed, and failures end everything (`fail_fast`).
    FailFast {
        /// The other one.
        by: NodeId,
    },
    /// Somebody cancelled it, or its parent.
    Asked,
}

/// Where a child is, to its scheduler.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Status {
    /// What it depends on has not all been merged.
    Waiting,
    /// It may begin once a slot is free.
    Ready,
    /// It runs.
    Running,
    /// It runs, and is to end; its result will not count.
    Stopping(Cause),
    /// Its work is done and is to be merged into the parent's.
    Merging,
    /// It waits for a person's answer.
    Parked,
    /// Its work and that of another one, or of a person, do not go together. A person resolves it.
    Conflicted,
    /// Done: its work is part of the parent's.
    Merged,
    /// Its attempts are used up.
    Failed,
    /// It is given up.
    Cancelled(Cause),
}

impl Status {
    /// Whether nothing more will come of it.
    pub const fn is_settled(self) -> bool {
        matches!(self, Self::Merged | Self::Failed | Self::Cancelled(_))
    }
}

/// What is to be done.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// Begin an attempt of it.
    Start(NodeId),
    /// Merge its work into the parent's. One after the other.
    Merge(NodeId),
    /// End what it runs, and tell [`cancelled`](super::Scheduler::cancelled) once that is so.
    Stop(NodeId, Cause),
    /// Record that it is given up. It never ran, or does not run.
    Cancel(NodeId, Cause),
}

/// What is found of a child when its scheduler is made anew.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Found {
    /// It has not begun, or is to begin again.
    Queued,
    /// It runs, or its runner is dead and it will be found so.
    Running,
    /// Its work is done but not merged.
    Executed,
    /// Its work is merged.
    Merged,
    /// Its last attempt failed.
    Failed,
    /// It is given up.
    Cancelled(Cause),
}

/// How many children are where.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Totals {
    /// Waiting or ready.
    pub queued: u32,
    /// Running, stopping or being merged.
    pub running: u32,
    /// Waiting for a person's answer.
    pub parked: u32,
    /// In conflict.
    pub conflicted: u32,
    /// Merged.
    pub merged: u32,
    /// Failed.
    pub failed: u32,
    /// Cancelled.
    pub cancelled: u32,
}

impl Totals {
    /// Whether nothing more will come of any of them.
    pub const fn is_settled(&self) -> bool {
        self.queued + self.running + self.parked + self.conflicted == 0
    }

    /// Whether all have settled or wait, directly or not, for a person: to answer, or to resolve a
    /// conflict.
    pub const fn is_stalled(&self) -> bool {
        self.running == 0 && self.parked + self.conflicted > 0
    }
}
