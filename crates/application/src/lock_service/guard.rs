//! A hold as a value: it cannot be forged, and ends when it is given back.

use std::sync::Arc;

use agents_domain::lock::{Fence, FencingToken, Lease, LockError, LockKey, Release, Term};
use agents_domain::request::{Request, Wish};
use agents_domain::runner::StopCause;

use super::Inner;
use super::holds::Trust;
use crate::stop::first;

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

    /// Resolves when one of these locks is lost: taken, cleared ([`StopCause::LeaseLost`]), or not
    /// renewed for too long ([`StopCause::LeaseDoubted`]).
    pub fn lost(&self) -> impl Future<Output = StopCause> + Send + use<> {
        let watch = |lease: &Lease| {
            let mut trust = self.inner.holds.trust(lease);
            async move {
                match trust.wait_for(|trust| *trust > Trust::Full).await.map(|trust| *trust) {
                    Ok(Trust::Doubted) => StopCause::LeaseDoubted,
                    _ => StopCause::LeaseLost,
                }
            }
        };
        first(self.leases.iter().map(watch).collect())
    }

    /// Whether one of these locks is known to be lost.
    pub fn is_lost(&self) -> bool {
        self.leases.iter().any(|lease| *self.inner.holds.trust(lease).borrow() > Trust::Full)
    }

    /// Resolves when something is asked of the holder of one of these locks.
    pub fn asked(&self) -> impl Future<Output = Request> + Send + use<> {
        let watch = |lease: &Lease| {
            let (mut asked, token) = (self.inner.holds.asked(lease), lease.fence.token());
            async move {
                let heard =
                    asked.wait_for(|asked| asked.iter().any(|request| concerns(request, token))).await;
                let found = heard.ok().and_then(|asked| asked.iter().find(|r| concerns(r, token)).cloned());
                match found {
                    Some(request) => request,
                    // The hold is over: nobody asks any more.
                    None => std::future::pending().await,
                }
            }
        };
        first(self.leases.iter().map(watch).collect())
    }

    /// What is known to be asked of the holder of one of these locks; the heartbeat hears of it.
    pub fn request(&self) -> Option<Request> {
        self.leases.iter().find_map(|lease| {
            let asked = self.inner.holds.asked(lease);
            asked.borrow().iter().find(|request| concerns(request, lease.fence.token())).cloned()
        })
    }

    /// Gives the locks back, last taken first. A lock that was no longer ours is reported, and
    /// harms nobody; an outer hold of the same owner stays.
    pub async fn release(mut self) -> Result<Release, LockError> {
        let mut outcome = Ok(Release::Released);
        while let Some(lease) = self.leases.pop() {
            self.leaving = self.inner.leave(&lease);
            let Some(term) = self.leaving.clone() else { continue };
            let released = self.inner.end(&term).await;
            self.leaving = None;
            match released {
                Ok(Release::Released) => {}
                Ok(Release::NotHeld) => {
                    tracing::warn!(key = %term.0, token = %term.1, "released a lock that was lost before");
                    outcome = outcome.and(Ok(Release::NotHeld));
                }
                Err(error) => {
                    self.inner.abandon(vec![term]);
                    outcome = Err(error);
                }
            }
        }
        outcome
    }
}

/// Whether that is asked of this term.
fn concerns(request: &Request, token: Option<FencingToken>) -> bool {
    match request.wish {
        Wish::Cancel { .. } => true,
        Wish::LetGo { token: meant } => token == Some(meant),
    }
}

impl Drop for LockGuard {
    fn drop(&mut self) {
        let left = self.leases.drain(..).rev().filter_map(|lease| self.inner.leave(&lease));
        let terms: Vec<_> = self.leaving.take().into_iter().chain(left).collect();
        self.inner.abandon(terms);
    }
}
