//! The transitions in which a plan is a parent or a child.

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Definition, Failure, Origin, Plan, Spawned, Work};
use agents_domain::subplan::GivenUp;

use super::{LifecycleError, Moves, PlanLifecycleService};
use crate::lock_service::LockGuard;

/// A child that is about to be stored.
#[derive(Debug, Clone, PartialEq)]
pub struct NewChild {
    /// Its identity.
    pub id: PlanId,
    /// What it is made of; it says whose child it is.
    pub origin: Origin,
    /// What it is ordered to do.
    pub definition: Definition,
}

/// What a strategize phase has made.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Strategized {
    /// What it wrote.
    pub strategy: Option<String>,
    /// Where its work is.
    pub work: Vec<Work>,
    /// The children it asked for, and those of the action.
    pub children: Vec<NewChild>,
}

impl PlanLifecycleService {
    /// strategize/processing → strategize/complete; the children come to be in the same transaction.
    pub async fn complete_strategize(&self, plan: PlanId, made: Strategized) -> Result<Plan, LifecycleError> {
        let Strategized { strategy, work, children } = made;
        let complete = Change::PhaseCompleted { tips: BTreeMap::new(), strategy, work };
        let spawned = spawned(&children, &BTreeMap::new());
        let changes = spawned.into_iter().chain([complete]).collect();
        self.transition(plan, Moves { changes, spawn: children, also: Vec::new() }).await
    }

    /// Stores children of a plan, all or none. `replaces`: whose place which of them takes.
    pub async fn spawn(
        &self,
        plan: PlanId,
        children: Vec<NewChild>,
        replaces: &BTreeMap<PlanId, PlanId>,
    ) -> Result<Plan, LifecycleError> {
        let changes = vec![spawned(&children, replaces).unwrap_or(Change::Spawned { children: Vec::new() })];
        self.transition(plan, Moves { changes, spawn: children, also: Vec::new() }).await
    }

    /// Records that the work of a child is part of the plan's own.
    pub async fn merged(
        &self,
        plan: PlanId,
        child: PlanId,
        name: String,
        tips: BTreeMap<Name, Oid>,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::SubplanMerged { child, name, tips }).await
    }

    /// Records that the work of a child could not be merged.
    pub async fn conflicted(
        &self,
        plan: PlanId,
        child: PlanId,
        name: String,
        failure: Failure,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::SubplanConflicted { child, name, failure }).await
    }

    /// Records, before it begins, that a command of the plan's own runs after its children.
    pub async fn command_started(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::CommandStarted).await
    }

    /// Cancels a child because of what became of a sibling. Its parent's lock is checked in the same
    /// transaction: only the scheduler of the moment gives up children.
    pub async fn give_up(
        &self,
        child: PlanId,
        given_up: GivenUp,
        parent: &LockGuard,
    ) -> Result<Plan, LifecycleError> {
        let reason = Some(given_up.reason());
        let (work, given_up) = (Vec::new(), Some(given_up));
        let change = Change::Cancelled { reason, keep_landed: true, work, given_up };
        self.transition(child, Moves { also: parent.fences(), ..Moves::of(change) }).await
    }
}

pub(super) fn spawned(children: &[NewChild], replaces: &BTreeMap<PlanId, PlanId>) -> Option<Change> {
    let one = |child: &NewChild| Spawned {
        plan: child.id,
        name: child.origin.name.clone().unwrap_or_default(),
        action: child.origin.action.clone(),
        replaces: replaces.get(&child.id).copied(),
    };
    let children: Vec<_> = children.iter().map(one).collect();
    (!children.is_empty()).then_some(Change::Spawned { children })
}
