//! What a dead driver left: found by the next holder, before anything else.
//!
//! Whoever holds the plan's lock and finds it `processing` knows that its driver is gone. The
//! attempt's directories are put into snapshots and the phase is recorded as interrupted; an open
//! landing is carried out instead, because its decision was durable.

use agents_domain::id::PlanId;
use agents_domain::plan::{Definition, InterruptCause, Phase, Plan, Saved, State, Work};
use agents_domain::workspace::{Slot, WorkspaceError};

use super::attempt::{facts, slots};
use super::{ApplyOptions, DriveError, PhaseDriver};
use crate::lock_service::LockGuard;

impl PhaseDriver {
    /// The plan, with whatever a dead driver left taken care of.
    pub(super) async fn recovered(&self, id: PlanId, hold: &LockGuard) -> Result<Plan, DriveError> {
        let plan = self.parts.lifecycle.load(id).await?;
        if plan.state() != State::Processing {
            return Ok(plan);
        }
        // Its driver is dead, its children may still be about to die.
        self.parts.runner.clear(id, plan.attempt).await;
        let definition = self.parts.lifecycle.definition(id).await?;
        if plan.landing_is_open() {
            return self.land(plan, &definition, hold, ApplyOptions::default()).await;
        }
        let mut work = Vec::new();
        for slot in slots(&plan, &definition) {
            if plan.phase() == Phase::Apply {
                self.close_preview(&slot).await;
            } else {
                work.extend(self.salvage(&plan, &definition, &slot, hold).await);
            }
        }
        self.warn(&format!("plan {id}: {}", InterruptCause::OwnerDied.message()));
        Ok(self.parts.lifecycle.interrupt(id, InterruptCause::OwnerDied, work).await?)
    }

    /// Snapshots one directory of an attempt that nobody drives. It may never have been made, or
    /// be gone already; anything else that is in the way is recorded, and the directory stays.
    async fn salvage(
        &self,
        plan: &Plan,
        definition: &Definition,
        slot: &Slot,
        hold: &LockGuard,
    ) -> Option<Work> {
        let facts = facts(plan, &slot.project);
        let start = facts.tip.as_ref().or(facts.base.as_ref())?;
        let copied = &definition.action.worktree.copy;
        let token = hold.fence().token();
        match self.parts.worktrees.snapshot(slot, start, token, copied).await {
            Ok(snapshot) => Some(self.put_away(slot, snapshot).await),
            Err(WorkspaceError::NoDirectory { .. }) => None,
            Err(error) => {
                let reason = error.to_string();
                Some(Work { project: slot.project.name.clone(), saved: Saved::Directory { reason } })
            }
        }
    }
}
