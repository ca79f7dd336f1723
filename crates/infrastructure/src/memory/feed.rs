//! The events of all plans: each is entered in the section that writes it.

use std::sync::Arc;

use agents_domain::feed::{Feed, FeedPage, FeedPosition};
use agents_domain::id::PlanId;
use agents_domain::plan::{Event, StoreError};
use agents_domain::time::Timestamp;
use async_trait::async_trait;

use super::{Shared, State};

/// The port to the events of all plans.
pub(super) struct MemoryFeed(pub(super) Arc<Shared>);

/// One event: where it is, and the latest time of an event up to there.
pub(super) struct Entry {
    plan: PlanId,
    seq: u64,
    latest: Timestamp,
}

impl State {
    pub(super) fn enter_feed(&mut self, event: &Event) {
        let latest = self.feed.last().map_or(event.at, |last| last.latest.max(event.at));
        self.feed.push(Entry { plan: event.plan, seq: event.seq, latest });
    }

    fn event(&self, entry: &Entry) -> Option<Event> {
        self.plans.get(&entry.plan)?.events.iter().find(|event| event.seq == entry.seq).cloned()
    }
}

fn place(index: usize) -> FeedPosition {
    FeedPosition { number: i64::try_from(index).unwrap_or(i64::MAX), ..FeedPosition::START }
}

#[async_trait]
impl Feed for MemoryFeed {
    async fn after(&self, position: FeedPosition, limit: u32) -> Result<FeedPage, StoreError> {
        self.0.critical(|state, _| {
            let passed = usize::try_from(position.number).unwrap_or(0);
            let limit = usize::try_from(limit).unwrap_or(usize::MAX);
            let events: Vec<Event> =
                state.feed.iter().skip(passed).take(limit).filter_map(|entry| state.event(entry)).collect();
            let next = if events.is_empty() { position } else { place(passed + events.len()) };
            Ok(FeedPage { events, next, held: false })
        })
    }

    async fn since(&self, at: Timestamp) -> Result<FeedPosition, StoreError> {
        self.0.critical(|state, _| Ok(place(state.feed.partition_point(|entry| entry.latest < at))))
    }
}
