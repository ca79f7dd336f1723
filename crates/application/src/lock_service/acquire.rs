//! Acquiring: proofs of death, patience with the living, and waiting.
//!
//! ```text
//! one try:  look ── alive here but expired? give it min(TTL, 5 s) to renew, watched
//!            │
//!            └─► port.acquire ── conflict ── holder provably dead? → again, naming that term
//!                                    └────── else: conflict (a rival) or wait (a queue)
//! ```
//!
//! Waiting polls with jitter and holds nothing: no lock, no transaction, no connection.

use std::sync::Arc;
use std::time::Duration;

use agents_domain::lock::{Conflict, HeldLock, Lease, Liveness, LockError, LockFilter, LockKey, Term};
use agents_domain::time::Ttl;

use super::{Inner, LockGuard, LockService};
use crate::observer::Observer;

/// After its lease ran out, a holder that is provably alive on this machine gets so long to renew
/// it (`locks.md`, "Dead, alive, unknown"): after a suspend all wake together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at a lock that is waited for.
const POLL: Duration = Duration::from_millis(100);

/// What to do about a lock that another holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A rival: refuse at once.
    No,
    /// A queue, for so long.
    AtMost(Duration),
    /// A queue.
    Forever,
}

impl LockService {
    /// Takes all keys or none, in the one order. A holder that is provably dead is replaced at
    /// once. If the future is dropped while it waits, nothing is held.
    pub async fn acquire(
        &self,
        keys: Vec<LockKey>,
        operation: &str,
        wait: Wait,
        observer: &dyn Observer,
    ) -> Result<LockGuard, LockError> {
        let inner = &self.inner;
        let started = inner.parts.clock.boottime();
        let mut shown = None;
        loop {
            let conflict = match inner.try_acquire(&keys, operation).await {
                Err(LockError::Conflict(conflict)) => conflict,
                outcome => return outcome,
            };
            let waited = inner.parts.clock.boottime().since(started);
            let over = match wait {
                Wait::No => true,
                Wait::AtMost(limit) => waited >= limit,
                Wait::Forever => false,
            };
            if over {
                return Err(LockError::Conflict(conflict));
            }
            let term = (conflict.0.key.clone(), conflict.0.token);
            if shown.as_ref() != Some(&term) {
                observer.waiting(&conflict.0);
                shown = Some(term);
            }
            inner.pause().await;
        }
    }
}

impl Inner {
    async fn try_acquire(
        self: &Arc<Self>,
        keys: &[LockKey],
        operation: &str,
    ) -> Result<LockGuard, LockError> {
        let mut request = self.request(keys.to_vec(), operation);
        if self.fenced {
            self.spare_the_living(&request.keys).await?;
        }
        let mut flushed = false;
        loop {
            let asked = self.parts.clock.boottime();
            match self.parts.port.acquire(&request).await {
                Ok(leases) if !flushed && self.is_being_abandoned(&leases) => {
                    flushed = true;
                    if let Some(heartbeat) = self.heartbeat.get() {
                        heartbeat.beat().await;
                    }
                }
                Ok(leases) => {
                    tracing::debug!(?asked, ?leases, "locks acquired");
                    return Ok(self.guard(leases));
                }
                Err(LockError::Conflict(Conflict(held))) => {
                    let term = (held.key.clone(), held.token);
                    let known = request.proven_dead.contains(&term);
                    if known || self.parts.processes.liveness(&held.holder) != Liveness::Dead {
                        return Err(LockError::Conflict(Conflict(held)));
                    }
                    tracing::info!(key = %held.key, pid = held.holder.pid, "the holder is dead");
                    request.proven_dead.push(term);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// A term that the store still has for us, but no guard of ours: its guard was dropped, and the
    /// heartbeat thread is about to release it. Whoever asks again waits for that, or it would be
    /// given a lock that goes away under its hands.
    fn is_being_abandoned(&self, leases: &[Lease]) -> bool {
        self.fenced && leases.iter().any(|lease| lease.reentrant && !self.holds.contains(&lease.key))
    }

    /// A lease that ran out under a living process of this machine: gives it some of our own time
    /// to renew. Gone, renewed or taken meanwhile: the acquire that follows finds out.
    async fn spare_the_living(&self, keys: &[LockKey]) -> Result<(), LockError> {
        for key in keys.iter().filter(|key| !self.holds.contains(key)) {
            let Some(held) = self.overdue(key).await? else { continue };
            let patience = PATIENCE.min(Ttl::as_duration(self.parts.ttl));
            let (from, term) = (self.parts.clock.boottime(), (held.key, held.token));
            while self.parts.clock.boottime().since(from) < patience && self.is_overdue(&term).await? {
                self.pause().await;
            }
        }
        Ok(())
    }

    async fn is_overdue(&self, term: &Term) -> Result<bool, LockError> {
        Ok(self.overdue(&term.0).await?.is_some_and(|held| held.token == term.1))
    }

    /// The holder of a lock whose lease ran out, if it is another one that provably lives.
    async fn overdue(&self, key: &LockKey) -> Result<Option<HeldLock>, LockError> {
        let filter = LockFilter { key: Some(key.clone()), stale_only: true };
        let held = self.parts.port.list(&filter).await?.into_iter().next();
        Ok(held.filter(|held| {
            held.owner != self.parts.owner && self.parts.processes.liveness(&held.holder) == Liveness::Alive
        }))
    }

    async fn pause(&self) {
        tokio::time::sleep(POLL / 2 + self.parts.ids.jitter(POLL)).await;
    }
}
