//! What SQLite says when it cannot, in our words.
//!
//! Diesel hands on SQLite's message but not its code, so the messages are matched; SQLite is
//! bundled, and a test provokes them, so they do not change behind our back.

use agents_domain::plan::StoreError;
use diesel::result::{DatabaseErrorKind, Error};

use crate::store::fault::Words;

/// SQLite's failures, put into words.
pub(crate) const WORDS: Words = Words { translate, at_commit };

/// The kinds of failure that have a sentence of their own.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// `SQLITE_BUSY`: another program writes, past our gate.
    Busy,
    /// `SQLITE_FULL`.
    Full,
    /// `SQLITE_IOERR`.
    Io,
    /// `SQLITE_READONLY`.
    ReadOnly,
    /// `SQLITE_CANTOPEN`.
    CannotOpen,
    /// `SQLITE_NOTADB`.
    NotADatabase,
    /// `SQLITE_CORRUPT`.
    Corrupt,
    /// Anything else.
    Other,
}

/// Which kind a message of SQLite is.
pub(crate) fn kind(message: &str) -> Kind {
    let kinds = [
        ("is locked", Kind::Busy),
        ("database or disk is full", Kind::Full),
        ("disk I/O error", Kind::Io),
        ("readonly database", Kind::ReadOnly),
        ("unable to open database", Kind::CannotOpen),
        ("file is not a database", Kind::NotADatabase),
        ("disk image is malformed", Kind::Corrupt),
    ];
    kinds.iter().find(|(words, _)| message.contains(words)).map_or(Kind::Other, |(_, kind)| *kind)
}

/// The sentence for a failure; names what to do where something can be done.
pub(crate) fn sentence(message: &str) -> String {
    let words = match kind(message) {
        Kind::Busy => {
            "another program is writing to the database; close other tools that have it open and try again"
        }
        Kind::Full => "the disk is full; free some space and try again",
        Kind::Io => "the disk is full or failing: it reported an error while the database was in use",
        Kind::ReadOnly => {
            "the database cannot be written; check the permissions of the file and its directory"
        }
        Kind::CannotOpen => "the database file cannot be opened; it may have been moved or deleted",
        Kind::NotADatabase => "the file is not a SQLite database",
        Kind::Corrupt => "the database file is damaged; `agents db check` tells more",
        Kind::Other => message,
    };
    words.to_owned()
}

/// A failure before the commit: nothing was written.
fn translate(error: &Error) -> StoreError {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => from_message(information.message()),
        Error::DatabaseError(_, information) => {
            let reason = format!("a rule of the database was broken: {}", information.message());
            StoreError::Corrupt { row: "a row to be written".to_owned(), reason }
        }
        Error::DeserializationError(cause) => {
            StoreError::Corrupt { row: "a row that was read".to_owned(), reason: cause.to_string() }
        }
        other => StoreError::Unavailable { reason: other.to_string() },
    }
}

/// A failure of the commit itself. After an error of the disk nobody knows what it holds.
fn at_commit(error: &Error) -> StoreError {
    let message = error.to_string();
    if kind(&message) == Kind::Io {
        return StoreError::Unknown { reason: sentence(&message) };
    }
    translate(error)
}

fn from_message(message: &str) -> StoreError {
    match kind(message) {
        Kind::Corrupt | Kind::NotADatabase => {
            StoreError::Corrupt { row: "the database file".to_owned(), reason: sentence(message) }
        }
        _ => StoreError::Unavailable { reason: sentence(message) },
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn error(message: &str) -> Error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, Box::new(message.to_owned()))
    }

    #[rstest]
    #[case("database is locked", "another program")]
    #[case("database table is locked: plans", "another program")]
    #[case("database or disk is full", "disk is full")]
    #[case("disk I/O error", "disk is full or failing")]
    #[case("attempt to write a readonly database", "cannot be written")]
    #[case("unable to open database file", "cannot be opened")]
    #[case("out of memory", "out of memory")]
    fn what_may_pass_is_unavailable(#[case] message: &str, #[case] words: &str) {
        let StoreError::Unavailable { reason } = translate(&error(message)) else { panic!("{message}") };
        assert!(reason.contains(words) && !reason.contains("locked"), "{reason}");
    }

    #[rstest]
    #[case("database disk image is malformed")]
    #[case("file is not a database")]
    fn damage_is_corrupt(#[case] message: &str) {
        assert!(matches!(translate(&error(message)), StoreError::Corrupt { .. }));
    }

    #[test]
    fn only_a_disk_error_leaves_the_outcome_of_a_commit_unknown() {
        assert!(matches!(at_commit(&error("disk I/O error")), StoreError::Unknown { .. }));
        assert!(matches!(at_commit(&error("database or disk is full")), StoreError::Unavailable { .. }));
    }

    #[test]
    fn broken_rules_and_odd_rows_are_corrupt() {
        let check = Error::DatabaseError(DatabaseErrorKind::CheckViolation, Box::new("CHECK".to_owned()));
        assert!(matches!(translate(&check), StoreError::Corrupt { .. }));
        assert!(matches!(translate(&Error::DeserializationError("odd".into())), StoreError::Corrupt { .. }));
        assert!(matches!(translate(&Error::NotFound), StoreError::Unavailable { .. }));
    }
}
