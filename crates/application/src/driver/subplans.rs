//! A parent and its children: whoever drives the parent starts them, waits for them and merges them.
//!
//! ```text
//! parent: start ─ children: run … merge … run … merge ─ all settled? ─┬─ its own command ─ complete
//!   (held and renewed throughout; no place, no command of its own)    └─ errored, or parked
//! child:          hold ─ strategize ─ execute ─ merge into the parent ─ let go
//! ```
//!
//! The holder of the parent's lock is its only scheduler; what it decides by is a pure state machine
//! ([`agents_domain::subplan::Scheduler`]), made from the children's rows. Should it die, whoever
//! drives the parent next makes it anew: what has settled stays settled, what runs is waited for by
//! waiting for its lock, and what died with the scheduler is tried again.

mod again;
mod ending;
mod listening;
mod merging;
mod offering;
mod ready;
mod running;
mod scheduling;

use std::collections::BTreeMap;

use agents_domain::action::PhaseSpec;
use agents_domain::files::AskedSubplans;
use agents_domain::places::Place;
use agents_domain::plan::{Definition, Failure, Parked, Phase, Plan, Refusal, State, Verb, Work};
use agents_domain::subplan::GraphProblem;

pub(super) use offering::Offers;

use super::attempt::Made;
use super::place::no_place_cause;
use super::{DriveError, Limit, PhaseDriver, failures};
use crate::lifecycle::{LifecycleError, NewChild, Strategized};
use crate::lock_service::LockGuard;
use crate::subplan_service::{InvalidSubplans, SpawnError, SubplanProblem};

/// How far a plan has come before the first command of its own.
pub(super) enum ChildrenFirst {
    /// It has no children, and has not begun.
    None(Plan),
    /// Its attempt is over: it is complete, failed or parked.
    Over(Plan),
    /// Its children are merged, and its command begins in that place.
    Begun(Plan, Box<dyn Place>),
}

impl PhaseDriver {
    /// Runs the children of a plan at execute, if it has any, up to where its own command begins.
    pub(super) async fn children_first(
        &self,
        mut plan: Plan,
        definition: &Definition,
        spec: Option<&PhaseSpec>,
        limit: Limit,
        hold: &LockGuard,
    ) -> Result<ChildrenFirst, DriveError> {
        if plan.state() == State::Queued {
            let family = self.parts.subplans.family(plan.id).await.map_err(LifecycleError::from)?;
            if family.is_empty() {
                return Ok(ChildrenFirst::None(plan));
            }
            plan = self.break_ground(plan, definition).await?;
        }
        let plan = match Box::pin(self.schedule(plan, definition, limit, hold)).await? {
            scheduling::Outcome::Merged(plan) => plan,
            scheduling::Outcome::Over(plan) => return Ok(ChildrenFirst::Over(plan)),
        };
        if spec.is_none() {
            let tips = self.branch_tips(&plan, definition).await?;
            let done = self.parts.lifecycle.complete(plan.id, tips, None, Vec::new()).await?;
            return Ok(ChildrenFirst::Over(done));
        }
        match self.place_for_attempt(&plan, hold).await {
            Ok(place) => {
                let plan = self.parts.lifecycle.command_started(plan.id).await?;
                Ok(ChildrenFirst::Begun(plan, place))
            }
            Err(error) => self.no_place_for_its_own(&plan, error, hold).await,
        }
    }

    /// Starts the attempt. Children land on the plan branch, so it is where it should be before the
    /// record says so; what stood there before a revert stays in refs of its own.
    async fn break_ground(&self, plan: Plan, definition: &Definition) -> Result<Plan, DriveError> {
        let bases = self.bases(&plan, definition).await?;
        for project in &definition.projects {
            let facts = super::attempt::facts(&plan, project);
            let Some(base) = facts.base.as_ref().or_else(|| bases.get(&project.name)) else { continue };
            let found = self.tip(project, plan.id, facts.tip.clone()).await?;
            if facts.tip.is_none() && found.as_ref() != Some(base) {
                self.parts.worktrees.advance(project, plan.id, found, base).await?;
            }
        }
        Ok(self.parts.lifecycle.start(plan.id, bases, false).await?)
    }

    /// Where the plan branch is in each project: with what was merged, and what a person put there.
    async fn branch_tips(
        &self,
        plan: &Plan,
        definition: &Definition,
    ) -> Result<BTreeMap<agents_domain::name::Name, agents_domain::oid::Oid>, DriveError> {
        let mut tips = BTreeMap::new();
        for project in &definition.projects {
            let recorded = super::attempt::facts(plan, project).tip.clone();
            let tip = self.tip(project, plan.id, recorded).await?;
            tips.extend(tip.map(|tip| (project.name.clone(), tip)));
        }
        Ok(tips)
    }

