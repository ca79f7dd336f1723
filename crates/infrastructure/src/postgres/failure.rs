//! What PostgreSQL says when it cannot, in our words.

use std::time::Duration;

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

/// Whether a server was there that said this, and may have time for us in a moment. The words of one that
/// does not speak English are not known; then it is told at once.
pub(crate) fn may_pass(message: &str) -> bool {
    [
        "server closed the connection",
        "terminating connection",
        "connection to server was lost",
        "reset by peer",
        "starting up",
        "shutting down",
        "in recovery mode",
        "not yet accepting connections",
        "too many connections",
        "too many clients",
        "remaining connection slots",
    ]
    .iter()
    .any(|words| message.contains(words))
}

/// Whether it was given up for the time it took, though it took less than any time limit: libpq goes by the
/// time of day (`pqWaitTimed`), which jumps when a machine wakes or its clock is set.
pub(crate) fn is_hasty(message: &str, took: Duration) -> bool {
    message.contains("timeout expired") && took < Duration::from_secs(1)
}

/// Whether the same transaction, begun anew, may well succeed: it was one of several that could not
/// all go on.
pub(crate) fn lost_a_race(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::SerializationFailure, _))
}

/// Whether the server takes no writes: a standby, which may be made the primary in a moment, or has taken
/// the place of one that comes back.
pub(crate) fn is_standby(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, _))
}

/// Whether it is something that Diesel has no kind for: a deadlock, a statement that took too long, a disk
/// that is full; but also a grant that is missing. The server's code is not handed on, and its words are in
/// a language of its own choice. So whatever it is may be begun anew, some times: nothing was written.
pub(crate) fn is_unnamed(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, _))
        && !is_lost(error)
        && !holds_nul(error)
}

/// Whether a statement is known to have taken too long, of a server that speaks English. It has waited for
/// as long as it was to.
pub(crate) fn took_too_long(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, information)
        if information.message().contains("statement timeout"))
}

/// What a transaction that could not begin died of. What begins it cannot fail at a server that takes
/// writes; a standby refuses to begin one that wants to, and Diesel has no kind for how it says so.
pub(crate) fn no_writes(error: Error) -> Error {
    match error {
        Error::DatabaseError(DatabaseErrorKind::Unknown, information)
            if !information.message().is_empty() =>
        {
            Error::DatabaseError(DatabaseErrorKind::ReadOnlyTransaction, information)
        }
        other => other,
    }
}

