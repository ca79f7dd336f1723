//! The numbers of the store, counted when they are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use agents_domain::measures::{Measured, Measures, OrdersMeasured};
use agents_domain::orders::WorkOrder;
use agents_domain::plan::StoreError;
use agents_domain::request::Wish;
use agents_domain::time::Timestamp;
use async_trait::async_trait;

use super::Shared;

/// The port to the numbers.
pub(super) struct MemoryMeasures(pub(super) Arc<Shared>);

fn counted<K: Ord>(keys: impl Iterator<Item = K>) -> BTreeMap<K, u64> {
    let mut counts = BTreeMap::new();
    for key in keys {
        *counts.entry(key).or_default() += 1;
    }
    counts
}

fn of_orders<'a>(orders: impl Iterator<Item = &'a WorkOrder>, now: Timestamp) -> OrdersMeasured {
    let mut found = OrdersMeasured::default();
    for order in orders.filter(|order| order.is_open()) {
        if order.claim.is_some() {
            found.in_hand += 1;
        } else if order.rests(now) {
            found.resting += 1;
        } else {
            found.in_line += 1;
            found.since = Some(found.since.map_or(order.ready_at, |since| since.min(order.ready_at)));
        }
    }
    found
}

#[async_trait]
impl Measures for MemoryMeasures {
    async fn measure(&self) -> Result<Measured, StoreError> {
        self.0.critical(|state, now| {
            let events = state.plans.values().flat_map(|row| &row.events);
            let open = state.requests.iter().filter(|request| request.closed.is_none());
            let kind = |wish| if matches!(wish, Wish::Cancel { .. }) { "cancel" } else { "break" };
            let (waiting, waiting_since) = state.line.waiting(now);
            Ok(Measured {
                plans: counted(state.plans.values().map(|row| row.plan.stage)),
                events: counted(events.map(|event| event.change.event_name().to_owned())),
                waiting: u64::try_from(waiting).unwrap_or(u64::MAX),
                waiting_since,
                orders: of_orders(state.orders.values(), now.wall),
                requests: counted(open.map(|request| kind(request.wish).to_owned())),
            })
        })
    }
}
