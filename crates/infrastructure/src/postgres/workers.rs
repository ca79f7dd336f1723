//! The list of workers on PostgreSQL. It does not wait for the disk: it is written again and again.
//!
//! Whoever changes both locks the row of the worker first, then those of its orders; of several workers in
//! the order of their ids. So nobody waits crosswise.

use std::sync::Arc;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use agents_domain::workers::{AtWork, REMEMBRANCE, Worker, Workers};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::statement::Statement;
use crate::store::fault::Fault;
use crate::store::order_row::UNCLAIMED;
use crate::store::schema::{orders, workers};
use crate::store::worker_row::{self, WorkerRow, coalesce};

/// The workers of one database.
pub struct PostgresWorkers {
    pub(crate) lane: Arc<Lane>,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl Workers for PostgresWorkers {
    async fn report(&self, worker: &Worker, doing: &[PlanId]) -> Result<(), StoreError> {
        let (worker, doing) = (worker.clone(), doing.to_vec());
        let reporting =
            move |connection: &mut PgConnection, _: Option<&()>| report(connection, &worker, &doing);
        self.lane.settled(Purpose::Lease, reporting).await.map_err(store_error)
    }

    async fn leave(&self, worker: OwnerId) -> Result<(), StoreError> {
        let leaving = move |connection: &mut PgConnection, _: Option<&()>| {
            diesel::delete(workers::table.find(worker.as_str())).execute(connection)?;
            give_back(connection, worker.as_str())?;
            Ok(())
        };
        self.lane.settled(Purpose::Lease, leaving).await.map_err(store_error)
    }

    async fn bury(&self, lost: &[Worker], at: Timestamp) -> Result<(), StoreError> {
        let mut lost = lost.to_vec();
        lost.sort_by_key(|worker| worker.id);
        let burying = move |connection: &mut PgConnection, _: Option<&()>| bury(connection, &lost, at);
        self.lane.settled(Purpose::Lease, burying).await.map_err(store_error)
    }

    async fn list(&self) -> Result<Vec<AtWork>, StoreError> {
        self.lane.run(Purpose::Read, list).await.map_err(store_error)
    }
}

fn report(connection: &mut PgConnection, worker: &Worker, doing: &[PlanId]) -> Result<(), Fault> {
    let row = WorkerRow::from(&Worker { seen: now(connection)?, ..worker.clone() });
    diesel::insert_into(workers::table)
        .values(row.clone())
        .on_conflict(workers::id)
        .do_update()
        .set(row)
        .execute(connection)?;
    let but: Vec<&str> = doing.iter().map(PlanId::as_str).collect();
    let claimed = orders::table
        .filter(orders::worker.eq(worker.id.as_str()))
        .filter(orders::plan_id.ne_all(but))
        .filter(orders::claimed_at.lt(worker.seen.as_millis()));
    diesel::update(claimed).set(UNCLAIMED).execute(connection)?;
    Ok(())
}

/// What a worker has claimed goes back to its place in the line.
fn give_back(connection: &mut PgConnection, worker: &str) -> QueryResult<usize> {
    diesel::update(orders::table.filter(orders::worker.eq(worker))).set(UNCLAIMED).execute(connection)
}

fn bury(connection: &mut PgConnection, lost: &[Worker], at: Timestamp) -> Result<(), Fault> {
    for worker in lost {
        let id = worker.id.as_str();
        let as_seen = workers::table.find(id).filter(workers::seen_at.eq(worker.seen.as_millis()));
        let lost_at = coalesce(workers::lost_at, at.as_millis());
        if diesel::update(as_seen).set(workers::lost_at.eq(lost_at)).execute(connection)? > 0 {
            give_back(connection, id)?;
        }
    }
    let day = i64::try_from(REMEMBRANCE.as_millis()).unwrap_or(i64::MAX);
    let forgotten = workers::lost_at.lt(at.as_millis().saturating_sub(day));
    diesel::delete(workers::table.filter(forgotten)).execute(connection)?;
    Ok(())
}

fn list(connection: &mut PgConnection) -> Result<Vec<AtWork>, Fault> {
    let claims = orders::table
        .filter(orders::worker.is_not_null())
        .order((orders::claimed_at, orders::plan_id))
        .select((orders::worker.assume_not_null(), orders::plan_id))
        .load(connection)?;
    let rows = workers::table
        .order((workers::since, workers::id))
        .select(WorkerRow::as_select())
        .load(connection)?;
    Ok(worker_row::at_work(rows, claims, now(connection)?)?)
}

/// By the server's clock.
pub(super) fn now(connection: &mut PgConnection) -> QueryResult<Timestamp> {
    Statement::<BigInt>::new("SELECT agents_now()").first(connection).map(Timestamp::from_millis)
}
