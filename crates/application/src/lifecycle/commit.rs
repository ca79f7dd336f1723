//! The one way into the store: acquire, read again, decide, commit under the fence, release.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::id::{EventId, PlanId};
use agents_domain::lock::{Fence, Lease, LockError, LockKey};
use agents_domain::plan::{
    Change, CommitOutcome, Event, NewPlan, Opening, Plan, PlanStore, PlanWrite, Step, StoreError, next,
};
use agents_domain::time::Timestamp;

use super::error::not_held;
use super::{LifecycleError, NewChild, PlanLifecycleService};
use crate::lock_service::{LockGuard, Wait};

/// Between the tries to learn what a write has done.
const PAUSES: [Duration; 5] = [
    Duration::ZERO,
    Duration::from_millis(100),
    Duration::from_millis(500),
    Duration::from_secs(2),
    Duration::from_secs(5),
];

/// What is written together: all of it or nothing.
pub(super) struct Moves {
    /// One after the other; at least one.
    pub(super) changes: Vec<Change>,
    /// Further locks that must still be held.
    pub(super) also: Vec<(LockKey, Fence)>,
    /// The children that come to be.
    pub(super) spawn: Vec<NewChild>,
}

impl Moves {
    pub(super) fn of(change: Change) -> Self {
        Self { changes: vec![change], also: Vec::new(), spawn: Vec::new() }
    }

    /// What the lock says that is done; the last change is what it is for.
    fn operation(&self) -> String {
        let verb = self.changes.last().expect("something is written").verb();
        format!("plan {}", verb.as_str())
    }
}

/// What is to be written, and on which version it was decided.
struct Steps {
    before: u64,
    /// At least one.
    steps: Vec<(Plan, Change)>,
}

/// The plan after each change that moves it.
fn decided(before: &Plan, changes: &[Change], now: Timestamp) -> Result<Vec<(Plan, Change)>, LifecycleError> {
    let (mut plan, mut steps) = (before.clone(), Vec::with_capacity(changes.len()));
    for change in changes {
        match next(&plan, change, now).map_err(|refusal| LifecycleError::Refused(Box::new(refusal)))? {
            Step::AlreadySo => {}
            Step::Moved(moved) => {
                plan = moved;
                steps.push((plan.clone(), change.clone()));
            }
        }
    }
    Ok(steps)
}

impl PlanLifecycleService {
    pub(super) async fn change(&self, plan: PlanId, change: Change) -> Result<Plan, LifecycleError> {
        self.transition(plan, Moves::of(change)).await
    }

    pub(super) async fn transition(&self, plan: PlanId, moves: Moves) -> Result<Plan, LifecycleError> {
        let outer = self.locks.term(&LockKey::Plan(plan));
        if outer.is_some()
            && let Some(guard) = self.locks.reenter(&LockKey::Plan(plan))
        {
            let decided = self.decide(plan, &moves).await;
            let outcome = match decided {
                // The write says whether the hold stands.
                Ok(Some(steps)) => Some(self.write(plan, steps, &moves, guard.fence()).await),
                // Nothing is written, so nothing would say that the hold has ended, and that it was
                // another who brought the plan to where it is.
                Ok(None) | Err(LifecycleError::Refused(_)) => None,
                Err(error) => Some(Err(error)),
            };
            self.leave(plan, guard).await;
            if let Some(outcome) = outcome {
                return outcome;
            }
        }
        let (keys, operation) = (vec![LockKey::Plan(plan)], moves.operation());
        let guard = match self.locks.acquire(keys, &operation, Wait::No, &*self.observer).await {
            // A rival inside our hold: it is ours no longer.
            Err(LockError::Conflict(_) | LockError::Queued(_)) if outer.is_some() => {
                return Err(LifecycleError::LeaseLost { plan });
            }
            guard => guard.map_err(|source| not_held(plan, source))?,
        };
        let outcome = if outer.is_some_and(|token| Some(token) != guard.fence().token()) {
            // Inside a hold a transition re-enters. A new term says that the hold had ended, and
            // somebody else may have been here since: what is to be written is out of date.
            Err(LifecycleError::LeaseLost { plan })
        } else {
            self.decide_and_write(plan, &moves, guard.fence()).await
        };
        self.leave(plan, guard).await;
        outcome
    }

    async fn leave(&self, plan: PlanId, guard: LockGuard) {
        if let Err(error) = guard.release().await {
            // What was written is written; the lease's length ends the hold.
            tracing::warn!(%plan, %error, "the lock could not be released");
            self.observer.warning(&format!("the lock of plan {plan} could not be released: {error}"));
        }
    }

