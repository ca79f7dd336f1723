//! What a dead driver left: found by the next holder, before anything else.
//!
//! Whoever holds the plan's lock and finds it `processing` knows that its driver is gone. What is to
//! be done then is decided by [`crate::recovery`], a pure function; here it is done. The attempt's
//! directories are put into snapshots and the phase is recorded as interrupted; an open landing is
//! carried out instead, because its decision was durable.
//!
//! A directory is removed only after the transition that names its snapshot. A crash in between
//! leaves a directory too many, never a snapshot that nothing names.

use agents_domain::id::PlanId;
use agents_domain::lock::Holder;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, InterruptCause, Phase, Plan, Saved, Work};
use agents_domain::workspace::{Slot, WorkspaceError};

use super::attempt::{facts, slots};
use super::{ApplyOptions, DriveError, PhaseDriver};
use crate::housekeeping::clear;
use crate::lifecycle::LifecycleError;
use crate::lifecycle::history::Works;
use crate::lock_service::LockGuard;
use crate::recovery::{Action, Facts, Saving, decide};

/// Why subplans of a plan's past are given up.
pub(super) const PAST: &str = "its parent went back to its start";

/// What becomes of an attempt in which a dead driver only ran children.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Found {
    /// It is carried on, by whoever has come to drive the plan.
    CarriedOn,
    /// It is recorded as interrupted, by whoever has come for something else.
    PutAway,
}

impl PhaseDriver {
    /// The plan, with whatever a dead driver left taken care of.
    pub(super) async fn recovered(
        &self,
        id: PlanId,
        hold: &LockGuard,
        found: Found,
    ) -> Result<Plan, DriveError> {
        let plan = self.parts.lifecycle.load(id).await?;
        if plan.reversion_count > 0 {
            let left = self.parts.subplans.left_behind(id).await.map_err(LifecycleError::from)?;
            if let Err(error) = self.cancel_those(&left, PAST).await {
                // They are in nobody's way, and looked for again at the next hold.
                self.warn(&format!("plan {id}: subplans of its past stay open: {error}"));
            }
        }
        let here = self.parts.lifecycle.locks().myself("recover");
        let action = decide(&Facts::held(&plan, &here, found == Found::CarriedOn));
        if matches!(action, Action::FinishLanding | Action::Interrupt(_)) {
            // Its driver is dead, its children may still be about to die.
            self.parts.runner.clear(id, plan.attempt).await;
        }
        match action {
            Action::FinishLanding => {
                let definition = self.parts.lifecycle.definition(id).await?;
                // What was decided is carried out where it can be; elsewhere it stays decided.
                self.at_home(&definition.projects)?;
                if plan.subplan.is_some() {
                    // No new decision is made, so the parent's lock has nothing to guard.
                    return self.carry_out(plan, &definition, hold).await;
                }
                self.land(plan, &definition, hold, ApplyOptions::default()).await
            }
            Action::Adopt => {
                self.at_home(&self.parts.lifecycle.definition(id).await?.projects)?;
                self.warn(&format!("plan {id}: carried on for a driver that is gone"));
                Ok(self.parts.lifecycle.adopt(id).await?)
            }
            Action::Interrupt(saving) => self.interrupted(plan, saving, hold).await,
            // The lock is ours: what else there is to do concerns a plan that is not under way.
            Action::Nothing | Action::LeaveAlone | Action::Take => {
                if plan.attempt > 0 && !drove(&here, &plan) {
                    let definition = self.parts.lifecycle.definition(id).await?;
                    self.clear_left(id, &definition, hold).await;
                }
                Ok(plan)
            }
        }
    }

    /// Puts away what the dead driver of an attempt left, and records that the phase was cut short.
    async fn interrupted(&self, plan: Plan, saving: Saving, hold: &LockGuard) -> Result<Plan, DriveError> {
        let (id, definition) = (plan.id, self.parts.lifecycle.definition(plan.id).await?);
        let mut work = Vec::new();
        for slot in slots(&plan, &definition) {
            match &saving {
                Saving::Snapshots => work.extend(self.salvage(&plan, &definition, &slot, hold).await),
                Saving::Pending(host) => work.push(pending(&slot, host)),
                Saving::Nothing if plan.phase() == Phase::Apply => self.close_preview(&slot).await,
                Saving::Nothing => {}
            }
        }
        self.warn(&format!("plan {id}: {}", InterruptCause::OwnerDied.message()));
        let plan = self.parts.lifecycle.interrupt(id, InterruptCause::OwnerDied, work).await?;
        self.clear_away(id, &definition).await;
        Ok(plan)
    }

