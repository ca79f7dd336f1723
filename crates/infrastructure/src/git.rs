//! The repositories, by the `git` command line: worktrees of attempts, snapshots, landings.
//!
//! [`GitWorkspace`] is the adapter of the ports [`Worktrees`] and [`Landings`]; [`fn@inspect`] and
//! [`locate`] say what a path is before it becomes a project; [`fn@diff`], [`snapshots`] and
//! [`fn@export`] show and restore what came of a plan. Every port method does all of its
//! work inside one blocking task, which runs to its end even if the caller is dropped.
//!
//! What holds everywhere:
//!
//! - The user's checkout changes only in `follow`; the user's branches only in `land`; with a remote
//!   neither does, and what moves, moves there.
//! - No hook of the repository runs: not for worktrees, not for snapshots, not for landings.
//! - A directory is removed only if a marker beside it says that we made it, and its canonical
//!   path is the one we gave it.
//! - Refs move by compare-and-swap; snapshots and markers are created, never overwritten.

mod answers;
mod checkout;
mod command;
mod commits;
mod copy;
mod deadline;
mod escort;
mod export;
mod failure;
mod identity;
mod index;
mod inspect;
mod keep;
mod kept;
mod land;
mod leftovers;
mod merge;
mod mirror;
mod movers;
mod output;
mod paths;
mod plan_branch;
mod refs;
mod register;
mod remote;
mod results;
mod snapshot;
mod touched;
mod version;
mod worktree;

use std::path::{Path, PathBuf};

use agents_domain::housekeeping::{Leftover, Leftovers};
use agents_domain::id::PlanId;
use agents_domain::lock::FencingToken;
use agents_domain::oid::Oid;
use agents_domain::workspace::{
    Head, Intent, Landing, Landings, Machine, MergeRequest, Merged, Project, Slot, Snapshot, WorkspaceError,
    Worktrees,
};
use async_trait::async_trait;

pub use command::Git;
pub use escort::{ESCORT_COMMAND, run_escort};
pub use export::export;
pub use inspect::{Found, check_project, inspect, locate};
pub use kept::Kept;
pub use mirror::Grounds;
pub use register::{check_remote, chosen_remote, secret, without_secrets};
pub use results::{FileChange, Tip, bring, changed_files, diff, plan_tip, snapshots};

use leftovers::Ground;
use paths::Kind;

/// Worktrees, snapshots and landings in real repositories.
///
/// Directories of attempts live in `<state dir>/worktrees/<ULID>/<attempt>/`.
#[derive(Debug, Clone)]
pub struct GitWorkspace {
    git: Git,
    root: PathBuf,
    files: PathBuf,
    grounds: Grounds,
}

impl GitWorkspace {
    /// Works below `state_dir`, which is made when it is first needed; on the only machine, unless
    /// told ([`GitWorkspace::on`]).
    pub fn new(git: Git, state_dir: &Path) -> Self {
        let (root, files) = (state_dir.join("worktrees"), state_dir.join("attempts"));
        Self { git, root, files, grounds: Grounds::new(None, state_dir) }
    }

    /// As that machine among others: a project of another is refused, or worked on in a mirror.
    #[must_use]
    pub fn on(self, machine: Machine, state_dir: &Path) -> Self {
        Self { grounds: Grounds::new(Some(machine), state_dir), ..self }
    }

    /// The project as it is on this machine.
    fn here(&self, project: &Project) -> Result<Project, WorkspaceError> {
        self.grounds.here(&self.git, project)
    }

    fn slot(&self, slot: &Slot) -> Result<Slot, WorkspaceError> {
        Ok(Slot { project: self.here(&slot.project)?, ..slot.clone() })
    }

    /// Those of which this machine has a repository.
    fn all_here(&self, projects: &[Project]) -> Result<Vec<Project>, WorkspaceError> {
        let found = |project| self.grounds.found(&self.git, project).transpose();
        projects.iter().filter_map(found).collect()
    }

    fn ground(&self) -> Ground<'_> {
        Ground { git: &self.git, root: &self.root, files: &self.files }
    }

    /// Runs the whole of `work` in one blocking task. A panic in it goes on in the caller.
    async fn blocking<T, F>(&self, work: F) -> Result<T, WorkspaceError>
    where
        T: Send + 'static,
        F: FnOnce(&Self) -> Result<T, WorkspaceError> + Send + 'static,
    {
        let workspace = self.clone();
        let task = tokio::task::spawn_blocking(move || {
            workspace.git.check()?;
            work(&workspace)
        });
        task.await.unwrap_or_else(|ended| std::panic::resume_unwind(ended.into_panic()))
    }
}

#[async_trait]
impl Worktrees for GitWorkspace {
    async fn head(&self, project: &Project) -> Result<Head, WorkspaceError> {
        let project = project.clone();
        self.blocking(move |at| refs::head(&at.git, &at.here(&project)?)).await
    }

    async fn open(&self, slot: &Slot, start: &Oid, copy: &[String]) -> Result<PathBuf, WorkspaceError> {
        let (slot, start, copy) = (slot.clone(), start.clone(), copy.to_vec());
        self.blocking(move |at| {
            let slot = at.slot(&slot)?;
            copy::possible(&slot.project, &copy)?;
            let files = copy::check(&slot.project.path, &copy)?;
            commits::need(&at.git, &slot.project, slot.plan, &start)?;
            let dir = worktree::add(&at.git, &at.root, &slot, Kind::Attempt, &start)?;
            copy::copy(&slot.project.path, &dir, &files)?;
            Ok(dir)
        })
        .await
    }

