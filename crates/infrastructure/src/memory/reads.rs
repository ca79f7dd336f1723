//! Plans as readers see them: one consistent look, no lock of the domain taken.

use std::cmp::Reverse;
use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::plan::{PlanRecord, StoreError};
use agents_domain::reads::{PlanFilter, PlanPage, PlanReads, PlanView};
use agents_domain::request::Wish;
use agents_domain::subplan::Tally;
use async_trait::async_trait;

use super::{Moment, Shared, State};

/// The port for readers.
pub(super) struct Reads(pub(super) Arc<Shared>);

impl State {
    fn view(&self, record: &PlanRecord, now: Moment) -> PlanView {
        let key = LockKey::Plan(record.id);
        let mut asked = self.open_requests(&key);
        let cancel_requested = asked.find(|asked| matches!(asked.wish, Wish::Cancel { .. })).cloned();
        let subplans = Tally::of(self.children(record.id));
        PlanView { record: record.clone(), lock: self.locks.held(&key, now), cancel_requested, subplans }
    }

    /// All below a plan: each before what is below itself.
    fn family(&self, plan: PlanId, now: Moment) -> Vec<PlanView> {
        let mut children: Vec<&PlanRecord> = self.children(plan).collect();
        children.sort_by_key(|child| child.subplan.as_ref().map(|subplan| (subplan.position, child.id)));
        let with_its_own = |child: &PlanRecord| {
            std::iter::once(self.view(child, now)).chain(self.family(child.id, now)).collect::<Vec<_>>()
        };
        children.into_iter().flat_map(with_its_own).collect()
    }

    fn page(&self, filter: &PlanFilter, now: Moment) -> PlanPage {
        let records = self.plans.values().map(|row| &*row.plan);
        let mut found: Vec<&PlanRecord> = records.filter(|record| passes(record, filter)).collect();
        found.sort_by_key(|record| Reverse((record.created_at, record.id)));
        let limit = filter.limit.map_or(usize::MAX, size);
        let plans = found.iter().take(limit).map(|record| self.view(record, now)).collect();
        PlanPage { plans, total: u64::try_from(found.len()).unwrap_or(u64::MAX) }
    }
}

/// To ask for the children of a plan is to ask for subplans.
fn passes(record: &PlanRecord, filter: &PlanFilter) -> bool {
    filter.phase.is_none_or(|phase| record.phase() == phase)
        && filter.state.is_none_or(|state| record.state() == state)
        && filter.project.as_ref().is_none_or(|name| record.projects.iter().any(|p| p.name == *name))
        && filter.action.as_ref().is_none_or(|name| record.action == *name)
        && match filter.parent {
            Some(parent) => record.parent() == Some(parent),
            None => filter.all || record.subplan.is_none(),
        }
}

fn size(limit: u32) -> usize {
    usize::try_from(limit).unwrap_or(usize::MAX)
}

#[async_trait]
impl PlanReads for Reads {
    async fn resolve(&self, prefix: &str, limit: u32) -> Result<Vec<PlanId>, StoreError> {
        let prefix = prefix.to_ascii_uppercase();
        self.0.critical(|state, _| {
            let found = state.plans.keys().filter(|id| id.as_str().starts_with(&prefix));
            Ok(found.take(size(limit)).copied().collect())
        })
    }

    async fn status(&self, plan: PlanId) -> Result<Option<PlanView>, StoreError> {
        self.0.critical(|state, now| Ok(state.plans.get(&plan).map(|row| state.view(&row.plan, now))))
    }

    async fn family(&self, plan: PlanId) -> Result<Vec<PlanView>, StoreError> {
        self.0.critical(|state, now| Ok(state.family(plan, now)))
    }

    async fn list(&self, filter: &PlanFilter) -> Result<PlanPage, StoreError> {
        self.0.critical(|state, now| Ok(state.page(filter, now)))
    }
}
