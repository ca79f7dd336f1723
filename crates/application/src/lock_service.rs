//! Locks in use: acquiring, standing in line, keeping alive, and giving back.
//!
//! [`LockService`] binds a [`LockPort`], one owner and a lease length. It hands out
//! [`LockGuard`]s; while one lives, the heartbeat thread renews its lease. The ports make one
//! attempt each; every retry and every wait is here.
//!
//! A hold is counted: the same owner may acquire again, gets the same token, and only the last
//! release lets go. Giving back is explicit ([`LockGuard::release`]); a guard that is dropped
//! (a cancelled future, a panic) hands its lease to the heartbeat thread, and the lease's length
//! is the backstop for that thread.

mod acquire;
mod guard;
mod heartbeat;
mod holds;
mod place;
mod queue;
mod requests;

use std::sync::{Arc, Once, OnceLock};
use std::time::Duration;

use agents_domain::id::{Ids, OwnerId};
use agents_domain::lock::{
    AcquireRequest, FencingToken, HeldLock, Holder, Lease, Line, LineView, Liveness, LockError, LockFilter,
    LockKey, LockPort, NoopLock, Overdue, Processes, Release, Term,
};
use agents_domain::plan::Opening;
use agents_domain::request::{NoRequests, Pulse, Requests};
use agents_domain::runner::{Children, NoChildren};
use agents_domain::time::{Clock, Ttl};

pub use acquire::Wait;
pub use guard::LockGuard;
pub use requests::{BreakError, BreakOrder, Broken};

use crate::counters::Counters;

use heartbeat::Heartbeat;
use holds::Holds;

/// What a [`LockService`] is made of.
#[derive(Clone)]
pub struct LockParts {
    /// Stores the locks.
    pub port: Arc<dyn LockPort>,
    /// The same store through a connection of its own, for the heartbeat thread. Each call should
    /// be over within a second, one way or the other.
    pub heartbeat: Arc<dyn LockPort>,
    /// Where those who wait stand in line.
    pub line: Arc<dyn Line>,
    /// What the heartbeat thread looks at, at each tick.
    pub pulse: Arc<dyn Pulse>,
    /// What is asked of holders.
    pub requests: Arc<dyn Requests>,
    /// The way by which the heartbeat thread ends commands; [`NoChildren`] if none are run.
    pub children: Arc<dyn Children>,
    /// One incarnation of this process; fresh each time, and of this one service: what the store
    /// says we hold when we ask for it is ours, by a grant whose reply was lost if by no other.
    pub owner: OwnerId,
    /// How long a lease lasts without a renewal.
    pub ttl: Ttl,
    /// How often the heartbeat thread looks; [`LockService::TICK`], but for tests.
    pub tick: Duration,
    /// Knows who is dead.
    pub processes: Arc<dyn Processes>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Chance, for waiting apart from others.
    pub ids: Arc<dyn Ids>,
}

/// Takes, keeps and gives back locks for one owner. Cheap to clone.
///
/// ```
/// use std::sync::Arc;
///
/// use agents_application::lock_service::LockParts;
/// use agents_application::observer::Unobserved;
/// use agents_application::{LockService, Wait};
/// use agents_domain::id::{Ids, OwnerId};
/// # use agents_domain::{lock::LockKey, name::Name, time::Timestamp, workspace::Project};
/// use agents_domain::time::Ttl;
/// use agents_infrastructure::{clock::HandClock, ids::CountingIds, memory::MemoryStore, scripted::Census};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() {
/// let (clock, ids) = (Arc::new(HandClock::default()), Arc::new(CountingIds::default()));
/// let store = MemoryStore::new(clock.clone());
/// # let (name, path) = (Name::parse("api").expect("valid"), "/src/api");
/// # let project = Project { name: name.clone(), path: path.into(), common_dir: path.into(), branch: "main".into(), machine: None, remote: None };
/// # store.projects().add(&project, Timestamp::default()).await.expect("registered");
/// # let key = LockKey::Project(name);
/// let locks = LockService::new(LockParts {
///     port: store.locks(),
///     heartbeat: store.locks(),
///     line: store.line(),
///     pulse: store.pulse(),
///     requests: store.requests(),
///     children: Arc::new(agents_domain::runner::NoChildren),
///     owner: OwnerId::from(ids.ulid()),
///     ttl: Ttl::default(),
///     tick: LockService::TICK,
///     processes: Arc::new(Census::default().citizen(1)),
///     clock,
///     ids,
/// });
/// let guard = locks.acquire(vec![key], "plan apply", Wait::No, &Unobserved).await.expect("free");
/// assert_eq!(guard.fence().token().map(|token| token.value()), Some(1));
/// guard.release().await.expect("given back");
/// # }
/// ```
#[derive(Clone)]
pub struct LockService {
    inner: Arc<Inner>,
}