/// Whether a text held a NUL, which none can there. The byte is shown in any language.
fn holds_nul(error: &Error) -> bool {
    matches!(error, Error::DatabaseError(DatabaseErrorKind::Unknown, information)
        if information.message().contains("0x00"))
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
        nul if holds_nul(nul) => {
            let reason = "a text holds NUL, which this database cannot keep".to_owned();
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

/// The line that matters of what is said of a connection that was not made: a host with several addresses is
/// tried at each, and one that answered says more than one at which nobody listens.
pub(crate) fn telling_line(message: &str) -> String {
    let answer = message.lines().map(str::trim).find(|line| line.contains("FATAL:"));
    answer.map_or_else(|| first_line(message), str::to_owned)
}

/// What helps who cannot connect: the words of libpq, and of a server that speaks English. Of another one no
/// more is known than that it has answered. `None`: it is no connection that failed.
pub(crate) fn way_in(message: &str) -> Option<&'static str> {
    const WAYS: [(&[&str], &str); 6] = [
        (
            &["password authentication failed", "no password supplied"],
            "see that the database URL names the right user, and give the password there, in PGPASSWORD or in ~/.pgpass",
        ),
        (
            &["FATAL:  role", "is not permitted to log in"],
            "name a user whom the server knows and lets in (`postgres://USER@…`), or make this one (`createuser`)",
        ),
        (
            &["FATAL:  database"],
            "name a database that is there, or make this one (`createdb`) and then its tables: `agents init`",
        ),
        (
            &["no pg_hba.conf entry", "permission denied for database"],
            "let this user into that database from here: GRANT CONNECT, and pg_hba.conf of the server",
        ),
        (&["could not translate host name"], "name a host in the database URL that this machine can find"),
        (
            &["certificate", "but SSL was required", "SSL error"],
            "see that `sslmode` and `sslrootcert` in the database URL are what the server offers",
        ),
    ];
    let found = WAYS.iter().find(|(words, _)| words.iter().any(|words| message.contains(words)));
    let away = ["connection to server", "could not connect", "Is the server running"];
    let elsewhere = "start the server, or see that the database URL names the host, the port, the user and the \
                     database that you mean";
    found.map(|(_, help)| *help).or_else(|| away.iter().any(|it| message.contains(it)).then_some(elsewhere))
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
        assert!(!lost_a_race(&Error::NotFound) && !is_lost(&Error::NotFound));
    }

    #[test]
    fn what_has_no_name_is_begun_anew_in_any_language() {
        for words in
            ["deadlock detected", "Verklemmung entdeckt", "canceling statement due to statement timeout"]
        {
            assert!(is_unnamed(&error(DatabaseErrorKind::Unknown, words)), "{words}");
        }
        assert!(took_too_long(&error(
            DatabaseErrorKind::Unknown,
            "canceling statement due to statement timeout"
        )));
        assert!(!is_unnamed(&error(DatabaseErrorKind::UniqueViolation, "duplicate")));
        assert!(!is_unnamed(&error(DatabaseErrorKind::Unknown, "terminating connection due to …")));
    }

    #[test]
    fn whoever_cannot_begin_to_write_is_at_a_standby() {
        let refused =
            error(DatabaseErrorKind::Unknown, "cannot set transaction read-write mode during recovery");
        assert!(is_standby(&no_writes(refused)));
        assert!(is_lost(&no_writes(error(DatabaseErrorKind::ClosedConnection, ""))));
    }

    #[rstest]
    #[case("FATAL:  password authentication failed for user \"u\"", "PGPASSWORD")]
    #[case("fe_sendauth: no password supplied", "PGPASSWORD")]
    #[case("FATAL:  role \"u\" does not exist", "createuser")]
    #[case("FATAL:  database \"d\" does not exist", "agents init")]
    #[case("FATAL:  no pg_hba.conf entry for host \"::1\", user \"u\"", "pg_hba.conf")]
    #[case("could not translate host name \"nowhere\" to address: Name or service not known", "a host")]
    #[case("server does not support SSL, but SSL was required", "sslmode")]
    #[case("Connection refused\n\tIs the server running on that host?", "start the server")]
    #[case("FATAL:  Rolle »u« existiert nicht", "start the server, or see that")]
    fn who_cannot_connect_is_told_the_way_in(#[case] words: &str, #[case] help: &str) {
        let said = format!("connection to server at \"h\", port 5432 failed: {words}");
        assert!(way_in(&said).is_some_and(|told| told.contains(help)), "{words}: {:?}", way_in(&said));
    }

    #[test]
    fn the_address_that_answered_is_the_one_that_is_told_of() {
        let refused =
            "connection to server at \"h\" (::1) failed: Connection refused\n\tIs the server running?";
        let answered = "connection to server at \"h\" (127.0.0.1) failed: FATAL:  role \"u\" does not exist";
        assert_eq!(telling_line(&format!("{refused}\n{answered}\n")), answered);
        assert_eq!(telling_line(refused), refused.lines().next().expect("one"));
        assert_eq!(way_in("canceling statement due to statement timeout"), None, "it was connected");
    }

    #[test]
    fn a_clock_that_jumped_is_no_time_limit() {
        let words = "connection to server at \"::1\", port 5432 failed: timeout expired";
        assert!(is_hasty(words, Duration::from_millis(40)) && !is_hasty(words, Duration::from_secs(10)));
        assert!(!is_hasty("Connection refused", Duration::ZERO));
    }

    #[test]
    fn a_nul_is_seen_in_any_language() {
        for words in [
            "invalid byte sequence for encoding \"UTF8\": 0x00",
            "ungültige Bytefolge für Kodierung »UTF8«: 0x00",
        ] {
            let nul = error(DatabaseErrorKind::Unknown, words);
            assert!(matches!(translate(&nul), StoreError::Corrupt { .. }) && !is_unnamed(&nul));
        }
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
