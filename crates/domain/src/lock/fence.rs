//! Leases, fencing tokens, and the fence that every write of a plan carries.
//!
//! ```text
//! A: acquire → token 7 ───── pauses ─────────────────────── wakes: write(fence 7) → Stale
//! B:                 lease runs out → acquire → token 8 → write(fence 8) → Applied
//! ```
//!
//! The token grows by one at each grant and never restarts; the store compares owner and token
//! in the transaction that writes. So a holder who lost its lease without noticing can do no harm.

use std::fmt;

use crate::id::OwnerId;
use crate::lock::LockKey;
use crate::time::Timestamp;

/// A number that only grows: one per grant of a lock.
///
/// Made only from storage: by a store that reads it from a row, or by the lock record itself. A
/// tidy test checks that no other code calls [`FencingToken::from_storage`].
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct FencingToken(i64);

impl FencingToken {
    /// What a store read from its row.
    pub const fn from_storage(value: i64) -> Self {
        Self(value)
    }

    /// The number, for rows and people.
    pub const fn value(self) -> i64 {
        self.0
    }
}

impl fmt::Display for FencingToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// The proof of a grant that a write carries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Fence {
    /// Checked by the store against the lock's row, in the transaction of the write.
    Token {
        /// Who was granted the lock.
        owner: OwnerId,
        /// At which token.
        token: FencingToken,
    },
    /// From the no-op lock: protects nothing. Durable stores refuse it unless told otherwise.
    Unfenced,
}

impl Fence {
    /// The token, if there is one.
    pub const fn token(&self) -> Option<FencingToken> {
        match self {
            Self::Token { token, .. } => Some(*token),
            Self::Unfenced => None,
        }
    }

    /// The owner, if there is one.
    pub const fn owner(&self) -> Option<OwnerId> {
        match self {
            Self::Token { owner, .. } => Some(*owner),
            Self::Unfenced => None,
        }
    }
}

/// One grant of one lock: a term, not a state. It says what was true when it was granted.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lease {
    /// What is locked.
    pub key: LockKey,
    /// What writes under it carry.
    pub fence: Fence,
    /// When this term began, wall time.
    pub acquired_at: Timestamp,
    /// When it ends unless renewed, wall time, for people.
    pub expires_at: Timestamp,
    /// Whether the same owner held it already.
    pub reentrant: bool,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_unfenced_write_carries_neither_owner_nor_token() {
        assert_eq!((Fence::Unfenced.owner(), Fence::Unfenced.token()), (None, None));
        let owner = OwnerId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
        let fence = Fence::Token { owner, token: FencingToken::from_storage(7) };
        assert_eq!((fence.owner(), fence.token().map(FencingToken::value)), (Some(owner), Some(7)));
        assert_eq!(FencingToken::from_storage(7).to_string(), "7");
    }
}
