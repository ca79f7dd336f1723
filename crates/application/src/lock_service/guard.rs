//! A hold as a value: it cannot be forged, and ends when it is given back.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

use agents_domain::lock::{Fence, Lease, LockError, LockKey, Release, Term};

use super::Inner;

/// Locks that are held. Give them back with [`LockGuard::release`]; a guard that is dropped
/// instead never blocks, its locks are released by the heartbeat thread.
#[must_use = "a guard that is dropped at once holds nothing"]
pub struct LockGuard {
    inner: Arc<Inner>,
    leases: Vec<Lease>,
    /// The term that is being given back: should the future be dropped there, it is abandoned too.
    leaving: Option<Term>,
}

impl LockGuard {
    pub(super) fn new(inner: Arc<Inner>, leases: Vec<Lease>) -> Self {
        Self { inner, leases, leaving: None }
    }

    /// The leases, in the order of their keys.
    pub fn leases(&self) -> &[Lease] {
        &self.leases
    }

    /// What writes under these locks carry.
    pub fn fences(&self) -> Vec<(LockKey, Fence)> {
        self.leases.iter().map(|lease| (lease.key.clone(), lease.fence)).collect()
    }

    /// The fence of the first lock: the plan's, where a plan is held.
    pub fn fence(&self) -> Fence {
        self.leases.first().map_or(Fence::Unfenced, |lease| lease.fence)
    }

    /// Resolves when one of these locks is lost: taken, cleared, or not renewed for too long.
    pub fn lost(&self) -> impl Future<Output = ()> + Send + use<> {
        let watch = |lease| {
            let mut lost = self.inner.holds.watch(lease);
            Box::pin(async move {
                lost.wait_for(|lost| *lost).await.ok();
            })
        };
        let mut watches: Vec<_> = self.leases.iter().map(watch).collect();
        poll_fn(move |context| {
            let any = watches.iter_mut().any(|watch| watch.as_mut().poll(context).is_ready());
            if any { Poll::Ready(()) } else { Poll::Pending }
        })
    }

    /// Whether one of these locks is known to be lost.
    pub fn is_lost(&self) -> bool {
        self.leases.iter().any(|lease| *self.inner.holds.watch(lease).borrow())
    }

    /// Gives the locks back, last taken first. A lock that was no longer ours is reported, and
    /// harms nobody; an outer hold of the same owner stays.
    pub async fn release(mut self) -> Result<Release, LockError> {
        let mut outcome = Ok(Release::Released);
        while let Some(lease) = self.leases.pop() {
            self.leaving = self.inner.holds.leave(&lease);
            let Some(term) = self.leaving.clone() else { continue };
            let released = self.inner.parts.port.release(self.inner.parts.owner, &term).await;
            self.leaving = None;
            match released {
                Ok(Release::Released) => {}
                Ok(Release::NotHeld) => {
                    tracing::warn!(key = %term.0, token = %term.1, "released a lock that was lost before");
                    outcome = outcome.and(Ok(Release::NotHeld));
                }
                Err(error) => outcome = Err(error),
            }
        }
        outcome
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let left = self.leases.drain(..).rev().filter_map(|lease| self.inner.holds.leave(&lease));
        let terms: Vec<_> = self.leaving.take().into_iter().chain(left).collect();
        if let Some(heartbeat) = self.inner.heartbeat.get().filter(|_| !terms.is_empty()) {
            heartbeat.abandon(terms);
        }
    }
}
