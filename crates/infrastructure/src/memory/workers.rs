//! The list of workers.

use std::sync::Arc;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::orders::WorkOrder;
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use agents_domain::workers::{AtWork, REMEMBRANCE, Worker, Workers};
use async_trait::async_trait;

use super::{Shared, State};

/// The port to the workers.
pub(super) struct MemoryWorkers(pub(super) Arc<Shared>);

fn is_claimed(order: &WorkOrder, worker: OwnerId) -> bool {
    order.claim.is_some_and(|claim| claim.worker == worker)
}

impl State {
    /// What a worker has claimed goes back to its place in the line.
    fn give_back(&mut self, worker: OwnerId) {
        for order in self.orders.values_mut().filter(|order| is_claimed(order, worker)) {
            order.claim = None;
        }
    }

    /// The same, but for these plans and for what it has claimed since it said so.
    fn give_back_but(&mut self, worker: &Worker, doing: &[PlanId]) {
        for order in self.orders.values_mut().filter(|order| is_claimed(order, worker.id)) {
            let before = order.claim.is_some_and(|claim| claim.since < worker.seen);
            if before && !doing.contains(&order.wanted.plan) {
                order.claim = None;
            }
        }
    }

    fn at_work(&self, worker: &Worker, now: Timestamp) -> AtWork {
        let claimed = self.orders.values().filter(|order| is_claimed(order, worker.id));
        let mut claimed: Vec<_> =
            claimed.map(|order| (order.claim.map(|claim| claim.since), order.wanted.plan)).collect();
        claimed.sort();
        let plans = claimed.into_iter().map(|(_, plan)| plan).collect();
        AtWork { worker: worker.clone(), plans, silent: now.since(worker.seen) }
    }
}

#[async_trait]
impl Workers for MemoryWorkers {
    async fn report(&self, worker: &Worker, doing: &[PlanId]) -> Result<(), StoreError> {
        self.0.critical(|state, now| {
            state.workers.insert(worker.id, Worker { seen: now.wall, ..worker.clone() });
            state.give_back_but(worker, doing);
            Ok(())
        })
    }

    async fn leave(&self, worker: OwnerId) -> Result<(), StoreError> {
        self.0.critical(|state, _| {
            state.give_back(worker);
            state.workers.remove(&worker);
            Ok(())
        })
    }

    async fn bury(&self, lost: &[Worker], at: Timestamp) -> Result<(), StoreError> {
        self.0.critical(|state, _| {
            for seen in lost {
                let found = state.workers.get_mut(&seen.id).filter(|found| found.seen == seen.seen);
                if let Some(worker) = found {
                    worker.lost.get_or_insert(at);
                    state.give_back(seen.id);
                }
            }
            state.workers.retain(|_, worker| worker.lost.is_none_or(|lost| at <= lost.plus(REMEMBRANCE)));
            Ok(())
        })
    }

    async fn list(&self) -> Result<Vec<AtWork>, StoreError> {
        self.0.critical(|state, now| {
            let mut all: Vec<&Worker> = state.workers.values().collect();
            all.sort_by_key(|worker| (worker.since, worker.id));
            Ok(all.into_iter().map(|worker| state.at_work(worker, now.wall)).collect())
        })
    }
}
