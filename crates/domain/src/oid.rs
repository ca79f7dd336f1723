//! Names of git objects.

use std::fmt;

use thiserror::Error;

/// A text that is no full object name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("`{text}` is not a git object id (40 or 64 hexadecimal digits)")]
pub struct InvalidOid {
    /// What was given, cut to 80 characters.
    pub text: String,
}

/// A full git object id: SHA-1 (40 digits) or SHA-256 (64), lower case.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Oid(String);

impl Oid {
    /// Parses a full object id.
    pub fn parse(text: &str) -> Result<Self, InvalidOid> {
        let hex = text.bytes().all(|c| c.is_ascii_digit() || (b'a'..=b'f').contains(&c));
        if hex && matches!(text.len(), 40 | 64) {
            Ok(Self(text.to_owned()))
        } else {
            Err(InvalidOid { text: text.chars().take(80).collect() })
        }
    }

    /// All its digits.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The first 10 digits, for people.
    pub fn short(&self) -> &str {
        &self.0[..10]
    }
}

impl fmt::Display for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for Oid {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_full_lower_case_hex_passes() {
        assert_eq!(Oid::parse(&"a1".repeat(20)).expect("sha1").short(), "a1a1a1a1a1");
        assert!(Oid::parse(&"0f".repeat(32)).is_ok());
        for bad in ["", "abc", &"A1".repeat(20), &"g1".repeat(20), &"ab".repeat(21)] {
            assert!(Oid::parse(bad).is_err(), "{bad}");
        }
    }
}
