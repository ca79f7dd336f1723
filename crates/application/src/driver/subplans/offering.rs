//! Children that are ready, and for which there is no room here: any worker may take them up.
//!
//! ```text
//! hold it ─ a place? ─┬─ yes ─────────────────────────────────► it is run here
//!                     └─ no: let go ─ order it ─┬─ room here by now, and nobody has it ─► once more
//!                                               └─ a worker has it ─ … ─ its turn is over ─► once
//!                                                  more: what it came to is used
//! ```
//!
//! Only a worker offers: whoever drives a plan by a command of their own has not asked for others.

use agents_domain::id::PlanId;
use agents_domain::orders::{NewOrder, Orders, WorkOrder};
use agents_domain::plan::{Phase, State};
use agents_domain::request::Closed;

use crate::driver::{DriveError, PhaseDriver};
use crate::lifecycle::LifecycleError;

impl PhaseDriver {
    /// Waits, holding nothing, until the child is to be run here: there is room, or somebody else has
    /// been at it.
    pub(super) async fn offer(&self, child: PlanId) -> Result<(), DriveError> {
        let Some(orders) = &self.shared else { return Ok(()) };
        let offer = self.publish(&**orders, child).await?;
        loop {
            let order = self.order_of(&**orders, child).await?;
            let taken_up = order.as_ref().is_some_and(|order| order.claim.is_some());
            if !taken_up && ((offer.is_some() && order.is_none()) || !self.is_crowded().await) {
                return Ok(());
            }
            tokio::select! {
                biased;
                cause = self.parts.stop.stopped() => {
                    if let Some(offer) = offer.filter(|offer| offer.wanted.by == self.asker()) {
                        self.withdraw(&**orders, &offer).await;
                    }
                    return Err(DriveError::Stopped { plan: child, cause });
                }
                () = self.lifecycle().locks().pause() => {}
            }
        }
    }

    /// Takes back what nobody has taken up, and nobody else wants: its parent was stopped, and a child that
    /// begins now would go on without it. If that fails, a worker runs the child, and the parent's next
    /// driver uses it.
    async fn withdraw(&self, orders: &dyn Orders, offer: &WorkOrder) {
        let closed = Closed { at: self.parts.clock.now(), outcome: "its parent was stopped".to_owned() };
        if let Err(error) = orders.withdraw(offer, &closed).await {
            self.warn(&format!("the order for subplan {} stays: {error}", offer.wanted.plan));
        }
    }

    async fn order_of(&self, orders: &dyn Orders, child: PlanId) -> Result<Option<WorkOrder>, DriveError> {
        let order = orders.of(child).await.map_err(LifecycleError::from)?;
        Ok(order.filter(WorkOrder::is_open))
    }

    async fn is_crowded(&self) -> bool {
        self.parts.places.census().await.is_ok_and(|census| census.is_full())
    }

    /// Orders it, unless there is nothing to run: it is done, or waits. What is ordered then, which others
    /// may have wanted before.
    async fn publish(&self, orders: &dyn Orders, child: PlanId) -> Result<Option<WorkOrder>, DriveError> {
        let plan = self.parts.lifecycle.load(child).await?;
        let (phase, state) = (plan.phase(), plan.state());
        let ready = match state {
            State::Queued => plan.parked.is_none() && phase != Phase::Apply,
            State::Complete => phase == Phase::Strategize,
            _ => false,
        };
        if !ready {
            return Ok(None);
        }
        let wanted = NewOrder {
            plan: child,
            goal: Phase::Execute,
            allow_empty: false,
            again: None,
            version: plan.version,
            by: self.asker(),
            at: self.parts.clock.now(),
        };
        Ok(Some(orders.place(&wanted).await.map_err(LifecycleError::from)?))
    }
}
