//! Directories of attempts, their snapshots, and the plan branch.

use std::path::PathBuf;

use agents_domain::id::PlanId;
use agents_domain::lock::FencingToken;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Head, Project, Slot, Snapshot, WorkspaceError, Worktrees};
use async_trait::async_trait;

use super::state::{Tree, branch, directory, key, ref_moved, unsuitable};
use super::{ScriptedWorkspace, locked};

#[async_trait]
impl Worktrees for ScriptedWorkspace {
    async fn head(&self, project: &Project) -> Result<Head, WorkspaceError> {
        self.enter("head")?;
        let state = locked(&self.0);
        let dirty = state.dirty.contains(&project.name);
        Ok(Head { commit: state.target(project)?, dirty, unpushed: false })
    }

    async fn open(&self, slot: &Slot, start: &Oid, _copy: &[String]) -> Result<PathBuf, WorkspaceError> {
        self.enter("open")?;
        let mut state = locked(&self.0);
        let directory = directory(slot, "/worktrees");
        if state.opened.contains(slot) {
            return Err(unsuitable(&directory, "a directory of an attempt is never used again"));
        }
        let tree = Tree { directory: directory.clone(), head: start.clone(), edits: Vec::new() };
        state.opened.push(slot.clone());
        state.trees.insert(key(slot), tree);
        Ok(directory)
    }

    async fn snapshot(
        &self,
        slot: &Slot,
        _start: &Oid,
        token: Option<FencingToken>,
        _copied: &[String],
    ) -> Result<Snapshot, WorkspaceError> {
        self.enter("snapshot")?;
        let mut state = locked(&self.0);
        let before = state.snapshots.get(&key(slot)).cloned();
        let Some(tree) = state.trees.get(&key(slot)) else {
            let path = directory(slot, "/worktrees").display().to_string();
            return before.ok_or(WorkspaceError::NoDirectory { path });
        };
        let (head, changed, keep_directory) = (tree.head.clone(), tree.edits.clone(), state.keep.clone());
        if let Some(before) = before.filter(|before| before.changed == changed) {
            return Ok(Snapshot { keep_directory, ..before });
        }
        let token = token.map_or(0, FencingToken::value);
        let reference = format!("refs/agents/{}/{}/{token}/{}", slot.plan, slot.attempt, slot.project.name);
        if let Some(first) = state.read(&slot.project, &reference) {
            return Err(ref_moved(reference, None, Some(&first)));
        }
        let commit = if changed.is_empty() { head } else { state.draw(vec![head], changed.clone()) };
        state.set(&slot.project, &reference, commit.clone());
        let made = Snapshot { commit, reference, changed, keep_directory };
        state.snapshots.insert(key(slot), Snapshot { keep_directory: None, ..made.clone() });
        Ok(made)
    }

    async fn close(&self, slot: &Slot) -> Result<(), WorkspaceError> {
        self.enter("close")?;
        locked(&self.0).trees.remove(&key(slot));
        Ok(())
    }

    async fn settle(
        &self,
        project: &Project,
        plan: PlanId,
        recorded: Option<Oid>,
        earlier: &[Oid],
    ) -> Result<Option<Oid>, WorkspaceError> {
        self.enter("settle")?;
        let mut state = locked(&self.0);
        let found = state.read(project, &branch(plan));
        let Some(recorded) = recorded else { return Ok(found) };
        match found {
            Some(found) if state.contains(&found, &recorded) => Ok(Some(found)),
            Some(found) if !state.contains(&recorded, &found) && !earlier.contains(&found) => {
                Err(ref_moved(branch(plan), Some(&recorded), Some(&found)))
            }
            _ => {
                state.set(project, &branch(plan), recorded.clone());
                Ok(Some(recorded))
            }
        }
    }

    async fn advance(
        &self,
        project: &Project,
        plan: PlanId,
        old: Option<Oid>,
        new: &Oid,
    ) -> Result<(), WorkspaceError> {
        self.enter("advance")?;
        let mut state = locked(&self.0);
        let found = state.read(project, &branch(plan));
        if found.as_ref() == Some(new) {
            return Ok(());
        }
        if found != old {
            return Err(ref_moved(branch(plan), old.as_ref(), found.as_ref()));
        }
        state.set(project, &branch(plan), new.clone());
        Ok(())
    }

    async fn unpushed(
        &self,
        project: &Project,
        plan: PlanId,
        recorded: &Oid,
    ) -> Result<bool, WorkspaceError> {
        self.enter("unpushed")?;
        let state = locked(&self.0);
        let found = state.read(project, &branch(plan));
        let here = !state.lacking.contains(&(project.name.clone(), recorded.clone()));
        Ok(here && project.remote.is_some() && !found.is_some_and(|found| state.contains(&found, recorded)))
    }

    async fn holds(&self, project: &Project, _plan: PlanId, commit: &Oid) -> Result<bool, WorkspaceError> {
        self.enter("holds")?;
        Ok(!locked(&self.0).lacking.contains(&(project.name.clone(), commit.clone())))
    }
}
