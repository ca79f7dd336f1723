//! The port to the files that a command of a plan reads and writes beside its worktree.

use std::path::PathBuf;
use std::time::Duration;

use async_trait::async_trait;
use thiserror::Error;

use crate::id::PlanId;
use crate::subplan::SubplanItem;
use crate::time::Timestamp;

/// Where the files of one attempt are. They live beside the worktrees, never inside.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AttemptPaths {
    /// Strategize writes it, execute reads it.
    pub strategy_file: PathBuf,
    /// Strategize may write the children of the plan here, one JSON object a line.
    pub subplans_file: PathBuf,
    /// What people added for this attempt.
    pub guidance_file: PathBuf,
    /// Whatever the command wants to keep beside the repository.
    pub artifacts_dir: PathBuf,
    /// The command writes JSON lines here.
    pub events_file: PathBuf,
    /// The output of every command of the attempt, with times.
    pub log: PathBuf,
}

/// When a command wants to be run again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// After so long.
    In(Duration),
    /// Not before then.
    At(Timestamp),
    /// It does not say.
    Unsaid,
}

/// What a command waits for that wants to be run again later.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Later {
    /// A person's answer.
    Answer {
        /// To this question.
        question: String,
    },
    /// Some time.
    Time {
        /// Until when.
        when: When,
        /// Why.
        reason: Option<String>,
    },
}

/// What the commands of an attempt wrote into their events file.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Said {
    /// The last word about being run again, if there is one.
    pub later: Option<Later>,
    /// What was not understood: one sentence, if it happened.
    pub ignored: Option<String>,
}

/// The children that a strategize phase asked for.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct AskedSubplans {
    /// In the order of their lines.
    pub items: Vec<SubplanItem>,
    /// What is wrong with lines of the file, each named by its number. With any, nothing of the file
    /// counts.
    pub problems: Vec<String>,
    /// The names on those lines, as far as they can be told: who depends on one of them is not wrong.
    pub unread: Vec<String>,
}

/// A file that could not be made or read.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{path}: {reason}")]
pub struct FilesError {
    /// The file.
    pub path: String,
    /// The system's word.
    pub reason: String,
}

/// Makes and reads the files of attempts.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait AttemptFiles: Send + Sync {
    /// Makes the attempt's files, with strategy and guidance in theirs. Safe to repeat.
    async fn prepare(
        &self,
        plan: PlanId,
        attempt: u32,
        strategy: &str,
        guidance: &str,
    ) -> Result<AttemptPaths, FilesError>;

    /// What strategize wrote, at most 1 MiB, lossily decoded; empty if it wrote nothing.
    async fn strategy(&self, paths: &AttemptPaths) -> Result<String, FilesError>;

    /// The children that strategize asked for in its file; none if it wrote nothing. Whatever is in
    /// it, memory and time are bounded: no more is read than a plan may have children.
    async fn subplans(&self, paths: &AttemptPaths) -> Result<AskedSubplans, FilesError>;

    /// What the attempt's commands said in their events file, whatever its size (the last 1 MiB is
    /// looked at) and whatever is in it.
    async fn said(&self, paths: &AttemptPaths) -> Result<Said, FilesError>;
}
