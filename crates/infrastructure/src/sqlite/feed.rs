//! The events of all plans on SQLite: one writer at a time, so the order of their rows is the order of
//! their commits, and what is committed is never held back.

use std::sync::Arc;

use agents_domain::feed::{Feed, FeedPage, FeedPosition};
use agents_domain::plan::{Event, StoreError};
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use diesel::prelude::*;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::store::event_row::EventRow;
use crate::store::fault::Fault;
use crate::store::schema::events;

diesel::table! {
    /// The order of all events.
    feed (position) {
        position -> BigInt,
        plan_id -> Text,
        seq -> BigInt,
        latest -> BigInt,
    }
}

diesel::allow_tables_to_appear_in_same_query!(feed, events);

/// The events of all plans of one database file.
pub struct SqliteFeed {
    pub(crate) reads: Arc<Lane>,
}

#[async_trait]
impl Feed for SqliteFeed {
    async fn after(&self, position: FeedPosition, limit: u32) -> Result<FeedPage, StoreError> {
        let reading = move |connection: &mut SqliteConnection| after(connection, position, limit);
        self.reads.run(reading).await.map_err(|fault| fault.into_store(WORDS))
    }

    async fn since(&self, at: Timestamp) -> Result<FeedPosition, StoreError> {
        let reading = move |connection: &mut SqliteConnection| since(connection, at);
        self.reads.run(reading).await.map_err(|fault| fault.into_store(WORDS))
    }
}

/// Some rows after a position, each with its own.
pub(crate) fn rows(
    connection: &mut SqliteConnection,
    after: i64,
    limit: i64,
) -> QueryResult<Vec<(i64, EventRow)>> {
    let in_log = feed::plan_id.eq(events::plan_id).and(feed::seq.eq(events::seq));
    feed::table
        .inner_join(events::table.on(in_log))
        .filter(feed::position.gt(after))
        .order(feed::position)
        .limit(limit)
        .select((feed::position, EventRow::as_select()))
        .load(connection)
}

fn after(connection: &mut SqliteConnection, position: FeedPosition, limit: u32) -> Result<FeedPage, Fault> {
    let rows = rows(connection, position.number, i64::from(limit))?;
    let next = rows.last().map_or(position, |(number, _)| place(*number));
    let events = rows.into_iter().map(|(_, row)| Event::try_from(row)).collect::<Result<_, _>>()?;
    Ok(FeedPage { events, next, held: false })
}

/// By halving: there is no gap between positions, and `latest` never falls.
fn since(connection: &mut SqliteConnection, at: Timestamp) -> Result<FeedPosition, Fault> {
    let end = feed::table.order(feed::position.desc()).select(feed::position);
    let mut end: i64 = end.first(connection).optional()?.unwrap_or(0);
    let mut before = 0;
    while before < end {
        let middle = before + (end - before) / 2;
        let latest: i64 = feed::table.find(middle + 1).select(feed::latest).first(connection)?;
        if latest < at.as_millis() {
            before = middle + 1;
        } else {
            end = middle;
        }
    }
    Ok(place(before))
}

const fn place(number: i64) -> FeedPosition {
    FeedPosition { number, ..FeedPosition::START }
}
