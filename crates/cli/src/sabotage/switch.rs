//! The safeguards, each taken out of one port.

use std::path::PathBuf;
use std::process::Command;
use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::{Fence, Lease, LockFilter, LockKey, LockPort};
use agents_domain::oid::Oid;
use agents_domain::plan::{
    CommitOutcome, Definition, Event, NewPlan, Opening, Plan, PlanStore, PlanWrite, StoreError,
};
use agents_domain::runner::{Invocation, PhaseRunner, RunError, RunReport, StopSignal};
use agents_domain::workspace::{
    Intent, Landing, Landings, MergeRequest, Merged, Project, Slot, WorkspaceError,
};
use async_trait::async_trait;

/// Writes under the fence of whoever holds the plan now, as if the writer's were never looked at.
pub(super) struct Forged {
    pub(super) plans: Arc<dyn PlanStore>,
    pub(super) locks: Arc<dyn LockPort>,
}

#[async_trait]
impl PlanStore for Forged {
    async fn create(&self, new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError> {
        self.plans.create(new, opening).await
    }

    async fn load(&self, plan: PlanId) -> Result<Option<Plan>, StoreError> {
        self.plans.load(plan).await
    }

    async fn definition(&self, plan: PlanId) -> Result<Option<Definition>, StoreError> {
        self.plans.definition(plan).await
    }

    async fn commit(&self, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError> {
        let filter = LockFilter { key: Some(LockKey::Plan(write.plan.id)), stale_only: false };
        let held = self.locks.list(&filter).await.unwrap_or_default().into_iter().next();
        let forged = held.map_or(*fence, |held| Fence::Token { owner: held.owner, token: held.token });
        self.plans.commit(write, &forged).await
    }

    async fn events(&self, plan: PlanId) -> Result<Vec<Event>, StoreError> {
        self.plans.events(plan).await
    }
}

/// Does not hear that a lock is lost, other stops it does; and ends nothing that another has left.
pub(super) struct Deaf(pub(super) Arc<dyn PhaseRunner>);

#[async_trait]
impl PhaseRunner for Deaf {
    async fn run(&self, invocation: Invocation, stop: StopSignal) -> Result<RunReport, RunError> {
        let stop: StopSignal = Box::pin(async {
            match stop.await {
                cause if cause.is_loss() => std::future::pending().await,
                cause => cause,
            }
        });
        self.0.run(invocation, stop).await
    }

    async fn clear(&self, _plan: PlanId, _attempt: u32) {}
}

/// Moves branches by compare-and-swap alone.
pub(super) struct Unmarked(pub(super) Arc<dyn Landings>);

#[async_trait]
impl Landings for Unmarked {
    async fn merge(&self, request: &MergeRequest) -> Result<Merged, WorkspaceError> {
        self.0.merge(request).await
    }

    async fn check_checkout(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        self.0.check_checkout(project, intent).await
    }

    async fn share(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        self.0.share(project, intent).await
    }

    async fn land(&self, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
        let why = format!("agents: landing {}", intent.id);
        let mut git = Command::new("git");
        git.arg("-C").arg(&project.common_dir).args(["update-ref", "-m", &why, &intent.reference]);
        let moved = git.args([intent.new.as_str(), intent.old.as_str()]).status();
        match moved {
            Ok(status) if status.success() => Ok(Landing::Landed),
            _ => Ok(Landing::MovedAway { found: None }),
        }
    }

    async fn follow(&self, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
        self.0.follow(project, intent).await
    }

    async fn preview(&self, slot: &Slot, commit: &Oid) -> Result<PathBuf, WorkspaceError> {
        self.0.preview(slot, commit).await
    }

    async fn close_preview(&self, slot: &Slot) -> Result<(), WorkspaceError> {
        self.0.close_preview(slot).await
    }
}
