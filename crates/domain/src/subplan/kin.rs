//! What makes a plan a subplan: whose child it is, which one, and how it stands with its scheduler.

use std::collections::BTreeMap;

use crate::id::PlanId;
use crate::plan::{Phase, PlanRecord, State};
use crate::subplan::Mode;

/// How deep subplans nest, unless it is configured (`subplans.md`): a plan without a parent is at
/// depth 0.
pub const MAX_DEPTH: u32 = 5;
/// More children of one parent than this are a mistake. Not in `subplans.md`: a bound of ours, so
/// that a runaway strategist is an error and no full disk.
pub const MAX_CHILDREN: usize = 1000;

/// A child's facts about itself as a child.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Subplan {
    /// The plan it is a part of.
    pub parent: PlanId,
    /// The plan without a parent above it.
    pub root: PlanId,
    /// How far below the root: 1 for a child of it.
    pub depth: u32,
    /// Its place among its siblings, from 0, in the order in which they were asked for.
    pub position: u32,
    /// Its name, unique among its siblings.
    pub name: String,
    /// The names of the siblings that must have been merged before it begins.
    pub depends_on: Vec<String>,
    /// How many attempts have failed since it was last given new ones. An interruption is no
    /// failure.
    pub failures: u32,
    /// Why its scheduler gave it up; `None`: it did not.
    pub given_up: Option<GivenUp>,
}

/// The siblings that must be merged before a child begins and are not, in the order in which they
/// are given: all children of its parent, itself among them or not.
pub fn waits_for<'a>(
    child: &PlanRecord,
    siblings: impl IntoIterator<Item = &'a PlanRecord>,
    mode: Mode,
) -> impl Iterator<Item = &'a PlanRecord> {
    let is_needed = move |sibling: &&PlanRecord| {
        let (Some(own), Some(other)) = (&child.subplan, &sibling.subplan) else { return false };
        match mode {
            Mode::Parallel => false,
            // Who was cancelled by a person is passed over.
            Mode::Sequential => {
                let passed_over = sibling.state() == State::Cancelled && other.given_up.is_none();
                other.position < own.position && !passed_over
            }
            Mode::Dependency => own.depends_on.contains(&other.name),
        }
    };
    siblings.into_iter().filter(is_needed).filter(|sibling| sibling.state() != State::Applied)
}

/// Whether a plan has come to where its children may run: its branch is there to build on.
pub fn has_come_to_children(parent: &PlanRecord) -> bool {
    let begun = parent.phase() == Phase::Execute && parent.attempt > 0;
    begun && !matches!(parent.state(), State::Queued | State::Cancelled)
}

/// Why a scheduler cancelled a child. A child that a person cancelled was not given up.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub enum GivenUp {
    /// One that it depends on, directly or not, did not succeed.
    Skipped {
        /// The name of the first in the chain.
        by: String,
    },
    /// Another one failed, and failures end everything (`fail_fast`).
    FailFast {
        /// Its name.
        by: String,
    },
}

impl GivenUp {
    /// The sentence a person reads.
    pub fn reason(&self) -> String {
        match self {
            Self::Skipped { by } => format!("skipped: `{by}` did not succeed"),
            Self::FailFast { by } => format!("stopped: `{by}` failed, and `fail_fast` is set"),
        }
    }
}

/// How many children of a plan are in which state. Computed from their rows, never stored.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Tally {
    /// How many in each state; states without any are not there.
    pub by_state: BTreeMap<State, u32>,
}

impl Tally {
    /// The tally of these plans.
    pub fn of<'a>(children: impl IntoIterator<Item = &'a PlanRecord>) -> Self {
        let mut tally = Self::default();
        children.into_iter().for_each(|child| tally.add(child.state(), 1));
        tally
    }

    /// Counts so many more.
    pub fn add(&mut self, state: State, count: u32) {
        *self.by_state.entry(state).or_default() += count;
    }

    /// How many there are in that state.
    pub fn count(&self, state: State) -> u32 {
        self.by_state.get(&state).copied().unwrap_or(0)
    }

    /// How many there are.
    pub fn total(&self) -> u32 {
        self.by_state.values().sum()
    }
}
