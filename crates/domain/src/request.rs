//! What a process without a lock asks of the one that holds it: to cancel the plan, or to let go.
//!
//! A request is no transition: it carries no fence and changes no plan. Whoever holds the lock
//! hears of it at the next tick of its heartbeat and serves it; whoever takes the lock later finds
//! it still open. What was asked, and what came of it, stays known.
//!
//! ```text
//! asker:   make ──────────────── waits: plan cancelled? lock free? holder dead? ──► done, or its turn
//! holder:        tick: look ── stop the command ── snapshot ── cancel ── close ── release
//! ```

use async_trait::async_trait;

use crate::id::{OwnerId, RequestId};
use crate::lock::{FencingToken, LockError, LockKey, Term};
use crate::plan::StoreError;
use crate::time::Timestamp;

/// What is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Wish {
    /// Cancel the plan.
    Cancel {
        /// Whether what has landed stays, knowingly.
        keep_landed: bool,
    },
    /// Let go of the lock, if it is still this term.
    LetGo {
        /// The term.
        token: FencingToken,
    },
}

/// Who asks, for people.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Asker {
    /// The machine's name.
    pub host: String,
    /// The process.
    pub pid: u32,
    /// The user's name or number.
    pub user: String,
}

/// How a request ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Closed {
    /// When, wall time.
    pub at: Timestamp,
    /// What came of it, in a word or a sentence: `cancelled`, `let go`, `broken`, `refused: …`.
    pub outcome: String,
}

/// One request.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Request {
    /// Its identity.
    pub id: RequestId,
    /// The lock whose holder is asked.
    pub key: LockKey,
    /// What is asked.
    pub wish: Wish,
    /// Who asks.
    pub by: Asker,
    /// Why.
    pub reason: Option<String>,
    /// When, wall time.
    pub at: Timestamp,
    /// How it ended; `None`: it is open.
    pub closed: Option<Closed>,
}

/// Stores requests. Each method makes one attempt.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Requests: Send + Sync {
    /// Stores requests in one transaction, durable, each unless the same is open already; the open
    /// ones, either way, in that order. If the process dies right after, they stay open and are
    /// served.
    async fn make(&self, requests: &[Request]) -> Result<Vec<Request>, StoreError>;

    /// The open requests to the holder of that lock, oldest first.
    async fn open(&self, key: &LockKey) -> Result<Vec<Request>, StoreError>;

    /// Ends a request. One that has ended already stays as it is.
    async fn close(&self, id: RequestId, closed: &Closed) -> Result<(), StoreError>;

    /// All that was ever asked of the holders of that lock, oldest first.
    async fn history(&self, key: &LockKey) -> Result<Vec<Request>, StoreError>;
}

/// What a holder sees when it looks.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Look {
    /// The terms that are over: taken, cleared, or gone with their plan.
    pub lost: Vec<Term>,
    /// What is asked of the holder, oldest first.
    pub requests: Vec<Request>,
}

/// The look that a heartbeat takes at each tick, several times a second: cheap as long as nothing
/// changes.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Pulse: Send + Sync {
    /// What has become of these terms, and what is asked of their holder. `None`: nothing in the
    /// store has changed since the last look of this pulse.
    async fn look(&self, owner: OwnerId, terms: &[Term]) -> Result<Option<Look>, LockError>;
}

/// For services whose locks nobody else sees: nothing is ever asked.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoRequests;

#[async_trait]
impl Requests for NoRequests {
    async fn make(&self, requests: &[Request]) -> Result<Vec<Request>, StoreError> {
        Ok(requests.to_vec())
    }

    async fn open(&self, _key: &LockKey) -> Result<Vec<Request>, StoreError> {
        Ok(Vec::new())
    }

    async fn close(&self, _id: RequestId, _closed: &Closed) -> Result<(), StoreError> {
        Ok(())
    }

    async fn history(&self, _key: &LockKey) -> Result<Vec<Request>, StoreError> {
        Ok(Vec::new())
    }
}

#[async_trait]
impl Pulse for NoRequests {
    async fn look(&self, _owner: OwnerId, _terms: &[Term]) -> Result<Option<Look>, LockError> {
        Ok(None)
    }
}
