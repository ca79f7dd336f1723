//! Acquiring: proofs of death, patience with the living, and waiting.
//!
//! ```text
//! one try:  look ── alive here but expired? give it min(TTL, 5 s) to renew, watched
//!            │
//!            └─► port.acquire ── conflict ── holder provably dead? → again, naming that term
//!                                    └────── else: conflict (a rival) or wait (a queue)
//! ```
//!
//! Each try runs in a task of its own and goes on if the caller is dropped: see [`detached`].
//! Waiting polls with jitter and holds nothing: no lock, no transaction, no connection.

use std::sync::Arc;
use std::time::Duration;

use agents_domain::lock::{
    AcquireRequest, Conflict, HeldLock, Lease, Liveness, LockError, LockFilter, LockKey, Term,
};
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

/// What a hold of the same process means to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Entry {
    /// It is entered again.
    Again,
    /// It is in the way.
    Alone,
}

impl LockService {
    /// Takes all keys or none, in the one order. A holder that is provably dead is replaced at
    /// once. If the future is dropped, nothing stays held: a grant that comes all the same is given
    /// back.
    pub async fn acquire(
        &self,
        keys: Vec<LockKey>,
        operation: &str,
        wait: Wait,
        observer: &dyn Observer,
    ) -> Result<LockGuard, LockError> {
        self.acquire_as(keys, operation, wait, observer, Entry::Again).await
    }

    /// The same, for whoever must be alone with what is locked: a key that another guard of this
    /// process holds is a conflict, too.
    pub async fn acquire_alone(
        &self,
        keys: Vec<LockKey>,
        operation: &str,
        wait: Wait,
        observer: &dyn Observer,
    ) -> Result<LockGuard, LockError> {
        self.acquire_as(keys, operation, wait, observer, Entry::Alone).await
    }

    async fn acquire_as(
        &self,
        keys: Vec<LockKey>,
        operation: &str,
        wait: Wait,
        observer: &dyn Observer,
        entry: Entry,
    ) -> Result<LockGuard, LockError> {
        let inner = &self.inner;
        let started = inner.parts.clock.boottime();
        let mut shown = None;
        loop {
            let conflict = match inner.try_acquire(&keys, operation, entry).await {
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
        entry: Entry,
    ) -> Result<LockGuard, LockError> {
        let request = self.request(keys.to_vec(), operation);
        if self.fenced {
            self.spare_the_living(&request.keys).await?;
        }
        detached(self.clone().ask(request, entry)).await
    }

    /// One grant at a time in this process, so that a lock found to be our own is known to be on
    /// our books, or on its way off them.
    async fn ask(self: Arc<Self>, mut request: AcquireRequest, entry: Entry) -> Result<LockGuard, LockError> {
        let _granting = self.granting.lock().await;
        if let Some(key) = request.keys.iter().find(|key| entry == Entry::Alone && self.holds.contains(key))
            && let Some(conflict) = self.own(key).await?
        {
            return Err(LockError::Conflict(conflict));
        }
        loop {
            let asked = self.parts.clock.boottime();
            match self.parts.port.acquire(&request).await {
                Ok(leases) => {
                    tracing::debug!(?asked, ?leases, "locks acquired");
                    let booked = |lease: &Lease| self.holds.books(lease);
                    if leases.iter().all(|lease| booked(lease) || !lease.reentrant) {
                        return Ok(self.guard(leases, asked));
                    }
                    // A guard of ours has let go of a term, but the store does not know it yet.
                    // Whoever entered that term again would have it ended under its feet: end it
                    // here and ask for a new one. A rival may be faster; that is its right.
                    let ending = leases.into_iter().filter(|lease| !booked(lease)).collect();
                    self.guard(ending, asked).release().await?;
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

    /// This process itself as the one in the way.
    async fn own(&self, key: &LockKey) -> Result<Option<Conflict>, LockError> {
        let filter = LockFilter { key: Some(key.clone()), stale_only: false };
        let held = self.parts.port.list(&filter).await?.into_iter().next();
        Ok(held.filter(|held| held.owner == self.parts.owner).map(|held| Conflict(Box::new(held))))
    }

    /// Notes what a store grants together with something else that it makes.
    pub(super) async fn note<E>(
        self: Arc<Self>,
        grant: impl Future<Output = Result<Lease, E>>,
    ) -> Result<LockGuard, E> {
        let _granting = self.granting.lock().await;
        let asked = self.parts.clock.boottime();
        Ok(self.guard(vec![grant.await?], asked))
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

    pub(super) async fn pause(&self) {
        tokio::time::sleep(POLL / 2 + self.parts.ids.jitter(POLL)).await;
    }
}

/// Goes on to its end even if the caller is dropped. What a store has begun it finishes, whoever
/// waits for it or not; a grant that nobody waits for any more thus becomes a guard that is
/// dropped, and is given back, instead of a lease that nobody knows of.
pub(super) async fn detached<T: Send + 'static>(work: impl Future<Output = T> + Send + 'static) -> T {
    match tokio::spawn(work).await {
        Ok(outcome) => outcome,
        Err(ended) => match ended.try_into_panic() {
            Ok(panic) => std::panic::resume_unwind(panic),
            // The runtime is shutting down, and the caller goes with it.
            Err(_) => std::future::pending().await,
        },
    }
}
