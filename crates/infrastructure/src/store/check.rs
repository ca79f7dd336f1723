//! Whether what is stored of a plan can be true: its log, replayed, must yield it, and must tell of
//! its children. What to look at is each database's own; what to make of it is the same.

use std::collections::BTreeMap;

use agents_domain::plan::{Change, Event, Plan, replay};

use crate::store::fault::{Fault, Words};

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

/// What is wrong with a plan as it was read.
pub(crate) fn problem(
    stored: Result<Option<Plan>, Fault>,
    log: Result<Vec<Event>, Fault>,
    children: Result<Children, Fault>,
    words: Words,
) -> Option<String> {
    match (stored, log, children) {
        (Err(fault), _, _) | (_, Err(fault), _) | (_, _, Err(fault)) => {
            Some(fault.into_store(words).to_string())
        }
        (Ok(stored), Ok(log), Ok(children)) => match replay(&log) {
            Ok(plan) if Some(&plan) == stored.as_ref() => of_children(&log, &children).map(str::to_owned),
            Ok(_) => Some("its log leads to another plan than the stored one".to_owned()),
            Err(error) => Some(format!("its log cannot be replayed: {error}")),
        },
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
