//! Every transition of a plan, each under the plan's lock.
//!
//! One shape for all of them: **acquire → read again → decide → commit under the fence →
//! release**, also on error; on a dropped future or a panic the guard hands the lease to the
//! heartbeat thread. The plan is read after the lock is held, every time; there is no cache.
//!
//! Holds nest: a driver takes one hold for a whole command ([`PlanLifecycleService::hold`]) and
//! each transition inside re-enters it at the same token, so that no rival slips in between.
//!
//! ```text
//! hold ─┬─ start: acquire(again) load decide commit release(inner) ─┬─ … ─┬─ complete ─┬─ release
//!       └────────────────── one token from first to last ──────────┴─────┴────────────┘
//! ```

mod commit;
mod error;
pub mod history;
mod strides;
mod subplans;

use std::collections::BTreeMap;
use std::sync::Arc;

use agents_domain::id::{Ids, IntentId, OwnerId, PlanId};
use agents_domain::lock::{Fence, LockKey, Processes};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{
    Change, Definition, Exit, Failure, InterruptCause, NewPlan, Origin, Parked, Phase, Plan, PlanStore,
    Validation, Work,
};
use agents_domain::time::Clock;
use agents_domain::workspace::Intent;

use crate::lock_service::{LockGuard, LockService, Wait};
use crate::observer::{Observer, Unobserved};
use crate::order::Order;

use commit::Moves;
pub use error::LifecycleError;
use error::not_held;
pub use subplans::{NewChild, Strategized};

/// Makes every transition of plans.
///
/// ```no_run
/// # use std::sync::Arc;
/// # use agents_application::{LifecycleError, LockService, PlanLifecycleService};
/// # use agents_domain::{id::{Ids, PlanId}, lock::Processes, plan::PlanStore, time::Clock};
/// # async fn example(
/// #     store: Arc<dyn PlanStore>, clock: Arc<dyn Clock>, ids: Arc<dyn Ids>,
/// #     processes: Arc<dyn Processes>, locks: LockService, plan: PlanId,
/// # ) -> Result<(), LifecycleError> {
/// let lifecycle = PlanLifecycleService::new(store, clock, ids, processes).with_locks(locks);
/// let cancelled = lifecycle.cancel(plan, Some("not needed".to_owned()), false, vec![]).await?;
/// assert!(cancelled.state().is_terminal());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct PlanLifecycleService {
    store: Arc<dyn PlanStore>,
    clock: Arc<dyn Clock>,
    ids: Arc<dyn Ids>,
    locks: LockService,
    observer: Arc<dyn Observer>,
}

impl PlanLifecycleService {
    /// A service with the no-op lock: good for tests and for stores that are one's own. Durable
    /// stores refuse its writes; give it locks with [`Self::with_locks`].
    pub fn new(
        store: Arc<dyn PlanStore>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
        processes: Arc<dyn Processes>,
    ) -> Self {
        let owner = OwnerId::from(ids.ulid());
        let locks = LockService::unfenced(owner, processes, clock.clone(), ids.clone());
        Self { store, clock, ids, locks, observer: Arc::new(Unobserved) }
    }

    /// The same service with locks that are enforced.
    #[must_use]
    pub fn with_locks(self, locks: LockService) -> Self {
        Self { locks, ..self }
    }

    /// The same service, watched.
    #[must_use]
    pub fn with_observer(self, observer: Arc<dyn Observer>) -> Self {
        Self { observer, ..self }
    }

    /// The locks it uses.
    pub fn locks(&self) -> &LockService {
        &self.locks
    }

    /// The observer it tells.
    pub fn observer(&self) -> &dyn Observer {
        &*self.observer
    }

    /// Takes the plan's lock for a whole command, alone also among the tasks of this process.
    /// Transitions inside enter it again. Changes nothing.
    pub async fn hold(&self, plan: PlanId, operation: &str, wait: Wait) -> Result<LockGuard, LifecycleError> {
        let keys = vec![LockKey::Plan(plan)];
        let held = self.locks.acquire_alone(keys, operation, wait, &*self.observer).await;
        held.map_err(|source| not_held(plan, source))
    }

    /// Makes a plan at strategize/queued, as a part of `operation`. Its lock is ours from the first moment; the guard is
    /// returned so that the command which made it can go on with it.
    pub async fn create(&self, order: Order, operation: &str) -> Result<(Plan, LockGuard), LifecycleError> {
        let (id, at) = (PlanId::from(self.ids.ulid()), self.clock.now());
        let origin = Origin {
            name: order.name,
            action: order.definition.action.name.clone(),
            automation: order.automation,
            projects: order.definition.projects.iter().map(|project| project.name.clone()).collect(),
            subplan: None,
        };
        let plan = Plan::create(id, &origin, at);
        let opening = self.locks.opening(LockKey::Plan(id), operation);
        let event = self.event(&plan, Change::Created(origin), Fence::Unfenced);
        let new = NewPlan { plan, definition: order.definition, event };
        let (plan, change) = (new.plan.clone(), new.event.change.clone());
        let guard = Box::pin(self.locks.granted(commit::make(self.store.clone(), new, opening))).await?;
        self.locks.counters().moved(&plan, &change);
        self.observer.transition(&plan, &change);
        Ok((plan, guard))
    }

