//! Plans for readers.
//!
//! A page costs what is on it, not what is in the store: each filter has an index in the order of
//! the list, and how many plans pass is kept in `plan_counts` by triggers. Only the totals for one
//! project or one parent are counted, along an index of theirs.

use std::collections::HashMap;
use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::plan::StoreError;
use agents_domain::reads::{PlanFilter, PlanPage, PlanReads, PlanView};
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};
use diesel::sqlite::Sqlite;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::locks::{self, LeaseClock};
use crate::sqlite::plans::load_record;
use crate::sqlite::{subplans, views};
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::plan_row::PlanRow;
use crate::store::request_row::RequestRow;
use crate::store::schema::{plan_counts, plan_projects, plans};

/// Reads of the plans of one database file.
pub struct SqliteReads {
    pub(crate) reads: Arc<Lane>,
    pub(crate) clock: LeaseClock,
}

#[async_trait]
impl PlanReads for SqliteReads {
    async fn resolve(&self, prefix: &str, limit: u32) -> Result<Vec<PlanId>, StoreError> {
        let prefix = prefix.to_ascii_uppercase();
        self.reads.run(move |connection| resolve(connection, &prefix, limit)).await.map_err(store_error)
    }

    async fn status(&self, plan: PlanId) -> Result<Option<PlanView>, StoreError> {
        let clock = self.clock.clone();
        self.reads.run(move |connection| status(connection, &clock, plan)).await.map_err(store_error)
    }

    async fn family(&self, plan: PlanId) -> Result<Vec<PlanView>, StoreError> {
        let clock = self.clock.clone();
        self.reads.run(move |connection| family(connection, &clock, plan)).await.map_err(store_error)
    }

    async fn list(&self, filter: &PlanFilter) -> Result<PlanPage, StoreError> {
        let (filter, clock) = (filter.clone(), self.clock.clone());
        self.reads.run(move |connection| list(connection, &clock, &filter)).await.map_err(store_error)
    }
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

fn resolve(connection: &mut SqliteConnection, prefix: &str, limit: u32) -> Result<Vec<PlanId>, Fault> {
    // `~` is greater than every character of a ULID, so this is a range of the key.
    let ids: Vec<String> = plans::table
        .filter(plans::id.ge(prefix))
        .filter(plans::id.lt(format!("{prefix}~")))
        .order(plans::id)
        .limit(i64::from(limit))
        .select(plans::id)
        .load(connection)?;
    let parse = |id: &String| RowName::new("plans", id).parsed("id", PlanId::parse(id));
    Ok(ids.iter().map(parse).collect::<Result<_, _>>()?)
}

fn status(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    plan: PlanId,
) -> Result<Option<PlanView>, Fault> {
    let Some((record, _)) = load_record(connection, plan)? else { return Ok(None) };
    let lock = locks::find(connection, &agents_domain::lock::LockKey::Plan(plan))?;
    let now = clock.clock.boottime();
    let lock = lock.map(|row| row.held(&clock.boot_id, now)).transpose()?.flatten();
    let id = views::parameter([plan.as_str()]);
    let asked = views::cancellations_of(connection, &id)?.remove(plan.as_str());
    let subplans = subplans::tallies(connection, &id)?.remove(plan.as_str()).unwrap_or_default();
    let cancel_requested = asked.map(RequestRow::request).transpose()?;
    Ok(Some(PlanView { record, lock, cancel_requested, subplans }))
}

/// In the order in which they are found below the plan.
fn family(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    plan: PlanId,
) -> Result<Vec<PlanView>, Fault> {
    let ids = subplans::family(connection, plan)?;
    if ids.is_empty() {
        return Ok(Vec::new());
    }
    let among = views::among("id", &views::parameter(&ids));
    let rows: Vec<PlanRow> = plans::table.filter(among).select(PlanRow::as_select()).load(connection)?;
    let places: HashMap<&str, usize> =
        ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut views = views::of(connection, clock, rows)?;
    views.sort_by_key(|view| places.get(view.record.id.as_str()).copied());
    Ok(views)
}

type Filtered<'a> = plans::BoxedQuery<'a, Sqlite>;

fn filtered(filter: &PlanFilter) -> Filtered<'_> {
    let mut query = plans::table.into_boxed();
    if let Some(phase) = filter.phase {
        query = query.filter(plans::phase.eq(phase.as_str()));
    }
    if let Some(state) = filter.state {
        query = query.filter(plans::state.eq(state.as_str()));
    }
    if let Some(action) = &filter.action {
        query = query.filter(plans::action.eq(action.as_str()));
    }
    if let Some(project) = &filter.project {
        let of_project = plan_projects::table.filter(plan_projects::project.eq(project.as_str()));
        query = query.filter(plans::id.eq_any(of_project.select(plan_projects::plan_id)));
    }
    match filter.parent {
        Some(parent) => query.filter(plans::parent.eq(parent.to_string())),
        None if filter.all => query,
        None => query.filter(plans::parent.is_null()),
    }
}

fn list(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    filter: &PlanFilter,
) -> Result<PlanPage, Fault> {
    let mut query = filtered(filter).order((plans::created_at.desc(), plans::id.desc()));
    if let Some(limit) = filter.limit {
        query = query.limit(i64::from(limit));
    }
    let rows: Vec<PlanRow> = query.select(PlanRow::as_select()).load(connection)?;
    let plans = views::of(connection, clock, rows)?;
    Ok(PlanPage { total: total(connection, filter)?, plans })
}

/// How many plans pass, whatever the limit.
fn total(connection: &mut SqliteConnection, filter: &PlanFilter) -> Result<u64, Fault> {
    let count: i64 = if filter.project.is_some() || filter.parent.is_some() {
        filtered(filter).count().get_result(connection)?
    } else {
        kept_total(filter).get_result::<Option<i64>>(connection)?.unwrap_or(0)
    };
    Ok(u64::try_from(count).unwrap_or(0))
}

fn kept_total(filter: &PlanFilter) -> plan_counts::BoxedQuery<'_, Sqlite, Nullable<BigInt>> {
    let sum = sql::<Nullable<BigInt>>("CAST(sum(plans) AS INTEGER)");
    let mut query = plan_counts::table.select(sum).into_boxed();
    if let Some(phase) = filter.phase {
        query = query.filter(plan_counts::phase.eq(phase.as_str()));
    }
    if let Some(state) = filter.state {
        query = query.filter(plan_counts::state.eq(state.as_str()));
    }
    if let Some(action) = &filter.action {
        query = query.filter(plan_counts::action.eq(action.as_str()));
    }
    if filter.all { query } else { query.filter(plan_counts::subplan.eq(false)) }
}
