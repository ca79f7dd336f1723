//! Plans that somebody ordered and does not stay to drive: the order is placed, and later a worker
//! works it off.
//!
//! ```text
//! run --detach:  make the plan, held ─ place the order ─ let go
//!                   └─ a crash here leaves a plan that nobody ordered, and says so of itself
//! a turn:        hold ─ what a dead driver left ─┬─ read the order ─ decide ─ one step ─┐
//!                                                └──────────────◄───────────────────────┘
//!                   └─ the order is met, void or ended; the plan waits; something is in the way
//! ```
//!
//! Plan and order are read again before each step, under the hold. So an order that was extended
//! meanwhile is carried through in the same turn, and one that has ended moves nothing any more.

use std::sync::Arc;

use agents_domain::action::Automation;
use agents_domain::id::PlanId;
use agents_domain::orders::{Again, Move, NewOrder, Orders, Past, Wish, WorkOrder, next_move, place};
use agents_domain::plan::{Phase, Plan, State, Verb};
use agents_domain::request::{Asker, Closed};

use super::recovery::Found;
use super::subplans::{Offers, own};
use super::{ApplyOptions, DriveError, PhaseDriver};
use crate::lifecycle::LifecycleError;
use crate::lock_service::LockGuard;
use crate::order::Order;

/// What an order for a plan came to.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ordered {
    /// The plan.
    pub plan: Plan,
    /// What is ordered by now; `None`: the plan is there already.
    pub order: Option<WorkOrder>,
}

impl PhaseDriver {
    /// `run --detach`: makes a plan and orders a worker to strategize and execute it, whatever its
    /// level, and to apply it with `apply` or if its level says so. Returns once both are durable.
    ///
    /// Crash semantics: the plan is stored first. A process that dies in between has not reported it,
    /// and leaves a plan that nobody has ordered.
    pub async fn run_later(
        &self,
        order: Order,
        apply: Option<ApplyOptions>,
        orders: &dyn Orders,
    ) -> Result<Ordered, DriveError> {
        let (plan, hold) = Box::pin(self.parts.lifecycle.create(order, "run --detach")).await?;
        let applies = apply.is_some() || plan.automation == Automation::Auto;
        let wanted = NewOrder {
            plan: plan.id,
            goal: if applies { Phase::Apply } else { Phase::Execute },
            allow_empty: apply.unwrap_or_default().allow_empty,
            again: None,
            version: plan.version,
            by: self.asker(),
            at: self.parts.clock.now(),
        };
        let id = plan.id;
        let (outcome, order) = match orders.place(&wanted).await {
            Ok(order) => (Ok(plan), Some(order)),
            Err(error) => (Err(LifecycleError::from(error).into()), None),
        };
        let plan = self.end(id, hold, outcome).await?;
        Ok(Ordered { plan, order })
    }

    /// `plan execute|apply|retry --detach`: orders a worker to do it. What the command itself would
    /// refuse now is refused.
    pub async fn order(&self, plan: PlanId, wish: Wish, orders: &dyn Orders) -> Result<Ordered, DriveError> {
        let plan = self.parts.lifecycle.load(plan).await?;
        if let Some(verb) = lands(&plan, wish) {
            own(&plan, verb)?;
        }
        let open = orders.of(plan.id).await.map_err(LifecycleError::from)?;
        let wanted = place(&plan, open.as_ref(), wish, self.asker(), self.parts.clock.now());
        let wanted = wanted.map_err(|refusal| LifecycleError::Refused(Box::new(refusal)))?;
        let Some(wanted) = wanted else { return Ok(Ordered { plan, order: None }) };
        Box::pin(self.may_begin(&plan)).await?;
        // Of a plan at work nobody can say what its children come to.
        if wanted.again == Some(Again::OnlyFailed) && plan.state() != State::Processing {
            self.may_try_children_again(&plan).await?;
        }
        let order = orders.place(&wanted).await.map_err(LifecycleError::from)?;
        Ok(Ordered { plan, order: Some(order) })
    }

