//! Identities: ULIDs as typed, copyable text.
//!
//! A ULID sorts by creation time and is 26 characters of Crockford's base 32
//! (<https://github.com/ulid/spec>). The domain never draws one: the id
//! adapter does, and hands in the text.

use std::fmt;
use std::time::Duration;

use thiserror::Error;

/// Crockford's alphabet: no `I`, `L`, `O`, `U`.
const ALPHABET: &[u8; 32] = b"0123456789ABCDEFGHJKMNPQRSTVWXYZ";

/// A text that is not a ULID.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a ULID (26 characters of 0-9 and A-Z without I, L, O, U)")]
pub struct InvalidId {
    /// What was given.
    pub text: String,
}

/// 26 validated upper-case characters; the base of every identity here.
#[derive(Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Ulid([u8; 26]);

impl Ulid {
    /// Parses a ULID; lower case is accepted and folded.
    pub fn parse(text: &str) -> Result<Self, InvalidId> {
        let invalid = || InvalidId { text: text.chars().take(64).collect() };
        let mut chars: [u8; 26] = text.as_bytes().try_into().map_err(|_| invalid())?;
        chars.make_ascii_uppercase();
        // 26 characters hold 130 bits: the first may only use the lowest three.
        let fits = chars[0] <= b'7' && chars.iter().all(|c| ALPHABET.contains(c));
        if fits { Ok(Self(chars)) } else { Err(invalid()) }
    }

    /// The canonical, upper-case text.
    pub fn as_str(&self) -> &str {
        std::str::from_utf8(&self.0).expect("only ASCII passes parse")
    }
}

impl fmt::Display for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl fmt::Debug for Ulid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

macro_rules! identity {
    ($($(#[$doc:meta])* $name:ident;)+) => {$(
        $(#[$doc])*
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        pub struct $name(Ulid);

        impl $name {
            /// Parses the text of this identity.
            pub fn parse(text: &str) -> Result<Self, InvalidId> {
                Ulid::parse(text).map(Self)
            }

            /// The canonical, upper-case text.
            pub fn as_str(&self) -> &str {
                self.0.as_str()
            }
        }

        impl From<Ulid> for $name {
            fn from(ulid: Ulid) -> Self {
                Self(ulid)
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.pad(self.as_str())
            }
        }
    )+};
}

identity! {
    /// One plan.
    PlanId;
    /// One incarnation of one process; never shared, never reused.
    OwnerId;
    /// One event, and the idempotency key of the commit that carries it.
    EventId;
    /// The recorded decision to move one branch.
    IntentId;
    /// What one process asked of the holder of a lock.
    RequestId;
}

/// Draws identities and jitter. The only way randomness enters; a counting one stands in for it
/// in tests.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Ids: Send + Sync {
    /// A fresh identity, never drawn before, greater than all that this source drew before.
    fn ulid(&self) -> Ulid;
    /// Some span shorter than `max` (zero if `max` is), by which waiters part.
    fn jitter(&self, max: Duration) -> Duration;
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn lower_case_is_folded() {
        let id = PlanId::parse("01arz3ndektsv4rrffq69g5fav").expect("valid");
        assert_eq!(id.as_str(), "01ARZ3NDEKTSV4RRFFQ69G5FAV");
        assert_eq!(format!("{id}"), format!("{:?}", id.0));
    }

    #[rstest]
    #[case("")]
    #[case("01ARZ3NDEKTSV4RRFFQ69G5FA")]
    #[case("01ARZ3NDEKTSV4RRFFQ69G5FAVV")]
    #[case("01ARZ3NDEKTSV4RRFFQ69G5FAI")]
    #[case("81ARZ3NDEKTSV4RRFFQ69G5FAV")]
    #[case("ü1ARZ3NDEKTSV4RRFFQ69G5FA")]
    fn anything_else_is_refused(#[case] text: &str) {
        assert_eq!(PlanId::parse(text), Err(InvalidId { text: text.to_owned() }));
    }
}
