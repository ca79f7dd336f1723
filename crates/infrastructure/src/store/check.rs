//! Whether what is stored of a plan can be true: its log, replayed, must yield it, and must tell of
//! its children; its order ends with it. What to look at is each database's own; what to make of it is the same.

pub(crate) mod facts;

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::orders::WorkOrder;
use agents_domain::plan::{Change, Event, Plan, replay};
use diesel::result::QueryResult;

use crate::store::check::facts::{Facts, Stored};

/// What a check found.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct CheckReport {
    /// How many plans were replayed.
    pub plans: u64,
    /// What is wrong, for people; empty: nothing.
    pub problems: Vec<String>,
}

impl CheckReport {
    /// Notes one more plan, and what is wrong with it.
    pub(crate) fn note(&mut self, id: &str, problem: Option<String>) {
        self.plans += 1;
        self.problems.extend(problem.map(|problem| format!("plan/{id}: {problem}")));
    }
}

/// Children of a plan, by id: the name, and whether it is not of the past.
pub(crate) type Children = BTreeMap<String, (String, bool)>;

/// Replays every log, some plans at a time: memory holds those and no more. `told` hears how many are
/// done.
pub(crate) fn replay_all(
    facts: &mut dyn Facts,
    report: &mut CheckReport,
    told: &mut dyn FnMut(u64) -> QueryResult<()>,
) -> QueryResult<()> {
    let mut after = String::new();
    loop {
        let some = Stored::after(facts, &after)?;
        let Some(last) = some.last() else { return Ok(()) };
        last.id().clone_into(&mut after);
        for stored in some {
            let id = stored.id().to_owned();
            report.note(&id, problem(stored));
        }
        told(report.plans)?;
    }
}

/// What is wrong with a plan as it was read.
fn problem(stored: Stored) -> Option<String> {
    if PlanId::parse(stored.id()).is_err() {
        return Some("its id is no ULID".to_owned());
    }
    let children = stored.children();
    let (plan, log, order) = match stored.read() {
        Ok(read) => read,
        Err(error) => return Some(error.to_string()),
    };
    match replay(&log) {
        Ok(replayed) if replayed == plan => {
            of_children(&log, &children).or_else(|| of_order(order.as_ref()?, &plan)).map(str::to_owned)
        }
        Ok(_) => Some("its log leads to another plan than the stored one".to_owned()),
        Err(error) => Some(format!("its log cannot be replayed: {error}")),
    }
}

fn of_children(log: &[Event], stored: &Children) -> Option<&'static str> {
    let told = told(log);
    let is_known = |(id, (name, _)): (&String, &(String, bool))| {
        stored.get(id).is_some_and(|(stored, _)| stored == name)
    };
    if !told.iter().all(is_known) {
        Some("its log tells of a subplan that is not stored")
    } else if stored.len() != told.len() {
        Some("its log does not tell of all its subplans")
    } else if told != *stored {
        Some("a subplan of its past is stored as one of today, or the other way round")
    } else {
        None
    }
}

/// An order ends with its plan, and is of something that its plan has come to.
fn of_order(order: &WorkOrder, plan: &Plan) -> Option<&'static str> {
    if order.is_open() && plan.state().is_terminal() {
        Some("it is at its end, and its order is open")
    } else if order.wanted.version > plan.version {
        Some("its order is of a version that it has not come to")
    } else {
        None
    }
}

fn told(log: &[Event]) -> Children {
    let mut told = Children::new();
    for event in log {
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
