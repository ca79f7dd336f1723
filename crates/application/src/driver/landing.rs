//! Apply: exactly once, or not at all.
//!
//! ```text
//! plan lock ─ all project locks ─ merge ─ validate ─ checkouts free? ─ INTENT ─ move refs ─ record
//!                                                                       │
//!          refused here: nothing has changed                            └ from here on anyone with
//!                                                                         the lock finishes it, once
//! ```
//!
//! The project locks are held from the merge to the record, and the intent's commit checks them
//! together with the plan's: whoever lost one moves nothing. Each move carries a marker ref, so
//! that a process which was frozen and thaws later cannot move it again.

mod prepare;
mod validate;

use std::collections::BTreeMap;

use agents_domain::lock::LockKey;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, Failure, InterruptCause, Plan, State};
use agents_domain::runner::StopCause;
use agents_domain::workspace::{Intent, Landing, Project};

use super::{ApplyOptions, DriveError, PhaseDriver, failures};
use crate::lock_service::LockGuard;

use prepare::Obstacle;

impl PhaseDriver {
    /// Lands a plan that is at apply/queued, or whose landing a dead driver left open.
    pub(super) async fn land(
        &self,
        plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
        options: ApplyOptions,
    ) -> Result<Plan, DriveError> {
        let projects = self.lock_projects(&plan, definition, hold).await?;
        let outcome = if plan.landing_is_open() && plan.state() == State::Processing {
            self.carry_out(plan, definition, hold).await
        } else {
            self.land_locked(plan, definition, hold, &projects, options).await
        };
        self.let_go(projects).await;
        outcome
    }

    async fn lock_projects(
        &self,
        plan: &Plan,
        definition: &Definition,
        hold: &LockGuard,
    ) -> Result<LockGuard, DriveError> {
        let keys = definition.projects.iter().map(|project| LockKey::Project(project.name.clone())).collect();
        let (lifecycle, wait) = (&self.parts.lifecycle, self.parts.wait_for_projects);
        let id = plan.id;
        tokio::select! {
            locked = lifecycle.locks().acquire(keys, "plan apply", wait, lifecycle.observer()) => {
                locked.map_err(|source| DriveError::Projects { plan: id, source })
            }
            cause = self.stop_signal(hold) => Err(DriveError::Stopped { plan: id, cause }),
        }
    }

    async fn land_locked(
        &self,
        plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
        projects: &LockGuard,
        options: ApplyOptions,
    ) -> Result<Plan, DriveError> {
        let lifecycle = &self.parts.lifecycle;
        let plan = lifecycle.start(plan.id, BTreeMap::new(), false).await?;
        if plan.landing_is_open() {
            return self.carry_out(plan, definition, hold).await;
        }
        match self.prepare_landing(&plan, definition, hold, options).await {
            Ok(prepared) => {
                let (intents, validations) = (prepared.intents, prepared.validations);
                let plan = lifecycle.intend(plan.id, intents, validations, projects).await?;
                self.carry_out(plan, definition, hold).await
            }
            Err(Obstacle::Constrained(failure, validations)) => {
                Ok(lifecycle.constrain(plan.id, failure, validations).await?)
            }
            Err(Obstacle::Failed(failure)) => Ok(lifecycle.fail(plan.id, failure, Vec::new()).await?),
            Err(Obstacle::Stopped(cause)) => {
                if cause != StopCause::LeaseLost {
                    lifecycle.interrupt(plan.id, InterruptCause::Shutdown, Vec::new()).await?;
                }
                Err(DriveError::Stopped { plan: plan.id, cause })
            }
        }
    }

    /// Moves each branch once, records it, and ends the plan. Safe to repeat at any point.
    async fn carry_out(
        &self,
        mut plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let open: Vec<Intent> =
            plan.landings().filter(|landing| !landing.landed).map(|landing| landing.intent.clone()).collect();
        for intent in open {
            let project = definition.projects.iter().find(|project| project.name == intent.project);
            let project = project.expect("an intent is made for a project of the plan");
            if let Some(failure) = self.move_branch(&plan, project, &intent).await {
                let lifecycle = &self.parts.lifecycle;
                return Ok(match failure {
                    Obstacle::Constrained(failure, kept) => {
                        lifecycle.constrain(plan.id, failure, kept).await?
                    }
                    Obstacle::Failed(failure) => lifecycle.fail(plan.id, failure, Vec::new()).await?,
                    Obstacle::Stopped(cause) => return Err(DriveError::Stopped { plan: plan.id, cause }),
                });
            }
            plan = self.parts.lifecycle.landed(plan.id, intent.id).await?;
        }
        let plan = self.parts.lifecycle.applied(plan.id).await?;
        self.after(&plan, definition, hold).await;
        Ok(plan)
    }

    /// Moves one branch and the checkouts of it.
    async fn move_branch(&self, plan: &Plan, project: &Project, intent: &Intent) -> Option<Obstacle> {
        match self.parts.landings.land(project, intent).await {
            Ok(Landing::Landed) => {}
            Ok(Landing::MovedAway { found }) => {
                let failure = moved_away(plan, intent, found.as_ref());
                return Some(Obstacle::Constrained(failure, plan.validations.clone()));
            }
            Err(error) => return Some(Obstacle::Failed(failures::of_workspace(plan.id, &error))),
        }
        if let Err(error) = self.parts.landings.follow(project, intent).await {
            self.warn(&format!(
                "{}: {} has moved to {}, but a checkout of it could not follow: {error}; \
                 then, in that checkout: git read-tree -m -u {} {}",
                intent.project,
                intent.reference,
                intent.new.short(),
                intent.old.short(),
                intent.new.short()
            ));
        }
        None
    }
}

fn moved_away(plan: &Plan, intent: &Intent, found: Option<&Oid>) -> Failure {
    let now = found.map_or_else(|| "gone".to_owned(), |oid| format!("at {}", oid.short()));
    let message = format!(
        "{}: {} was to move from {} but is now {now}",
        intent.project,
        intent.reference,
        intent.old.short()
    );
    failures::failure("moved_away", message, failures::retry_hint(plan.id), true)
}
