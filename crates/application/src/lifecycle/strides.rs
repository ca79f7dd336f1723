//! Several transitions in one commit, where nothing lies between them.
//!
//! Each is an event of its own, with a version of its own; what is saved is the wait for the disk,
//! and a state in which nobody would find anything to do.

use std::collections::BTreeMap;

use agents_domain::id::{IntentId, PlanId};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Phase, Plan};

use super::subplans::spawned;
use super::{LifecycleError, Moves, NewChild, PlanLifecycleService};
use crate::lock_service::LockGuard;

impl PlanLifecycleService {
    /// strategize/queued → strategize/complete, of an action without such a phase, and with `on` to
    /// execute/queued. The children come to be in the same transaction.
    pub async fn pass_strategize(
        &self,
        plan: PlanId,
        bases: BTreeMap<Name, Oid>,
        children: Vec<NewChild>,
        on: bool,
    ) -> Result<Plan, LifecycleError> {
        let driver = self.locks().myself("start");
        let start = Change::PhaseStarted { driver, bases, commanded: false };
        let complete = Change::PhaseCompleted { tips: BTreeMap::new(), strategy: None, work: Vec::new() };
        let advance = on.then_some(Change::PhaseAdvanced { to: Phase::Execute });
        let spawned = spawned(&children, &BTreeMap::new());
        let changes = [start].into_iter().chain(spawned).chain([complete]).chain(advance).collect();
        self.transition(plan, Moves { changes, spawn: children, also: Vec::new() }).await
    }

    /// execute/complete → apply/processing.
    pub async fn begin_apply(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        let (driver, bases) = (self.locks().myself("start"), BTreeMap::new());
        let start = Change::PhaseStarted { driver, bases, commanded: false };
        let changes = vec![Change::PhaseAdvanced { to: Phase::Apply }, start];
        self.transition(plan, Moves { changes, spawn: Vec::new(), also: Vec::new() }).await
    }

    /// execute/complete → apply/applied, of a child whose work changes nothing. `parent`: the lock of
    /// what it would land on, checked in the same transaction.
    pub async fn pass_apply(&self, plan: PlanId, parent: &LockGuard) -> Result<Plan, LifecycleError> {
        let (driver, bases) = (self.locks().myself("start"), BTreeMap::new());
        let start = Change::PhaseStarted { driver, bases, commanded: false };
        let intend = Change::LandingIntended { intents: Vec::new(), validations: Vec::new() };
        let changes = vec![Change::PhaseAdvanced { to: Phase::Apply }, start, intend, Change::Applied];
        self.transition(plan, Moves { changes, spawn: Vec::new(), also: parent.fences() }).await
    }

    /// The last branch has moved: apply/processing → apply/applied.
    pub async fn landed_last(&self, plan: PlanId, intent: IntentId) -> Result<Plan, LifecycleError> {
        let changes = vec![Change::Landed { intent }, Change::Applied];
        self.transition(plan, Moves { changes, spawn: Vec::new(), also: Vec::new() }).await
    }
}
