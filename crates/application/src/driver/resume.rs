//! `plan retry --continue`: another attempt that begins with what earlier ones left unfinished.
//!
//! Where the log names a snapshot the next attempt begins at its commit. Work that could not be put
//! into a snapshot then (a full disk, a leftover lock of git) is put into one now; if that still
//! fails, the order is refused: beginning with older work in its place would lose it in silence.

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Phase, Plan, Refusal, Saved, State, Verb, resumption};
use agents_domain::workspace::{Project, Slot, WorkspaceError};

use super::attempt::facts;
use super::recovery::Found;
use super::{DriveError, PhaseDriver, is_at};
use crate::lifecycle::LifecycleError;
use crate::lifecycle::history::{attempts, unfinished};
use crate::lock_service::LockGuard;

impl PhaseDriver {
    /// `plan retry --continue`: orders another attempt that begins with the unfinished work of the
    /// last ones, and drives it. An applied plan is acknowledged.
    pub async fn go_on(&self, plan: PlanId) -> Result<Plan, DriveError> {
        let work = async |plan: Plan, hold: &LockGuard| {
            if plan.state() == State::Applied {
                return Ok(plan);
            }
            let plan = self.queue_with_unfinished(&plan, hold).await?;
            self.drive_to_executed(plan, hold, false).await
        };
        self.under_hold(plan, "plan retry --continue", Found::PutAway, work).await
    }

    /// Queues another attempt that begins with the unfinished work of the last ones.
    pub(super) async fn queue_with_unfinished(
        &self,
        plan: &Plan,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        self.at_home(&self.parts.lifecycle.definition(plan.id).await?.projects)?;
        self.may_begin(plan).await?;
        let resume = self.unfinished(plan, hold).await?;
        Ok(self.parts.lifecycle.retry_from(plan.id, resume, true).await?)
    }

    /// Where the unfinished work is, all of it in snapshots.
    async fn unfinished(&self, plan: &Plan, hold: &LockGuard) -> Result<BTreeMap<Name, Oid>, DriveError> {
        // Only where a retry is legal: elsewhere the refusal is all there is to say.
        let saved_now = if is_at(plan, Phase::Execute, State::Errored) {
            self.save_belatedly(plan, hold).await?
        } else {
            BTreeMap::new()
        };
        match resumption(plan) {
            Ok(known) => {
                let all: BTreeMap<_, _> = known.into_iter().chain(saved_now).collect();
                self.within_reach(plan, &all).await?;
                Ok(all)
            }
            Err(refusal) if saved_now.is_empty() => Err(refused(refusal)),
            Err(_) => Ok(saved_now),
        }
    }

    /// Snapshots of what is only in directories so far; says what else is only there.
    async fn save_belatedly(&self, plan: &Plan, hold: &LockGuard) -> Result<BTreeMap<Name, Oid>, DriveError> {
        let definition = self.parts.lifecycle.definition(plan.id).await?;
        let left = self.parts.lifecycle.unfinished(plan.id).await?;
        let mut saved_now = BTreeMap::new();
        for project in &definition.projects {
            match left.get(&project.name) {
                None | Some((_, Saved::Snapshot { kept: None, .. })) => {}
                Some((attempt, Saved::Pending { host })) => {
                    let slot = Slot { plan: plan.id, attempt: *attempt, project: project.clone() };
                    let copied = &definition.action.worktree.copy;
                    // It may be this machine that was meant, or have another name since.
                    let saved = self.save_slot(plan, slot, copied, hold).await;
                    let saved = saved.map_err(|_| refused(elsewhere(plan, project, *attempt, host)))?;
                    saved_now.insert(project.name.clone(), saved);
                }
                Some((attempt, Saved::Snapshot { kept: Some(reason), .. })) => {
                    let name = &project.name;
                    self.warn(&format!(
                        "{name}: what is in no snapshot stays in the directory of attempt {attempt}: {reason}"
                    ));
                }
                Some((attempt, Saved::Directory { .. })) => {
                    let slot = Slot { plan: plan.id, attempt: *attempt, project: project.clone() };
                    let copied = &definition.action.worktree.copy;
                    saved_now.insert(project.name.clone(), self.save_slot(plan, slot, copied, hold).await?);
                }
            }
        }
        Ok(saved_now)
    }

    /// Snapshots stay on their machines unless they are pushed: an attempt begins only with those that
    /// can be had here.
    async fn within_reach(&self, plan: &Plan, resume: &BTreeMap<Name, Oid>) -> Result<(), DriveError> {
        let definition = self.parts.lifecycle.definition(plan.id).await?;
        for project in definition.projects.iter().filter(|project| project.remote.is_some()) {
            let Some(commit) = resume.get(&project.name) else { continue };
            if self.parts.worktrees.holds(project, plan.id, commit).await? {
                continue;
            }
            let events = self.parts.lifecycle.events(plan.id).await?;
            let left = unfinished(&events).get(&project.name).map_or(plan.attempt, |(attempt, _)| *attempt);
            let attempts = attempts(&events);
            let made = attempts.iter().find(|one| one.number == left);
            let host = made.map_or("another machine", |one| one.driver.host.as_str());
            return Err(refused(elsewhere(plan, project, left, host)));
        }
        Ok(())
    }

    async fn save_slot(
        &self,
        plan: &Plan,
        slot: Slot,
        copied: &[String],
        hold: &LockGuard,
    ) -> Result<Oid, DriveError> {
        let start = facts(plan, &slot.project).foundation().expect("the base is sealed by the first start");
        let taken = self.parts.worktrees.snapshot(&slot, start, hold.fence().token(), copied).await;
        let snapshot = taken.map_err(|error| refused(unsaved(plan, &slot.project, slot.attempt, &error)))?;
        if let Some(reason) = &snapshot.keep_directory {
            self.warn(&format!("{}: the attempt's directory is kept: {reason}", slot.project.name));
        }
        Ok(snapshot.commit)
    }
}

fn elsewhere(plan: &Plan, project: &Project, attempt: u32, host: &str) -> Refusal {
    let name = &project.name;
    Refusal {
        plan: plan.id,
        verb: Verb::Retry,
        stage: plan.stage,
        reason: format!(
            "what attempt {attempt} left in {name} is on {host}, and not here; go on there, after `agents recover`"
        ),
        remedy: Some(format!("agents plan retry {}", plan.id)),
        otherwise: None,
    }
}

fn refused(refusal: Refusal) -> DriveError {
    DriveError::Lifecycle(LifecycleError::Refused(Box::new(refusal)))
}

fn unsaved(plan: &Plan, project: &Project, attempt: u32, error: &WorkspaceError) -> Refusal {
    let name = &project.name;
    Refusal {
        plan: plan.id,
        verb: Verb::Retry,
        stage: plan.stage,
        reason: format!(
            "what attempt {attempt} left in {name} is in no snapshot, and cannot be put into one: {error}"
        ),
        remedy: Some(format!("agents plan retry {}", plan.id)),
        otherwise: None,
    }
}
