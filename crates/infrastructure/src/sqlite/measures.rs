//! The numbers of a store on SQLite, none of which takes reading much: plans and events are counted
//! when they are written, and of what is open there is little.

use std::sync::Arc;

use agents_domain::measures::{Measured, Measures, OrdersMeasured};
use agents_domain::orders::LONGEST_REST;
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use diesel::dsl::{count_star, min, sql};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::locks::LeaseClock;
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::measured::{counts, stages};
use crate::store::schema::{orders, plan_counts, requests, tickets};

/// The numbers of one database file.
pub struct SqliteMeasures {
    pub(crate) reads: Arc<Lane>,
    pub(crate) clock: LeaseClock,
}

#[async_trait]
impl Measures for SqliteMeasures {
    async fn measure(&self) -> Result<Measured, StoreError> {
        let clock = self.clock.clone();
        let measuring = move |connection: &mut SqliteConnection| measure(connection, &clock);
        self.reads.run(measuring).await.map_err(|fault| fault.into_store(WORDS))
    }
}

fn measure(connection: &mut SqliteConnection, clock: &LeaseClock) -> Result<Measured, Fault> {
    let plans: Vec<(String, String, i64)> = plan_counts::table
        .group_by((plan_counts::phase, plan_counts::state))
        .select((plan_counts::phase, plan_counts::state, sql::<BigInt>("CAST(sum(plans) AS INTEGER)")))
        .load(connection)?;
    let (waiting, since): (i64, Option<i64>) = tickets::table
        .filter(tickets::boot_id.eq(&*clock.boot_id))
        .filter(tickets::expires_boottime_ms.gt(clock.clock.boottime().as_millis()))
        .select((count_star(), min(tickets::since)))
        .first(connection)?;
    let asked = requests::table
        .filter(requests::closed_at.is_null())
        .group_by(requests::kind)
        .select((requests::kind, count_star()))
        .load(connection)?;
    Ok(Measured {
        plans: stages(&plans)?,
        events: counts("event_counts", events(connection)?)?,
        waiting: RowName::new("tickets", "*").number("count", waiting)?,
        waiting_since: since.map(Timestamp::from_millis),
        orders: of_orders(connection, clock.clock.now())?,
        requests: counts("requests", asked)?,
    })
}

fn of_orders(connection: &mut SqliteConnection, now: Timestamp) -> Result<OrdersMeasured, Fault> {
    let name = RowName::new("orders", "*");
    let in_line = || orders::table.filter(orders::closed_at.is_null()).filter(orders::worker.is_null());
    let never = now.plus(LONGEST_REST).as_millis();
    let now = now.as_millis();
    let later = orders::not_before.gt(now).and(orders::not_before.le(never));
    let (waiting, since): (i64, Option<i64>) = in_line()
        .filter(orders::not_before.is_null().or(orders::not_before.le(now)).or(orders::not_before.gt(never)))
        .select((count_star(), min(orders::ready_at)))
        .first(connection)?;
    let resting = in_line().filter(later).count().get_result(connection)?;
    let in_hand = orders::table.filter(orders::worker.is_not_null()).count().get_result(connection)?;
    Ok(OrdersMeasured {
        in_line: name.number("count", waiting)?,
        since: since.map(Timestamp::from_millis),
        resting: name.number("count", resting)?,
        in_hand: name.number("count", in_hand)?,
    })
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = diesel::sql_types::Text)]
    kind: String,
    #[diesel(sql_type = BigInt)]
    events: i64,
}

/// What was counted, and the rest: fewer than 1024.
fn events(connection: &mut SqliteConnection) -> QueryResult<Vec<(String, i64)>> {
    let counted = "SELECT kind, CAST(sum(events) AS INTEGER) AS events FROM (\
         SELECT kind, events FROM event_counts UNION ALL \
         SELECT kind, 1 FROM feed JOIN events USING (plan_id, seq) \
         WHERE position > (SELECT max(position) / 1024 * 1024 FROM feed)) GROUP BY kind";
    let rows: Vec<Count> = diesel::sql_query(counted).load(connection)?;
    Ok(rows.into_iter().map(|count| (count.kind, count.events)).collect())
}
