//! What PostgreSQL says when it cannot, in our words.

use agents_domain::plan::StoreError;
use diesel::result::{DatabaseErrorKind, Error};

use crate::store::fault::Words;
use crate::store::moving;

/// PostgreSQL's failures, put into words.
pub(crate) const WORDS: Words = Words { translate, at_commit };

/// Whether the connection is gone.
pub(crate) fn is_lost(error: &Error) -> bool {
    match error {
        Error::DatabaseError(
            DatabaseErrorKind::ClosedConnection | DatabaseErrorKind::UnableToSendCommand,
            _,
        )
        | Error::BrokenTransactionManager => true,
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            let message = information.message();
            ["terminating connection", "server closed the connection", "connection to server was lost"]
                .iter()
                .any(|words| message.contains(words))
        }
        _ => false,
    }
}

/// Whether the same transaction, begun anew, may well succeed: it was one of several that could not
/// all go on. (A deadlock has no kind of its own in Diesel, and its message may be translated.)
pub(crate) fn lost_a_race(error: &Error) -> bool {
    match error {
        Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _) => true,
        Error::DatabaseError(DatabaseErrorKind::Unknown, information) => {
            information.message().contains("deadlock detected")
        }
        _ => false,
    }
}

/// A failure before the commit: nothing was written.
fn translate(error: &Error) -> StoreError {
    match error {
        Error::DatabaseError(DatabaseErrorKind::CheckViolation, information)
            if information.message().starts_with(moving::SENTENCE) =>
        {
            StoreError::Unavailable { reason: information.message().to_owned() }
        }
        Error::DatabaseError(
            DatabaseErrorKind::CheckViolation
            | DatabaseErrorKind::UniqueViolation
            | DatabaseErrorKind::ForeignKeyViolation
            | DatabaseErrorKind::NotNullViolation,
            information,
        ) => {
            let reason = format!("a rule of the database was broken: {}", information.message());
            StoreError::Corrupt { row: "a row to be written".to_owned(), reason }
        }
        Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _) => {
            StoreError::Unavailable { reason: "the server takes no writes; it may be a standby".to_owned() }
        }
        Error::DeserializationError(cause) => {
            StoreError::Corrupt { row: "a row that was read".to_owned(), reason: cause.to_string() }
        }
        other => StoreError::Unavailable { reason: first_line(&other.to_string()) },
    }
}

/// A failure of the commit itself. Of one whose reply is lost nobody knows what it did.
fn at_commit(error: &Error) -> StoreError {
    if is_lost(error) {
        StoreError::Unknown { reason: first_line(&error.to_string()) }
    } else {
        translate(error)
    }
}

/// What a person wants to read of a message of several lines.
pub(crate) fn first_line(message: &str) -> String {
    message.lines().map(str::trim).find(|line| !line.is_empty()).unwrap_or(message).to_owned()
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    fn error(kind: DatabaseErrorKind, message: &str) -> Error {
        Error::DatabaseError(kind, Box::new(message.to_owned()))
    }

    #[rstest]
    #[case(DatabaseErrorKind::ClosedConnection, "")]
    #[case(DatabaseErrorKind::UnableToSendCommand, "")]
    #[case(DatabaseErrorKind::Unknown, "terminating connection due to administrator command")]
    fn a_commit_without_a_reply_is_unknown(#[case] kind: DatabaseErrorKind, #[case] message: &str) {
        let lost = error(kind, message);
        assert!(is_lost(&lost) && matches!(at_commit(&lost), StoreError::Unknown { .. }));
        assert!(matches!(translate(&lost), StoreError::Unavailable { .. }));
    }

    #[test]
    fn a_commit_that_was_refused_is_known() {
        let race = error(DatabaseErrorKind::SerializationFailure, "could not serialize");
        assert!(lost_a_race(&race) && matches!(at_commit(&race), StoreError::Unavailable { .. }));
        assert!(lost_a_race(&error(DatabaseErrorKind::Unknown, "deadlock detected")));
        assert!(!lost_a_race(&Error::NotFound) && !is_lost(&Error::NotFound));
    }

    #[test]
    fn broken_rules_and_odd_rows_are_corrupt() {
        let check = error(DatabaseErrorKind::CheckViolation, "CHECK");
        assert!(matches!(translate(&check), StoreError::Corrupt { .. }));
        assert!(matches!(translate(&Error::DeserializationError("odd".into())), StoreError::Corrupt { .. }));
        let standby = error(DatabaseErrorKind::ReadOnlyTransaction, "cannot execute UPDATE");
        assert!(translate(&standby).to_string().contains("standby"));
    }
}
