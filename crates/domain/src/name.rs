//! Names of projects and actions: `[namespace/]name`.

use std::fmt;

use thiserror::Error;

/// Each part: `[a-z0-9][a-z0-9._-]{0,62}` (`cli.md` of the design).
const MAX_PART: usize = 63;
/// Namespaces kept for the program itself.
const RESERVED: [&str; 4] = ["system", "internal", "admin", "root"];

/// Why a text is no name.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum InvalidName {
    /// A part breaks the pattern, or there are too many parts.
    #[error(
        "`{text}` is not a name: use [namespace/]name, each part up to {MAX_PART} of a-z, 0-9, `.`, `_`, `-`, starting with a letter or digit, without `..`"
    )]
    Malformed {
        /// What was given, cut to 80 characters, control characters escaped.
        text: String,
    },
    /// The namespace belongs to the program.
    #[error("the namespace `{namespace}` is reserved")]
    Reserved {
        /// The reserved namespace.
        namespace: String,
    },
}

/// A validated, fully qualified name such as `local/api`.
#[derive(Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Name {
    text: String,
    slash: usize,
}

impl Name {
    /// The namespace of a name that was given without one.
    pub const DEFAULT_NAMESPACE: &'static str = "local";

    /// Parses `[namespace/]name`; without a namespace it is `local`.
    pub fn parse(text: &str) -> Result<Self, InvalidName> {
        let (namespace, name) = text.split_once('/').unwrap_or((Self::DEFAULT_NAMESPACE, text));
        if !part_is_valid(namespace) || !part_is_valid(name) {
            let shown = text.chars().take(80).flat_map(char::escape_default).collect();
            return Err(InvalidName::Malformed { text: shown });
        }
        if RESERVED.contains(&namespace) {
            return Err(InvalidName::Reserved { namespace: namespace.to_owned() });
        }
        Ok(Self { text: format!("{namespace}/{name}"), slash: namespace.len() })
    }

    /// `namespace/name`.
    pub fn as_str(&self) -> &str {
        &self.text
    }

    /// The part before the slash.
    pub fn namespace(&self) -> &str {
        &self.text[..self.slash]
    }

    /// The part after the slash.
    pub fn short(&self) -> &str {
        &self.text[self.slash + 1..]
    }
}

/// `..` is refused although the pattern allows it: names become parts of paths and git refs.
fn part_is_valid(part: &str) -> bool {
    let starts_well = part.bytes().next().is_some_and(|c| c.is_ascii_lowercase() || c.is_ascii_digit());
    let allowed = |c: u8| c.is_ascii_lowercase() || c.is_ascii_digit() || matches!(c, b'.' | b'_' | b'-');
    starts_well && part.len() <= MAX_PART && part.bytes().all(allowed) && !part.contains("..")
}

impl fmt::Display for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.text)
    }
}

impl fmt::Debug for Name {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[test]
    fn a_bare_name_is_local() {
        let name = Name::parse("api").expect("valid");
        assert_eq!((name.as_str(), name.namespace(), name.short()), ("local/api", "local", "api"));
    }

    #[rstest]
    #[case("")]
    #[case("/")]
    #[case("a/")]
    #[case("a/b/c")]
    #[case("..")]
    #[case("a..b")]
    #[case("../etc")]
    #[case("A")]
    #[case("with space")]
    #[case("tab\t")]
    #[case("größe")]
    #[case("-dash")]
    fn bad_names_are_refused(#[case] text: &str) {
        assert!(matches!(Name::parse(text), Err(InvalidName::Malformed { .. })), "{text}");
    }

    #[test]
    fn length_is_bounded_at_63_a_part() {
        assert!(Name::parse(&"a".repeat(63)).is_ok());
        assert!(Name::parse(&"a".repeat(64)).is_err());
        assert!(Name::parse(&"a".repeat(300)).is_err());
    }

    #[rstest]
    #[case("system/x")]
    #[case("internal/x")]
    #[case("admin/x")]
    #[case("root/x")]
    fn reserved_namespaces_are_refused(#[case] text: &str) {
        assert!(matches!(Name::parse(text), Err(InvalidName::Reserved { .. })));
    }
}
