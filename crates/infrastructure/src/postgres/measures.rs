//! The numbers of a store on PostgreSQL, none of which takes reading much: plans and events are
//! counted when they are written, and of what is open there is little.

use std::sync::Arc;

use agents_domain::measures::{Measured, Measures, OrdersMeasured};
use agents_domain::orders::LONGEST_REST;
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable, Text};

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::statement::Statement;
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::measured::{counts, stages};

/// The numbers of one database.
pub struct PostgresMeasures {
    pub(crate) lane: Arc<Lane>,
}

#[async_trait]
impl Measures for PostgresMeasures {
    async fn measure(&self) -> Result<Measured, StoreError> {
        self.lane.run(Purpose::Read, measure).await.map_err(|fault| fault.into_store(WORDS))
    }
}

fn measure(connection: &mut PgConnection) -> Result<Measured, Fault> {
    let plans = Statement::<(Text, Text, BigInt)>::new(
        "SELECT phase, state, sum(plans)::bigint FROM plan_counts GROUP BY phase, state",
    );
    let plans: Vec<(String, String, i64)> = plans.rows(connection)?;
    let line = Statement::<(BigInt, Nullable<BigInt>)>::new(
        "SELECT count(*), min(since) FROM tickets WHERE expires_boottime_ms > agents_now()",
    );
    let (waiting, since): (i64, Option<i64>) = line.first(connection)?;
    let asked = Statement::<(Text, BigInt)>::new(
        "SELECT kind, count(*) FROM requests WHERE closed_at IS NULL GROUP BY kind",
    );
    let asked = asked.rows(connection)?;
    // What was counted, and the rest. Values one by one: a query for a row is none that an index can use.
    // And the planner takes the rest for a third of the table, which it would rather read whole.
    connection.batch_execute("SET LOCAL enable_seqscan = off; SET LOCAL jit = off")?;
    let events = Statement::<(Text, BigInt)>::new(
        "SELECT kind, sum(events)::bigint FROM ( \
           SELECT kind, events FROM event_counts UNION ALL \
           SELECT kind, count(*) FROM events WHERE (era, tx, plan_id, seq) > \
             ((SELECT era FROM counted_events), (SELECT tx FROM counted_events), \
              (SELECT plan_id FROM counted_events), (SELECT seq FROM counted_events)) GROUP BY kind) AS counted \
         GROUP BY kind",
    );
    Ok(Measured {
        plans: stages(&plans)?,
        events: counts("event_counts", events.rows(connection)?)?,
        waiting: RowName::new("tickets", "*").number("count", waiting)?,
        waiting_since: since.map(Timestamp::from_millis),
        orders: of_orders(connection)?,
        requests: counts("requests", asked)?,
    })
}

fn of_orders(connection: &mut PgConnection) -> Result<OrdersMeasured, Fault> {
    let counting = Statement::<(BigInt, Nullable<BigInt>, BigInt, BigInt)>::new(
        "SELECT count(*) FILTER (WHERE NOT later), min(ready_at) FILTER (WHERE NOT later), \
         count(*) FILTER (WHERE later), (SELECT count(*) FROM orders WHERE worker IS NOT NULL) \
         FROM (SELECT ready_at, coalesce(not_before > now AND not_before <= now + ?, false) AS later \
           FROM orders, (SELECT agents_now() AS now) AS moment \
           WHERE closed_at IS NULL AND worker IS NULL) AS line",
    );
    let counting = counting.number(i64::try_from(LONGEST_REST.as_millis()).unwrap_or(i64::MAX));
    let (in_line, since, resting, in_hand): (i64, Option<i64>, i64, i64) = counting.first(connection)?;
    let name = RowName::new("orders", "*");
    Ok(OrdersMeasured {
        in_line: name.number("count", in_line)?,
        since: since.map(Timestamp::from_millis),
        resting: name.number("count", resting)?,
        in_hand: name.number("count", in_hand)?,
    })
}
