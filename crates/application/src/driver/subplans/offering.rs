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
//!
//! An offer adds to the order that is there, and so cannot be told from what others want of it, once it is
//! made again. So what was stored when it was all of the order is remembered ([`Offers`]), and that is all
//! that is ever taken back.

use std::collections::BTreeMap;
use std::sync::{Arc, Mutex, PoisonError};

use agents_domain::id::PlanId;
use agents_domain::orders::{NewOrder, Orders, WorkOrder};
use agents_domain::plan::{Phase, State};
use agents_domain::request::Closed;

use crate::driver::{DriveError, PhaseDriver};
use crate::lifecycle::LifecycleError;

/// Where a worker offers children, and what it knows of its own offers in this turn.
#[derive(Clone)]
pub(in crate::driver) struct Offers {
    pub(in crate::driver) orders: Arc<dyn Orders>,
    /// Each order as it was when an offer of ours was all of it.
    first: Arc<Mutex<BTreeMap<PlanId, WorkOrder>>>,
}

impl Offers {
    pub(in crate::driver) fn new(orders: Arc<dyn Orders>) -> Self {
        Self { orders, first: Arc::default() }
    }

    /// Places an offer; what is stored then.
    async fn place(&self, wanted: &NewOrder) -> Result<WorkOrder, LifecycleError> {
        let stored = self.orders.place(wanted).await?;
        let mut first = self.first.lock().unwrap_or_else(PoisonError::into_inner);
        // One that was added to another keeps what that one said: when, and by whom.
        let known = first.get(&wanted.plan).is_some_and(|first| first.wanted == *wanted);
        if stored.wanted == *wanted && !known {
            first.insert(wanted.plan, stored.clone());
        }
        Ok(stored)
    }

    /// The order of that plan as it was when an offer of ours was all of it; `None`: it never was.
    fn ours_alone(&self, plan: PlanId) -> Option<WorkOrder> {
        self.first.lock().unwrap_or_else(PoisonError::into_inner).get(&plan).cloned()
    }
}

impl PhaseDriver {
    /// Waits, holding nothing, until the child is to be run here: there is room, or somebody else has
    /// been at it.
    pub(super) async fn offer(&self, child: PlanId) -> Result<(), DriveError> {
        let Some(offers) = &self.shared else { return Ok(()) };
        let offer = self.publish(offers, child).await?;
        loop {
            let order = self.order_of(&*offers.orders, child).await?;
            let taken_up = order.as_ref().is_some_and(|order| order.claim.is_some());
            if !taken_up && ((offer.is_some() && order.is_none()) || !self.is_crowded().await) {
                return Ok(());
            }
            tokio::select! {
                biased;
                cause = self.parts.stop.stopped() => {
                    if let Some(ours) = offer.and_then(|_| offers.ours_alone(child)) {
                        self.withdraw(&*offers.orders, &ours).await;
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
    async fn publish(&self, offers: &Offers, child: PlanId) -> Result<Option<WorkOrder>, DriveError> {
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
        Ok(Some(offers.place(&wanted).await?))
    }
}
