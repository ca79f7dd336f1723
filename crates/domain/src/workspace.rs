//! The ports to the repositories: worktrees of attempts, and landing.

mod machine;

use std::path::PathBuf;

use async_trait::async_trait;
use thiserror::Error;

use crate::action::MergeStrategy;
use crate::id::{IntentId, PlanId};
use crate::lock::FencingToken;
use crate::name::Name;
use crate::oid::Oid;

pub use machine::{Machine, NotHere, Remote, Site, all_here};

/// A git repository registered under a name.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Project {
    /// Its name.
    pub name: Name,
    /// The root of the user's checkout.
    pub path: PathBuf,
    /// The common git directory; one project each.
    pub common_dir: PathBuf,
    /// The branch that plans land on, without `refs/heads/`.
    pub branch: String,
    /// The machine that registered it, on which `path` and `common_dir` mean something; `None`: it
    /// was registered before machines were told apart.
    pub machine: Option<Machine>,
    /// The repository that all machines share. With one, it is the truth: plans start from its
    /// branch and land on it, and the checkout is only a place to copy files from.
    pub remote: Option<Remote>,
}

impl Project {
    /// The full ref of the branch that plans land on.
    pub fn target_ref(&self) -> String {
        format!("refs/heads/{}", self.branch)
    }
}

/// One attempt of one plan in one project; it has a directory of its own, never reused.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Slot {
    /// The plan.
    pub plan: PlanId,
    /// The attempt.
    pub attempt: u32,
    /// The project.
    pub project: Project,
}

/// Where a branch is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Head {
    /// Its commit.
    pub commit: Oid,
    /// Whether the user's checkout has uncommitted changes, which plans do not see.
    pub dirty: bool,
    /// Whether the branch in the user's checkout has commits that the remote lacks, which plans do
    /// not see either.
    pub unpushed: bool,
}

/// What an attempt left behind, safe in a git ref.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Snapshot {
    /// The commit with everything tracked and untracked; its parent is the worktree's HEAD.
    pub commit: Oid,
    /// The ref that keeps it, created and never overwritten.
    pub reference: String,
    /// The paths that differ from where the attempt started.
    pub changed: Vec<String>,
    /// Why the directory must stay although the snapshot was made; `None`: it may go.
    pub keep_directory: Option<String>,
}

/// What a merge is asked to do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MergeRequest {
    /// The plan that lands.
    pub plan: PlanId,
    /// The project.
    pub project: Project,
    /// The tip of the plan's work.
    pub tip: Oid,
    /// Merge commit or squash.
    pub strategy: MergeStrategy,
    /// The commit message.
    pub message: String,
    /// Whether a file that both sides changed since their merge base is a conflict even where it
    /// would merge, or where both made the same change.
    pub exclusive: bool,
}

/// What came of a merge. Nothing but objects was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Merged {
    /// `new` holds the result on top of `old`, where the target is now.
    Clean {
        /// Where the target branch is.
        old: Oid,
        /// The commit that would land.
        new: Oid,
    },
    /// The plan changes nothing on the target.
    Empty {
        /// Where the target branch is.
        old: Oid,
    },
    /// Both sides changed the same places, or the same files if the request is exclusive.
    Conflict {
        /// The merge base that the merge used, for people; one of them if there are several, `None`
        /// if there is none.
        base: Option<Oid>,
        /// Ours: where the target branch is. Theirs is the tip of the request.
        old: Oid,
        /// The paths in conflict.
        files: Vec<String>,
        /// Who changed them on the target since the plan began, newest first; not all of them, if
        /// there are many.
        movers: Vec<Mover>,
    },
}

/// A commit on the target branch that is in a plan's way.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Mover {
    /// The commit.
    pub commit: Oid,
    /// The first line of its message.
    pub subject: String,
    /// The plan whose landing it is, by the trailer `Agents-Plan`.
    pub plan: Option<PlanId>,
}

/// The recorded decision to move one branch once.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Intent {
    /// Names the marker ref `refs/agents/landed/<id>`.
    pub id: IntentId,
    /// The project.
    pub project: Name,
    /// The full name of the ref to move.
    pub reference: String,
    /// Where it must be.
    pub old: Oid,
    /// Where it goes.
    pub new: Oid,
}

