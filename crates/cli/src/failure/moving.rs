//! Failures of a move, and of a database that was moved.

use agents_domain::lock::{HeldLock, Liveness};
use agents_domain::plan::StoreError;
use agents_infrastructure::store::moving::MoveError;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::remedy::quoted;

/// So many problems are told; the rest is a number.
const TOLD: usize = 20;

impl Failure {
    /// Everything of `from` is in another database now. Each remedy names the database that it is for:
    /// the one that commands use unless told may be another, and alive.
    pub fn moved(message: impl Into<String>, from: &str, to: &str) -> Self {
        let (from, to) = (quoted(from), quoted(to));
        Self::new(Exit::Store, "moved", message)
            .hint(format!(
                "go on there: `agents --database-url {to} plan list`; for good, set AGENTS_DATABASE_URL"
            ))
            .hint(format!(
                "if the move died and nothing is there: `agents --database-url {from} db copy-to {to}` \
                 finishes it"
            ))
            .hint(format!(
                "if nobody works with that one, take this one back: \
                 `agents --database-url {from} db adopt --restored`"
            ))
    }

    /// What is to be moved to was moved away from: what is in it is old, and stays.
    pub fn closed_target(place: &str, to: &str) -> Self {
        let message = format!(
            "the target is not empty: {place} is closed, and keeps what was in it when it was moved to {to}"
        );
        Self::new(Exit::Refused, "target_not_empty", message)
            .hint("moving back needs a new place too: name a new file, or an empty database or schema")
    }

    /// The leases that are to be cleared are those of somebody who works.
    pub fn alive(held: &HeldLock) -> Self {
        Self::locked(held, Liveness::Alive).cause("clearing its lease would end what it runs").hint(format!(
            "wait until it has ended, or end it (`kill {}`), then: `agents db adopt --restored`",
            held.holder.pid
        ))
    }

    /// Why a database was not moved; `from` is that database.
    pub fn of_move(error: MoveError, from: &str) -> Self {
        let message = error.to_string();
        match error {
            MoveError::Occupied { .. } => Self::new(Exit::Refused, "target_not_empty", message)
                .hint("name a new file, or an empty database or schema; nothing is ever copied over"),
            MoveError::Elsewhere { to } => Self::moved(message, from, &to),
            MoveError::Unsound { problems } => {
                let failure = Self::new(Exit::Store, "unsound_copy", message).hint("agents db check");
                let rest = problems.len().saturating_sub(TOLD);
                let failure = problems.into_iter().take(TOLD).fold(failure, Self::cause);
                if rest > 0 { failure.cause(format!("and {rest} more")) } else { failure }
            }
            MoveError::Source(error) | MoveError::Target(error) => Self::of_side(message, error),
            MoveError::Unconfirmed(error) => Self::of_side(message, error)
                .retry()
                .hint("the same command again finishes the move, or says that everything is there"),
        }
    }

    fn of_side(message: String, error: StoreError) -> Self {
        Self { message, hints: Vec::new(), ..error.into() }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    fn away() -> StoreError {
        StoreError::Unavailable { reason: "gone".to_owned() }
    }

    #[test]
    fn every_end_of_a_move_has_its_code_and_a_remedy_that_parses() {
        let table = [
            (MoveError::Occupied { table: "plans", rows: 1 }, Exit::Refused, "target_not_empty", false),
            (MoveError::Elsewhere { to: "/x/it's here.db".to_owned() }, Exit::Store, "moved", false),
            (MoveError::Unsound { problems: vec![] }, Exit::Store, "unsound_copy", false),
            (MoveError::Source(away()), Exit::Store, "store_unavailable", true),
            (MoveError::Target(away()), Exit::Store, "store_unavailable", true),
            (MoveError::Unconfirmed(away()), Exit::Store, "store_unavailable", true),
        ];
        for (error, exit, code, retryable) in table {
            let failure = Failure::of_move(error, "/x/old here.db");
            assert_eq!((failure.exit, failure.code, failure.retryable), (exit, code, retryable));
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }

    #[test]
    fn what_was_moved_is_named_in_what_is_done_with_it() {
        let failure = Failure::moved("moved", "/x/old here.db", "/x/new.db");
        let named = "agents --database-url '/x/old here.db' db ";
        assert!(failure.hints[1..].iter().all(|hint| hint.contains(named)), "{:?}", failure.hints);
        for failure in [Failure::closed_target("/x/old.db", "/x/new.db"), Failure::alive(&samples::held())] {
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }

    #[test]
    fn of_many_problems_some_are_told() {
        let problems = (0..25).map(|n| format!("plan {n}")).collect();
        let failure = Failure::of_move(MoveError::Unsound { problems }, "/x/old.db");
        assert_eq!((failure.causes.len(), failure.causes[20].as_str()), (21, "and 5 more"));
    }
}
