//! Acquiring: proofs of death, and patience with the living. Waiting is in [`super::queue`].
//!
//! ```text
//! one try:  port.acquire ── free ── granted: one call, and no more
//!                         ├─ held ─┬─ holder provably dead? → again, naming that term
//!                         │        ├─ its lease ran out? ── alive here: min(TTL, 5 s) to renew, watched,
//!                         │        │                        then again, without sparing that term
//!                         │        │                     └─ who knows: the same, at once
//!                         │        └─ else: conflict (a rival) or wait (a queue)
//!                         └─ another's turn ── waiters provably dead? → again, naming them
//!                                            else: conflict, or wait behind them
//! ```
//!
//! Every try asks the store to spare those whose lease ran out ([`Overdue::Spared`]), so that whom it
//! would replace is looked at only where there is somebody.
//!
//! Each try runs in a task of its own and goes on if the caller is dropped: see [`detached`].

use std::sync::Arc;
use std::time::Duration;

use agents_domain::lock::{
    AcquireRequest, Conflict, HeldLock, Lease, Liveness, LockError, LockFilter, LockKey, Overdue, Standing,
    Term, TicketNumber,
};
use agents_domain::time::Ttl;

use super::{Inner, LockGuard, LockService};
use crate::observer::Observer;

/// After its lease ran out, a holder that is provably alive on this machine gets so long to renew
/// it (`locks.md`, "Dead, alive, unknown"): after a suspend all wake together.
const PATIENCE: Duration = Duration::from_secs(5);
/// Between two looks at what somebody else was asked for.
const POLL: Duration = Duration::from_millis(100);

/// What to do about a lock that another holds.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Wait {
    /// A rival: refuse at once; also if nobody holds it but others stand in line.
    No,
    /// In line, for so long.
    AtMost(Duration),
    /// In line.
    Forever,
}

/// What a hold of the same process means to whoever asks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Entry {
    /// It is entered again.
    Again,
    /// It is in the way.
    Alone,
}

/// What somebody wants.
#[derive(Debug, Clone)]
pub(super) struct Wanted {
    /// In the one order, each once.
    pub(super) keys: Vec<LockKey>,
    pub(super) operation: String,
    pub(super) entry: Entry,
}

impl LockService {
    /// Takes all keys or none, in the one order; waits in line for them if told so. A holder that
    /// is provably dead is replaced at once, a waiter that is provably dead is passed. If the future
    /// is dropped, nothing stays held and nobody stays in line: a grant that comes all the same is
    /// given back.
    ///
    /// Whoever waits for plans and for projects asks for them one after the other, plans first, and
    /// for all projects at once: then nobody waits for ever.
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
        let began = self.inner.parts.clock.boottime();
        let mut wanted = Wanted { keys, operation: operation.to_owned(), entry };
        wanted.keys.sort();
        wanted.keys.dedup();
        let guard = self.acquire_or_wait(wanted, wait, observer).await?;
        let length = self.inner.parts.clock.boottime().since(began);
        for lease in guard.leases().iter().filter(|lease| !lease.reentrant) {
            self.counters().waited(&lease.key, length);
        }
        Ok(guard)
    }

    async fn acquire_or_wait(
        &self,
        wanted: Wanted,
        wait: Wait,
        observer: &dyn Observer,
    ) -> Result<LockGuard, LockError> {
        let inner = &self.inner;
        let refused = match Box::pin(inner.try_acquire(&wanted, None, Vec::new())).await {
            Err(error @ (LockError::Conflict(_) | LockError::Queued(_))) => error,
            outcome => return outcome,
        };
        match wait {
            Wait::No | Wait::AtMost(Duration::ZERO) => Err(refused),
            Wait::AtMost(limit) => Box::pin(inner.stand_in_line(wanted, Some(limit), observer)).await,
            Wait::Forever => Box::pin(inner.stand_in_line(wanted, None, observer)).await,
        }
    }
}

