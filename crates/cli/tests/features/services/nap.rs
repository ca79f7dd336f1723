//! Falling asleep at the worst moment.

use std::sync::{Arc, Mutex};

use agents_application::{LockGuard, PlanLifecycleService, Wait};
use agents_domain::id::PlanId;
use agents_domain::lock::{Fence, Lease};
use agents_domain::plan::{
    CommitOutcome, Definition, Event, NewPlan, Opening, Plan, PlanStore, PlanWrite, StoreError,
};
use agents_domain::time::Ttl;
use agents_infrastructure::clock::HandClock;

/// A store whose reader falls asleep once it has read.
pub(super) struct Nap {
    pub(super) inner: Arc<dyn PlanStore>,
    pub(super) clock: Arc<HandClock>,
    pub(super) rival: PlanLifecycleService,
    pub(super) holds: Mutex<Vec<LockGuard>>,
}

#[async_trait::async_trait]
impl PlanStore for Nap {
    async fn create(&self, new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError> {
        self.inner.create(new, opening).await
    }

    async fn load(&self, plan: PlanId) -> Result<Option<Plan>, StoreError> {
        let found = self.inner.load(plan).await;
        self.clock.advance(Ttl::default().as_duration());
        let taken = self.rival.hold(plan, "work", Wait::No).await.expect("the lease ran out");
        self.holds.lock().expect("unpoisoned").push(taken);
        found
    }

    async fn definition(&self, plan: PlanId) -> Result<Option<Definition>, StoreError> {
        self.inner.definition(plan).await
    }

    async fn commit(&self, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError> {
        self.inner.commit(write, fence).await
    }

    async fn events(&self, plan: PlanId) -> Result<Vec<Event>, StoreError> {
        self.inner.events(plan).await
    }
}
