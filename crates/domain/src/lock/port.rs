//! The port to whoever stores the locks. Each method makes one attempt; waiting is elsewhere.

use async_trait::async_trait;
use thiserror::Error;

use crate::id::OwnerId;
use crate::lock::{FencingToken, Holder, Lease, LockKey, Respect, Standing, TicketNumber};
use crate::time::{Timestamp, Ttl};

/// A key at a token: one term of one lock.
pub type Term = (LockKey, FencingToken);

/// What is asked for: all keys or none.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AcquireRequest {
    /// In any order; the adapter takes them in the order of [`LockKey`].
    pub keys: Vec<LockKey>,
    /// Who asks.
    pub owner: OwnerId,
    /// For how long.
    pub ttl: Ttl,
    /// Terms whose holders are dead beyond doubt; each counts only at that very token.
    pub proven_dead: Vec<Term>,
    /// What becomes of a holder whose term has run out, and who is not proven dead.
    pub overdue: Overdue,
    /// The place in the line that has come to its turn; used up by the grant. Without one nobody
    /// passes a line ([`Passage`](crate::lock::Passage)).
    pub ticket: Option<TicketNumber>,
    /// Tickets whose waiters are dead beyond doubt: they keep nobody back.
    pub dead_tickets: Vec<TicketNumber>,
    /// What is recorded of the asker, for people and for proofs of death.
    pub holder: Holder,
}

/// What becomes of a holder whose term has run out, though it may live.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum Overdue {
    /// It is replaced.
    #[default]
    Replaced,
    /// It stays in the way, as a [`LockError::Conflict`] that is stale: who asks so learns whom it
    /// would replace, and judges whether that one lives, at no cost where there is nobody. Not spared
    /// are these terms, each at that very token; but if they were renewed meanwhile, they stand.
    Spared {
        /// The terms of which that was judged.
        but: Vec<Term>,
    },
}

impl AcquireRequest {
    /// For how long a holder of that key at that token is respected.
    pub fn respect(&self, key: &LockKey, token: FencingToken) -> Respect {
        let named = |terms: &[Term]| terms.iter().any(|(other, at)| other == key && *at == token);
        match &self.overdue {
            _ if named(&self.proven_dead) => Respect::NoLonger,
            Overdue::Spared { but } if !named(but) => Respect::BeyondItsEnd,
            Overdue::Spared { .. } | Overdue::Replaced => Respect::UntilItsEnd,
        }
    }
}

/// A lock that is held, as a reader sees it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct HeldLock {
    /// What is locked.
    pub key: LockKey,
    /// Who holds it.
    pub owner: OwnerId,
    /// At which token.
    pub token: FencingToken,
    /// Since when, wall time.
    pub acquired_at: Timestamp,
    /// Until when, wall time.
    pub expires_at: Timestamp,
    /// Whether the term is over (`now >= expires_at` on the store's own clock).
    pub stale: bool,
    /// The process that holds it.
    pub holder: Holder,
}

/// The lock in the way.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("{} is held by {} (pid {} on {})", .0.key, .0.holder.user, .0.holder.pid, .0.holder.host)]
pub struct Conflict(pub Box<HeldLock>);

/// Why the store of locks did not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum LockError {
    /// Another owner holds one of the keys. Nothing was taken.
    #[error("the lock {}", .0)]
    Conflict(Conflict),
    /// Others wait for one of the keys and come first; or the wait in the line took too long.
    /// Nothing was taken.
    #[error("{}", .0)]
    Queued(Box<Standing>),
    /// There is no such plan or project, so no lock either. Nothing was taken.
    #[error("there is no lock {key}")]
    NoSuchLock {
        /// The key.
        key: LockKey,
    },
    /// The store did not answer, or its answer is unknown.
    #[error("the store of locks is unavailable: {reason}")]
    Unavailable {
        /// The store's word, for people.
        reason: String,
    },
}

/// What became of one term at a renewal.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Renewal {
    /// It lasts until then, wall time.
    Extended {
        /// The new end.
        expires_at: Timestamp,
    },
    /// The lock was cleared: released, evicted, or gone with its plan.
    Expired,
    /// Another owner, or a later term, has it.
    Lost {
        /// Who has it now.
        by: OwnerId,
    },
}

/// What became of a release.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Release {
    /// The term was ours and is over.
    Released,
    /// It was no longer ours; nothing was changed.
    NotHeld,
}

/// Which locks are listed.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LockFilter {
    /// Only this key.
    pub key: Option<LockKey>,
    /// Only those whose term is over.
    pub stale_only: bool,
}

/// Stores locks. Each method makes one attempt and never waits for a lock.
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait LockPort: Send + Sync {
    /// Takes all keys or none. Free, expired and not spared ([`Overdue`]), or proven dead and still at
    /// that token: granted at a new token. Held by the same owner: granted again at the same token, never shortened.
    /// A lost race is a [`LockError::Conflict`]. Grantable, but others come first in the line:
    /// [`LockError::Queued`]; a grant uses up the ticket, and removes those it has passed. If the
    /// process dies right after, the locks stay until their term ends or its death is proved.
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError>;

    /// Extends those terms only, in one statement, and says of each what became of it, in the
    /// order given. Also extends after the end of a term if nobody came. On
    /// [`LockError::Unavailable`] the answer is unknown: asking again is safe.
    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError>;

    /// Ends one term if it is still this owner's at this token. Repeating it is harmless.
    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError>;

    /// Ends all terms of an owner in one statement, and its waiting; returns how many terms there
    /// were.
    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError>;

    /// Ends a term whoever holds it, for people; refused ([`Release::NotHeld`]) if the token has
    /// moved on. The holder's next write is refused by its fence.
    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError>;

    /// The locks that are held, in the order of their keys.
    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError>;
}
