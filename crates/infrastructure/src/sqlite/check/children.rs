//! What a plan's log says of its children, held against what is stored of them.

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Event};
use diesel::prelude::*;

use crate::store::fault::Fault;
use crate::store::schema::{plans, subplans};

/// By id: the name, and whether it is not of the past.
type Children = BTreeMap<String, (String, bool)>;

/// What is wrong with the children of a plan, whose log this is.
pub(super) fn problem(
    connection: &mut SqliteConnection,
    parent: PlanId,
    events: &[Event],
) -> Result<Option<&'static str>, Fault> {
    let (told, stored) = (told(events), stored(connection, parent)?);
    let is_known = |(id, (name, _)): (&String, &(String, bool))| {
        stored.get(id).is_some_and(|(stored, _)| stored == name)
    };
    Ok(if !told.iter().all(is_known) {
        Some("its log tells of a subplan that is not stored")
    } else if stored.len() != told.len() {
        Some("its log does not tell of all its subplans")
    } else if told != stored {
        Some("a subplan of its past is stored as one of today, or the other way round")
    } else {
        None
    })
}

fn told(events: &[Event]) -> Children {
    let mut told = Children::new();
    for event in events {
        match &event.change {
            Change::Reverted { .. } => told.values_mut().for_each(|(_, current)| *current = false),
            Change::Spawned { children } => {
                for child in children {
                    if let Some((_, current)) = child.replaces.and_then(|old| told.get_mut(old.as_str())) {
                        *current = false;
                    }
                    told.insert(child.plan.to_string(), (child.name.clone(), true));
                }
            }
            _ => {}
        }
    }
    told
}

fn stored(connection: &mut SqliteConnection, parent: PlanId) -> QueryResult<Children> {
    let below = plans::table.filter(plans::parent.eq(parent.to_string())).select(plans::id);
    let rows = subplans::table.filter(subplans::plan_id.eq_any(below));
    let rows = rows.select((subplans::plan_id, subplans::name, subplans::current));
    let rows: Vec<(String, String, bool)> = rows.load(connection)?;
    Ok(rows.into_iter().map(|(id, name, current)| (id, (name, current))).collect())
}
