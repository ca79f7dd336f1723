//! The events of all plans on PostgreSQL, in the order of the transactions that wrote them.
//!
//! Writers do not wait for each other, and a transaction has its number long before it ends. So a
//! reader stays below the oldest one that still runs: what is there has been decided, and whatever
//! comes later has a higher number.
//!
//! ```text
//! numbers:      101 ✓   102 runs   103 ✓   104 ✗
//! read now:     101 │ xmin = 102
//! once it ends: 101   102   103 │              each once, in the same order to every reader
//! ```
//!
//! A transaction that is left open holds back what comes after it, in the whole server; it loses
//! nothing. Ours end by themselves: a statement may take ten seconds, and a pause between two five.
//!
//! Numbers of transactions belong to a server. What a dump brought from another one is of an earlier
//! era as soon as anything is written after it (`agents_era()` of the schema), and was decided there.

use std::sync::Arc;

use agents_domain::feed::{Feed, FeedPage, FeedPosition};
use agents_domain::id::PlanId;
use agents_domain::plan::{Event, StoreError};
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::statement::Statement;
use crate::store::column::{RowName, to_i64};
use crate::store::event_row::EventRow;
use crate::store::fault::Fault;

/// The events of all plans of one database.
pub struct PostgresFeed {
    pub(crate) lane: Arc<Lane>,
}

#[async_trait]
impl Feed for PostgresFeed {
    async fn after(&self, position: FeedPosition, limit: u32) -> Result<FeedPage, StoreError> {
        let reading = move |connection: &mut PgConnection| after(connection, position, limit);
        self.lane.run(Purpose::Read, reading).await.map_err(|fault| fault.into_store(WORDS))
    }

    async fn since(&self, at: Timestamp) -> Result<FeedPosition, StoreError> {
        let reading = move |connection: &mut PgConnection| since(connection, at);
        self.lane.run(Purpose::Read, reading).await.map_err(|fault| fault.into_store(WORDS))
    }
}

type Columns = (Text, BigInt, Text, Text, BigInt, Nullable<Text>, Nullable<BigInt>, BigInt, Text);
type Place = (BigInt, BigInt, Text, BigInt);

/// An event, its era and its number.
pub(crate) type Placed = (EventRow, i64, i64);

fn after(connection: &mut PgConnection, position: FeedPosition, limit: u32) -> Result<FeedPage, Fault> {
    let reading = Statement::<(Columns, BigInt, BigInt)>::new(
        "SELECT e.plan_id, e.seq, e.event_id, e.kind, e.at, e.owner_id, e.token, e.schema_version, e.payload, \
         e.era::bigint, e.tx::text::bigint FROM events AS e \
         WHERE (e.era, e.tx, e.plan_id, e.seq) > (?::integer, ?::xid8, ?, ?) \
         AND (e.era, e.tx) < ((SELECT agents_era()), pg_snapshot_xmin(pg_current_snapshot())) \
         ORDER BY e.era, e.tx, e.plan_id, e.seq LIMIT ?",
    );
    let rows: Vec<Placed> = reading
        .number(position.era)
        .text(position.number.to_string())
        .text(position.plan.map(|plan| plan.to_string()).unwrap_or_default())
        .number(to_i64(position.seq))
        .number(i64::from(limit))
        .rows(connection)?;
    let mut page = FeedPage { events: Vec::with_capacity(rows.len()), next: position, held: false };
    for (row, era, number) in rows {
        let event = Event::try_from(row)?;
        page.next = FeedPosition { era, number, plan: Some(event.plan), seq: event.seq };
        page.events.push(event);
    }
    // A page that is not empty is followed by another.
    page.held = page.events.is_empty() && is_held(connection)?;
    Ok(page)
}

/// Some rows after that one, where nobody writes.
pub(crate) fn rows(
    connection: &mut PgConnection,
    last: Option<((i64, i64), &EventRow)>,
    limit: i64,
) -> QueryResult<Vec<Placed>> {
    let reading = Statement::<(Columns, BigInt, BigInt)>::new(
        "SELECT e.plan_id, e.seq, e.event_id, e.kind, e.at, e.owner_id, e.token, e.schema_version, e.payload, \
         e.era::bigint, e.tx::text::bigint FROM events AS e \
         WHERE (e.era, e.tx, e.plan_id, e.seq) > (?::integer, ?::xid8, ?, ?) \
         ORDER BY e.era, e.tx, e.plan_id, e.seq LIMIT ?",
    );
    let ((era, number), plan, seq) =
        last.map_or(((0, 0), "", 0), |(place, row)| (place, row.plan_id.as_str(), row.seq));
    reading.number(era).text(number.to_string()).text(plan).number(seq).number(limit).rows(connection)
}

