//! Children of plans on PostgreSQL: who is whose, and which of them belong to the past.

use std::collections::{HashMap, HashSet};

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Event, PlanRecord, Spawned, State, StoreError};
use agents_domain::subplan::Tally;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::plans::AT_ONCE;
use super::statement::Statement;
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::schema::subplans;
use crate::store::subplan_row::{StandingColumns, SubplanRow};

/// Writes whose children new plans are, as far as they are any.
pub(crate) fn insert<'p>(
    connection: &mut PgConnection,
    plans: impl Iterator<Item = &'p PlanRecord>,
) -> Result<(), Fault> {
    let rows = plans.filter_map(|plan| Some(SubplanRow::new(plan.id, plan.subplan.as_ref()?)));
    let rows: Vec<SubplanRow> = rows.collect();
    if rows.is_empty() {
        return Ok(());
    }
    let mut places = taken(connection, &rows)?;
    for row in &rows {
        if let Some(rival) = places.insert((row.parent.clone(), row.name.clone()), row.plan_id.clone()) {
            let what = format!("the name `{}` among the subplans of {}", row.name, row.parent);
            return Err(StoreError::Taken { what, by: format!("plan {rival}") }.into());
        }
    }
    for some in rows.chunks(AT_ONCE) {
        diesel::insert_into(subplans::table).values(some).execute(connection)?;
    }
    Ok(())
}

/// Who has those names already, by parent and name.
fn taken(
    connection: &mut PgConnection,
    rows: &[SubplanRow],
) -> QueryResult<HashMap<(String, String), String>> {
    let taken = Statement::<(Text, Text, Text)>::new(
        "SELECT parent, name, plan_id FROM subplans WHERE current \
         AND (parent, name) IN (SELECT * FROM unnest(?, ?))",
    );
    let parents = rows.iter().map(|row| row.parent.as_str());
    let taken = taken.texts(parents).texts(rows.iter().map(|row| row.name.as_str()));
    let taken: Vec<(String, String, String)> = taken.rows(connection)?;
    Ok(taken.into_iter().map(|(parent, name, plan)| ((parent, name), plan)).collect())
}

/// Writes how a child stands, if the plan is one.
pub(crate) fn update(connection: &mut PgConnection, plan: &PlanRecord) -> Result<(), Fault> {
    if let Some(subplan) = &plan.subplan {
        let row = subplans::table.find(plan.id.as_str());
        diesel::update(row).set(StandingColumns::from(subplan)).execute(connection)?;
    }
    Ok(())
}

/// What an event of a plan makes of its children: all belong to the past once it goes back to its
/// start, and so does one whose place another takes.
pub(crate) fn retire(connection: &mut PgConnection, event: &Event) -> Result<(), Fault> {
    match &event.change {
        Change::Reverted { .. } => {
            let all = subplans::table.filter(subplans::parent.eq(event.plan.as_str()));
            diesel::update(all.filter(subplans::current))
                .set(subplans::current.eq(false))
                .execute(connection)?;
            Ok(())
        }
        Change::Spawned { children } => replaced(connection, event.plan, children),
        _ => Ok(()),
    }
}

fn replaced(connection: &mut PgConnection, parent: PlanId, children: &[Spawned]) -> Result<(), Fault> {
    let replaced: Vec<String> =
        children.iter().filter_map(|child| child.replaces).map(|id| id.to_string()).collect();
    if replaced.is_empty() {
        return Ok(());
    }
    let places = subplans::table.filter(subplans::plan_id.eq_any(&replaced));
    let places = places.filter(subplans::parent.eq(parent.to_string())).filter(subplans::current);
    let retired = diesel::update(places).set(subplans::current.eq(false)).returning(subplans::plan_id);
    let retired: HashSet<String> = retired.load(connection)?.into_iter().collect();
    match replaced.iter().find(|id| !retired.contains(*id)) {
        None => Ok(()),
        Some(id) => {
            let row = RowName::new("subplans", id);
            Err(row.corrupt(format_args!("it has no place among the subplans of {parent}")).into())
        }
    }
}

/// The rows of those of many plans that are children.
pub(crate) fn of(connection: &mut PgConnection, ids: &[String]) -> QueryResult<HashMap<String, SubplanRow>> {
    let rows = subplans::table.filter(subplans::plan_id.eq_any(ids)).select(SubplanRow::as_select());
    Ok(rows.load::<SubplanRow>(connection)?.into_iter().map(|row| (row.plan_id.clone(), row)).collect())
}

/// How many children of each of many plans are in which state, without those of a past.
pub(crate) fn tallies(
    connection: &mut PgConnection,
    ids: &[String],
) -> Result<HashMap<String, Tally>, Fault> {
    let counts = Statement::<(Text, Text, BigInt)>::new(
        "SELECT subplans.parent, plans.state, count(*) FROM subplans JOIN plans ON plans.id = subplans.plan_id \
         WHERE subplans.current AND subplans.parent = ANY (?) GROUP BY subplans.parent, plans.state",
    );
    let counts: Vec<(String, String, i64)> = counts.texts(ids.iter().map(String::as_str)).rows(connection)?;
    let mut tallies: HashMap<_, Tally> = HashMap::new();
    for (parent, state, plans) in counts {
        let row = RowName::new("plans below", &parent);
        let (state, plans) = (row.word("state", &state, State::parse)?, row.number("their number", plans)?);
        tallies.entry(parent).or_default().add(state, plans);
    }
    Ok(tallies)
}

/// The ids of all that are below a plan, without those of a past: each after its parent and before
/// the parent's next child. The way to each, place by place, is what they are ordered by.
pub(crate) fn family(connection: &mut PgConnection, plan: PlanId) -> QueryResult<Vec<String>> {
    let below = Statement::<Text>::new(
        "WITH RECURSIVE below (id, way) AS ( \
         SELECT plan_id, ARRAY[(position, plan_id)] FROM subplans WHERE parent = ? AND current \
         UNION ALL \
         SELECT child.plan_id, below.way || (child.position, child.plan_id) FROM below \
         JOIN subplans AS child ON child.parent = below.id AND child.current) \
         SELECT id FROM below ORDER BY way",
    );
    below.text(plan.as_str()).rows(connection)
}
