//! Rows of `workers`.

use std::collections::HashMap;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::Holder;
use agents_domain::plan::StoreError;
use agents_domain::time::Timestamp;
use agents_domain::workers::{AtWork, Worker};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use crate::store::column::{RowName, to_i64};
use crate::store::schema::workers;

diesel::define_sql_function! {
    /// The first of the two that is something.
    fn coalesce(one: Nullable<BigInt>, other: Nullable<BigInt>) -> Nullable<BigInt>;
}

/// One worker.
#[derive(Debug, Clone, Queryable, Selectable, Insertable, AsChangeset)]
#[diesel(table_name = workers, treat_none_as_null = true)]
pub(crate) struct WorkerRow {
    id: String,
    operation: String,
    host: String,
    boot_id: String,
    pid_namespace: String,
    pid: i64,
    started: i64,
    user: String,
    since: i64,
    seen_at: i64,
    concurrency: i64,
    draining: bool,
    lost_at: Option<i64>,
}

impl From<&Worker> for WorkerRow {
    fn from(worker: &Worker) -> Self {
        let process = &worker.process;
        Self {
            id: worker.id.to_string(),
            operation: process.operation.clone(),
            host: process.host.clone(),
            boot_id: process.boot_id.clone(),
            pid_namespace: process.pid_namespace.clone(),
            pid: i64::from(process.pid),
            started: to_i64(process.started),
            user: process.user.clone(),
            since: worker.since.as_millis(),
            seen_at: worker.seen.as_millis(),
            concurrency: i64::from(worker.concurrency),
            draining: worker.draining,
            lost_at: worker.lost.map(Timestamp::as_millis),
        }
    }
}

impl WorkerRow {
    /// The worker, if the row makes sense.
    fn worker(self) -> Result<Worker, StoreError> {
        let row = RowName::new("workers", &self.id);
        Ok(Worker {
            id: row.parsed("id", OwnerId::parse(&self.id))?,
            process: Holder {
                host: self.host,
                boot_id: self.boot_id,
                pid_namespace: self.pid_namespace,
                pid: row.number("pid", self.pid)?,
                started: row.number("started", self.started)?,
                user: self.user,
                operation: self.operation,
            },
            since: Timestamp::from_millis(self.since),
            seen: Timestamp::from_millis(self.seen_at),
            concurrency: row.number("concurrency", self.concurrency)?,
            draining: self.draining,
            lost: self.lost_at.map(Timestamp::from_millis),
        })
    }
}

/// Each worker with what it has claimed: `claims` names worker and plan.
pub(crate) fn at_work(
    rows: Vec<WorkerRow>,
    claims: Vec<(String, String)>,
    now: Timestamp,
) -> Result<Vec<AtWork>, StoreError> {
    let mut claimed: HashMap<String, Vec<PlanId>> = HashMap::new();
    for (worker, plan) in claims {
        let plan = RowName::new("orders", &plan).parsed("plan_id", PlanId::parse(&plan))?;
        claimed.entry(worker).or_default().push(plan);
    }
    let at_work = rows.into_iter().map(|row| {
        let plans = claimed.remove(&row.id).unwrap_or_default();
        let worker = row.worker()?;
        Ok(AtWork { silent: now.since(worker.seen), worker, plans })
    });
    at_work.collect()
}
