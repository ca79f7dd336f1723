//! What this process holds: the table that the guards and the heartbeat share.

use std::collections::HashMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, Ordering};

use agents_domain::id::PlanId;
use agents_domain::lock::{FencingToken, Lease, LockKey, Renewal, Term};
use agents_domain::request::{Look, Request};
use agents_domain::runner::Urgency;
use agents_domain::time::{BootInstant, Ttl};
use tokio::sync::watch;

use crate::counters::Counters;

/// After this part of the lease without a successful renewal, in tenths, a hold counts as lost and
/// what runs under it is asked to end … (`locks.md`, self-fence)
const DOUBT: u32 = 6;
/// … and after this part it is killed.
const KILL: u32 = 8;

/// How far a hold can be trusted. Never gets better: who was told to stop has stopped.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Trust {
    /// It is ours.
    Full,
    /// It could not be renewed for too long, but has not run out.
    Doubted,
    /// It is another's, or may be.
    Gone,
}

#[derive(Debug)]
struct Hold {
    /// As it was granted last.
    lease: Lease,
    token: Option<FencingToken>,
    count: usize,
    /// When it was asked for first.
    since: BootInstant,
    /// The start of the last attempt that proved the term ours.
    trusted_from: BootInstant,
    trust: watch::Sender<Trust>,
    /// What is asked of us, oldest first.
    asked: watch::Sender<Vec<Request>>,
    /// How urgently the commands under it were told to end.
    ended: Option<Urgency>,
}

impl Hold {
    fn new(lease: &Lease, trusted_from: BootInstant, trust: Trust) -> Self {
        let (trust, asked) = (watch::Sender::new(trust), watch::Sender::new(Vec::new()));
        let (lease, token) = (lease.clone(), lease.fence.token());
        Self { lease, token, count: 0, since: trusted_from, trusted_from, trust, asked, ended: None }
    }

    /// It is lost, or may be. Counts once for each hold.
    fn lose(&self, trust: Trust, counters: &Counters) {
        if *self.trust.borrow() == Trust::Full {
            counters.lost(&self.lease.key);
        }
        self.distrust(trust);
    }

    fn distrust(&self, trust: Trust) {
        self.trust.send_if_modified(|now| {
            let worse = *now < trust;
            *now = trust.max(*now);
            worse
        });
    }

    /// What is still to be done to the commands of a plan that is held.
    fn due(&mut self) -> Option<Urgency> {
        let due = match *self.trust.borrow() {
            Trust::Full => return None,
            Trust::Doubted => Urgency::Term,
            Trust::Gone => Urgency::Kill,
        };
        let news = self.ended < Some(due);
        self.ended = self.ended.max(Some(due));
        news.then_some(due)
    }
}

/// The holds of one owner.
#[derive(Debug, Default)]
pub(super) struct Holds {
    table: Mutex<HashMap<LockKey, Hold>>,
    /// There is no heartbeat thread any more: nothing is renewed, so nothing can be trusted.
    unattended: AtomicBool,
    /// What is counted about them.
    pub(super) counters: Counters,
}

impl Holds {
    /// Notes leases that were granted, and when they were asked for: no later moment is sure to lie
    /// before the end of their terms.
    pub(super) fn enter(&self, leases: &[Lease], asked: BootInstant) {
        let mut holds = self.lock();
        for lease in leases {
            let token = lease.fence.token();
            let attended = !self.unattended.load(Ordering::SeqCst);
            let fresh = || Hold::new(lease, asked, if attended { Trust::Full } else { Trust::Gone });
            let hold = holds.entry(lease.key.clone()).or_insert_with(fresh);
            if hold.token != token {
                // A new term began under a guard of the old one: the old one is lost.
                hold.lose(Trust::Gone, &self.counters);
                *hold = fresh();
            }
            hold.count += 1;
            hold.trusted_from = hold.trusted_from.max(asked);
            hold.lease.clone_from(lease);
        }
    }

    /// Enters a hold again that can be trusted.
    pub(super) fn reenter(&self, key: &LockKey) -> Option<Lease> {
        let mut holds = self.lock();
        let hold = holds.get_mut(key).filter(|hold| *hold.trust.borrow() == Trust::Full)?;
        hold.count += 1;
        Some(Lease { reentrant: true, ..hold.lease.clone() })
    }

