//! Children of plans: checked as a whole, stored all or none, and read back for whoever schedules
//! them.
//!
//! ```text
//! items ── names, dependencies, circles ── depth, number ── actions, arguments, projects ──► children
//!              └────────── anything wrong anywhere: all of it in one error, nothing stored ─┘
//! ```
//!
//! Every write goes through [`PlanLifecycleService`], under the parent's lock. To run and merge
//! children is the work of the [`crate::PhaseDriver`].

mod check;
mod family;
mod items;

use std::collections::{BTreeMap, HashSet};
use std::sync::Arc;

use agents_domain::catalogue::ActionStore;
use agents_domain::id::{Ids, PlanId};
use agents_domain::plan::{Definition, Phase, Plan, State, StoreError};
use agents_domain::reads::{PlanFilter, PlanReads, PlanView};
use agents_domain::subplan::SubplanItem;
use thiserror::Error;

use crate::lifecycle::{LifecycleError, NewChild, PlanLifecycleService};
use crate::lock_service::Wait;

pub use check::{InvalidSubplans, SubplanProblem};
pub(crate) use family::{CONFLICT, NOT_MERGED, failures_of, is_torn, was_interrupted};
pub use family::{Child, Family, Unready};
pub(crate) use items::foresee;

/// What a [`SubplanService`] is made of.
#[derive(Clone)]
pub struct SubplanParts {
    /// Makes the transitions.
    pub lifecycle: PlanLifecycleService,
    /// Reads families.
    pub reads: Arc<dyn PlanReads>,
    /// Finds the actions of children.
    pub actions: Arc<dyn ActionStore>,
    /// Names children.
    pub ids: Arc<dyn Ids>,
    /// How deep they may nest; [`agents_domain::subplan::MAX_DEPTH`], unless it is configured.
    pub max_depth: u32,
}

/// Why children were not stored. Nothing was.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum SpawnError {
    /// Something is wrong with what was asked for.
    #[error(transparent)]
    Invalid(#[from] InvalidSubplans),
    /// The transition did not happen.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

/// Checks, stores and reads children of plans.
///
/// ```no_run
/// # use agents_application::subplan_service::{SpawnError, SubplanService};
/// # use agents_application::Wait;
/// # use agents_domain::{id::PlanId, name::Name, subplan::SubplanItem};
/// # async fn example(subplans: SubplanService, parent: PlanId) -> Result<(), SpawnError> {
/// let item = SubplanItem {
///     name: "api".to_owned(),
///     action: Name::parse("fix-lint").expect("valid"),
///     args: [].into(),
///     depends_on: vec![],
///     projects: vec![],
/// };
/// let children = subplans.spawn(parent, &[item], Wait::No).await?;
/// assert_eq!(subplans.family(parent).await?.children().count(), children.len());
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct SubplanService {
    parts: SubplanParts,
}

impl SubplanService {
    /// A service of these parts.
    pub const fn new(parts: SubplanParts) -> Self {
        Self { parts }
    }

    /// `plan spawn`: children for a plan that is not running any, under its lock; their ids, in the
    /// order of the items. They are stored in one transaction with the parent's event; if the process
    /// dies before, there is none.
    pub async fn spawn(
        &self,
        parent: PlanId,
        items: &[SubplanItem],
        wait: Wait,
    ) -> Result<Vec<PlanId>, SpawnError> {
        let hold = self.parts.lifecycle.hold(parent, "plan spawn", wait).await?;
        let outcome = async {
            let plan = self.parts.lifecycle.load(parent).await?;
            let definition = self.parts.lifecycle.definition(parent).await?;
            let mut problems = taken(&plan, &definition, items);
            let children = match self.prepare(&plan, &definition, items).await {
                Ok(children) if problems.is_empty() => children,
                Ok(_) => return Err(InvalidSubplans { problems }.into()),
                Err(SpawnError::Invalid(others)) => {
                    problems.extend(others.problems);
                    return Err(InvalidSubplans { problems }.into());
                }
                Err(error) => return Err(error),
            };
            let ids = children.iter().map(|child| child.id).collect();
            self.parts.lifecycle.spawn(parent, children, &BTreeMap::new()).await?;
            Ok(ids)
        };
        let outcome = outcome.await;
        if let Err(error) = hold.release().await {
            tracing::warn!(plan = %parent, %error, "the lock could not be released");
        }
        outcome
    }

    /// The children that these items come to, beside those the plan has. Stores nothing.
    pub async fn prepare(
        &self,
        plan: &Plan,
        definition: &Definition,
        items: &[SubplanItem],
    ) -> Result<Vec<NewChild>, SpawnError> {
        if items.is_empty() {
            return Ok(Vec::new());
        }
        let family = self.family(plan.id).await?;
        self.check(plan, definition, &family, items).await
    }

    /// All that are below a plan, those of its past left out. Takes no lock.
    pub async fn family(&self, plan: PlanId) -> Result<Family, StoreError> {
        Ok(Family::new(plan, self.parts.reads.family(plan).await?))
    }

    /// The children of a plan's past that are not at their end: whoever sent the plan back to its start
    /// died before it had given them up.
    pub(crate) async fn left_behind(&self, plan: PlanId) -> Result<Vec<PlanId>, StoreError> {
        let ever = PlanFilter { parent: Some(plan), all: true, ..PlanFilter::default() };
        let (ever, family) = (self.parts.reads.list(&ever).await?.plans, self.family(plan).await?);
        let is_past = |view: &PlanView| !family.children().any(|child| child.record.id == view.record.id);
        let left = ever.iter().filter(|view| !view.record.state().is_terminal() && is_past(view));
        Ok(left.map(|view| view.record.id).collect())
    }

    /// New children in place of those that were given up because of others: the same in all but
    /// their identity, with attempts of their own.
    pub async fn successors(&self, given_up: &[PlanView]) -> Result<Vec<(PlanId, NewChild)>, LifecycleError> {
        let mut made = Vec::with_capacity(given_up.len());
        for old in given_up {
            let definition = self.parts.lifecycle.definition(old.record.id).await?;
            let id = PlanId::from(self.parts.ids.ulid());
            made.push((
                old.record.id,
                NewChild { id, origin: family::origin_again(&old.record), definition },
            ));
        }
        Ok(made)
    }
}

/// Names that the plan's own action will give, because strategize is to come: whoever had one before
/// would let the plan fail there, each time anew.
fn taken(plan: &Plan, definition: &Definition, items: &[SubplanItem]) -> Vec<SubplanProblem> {
    if plan.phase() != Phase::Strategize || plan.state() == State::Complete {
        return Vec::new();
    }
    let to_come: HashSet<&str> = definition.action.subplan_items().iter().map(|item| &*item.name).collect();
    let is_taken = |item: &&SubplanItem| to_come.contains(&*item.name);
    let problem = |item: &SubplanItem| SubplanProblem::Taken {
        item: item.name.clone(),
        action: definition.action.name.clone(),
    };
    items.iter().filter(is_taken).map(problem).collect()
}
