//! The branch of a plan: where its work is to be gone on from, whichever machine made it.
//!
//! What a repository cannot know the plan's log does: which commits the plan once made elsewhere, and which
//! machine has a result that never got to the remote. The log is read only where it is needed for that.

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Plan, State};
use agents_domain::workspace::{Project, WorkspaceError};

use super::attempt::facts;
use super::recovery::Found;
use super::{DriveError, PhaseDriver};
use crate::lifecycle::history;
use crate::lock_service::LockGuard;

impl PhaseDriver {
    /// The tip to work from, with the plan's branch brought to it, also if that is at what the plan made
    /// before it was reverted.
    pub(super) async fn tip(
        &self,
        project: &Project,
        plan: PlanId,
        recorded: Option<Oid>,
    ) -> Result<Option<Oid>, WorkspaceError> {
        let worktrees = &self.parts.worktrees;
        let settled = worktrees.settle(project, plan, recorded.clone(), &[]).await;
        let (Err(error), Some(recorded)) = (&settled, recorded) else { return settled };
        let Ok(events) = self.parts.lifecycle.events(plan).await else { return settled };
        match error {
            WorkspaceError::RefMoved { .. } => {
                let earlier = history::made(&events, &project.name);
                worktrees.settle(project, plan, Some(recorded), &earlier).await
            }
            WorkspaceError::NoCommit { project, commit, host: None } => {
                let host = history::made_on(&events, commit);
                Err(WorkspaceError::NoCommit { project: project.clone(), commit: commit.clone(), host })
            }
            _ => settled,
        }
    }

    /// Pushes results of that plan which this machine made and could not push; returns of which projects.
    /// Takes the plan's lock only if there are any. What of a plan is running, or at its end, is not looked
    /// at. A stop is heard between two pushes.
    pub async fn push_missed(&self, plan: PlanId) -> Result<Vec<Name>, DriveError> {
        let found = self.parts.lifecycle.load(plan).await?;
        if self.missed(&found).await?.is_empty() {
            return Ok(Vec::new());
        }
        let mut pushed = Vec::new();
        let work = async |plan: Plan, _: &LockGuard| {
            for (project, tip) in self.missed(&plan).await? {
                if let Some(cause) = self.parts.stop.requested() {
                    return Err(DriveError::Stopped { plan: plan.id, cause });
                }
                self.tip(&project, plan.id, Some(tip)).await?;
                pushed.push(project.name);
            }
            Ok(plan)
        };
        self.under_hold(plan, "recover", Found::PutAway, work).await?;
        Ok(pushed)
    }

    async fn missed(&self, plan: &Plan) -> Result<Vec<(Project, Oid)>, DriveError> {
        let mut missed = Vec::new();
        if plan.state().is_terminal() || plan.state() == State::Processing {
            return Ok(missed);
        }
        for project in self.parts.lifecycle.definition(plan.id).await?.projects {
            if project.remote.is_some()
                && let Some(tip) = facts(plan, &project).tip.clone()
                && self.parts.worktrees.unpushed(&project, plan.id, &tip).await?
            {
                missed.push((project, tip));
            }
        }
        Ok(missed)
    }
}