    async fn snapshot(
        &self,
        slot: &Slot,
        start: &Oid,
        token: Option<FencingToken>,
        copied: &[String],
    ) -> Result<Snapshot, WorkspaceError> {
        let (slot, start, copied) = (slot.clone(), start.clone(), copied.to_vec());
        self.blocking(move |at| {
            let slot = at.slot(&slot)?;
            let snapshot = snapshot::take(&at.git, &at.root, &slot, &start, token, &copied)?;
            commits::push_snapshot(&at.git, &slot.project, &snapshot);
            Ok(snapshot)
        })
        .await
    }

    async fn close(&self, slot: &Slot) -> Result<(), WorkspaceError> {
        let slot = slot.clone();
        self.blocking(move |at| {
            // A directory here is ours whatever its project is.
            let slot = at.slot(&slot).unwrap_or(slot);
            worktree::remove(&at.git, &at.root, &slot, Kind::Attempt)
        })
        .await
    }

    async fn settle(
        &self,
        project: &Project,
        plan: PlanId,
        recorded: Option<Oid>,
        earlier: &[Oid],
    ) -> Result<Option<Oid>, WorkspaceError> {
        let (project, earlier) = (project.clone(), earlier.to_vec());
        self.blocking(move |at| {
            plan_branch::settle(&at.git, &at.here(&project)?, plan, recorded.as_ref(), &earlier)
        })
        .await
    }

    async fn unpushed(
        &self,
        project: &Project,
        plan: PlanId,
        recorded: &Oid,
    ) -> Result<bool, WorkspaceError> {
        let (project, recorded) = (project.clone(), recorded.clone());
        self.blocking(move |at| {
            // Where there is no repository of it, nothing was made.
            let Some(project) = at.grounds.found(&at.git, &project)? else { return Ok(false) };
            plan_branch::unpushed(&at.git, &project, plan, &recorded)
        })
        .await
    }

    async fn advance(
        &self,
        project: &Project,
        plan: PlanId,
        old: Option<Oid>,
        new: &Oid,
    ) -> Result<(), WorkspaceError> {
        let (project, new) = (project.clone(), new.clone());
        self.blocking(move |at| plan_branch::advance(&at.git, &at.here(&project)?, plan, old.as_ref(), &new))
            .await
    }

    async fn holds(&self, project: &Project, plan: PlanId, commit: &Oid) -> Result<bool, WorkspaceError> {
        let (project, commit) = (project.clone(), commit.clone());
        self.blocking(move |at| commits::held(&at.git, &at.here(&project)?, plan, &commit)).await
    }
}

#[async_trait]
impl Landings for GitWorkspace {
    async fn merge(&self, request: &MergeRequest) -> Result<Merged, WorkspaceError> {
        let request = request.clone();
        self.blocking(move |at| {
            let project = at.here(&request.project)?;
            merge::merge(&at.git, &MergeRequest { project, ..request })
        })
        .await
    }

    async fn check_checkout(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        let (project, intent) = (project.clone(), intent.clone());
        self.blocking(move |at| {
            let landing = checkout::Move::of_landing(&project, &intent);
            landing.map_or(Ok(()), |moved| checkout::check(&at.git, &at.here(&project)?, &moved))
        })
        .await
    }

    async fn share(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        if project.remote.is_none() {
            return Ok(());
        }
        let (project, intent) = (project.clone(), intent.clone());
        self.blocking(move |at| land::share(&at.git, &at.here(&project)?, &intent)).await
    }

    async fn land(&self, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
        let (project, intent) = (project.clone(), intent.clone());
        self.blocking(move |at| land::land(&at.git, &at.here(&project)?, &intent)).await
    }

    async fn follow(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        let (project, intent) = (project.clone(), intent.clone());
        self.blocking(move |at| {
            let landing = checkout::Move::of_landing(&project, &intent);
            landing.map_or(Ok(()), |moved| checkout::follow(&at.git, &at.here(&project)?, &moved))
        })
        .await
    }

    async fn preview(&self, slot: &Slot, commit: &Oid) -> Result<PathBuf, WorkspaceError> {
        let (slot, commit) = (slot.clone(), commit.clone());
        self.blocking(move |at| {
            let slot = at.slot(&slot)?;
            commits::need(&at.git, &slot.project, slot.plan, &commit)?;
            // One left by a crash is worth nothing: a preview is thrown away anyway.
            worktree::remove(&at.git, &at.root, &slot, Kind::Preview)?;
            worktree::add(&at.git, &at.root, &slot, Kind::Preview, &commit)
        })
        .await
    }

    async fn close_preview(&self, slot: &Slot) -> Result<(), WorkspaceError> {
        let slot = slot.clone();
        self.blocking(move |at| worktree::remove(&at.git, &at.root, &at.slot(&slot)?, Kind::Preview)).await
    }
}

#[async_trait]
impl Leftovers for GitWorkspace {
    async fn plans(&self, projects: &[Project]) -> Result<Vec<PlanId>, WorkspaceError> {
        let projects = projects.to_vec();
        self.blocking(move |at| at.ground().plans(&at.all_here(&projects)?)).await
    }

    async fn of(&self, plan: PlanId, projects: &[Project]) -> Result<Vec<Leftover>, WorkspaceError> {
        let projects = projects.to_vec();
        self.blocking(move |at| at.ground().of(plan, &at.all_here(&projects)?)).await
    }

    async fn remove(&self, leftover: &Leftover, projects: &[Project]) -> Result<(), WorkspaceError> {
        let (leftover, projects) = (leftover.clone(), projects.to_vec());
        self.blocking(move |at| at.ground().remove(&leftover, &at.all_here(&projects)?)).await
    }
}
