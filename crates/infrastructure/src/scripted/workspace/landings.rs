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
        let files = state.in_the_way(request, &old);
        if !files.is_empty() {
            let base = state.base(&old, &request.tip);
            return Ok(Merged::Conflict { base, old, files, movers: Vec::new() });
        }
        if state.contains(&old, &request.tip) {
            return Ok(Merged::Empty { old });
        }
        // The files of a merge are its parents'; a squash has the plan's as its own.
        let (parents, changed) = match request.strategy {
            MergeStrategy::Merge => (vec![old.clone(), request.tip.clone()], Vec::new()),
            MergeStrategy::Squash => {
                (vec![old.clone()], state.changed_beyond(&request.tip, &old).into_iter().collect())
            }
        };
        Ok(Merged::Clean { old, new: state.draw(parents, changed) })
    }

    async fn check_checkout(&self, _project: &Project, _intent: &Intent) -> Result<(), WorkspaceError> {
        self.enter("check_checkout")
    }

    async fn share(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        self.enter("share")?;
        if project.remote.is_some() {
            locked(&self.0).set(project, &intent.shared(), intent.new.clone());
        }
        Ok(())
    }

    async fn land(&self, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
        self.enter("land")?;
        let mut state = locked(&self.0);
        let found = state.read(project, &intent.reference);
        match state.read(project, &intent.marker()) {
            Some(marker) if marker == intent.new => return Ok(Landing::Landed),
            Some(_) => return Ok(Landing::MovedAway { found }),
            None => {}
        }
        if found.as_ref() != Some(&intent.old) {
            state.refs.remove(&(project.name.clone(), intent.shared()));
            state.set(project, &intent.marker(), intent.old.clone());
            return Ok(Landing::MovedAway { found });
        }
        let (old, new) = (intent.old.clone(), intent.new.clone());
        // Whoever carries an intent out may be on another machine than whoever made its commit.
        if project.remote.is_some() && state.read(project, &intent.shared()).as_ref() != Some(&new) {
            return Err(WorkspaceError::NoCommit { project: project.name.clone(), commit: new, host: None });
        }
        state.refs.remove(&(project.name.clone(), intent.shared()));
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

#[cfg(test)]
mod tests {
    use agents_domain::id::PlanId;
    use agents_domain::name::Name;
    use agents_domain::workspace::Worktrees as _;
    use rstest::rstest;

    use super::*;

    fn project() -> Project {
        Project {
            name: Name::parse("api").expect("valid"),
            path: "/api".into(),
            common_dir: "/api/.git".into(),
            branch: "main".to_owned(),
            machine: None,
            remote: None,
        }
    }

    /// The work of a plan that writes these files, as a request to merge it.
    async fn work(workspace: &ScriptedWorkspace, plan: &str, start: &Oid, files: &[&str]) -> MergeRequest {
        let slot = Slot { plan: PlanId::parse(plan).expect("valid"), attempt: 1, project: project() };
        let directory = workspace.open(&slot, start, &[]).await.expect("opened");
        for file in files {
            workspace.write(&directory, file);
        }
        let tip = workspace.snapshot(&slot, start, None, &[]).await.expect("a snapshot").commit;
        let (plan, project, message) = (slot.plan, slot.project, String::new());
        MergeRequest { plan, project, tip, strategy: MergeStrategy::Merge, message, exclusive: false }
    }

    async fn merge(workspace: &ScriptedWorkspace, request: &MergeRequest) -> Merged {
        workspace.merge(request).await.expect("merged")
    }

    #[rstest]
    #[case(MergeStrategy::Merge)]
    #[case(MergeStrategy::Squash)]
    #[tokio::test]
    async fn an_exclusive_merge_refuses_files_that_both_sides_wrote(#[case] strategy: MergeStrategy) {
        let workspace = ScriptedWorkspace::default();
        let start = workspace.add(&project());
        let first = work(&workspace, "01ARZ3NDEKTSV4RRFFQ69G5FA1", &start, &["a", "b"]).await;
        let second = work(&workspace, "01ARZ3NDEKTSV4RRFFQ69G5FA2", &start, &["b", "c"]).await;
        let Merged::Clean { new, .. } = merge(&workspace, &MergeRequest { strategy, ..first }).await else {
            panic!("not clean")
        };
        workspace.set(&project(), "refs/heads/main", &new);
        assert!(matches!(merge(&workspace, &second).await, Merged::Clean { .. }));
        let exclusive = MergeRequest { exclusive: true, ..second };
        let (base, files) = (Some(start), vec!["b".to_owned()]);
        let conflict = Merged::Conflict { base, old: new.clone(), files, movers: Vec::new() };
        assert_eq!(merge(&workspace, &exclusive).await, conflict);
        let later = work(&workspace, "01ARZ3NDEKTSV4RRFFQ69G5FA3", &new, &["b"]).await;
        let later = MergeRequest { exclusive: true, ..later };
        assert!(matches!(merge(&workspace, &later).await, Merged::Clean { .. }));
    }

    #[tokio::test]
    async fn a_conflict_of_one_plan_is_no_conflict_of_another() {
        let workspace = ScriptedWorkspace::default();
        let start = workspace.add(&project());
        let one = work(&workspace, "01ARZ3NDEKTSV4RRFFQ69G5FA1", &start, &["a"]).await;
        let other = work(&workspace, "01ARZ3NDEKTSV4RRFFQ69G5FA2", &start, &["b"]).await;
        workspace.conflict_of(one.plan, &["a"]);
        assert!(matches!(merge(&workspace, &one).await, Merged::Conflict { .. }));
        assert!(matches!(merge(&workspace, &other).await, Merged::Clean { .. }));
        workspace.conflict_of(one.plan, &[]);
        assert!(matches!(merge(&workspace, &one).await, Merged::Clean { .. }));
    }
}