impl Intent {
    /// The ref whose existence says that this landing is settled: at `new`, or a tag that leads to it,
    /// it has happened; at `old`, it was given up and cannot happen any more.
    pub fn marker(&self) -> String {
        format!("refs/agents/landed/{}", self.id)
    }

    /// The ref on a remote by which other machines have the commit until it has landed.
    pub fn shared(&self) -> String {
        format!("refs/agents/intended/{}", self.id)
    }
}

/// What came of carrying out an intent.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Landing {
    /// The branch moved, now or at an earlier try.
    Landed,
    /// Somebody moved the branch, which stays as it is. The marker says that the intent is given up:
    /// nobody lands by it any more, also if the branch goes back to `old`.
    MovedAway {
        /// Where it is now; `None`: it is gone.
        found: Option<Oid>,
    },
}

/// What git could not do. Nothing was changed unless a variant says so.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum WorkspaceError {
    /// The git program is missing or too old.
    #[error("{reason}")]
    GitUnusable {
        /// What was found and what is needed.
        reason: String,
    },
    /// A repository that cannot be worked with.
    #[error("{path} cannot be used: {reason}")]
    Unsuitable {
        /// The path as given.
        path: String,
        /// Why.
        reason: String,
    },
    /// The directory of an attempt is not there: never made, or removed since.
    #[error("{path} is not there")]
    NoDirectory {
        /// The directory.
        path: String,
    },
    /// The branch is not there.
    #[error("{project} has no branch `{branch}`")]
    NoBranch {
        /// The project.
        project: Name,
        /// The branch.
        branch: String,
    },
    /// A compare-and-swap found the ref elsewhere.
    #[error("{reference} is not where it should be: expected {expected}, found {found}")]
    RefMoved {
        /// The ref.
        reference: String,
        /// What it should have been.
        expected: String,
        /// What it is.
        found: String,
    },
    /// The user's checkout has changes where the landing would write.
    #[error("uncommitted changes in {path} are in the way: {}", files.join(", "))]
    DirtyCheckout {
        /// The checkout.
        path: String,
        /// The files in the way.
        files: Vec<String>,
    },
    /// A project that is at home on another machine.
    #[error(transparent)]
    NotHere(#[from] NotHere),
    /// The remote of a project cannot be used just now: it is out of reach, or somebody else is at it. To try
    /// again may help. What was asked of it last may have been done all the same, if its answer did not come;
    /// who tries again looks first.
    #[error("{project}: the remote {url} cannot be used: {reason}")]
    Remote {
        /// The project.
        project: Name,
        /// Where it is.
        url: String,
        /// What it said, and what helps.
        reason: String,
    },
    /// The remote of a project refuses, and will as long as nobody does something about it: a hook or a rule
    /// there is against what it was asked for, it lets nobody in like this, or it is not where it should be.
    /// Nothing was changed there by this call; earlier ones may have.
    #[error("{project}: the remote {url} refuses: {reason}")]
    RemoteRefused {
        /// The project.
        project: Name,
        /// Where it is.
        url: String,
        /// What it said.
        reason: String,
        /// What a person has to do: the beginning of a sentence.
        remedy: String,
    },
    /// The remote was asked to land, and what became of it is not known: it went out of reach.
    #[error("{project}: whether {reference} has moved on the remote is not known: {reason}")]
    LandingUnknown {
        /// The project.
        project: Name,
        /// The ref.
        reference: String,
        /// What went wrong.
        reason: String,
    },
    /// A commit that is only on another machine.
    #[error(
        "{project}: the commit {commit} is not on this machine, nor on the project's remote; {}",
        pending_on(host.as_deref())
    )]
    NoCommit {
        /// The project.
        project: Name,
        /// The commit.
        commit: Oid,
        /// The machine that made it and has not pushed it, if that is known.
        host: Option<String>,
    },
    /// A git command failed.
    #[error("`git {command}` failed in {path}: {message}")]
    Git {
        /// Its first words.
        command: String,
        /// Where.
        path: String,
        /// What it said on stderr.
        message: String,
    },
}

fn pending_on(host: Option<&str>) -> String {
    host.map_or_else(
        || "the machine that made it has it".to_owned(),
        |host| format!("it is pending on {host}"),
    )
}

