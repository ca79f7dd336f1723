//! The heartbeat: keeps leases alive, hears requests, and ends what runs under a lease that is lost,
//! whatever the runtime is busy with.
//!
//! An OS thread with connections of its own: a busy runtime, an exhausted pool or a crowd of
//! writers cannot starve it. It beats every 250 ms. At each beat it looks, at the price of one word
//! of shared memory as long as nothing has changed; each third of the lease it renews everything
//! in one statement:
//!
//! ```text
//! grant ──── TTL/3: renew ──── TTL/3: renew ──── …           trusted from the *start* of the
//!   └─ trusted ───────────────┘                              last attempt that succeeded
//! no renewal by 0.6 TTL: TERM to what runs, the lock counts as lost (said through the guard, too)
//!            by 0.8 TTL: KILL               a rival may come at 1.0 TTL, and not before
//! taken, or broken by force: KILL at the next beat
//! ```
//!
//! After a suspend it first tries to renew; if nobody came, the run goes on. (The store bounds each
//! of its calls to a second.)
//!
//! **A disk that hangs** stops this thread inside of its call. A second one, which calls nothing
//! and only looks at the time, then does the ending. It counts its own ticks, not the time, so that
//! it does not mistake a suspend for a hanging disk.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use agents_domain::lock::{LockError, Release, Term};
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::LockParts;
use super::holds::Holds;

/// After so many ticks within one and the same call (one second) the store counts as hanging.
const HANGING: u32 = 4;

enum Message {
    /// Leases whose guard was dropped, or could not give them back.
    Abandon(Vec<Term>),
    /// Beat now, and say when it is over.
    Beat(oneshot::Sender<()>),
}

/// The way to the heartbeat thread. Both threads end when this is dropped.
pub(super) struct Heartbeat {
    messages: Sender<Message>,
    _watchdog: Sender<()>,
}

impl Heartbeat {
    pub(super) fn start(parts: &LockParts, holds: &Arc<Holds>) -> Self {
        let (messages, receiver) = channel();
        let (watchdog, ended) = channel();
        let calls = Arc::new(AtomicU64::new(0));
        let end = End(parts.clone(), holds.clone());
        let (io, quiet) = (Fence::new(parts, holds), Fence::new(parts, holds));
        let counted = calls.clone();
        spawn("heartbeat", move || {
            let _end = end;
            Beats { runtime: runtime(), fence: io, calls, leaving: Vec::new() }.run(&receiver);
        });
        spawn("self-fence", move || watch(&quiet, &counted, &ended));
        Self { messages, _watchdog: watchdog }
    }

    /// Releases leases whose guard was dropped; again at each beat, until it succeeds.
    pub(super) fn abandon(&self, terms: Vec<Term>) {
        if self.messages.send(Message::Abandon(terms)).is_err() {
            tracing::warn!("no heartbeat thread: abandoned locks end with their lease");
        }
    }

    /// One beat, now.
    pub(super) async fn beat(&self) {
        let (done, over) = oneshot::channel();
        if self.messages.send(Message::Beat(done)).is_ok() {
            over.await.ok();
        }
    }
}

/// If a thread cannot be started, what it was to own is dropped, and that says the rest.
fn spawn(name: &str, work: impl FnOnce() + Send + 'static) {
    if let Err(error) = std::thread::Builder::new().name(name.to_owned()).spawn(work) {
        tracing::error!(%error, "the {name} thread could not be started");
    }
}

/// The end of the heartbeat thread, however it comes: by a panic, or because it never began.
/// Without it no loss would ever be noticed, so all that is held counts as lost.
struct End(LockParts, Arc<Holds>);

impl Drop for End {
    fn drop(&mut self) {
        self.1.leave_unattended();
        Fence::new(&self.0, &self.1).end();
    }
}

/// A runtime only to poll the port's futures, which run in this thread.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime without I/O needs no resources")
}

/// What ends the commands of plans that are lost.
struct Fence {
    parts: LockParts,
    holds: Arc<Holds>,
}

