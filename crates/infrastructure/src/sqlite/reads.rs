//! Plans for readers: six queries for a page, however many plans are on it.
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
use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use diesel::sqlite::Sqlite;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::locks::{self, LeaseClock};
use crate::sqlite::plans::load_record;
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::plan_row::{GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::request_row::RequestRow;
use crate::store::schema::{locks as lock_table, plan_counts, plan_guidance, plan_projects, plans, requests};

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
    let mut asked = cancellations_of(connection, &serde_json::json!([plan.as_str()]).to_string())?;
    let cancel_requested = asked.remove(plan.as_str()).map(RequestRow::request).transpose()?;
    Ok(Some(PlanView { record, lock, cancel_requested }))
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
    let ids: Vec<&str> = rows.iter().map(|row| row.id.as_str()).collect();
    let ids = serde_json::json!(ids).to_string();
    let mut projects = projects_of(connection, &ids)?;
    let mut guidance = guidance_of(connection, &ids)?;
    let mut locks = locks_of(connection, &ids)?;
    let mut asked = cancellations_of(connection, &ids)?;
    let now = clock.clock.boottime();
    let view = |row: PlanRow| -> Result<PlanView, Fault> {
        let id = row.id.clone();
        let projects = projects.remove(&id).unwrap_or_default();
        let projects = projects.iter().map(PlanProjectRow::facts).collect::<Result<_, _>>()?;
        let record = row.into_record(projects, guidance.remove(&id).unwrap_or_default())?;
        let lock = locks.remove(&id).map(|lock| lock.held(&clock.boot_id, now)).transpose()?.flatten();
        let cancel_requested = asked.remove(&id).map(RequestRow::request).transpose()?;
        Ok(PlanView { record, lock, cancel_requested })
    };
    let views = rows.into_iter().map(view).collect::<Result<Vec<_>, _>>()?;
    Ok(PlanPage { total: total(connection, filter)?, plans: views })
}

/// `<column> IN (…)` for ids given as one JSON parameter: one statement for any number of them.
fn among(
    column: &str,
    ids: &str,
) -> SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<String, Text>>> {
    sql::<Bool>(&format!("{column} IN (SELECT value FROM json_each("))
        .bind::<Text, _>(ids.to_owned())
        .sql("))")
}

fn projects_of(
    connection: &mut SqliteConnection,
    ids: &str,
) -> QueryResult<HashMap<String, Vec<PlanProjectRow>>> {
    let rows: Vec<PlanProjectRow> = plan_projects::table
        .filter(among("plan_id", ids))
        .order((plan_projects::plan_id, plan_projects::position))
        .select(PlanProjectRow::as_select())
        .load(connection)?;
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        found.entry(row.plan_id.clone()).or_default().push(row);
    }
    Ok(found)
}

fn guidance_of(connection: &mut SqliteConnection, ids: &str) -> QueryResult<HashMap<String, Vec<String>>> {
    let rows: Vec<GuidanceRow> = plan_guidance::table
        .filter(among("plan_id", ids))
        .order((plan_guidance::plan_id, plan_guidance::position))
        .select(GuidanceRow::as_select())
        .load(connection)?;
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        found.entry(row.plan_id).or_default().push(row.text);
    }
    Ok(found)
}

fn locks_of(connection: &mut SqliteConnection, ids: &str) -> QueryResult<HashMap<String, LockRow>> {
    let rows = lock_table::table
        .filter(lock_table::resource_type.eq("plan"))
        .filter(among("resource_id", ids))
        .select(LockRow::as_select())
        .load::<LockRow>(connection)?;
    Ok(rows.into_iter().map(|row| (row.resource_id.clone(), row)).collect())
}

/// The open requests to cancel, by plan: one each at most.
fn cancellations_of(
    connection: &mut SqliteConnection,
    ids: &str,
) -> QueryResult<HashMap<String, RequestRow>> {
    let rows = requests::table
        .filter(requests::resource_type.eq("plan"))
        .filter(requests::kind.eq("cancel"))
        .filter(requests::closed_at.is_null())
        .filter(among("resource_id", ids))
        .select(RequestRow::as_select())
        .load::<RequestRow>(connection)?;
    Ok(rows.into_iter().map(|row| (row.resource_id.clone(), row)).collect())
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
