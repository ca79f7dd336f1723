//! Merging and landing: once, whoever does it, however often it is tried.

use std::path::PathBuf;

use agents_domain::action::MergeStrategy;
use agents_domain::oid::Oid;
use agents_domain::workspace::{
    Intent, Landing, Landings, MergeRequest, Merged, Project, Slot, WorkspaceError,
};
use async_trait::async_trait;

use super::state::{directory, key, unsuitable};
use super::{Moved, ScriptedWorkspace, locked};

#[async_trait]
impl Landings for ScriptedWorkspace {
    async fn merge(&self, request: &MergeRequest) -> Result<Merged, WorkspaceError> {
        self.enter("merge")?;
        let mut state = locked(&self.0);
        let old = state.target(&request.project)?;
        state.messages.push(request.message.clone());
        let files = state.conflicts.get(&request.project.name).cloned().unwrap_or_default();
        if !files.is_empty() {
            return Ok(Merged::Conflict { old, files, movers: Vec::new() });
        }
        if state.contains(&old, &request.tip) {
            return Ok(Merged::Empty { old });
        }
        let parents = match request.strategy {
            MergeStrategy::Merge => vec![old.clone(), request.tip.clone()],
            MergeStrategy::Squash => vec![old.clone()],
        };
        Ok(Merged::Clean { old, new: state.draw(parents) })
    }

    async fn check_checkout(&self, _project: &Project, _intent: &Intent) -> Result<(), WorkspaceError> {
        self.enter("check_checkout")
    }

    async fn land(&self, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
        self.enter("land")?;
        let mut state = locked(&self.0);
        if state.read(project, &intent.marker()).is_some() {
            return Ok(Landing::Landed);
        }
        let found = state.read(project, &intent.reference);
        if found.as_ref() != Some(&intent.old) {
            return Ok(Landing::MovedAway { found });
        }
        let (old, new) = (intent.old.clone(), intent.new.clone());
        state.set(project, &intent.reference, new.clone());
        state.set(project, &intent.marker(), new.clone());
        state.moves.push(Moved { project: project.name.clone(), old, new });
        Ok(Landing::Landed)
    }

    async fn follow(&self, _project: &Project, _intent: &Intent) -> Result<(), WorkspaceError> {
        self.enter("follow")
    }

    async fn preview(&self, slot: &Slot, _commit: &Oid) -> Result<PathBuf, WorkspaceError> {
        self.enter("preview")?;
        let directory = directory(slot, "/previews");
        if !locked(&self.0).previews.insert(key(slot)) {
            return Err(unsuitable(&directory, "it is there already"));
        }
        Ok(directory)
    }

    async fn close_preview(&self, slot: &Slot) -> Result<(), WorkspaceError> {
        self.enter("close_preview")?;
        locked(&self.0).previews.remove(&key(slot));
        Ok(())
    }
}
