//! What this process holds, and what it is letting go: the table that the guards and the heartbeat share.
//!
//! A grant that finds our own lease in the store may have found one of three:
//!
//! ```text
//! a guard has it                       entered again
//! no guard, and it is being let go     nobody may enter it: the release would end it under its feet
//! no guard, and nobody lets it go      our own grant, whose reply was lost: it is ours, and wanted
//! ```

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

#[derive(Debug, Default)]
struct Table {
    held: HashMap<LockKey, Hold>,
    /// Terms that no guard has any more, and whether they are known to be over. Those are kept until the
    /// next grant is asked for: the answer to one that is under way may be older than the release.
    leaving: HashMap<Term, bool>,
}

impl Table {
    /// Whether that very term is held by a guard of this process.
    fn books(&self, lease: &Lease) -> bool {
        self.held.get(&lease.key).is_some_and(|hold| hold.token == lease.fence.token())
    }

    /// Whether no guard has it any more, and the store knows it or will hear of it.
    fn has_left(&self, lease: &Lease) -> bool {
        !self.books(lease) && term(lease).is_some_and(|term| self.leaving.contains_key(&term))
    }
}

fn term(lease: &Lease) -> Option<Term> {
    lease.fence.token().map(|token| (lease.key.clone(), token))
}

/// The holds of one owner.
#[derive(Debug, Default)]
pub(super) struct Holds {
    table: Mutex<Table>,
    /// There is no heartbeat thread any more: nothing is renewed, so nothing can be trusted.
    unattended: AtomicBool,
    /// What is counted about them.
    pub(super) counters: Counters,
}

impl Holds {
    /// A grant is about to be asked for, and no other is.
    pub(super) fn asking(&self) {
        self.lock().leaving.retain(|_, over| !*over);
    }

    /// Notes leases that were granted, and when they were asked for: no later moment is sure to lie
    /// before the end of their terms.
    pub(super) fn enter(&self, leases: &[Lease], asked: BootInstant) {
        self.note(&mut self.lock().held, leases, asked);
    }

    /// The same, unless one of them is being let go. Then nothing is noted, and what no guard has is all
    /// on its way out: these terms, which are to be ended.
    pub(super) fn enter_unless_left(&self, leases: &[Lease], asked: BootInstant) -> Result<(), Vec<Term>> {
        let mut table = self.lock();
        if leases.iter().any(|lease| table.has_left(lease)) {
            let left: Vec<Term> =
                leases.iter().filter(|lease| !table.books(lease)).filter_map(term).collect();
            table.leaving.extend(left.iter().map(|term| (term.clone(), false)));
            return Err(left);
        }
        self.note(&mut table.held, leases, asked);
        Ok(())
    }

    fn note(&self, holds: &mut HashMap<LockKey, Hold>, leases: &[Lease], asked: BootInstant) {
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
        let mut table = self.lock();
        let hold = table.held.get_mut(key).filter(|hold| *hold.trust.borrow() == Trust::Full)?;
        hold.count += 1;
        Some(Lease { reentrant: true, ..hold.lease.clone() })
    }

    /// Gives one count back at that moment; the term, if it was the last: it is being let go then, until it
    /// [`has ended`](Self::ended).
    pub(super) fn leave(&self, lease: &Lease, now: BootInstant) -> Option<Term> {
        let mut table = self.lock();
        let hold = table.held.get_mut(&lease.key).filter(|hold| hold.token == lease.fence.token())?;
        hold.count -= 1;
        if hold.count > 0 {
            return None;
        }
        self.counters.held(&lease.key, now.since(hold.since));
        table.held.remove(&lease.key);
        let left = term(lease)?;
        table.leaving.insert(left.clone(), false);
        Some(left)
    }

    /// The store is known to have ended a term that was being let go.
    pub(super) fn ended(&self, term: &Term) {
        if let Some(over) = self.lock().leaving.get_mut(term) {
            *over = true;
        }
    }

    /// Whether this process holds that key.
    pub(super) fn contains(&self, key: &LockKey) -> bool {
        self.lock().held.contains_key(key)
    }

    /// What this process holds.
    pub(super) fn keys(&self) -> Vec<LockKey> {
        self.lock().held.keys().cloned().collect()
    }

    /// At which token this process holds that key.
    pub(super) fn token(&self, key: &LockKey) -> Option<FencingToken> {
        self.lock().held.get(key)?.token
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
        let table = self.lock();
        let hold = table.held.get(&lease.key).filter(|hold| hold.token == lease.fence.token());
        hold.map_or_else(|| watch::Sender::new(gone).subscribe(), of)
    }

    /// The terms to renew, and the oldest moment from which one of them is trusted.
    pub(super) fn terms(&self) -> (Vec<Term>, Option<BootInstant>) {
        let holds = &self.lock().held;
        let fenced = holds.iter().filter_map(|(key, hold)| Some((key.clone(), hold.token?)));
        let oldest = holds.values().map(|hold| hold.trusted_from).min();
        (fenced.collect(), oldest)
    }

    /// Takes in the outcome of a renewal that was begun at `started`. A term that was given back
    /// meanwhile is not a lost lock.
    pub(super) fn renewed(&self, terms: &[Term], outcomes: &[Renewal], started: BootInstant) {
        let holds = &mut self.lock().held;
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
        let holds = &self.lock().held;
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
        for (key, hold) in &self.lock().held {
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
        let holds = &mut self.lock().held;
        let due = holds.iter_mut().filter_map(|(key, hold)| match key {
            LockKey::Plan(plan) => Some((*plan, hold.due()?)),
            LockKey::Project(_) => None,
        });
        due.collect()
    }

    /// Everything is given back at once: the terms that are being let go now.
    pub(super) fn forget_all(&self) -> Vec<Term> {
        let table = &mut *self.lock();
        for (_, hold) in table.held.drain() {
            hold.distrust(Trust::Gone);
            table.leaving.extend(term(&hold.lease).map(|term| (term, false)));
        }
        table.leaving.keys().cloned().collect()
    }

    /// Nobody renews from now on: everything counts as lost, at once and for good.
    pub(super) fn leave_unattended(&self) {
        let holds = &self.lock().held;
        self.unattended.store(true, Ordering::SeqCst);
        for hold in holds.values() {
            hold.lose(Trust::Gone, &self.counters);
        }
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Table> {
        self.table.lock().expect("no code panics while it holds this table")
    }
}
