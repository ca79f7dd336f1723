//! One phase: attempts by its retry policy, and the transition that each of them comes to.

use std::collections::BTreeMap;

use agents_domain::files::AskedSubplans;
use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::places::Place;
use agents_domain::plan::{Definition, InterruptCause, Parked, Phase, Plan, Work};
use agents_domain::runner::StopCause;
use agents_domain::workspace::{Project, WorkspaceError};

use super::attempt::{End, Finished, facts};
use super::parking::{Wish, another_attempt};
use super::subplans::{ChildrenFirst, limited};
use super::{DriveError, PhaseDriver};
use crate::lock_service::LockGuard;

impl PhaseDriver {
    /// Runs the queued phase of a plan until it is complete, parked, or has failed for good; or the
    /// rest of one whose children a dead driver ran. `on`: execute follows strategize.
    pub(super) async fn run_phase(
        &self,
        mut plan: Plan,
        definition: &Definition,
        on: bool,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        if plan.phase() == Phase::Strategize && definition.action.strategize.is_none() {
            return Box::pin(self.pass_strategize(plan, definition, on)).await;
        }
        let limit = self.limit(&plan).await?;
        let spec = match plan.phase() {
            Phase::Strategize => definition.action.strategize.as_ref(),
            Phase::Execute | Phase::Apply => definition.action.execute.as_ref(),
        };
        let spec = spec.map(|spec| limited(spec, limit));
        let mut begun = None;
        if plan.phase() == Phase::Execute {
            match Box::pin(self.children_first(plan, definition, spec.as_ref(), limit, hold)).await? {
                ChildrenFirst::None(childless) => plan = childless,
                ChildrenFirst::Over(over) => return Ok(over),
                ChildrenFirst::Begun(merged, place) => (plan, begun) = (merged, Some(place)),
            }
        }
        let mut tries = 0;
        loop {
            tries += 1;
            let place = match begun.take() {
                Some(place) => Some(place),
                None => self.begin(&mut plan, definition, spec.is_some(), hold).await?,
            };
            let (Some(spec), Some(place)) = (&spec, place) else {
                let nothing = (BTreeMap::new(), None, Vec::new());
                return Ok(self.parts.lifecycle.complete(plan.id, nothing.0, nothing.1, nothing.2).await?);
            };
            let mut finished = self.attempt(&plan, definition, spec, hold, place).await;
            let again = another_attempt(spec, &mut finished.end, tries);
            let (id, attempt, work) = (plan.id, plan.attempt, finished.work.clone());
            let recorded = self.record(plan, definition, finished, hold).await;
            if !hold.is_lost() {
                match &recorded {
                    Ok(_) => self.clear_saved(id, attempt, &work, definition).await,
                    // Whether it was recorded all the same is in the log.
                    Err(_) => self.clear_away(id, definition).await,
                }
            }
            plan = recorded?;
            let Some(pause) = again else { return Ok(plan) };
            // The policy repeats an attempt: it begins where the one before began.
            let resume =
                plan.projects.iter().filter_map(|facts| Some((facts.name.clone(), facts.resume.clone()?)));
            plan = self.parts.lifecycle.retry_from(plan.id, resume.collect(), false).await?;
            self.back_off(&plan, pause, hold).await?;
        }
    }

    /// Starts an attempt, in a place of its own if a command runs in it.
    async fn begin(
        &self,
        plan: &mut Plan,
        definition: &Definition,
        commanded: bool,
        hold: &LockGuard,
    ) -> Result<Option<Box<dyn Place>>, DriveError> {
        let place = if commanded { Some(self.place_for_attempt(plan, hold).await?) } else { None };
        let bases = self.bases(plan, definition).await?;
        *plan = self.parts.lifecycle.start(plan.id, bases, commanded).await?;
        Ok(place)
    }

    /// Strategize without a command is complete at once.
    async fn pass_strategize(
        &self,
        plan: Plan,
        definition: &Definition,
        on: bool,
    ) -> Result<Plan, DriveError> {
        let (lifecycle, bases) = (&self.parts.lifecycle, self.bases(&plan, definition).await?);
        match self.children_asked_for(&plan, definition, AskedSubplans::default()).await? {
            Ok(children) => Ok(lifecycle.pass_strategize(plan.id, bases, children, on).await?),
            Err(failure) => {
                let plan = lifecycle.start(plan.id, bases, false).await?;
                Ok(lifecycle.fail(plan.id, failure, None, Vec::new()).await?)
            }
        }
    }