    pub(super) fn asker(&self) -> Asker {
        let me = self.parts.lifecycle.locks().myself("order");
        Asker { host: me.host, pid: me.pid, user: me.user }
    }

    /// The same driver for a worker: children that it has no room for are offered to others.
    #[must_use]
    pub fn sharing(self, orders: Arc<dyn Orders>) -> Self {
        Self { shared: Some(Offers::new(orders)), ..self }
    }

    /// One turn of a worker at a plan that is ordered: as far as the order says, or until the plan
    /// fails or waits. Ends the order if there is nothing more to come of it.
    pub async fn work_off(&self, plan: PlanId, orders: &dyn Orders) -> Result<Plan, DriveError> {
        let work = async |mut plan: Plan, hold: &LockGuard| {
            let mut moved = false;
            loop {
                self.heed(plan.id, hold).await?;
                let Some(next) = self.next_move(&plan, moved, orders).await? else { return Ok(plan) };
                let before = plan.version;
                plan = Box::pin(self.step(plan, next, hold)).await?;
                moved = true;
                if plan.parked.is_some() || plan.version == before {
                    return Ok(plan);
                }
            }
        };
        self.under_hold(plan, "worker", Found::CarriedOn, work).await
    }

    /// What is to be done now; `None`: nothing, or the order is none any more. What has come to its
    /// end is ended here, unless something was added to it since.
    async fn next_move(
        &self,
        plan: &Plan,
        moved: bool,
        orders: &dyn Orders,
    ) -> Result<Option<Move>, DriveError> {
        loop {
            let order = orders.of(plan.id).await.map_err(LifecycleError::from)?;
            let Some(order) = order.filter(WorkOrder::is_open) else { return Ok(None) };
            let past = Past { moved, ..self.past(plan, &order).await? };
            let over = match next_move(&order, plan, past, self.parts.clock.now()) {
                Move::Wait => return Ok(None),
                Move::Over(over) => over,
                next => return Ok(Some(next)),
            };
            let closed = Closed { at: self.parts.clock.now(), outcome: over.outcome() };
            let ended = orders.end(plan.id, order.revision, &closed).await.map_err(LifecycleError::from)?;
            if ended {
                return Ok(None);
            }
        }
    }

    /// The log is asked only where it decides.
    async fn past(&self, plan: &Plan, order: &WorkOrder) -> Result<Past, DriveError> {
        if order.wanted.again.is_none() && plan.state() != State::Errored {
            return Ok(Past::default());
        }
        Ok(Past::of(&self.parts.lifecycle.events(plan.id).await?, order.wanted.version))
    }

    async fn step(&self, plan: Plan, next: Move, hold: &LockGuard) -> Result<Plan, DriveError> {
        match next {
            Move::Retry(Again::Anew) => self.queue_again(&plan).await,
            Move::Resume => Ok(self.parts.lifecycle.retry_from(plan.id, [].into(), false).await?),
            Move::Retry(Again::Continue) => self.queue_with_unfinished(&plan, hold).await,
            Move::Retry(Again::OnlyFailed) => self.drive_failed_again(plan, hold).await,
            Move::Execute { whole_way } => {
                self.may_begin(&plan).await?;
                self.drive_to_executed(plan, hold, whole_way).await
            }
            Move::Apply { allow_empty } => {
                own(&plan, Verb::Apply)?;
                self.drive_to_applied(plan, hold, ApplyOptions { allow_empty }).await
            }
            Move::Wait | Move::Over(_) => Ok(plan),
        }
    }
}

/// Whether the wish is about landing, which of a child only its parent's driver does.
fn lands(plan: &Plan, wish: Wish) -> Option<Verb> {
    match wish {
        Wish::Apply { .. } => Some(Verb::Apply),
        Wish::Retry { .. } if plan.phase() == Phase::Apply => Some(Verb::Retry),
        _ => None,
    }
}
