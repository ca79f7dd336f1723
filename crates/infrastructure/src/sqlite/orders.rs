//! Orders for workers on SQLite.
//!
//! ```text
//! claim:  a read: does any order stand in line that may be due?   no → None, no gate
//!         BEGIN IMMEDIATE: of those, the first that is due        UPDATE … worker = ours
//! ```
//!
//! Whether an order is due is one pure rule of the domain; the query only leaves out what cannot be,
//! along the index of the line. A claim does not wait for the disk: one that a power cut takes back
//! is made again.

use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::orders::{
    Claim, Claimed, LONGEST_REST, NewOrder, Orders, PutBack, WorkOrder, is_due, waits_below,
};
use agents_domain::plan::{PlanRecord, StoreError};
use agents_domain::request::Closed;
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::locks::{self, LeaseClock};
use crate::sqlite::plans::load_record;
use crate::store::fault::Fault;
use crate::store::order_row::{Ended, OrderRow};
use crate::store::schema::{orders, plan_projects, plans};

/// How many orders are looked at in one go.
const BATCH: usize = 64;

/// The orders of one database file.
pub struct SqliteOrders {
    pub(crate) durable: Arc<Lane>,
    pub(crate) leases: Arc<Lane>,
    pub(crate) reads: Arc<Lane>,
    pub(crate) clock: LeaseClock,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl Orders for SqliteOrders {
    async fn place(&self, order: &NewOrder) -> Result<WorkOrder, StoreError> {
        let order = order.clone();
        self.durable.run(move |connection| place(connection, order)).await.map_err(store_error)
    }

    async fn of(&self, plan: PlanId) -> Result<Option<WorkOrder>, StoreError> {
        self.reads.run(move |connection| of(connection, plan)).await.map_err(store_error)
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<WorkOrder>, StoreError> {
        let (seen, clock) = (claim.clone(), self.clock.clone());
        let look = move |connection: &mut SqliteConnection| first_due(connection, &clock, &seen);
        if self.reads.run(look).await.map_err(store_error)?.is_none() {
            return Ok(None);
        }
        let (claim, clock) = (claim.clone(), self.clock.clone());
        self.leases.run(move |connection| take(connection, &clock, &claim)).await.map_err(store_error)
    }

    async fn put_back(&self, back: &PutBack) -> Result<(), StoreError> {
        let (back, now) = (back.clone(), self.clock.clock.now());
        self.leases.run(move |connection| put_back(connection, &back, now)).await.map_err(store_error)
    }

    async fn end(&self, plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, StoreError> {
        let closed = closed.clone();
        let ending = move |connection: &mut SqliteConnection| end(connection, plan, revision, &closed);
        self.durable.run(ending).await.map_err(store_error)
    }

    async fn withdraw(&self, seen: &WorkOrder, closed: &Closed) -> Result<bool, StoreError> {
        let (seen, closed) = (seen.clone(), closed.clone());
        let withdrawing = move |connection: &mut SqliteConnection| withdraw(connection, &seen, &closed);
        self.durable.run(withdrawing).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<WorkOrder>, StoreError> {
        self.reads.run(list).await.map_err(store_error)
    }
}

/// The order of a plan.
fn of(connection: &mut SqliteConnection, plan: PlanId) -> Result<Option<WorkOrder>, Fault> {
    let row = orders::table.find(plan.as_str()).select(OrderRow::as_select()).first(connection);
    Ok(row.optional()?.map(OrderRow::order).transpose()?)
}

fn place(connection: &mut SqliteConnection, order: NewOrder) -> Result<WorkOrder, Fault> {
    let stored = match of(connection, order.plan)? {
        None => WorkOrder::placed(order, 1),
        Some(found) => found.with(order),
    };
    let row = OrderRow::from(&stored);
    diesel::insert_into(orders::table)
        .values(row.clone())
        .on_conflict(orders::plan_id)
        .do_update()
        .set(row)
        .execute(connection)?;
    Ok(stored)
}

/// The first order in line that is due.
fn first_due(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    claim: &Claim,
) -> Result<Option<WorkOrder>, Fault> {
    let mut passed = 0;
    loop {
        let batch = in_line(connection, clock, claim, passed)?;
        let (count, full) = (batch.len(), batch.len() == BATCH);
        for row in batch {
            let order = row.order()?;
            if is_ours_to_take(connection, clock, &order, claim)? {
                return Ok(Some(order));
            }
        }
        passed += count;
        if !full {
            return Ok(None);
        }
    }
}

/// Orders that may be due, longest in line first.
fn in_line(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    claim: &Claim,
    passed: usize,
) -> QueryResult<Vec<OrderRow>> {
    let now = clock.clock.now();
    let (now, never) = (now.as_millis(), now.plus(LONGEST_REST).as_millis());
    let mut query = orders::table
        .inner_join(plans::table.on(plans::id.eq(orders::plan_id)))
        .filter(orders::closed_at.is_null())
        .filter(orders::worker.is_null())
        .filter(orders::not_before.is_null().or(orders::not_before.le(now)).or(orders::not_before.gt(never)))
        .filter(plans::parked_input.is_null())
        .filter(plans::parked_until.is_null().or(plans::parked_until.le(claim.now.as_millis())))
        .order((orders::ready_at, orders::plan_id))
        .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .offset(i64::try_from(passed).unwrap_or(i64::MAX))
        .select(OrderRow::as_select())
        .into_boxed();
    if !claim.projects.is_empty() {
        let names: Vec<&str> = claim.projects.iter().map(agents_domain::name::Name::as_str).collect();
        let of_these = "plans.id IN (SELECT plan_id FROM plan_projects WHERE project IN \
                        (SELECT value FROM json_each(";
        query = query.filter(
            diesel::dsl::sql::<diesel::sql_types::Bool>(of_these)
                .bind::<Text, _>(crate::sqlite::views::parameter(names))
                .sql(")))"),
        );
    }
    // A project without a remote is at home on one machine; one that nobody bound, anywhere.
    let elsewhere = plan_projects::table
        .filter(plan_projects::plan_id.eq(orders::plan_id))
        .filter(plan_projects::remote.is_null().and(plan_projects::machine_id.ne(claim.machine.clone())));
    query = query.filter(diesel::dsl::not(diesel::dsl::exists(elsewhere)));
    query.load(connection)
}

fn is_ours_to_take(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    order: &WorkOrder,
    claim: &Claim,
) -> Result<bool, Fault> {
    let plan = order.wanted.plan;
    let Some((record, _)) = load_record(connection, plan)? else { return Ok(false) };
    let lock = locks::find(connection, &LockKey::Plan(plan))?;
    let held = lock.map(|row| row.held(&clock.boot_id, clock.clock.boottime())).transpose()?.flatten();
    let stirred = waits_below(&record) && has_stirred(connection, &record)?;
    Ok(is_due(order, &record, held.as_ref(), stirred, (claim, clock.clock.now())))
}

#[derive(QueryableByName)]
struct Below {
    #[diesel(sql_type = BigInt)]
    asking: i64,
    #[diesel(sql_type = BigInt)]
    changed: i64,
}

/// Whether nothing below a plan asks a person, or something there can go on or has changed since the
/// plan has: what was answered while the plan went to wait is not overlooked.
fn has_stirred(connection: &mut SqliteConnection, plan: &PlanRecord) -> QueryResult<bool> {
    let below: Below = diesel::sql_query(
        "WITH RECURSIVE below (id) AS ( \
         SELECT plan_id FROM subplans WHERE parent = ? AND current = 1 \
         UNION SELECT child.plan_id FROM below \
         JOIN subplans AS child ON child.parent = below.id AND child.current = 1) \
         SELECT count(*) FILTER (WHERE plans.parked_input IS NOT NULL) AS asking, \
         count(*) FILTER (WHERE plans.updated_at > ? OR (plans.attempt > 0 AND plans.state = 'queued' \
         AND plans.phase <> 'apply' AND plans.parked_cause IS NULL)) AS changed FROM below JOIN plans USING (id)",
    )
    .bind::<Text, _>(plan.id.to_string())
    .bind::<BigInt, _>(plan.updated_at.as_millis())
    .get_result(connection)?;
    Ok(below.asking == 0 || below.changed > 0)
}

fn take(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    claim: &Claim,
) -> Result<Option<WorkOrder>, Fault> {
    let Some(order) = first_due(connection, clock, claim)? else { return Ok(None) };
    let (worker, since) = (claim.worker, claim.since);
    diesel::update(orders::table.find(order.wanted.plan.as_str()))
        .set((orders::worker.eq(worker.as_str()), orders::claimed_at.eq(since.as_millis())))
        .execute(connection)?;
    Ok(Some(WorkOrder { claim: Some(Claimed { worker, since }), ..order }))
}

fn put_back(connection: &mut SqliteConnection, back: &PutBack, now: Timestamp) -> Result<(), Fault> {
    let Some(order) = of(connection, back.plan)? else { return Ok(()) };
    if let Some(order) = order.put_back(back, now) {
        diesel::update(orders::table.find(back.plan.as_str()))
            .set(OrderRow::from(&order))
            .execute(connection)?;
    }
    Ok(())
}

fn end(
    connection: &mut SqliteConnection,
    plan: PlanId,
    revision: u32,
    closed: &Closed,
) -> Result<bool, Fault> {
    let open = orders::table
        .find(plan.as_str())
        .filter(orders::closed_at.is_null())
        .filter(orders::revision.eq(i64::from(revision)));
    Ok(diesel::update(open).set(Ended::from(closed)).execute(connection)? > 0)
}

fn withdraw(connection: &mut SqliteConnection, seen: &WorkOrder, closed: &Closed) -> Result<bool, Fault> {
    let untouched = orders::table
        .find(seen.wanted.plan.to_string())
        .filter(orders::closed_at.is_null())
        .filter(orders::worker.is_null())
        .filter(orders::revision.eq(i64::from(seen.revision)));
    Ok(diesel::update(untouched).set(Ended::from(closed)).execute(connection)? > 0)
}

fn list(connection: &mut SqliteConnection) -> Result<Vec<WorkOrder>, Fault> {
    let rows: Vec<OrderRow> = orders::table
        .filter(orders::closed_at.is_null())
        .order((orders::ready_at, orders::plan_id))
        .select(OrderRow::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(OrderRow::order).collect::<Result<_, _>>()?)
}