    /// The base of each project that has none yet: where its branch is now.
    pub(super) async fn bases(
        &self,
        plan: &Plan,
        definition: &Definition,
    ) -> Result<BTreeMap<Name, Oid>, DriveError> {
        let mut bases = BTreeMap::new();
        for project in definition.projects.iter().filter(|project| facts(plan, project).base.is_none()) {
            let base = match plan.parent() {
                Some(parent) => self.ground(parent, project).await?,
                None => self.head(project).await?,
            };
            bases.insert(project.name.clone(), base);
        }
        Ok(bases)
    }

    async fn head(&self, project: &Project) -> Result<Oid, DriveError> {
        let head = self.parts.worktrees.head(project).await?;
        if head.unpushed {
            let (name, commit) = (&project.name, head.commit.short());
            self.warn(&format!(
                "{name} has commits that its remote lacks; the plan starts from {commit} without them"
            ));
        }
        if head.dirty {
            let (name, commit) = (&project.name, head.commit.short());
            self.warn(&format!("{name} has uncommitted changes; the plan starts from {commit} without them"));
        }
        Ok(head.commit)
    }

    /// A child begins at its parent's branch, of which no checkout says anything.
    async fn ground(&self, parent: PlanId, project: &Project) -> Result<Oid, DriveError> {
        let found = self.tip(project, parent, None).await?;
        let (name, branch) = (project.name.clone(), project.branch.clone());
        Ok(found.ok_or(WorkspaceError::NoBranch { project: name, branch })?)
    }

    /// The transition that an attempt comes to. The plan branch follows what is recorded: behind
    /// it after a crash, never ahead.
    async fn record(
        &self,
        plan: Plan,
        definition: &Definition,
        finished: Finished,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let (lifecycle, id, work) = (&self.parts.lifecycle, plan.id, finished.work);
        match finished.end {
            End::Succeeded(made) if plan.phase() == Phase::Strategize => {
                self.strategized(&plan, definition, made, work).await
            }
            End::Succeeded(_) => {
                let moves = finished.moves;
                let tips = moves.iter().map(|(name, (_, new))| (name.clone(), new.clone())).collect();
                let plan = lifecycle.complete(id, tips, None, work).await?;
                for project in &definition.projects {
                    let Some((old, new)) = moves.get(&project.name) else { continue };
                    match self.parts.worktrees.advance(project, id, old.clone(), new).await {
                        // The phase is complete whatever git says: it is recorded. Whoever goes on
                        // from the branch brings it up first.
                        Err(
                            error @ (WorkspaceError::Git { .. }
                            | WorkspaceError::DirtyCheckout { .. }
                            | WorkspaceError::Remote { .. }
                            | WorkspaceError::RemoteRefused { .. }),
                        ) => self.warn(&format!(
                            "{}: its branch will follow when the plan goes on, or by `agents recover` \
                             here: {error}",
                            project.name
                        )),
                        outcome => outcome?,
                    }
                }
                Ok(plan)
            }
            End::Failed(failure, exit) => Ok(lifecycle.fail(id, failure, exit, work).await?),
            End::Parked(Wish { until, input, cause, .. }) => {
                Ok(lifecycle.park(id, Parked { until, input, cause }, work).await?)
            }
            End::Stopped(cause) => {
                self.record_stop(id, cause, work, hold).await?;
                Err(DriveError::Stopped { plan: id, cause })
            }
        }
    }

    /// What is recorded of a phase that we stopped: nothing, if the plan may be another's by now.
    pub(super) async fn record_stop(
        &self,
        plan: PlanId,
        cause: StopCause,
        work: Vec<Work>,
        hold: &LockGuard,
    ) -> Result<(), DriveError> {
        let recorded = match cause {
            StopCause::LeaseLost | StopCause::LeaseDoubted => return Ok(()),
            StopCause::Cancelled => {
                self.cancel_stopped(plan, hold, work.clone()).await?;
                InterruptCause::Asked
            }
            StopCause::Asked => InterruptCause::Asked,
            StopCause::Shutdown | StopCause::Escalated => InterruptCause::Shutdown,
        };
        self.parts.lifecycle.interrupt(plan, recorded, work).await?;
        Ok(())
    }
}
