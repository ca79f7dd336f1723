//! Failures of the commands that plans run.

use agents_domain::runner::RunError;

use crate::exit::Exit;
use crate::failure::Failure;

impl From<RunError> for Failure {
    /// What the caller can mend before anything ran is usage; the rest is the plan's own work.
    fn from(error: RunError) -> Self {
        let message = error.to_string();
        match error {
            RunError::NotFound { .. } => Self::new(Exit::WorkFailed, "program_not_found", message)
                .hint("install it, or correct the action: `agents action list`"),
            RunError::NotExecutable { .. } => Self::new(Exit::WorkFailed, "program_not_executable", message),
            RunError::Template { .. } => Self::new(Exit::Usage, "template", message)
                .hint("correct the action's file, then check it: `agents action validate FILE`"),
            RunError::MissingVariable { .. } => Self::new(Exit::Usage, "missing_variable", message)
                .hint("set it in the environment of this command"),
            RunError::Failed { .. } => Self::new(Exit::WorkFailed, "run_failed", message).retry(),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_error_of_the_runner_has_its_code() {
        let text = || "x".to_owned();
        let table = [
            (RunError::NotFound { program: text() }, Exit::WorkFailed, "program_not_found"),
            (
                RunError::NotExecutable { program: text(), reason: text() },
                Exit::WorkFailed,
                "program_not_executable",
            ),
            (RunError::Template { purpose: text(), reason: text() }, Exit::Usage, "template"),
            (RunError::MissingVariable { name: text() }, Exit::Usage, "missing_variable"),
            (RunError::Failed { reason: text() }, Exit::WorkFailed, "run_failed"),
        ];
        for (error, exit, code) in table {
            let failure: Failure = error.into();
            assert_eq!((failure.exit, failure.code), (exit, code));
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }
}
