//! What this process holds: the table that the guards and the heartbeat thread share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use agents_domain::lock::{FencingToken, Lease, LockKey, Renewal, Term};
use agents_domain::time::{BootInstant, Ttl};
use tokio::sync::watch;

/// After this part of the lease without a successful renewal it is no longer trusted
/// (`locks.md`, self-fence).
const TRUST: (u32, u32) = (6, 10);

#[derive(Debug)]
struct Hold {
    token: Option<FencingToken>,
    count: usize,
    /// The start of the last attempt that proved the term ours.
    trusted_from: BootInstant,
    lost: watch::Sender<bool>,
}

/// The holds of one owner.
#[derive(Debug, Default)]
pub(super) struct Holds {
    table: Mutex<HashMap<LockKey, Hold>>,
    /// There is no heartbeat thread any more: nothing is renewed, so nothing can be trusted.
    unattended: AtomicBool,
}

impl Holds {
    /// Notes leases that were granted, and when they were asked for: no later moment is sure to lie
    /// before the end of their terms.
    pub(super) fn enter(&self, leases: &[Lease], asked: BootInstant) {
        let mut holds = self.lock();
        for lease in leases {
            let token = lease.fence.token();
            let lost = self.unattended.load(Ordering::SeqCst);
            let fresh = || Hold { token, count: 0, trusted_from: asked, lost: watch::Sender::new(lost) };
            let hold = holds.entry(lease.key.clone()).or_insert_with(fresh);
            if hold.token != token {
                // A new term began under a guard of the old one: the old one is lost.
                hold.lost.send_replace(true);
                *hold = fresh();
            }
            hold.count += 1;
            hold.trusted_from = hold.trusted_from.max(asked);
        }
    }

    /// Gives one count back; the term, if it was the last.
    pub(super) fn leave(&self, lease: &Lease) -> Option<Term> {
        let mut holds = self.lock();
        let hold = holds.get_mut(&lease.key).filter(|hold| hold.token == lease.fence.token())?;
        hold.count -= 1;
        if hold.count > 0 {
            return None;
        }
        holds.remove(&lease.key);
        lease.fence.token().map(|token| (lease.key.clone(), token))
    }

    /// Whether this process holds that key.
    pub(super) fn contains(&self, key: &LockKey) -> bool {
        self.lock().contains_key(key)
    }

    /// Whether that very term is held by a guard of this process.
    pub(super) fn books(&self, lease: &Lease) -> bool {
        self.lock().get(&lease.key).is_some_and(|hold| hold.token == lease.fence.token())
    }

    /// At which token this process holds that key.
    pub(super) fn token(&self, key: &LockKey) -> Option<FencingToken> {
        self.lock().get(key)?.token
    }

    /// Tells of the loss of a lease.
    pub(super) fn watch(&self, lease: &Lease) -> watch::Receiver<bool> {
        let holds = self.lock();
        let hold = holds.get(&lease.key).filter(|hold| hold.token == lease.fence.token());
        // Not there any more: lost.
        hold.map_or_else(|| watch::Sender::new(true).subscribe(), |hold| hold.lost.subscribe())
    }

    /// The terms to renew, and the oldest moment from which one of them is trusted.
    pub(super) fn terms(&self) -> (Vec<Term>, Option<BootInstant>) {
        let holds = self.lock();
        let fenced = holds.iter().filter_map(|(key, hold)| Some((key.clone(), hold.token?)));
        let oldest = holds.values().map(|hold| hold.trusted_from).min();
        (fenced.collect(), oldest)
    }

    /// Takes in the outcome of a renewal that was begun at `started`. A term that was given back
    /// meanwhile is not a lost lock.
    pub(super) fn renewed(&self, terms: &[Term], outcomes: &[Renewal], started: BootInstant) {
        let mut holds = self.lock();
        for ((key, token), outcome) in terms.iter().zip(outcomes) {
            let Some(hold) = holds.get_mut(key).filter(|hold| hold.token == Some(*token)) else { continue };
            if matches!(outcome, Renewal::Extended { .. }) {
                hold.trusted_from = started;
            } else {
                tracing::warn!(%key, %token, ?outcome, "lock lost");
                hold.lost.send_replace(true);
            }
        }
    }

    /// Takes in that a renewal failed: what has not been proved ours for too long counts as lost.
    pub(super) fn distrust(&self, now: BootInstant, ttl: Ttl) {
        let limit = trusted_for(ttl);
        for (key, hold) in self.lock().iter() {
            if now.since(hold.trusted_from) >= limit && !*hold.lost.borrow() {
                tracing::warn!(%key, "no renewal for too long: the lock counts as lost");
                hold.lost.send_replace(true);
            }
        }
    }

    /// Everything is given back at once.
    pub(super) fn forget_all(&self) {
        for (_, hold) in self.lock().drain() {
            hold.lost.send_replace(true);
        }
    }

    /// Nobody renews from now on: everything counts as lost, at once and for good.
    pub(super) fn leave_unattended(&self) {
        let holds = self.lock();
        self.unattended.store(true, Ordering::SeqCst);
        for hold in holds.values() {
            hold.lost.send_replace(true);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LockKey, Hold>> {
        self.table.lock().expect("no code panics while it holds this table")
    }
}

fn trusted_for(ttl: Ttl) -> Duration {
    ttl.as_duration() * TRUST.0 / TRUST.1
}
