//! Plans and their logs.
//!
//! A commit is checked in this order: is there such a plan, was this very event written before,
//! does the fence hold, do the further locks hold, is the version the one decided on, does the
//! transition function lead from what is stored to what is to be written, and may its children be.
//! Only then is anything written, all of it in the same critical section.

mod spawn;

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
    pub(super) definition: Definition,
    pub(super) events: Vec<Event>,
    /// The highest token that wrote it.
    token: Option<FencingToken>,
    /// A child of the past of its parent has no place among its siblings any more.
    pub(super) past: bool,
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
            self.may_be_a_child(new)?;
            self.locks.add(LockKey::Plan(id));
        }
        let lease = self.open(id, opening, now)?;
        if !again {
            self.insert(new);
            self.log(&new.plan, &new.event, &lease.fence);
            self.wrote(id, &lease.fence);
        }
        Ok(lease)
    }

    fn may_be_made(&self, new: &NewPlan) -> Result<(), StoreError> {
        let id = new.plan.id;
        if self.plans.contains_key(&id) {
            return Err(taken(&format!("the id {id}"), "another plan"));
        }
        if replay(std::slice::from_ref(&new.event)).ok().as_ref() != Some(&new.plan) {
            return Err(nonsense(id, "it is not what its first event makes"));
        }
        self.is_new(&new.event)
    }

    /// A plan that has no log yet.
    fn insert(&mut self, new: &NewPlan) {
        let (plan, definition) = (new.plan.clone(), new.definition.clone());
        let row = PlanRow { plan, definition, events: Vec::new(), token: None, past: false };
        self.plans.insert(new.plan.id, row);
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
        if self.written.get(&write.last_event().id) == Some(&id) {
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
        for event in &write.events {
            self.is_new(event)?;
        }
        self.may_spawn(write)?;
        self.end_order(id, write);
        for event in &write.events {
            self.log(&write.plan, event, fence);
            self.retire(event);
        }
        self.wrote(id, fence);
        for child in &write.spawn {
            self.locks.add(LockKey::Plan(child.plan.id));
            self.insert(child);
            self.log(&child.plan, &child.event, fence);
        }
        Ok(CommitOutcome::Applied)
    }

    /// Writes a plan and its event; where the event does not say who wrote it, the fence does.
    fn log(&mut self, plan: &Plan, event: &Event, fence: &Fence) {
        let Some(row) = self.plans.get_mut(&plan.id) else { return };
        row.plan = plan.clone();
        let (owner, token) = (event.owner.or(fence.owner()), event.token.or(fence.token()));
        row.events.push(Event { owner, token, ..event.clone() });
        self.written.insert(event.id, plan.id);
        self.enter_feed(event);
    }

    /// Under which fence a plan was written. A child is written for the first time under that of its
    /// parent, which says nothing about its own lock.
    fn wrote(&mut self, plan: PlanId, fence: &Fence) {
        if let Some(row) = self.plans.get_mut(&plan) {
            row.token = row.token.max(fence.token());
        }
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

/// Whether the write is what its events make of what is stored, one step each.
fn follows(stored: &Plan, write: &PlanWrite) -> Result<(), StoreError> {
    let mut plan = stored.clone();
    for event in &write.events {
        plan = match next(&plan, &event.change, event.at) {
            Ok(Step::Moved(plan)) if event.plan == stored.id && event.seq == plan.version => plan,
            _ => return Err(nonsense(stored.id, "an event does not follow the one before")),
        };
    }
    if plan == write.plan {
        Ok(())
    } else {
        Err(nonsense(stored.id, "the write is not what its events make of the plan"))
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
