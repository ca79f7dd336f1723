//! Plans and their logs.
//!
//! A commit is checked in this order: is there such a plan, was this very event written before,
//! does the fence hold, do the further locks hold, is the version the one decided on, and does
//! the transition function lead from what is stored to what is to be written. Only then is
//! anything written, all of it in the same critical section.

use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::{AcquireRequest, Fence, FencingToken, Lease, LockError, LockKey};
use agents_domain::plan::{
    CommitOutcome, Definition, Event, NewPlan, Opening, Plan, PlanStore, PlanWrite, Step, StoreError, next,
    replay,
};
use agents_domain::time::Timestamp;
use async_trait::async_trait;

use super::{Moment, Shared, State};

/// The port to the plans.
pub(super) struct Plans(pub(super) Arc<Shared>);

/// A plan, its order, its log.
pub(super) struct PlanRow {
    pub(super) plan: Plan,
    definition: Definition,
    events: Vec<Event>,
    /// The highest token that wrote it.
    token: Option<FencingToken>,
}

impl State {
    fn create(&mut self, new: &NewPlan, opening: &Opening, now: Moment) -> Result<Lease, StoreError> {
        if matches!(opening, Opening::Unfenced) && !self.allow_unfenced {
            return Err(StoreError::UnfencedRefused);
        }
        let id = new.plan.id;
        let again = self.written.get(&new.event.id) == Some(&id);
        if !again {
            self.may_be_made(new)?;
            self.locks.add(LockKey::Plan(id));
        }
        let lease = self.open(id, opening, now)?;
        if !again {
            let (plan, definition) = (new.plan.clone(), new.definition.clone());
            self.plans.insert(id, PlanRow { plan, definition, events: Vec::new(), token: None });
            self.log(&new.plan, &new.event, &lease.fence);
        }
        Ok(lease)
    }

    fn may_be_made(&self, new: &NewPlan) -> Result<(), StoreError> {
        let id = new.plan.id;
        if self.plans.contains_key(&id) {
            return Err(taken(&format!("the id {id}"), "another plan"));
        }
        if new.plan.parent.is_some_and(|parent| !self.plans.contains_key(&parent)) {
            return Err(nonsense(id, "it is a part of a plan that does not exist"));
        }
        if replay(std::slice::from_ref(&new.event)).ok().as_ref() != Some(&new.plan) {
            return Err(nonsense(id, "it is not what its first event makes"));
        }
        self.is_new(&new.event)
    }

    /// The first hold of a new plan: of its own key, whatever else the request names.
    fn open(&mut self, id: PlanId, opening: &Opening, now: Moment) -> Result<Lease, StoreError> {
        let key = LockKey::Plan(id);
        let Opening::Held(request) = opening else {
            let expires_at = Timestamp::from_millis(i64::MAX);
            return Ok(Lease {
                key,
                fence: Fence::Unfenced,
                acquired_at: now.wall,
                expires_at,
                reentrant: false,
            });
        };
        let request = AcquireRequest { keys: vec![key], ..request.clone() };
        match self.locks.acquire(&mut self.line, &request, now).map(|mut leases| leases.pop()) {
            Ok(Some(lease)) => Ok(lease),
            Err(LockError::Conflict(rival)) => {
                Err(taken(&format!("the lock {}", rival.0.key), rival.0.owner.as_str()))
            }
            Ok(None) | Err(_) => Err(nonsense(id, "it has no lock")),
        }
    }

    fn commit(&mut self, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError> {
        let id = write.plan.id;
        let Some(row) = self.plans.get(&id) else { return Ok(CommitOutcome::Missing) };
        if self.written.get(&write.event.id) == Some(&id) {
            return Ok(CommitOutcome::Applied);
        }
        if matches!(fence, Fence::Unfenced) && row.token.is_some() {
            return Err(StoreError::UnfencedRefused);
        }
        let also = write.also.iter().map(|(key, fence)| (key, fence));
        for (key, fence) in std::iter::once((&LockKey::Plan(id), fence)).chain(also) {
            if !self.admits(key, fence)? {
                return Ok(CommitOutcome::Stale);
            }
        }
        if row.plan.version != write.expected_version {
            return Ok(CommitOutcome::Stale);
        }
        follows(&row.plan, write)?;
        self.is_new(&write.event)?;
        self.log(&write.plan, &write.event, fence);
        Ok(CommitOutcome::Applied)
    }

    /// Writes a plan and its event; where the event does not say who wrote it, the fence does.
    fn log(&mut self, plan: &Plan, event: &Event, fence: &Fence) {
        let Some(row) = self.plans.get_mut(&plan.id) else { return };
        row.plan = plan.clone();
        row.token = row.token.max(fence.token());
        let (owner, token) = (event.owner.or(fence.owner()), event.token.or(fence.token()));
        row.events.push(Event { owner, token, ..event.clone() });
        self.written.insert(event.id, plan.id);
    }

    fn is_new(&self, event: &Event) -> Result<(), StoreError> {
        match self.written.get(&event.id) {
            None => Ok(()),
            Some(other) => Err(taken(&format!("the event {}", event.id), &format!("plan {other}"))),
        }
    }

    fn admits(&self, key: &LockKey, fence: &Fence) -> Result<bool, StoreError> {
        match *fence {
            Fence::Token { owner, token } => Ok(self.locks.is_term(key, owner, token)),
            Fence::Unfenced if self.allow_unfenced => Ok(true),
            Fence::Unfenced => Err(StoreError::UnfencedRefused),
        }
    }
}

/// Whether the write is one step from what is stored.
fn follows(stored: &Plan, write: &PlanWrite) -> Result<(), StoreError> {
    let event = &write.event;
    let in_line = event.plan == stored.id && event.seq == write.plan.version;
    match next(stored, &event.change, event.at) {
        Ok(Step::Moved(plan)) if in_line && plan == write.plan => Ok(()),
        _ => Err(nonsense(stored.id, "the write is not what its event makes of the plan")),
    }
}

fn nonsense(plan: PlanId, reason: &str) -> StoreError {
    StoreError::Corrupt { row: format!("plan {plan}"), reason: reason.to_owned() }
}

fn taken(what: &str, by: &str) -> StoreError {
    StoreError::Taken { what: what.to_owned(), by: by.to_owned() }
}

#[async_trait]
impl PlanStore for Plans {
    async fn create(&self, new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError> {
        self.0.critical(|state, now| state.create(new, opening, now))
    }

    async fn load(&self, plan: PlanId) -> Result<Option<Plan>, StoreError> {
        self.0.critical(|state, _| Ok(state.plans.get(&plan).map(|row| row.plan.clone())))
    }

    async fn definition(&self, plan: PlanId) -> Result<Option<Definition>, StoreError> {
        self.0.critical(|state, _| Ok(state.plans.get(&plan).map(|row| row.definition.clone())))
    }

    async fn commit(&self, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError> {
        self.0.critical(|state, _| state.commit(write, fence))
    }

    async fn events(&self, plan: PlanId) -> Result<Vec<Event>, StoreError> {
        self.0
            .critical(|state, _| Ok(state.plans.get(&plan).map(|row| row.events.clone()).unwrap_or_default()))
    }
}
