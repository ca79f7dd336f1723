//! What can go wrong inside a transaction, on its way to the error of a port.

use agents_domain::lock::{Conflict, LockError, LockKey, Standing};
use agents_domain::plan::StoreError;

/// How an adapter puts its database's failures: before the commit, and at it.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Words {
    /// A failure before the commit: nothing was written.
    pub(crate) translate: fn(&diesel::result::Error) -> StoreError,
    /// A failure of the commit itself.
    pub(crate) at_commit: fn(&diesel::result::Error) -> StoreError,
}

/// Why a transaction was not carried out.
#[derive(Debug)]
pub(crate) enum Fault {
    /// The database said no; the adapter translates.
    Database(diesel::result::Error),
    /// The database said no to the commit itself.
    AtCommit(diesel::result::Error),
    /// A port's own answer. The database is fine.
    Store(StoreError),
    /// There is no such lock.
    NoSuchLock(LockKey),
    /// Somebody else holds one of the locks.
    Conflict(Conflict),
    /// Somebody else's turn comes first.
    Queued(Box<Standing>),
}

impl From<diesel::result::Error> for Fault {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

impl From<StoreError> for Fault {
    fn from(error: StoreError) -> Self {
        Self::Store(error)
    }
}

impl Fault {
    /// The store could not do it.
    pub(crate) fn unavailable(reason: impl Into<String>) -> Self {
        Self::Store(StoreError::Unavailable { reason: reason.into() })
    }

    /// As stores of plans report it.
    pub(crate) fn into_store(self, words: Words) -> StoreError {
        match self {
            Self::Database(error) => (words.translate)(&error),
            Self::AtCommit(error) => (words.at_commit)(&error),
            Self::Store(error) => error,
            Self::NoSuchLock(key) => {
                let reason = "it has no lock".to_owned();
                StoreError::Corrupt { row: format!("locks/{key}"), reason }
            }
            Self::Conflict(conflict) => StoreError::Unavailable { reason: conflict.to_string() },
            Self::Queued(standing) => StoreError::Unavailable { reason: standing.to_string() },
        }
    }

    /// As stores of locks report it.
    pub(crate) fn into_lock(self, words: Words) -> LockError {
        match self {
            Self::NoSuchLock(key) => LockError::NoSuchLock { key },
            Self::Conflict(conflict) => LockError::Conflict(conflict),
            Self::Queued(standing) => LockError::Queued(standing),
            other => match other.into_store(words) {
                StoreError::Unavailable { reason } | StoreError::Unknown { reason } => {
                    LockError::Unavailable { reason }
                }
                error => LockError::Unavailable { reason: error.to_string() },
            },
        }
    }
}
