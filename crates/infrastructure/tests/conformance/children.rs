//! Children for the suite: what makes a plan one, and the writes by which they come to be.

use agents_domain::plan::{Change, NewPlan, Plan, PlanWrite, Spawned};
use agents_domain::subplan::Subplan;
use agents_domain::time::Timestamp;

use crate::values::{least_definition, new_plan_of, number_of, origin, plan_id, step};

/// What makes a plan a child of that one.
pub(crate) fn child_of(parent: &Plan, position: u32, name: &str) -> Subplan {
    let above = parent.subplan.as_ref();
    Subplan {
        parent: parent.id,
        root: above.map_or(parent.id, |above| above.root),
        depth: above.map_or(1, |above| above.depth + 1),
        position,
        name: name.to_owned(),
        depends_on: Vec::new(),
        failures: 0,
        given_up: None,
    }
}

/// A child as its parent's event tells of it, with the least order.
pub(crate) fn child(number: u32, name: &str) -> Spawned {
    let action = least_definition().action.name;
    Spawned { plan: plan_id(number), name: name.to_owned(), action, replaces: None }
}

/// The write by which a plan gets these children.
pub(crate) fn spawn(parent: &Plan, children: &[Spawned], at: Timestamp) -> PlanWrite {
    step(parent, Change::Spawned { children: children.to_vec() }, at)
}

/// The plans that come to be with a change, in the order in which it tells of them. The last depends
/// on all before it.
pub(crate) fn born(parent: &Plan, change: &Change, at: Timestamp) -> Vec<NewPlan> {
    let Change::Spawned { children } = change else { return Vec::new() };
    let names: Vec<String> = children.iter().map(|child| child.name.clone()).collect();
    let new = |(place, child): (usize, &Spawned)| {
        let depends_on = if place + 1 == names.len() { names[..place].to_vec() } else { Vec::new() };
        let position = u32::try_from(place).expect("few");
        let mut origin = origin(&least_definition());
        origin.subplan = Some(Subplan { depends_on, ..child_of(parent, position, &child.name) });
        new_plan_of(number_of(child.plan), at, origin, least_definition())
    };
    children.iter().enumerate().map(new).collect()
}