pub(crate) struct Inner {
    parts: LockParts,
    /// False for the no-op lock.
    fenced: bool,
    holds: Arc<Holds>,
    /// One grant at a time; whoever has it may tell our own terms from those just being left.
    granting: tokio::sync::Mutex<()>,
    /// Started with the first hold, so that commands which hold nothing pay nothing.
    heartbeat: OnceLock<Heartbeat>,
    /// Whether it was said that nothing is fenced.
    confessed: Once,
}

impl LockService {
    /// How often the heartbeat thread looks (`locks.md`, enforcement 4).
    pub const TICK: Duration = Duration::from_millis(250);

    /// Locks that are enforced.
    pub fn new(parts: LockParts) -> Self {
        Self::build(parts, true)
    }

    /// The no-op fallback: grants everything and protects nothing. Durable stores refuse what is
    /// written under it (see [`agents_domain::lock::Fence::Unfenced`]).
    pub fn unfenced(
        owner: OwnerId,
        processes: Arc<dyn Processes>,
        clock: Arc<dyn Clock>,
        ids: Arc<dyn Ids>,
    ) -> Self {
        let port: Arc<dyn LockPort> = Arc::new(NoopLock);
        let ttl = Ttl::default();
        let (heartbeat, tick, children) = (port.clone(), Self::TICK, Arc::new(NoChildren));
        let line = Arc::new(NoopLock);
        let (pulse, requests) = (Arc::new(NoRequests), Arc::new(NoRequests));
        let parts = LockParts {
            port,
            heartbeat,
            line,
            pulse,
            requests,
            children,
            owner,
            ttl,
            tick,
            processes,
            clock,
            ids,
        };
        Self::build(parts, false)
    }

    fn build(parts: LockParts, fenced: bool) -> Self {
        let (holds, granting, heartbeat) = Default::default();
        let confessed = Once::new();
        Self { inner: Arc::new(Inner { parts, fenced, holds, granting, heartbeat, confessed }) }
    }

    /// What was counted so far, here and by those who work under these locks.
    pub fn counters(&self) -> &Counters {
        &self.inner.holds.counters
    }

    /// Whether locks are enforced; false for the no-op fallback.
    pub fn is_fenced(&self) -> bool {
        self.inner.fenced
    }

    /// The owner all locks are taken for.
    pub fn owner(&self) -> OwnerId {
        self.inner.parts.owner
    }

    /// How the lock of a plan that is about to be made begins: held by us, at once.
    pub fn opening(&self, key: LockKey, operation: &str) -> Opening {
        if self.inner.fenced {
            Opening::Held(self.inner.request(vec![key], operation))
        } else {
            Opening::Unfenced
        }
    }

    /// A guard for a lease that a store grants with a new plan. The grant runs to its end even if
    /// the future is dropped; its lease is then given back.
    pub async fn granted<E, F>(&self, grant: F) -> Result<LockGuard, E>
    where
        E: Send + 'static,
        F: Future<Output = Result<Lease, E>> + Send + 'static,
    {
        acquire::detached(self.inner.clone().note(grant)).await
    }

    /// This process, as it enters into locks and attempts.
    pub fn myself(&self, operation: &str) -> Holder {
        self.inner.parts.processes.myself(operation)
    }

    /// The token at which this owner believes to hold a lock; `None` if it does not.
    pub(crate) fn term(&self, key: &LockKey) -> Option<FencingToken> {
        self.inner.holds.token(key)
    }

