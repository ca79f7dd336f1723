//! Failures of a move, and of a database that was moved.

use agents_domain::plan::StoreError;
use agents_infrastructure::store::moving::MoveError;

use crate::exit::Exit;
use crate::failure::Failure;
use crate::remedy::quoted;

/// So many problems are told; the rest is a number.
const TOLD: usize = 20;

impl Failure {
    /// Everything is in another database now.
    pub fn moved(message: impl Into<String>, to: &str) -> Self {
        let to = quoted(to);
        Self::new(Exit::Store, "moved", message)
            .hint(format!(
                "go on there: `agents --database-url {to} plan list`; for good, set AGENTS_DATABASE_URL"
            ))
            .hint(format!("if the move died and nothing is there: `agents db copy-to {to}` finishes it"))
            .hint("if nobody works with that one, take this one back: `agents db adopt --restored`")
    }

    fn of_side(message: String, error: StoreError) -> Self {
        Self { message, hints: Vec::new(), ..error.into() }
    }
}

impl From<MoveError> for Failure {
    fn from(error: MoveError) -> Self {
        let message = error.to_string();
        match error {
            MoveError::Occupied { .. } => Self::new(Exit::Refused, "target_not_empty", message)
                .hint("name a new file, or an empty database or schema; nothing is ever copied over"),
            MoveError::Elsewhere { to } => Self::moved(message, &to),
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
}

#[cfg(test)]
mod tests {
    use super::*;

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
            let failure = Failure::from(error);
            assert_eq!((failure.exit, failure.code, failure.retryable), (exit, code, retryable));
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }

    #[test]
    fn of_many_problems_some_are_told() {
        let problems = (0..25).map(|n| format!("plan {n}")).collect();
        let failure = Failure::from(MoveError::Unsound { problems });
        assert_eq!((failure.causes.len(), failure.causes[20].as_str()), (21, "and 5 more"));
    }
}