    /// Its children are merged, and no place is to be had for its own command: it is queued again.
    async fn no_place_for_its_own(
        &self,
        plan: &Plan,
        error: DriveError,
        hold: &LockGuard,
    ) -> Result<ChildrenFirst, DriveError> {
        if let DriveError::Stopped { cause, .. } = &error {
            self.record_stop(plan.id, *cause, Vec::new(), hold).await?;
        } else {
            let waits = Parked { until: None, input: None, cause: no_place_cause(Phase::Execute) };
            self.parts.lifecycle.park(plan.id, waits, Vec::new()).await?;
        }
        Err(error)
    }

    /// What strategize comes to: the children that it and the action ask for are stored with its
    /// completion, or it has failed and none is.
    pub(super) async fn strategized(
        &self,
        plan: &Plan,
        definition: &Definition,
        made: Made,
        work: Vec<Work>,
    ) -> Result<Plan, DriveError> {
        let Made { strategy, asked } = made;
        let lifecycle = &self.parts.lifecycle;
        match self.children_asked_for(plan, definition, asked).await? {
            Ok(children) => {
                let made = Strategized { strategy, work, children };
                Ok(lifecycle.complete_strategize(plan.id, made).await?)
            }
            Err(failure) => Ok(lifecycle.fail(plan.id, failure, None, work).await?),
        }
    }

    /// The children that the action and its strategize phase ask for, or all that is wrong with them.
    pub(super) async fn children_asked_for(
        &self,
        plan: &Plan,
        definition: &Definition,
        asked: AskedSubplans,
    ) -> Result<Result<Vec<NewChild>, Failure>, DriveError> {
        let items: Vec<_> = definition.action.subplan_items().iter().cloned().chain(asked.items).collect();
        let unreadable: Vec<_> = asked.problems.into_iter().map(SubplanProblem::Unreadable).collect();
        let wrong = match self.parts.subplans.prepare(plan, definition, &items).await {
            Ok(children) if unreadable.is_empty() => return Ok(Ok(children)),
            Ok(_) => InvalidSubplans { problems: unreadable },
            Err(SpawnError::Invalid(InvalidSubplans { problems })) => {
                let others = problems.into_iter().filter(|problem| !waits_for(problem, &asked.unread));
                InvalidSubplans { problems: unreadable.into_iter().chain(others).collect() }
            }
            Err(SpawnError::Lifecycle(error)) => return Err(error.into()),
            Err(SpawnError::Store(error)) => return Err(LifecycleError::from(error).into()),
        };
        let hint = failures::retry_hint(plan.id);
        Ok(Err(failures::failure("subplans", wrong.to_string(), hint, false)))
    }

    /// How long an attempt of that plan may take: as its parent's action says.
    pub(super) async fn limit(&self, plan: &Plan) -> Result<Limit, DriveError> {
        if let Some(known) = self.limit {
            return Ok(known);
        }
        let Some(parent) = plan.parent() else { return Ok(None) };
        let definition = self.parts.lifecycle.definition(parent).await?;
        Ok(definition.action.subplan_settings().timeout)
    }
}

/// Whether all that is wrong is that a line cannot be read, which is told of that line.
fn waits_for(problem: &SubplanProblem, unread: &[String]) -> bool {
    let SubplanProblem::Graph(GraphProblem::Unknown { dependency, .. }) = problem else { return false };
    unread.contains(dependency)
}

/// A command with no more time than that.
pub(super) fn limited(spec: &PhaseSpec, limit: Limit) -> PhaseSpec {
    let timeout = spec.timeout.into_iter().chain(limit).min();
    PhaseSpec { timeout, ..spec.clone() }
}

/// Refuses what only the parent of a child may do.
pub(super) fn own(plan: &Plan, verb: Verb) -> Result<(), DriveError> {
    let Some(parent) = plan.parent() else { return Ok(()) };
    if plan.state().is_terminal() {
        return Ok(());
    }
    let reason = format!("it is a subplan: whoever drives plan {parent} merges its work");
    Err(refused(plan, verb, reason, format!("agents plan why {parent}")))
}

fn refused(plan: &Plan, verb: Verb, reason: String, remedy: String) -> DriveError {
    let (plan, stage, remedy, otherwise) = (plan.id, plan.stage, Some(remedy), None);
    LifecycleError::Refused(Box::new(Refusal { plan, verb, stage, reason, remedy, otherwise })).into()
}