    /// Enters a hold of this owner again, without a word to the store: what is written under it is
    /// checked there anyway. `None`: there is none, or it can no longer be trusted.
    pub(crate) fn reenter(&self, key: &LockKey) -> Option<LockGuard> {
        let lease = self.inner.holds.reenter(key)?;
        Some(LockGuard::new(self.inner.clone(), vec![lease]))
    }

    /// What can be proved of a holder from here.
    pub fn liveness(&self, held: &HeldLock) -> Liveness {
        self.inner.parts.processes.liveness(&held.holder)
    }

    /// The locks that are held.
    pub async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        self.inner.parts.port.list(filter).await
    }

    /// Who holds that lock and who waits for it, at one moment.
    pub async fn line_of(&self, key: &LockKey) -> Result<LineView, LockError> {
        let view = self.inner.parts.line.look(std::slice::from_ref(key), None, None).await?;
        view.ok_or_else(|| LockError::Unavailable { reason: "a first look that saw no change".to_owned() })
    }

    /// How many locks are held beyond the end of their term.
    pub async fn count_stale(&self) -> Result<usize, LockError> {
        let filter = LockFilter { key: None, stale_only: true };
        Ok(self.list(&filter).await?.len())
    }

    /// Ends everything this owner holds, in one statement. For the end of the process: guards
    /// that still live find their locks lost.
    pub async fn release_all_for_owner(&self) -> Result<u64, LockError> {
        let left = self.inner.holds.forget_all();
        let released = self.inner.parts.port.release_all_for_owner(self.owner()).await?;
        for term in &left {
            self.inner.holds.ended(term);
        }
        Ok(released)
    }

    /// A short while, to look again at what is waited for.
    pub(crate) async fn pause(&self) {
        self.inner.pause().await;
    }

    /// One beat of the heartbeat thread, now; returns when it is over. For tests with a
    /// hand-driven clock; the thread beats by itself every 250 ms.
    pub async fn beat(&self) {
        if let Some(heartbeat) = self.inner.heartbeat.get() {
            heartbeat.beat().await;
        }
    }
}

impl Inner {
    fn request(&self, mut keys: Vec<LockKey>, operation: &str) -> AcquireRequest {
        keys.sort();
        keys.dedup();
        AcquireRequest {
            keys,
            owner: self.parts.owner,
            ttl: self.parts.ttl,
            proven_dead: Vec::new(),
            overdue: Overdue::Replaced,
            ticket: None,
            dead_tickets: Vec::new(),
            holder: self.parts.processes.myself(operation),
        }
    }

    /// Says once that nothing is fenced, when it begins to matter.
    fn confess(&self) {
        if !self.fenced {
            self.confessed.call_once(|| tracing::warn!("no lock service given: transitions are not fenced"));
        }
    }

    /// One hold less of a lease; the term, if it was the last.
    fn leave(&self, lease: &Lease) -> Option<Term> {
        self.holds.leave(lease, self.parts.clock.boottime())
    }

    /// Ends a term that is being let go, in the store.
    async fn end(&self, term: &Term) -> Result<Release, LockError> {
        let released = self.parts.port.release(self.parts.owner, term).await?;
        self.holds.ended(term);
        Ok(released)
    }

    /// Ends terms; whatever the store does not hear of now, the heartbeat thread tells it.
    async fn end_all(&self, terms: Vec<Term>) -> Result<(), LockError> {
        let mut outcome = Ok(());
        for term in terms {
            if let Err(error) = self.end(&term).await {
                self.abandon(vec![term]);
                outcome = Err(error);
            }
        }
        outcome
    }

    /// The heartbeat thread goes on trying to end these; a lease's length is the backstop.
    fn abandon(&self, terms: Vec<Term>) {
        if let Some(heartbeat) = self.heartbeat.get().filter(|_| !terms.is_empty()) {
            heartbeat.abandon(terms);
        }
    }

    /// A guard for leases that were entered.
    fn guard(self: &Arc<Self>, leases: Vec<Lease>) -> LockGuard {
        self.confess();
        if self.fenced {
            self.heartbeat.get_or_init(|| Heartbeat::start(&self.parts, &self.holds));
        }
        LockGuard::new(self.clone(), leases)
    }
}
