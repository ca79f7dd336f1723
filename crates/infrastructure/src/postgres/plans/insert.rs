//! The rows of new plans: some statements for all of them, however many they are.

use agents_domain::lock::Fence;
use agents_domain::plan::NewPlan;
use diesel::prelude::*;

use crate::postgres::subplans;
use crate::store::arguments;
use crate::store::column::RowName;
use crate::store::event_row::EventRow;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::plan_row::{DefinitionRow, GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::schema::{events, locks, plan_definitions, plan_guidance, plan_projects, plans};

/// How many rows a statement has at most: a plan has 32 columns, and a statement 65,535 parameters.
pub(crate) const AT_ONCE: usize = 1000;

/// Inserts any number of rows, some at once.
macro_rules! insert {
    ($connection:expr, $table:expr, $rows:expr) => {
        let rows: Vec<_> = $rows;
        for some in rows.chunks(AT_ONCE) {
            diesel::insert_into($table).values(some).execute($connection)?;
        }
    };
}

/// A plan that comes to be, and its lock as it begins.
pub(super) type Made<'n> = (&'n NewPlan, LockRow);

/// Writes plans, with their orders, locks and first events. `fence` is that of the plans' rows, `by` that
/// under which their events are written.
pub(super) fn plans(
    connection: &mut PgConnection,
    made: Vec<Made<'_>>,
    fence: &Fence,
    by: &Fence,
) -> Result<(), Fault> {
    let (new, free): (Vec<&NewPlan>, Vec<LockRow>) = made.into_iter().unzip();
    insert!(connection, plans::table, new.iter().map(|new| PlanRow::new(&new.plan, fence)).collect());
    subplans::insert(connection, new.iter().map(|new| &*new.plan))?;
    insert!(connection, plan_definitions::table, new.iter().copied().map(definition).collect());
    insert!(connection, plan_projects::table, all(&new, projects)?);
    insert!(connection, plan_guidance::table, all(&new, |new| Ok(GuidanceRow::of(&new.plan, 0)))?);
    insert!(connection, locks::table, free);
    insert!(connection, events::table, new.iter().map(|new| EventRow::new(&new.event, by)).collect());
    Ok(())
}

fn all<T>(new: &[&NewPlan], of: impl Fn(&NewPlan) -> Result<Vec<T>, Fault>) -> Result<Vec<T>, Fault> {
    let mut rows = Vec::new();
    for new in new {
        rows.extend(of(new)?);
    }
    Ok(rows)
}

/// A subplan may be done when its parent says so, not its action: only then it is written.
fn definition(new: &NewPlan) -> DefinitionRow {
    let done = &new.definition.action.definition_of_done;
    DefinitionRow {
        plan_id: new.plan.id.to_string(),
        action_source: new.definition.action_source.clone(),
        arguments: arguments::to_json(&new.definition.arguments),
        definition_of_done: new.plan.subplan.as_ref().map(|_| done.clone()),
    }
}

fn projects(new: &NewPlan) -> Result<Vec<PlanProjectRow>, Fault> {
    let id = new.plan.id.as_str();
    let row = |(index, facts): (usize, &agents_domain::plan::PlanProject)| {
        let ordered = new.definition.projects.iter().find(|project| project.name == facts.name);
        let missing = || RowName::new("plan_projects", id).corrupt("a project is not in the definition");
        Ok(PlanProjectRow::new(id, index, ordered.ok_or_else(missing)?, facts))
    };
    new.plan.projects.iter().enumerate().map(row).collect()
}
