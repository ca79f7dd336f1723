//! Children of plans: which may come to be, and which belong to the past.

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Event, NewPlan, Plan, PlanRecord, PlanWrite, Spawned, StoreError};

use super::{nonsense, taken};
use crate::kin;
use crate::memory::State;

impl State {
    /// Whether all that a write spawns may be stored, and is what its events say.
    pub(super) fn may_spawn(&self, write: &PlanWrite) -> Result<(), StoreError> {
        let id = write.plan.id;
        let spawned: Vec<&Spawned> = write.events.iter().flat_map(spawned).collect();
        if !spawned.iter().map(|child| child.plan).eq(write.spawn.iter().map(|child| child.plan.id)) {
            return Err(nonsense(id, "its new children are not those of its events"));
        }
        let replaced: Vec<PlanId> = spawned.iter().filter_map(|child| child.replaces).collect();
        for old in &replaced {
            if !self.children(id).any(|child| child.id == *old) {
                return Err(nonsense(*old, "it has no place among the subplans of its parent"));
            }
        }
        for (place, child) in write.spawn.iter().enumerate() {
            self.may_be_made(child)?;
            if write.spawn[..place].iter().any(|other| other.plan.id == child.plan.id) {
                return Err(taken(&format!("the id {}", child.plan.id), "another plan"));
            }
        }
        self.may_be_children(&write.plan, &replaced, &write.spawn)
    }

    /// Whether a plan that is made by itself is nobody's child, or may be.
    pub(super) fn may_be_a_child(&self, new: &NewPlan) -> Result<(), StoreError> {
        let Some(parent) = new.plan.parent() else { return Ok(()) };
        let Some(parent) = self.plans.get(&parent) else {
            return Err(nonsense(new.plan.id, "it is a part of a plan that does not exist"));
        };
        self.may_be_children(&parent.plan, &[], std::slice::from_ref(new))
    }

    /// Whether these fit their parent, and their names are free once the replaced are out of the way.
    fn may_be_children(
        &self,
        parent: &Plan,
        replaced: &[PlanId],
        children: &[NewPlan],
    ) -> Result<(), StoreError> {
        let stay = self.children(parent.id).filter(|child| !replaced.contains(&child.id));
        let mut names: BTreeMap<&str, PlanId> = stay.filter_map(named).collect();
        for child in children {
            if let Some(reason) = kin::misfit(&child.plan, parent) {
                return Err(nonsense(child.plan.id, reason));
            }
            let Some((name, id)) = named(&child.plan) else { continue };
            if let Some(rival) = names.insert(name, id) {
                let what = format!("the name `{name}` among the subplans of {}", parent.id);
                return Err(taken(&what, &format!("plan {rival}")));
            }
        }
        Ok(())
    }

    /// What an event of a plan makes of its children.
    pub(super) fn retire(&mut self, event: &Event) {
        let all = matches!(event.change, Change::Reverted { .. });
        let replaced: Vec<PlanId> = spawned(event).iter().filter_map(|child| child.replaces).collect();
        for row in self.plans.values_mut().filter(|row| row.plan.parent() == Some(event.plan)) {
            row.past |= all || replaced.contains(&row.plan.id);
        }
    }

    /// The children of a plan, without those of its past, by id.
    pub(in crate::memory) fn children(&self, parent: PlanId) -> impl Iterator<Item = &PlanRecord> {
        let rows = self.plans.values().filter(move |row| row.plan.parent() == Some(parent) && !row.past);
        rows.map(|row| &*row.plan)
    }
}

fn spawned(event: &Event) -> &[Spawned] {
    match &event.change {
        Change::Spawned { children } => children,
        _ => &[],
    }
}

fn named(child: &PlanRecord) -> Option<(&str, PlanId)> {
    child.subplan.as_ref().map(|subplan| (subplan.name.as_str(), child.id))
}
