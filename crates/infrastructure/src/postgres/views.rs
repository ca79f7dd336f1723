//! From rows of plans to what readers see: seven queries for a page, however many plans are on it.

use std::collections::HashMap;

use agents_domain::lock::LockKey;
use agents_domain::reads::PlanView;
use agents_domain::time::BootInstant;
use diesel::dsl::{AsExprOf, sql};
use diesel::expression::{SqlLiteral, UncheckedBind};
use diesel::prelude::*;
use diesel::sql_types::{Array, Bool, Text};

use super::locks::{SERVER, now};
use super::subplans;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::plan_row::{GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::request_row::RequestRow;
use crate::store::schema::{locks, plan_guidance, plan_projects, requests};

/// What readers see of these plans, in that order.
pub(crate) fn of(connection: &mut PgConnection, rows: Vec<PlanRow>) -> Result<Vec<PlanView>, Fault> {
    let ids: Vec<String> = rows.iter().map(|row| row.id.clone()).collect();
    let mut projects = projects_of(connection, &ids)?;
    let mut guidance = guidance_of(connection, &ids)?;
    let mut kin = subplans::of(connection, &ids)?;
    let mut locks = locks_of(connection, &ids)?;
    let mut asked = cancellations_of(connection, &ids)?;
    let mut tallies = subplans::tallies(connection, &ids)?;
    let view = |row: PlanRow| -> Result<PlanView, Fault> {
        let id = row.id.clone();
        let projects = projects.remove(&id).unwrap_or_default();
        let projects = projects.iter().map(PlanProjectRow::facts).collect::<Result<_, _>>()?;
        let record = row.into_record(projects, guidance.remove(&id).unwrap_or_default(), kin.remove(&id))?;
        let lock = locks.remove(&id).map(|(lock, now)| lock.held(SERVER, now)).transpose()?.flatten();
        let cancel_requested = asked.remove(&id).map(RequestRow::request).transpose()?;
        Ok(PlanView { record, lock, cancel_requested, subplans: tallies.remove(&id).unwrap_or_default() })
    };
    rows.into_iter().map(view).collect()
}

type Keys = SqlLiteral<
    Bool,
    UncheckedBind<
        SqlLiteral<Bool, UncheckedBind<SqlLiteral<Bool>, AsExprOf<Vec<String>, Array<Text>>>>,
        AsExprOf<Vec<String>, Array<Text>>,
    >,
>;

/// `(resource_type, resource_id) IN (…)` for any number of keys.
pub(crate) fn among_keys<'k>(keys: impl Iterator<Item = &'k LockKey> + Clone) -> Keys {
    let types = keys.clone().map(|key| key.resource_type().to_owned()).collect::<Vec<_>>();
    let ids = keys.map(|key| key.resource_id().to_owned()).collect::<Vec<_>>();
    sql::<Bool>("(resource_type, resource_id) IN (SELECT * FROM unnest(")
        .bind::<Array<Text>, _>(types)
        .sql(", ")
        .bind::<Array<Text>, _>(ids)
        .sql("))")
}

fn projects_of(
    connection: &mut PgConnection,
    ids: &[String],
) -> QueryResult<HashMap<String, Vec<PlanProjectRow>>> {
    let rows: Vec<PlanProjectRow> = plan_projects::table
        .filter(plan_projects::plan_id.eq_any(ids))
        .order((plan_projects::plan_id, plan_projects::position))
        .select(PlanProjectRow::as_select())
        .load(connection)?;
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        found.entry(row.plan_id.clone()).or_default().push(row);
    }
    Ok(found)
}

fn guidance_of(connection: &mut PgConnection, ids: &[String]) -> QueryResult<HashMap<String, Vec<String>>> {
    let rows: Vec<GuidanceRow> = plan_guidance::table
        .filter(plan_guidance::plan_id.eq_any(ids))
        .order((plan_guidance::plan_id, plan_guidance::position))
        .select(GuidanceRow::as_select())
        .load(connection)?;
    let mut found: HashMap<_, Vec<_>> = HashMap::new();
    for row in rows {
        found.entry(row.plan_id).or_default().push(row.text);
    }
    Ok(found)
}

fn locks_of(
    connection: &mut PgConnection,
    ids: &[String],
) -> QueryResult<HashMap<String, (LockRow, BootInstant)>> {
    let rows = locks::table
        .filter(locks::resource_type.eq("plan"))
        .filter(locks::resource_id.eq_any(ids))
        .select((LockRow::as_select(), now()))
        .load::<(LockRow, i64)>(connection)?;
    let seen = |(row, now): (LockRow, i64)| (row.resource_id.clone(), (row, BootInstant::from_millis(now)));
    Ok(rows.into_iter().map(seen).collect())
}

/// The open requests to cancel, by plan: one each at most.
fn cancellations_of(
    connection: &mut PgConnection,
    ids: &[String],
) -> QueryResult<HashMap<String, RequestRow>> {
    let rows = requests::table
        .filter(requests::resource_type.eq("plan"))
        .filter(requests::kind.eq("cancel"))
        .filter(requests::closed_at.is_null())
        .filter(requests::resource_id.eq_any(ids))
        .select(RequestRow::as_select())
        .load::<RequestRow>(connection)?;
    Ok(rows.into_iter().map(|row| (row.resource_id.clone(), row)).collect())
}
