//! What a plan's log says about its attempts: how each ended, and where its work has been put.
//!
//! Pure functions of events. Must not: decide anything about a plan; the plan itself says where it
//! stands.

mod attempts;

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, Event, Saved, Work};

use super::{LifecycleError, PlanLifecycleService};

pub use attempts::{AttemptEnd, AttemptRecord, Outcome, attempts};

/// Where the work of each attempt is, by attempt and project.
pub type Works = BTreeMap<(u32, Name), Saved>;

impl PlanLifecycleService {
    /// The plan's log from its beginning. Takes no lock.
    pub async fn events(&self, plan: PlanId) -> Result<Vec<Event>, LifecycleError> {
        Ok(self.store.events(plan).await?)
    }

    /// Where the plan's log says that the work of its attempts is. Takes no lock.
    pub async fn works(&self, plan: PlanId) -> Result<Works, LifecycleError> {
        Ok(works(&self.store.events(plan).await?))
    }

    /// Where the plan's log says that its unfinished work is. Takes no lock.
    pub async fn unfinished(&self, plan: PlanId) -> Result<BTreeMap<Name, (u32, Saved)>, LifecycleError> {
        Ok(unfinished(&self.store.events(plan).await?))
    }
}

/// Where the work of each attempt is; what was said last counts.
pub fn works(events: &[Event]) -> Works {
    let (mut attempt, mut found) = (0, Works::new());
    for event in events {
        if let Change::PhaseStarted { .. } = event.change {
            attempt += 1;
        }
        let of = match event.change {
            Change::WorkSaved { attempt, .. } => attempt,
            _ => attempt,
        };
        let said = of_change(&event.change).iter();
        found.extend(said.map(|work| ((of, work.project.clone()), work.saved.clone())));
    }
    found
}

/// The newest work in each project that no completed phase has taken up: which attempt left it,
/// and where it is.
pub fn unfinished(events: &[Event]) -> BTreeMap<Name, (u32, Saved)> {
    let (mut attempt, mut found) = (0, BTreeMap::new());
    for event in events {
        match &event.change {
            Change::PhaseStarted { .. } => attempt += 1,
            Change::PhaseCompleted { .. } | Change::Reverted { .. } => found.clear(),
            Change::WorkSaved { attempt, work } => {
                for work in work {
                    // Of no concern once a later attempt has left something, or a phase is complete.
                    if let Some((of, saved)) = found.get_mut(&work.project).filter(|(of, _)| of == attempt) {
                        (*of, *saved) = (*attempt, work.saved.clone());
                    }
                }
            }
            change => {
                let said = of_change(change).iter();
                found.extend(said.map(|work| (work.project.clone(), (attempt, work.saved.clone()))));
            }
        }
    }
    found
}

/// The commit that an attempt's work builds on in each project: the base that was sealed before it.
pub fn bases(events: &[Event], attempt: u32) -> BTreeMap<Name, Oid> {
    let (mut started, mut found) = (0, BTreeMap::new());
    for event in events {
        if let Change::PhaseStarted { bases, .. } = &event.change {
            started += 1;
            if started <= attempt {
                found.extend(bases.clone());
            }
        }
    }
    found
}

/// Every commit in that project that the log says the plan has made: results, and what attempts left.
pub fn made(events: &[Event], project: &Name) -> Vec<Oid> {
    let mut found = Vec::new();
    for event in events {
        if let Change::PhaseCompleted { tips, .. } | Change::SubplanMerged { tips, .. } = &event.change {
            found.extend(tips.get(project).cloned());
        }
        let works = of_change(&event.change).iter().filter(|work| work.project == *project);
        found.extend(works.filter_map(|work| match &work.saved {
            Saved::Snapshot { commit, .. } => Some(commit.clone()),
            Saved::Directory { .. } | Saved::Pending { .. } => None,
        }));
    }
    found
}

/// The machine on which a result was recorded, by the name of its host.
pub fn made_on(events: &[Event], commit: &Oid) -> Option<String> {
    let (mut host, mut found) = (None, None);
    for event in events {
        match &event.change {
            Change::PhaseStarted { driver, .. } | Change::Adopted { driver } => host = Some(&driver.host),
            Change::PhaseCompleted { tips, .. } | Change::SubplanMerged { tips, .. }
                if tips.values().any(|tip| tip == commit) =>
            {
                found = host;
            }
            _ => {}
        }
    }
    found.cloned()
}

/// What is only on another machine: by attempt, in which projects, and where.
pub fn pending(works: &Works) -> BTreeMap<u32, Vec<(Name, String)>> {
    let mut found: BTreeMap<u32, Vec<(Name, String)>> = BTreeMap::new();
    for ((attempt, project), saved) in works {
        if let Saved::Pending { host } = saved {
            found.entry(*attempt).or_default().push((project.clone(), host.clone()));
        }
    }
    found
}

fn of_change(change: &Change) -> &[Work] {
    match change {
        Change::PhaseCompleted { work, .. }
        | Change::PhaseFailed { work, .. }
        | Change::Parked { work, .. }
        | Change::Interrupted { work, .. }
        | Change::Cancelled { work, .. }
        | Change::WorkSaved { work, .. } => work,
        _ => &[],
    }
}