    async fn decide_and_write(
        &self,
        id: PlanId,
        moves: &Moves,
        fence: Fence,
    ) -> Result<Plan, LifecycleError> {
        match self.decide(id, moves).await? {
            Some(steps) => self.write(id, steps, moves, fence).await,
            None => self.load(id).await,
        }
    }

    /// What is to be written, on the plan as it is now; `None`: it is so already.
    async fn decide(&self, id: PlanId, moves: &Moves) -> Result<Option<Steps>, LifecycleError> {
        let before = self.load(id).await?;
        let steps = decided(&before, &moves.changes, self.clock.now())?;
        Ok((!steps.is_empty()).then_some(Steps { before: before.version, steps }))
    }

    async fn write(
        &self,
        id: PlanId,
        steps: Steps,
        moves: &Moves,
        fence: Fence,
    ) -> Result<Plan, LifecycleError> {
        let Steps { before, steps } = steps;
        let (plan, _) = steps.last().cloned().expect("something is to be written");
        let events = steps.iter().map(|(plan, change)| self.event(plan, change.clone(), fence)).collect();
        let spawn = moves.spawn.iter().map(|child| self.born(child.clone(), fence)).collect();
        let write = PlanWrite { expected_version: before, plan, events, spawn, also: moves.also.clone() };
        match self.commit(&write, fence).await? {
            CommitOutcome::Applied => {
                for child in &write.spawn {
                    self.locks.counters().moved(&child.plan, &child.event.change);
                }
                for (plan, change) in &steps {
                    self.locks.counters().moved(plan, change);
                    self.observer.transition(plan, change);
                }
                Ok(write.plan)
            }
            CommitOutcome::Stale => {
                self.locks.counters().rejected();
                Err(LifecycleError::LeaseLost { plan: id })
            }
            CommitOutcome::Missing => Err(LifecycleError::NoSuchPlan { plan: id }),
        }
    }

    /// A child as it is stored first.
    fn born(&self, child: NewChild, fence: Fence) -> NewPlan {
        let NewChild { id, origin, definition } = child;
        let plan = Plan::create(id, &origin, self.clock.now());
        let event = self.event(&plan, Change::Created(origin), fence);
        NewPlan { plan, definition, event }
    }

    /// A commit whose outcome is unknown is repeated: its event's id makes that harmless.
    async fn commit(&self, write: &PlanWrite, fence: Fence) -> Result<CommitOutcome, StoreError> {
        let mut doubt = Doubt::default();
        loop {
            if let ControlFlow::Break(known) = doubt.settle(self.store.commit(write, &fence).await).await {
                return known;
            }
        }
    }

    pub(super) fn event(&self, plan: &Plan, change: Change, fence: Fence) -> Event {
        Event {
            id: EventId::from(self.ids.ulid()),
            plan: plan.id,
            seq: plan.version,
            at: plan.updated_at,
            owner: fence.owner(),
            token: fence.token(),
            change,
        }
    }
}

/// Stores a plan. An outcome that is unknown is asked about again: its event's id makes that
/// harmless, and the lock that it may have taken is not left behind.
pub(super) async fn make(
    store: Arc<dyn PlanStore>,
    new: NewPlan,
    opening: Opening,
) -> Result<Lease, StoreError> {
    let mut doubt = Doubt::default();
    loop {
        if let ControlFlow::Break(known) = doubt.settle(store.create(&new, &opening).await).await {
            return known;
        }
    }
}

/// Whether a write, which may be repeated, has to be, to learn what it did. A store that has gone away
/// while it is asked leaves the outcome as unknown as it was; that it is not there now is no answer.
#[derive(Default)]
struct Doubt(usize);

impl Doubt {
    async fn settle<T>(&mut self, outcome: Result<T, StoreError>) -> ControlFlow<Result<T, StoreError>> {
        let reason = match outcome {
            Err(StoreError::Unknown { reason }) => reason,
            Err(StoreError::Unavailable { reason }) if self.0 > 0 => reason,
            known => return ControlFlow::Break(known),
        };
        let Some(pause) = PAUSES.get(self.0) else {
            return ControlFlow::Break(Err(StoreError::Unknown { reason }));
        };
        tracing::warn!(reason, "the outcome of a write is unknown; asking again");
        self.0 += 1;
        tokio::time::sleep(*pause).await;
        ControlFlow::Continue(())
    }
}