impl Inner {
    /// One try, with a place in the line or without one. It is patient with whoever lives.
    pub(super) async fn try_acquire(
        self: &Arc<Self>,
        wanted: &Wanted,
        ticket: Option<TicketNumber>,
        dead_tickets: Vec<TicketNumber>,
    ) -> Result<LockGuard, LockError> {
        let request = self.request(wanted.keys.clone(), &wanted.operation);
        let mut request = AcquireRequest { ticket, dead_tickets, ..request };
        let mut given_time = Vec::new();
        loop {
            request.overdue = Overdue::Spared { but: given_time.clone() };
            match detached(self.clone().ask(request.clone(), wanted.entry)).await {
                // It may have died or renewed since that was judged: then no time is given.
                Err(LockError::Conflict(Conflict(held))) if held.stale && held.owner != request.owner => {
                    let term = (held.key.clone(), held.token);
                    if given_time.contains(&term) {
                        return Err(LockError::Conflict(Conflict(held)));
                    }
                    self.give_time(&term).await?;
                    given_time.push(term);
                }
                outcome => return outcome,
            }
        }
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
            self.holds.asking();
            match self.parts.port.acquire(&request).await {
                Ok(leases) => {
                    tracing::debug!(?asked, ?leases, "locks acquired");
                    match self.holds.enter_unless_left(&leases, asked) {
                        Ok(()) => {
                            self.holds.counters.taken_over(request.proven_dead.len());
                            return Ok(self.guard(leases));
                        }
                        // A guard of ours has let go of a term, but the store did not know it yet.
                        // Whoever entered that term again would have it ended under its feet: end it
                        // here and ask for a new one. A rival may be faster; that is its right.
                        Err(left) => self.end_all(left).await?,
                    }
                }
                Err(LockError::Conflict(Conflict(held))) => {
                    let term = (held.key.clone(), held.token);
                    match (self.parts.processes.liveness(&held.holder), &mut request.overdue) {
                        (Liveness::Dead, _) if !request.proven_dead.contains(&term) => {
                            tracing::info!(key = %held.key, pid = held.holder.pid, "the holder is dead");
                            request.proven_dead.push(term);
                        }
                        // Nobody can tell whether it lives: its lease decides, and that is over.
                        (Liveness::Unknown, Overdue::Spared { but })
                            if held.stale && !but.contains(&term) =>
                        {
                            but.push(term);
                        }
                        _ => return Err(LockError::Conflict(Conflict(held))),
                    }
                }
                Err(LockError::Queued(standing)) => {
                    let dead = self.dead_ahead(&standing, &request.dead_tickets);
                    if dead.is_empty() {
                        return Err(LockError::Queued(standing));
                    }
                    request.dead_tickets.extend(dead);
                }
                Err(error) => return Err(error),
            }
        }
    }

    /// Those who come first and are dead beyond doubt, as far as that is not said yet.
    fn dead_ahead(&self, standing: &Standing, known: &[TicketNumber]) -> Vec<TicketNumber> {
        let news = standing.ahead.iter().filter(|ticket| !known.contains(&ticket.number));
        let dead = news.filter(|ticket| self.parts.processes.liveness(&ticket.holder) == Liveness::Dead);
        dead.map(|ticket| ticket.number).collect()
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
        self.holds.asking();
        let leases = vec![grant.await?];
        self.holds.enter(&leases, asked);
        Ok(self.guard(leases))
    }

    /// A lease ran out under a living process of this machine: gives it some of our own time to renew.
    /// Gone, renewed or taken meanwhile: the try that follows finds out.
    async fn give_time(&self, term: &Term) -> Result<(), LockError> {
        let patience = PATIENCE.min(Ttl::as_duration(self.parts.ttl));
        let from = self.parts.clock.boottime();
        let filter = LockFilter { key: Some(term.0.clone()), stale_only: true };
        while self.parts.clock.boottime().since(from) < patience {
            let held = self.parts.port.list(&filter).await?;
            if !held.iter().any(|held| held.token == term.1 && self.is_overdue(held)) {
                break;
            }
            self.pause().await;
        }
        Ok(())
    }

    /// Whether that holder's lease ran out, and it is another one that provably lives.
    fn is_overdue(&self, held: &HeldLock) -> bool {
        held.stale
            && held.owner != self.parts.owner
            && self.parts.processes.liveness(&held.holder) == Liveness::Alive
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