    /// The plan as it is now. Takes no lock; decide nothing on it.
    pub async fn load(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.store.load(plan).await?.ok_or(LifecycleError::NoSuchPlan { plan })
    }

    /// What the plan was ordered to do; never changes.
    pub async fn definition(&self, plan: PlanId) -> Result<Definition, LifecycleError> {
        self.store.definition(plan).await?.ok_or(LifecycleError::NoSuchPlan { plan })
    }

    /// *p*/queued → *p*/processing, as a new attempt by this process.
    pub async fn start(
        &self,
        plan: PlanId,
        bases: BTreeMap<Name, Oid>,
        commanded: bool,
    ) -> Result<Plan, LifecycleError> {
        let driver = self.locks.myself("start");
        self.change(plan, Change::PhaseStarted { driver, bases, commanded }).await
    }

    /// strategize, execute: *p*/processing → *p*/complete.
    pub async fn complete(
        &self,
        plan: PlanId,
        tips: BTreeMap<Name, Oid>,
        strategy: Option<String>,
        work: Vec<Work>,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::PhaseCompleted { tips, strategy, work }).await
    }

    /// *p*/processing → *p*/errored.
    pub async fn fail(
        &self,
        plan: PlanId,
        failure: Failure,
        exit: Option<Exit>,
        work: Vec<Work>,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::PhaseFailed { failure, exit, work }).await
    }

    /// *p*/processing → *p*/queued: it is to be tried again later, or once a question is answered.
    pub async fn park(&self, plan: PlanId, waits: Parked, work: Vec<Work>) -> Result<Plan, LifecycleError> {
        let Parked { until, input, cause } = waits;
        self.change(plan, Change::Parked { until, input, cause, work }).await
    }

    /// strategize/complete → execute/queued.
    pub async fn execute(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::PhaseAdvanced { to: Phase::Execute }).await
    }

    /// execute/complete → apply/queued.
    pub async fn apply(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::PhaseAdvanced { to: Phase::Apply }).await
    }

    /// apply/processing → apply/constrained: it cannot land as things are.
    pub async fn constrain(
        &self,
        plan: PlanId,
        failure: Failure,
        validations: Vec<Validation>,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Constrained { failure, validations }).await
    }

    /// errored or constrained → queued, ordered by a person: a child gets all its attempts anew.
    pub async fn retry(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::retried()).await
    }

    /// errored or constrained → queued. In execute the next attempt begins at these commits; `anew`:
    /// a child gets all its attempts anew, because a person ordered it.
    pub async fn retry_from(
        &self,
        plan: PlanId,
        resume: BTreeMap<Name, Oid>,
        anew: bool,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Retried { resume, anew }).await
    }

    /// Back to strategize/queued; earlier work stays in its refs.
    pub async fn revert(&self, plan: PlanId, reason: Option<String>) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Reverted { reason }).await
    }

    /// *p*/processing → *p*/errored, by a process that holds the lock now.
    pub async fn interrupt(
        &self,
        plan: PlanId,
        cause: InterruptCause,
        work: Vec<Work>,
    ) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Interrupted { cause, work }).await
    }

    /// *p*/processing → the same, under a new driver; only while no command of its own has run.
    pub async fn adopt(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Adopted { driver: self.locks.myself("adopt") }).await
    }

    /// Any state but the terminal ones → *p*/cancelled.
    pub async fn cancel(
        &self,
        plan: PlanId,
        reason: Option<String>,
        keep_landed: bool,
        work: Vec<Work>,
    ) -> Result<Plan, LifecycleError> {
        let given_up = None;
        self.change(plan, Change::Cancelled { reason, keep_landed, work, given_up }).await
    }

    /// Guidance for the next attempt; answers a question the plan waits on.
    pub async fn prompt(&self, plan: PlanId, text: String) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Prompted { text }).await
    }

    /// Records that what an attempt left on this machine is in snapshots by now.
    pub async fn saved(&self, plan: PlanId, attempt: u32, work: Vec<Work>) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::WorkSaved { attempt, work }).await
    }

    /// The point of no return of apply. `projects` are the locks under which the branches will
    /// move (of a child, whose work moves into its parent's branch, that of the parent); they are
    /// checked in the same transaction.
    pub async fn intend(
        &self,
        plan: PlanId,
        intents: Vec<Intent>,
        validations: Vec<Validation>,
        projects: &LockGuard,
    ) -> Result<Plan, LifecycleError> {
        let change = Change::LandingIntended { intents, validations };
        self.transition(plan, Moves { also: projects.fences(), ..Moves::of(change) }).await
    }

    /// Records that a branch has moved.
    pub async fn landed(&self, plan: PlanId, intent: IntentId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Landed { intent }).await
    }

    /// apply/processing → apply/applied.
    pub async fn applied(&self, plan: PlanId) -> Result<Plan, LifecycleError> {
        self.change(plan, Change::Applied).await
    }
}
