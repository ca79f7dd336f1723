//! Repositories without git: refs in a map, commits as numbers, worktrees as lists of edits.
//!
//! It keeps the promises of the ports [`Worktrees`] and [`Landings`] that a driver builds on:
//! directories are never reused, snapshots never overwritten, refs move by compare-and-swap, and a
//! marker makes each landing happen once, or, given up, not at all; of a project with a remote only once its
//! commit was shared.
//! Merges conflict where a test says so, and, if they are exclusive, in the files that both sides wrote. Every call can be made to fail, or be interfered with
//! right before it does its work ([`ScriptedWorkspace::before`]).

mod landings;
mod state;
mod worktrees;

use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, Slot, WorkspaceError};

use super::locked;
use state::State;

/// One move of a target branch by a landing.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The project.
    pub project: Name,
    /// From where.
    pub old: Oid,
    /// To where.
    pub new: Oid,
}

/// Repositories in memory. Clones share them.
///
/// ```
/// use agents_domain::{name::Name, workspace::{Project, Worktrees}};
/// use agents_infrastructure::scripted::ScriptedWorkspace;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let project = Project {
///     name: Name::parse("api").expect("valid"),
///     path: "/src/api".into(),
///     common_dir: "/src/api/.git".into(),
///     branch: "main".to_owned(),
///     machine: None,
///     remote: None,
/// };
/// let workspace = ScriptedWorkspace::default();
/// let first = workspace.add(&project);
/// assert_eq!(workspace.head(&project).await.expect("there").commit, first);
/// # }
/// ```
#[derive(Clone, Default)]
pub struct ScriptedWorkspace(Arc<Mutex<State>>);

impl ScriptedWorkspace {
    /// Makes a repository with one commit on its target branch.
    pub fn add(&self, project: &Project) -> Oid {
        self.commit(project, &project.target_ref())
    }

    /// Puts a commit on top of a ref, as a person would; makes the ref if there is none.
    pub fn commit(&self, project: &Project, reference: &str) -> Oid {
        let mut state = locked(&self.0);
        let parents = state.read(project, reference).into_iter().collect();
        let commit = state.draw(parents, Vec::new());
        state.set(project, reference, commit.clone());
        commit
    }

    /// Puts a ref at a commit, as a person might, or another plan.
    pub fn set(&self, project: &Project, reference: &str, to: &Oid) {
        locked(&self.0).set(project, reference, to.clone());
    }

    /// Removes a ref, as a person might.
    pub fn delete(&self, project: &Project, reference: &str) {
        locked(&self.0).refs.remove(&(project.name.clone(), reference.to_owned()));
    }

    /// Where a ref is.
    pub fn read(&self, project: &Project, reference: &str) -> Option<Oid> {
        locked(&self.0).read(project, reference)
    }

    /// Whether a commit is, or comes after, another.
    pub fn contains(&self, commit: &Oid, ancestor: &Oid) -> bool {
        locked(&self.0).contains(commit, ancestor)
    }

    /// Changes a file in the worktree at that directory, as a command would.
    pub fn write(&self, directory: &Path, file: &str) {
        if let Some(tree) = locked(&self.0).trees.values_mut().find(|tree| tree.directory == directory) {
            tree.edits.push(file.to_owned());
        }
    }

    /// Takes back all that was written in an attempt's directory.
    pub fn discard(&self, slot: &Slot) {
        if let Some(tree) = locked(&self.0).trees.get_mut(&state::key(slot)) {
            tree.edits.clear();
        }
    }

    /// From now on the user's checkout has uncommitted changes.
    pub fn dirty(&self, project: &Project) {
        locked(&self.0).dirty.insert(project.name.clone());
    }

    /// From now on merges conflict in these files; in none: not any more.
    pub fn conflict(&self, project: &Project, files: &[&str]) {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        locked(&self.0).conflicts.insert(project.name.clone(), files);
    }

    /// From now on merges of this plan conflict in these files; in none: not any more.
    pub fn conflict_of(&self, plan: PlanId, files: &[&str]) {
        let files = files.iter().map(|file| (*file).to_owned()).collect();
        locked(&self.0).conflicts_of.insert(plan, files);
    }

    /// From now on each directory must be kept after its snapshot, for this reason.
    pub fn keep_directories(&self, reason: &str) {
        locked(&self.0).keep = Some(reason.to_owned());
    }

    /// From now on that commit is on another machine only.
    pub fn lack(&self, project: &Project, commit: &Oid) {
        locked(&self.0).lacking.insert((project.name.clone(), commit.clone()));
    }

    /// Something that happens once, right before the `nth` call (from 1) of a port method does its
    /// work. With an error that call does nothing but return it.
    pub fn before(
        &self,
        method: &'static str,
        nth: u32,
        hook: impl FnOnce(&Self) -> Result<(), WorkspaceError> + Send + 'static,
    ) {
        locked(&self.0).hooks.insert((method, nth), Box::new(hook));
    }

    /// The `nth` call (from 1) of a port method fails.
    pub fn fail(&self, method: &'static str, nth: u32, error: WorkspaceError) {
        self.before(method, nth, |_| Err(error));
    }

    /// How often a port method was called.
    pub fn calls(&self, method: &'static str) -> u32 {
        locked(&self.0).calls.get(method).copied().unwrap_or(0)
    }

    /// The moves of target branches by landings, in order.
    pub fn moves(&self) -> Vec<Moved> {
        locked(&self.0).moves.clone()
    }

    /// The messages of the merges that were asked for, in order.
    pub fn messages(&self) -> Vec<String> {
        locked(&self.0).messages.clone()
    }

    /// The attempts whose directories were made, in order.
    pub fn opened(&self) -> Vec<Slot> {
        locked(&self.0).opened.clone()
    }

    /// Where the directory of an attempt is, made or not.
    pub fn directory(&self, slot: &Slot) -> PathBuf {
        state::directory(slot, "/worktrees")
    }

    /// Whether the directory of an attempt is there.
    pub fn has_directory(&self, slot: &Slot) -> bool {
        locked(&self.0).trees.contains_key(&state::key(slot))
    }

    /// How many directories there are now: of attempts, and throwaway ones.
    pub fn directories(&self) -> (usize, usize) {
        let state = locked(&self.0);
        (state.trees.len(), state.previews.len())
    }

    fn enter(&self, method: &'static str) -> Result<(), WorkspaceError> {
        let hook = locked(&self.0).count(method);
        hook.map_or(Ok(()), |hook| hook(self))
    }
}
