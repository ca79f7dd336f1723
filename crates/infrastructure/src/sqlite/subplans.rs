//! Children of plans on SQLite: who is whose, and which of them belong to the past.
//!
//! `current = 1` is written out in every statement: only then SQLite sees that the partial index
//! answers it.

use std::collections::HashMap;

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Event, PlanRecord, Spawned, State, StoreError};
use agents_domain::subplan::Tally;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::sqlite::views::among;
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::schema::subplans;
use crate::store::subplan_row::{StandingColumns, SubplanRow};

const CURRENT: &str = "subplans.current = 1";

/// Writes whose child a new plan is, if it is one.
pub(crate) fn insert(connection: &mut SqliteConnection, plan: &PlanRecord) -> Result<(), Fault> {
    let Some(subplan) = &plan.subplan else { return Ok(()) };
    let row = SubplanRow::new(plan.id, subplan);
    let same = subplans::table.filter(subplans::parent.eq(&row.parent)).filter(subplans::name.eq(&row.name));
    let rival = same.filter(sql::<Bool>(CURRENT)).select(subplans::plan_id).get_result::<String>(connection);
    if let Some(rival) = rival.optional()? {
        let what = format!("the name `{}` among the subplans of {}", row.name, row.parent);
        return Err(StoreError::Taken { what, by: format!("plan {rival}") }.into());
    }
    diesel::insert_into(subplans::table).values(row).execute(connection)?;
    Ok(())
}

/// Writes how a child stands, if the plan is one.
pub(crate) fn update(connection: &mut SqliteConnection, plan: &PlanRecord) -> Result<(), Fault> {
    if let Some(subplan) = &plan.subplan {
        let row = subplans::table.find(plan.id.as_str());
        diesel::update(row).set(StandingColumns::from(subplan)).execute(connection)?;
    }
    Ok(())
}

/// What an event of a plan makes of its children: all belong to the past once it goes back to its
/// start, and so does one whose place another takes.
pub(crate) fn retire(connection: &mut SqliteConnection, event: &Event) -> Result<(), Fault> {
    match &event.change {
        Change::Reverted { .. } => {
            let all = subplans::table.filter(subplans::parent.eq(event.plan.as_str()));
            diesel::update(all.filter(sql::<Bool>(CURRENT)))
                .set(subplans::current.eq(false))
                .execute(connection)?;
            Ok(())
        }
        Change::Spawned { children } => replaced(connection, event.plan, children),
        _ => Ok(()),
    }
}

fn replaced(connection: &mut SqliteConnection, parent: PlanId, children: &[Spawned]) -> Result<(), Fault> {
    for replaced in children.iter().filter_map(|child| child.replaces) {
        let row = subplans::table.find(replaced.to_string()).filter(subplans::parent.eq(parent.to_string()));
        let current = row.filter(subplans::current.eq(true));
        if diesel::update(current).set(subplans::current.eq(false)).execute(connection)? == 0 {
            let row = RowName::new("subplans", replaced.as_str());
            return Err(row.corrupt(format_args!("it has no place among the subplans of {parent}")).into());
        }
    }
    Ok(())
}

/// The row of a plan that is a child.
pub(crate) fn find(connection: &mut SqliteConnection, plan: PlanId) -> QueryResult<Option<SubplanRow>> {
    subplans::table.find(plan.as_str()).select(SubplanRow::as_select()).get_result(connection).optional()
}

/// The rows of those of many plans that are children.
pub(crate) fn of(connection: &mut SqliteConnection, ids: &str) -> QueryResult<HashMap<String, SubplanRow>> {
    let rows = subplans::table.filter(among("plan_id", ids)).select(SubplanRow::as_select());
    Ok(rows.load::<SubplanRow>(connection)?.into_iter().map(|row| (row.plan_id.clone(), row)).collect())
}

#[derive(QueryableByName)]
struct Count {
    #[diesel(sql_type = Text)]
    parent: String,
    #[diesel(sql_type = Text)]
    state: String,
    #[diesel(sql_type = BigInt)]
    plans: i64,
}

/// How many children of each of many plans are in which state, without those of a past.
pub(crate) fn tallies(connection: &mut SqliteConnection, ids: &str) -> Result<HashMap<String, Tally>, Fault> {
    let counts: Vec<Count> = diesel::sql_query(
        "SELECT subplans.parent, plans.state, count(*) AS plans \
         FROM subplans JOIN plans ON plans.id = subplans.plan_id \
         WHERE subplans.current = 1 AND subplans.parent IN (SELECT value FROM json_each(?)) \
         GROUP BY subplans.parent, plans.state",
    )
    .bind::<Text, _>(ids)
    .load(connection)?;
    let mut tallies: HashMap<_, Tally> = HashMap::new();
    for count in counts {
        let row = RowName::new("plans below", &count.parent);
        let state = row.word("state", &count.state, State::parse)?;
        let plans = row.number("their number", count.plans)?;
        tallies.entry(count.parent).or_default().add(state, plans);
    }
    Ok(tallies)
}

#[derive(QueryableByName)]
struct Below {
    #[diesel(sql_type = Text)]
    id: String,
}

/// The ids of all that are below a plan, without those of a past: each after its parent and before
/// the parent's next child. SQLite takes the deepest of what it has found next, so it goes down
/// before it goes on.
pub(crate) fn family(connection: &mut SqliteConnection, plan: PlanId) -> QueryResult<Vec<String>> {
    let below: Vec<Below> = diesel::sql_query(
        "WITH RECURSIVE below (id, depth, position) AS ( \
         SELECT plan_id, depth, position FROM subplans WHERE parent = ? AND current = 1 \
         UNION \
         SELECT child.plan_id, child.depth, child.position FROM below \
         JOIN subplans AS child ON child.parent = below.id AND child.current = 1 \
         ORDER BY 2 DESC, 3, 1) SELECT id FROM below",
    )
    .bind::<Text, _>(plan.to_string())
    .load(connection)?;
    Ok(below.into_iter().map(|row| row.id).collect())
}