/// Adds rows in that order, as if each had been a transaction of an era before all others.
pub(crate) fn append(connection: &mut PgConnection, rows: &[EventRow]) -> QueryResult<()> {
    let adding = Statement::<()>::new(
        "INSERT INTO events \
         (plan_id, seq, event_id, kind, at, owner_id, token, schema_version, payload, era, tx) \
         SELECT r.plan_id, r.seq, r.event_id, r.kind, r.at, nullif(r.owner_id, ''), nullif(r.token, -1), \
         r.version, r.payload, 0, (last.number + r.place)::text::xid8 FROM unnest(\
         ?::text[], ?::bigint[], ?::text[], ?::text[], ?::bigint[], ?::text[], ?::bigint[], ?::bigint[], \
         ?::text[]) WITH ORDINALITY AS r \
         (plan_id, seq, event_id, kind, at, owner_id, token, version, payload, place), \
         (SELECT coalesce((SELECT tx::text::bigint FROM events ORDER BY era DESC, tx DESC LIMIT 1), 0) AS number) \
         AS last",
    );
    let column = |of: fn(&EventRow) -> String| rows.iter().map(of).collect::<Vec<_>>();
    let numbers = |of: fn(&EventRow) -> i64| rows.iter().map(of).collect::<Vec<_>>();
    let adding = adding
        .texts(column(|row| row.plan_id.clone()))
        .numbers(numbers(|row| row.seq))
        .texts(column(|row| row.event_id.clone()))
        .texts(column(|row| row.kind.clone()))
        .numbers(numbers(|row| row.at))
        .texts(column(|row| row.owner_id.clone().unwrap_or_default()))
        .numbers(numbers(|row| row.token.unwrap_or(-1)))
        .numbers(numbers(|row| row.schema_version))
        .texts(column(|row| row.payload.clone()));
    adding.execute(connection).map(|_| ())
}

/// Whether anything is there that cannot be read yet.
fn is_held(connection: &mut PgConnection) -> QueryResult<bool> {
    let held = Statement::<Bool>::new(
        "SELECT EXISTS (SELECT FROM events AS e \
         WHERE (e.era, e.tx) >= ((SELECT agents_era()), pg_snapshot_xmin(pg_current_snapshot())))",
    );
    held.first(connection)
}

/// The place before the first that is late enough, among those that can be read; else after them all:
/// what is still held back comes after that place.
fn since(connection: &mut PgConnection, at: Timestamp) -> Result<FeedPosition, Fault> {
    let first = Statement::<Place>::new(
        "WITH late AS MATERIALIZED ( \
           SELECT era, tx, plan_id, seq FROM events WHERE at >= ? \
           AND (era, tx) < ((SELECT agents_era()), pg_snapshot_xmin(pg_current_snapshot()))) \
         SELECT l.era::bigint, l.tx::text::bigint, l.plan_id, l.seq - 1 FROM late AS l \
         ORDER BY l.era, l.tx, l.plan_id, l.seq LIMIT 1",
    );
    let mut found: Vec<(i64, i64, String, i64)> = first.number(at.as_millis()).rows(connection)?;
    if found.is_empty() {
        let last = Statement::<Place>::new(
            "SELECT e.era::bigint, e.tx::text::bigint, e.plan_id, e.seq FROM events AS e \
             WHERE (e.era, e.tx) < ((SELECT agents_era()), pg_snapshot_xmin(pg_current_snapshot())) \
             ORDER BY e.era DESC, e.tx DESC, e.plan_id DESC, e.seq DESC LIMIT 1",
        );
        found = last.rows(connection)?;
    }
    let Some((era, number, plan, seq)) = found.pop() else { return Ok(FeedPosition::START) };
    let name = RowName::new("events", &plan);
    let id = name.parsed("plan_id", PlanId::parse(&plan))?;
    Ok(FeedPosition { era, number, plan: Some(id), seq: name.number("seq", seq)? })
}
