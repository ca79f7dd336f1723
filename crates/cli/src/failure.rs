//! What a command that failed says: a stable code, an exit code, words, and a way on.
//!
//! Errors of other layers become a [`Failure`] through one exhaustive match for each enum
//! (`failure/`), so that a new variant cannot slip by without an exit code.

mod catalogue;
mod drive;
mod lock;
mod moving;
mod plan;
mod runner;
mod subplan;
mod workspace;

use std::ffi::OsString;

use serde_json::Value;

use crate::exit::Exit;
use crate::remedy;

/// A command that failed.
#[derive(Debug, Clone, PartialEq)]
pub struct Failure {
    /// A stable word for programs: `lock_conflict`.
    pub code: &'static str,
    /// The exit code.
    pub exit: Exit,
    /// What happened, one line.
    pub message: String,
    /// Further lines for people: who, since when, why.
    pub causes: Vec<String>,
    /// What helps: a bare command, or words with commands in backticks.
    pub hints: Vec<String>,
    /// Whether the same command may well succeed later, with nothing changed.
    pub retryable: bool,
    /// Facts for programs.
    pub details: Option<Box<Value>>,
}

impl Failure {
    /// A failure that no retry mends.
    pub fn new(exit: Exit, code: &'static str, message: impl Into<String>) -> Self {
        Self {
            code,
            exit,
            message: message.into(),
            causes: Vec::new(),
            hints: Vec::new(),
            retryable: false,
            details: None,
        }
    }

    /// A mistake on the command line, in a file, a path or a value: exit 2.
    pub fn usage(message: impl Into<String>) -> Self {
        Self::new(Exit::Usage, "usage", message)
    }

    /// Something that should not happen: exit 1.
    pub fn internal(message: impl Into<String>) -> Self {
        Self::new(Exit::Internal, "internal", message)
    }

    /// Something that is not in the store, or not unique: exit 3.
    pub fn not_found(code: &'static str, message: impl Into<String>) -> Self {
        Self::new(Exit::NotFound, code, message)
    }

    /// Adds what helps.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hints.push(hint.into());
        self
    }

    /// Adds a line for people.
    #[must_use]
    pub fn cause(mut self, line: impl Into<String>) -> Self {
        self.causes.push(line.into());
        self
    }

    /// Adds the sources of an error, each on a line.
    #[must_use]
    pub fn caused_by(mut self, error: &dyn std::error::Error) -> Self {
        let chain = std::iter::successors(Some(error), |error| error.source());
        self.causes.extend(chain.map(|error| format!("caused by: {error}")));
        self
    }

    /// Says that trying again may help.
    #[must_use]
    pub fn retry(mut self) -> Self {
        self.retryable = true;
        self
    }

    /// Adds facts for programs.
    #[must_use]
    pub fn detail(mut self, details: Value) -> Self {
        self.details = Some(Box::new(details));
        self
    }

    /// For a lock in the way: the same command, with a wait. For commands that did not say how
    /// long to wait.
    #[must_use]
    pub fn suggest_waiting(mut self, argv: &[OsString]) -> Self {
        if self.exit == Exit::Conflict {
            let words: Vec<_> =
                argv.iter().skip(1).map(|word| remedy::quoted(&word.to_string_lossy())).collect();
            // A URL may hold a password.
            let hint = if words.iter().any(|word| word.contains("://")) {
                "wait: the same command with `--wait 5m`".to_owned()
            } else {
                format!("wait: `agents --wait 5m {}`", words.join(" "))
            };
            self.hints.insert(0, hint);
        }
        self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_chain_of_errors_is_one_line_each() {
        let inner = agents_domain::name::Name::parse("A").expect_err("upper case");
        let failure = Failure::internal("broken").caused_by(&inner).retry().detail(Value::Bool(true));
        assert_eq!(failure.causes, [format!("caused by: {inner}")]);
        assert!(failure.retryable && failure.details == Some(Box::new(Value::Bool(true))));
    }

    #[test]
    fn only_a_conflict_suggests_waiting() {
        let argv: Vec<OsString> =
            ["agents", "plan", "prompt", "01JV8Q", "it's -- fine"].map(OsString::from).into();
        let conflict =
            Failure::new(Exit::Conflict, "lock_conflict", "locked").hint("later").suggest_waiting(&argv);
        assert_eq!(conflict.hints.len(), 2);
        remedy::check_hint(&conflict.hints[0]).expect("parses");
        assert!(Failure::usage("x").suggest_waiting(&argv).hints.is_empty());
    }

    #[test]
    fn a_password_on_the_command_line_is_not_said_again() {
        let argv: Vec<OsString> =
            ["agents", "--database-url", "postgres://u:secret@h/d", "recover"].map(OsString::from).into();
        let conflict = Failure::new(Exit::Conflict, "lock_conflict", "locked").suggest_waiting(&argv);
        assert_eq!(conflict.hints, ["wait: the same command with `--wait 5m`"]);
    }
}
