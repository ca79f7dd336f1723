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
//! that a process which was frozen and thaws later cannot move it again. A branch that somebody moved
//! away ends the intent, and its marker then says so: such a process cannot move it at all.

mod prepare;
mod validate;

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, Failure, Parked, Phase, Plan, State};
use agents_domain::workspace::{Intent, Landing, Project};

use super::place::no_place_cause;
use super::{ApplyOptions, DriveError, PhaseDriver, Under, failures, is_at};
use crate::lock_service::LockGuard;

use prepare::{Obstacle, failed};

/// What counts as a result that can land.
#[derive(Debug, Clone, Copy)]
pub(super) struct Terms {
    /// Also one that changes nothing.
    pub(super) allow_empty: bool,
    /// Not one that changed a file which the target changed, too.
    pub(super) exclusive: bool,
}

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
            let terms = Terms { allow_empty: options.allow_empty, exclusive: false };
            self.land_locked(plan, definition, hold, &projects, terms).await
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
            // Who is asked to end takes nothing more, even if it is free.
            biased;
            cause = self.stop_signal(hold.into()) => Err(DriveError::Stopped { plan: id, cause }),
            locked = lifecycle.locks().acquire_alone(keys, "plan apply", wait, lifecycle.observer()) => {
                locked.map_err(|source| DriveError::Projects { plan: id, source })
            }
        }
    }

    /// `onto`: the locks of what the work lands on: the projects, or the parent of a child.
    pub(super) async fn land_locked(
        &self,
        plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
        onto: &LockGuard,
        terms: Terms,
    ) -> Result<Plan, DriveError> {
        let lifecycle = &self.parts.lifecycle;
        self.heed(plan.id, hold).await?;
        let plan = if is_at(&plan, Phase::Execute, State::Complete) {
            lifecycle.begin_apply(plan.id).await?
        } else {
            lifecycle.start(plan.id, BTreeMap::new(), false).await?
        };
        if plan.landing_is_open() {
            return self.carry_out(plan, definition, hold).await;
        }
        match self.prepare_landing(&plan, definition, Under { hold, projects: Some(onto) }, terms).await {
            Ok(prepared) => {
                let (intents, validations) = (prepared.intents, prepared.validations);
                let plan = lifecycle.intend(plan.id, intents, validations, onto).await?;
                self.carry_out(plan, definition, hold).await
            }
            Err(obstacle) => self.stopped_by(plan.id, obstacle, hold).await,
        }
    }

    /// The transition that an obstacle comes to.
    async fn stopped_by(
        &self,
        plan: PlanId,
        obstacle: Obstacle,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let lifecycle = &self.parts.lifecycle;
        match obstacle {
            Obstacle::Constrained(failure, validations) => {
                Ok(lifecycle.constrain(plan, failure, validations).await?)
            }
            Obstacle::Failed(failure) => Ok(lifecycle.fail(plan, failure, None, Vec::new()).await?),
            Obstacle::NoPlace(census) => {
                let phase = Phase::Apply;
                let cause = no_place_cause(phase);
                let waits = Parked { until: None, input: None, cause };
                lifecycle.park(plan, waits, Vec::new()).await?;
                Err(DriveError::NoPlace { plan, phase, census })
            }
            Obstacle::Stopped(cause) => {
                self.record_stop(plan, cause, Vec::new(), hold).await?;
                Err(DriveError::Stopped { plan, cause })
            }
        }
    }

    /// Carries out the landing of a child that was decided, and failed at that or stopped short of it:
    /// its parent is to end, and what was decided is not taken back. Any other plan as it is.
    pub(super) async fn finish_open(&self, plan: Plan, hold: &LockGuard) -> Result<Plan, DriveError> {
        let lifecycle = &self.parts.lifecycle;
        if plan.subplan.is_none() || !plan.landing_is_open() {
            return Ok(plan);
        }
        if plan.state() == State::Errored {
            lifecycle.retry_from(plan.id, BTreeMap::new(), false).await?;
        }
        let definition = lifecycle.definition(plan.id).await?;
        let plan = lifecycle.start(plan.id, BTreeMap::new(), false).await?;
        self.carry_out(plan, &definition, hold).await
    }

    /// Moves each branch once, records it, and ends the plan. Safe to repeat at any point.
    pub(super) async fn carry_out(
        &self,
        mut plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let open: Vec<Intent> =
            plan.landings().filter(|landing| !landing.landed).map(|landing| landing.intent.clone()).collect();
        let last = open.len();
        for (index, intent) in open.into_iter().enumerate() {
            let project = definition.projects.iter().find(|project| project.name == intent.project);
            let project = project.expect("an intent is made for a project of the plan");
            if let Err(obstacle) = self.move_branch(&plan, project, &intent).await {
                return self.stopped_by(plan.id, obstacle, hold).await;
            }
            plan = if index + 1 == last {
                self.parts.lifecycle.landed_last(plan.id, intent.id).await?
            } else {
                self.parts.lifecycle.landed(plan.id, intent.id).await?
            };
        }
        if plan.state() != State::Applied {
            plan = self.parts.lifecycle.applied(plan.id).await?;
        }
        if plan.subplan.is_none() {
            self.after(&plan, definition, hold.into()).await;
        }
        Ok(plan)
    }

    /// Moves one branch and the checkouts of it.
    async fn move_branch(&self, plan: &Plan, project: &Project, intent: &Intent) -> Result<(), Obstacle> {
        let landing = self.parts.landings.land(project, intent).await;
        if let Landing::MovedAway { found } = landing.map_err(|error| failed(plan, &error))? {
            let failure = moved_away(plan, intent, found.as_ref());
            return Err(Obstacle::Constrained(failure, plan.validations.clone()));
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
        Ok(())
    }
}

fn moved_away(plan: &Plan, intent: &Intent, found: Option<&Oid>) -> Failure {
    let now = match found {
        None => "is now gone".to_owned(),
        Some(oid) if *oid == intent.old => "was elsewhere meanwhile".to_owned(),
        Some(oid) => format!("is now at {}", oid.short()),
    };
    let (project, reference, old) = (&intent.project, &intent.reference, intent.old.short());
    let message = format!("{project}: {reference} was to move from {old} but {now}");
    failures::failure("moved_away", message, failures::retry_hint(failures::landed_by(plan)), true)
}