impl Fence {
    fn new(parts: &LockParts, holds: &Arc<Holds>) -> Self {
        Self { parts: parts.clone(), holds: holds.clone() }
    }

    /// Counts as lost what was not proved ours for too long.
    fn age(&self) {
        self.holds.age(self.parts.clock.boottime(), self.parts.ttl);
    }

    fn end(&self) {
        for (plan, urgency) in self.holds.to_end() {
            tracing::warn!(%plan, ?urgency, "ending what runs for a plan that is lost");
            self.parts.children.end(plan, urgency);
        }
    }
}

/// Ends what is lost while the heartbeat hangs in a call.
fn watch(fence: &Fence, calls: &AtomicU64, ended: &Receiver<()>) {
    let (mut last, mut ticks) = (0, 0);
    while ended.recv_timeout(fence.parts.tick) == Err(RecvTimeoutError::Timeout) {
        let call = calls.load(Ordering::SeqCst);
        // Odd: within a call.
        ticks = if call % 2 == 1 && call == last { ticks + 1 } else { 0 };
        last = call;
        if ticks >= HANGING {
            fence.age();
            fence.end();
        }
    }
}

struct Beats {
    fence: Fence,
    runtime: Runtime,
    /// How often a call to the store began or ended.
    calls: Arc<AtomicU64>,
    /// What is still to be given back.
    leaving: Vec<Term>,
}

impl Beats {
    fn run(mut self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(self.fence.parts.tick) {
                Ok(Message::Abandon(terms)) => {
                    self.leaving.extend(terms);
                    self.give_back();
                }
                Ok(Message::Beat(done)) => {
                    self.beat();
                    done.send(()).ok();
                }
                Err(RecvTimeoutError::Timeout) => self.beat(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Looks; renews when a third of the lease has gone since the oldest proof, after a failure at
    /// every beat until it succeeds; ends what is lost.
    fn beat(&mut self) {
        let parts = &self.fence.parts;
        let now = parts.clock.boottime();
        if let (terms, Some(oldest)) = self.fence.holds.terms()
            && !terms.is_empty()
        {
            self.look(&terms);
            if now.since(oldest) >= parts.ttl.as_duration() / 3 {
                self.renew(&terms);
            }
            self.fence.end();
        }
        self.give_back();
    }

    fn look(&self, terms: &[Term]) {
        let parts = &self.fence.parts;
        match self.call(parts.pulse.look(parts.owner, terms)) {
            Ok(Some(look)) => self.fence.holds.seen(terms, &look),
            Ok(None) => {}
            // The next renewal decides what that means.
            Err(error) => tracing::debug!(%error, "the heartbeat could not look"),
        }
    }

    fn renew(&self, terms: &[Term]) {
        let parts = &self.fence.parts;
        let started = parts.clock.boottime();
        match self.call(parts.heartbeat.renew(parts.owner, terms, parts.ttl)) {
            Ok(outcomes) => self.fence.holds.renewed(terms, &outcomes, started),
            Err(error) => {
                tracing::warn!(%error, "renewal failed");
                self.fence.holds.counters.renewal_failed();
                self.fence.age();
            }
        }
    }

    fn give_back(&mut self) {
        let mut leaving = std::mem::take(&mut self.leaving);
        leaving.retain(|term| self.released(term).is_err());
        self.leaving = leaving;
    }

    fn released(&self, term: &Term) -> Result<Release, LockError> {
        let parts = &self.fence.parts;
        let released = self.call(parts.heartbeat.release(parts.owner, term));
        tracing::warn!(key = %term.0, ?released, "released a lock whose guard was dropped");
        if released.is_ok() {
            self.fence.holds.ended(term);
        }
        released
    }

    /// One call to the store, counted when it begins and when it ends.
    fn call<T>(&self, call: impl Future<Output = T>) -> T {
        self.calls.fetch_add(1, Ordering::SeqCst);
        let outcome = self.runtime.block_on(call);
        self.calls.fetch_add(1, Ordering::SeqCst);
        outcome
    }
}
