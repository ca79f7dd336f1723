//! Orders for workers.

use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::orders::{
    Claim, Claimed, NewOrder, Orders, PutBack, WorkOrder, ends_with, is_due, waits_below,
};
use agents_domain::plan::{Phase, PlanProject, PlanRecord, PlanWrite, StoreError};
use agents_domain::request::Closed;
use agents_domain::workspace::{Machine, all_here};
use async_trait::async_trait;

use super::{Moment, Shared, State};

/// The port to the orders.
pub(super) struct MemoryOrders(pub(super) Arc<Shared>);

impl State {
    /// An order ends with its plan, in the section that writes the plan.
    pub(super) fn end_order(&mut self, plan: PlanId, write: &PlanWrite) {
        let Some(row) = self.plans.get(&plan) else { return };
        let Some(outcome) = ends_with(&row.plan, &write.plan) else { return };
        let closed = Closed { at: write.plan.updated_at, outcome: outcome.to_owned() };
        if let Some(order) = self.orders.get_mut(&plan).filter(|order| order.is_open()) {
            (order.claim, order.closed) = (None, Some(closed));
        }
    }

    fn first_due(&self, claim: &Claim, now: Moment) -> Option<PlanId> {
        let mut open: Vec<&WorkOrder> = self.orders.values().filter(|order| order.is_open()).collect();
        open.sort_by_key(|order| (order.ready_at, order.wanted.plan));
        let due = |order: &&WorkOrder| {
            let Some(row) = self.plans.get(&order.wanted.plan) else { return false };
            let plan = &row.plan;
            let wanted = |project: &PlanProject| claim.projects.contains(&project.name);
            let ours = claim.projects.is_empty() || plan.projects.iter().any(wanted);
            let held = self.locks.held(&LockKey::Plan(plan.id), now);
            let stirred = waits_below(plan) && self.has_stirred(plan);
            let here = Machine { id: claim.machine.clone(), host: String::new() };
            let ours = ours && all_here(&row.definition.projects, &here).is_ok();
            ours && is_due(order, plan, held.as_ref(), stirred, (claim, now.wall))
        };
        open.into_iter().find(due).map(|order| order.wanted.plan)
    }

    /// Whether nothing below a plan asks a person, or something there can go on or has changed since the
    /// plan has: what was answered while the plan went to wait is not overlooked.
    fn has_stirred(&self, plan: &PlanRecord) -> bool {
        let below = self.below(plan.id);
        let asks = |one: &&PlanRecord| one.parked.as_ref().is_some_and(|parked| parked.input.is_some());
        let goes_on = |one: &&PlanRecord| {
            let waits = one.parked.is_some() || one.phase() == Phase::Apply;
            one.attempt > 0 && one.state() == agents_domain::plan::State::Queued && !waits
        };
        let changed = |one: &&PlanRecord| one.updated_at > plan.updated_at || goes_on(one);
        !below.iter().any(asks) || below.iter().any(changed)
    }

    fn below(&self, plan: PlanId) -> Vec<&PlanRecord> {
        let mut found: Vec<&PlanRecord> = self.children(plan).collect();
        let mut next = 0;
        while let Some(child) = found.get(next) {
            let id = child.id;
            found.extend(self.children(id));
            next += 1;
        }
        found
    }
}

#[async_trait]
impl Orders for MemoryOrders {
    async fn place(&self, order: &NewOrder) -> Result<WorkOrder, StoreError> {
        self.0.critical(|state, _| {
            let stored = match state.orders.remove(&order.plan) {
                None => WorkOrder::placed(order.clone(), 1),
                Some(found) => found.with(order.clone()),
            };
            state.orders.insert(order.plan, stored.clone());
            Ok(stored)
        })
    }

    async fn of(&self, plan: PlanId) -> Result<Option<WorkOrder>, StoreError> {
        self.0.critical(|state, _| Ok(state.orders.get(&plan).cloned()))
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<WorkOrder>, StoreError> {
        self.0.critical(|state, now| {
            let Some(plan) = state.first_due(claim, now) else { return Ok(None) };
            let order = state.orders.get_mut(&plan).expect("it was found");
            order.claim = Some(Claimed { worker: claim.worker, since: claim.since });
            Ok(Some(order.clone()))
        })
    }

    async fn put_back(&self, back: &PutBack) -> Result<(), StoreError> {
        self.0.critical(|state, now| {
            let found = state.orders.get(&back.plan).cloned();
            let given = found.and_then(|order| order.put_back(back, now.wall));
            state.orders.extend(given.map(|order| (back.plan, order)));
            Ok(())
        })
    }

    async fn end(&self, plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, StoreError> {
        self.0.critical(|state, _| {
            let order = state.orders.get_mut(&plan).filter(|order| order.is_open());
            let Some(order) = order.filter(|order| order.revision == revision) else { return Ok(false) };
            (order.claim, order.closed) = (None, Some(closed.clone()));
            Ok(true)
        })
    }

    async fn withdraw(&self, seen: &WorkOrder, closed: &Closed) -> Result<bool, StoreError> {
        self.0.critical(|state, _| {
            let order = state.orders.get_mut(&seen.wanted.plan).filter(|order| order.is_open());
            let order = order.filter(|order| order.revision == seen.revision && order.claim.is_none());
            let Some(order) = order else { return Ok(false) };
            order.closed = Some(closed.clone());
            Ok(true)
        })
    }

    async fn list(&self) -> Result<Vec<WorkOrder>, StoreError> {
        self.0.critical(|state, _| {
            let mut open: Vec<WorkOrder> =
                state.orders.values().filter(|order| order.is_open()).cloned().collect();
            open.sort_by_key(|order| (order.ready_at, order.wanted.plan));
            Ok(open)
        })
    }
}
