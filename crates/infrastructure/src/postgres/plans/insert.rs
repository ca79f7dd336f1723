//! The rows of a new plan.

use agents_domain::lock::Fence;
use agents_domain::plan::NewPlan;
use diesel::prelude::*;

use crate::postgres::subplans;
use crate::store::arguments;
use crate::store::column::RowName;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::plan_row::{DefinitionRow, GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::schema::{locks, plan_definitions, plan_guidance, plan_projects, plans};

/// Writes a plan with its order and its lock; its event is the caller's.
pub(super) fn plan(
    connection: &mut PgConnection,
    new: &NewPlan,
    lock: LockRow,
    fence: &Fence,
) -> Result<(), Fault> {
    diesel::insert_into(plans::table).values(PlanRow::new(&new.plan, fence)).execute(connection)?;
    subplans::insert(connection, &new.plan)?;
    diesel::insert_into(plan_definitions::table).values(definition(new)).execute(connection)?;
    projects(connection, new)?;
    for row in GuidanceRow::of(&new.plan, 0) {
        diesel::insert_into(plan_guidance::table).values(row).execute(connection)?;
    }
    diesel::insert_into(locks::table).values(lock).execute(connection)?;
    Ok(())
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

fn projects(connection: &mut PgConnection, new: &NewPlan) -> Result<(), Fault> {
    let id = new.plan.id.as_str();
    for (index, facts) in new.plan.projects.iter().enumerate() {
        let ordered = new.definition.projects.iter().find(|project| project.name == facts.name);
        let missing = || RowName::new("plan_projects", id).corrupt("a project is not in the definition");
        let row = PlanProjectRow::new(id, index, ordered.ok_or_else(missing)?, facts);
        diesel::insert_into(plan_projects::table).values(row).execute(connection)?;
    }
    Ok(())
}
