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
use diesel::pg::Pg;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Nullable};

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::{subplans, views};
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::plan_row::PlanRow;
use crate::store::schema::{plan_counts, plan_projects, plans};

/// Reads of the plans of one database.
pub struct PostgresReads {
    pub(crate) lane: Arc<Lane>,
}

#[async_trait]
impl PlanReads for PostgresReads {
    async fn resolve(&self, prefix: &str, limit: u32) -> Result<Vec<PlanId>, StoreError> {
        let prefix = prefix.to_ascii_uppercase();
        // What no text of the database can hold begins no id.
        if prefix.contains('\0') {
            return Ok(Vec::new());
        }
        let reading = move |connection: &mut PgConnection| resolve(connection, &prefix, limit);
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn status(&self, plan: PlanId) -> Result<Option<PlanView>, StoreError> {
        let reading = move |connection: &mut PgConnection| status(connection, plan);
        self.lane.run(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn family(&self, plan: PlanId) -> Result<Vec<PlanView>, StoreError> {
        let reading = move |connection: &mut PgConnection| family(connection, plan);
        self.lane.run(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn list(&self, filter: &PlanFilter) -> Result<PlanPage, StoreError> {
        let filter = filter.clone();
        let reading = move |connection: &mut PgConnection| list(connection, &filter);
        self.lane.run(Purpose::Read, reading).await.map_err(store_error)
    }
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

fn resolve(connection: &mut PgConnection, prefix: &str, limit: u32) -> Result<Vec<PlanId>, Fault> {
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

fn status(connection: &mut PgConnection, plan: PlanId) -> Result<Option<PlanView>, Fault> {
    let row = plans::table.find(plan.as_str()).select(PlanRow::as_select()).first(connection).optional()?;
    Ok(views::of(connection, row.into_iter().collect())?.pop())
}

/// In the order in which they are found below the plan.
fn family(connection: &mut PgConnection, plan: PlanId) -> Result<Vec<PlanView>, Fault> {
    let ids = subplans::family(connection, plan)?;
    let rows: Vec<PlanRow> =
        plans::table.filter(plans::id.eq_any(&ids)).select(PlanRow::as_select()).load(connection)?;
    let places: HashMap<&str, usize> =
        ids.iter().enumerate().map(|(place, id)| (id.as_str(), place)).collect();
    let mut views = views::of(connection, rows)?;
    views.sort_by_key(|view| places.get(view.record.id.as_str()).copied());
    Ok(views)
}

type Filtered<'a> = plans::BoxedQuery<'a, Pg>;

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

fn list(connection: &mut PgConnection, filter: &PlanFilter) -> Result<PlanPage, Fault> {
    let mut query = filtered(filter).order((plans::created_at.desc(), plans::id.desc()));
    if let Some(limit) = filter.limit {
        query = query.limit(i64::from(limit));
    }
    let rows: Vec<PlanRow> = query.select(PlanRow::as_select()).load(connection)?;
    let plans = views::of(connection, rows)?;
    Ok(PlanPage { total: total(connection, filter)?, plans })
}

/// How many plans pass, whatever the limit.
fn total(connection: &mut PgConnection, filter: &PlanFilter) -> Result<u64, Fault> {
    let count: i64 = if filter.project.is_some() || filter.parent.is_some() {
        filtered(filter).count().get_result(connection)?
    } else {
        kept_total(filter).get_result::<Option<i64>>(connection)?.unwrap_or(0)
    };
    Ok(u64::try_from(count).unwrap_or(0))
}

fn kept_total(filter: &PlanFilter) -> plan_counts::BoxedQuery<'_, Pg, Nullable<BigInt>> {
    let sum = sql::<Nullable<BigInt>>("CAST(sum(plans) AS BIGINT)");
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