/// Directories of attempts. Each method makes one attempt and is safe to repeat after a crash.
///
/// All but `close` refuse a project that is at home on another machine ([`WorkspaceError::NotHere`]).
/// With a remote, `head` and `settle` look there first, and `advance` moves the branch there too.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Worktrees: Send + Sync {
    /// Where the project's branch is now. Changes nothing.
    async fn head(&self, project: &Project) -> Result<Head, WorkspaceError>;
    /// Makes the attempt's directory, detached at `start`, and copies `copy` into it from the
    /// user's checkout. If the process dies right after, the directory is found and kept.
    async fn open(&self, slot: &Slot, start: &Oid, copy: &[String]) -> Result<PathBuf, WorkspaceError>;
    /// Puts everything tracked and untracked in the attempt's directory, less ignored and copied
    /// files, into a ref of its own. Nothing is removed. Repeating it returns the first snapshot if
    /// the directory has not changed, also one of an earlier token; if it has, it is an error that
    /// names the ref of this token. Without a directory: the newest snapshot of the attempt, or
    /// else [`WorkspaceError::NoDirectory`].
    async fn snapshot(
        &self,
        slot: &Slot,
        start: &Oid,
        token: Option<FencingToken>,
        copied: &[String],
    ) -> Result<Snapshot, WorkspaceError>;
    /// Removes the attempt's directory, if we made it. Call it only once its snapshot is safe.
    async fn close(&self, slot: &Slot) -> Result<(), WorkspaceError>;
    /// The tip to work from: the plan branch `agents/plan-<ULID>`, brought up to `recorded` first
    /// if a crash left it behind or it is gone. Ahead of it (a person added commits): the branch
    /// wins. Neither: [`WorkspaceError::RefMoved`], unless it is at one of `earlier`: results of the plan
    /// that are not what counts any more. With nothing recorded: where the branch is.
    async fn settle(
        &self,
        project: &Project,
        plan: PlanId,
        recorded: Option<Oid>,
        earlier: &[Oid],
    ) -> Result<Option<Oid>, WorkspaceError>;
    /// Moves the plan branch `agents/plan-<ULID>` from `old` (`None`: absent) to `new` by
    /// compare-and-swap. Already at `new`: done before.
    async fn advance(
        &self,
        project: &Project,
        plan: PlanId,
        old: Option<Oid>,
        new: &Oid,
    ) -> Result<(), WorkspaceError>;
    /// Whether this machine has that result of a plan and, as far as it knows, the remote has not: its push
    /// failed, or was never made. Asks nobody.
    async fn unpushed(&self, project: &Project, plan: PlanId, recorded: &Oid)
    -> Result<bool, WorkspaceError>;
    /// Whether this machine has that commit, or can have it from the project's remote, among the
    /// snapshots of the plan.
    async fn holds(&self, project: &Project, plan: PlanId, commit: &Oid) -> Result<bool, WorkspaceError>;
}

/// Landing a plan's work on a branch: once, whoever does it, however often it is tried.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Landings: Send + Sync {
    /// Merges onto where the target is now. Writes objects only.
    async fn merge(&self, request: &MergeRequest) -> Result<Merged, WorkspaceError>;
    /// Whether checkouts of the ref could follow it from `old` to `new`. Changes nothing.
    async fn check_checkout(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    /// Puts `new` where every machine can have it that may have to carry the intent out; without a
    /// remote it is there already. Called before the intent is recorded.
    async fn share(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    /// Moves the ref and creates the marker in one ref transaction, unless the marker is there; with
    /// a remote, there. [`WorkspaceError::LandingUnknown`]: repeating it tells. If the ref has moved
    /// away, the marker is created alone, so that nobody who is late can move it; repeating it says so
    /// again.
    async fn land(&self, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError>;
    /// Moves checkouts of the landed ref along, keeping unrelated changes. Idempotent.
    async fn follow(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError>;
    /// A throwaway directory with that commit checked out, for validations.
    async fn preview(&self, slot: &Slot, commit: &Oid) -> Result<PathBuf, WorkspaceError>;
    /// Removes the throwaway directory again.
    async fn close_preview(&self, slot: &Slot) -> Result<(), WorkspaceError>;
}
