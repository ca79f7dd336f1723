//! What attempts left on this machine whose end was recorded by another.
//!
//! A driver dies, and its plan is recovered elsewhere: the directories are here, and nobody else can
//! reach them. The log says so; the next process here that looks puts them into snapshots, and the log
//! says that. Whose directories they are is told by the directories, not by names: a machine may have
//! got another one since.

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::plan::{Plan, Saved, Work};
use agents_domain::workspace::{Slot, WorkspaceError};

use super::attempt::facts;
use super::recovery::Found;
use super::{DriveError, PhaseDriver};
use crate::lifecycle::history;
use crate::lock_service::LockGuard;

impl PhaseDriver {
    /// Makes the snapshots of that plan which the log calls pending and whose directories are on this
    /// machine, records them, and removes what is safe; returns which. Takes the plan's lock only if
    /// anything is pending. A plan at its end keeps its directories, for `agents prune`.
    pub async fn save_pending(&self, plan: PlanId) -> Result<Vec<(u32, Name)>, DriveError> {
        if history::pending(&self.parts.lifecycle.works(plan).await?).is_empty() {
            return Ok(Vec::new());
        }
        let mut made = Vec::new();
        let work = async |plan: Plan, hold: &LockGuard| {
            if !plan.state().is_terminal() {
                made = self.save_those(&plan, hold).await?;
            }
            Ok(plan)
        };
        self.under_hold(plan, "recover", Found::PutAway, work).await?;
        Ok(made)
    }

    async fn save_those(&self, plan: &Plan, hold: &LockGuard) -> Result<Vec<(u32, Name)>, DriveError> {
        let lifecycle = &self.parts.lifecycle;
        // Once more under the lock: another may have been faster.
        let works = lifecycle.works(plan.id).await?;
        let definition = lifecycle.definition(plan.id).await?;
        let mut made = Vec::new();
        for (attempt, left) in history::pending(&works) {
            self.parts.runner.clear(plan.id, attempt).await;
            let (mut work, mut safe) = (Vec::new(), Vec::new());
            for (name, _) in left {
                let project = definition.projects.iter().find(|project| project.name == name);
                let project = project.expect("a plan leaves work in its own projects");
                let slot = Slot { plan: plan.id, attempt, project: project.clone() };
                if let Some(saved) = self.save_here(plan, &slot, &definition.action.worktree.copy, hold).await
                {
                    made.push((attempt, name));
                    if matches!(saved.saved, Saved::Snapshot { kept: None, .. }) {
                        safe.push(slot);
                    }
                    work.push(saved);
                }
            }
            if work.is_empty() {
                continue;
            }
            lifecycle.saved(plan.id, attempt, work).await?;
            for slot in safe {
                if let Err(error) = self.parts.worktrees.close(&slot).await {
                    self.stays(&slot, &error.to_string());
                }
            }
        }
        Ok(made)
    }

    /// The snapshot of one directory, if it is here.
    async fn save_here(&self, plan: &Plan, slot: &Slot, copied: &[String], hold: &LockGuard) -> Option<Work> {
        let start = facts(plan, &slot.project).foundation()?;
        let token = hold.fence().token();
        match self.parts.worktrees.snapshot(slot, start, token, copied).await {
            Ok(snapshot) => Some(self.saved(slot, snapshot)),
            Err(WorkspaceError::NoDirectory { .. } | WorkspaceError::NotHere(_)) => None,
            Err(error) => {
                self.stays(slot, &error.to_string());
                None
            }
        }
    }
}
