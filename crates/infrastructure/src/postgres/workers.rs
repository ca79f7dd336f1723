//! The list of workers on PostgreSQL. It does not wait for the disk: it is written again and again.

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
use crate::store::schema::{orders, workers};
use crate::store::worker_row::{self, WorkerRow};

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
        self.lane
            .run(Purpose::Lease, move |connection| report(connection, &worker, &doing))
            .await
            .map_err(store_error)
    }

    async fn leave(&self, worker: OwnerId) -> Result<(), StoreError> {
        let leaving = move |connection: &mut PgConnection| {
            give_back(connection, worker.as_str(), &[])?;
            diesel::delete(workers::table.find(worker.as_str())).execute(connection)?;
            Ok(())
        };
        self.lane.run(Purpose::Lease, leaving).await.map_err(store_error)
    }

    async fn bury(&self, lost: &[OwnerId], at: Timestamp) -> Result<(), StoreError> {
        let lost = lost.to_vec();
        self.lane
            .run(Purpose::Lease, move |connection| bury(connection, &lost, at))
            .await
            .map_err(store_error)
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
    give_back(connection, worker.id.as_str(), doing)?;
    Ok(())
}

/// What a worker has claimed goes back to its place in the line, but for these plans.
fn give_back(connection: &mut PgConnection, worker: &str, but: &[PlanId]) -> QueryResult<usize> {
    let but: Vec<&str> = but.iter().map(PlanId::as_str).collect();
    let claimed = orders::table.filter(orders::worker.eq(worker)).filter(orders::plan_id.ne_all(but));
    diesel::update(claimed)
        .set((orders::worker.eq(None::<String>), orders::claimed_at.eq(None::<i64>)))
        .execute(connection)
}

fn bury(connection: &mut PgConnection, lost: &[OwnerId], at: Timestamp) -> Result<(), Fault> {
    for worker in lost {
        give_back(connection, worker.as_str(), &[])?;
        diesel::update(workers::table.find(worker.as_str()).filter(workers::lost_at.is_null()))
            .set(workers::lost_at.eq(at.as_millis()))
            .execute(connection)?;
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
fn now(connection: &mut PgConnection) -> QueryResult<Timestamp> {
    Statement::<BigInt>::new("SELECT agents_now()").first(connection).map(Timestamp::from_millis)
}
