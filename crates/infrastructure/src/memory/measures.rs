//! The numbers of the store, counted when they are asked for.

use std::collections::BTreeMap;
use std::sync::Arc;

use agents_domain::measures::{Measured, Measures};
use agents_domain::plan::StoreError;
use agents_domain::request::Wish;
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
                requests: counted(open.map(|request| kind(request.wish).to_owned())),
            })
        })
    }
}
