//! Orders for workers on PostgreSQL.
//!
//! ```text
//! claim:  the orders in line that may be due, longest first ─ the first that is
//!         ─ its row FOR UPDATE SKIP LOCKED, if nobody has it by now ─ UPDATE … worker = ours
//! ```
//!
//! Only the row that is taken is locked: whoever claims at the same time passes it and finds the next.
//! A claim does not wait for the disk: one that a crash of the server takes back is made again.

use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::orders::{
    Claim, Claimed, LONGEST_REST, NewOrder, Orders, PutBack, WorkOrder, is_due, waits_below,
};
use agents_domain::plan::{PlanRecord, StoreError};
use agents_domain::request::Closed;
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::locks::{self, moment};
use super::plans::load_record;
use super::statement::Statement;
use super::workers::now;
use crate::store::fault::Fault;
use crate::store::order_row::{Ended, OrderRow};
use crate::store::schema::{orders, plan_projects, plans};

/// How many orders are looked at in one go.
const BATCH: usize = 64;

/// The orders of one database.
pub struct PostgresOrders {
    pub(crate) lane: Arc<Lane>,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl Orders for PostgresOrders {
    async fn place(&self, order: &NewOrder) -> Result<WorkOrder, StoreError> {
        let order = order.clone();
        let placing =
            move |connection: &mut PgConnection, tried: Option<&WorkOrder>| place(connection, &order, tried);
        self.lane.settled(Purpose::Durable, placing).await.map_err(store_error)
    }

    async fn of(&self, plan: PlanId) -> Result<Option<WorkOrder>, StoreError> {
        let reading = move |connection: &mut PgConnection| of(connection, plan);
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn claim(&self, claim: &Claim) -> Result<Option<WorkOrder>, StoreError> {
        let claim = claim.clone();
        let claiming = move |connection: &mut PgConnection| take(connection, &claim);
        self.lane.run(Purpose::Lease, claiming).await.map_err(store_error)
    }

    async fn put_back(&self, back: &PutBack) -> Result<(), StoreError> {
        let back = back.clone();
        // A claim that was given back is over: once is enough.
        let giving = move |connection: &mut PgConnection, _: Option<&()>| put_back(connection, &back);
        self.lane.settled(Purpose::Lease, giving).await.map_err(store_error)
    }

    async fn end(&self, plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, StoreError> {
        let closed = closed.clone();
        let ending = move |connection: &mut PgConnection, tried: Option<&bool>| {
            let ended = end(connection, plan, revision, &closed)?;
            Ok(ended || (tried == Some(&true) && has_ended(connection, plan, revision, &closed)?))
        };
        self.lane.settled(Purpose::Durable, ending).await.map_err(store_error)
    }

    async fn withdraw(&self, seen: &WorkOrder, closed: &Closed) -> Result<bool, StoreError> {
        let (seen, closed) = (seen.clone(), closed.clone());
        let withdrawing = move |connection: &mut PgConnection, tried: Option<&bool>| {
            let (plan, revision) = (seen.wanted.plan, seen.revision);
            let done = withdraw(connection, &seen, &closed)?;
            Ok(done || (tried == Some(&true) && has_ended(connection, plan, revision, &closed)?))
        };
        self.lane.settled(Purpose::Durable, withdrawing).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<WorkOrder>, StoreError> {
        self.lane.once(Purpose::Read, list).await.map_err(store_error)
    }
}

fn of(connection: &mut PgConnection, plan: PlanId) -> Result<Option<WorkOrder>, Fault> {
    let row = orders::table.find(plan.as_str()).select(OrderRow::as_select()).first(connection);
    Ok(row.optional()?.map(OrderRow::order).transpose()?)
}

/// The same, and nobody changes it until the end of the transaction.
fn to_change(connection: &mut PgConnection, plan: PlanId) -> Result<Option<WorkOrder>, Fault> {
    let row = orders::table.find(plan.as_str()).for_update().select(OrderRow::as_select()).first(connection);
    Ok(row.optional()?.map(OrderRow::order).transpose()?)
}

fn change(connection: &mut PgConnection, order: &WorkOrder) -> Result<(), Fault> {
    let row = orders::table.find(order.wanted.plan.to_string());
    diesel::update(row).set(OrderRow::from(order)).execute(connection)?;
    Ok(())
}

/// Of two that place the first order at once, the second finds that of the other.
fn place(
    connection: &mut PgConnection,
    order: &NewOrder,
    tried: Option<&WorkOrder>,
) -> Result<WorkOrder, Fault> {
    let first = WorkOrder::placed(order.clone(), 1);
    let row = OrderRow::from(&first);
    let inserted =
        diesel::insert_into(orders::table).values(row).on_conflict_do_nothing().execute(connection)?;
    if inserted > 0 {
        return Ok(first);
    }
    let Some(found) = to_change(connection, order.plan)? else { return Ok(first) };
    // What an earlier try has stored may have been taken up, and even done, since. One that is open may be
    // what was there before, and rest.
    let stored = tried.is_some_and(|tried| found.revision >= tried.revision && found.wanted == tried.wanted);
    if stored && !found.is_open() {
        return Ok(found);
    }
    let stored = found.with(order.clone());
    change(connection, &stored)?;
    Ok(stored)
}

fn take(connection: &mut PgConnection, claim: &Claim) -> Result<Option<WorkOrder>, Fault> {
    let mut passed = 0;
    loop {
        let batch = in_line(connection, claim, passed)?;
        let (count, full) = (batch.len(), batch.len() == BATCH);
        for row in batch {
            let order = row.order()?;
            if is_ours_to_take(connection, &order, claim)? {
                let taken = take_this(connection, &order, claim)?;
                if taken.is_some() {
                    return Ok(taken);
                }
            }
        }
        passed += count;
        if !full {
            return Ok(None);
        }
    }
}

/// `None`: somebody was faster, or is about to be, or it is not what it was when it was found to be due.
fn take_this(
    connection: &mut PgConnection,
    due: &WorkOrder,
    claim: &Claim,
) -> Result<Option<WorkOrder>, Fault> {
    let free = orders::table
        .find(due.wanted.plan.to_string())
        .filter(orders::closed_at.is_null())
        .filter(orders::worker.is_null())
        .for_update()
        .skip_locked()
        .select(OrderRow::as_select())
        .first(connection);
    let Some(row) = free.optional()? else { return Ok(None) };
    let found = row.order()?;
    if found != *due {
        return Ok(None);
    }
    let claimed = Some(Claimed { worker: claim.worker, since: claim.since });
    let order = WorkOrder { claim: claimed, ..found };
    change(connection, &order)?;
    Ok(Some(order))
}

/// Orders that may be due, longest in line first.
fn in_line(connection: &mut PgConnection, claim: &Claim, passed: usize) -> QueryResult<Vec<OrderRow>> {
    let longest = i64::try_from(LONGEST_REST.as_millis()).unwrap_or(i64::MAX);
    let over = orders::not_before.le(sql("agents_now()"));
    let never = orders::not_before.gt(sql("agents_now() + ").bind::<BigInt, _>(longest));
    let mut query = orders::table
        .inner_join(plans::table.on(plans::id.eq(orders::plan_id)))
        .filter(orders::closed_at.is_null())
        .filter(orders::worker.is_null())
        .filter(orders::not_before.is_null().or(over).or(never))
        .filter(plans::parked_input.is_null())
        .filter(plans::parked_until.is_null().or(plans::parked_until.le(claim.now.as_millis())))
        .order((orders::ready_at, orders::plan_id))
        .limit(i64::try_from(BATCH).unwrap_or(i64::MAX))
        .offset(i64::try_from(passed).unwrap_or(i64::MAX))
        .select(OrderRow::as_select())
        .into_boxed();
    if !claim.projects.is_empty() {
        let names: Vec<String> = claim.projects.iter().map(ToString::to_string).collect();
        let theirs = plan_projects::table.filter(plan_projects::project.eq_any(names));
        query = query.filter(orders::plan_id.eq_any(theirs.select(plan_projects::plan_id)));
    }
    // A project without a remote is at home on one machine; one that nobody bound, anywhere.
    let elsewhere = plan_projects::table
        .filter(plan_projects::plan_id.eq(orders::plan_id))
        .filter(plan_projects::remote.is_null().and(plan_projects::machine_id.ne(claim.machine.clone())));
    query = query.filter(diesel::dsl::not(diesel::dsl::exists(elsewhere)));
    query.load(connection)
}

fn is_ours_to_take(connection: &mut PgConnection, order: &WorkOrder, claim: &Claim) -> Result<bool, Fault> {
    let plan = order.wanted.plan;
    let Some(record) = load_record(connection, plan)? else { return Ok(false) };
    let now = now(connection)?;
    let at = moment(now.as_millis());
    let lock = locks::find(connection, &LockKey::Plan(plan))?;
    let held = lock.map(|row| row.held(at.boot_id, at.now)).transpose()?.flatten();
    let stirred = waits_below(&record) && has_stirred(connection, &record)?;
    Ok(is_due(order, &record, held.as_ref(), stirred, (claim, now)))
}

/// Whether nothing below a plan asks a person, or something there can go on or has changed since the
/// plan has: what was answered while the plan went to wait is not overlooked.
fn has_stirred(connection: &mut PgConnection, plan: &PlanRecord) -> QueryResult<bool> {
    let below = Statement::<(BigInt, BigInt)>::new(
        "WITH RECURSIVE below (id) AS ( \
         SELECT plan_id FROM subplans WHERE parent = ? AND current \
         UNION SELECT child.plan_id FROM below \
         JOIN subplans AS child ON child.parent = below.id AND child.current) \
         SELECT count(*) FILTER (WHERE plans.parked_input IS NOT NULL), \
         count(*) FILTER (WHERE plans.updated_at > ? OR (plans.attempt > 0 AND plans.state = 'queued' \
         AND plans.phase <> 'apply' AND plans.parked_cause IS NULL)) FROM below JOIN plans USING (id)",
    );
    let below = below.text(plan.id.as_str()).number(plan.updated_at.as_millis());
    let (asking, changed): (i64, i64) = below.first(connection)?;
    Ok(asking == 0 || changed > 0)
}

fn put_back(connection: &mut PgConnection, back: &PutBack) -> Result<(), Fault> {
    let now = now(connection)?;
    match to_change(connection, back.plan)?.and_then(|order| order.put_back(back, now)) {
        Some(order) => change(connection, &order),
        None => Ok(()),
    }
}

fn end(connection: &mut PgConnection, plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, Fault> {
    let open = orders::table
        .find(plan.to_string())
        .filter(orders::closed_at.is_null())
        .filter(orders::revision.eq(i64::from(revision)));
    Ok(diesel::update(open).set(Ended::from(closed)).execute(connection)? > 0)
}

fn withdraw(connection: &mut PgConnection, seen: &WorkOrder, closed: &Closed) -> Result<bool, Fault> {
    let untouched = orders::table
        .find(seen.wanted.plan.to_string())
        .filter(orders::closed_at.is_null())
        .filter(orders::worker.is_null())
        .filter(orders::revision.eq(i64::from(seen.revision)));
    Ok(diesel::update(untouched).set(Ended::from(closed)).execute(connection)? > 0)
}

/// Whether it has ended like that, by an earlier try.
fn has_ended(
    connection: &mut PgConnection,
    plan: PlanId,
    revision: u32,
    closed: &Closed,
) -> Result<bool, Fault> {
    let found = of(connection, plan)?;
    Ok(found.is_some_and(|found| found.revision == revision && found.closed.as_ref() == Some(closed)))
}

fn list(connection: &mut PgConnection) -> Result<Vec<WorkOrder>, Fault> {
    let rows: Vec<OrderRow> = orders::table
        .filter(orders::closed_at.is_null())
        .order((orders::ready_at, orders::plan_id))
        .select(OrderRow::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(OrderRow::order).collect::<Result<_, _>>()?)
}
