//! What a plan's parent, siblings and children have to do with it: facts, made from their records.
//!
//! The parent's facts are those of any plan. So what helps a child that waits for its parent is what
//! helps the parent, however deep that is.

use crate::id::PlanId;
use crate::plan::{Failure, Phase, PlanRecord, Stage, State};
use crate::subplan::{Mode, Tally, has_come_to_children, waits_for};

use super::Facts;

/// A child, by its name among its siblings, and where it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Relative {
    /// Its name.
    pub name: String,
    /// The plan.
    pub plan: PlanId,
    /// Where it is.
    pub stage: Stage,
}

/// What is above a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Above {
    /// The plan it is a part of, with all that is known of that one.
    pub parent: Facts,
    /// The siblings that must be merged before it begins and are not, in the order of their places.
    pub waits_for: Vec<Relative>,
}

/// What is below a plan.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Below {
    /// How many children are in which state.
    pub tally: Tally,
    /// Those that wait for a person, in the order of their places.
    pub stalled: Vec<Stalled>,
}

/// A child that waits for a person.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stalled {
    /// Which.
    pub child: Relative,
    /// For what.
    pub stall: Stall,
}

/// What a child waits for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Stall {
    /// An answer.
    Asks {
        /// The question.
        question: String,
    },
    /// Work that goes together with its own.
    Conflicts {
        /// Why it could not be merged.
        failure: Failure,
    },
}

impl Relative {
    /// A child as a relative; `None`: it is nobody's.
    pub fn of(record: &PlanRecord) -> Option<Self> {
        let name = record.subplan.as_ref()?.name.clone();
        Some(Self { name, plan: record.id, stage: record.stage })
    }
}

impl Above {
    /// What is above a child. `siblings` are all children of its parent in the order of their
    /// places, itself among them or not, and `mode` is how the parent's action runs them.
    pub fn new<'a>(
        child: &PlanRecord,
        parent: Facts,
        siblings: impl IntoIterator<Item = &'a PlanRecord>,
        mode: Mode,
    ) -> Self {
        let waits_for = waits_for(child, siblings, mode).filter_map(Relative::of).collect();
        Self { parent, waits_for }
    }

    /// Whether somebody drives the parent.
    pub fn is_driven(&self) -> bool {
        self.parent.holder.as_ref().is_some_and(super::Held::stands)
    }

    /// Whether a person may run the child: its parent has come to it, and what it builds on is
    /// merged.
    pub fn lets_begin(&self) -> bool {
        has_come_to_children(&self.parent.plan) && self.waits_for.is_empty()
    }
}

impl Below {
    /// What is below the plan that has these children, in the order of their places.
    pub fn of<'a>(children: impl IntoIterator<Item = &'a PlanRecord>) -> Self {
        let mut below = Self::default();
        for child in children {
            below.tally.add(child.state(), 1);
            below.stalled.extend(Stalled::of(child));
        }
        below
    }

    /// Whether anything is still to come of a child.
    pub fn is_open(&self) -> bool {
        self.tally.by_state.iter().any(|(state, count)| !state.is_terminal() && *count > 0)
    }
}

impl Stalled {
    fn of(record: &PlanRecord) -> Option<Self> {
        let question = || record.parked.as_ref().and_then(|parked| parked.input.clone());
        let stall = match (record.phase(), record.state()) {
            (_, State::Queued) => Stall::Asks { question: question()? },
            (Phase::Apply, State::Constrained | State::Errored) => {
                Stall::Conflicts { failure: record.failure.clone()? }
            }
            _ => return None,
        };
        Some(Self { child: Relative::of(record)?, stall })
    }
}
