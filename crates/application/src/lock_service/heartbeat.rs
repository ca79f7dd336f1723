//! The heartbeat thread: keeps leases alive whatever the runtime is busy with.
//!
//! An OS thread with a connection of its own: a busy runtime, an exhausted pool or a crowd of
//! writers cannot starve it. It beats every 250 ms and renews everything in one statement each
//! third of the lease:
//!
//! ```text
//! grant ──── TTL/3: renew ──── TTL/3: renew ──── …           trusted from the *start* of the
//!   └─ trusted ───────────────┘                              last attempt that succeeded
//! no renewal by 0.6 TTL → the lock counts as lost: pushed through the guard to whatever runs
//! ```
//!
//! After a suspend it first tries to renew; if nobody came, the run goes on.

use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};

use agents_domain::lock::Term;
use tokio::runtime::{Builder, Runtime};
use tokio::sync::oneshot;

use super::LockParts;
use super::holds::Holds;

enum Message {
    /// Leases whose guard was dropped.
    Abandon(Vec<Term>),
    /// Beat now, and say when it is over.
    Beat(oneshot::Sender<()>),
}

/// The way to the heartbeat thread. The thread ends when this is dropped.
pub(super) struct Heartbeat(Sender<Message>);

impl Heartbeat {
    pub(super) fn start(parts: &LockParts, holds: Arc<Holds>) -> Self {
        let (sender, receiver) = channel();
        let (parts, end) = (parts.clone(), End(holds.clone()));
        let spawned = std::thread::Builder::new().name("heartbeat".to_owned()).spawn(move || {
            let _end = end;
            Beats { runtime: runtime(), parts, holds }.run(&receiver);
        });
        if let Err(error) = spawned {
            tracing::error!(%error, "the heartbeat thread could not be started");
        }
        Self(sender)
    }

    /// Releases leases whose guard was dropped.
    pub(super) fn abandon(&self, terms: Vec<Term>) {
        if self.0.send(Message::Abandon(terms)).is_err() {
            tracing::warn!("no heartbeat thread: abandoned locks end with their lease");
        }
    }

    /// One beat, now.
    pub(super) async fn beat(&self) {
        let (done, over) = oneshot::channel();
        if self.0.send(Message::Beat(done)).is_ok() {
            over.await.ok();
        }
    }
}

/// The end of the thread, however it comes: by a panic, or because it never began. Without it no
/// loss would ever be noticed, so all that is held counts as lost.
struct End(Arc<Holds>);

impl Drop for End {
    fn drop(&mut self) {
        self.0.leave_unattended();
    }
}

/// A runtime only to poll the port's futures, which run in this thread.
fn runtime() -> Runtime {
    Builder::new_current_thread().enable_time().build().expect("a runtime without I/O needs no resources")
}

struct Beats {
    parts: LockParts,
    holds: Arc<Holds>,
    runtime: Runtime,
}

impl Beats {
    fn run(self, messages: &Receiver<Message>) {
        loop {
            match messages.recv_timeout(self.parts.tick) {
                Ok(Message::Abandon(terms)) => self.release(&terms),
                Ok(Message::Beat(done)) => {
                    self.beat();
                    done.send(()).ok();
                }
                Err(RecvTimeoutError::Timeout) => self.beat(),
                Err(RecvTimeoutError::Disconnected) => return,
            }
        }
    }

    /// Renews when a third of the lease has gone since the oldest proof; after a failure at every
    /// beat, until it succeeds.
    fn beat(&self) {
        let now = self.parts.clock.boottime();
        let (terms, Some(oldest)) = self.holds.terms() else { return };
        let due = self.parts.ttl.as_duration() / 3;
        if terms.is_empty() || now.since(oldest) < due {
            return;
        }
        let renewal = self.parts.heartbeat.renew(self.parts.owner, &terms, self.parts.ttl);
        match self.runtime.block_on(renewal) {
            Ok(outcomes) => self.holds.renewed(&terms, &outcomes, now),
            Err(error) => {
                tracing::warn!(%error, "renewal failed");
                self.holds.distrust(self.parts.clock.boottime(), self.parts.ttl);
            }
        }
    }

    fn release(&self, terms: &[Term]) {
        for term in terms {
            let released = self.runtime.block_on(self.parts.heartbeat.release(self.parts.owner, term));
            tracing::warn!(key = %term.0, ?released, "released a lock whose guard was dropped");
        }
    }
}