    /// Removes the last attempt's directories, as far as the log names the snapshots of what is in them.
    pub(super) async fn clear_away(&self, id: PlanId, definition: &Definition) {
        self.clear(self.safe(id, definition).await).await;
    }

    /// Removes the directories of an attempt of which the log tells that, and no more, by now.
    pub(super) async fn clear_saved(&self, id: PlanId, attempt: u32, work: &[Work], definition: &Definition) {
        let saved = work.iter().filter_map(|work| safe(id, attempt, &work.project, &work.saved, definition));
        self.clear(saved.collect()).await;
    }

    /// Whatever fails is said and left to `agents prune`.
    async fn clear(&self, slots: Vec<(Slot, Oid)>) {
        for (slot, _) in slots {
            if let Err(error) = self.parts.worktrees.close(&slot).await {
                self.stays(&slot, &error.to_string());
            }
        }
    }

    /// The same for what a process left that died right after its record. Time has passed: what
    /// somebody wrote there since is put into another snapshot.
    async fn clear_left(&self, id: PlanId, definition: &Definition, hold: &LockGuard) {
        let (copied, token) = (&definition.action.worktree.copy, hold.fence().token());
        for (slot, recorded) in self.safe(id, definition).await {
            if let Err(reason) = clear(&*self.parts.worktrees, &slot, &recorded, token, copied).await {
                self.stays(&slot, &reason);
            }
        }
    }

    /// The last attempt's places whose directories may go, and the snapshots that the log names.
    async fn safe(&self, id: PlanId, definition: &Definition) -> Vec<(Slot, Oid)> {
        let works = self.parts.lifecycle.works(id).await.unwrap_or_else(|error| {
            self.warn(&format!("plan {id}: directories of its last attempt may stay: {error}"));
            Works::new()
        });
        let last = works.keys().next_back().map(|(attempt, _)| *attempt);
        let of_last = works.iter().filter(|((attempt, _), _)| Some(*attempt) == last);
        of_last.filter_map(|((attempt, name), saved)| safe(id, *attempt, name, saved, definition)).collect()
    }

    pub(super) fn stays(&self, slot: &Slot, reason: &str) {
        let name = &slot.project.name;
        self.warn(&format!("{name}: the directory of attempt {} stays: {reason}", slot.attempt));
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
        let start = facts.foundation()?;
        let copied = &definition.action.worktree.copy;
        let token = hold.fence().token();
        match self.parts.worktrees.snapshot(slot, start, token, copied).await {
            Ok(snapshot) => Some(self.saved(slot, snapshot)),
            Err(WorkspaceError::NoDirectory { .. }) => None,
            Err(error) => {
                let reason = error.to_string();
                Some(Work { project: slot.project.name.clone(), saved: Saved::Directory { reason } })
            }
        }
    }
}

/// A place whose directory may go, and the snapshot of what is in it.
fn safe(
    plan: PlanId,
    attempt: u32,
    project: &Name,
    saved: &Saved,
    definition: &Definition,
) -> Option<(Slot, Oid)> {
    let Saved::Snapshot { commit, kept: None, .. } = saved else { return None };
    let project = definition.projects.iter().find(|known| known.name == *project)?.clone();
    Some((Slot { plan, attempt, project }, commit.clone()))
}

/// Whether that very process drove its last attempt: then it has cleared away what that left.
fn drove(here: &Holder, plan: &Plan) -> bool {
    plan.last_attempt.as_ref().is_some_and(|attempt| {
        let driver = &attempt.driver;
        (driver.pid, driver.started) == (here.pid, here.started)
            && (&driver.host, &driver.boot_id) == (&here.host, &here.boot_id)
            && driver.pid_namespace == here.pid_namespace
    })
}

/// Work on another machine: it is there, and nobody here touches it.
fn pending(slot: &Slot, host: &str) -> Work {
    let saved = Saved::Pending { host: host.to_owned() };
    Work { project: slot.project.name.clone(), saved }
}
