//! From rows of plans to what readers see: seven queries for a page, however many plans are on it.

use std::collections::HashMap;

use agents_domain::reads::PlanView;
use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::{Bool, Text};
use serde::Serialize;

use crate::sqlite::locks::LeaseClock;
use crate::sqlite::subplans;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::plan_row::{GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::request_row::RequestRow;
use crate::store::schema::{locks, plan_guidance, plan_projects, requests};

/// What readers see of these plans, in that order.
pub(crate) fn of(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    rows: Vec<PlanRow>,
) -> Result<Vec<PlanView>, Fault> {
    let ids = parameter(rows.iter().map(|row| row.id.as_str()).collect::<Vec<_>>());
    let mut projects = projects_of(connection, &ids)?;
    let mut guidance = guidance_of(connection, &ids)?;
    let mut kin = subplans::of(connection, &ids)?;
    let mut locks = locks_of(connection, &ids)?;
    let mut asked = cancellations_of(connection, &ids)?;
    let mut tallies = subplans::tallies(connection, &ids)?;
    let now = clock.clock.boottime();
    let view = |row: PlanRow| -> Result<PlanView, Fault> {
        let id = row.id.clone();
        let projects = projects.remove(&id).unwrap_or_default();
        let projects = projects.iter().map(PlanProjectRow::facts).collect::<Result<_, _>>()?;
        let record = row.into_record(projects, guidance.remove(&id).unwrap_or_default(), kin.remove(&id))?;
        let lock = locks.remove(&id).map(|lock| lock.held(&clock.boot_id, now)).transpose()?.flatten();
        let cancel_requested = asked.remove(&id).map(RequestRow::request).transpose()?;
        Ok(PlanView { record, lock, cancel_requested, subplans: tallies.remove(&id).unwrap_or_default() })
    };
    rows.into_iter().map(view).collect()
}

/// Any number of ids as one JSON parameter.
pub(crate) fn parameter(ids: impl Serialize) -> String {
    serde_json::json!(ids).to_string()
}

/// `<column> IN (…)` for ids given as one JSON parameter: one statement for any number of them.
pub(crate) fn among(
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
    let rows = locks::table
        .filter(locks::resource_type.eq("plan"))
        .filter(among("resource_id", ids))
        .select(LockRow::as_select())
        .load::<LockRow>(connection)?;
    Ok(rows.into_iter().map(|row| (row.resource_id.clone(), row)).collect())
}

/// The open requests to cancel, by plan: one each at most.
pub(crate) fn cancellations_of(
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