    /// Gives one count back at that moment; the term, if it was the last.
    pub(super) fn leave(&self, lease: &Lease, now: BootInstant) -> Option<Term> {
        let mut holds = self.lock();
        let hold = holds.get_mut(&lease.key).filter(|hold| hold.token == lease.fence.token())?;
        hold.count -= 1;
        if hold.count > 0 {
            return None;
        }
        self.counters.held(&lease.key, now.since(hold.since));
        holds.remove(&lease.key);
        lease.fence.token().map(|token| (lease.key.clone(), token))
    }

    /// Whether this process holds that key.
    pub(super) fn contains(&self, key: &LockKey) -> bool {
        self.lock().contains_key(key)
    }

    /// What this process holds.
    pub(super) fn keys(&self) -> Vec<LockKey> {
        self.lock().keys().cloned().collect()
    }

    /// Whether that very term is held by a guard of this process.
    pub(super) fn books(&self, lease: &Lease) -> bool {
        self.lock().get(&lease.key).is_some_and(|hold| hold.token == lease.fence.token())
    }

    /// At which token this process holds that key.
    pub(super) fn token(&self, key: &LockKey) -> Option<FencingToken> {
        self.lock().get(key)?.token
    }

    /// Tells of the loss of a lease. One that is not there any more is lost.
    pub(super) fn trust(&self, lease: &Lease) -> watch::Receiver<Trust> {
        self.watch(lease, |hold| hold.trust.subscribe(), Trust::Gone)
    }

    /// Tells what is asked of the holder of a lease.
    pub(super) fn asked(&self, lease: &Lease) -> watch::Receiver<Vec<Request>> {
        self.watch(lease, |hold| hold.asked.subscribe(), Vec::new())
    }

    fn watch<T>(
        &self,
        lease: &Lease,
        of: impl FnOnce(&Hold) -> watch::Receiver<T>,
        gone: T,
    ) -> watch::Receiver<T> {
        let holds = self.lock();
        let hold = holds.get(&lease.key).filter(|hold| hold.token == lease.fence.token());
        hold.map_or_else(|| watch::Sender::new(gone).subscribe(), of)
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
                self.counters.renewed();
            } else {
                tracing::warn!(%key, %token, ?outcome, "lock lost");
                hold.lose(Trust::Gone, &self.counters);
            }
        }
    }

    /// Takes in what a look at these terms has shown.
    pub(super) fn seen(&self, terms: &[Term], look: &Look) {
        let holds = self.lock();
        for (key, token) in &look.lost {
            if let Some(hold) = holds.get(key).filter(|hold| hold.token == Some(*token)) {
                tracing::warn!(%key, %token, "lock lost");
                hold.lose(Trust::Gone, &self.counters);
            }
        }
        for (key, _) in terms {
            let Some(hold) = holds.get(key) else { continue };
            let ours = look.requests.iter().filter(|request| request.key == *key);
            let asked: Vec<Request> = ours.cloned().collect();
            hold.asked.send_if_modified(|known| {
                let news = *known != asked;
                *known = asked;
                news
            });
        }
    }

    /// Takes in that time goes by: what has not been proved ours for too long counts as lost.
    pub(super) fn age(&self, now: BootInstant, ttl: Ttl) {
        let tenth = ttl.as_duration() / 10;
        for (key, hold) in self.lock().iter() {
            let age = now.since(hold.trusted_from);
            if age < tenth * DOUBT {
                continue;
            }
            if *hold.trust.borrow() == Trust::Full {
                tracing::warn!(%key, ?age, "no renewal for too long: the lock counts as lost");
            }
            hold.lose(if age < tenth * KILL { Trust::Doubted } else { Trust::Gone }, &self.counters);
        }
    }

    /// The plans whose commands are to end now, each once for each urgency.
    pub(super) fn to_end(&self) -> Vec<(PlanId, Urgency)> {
        let mut holds = self.lock();
        let due = holds.iter_mut().filter_map(|(key, hold)| match key {
            LockKey::Plan(plan) => Some((*plan, hold.due()?)),
            LockKey::Project(_) => None,
        });
        due.collect()
    }

    /// Everything is given back at once.
    pub(super) fn forget_all(&self) {
        for (_, hold) in self.lock().drain() {
            hold.distrust(Trust::Gone);
        }
    }

    /// Nobody renews from now on: everything counts as lost, at once and for good.
    pub(super) fn leave_unattended(&self) {
        let holds = self.lock();
        self.unattended.store(true, Ordering::SeqCst);
        for hold in holds.values() {
            hold.lose(Trust::Gone, &self.counters);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, HashMap<LockKey, Hold>> {
        self.table.lock().expect("no code panics while it holds this table")
    }
}
