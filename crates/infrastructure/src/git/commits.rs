//! Commits that may have to come from a project's remote, and snapshots that go there.

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, Snapshot, WorkspaceError};

use super::command::Git;
use super::refs;
use super::remote::Far;

/// Whether this machine has the commit, or can have it from among the plan's refs on the remote.
pub(super) fn held(git: &Git, project: &Project, plan: PlanId, commit: &Oid) -> Result<bool, WorkspaceError> {
    let at = git.repository(&project.common_dir);
    if refs::exists(&at, commit)? {
        return Ok(true);
    }
    let Some(far) = Far::of(git, project)? else { return Ok(false) };
    // The branch, those of its children, and what the target has; snapshots, if there are any.
    far.fetch_all("refs/heads/*", "refs/agents/fetched/heads/*")?;
    if far.remote.push_snapshots {
        far.fetch(&[format!("refs/agents/{plan}/*:refs/agents/{plan}/*")])?;
    }
    refs::exists(&at, commit)
}

/// The same, where there is no way on without it.
pub(super) fn need(git: &Git, project: &Project, plan: PlanId, commit: &Oid) -> Result<(), WorkspaceError> {
    if project.remote.is_none() || held(git, project, plan, commit)? {
        return Ok(());
    }
    Err(WorkspaceError::NoCommit { project: project.name.clone(), commit: commit.clone(), host: None })
}

/// Puts a snapshot on the remote too, if that is wanted. It is safe here, so a failure is only told.
pub(super) fn push_snapshot(git: &Git, project: &Project, snapshot: &Snapshot) {
    if !project.remote.as_ref().is_some_and(|remote| remote.push_snapshots) {
        return;
    }
    let (name, commit) = (&snapshot.reference, &snapshot.commit);
    let pushed = Far::of(git, project).and_then(|far| match far {
        Some(far) => far.push(&[format!("{commit}:{name}")], &[(name, None)])?.done(&far),
        None => Ok(()),
    });
    if let Err(error) = pushed {
        tracing::warn!(%name, %error, "not pushed");
    }
}
