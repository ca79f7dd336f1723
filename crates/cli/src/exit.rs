//! Exit codes: one enum, the table of `docs/reference/cli.md`, nothing else. A test compares
//! the two.

use std::process::ExitCode;

/// How a command ended, for the process that called it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Exit {
    /// Done, or already so.
    Done,
    /// Internal error, or `diagnostics` found one.
    Internal,
    /// Usage, or an invalid file, path or value.
    Usage,
    /// No such plan, project, action or lock; or an ambiguous prefix.
    NotFound,
    /// A lock is held by another; may be tried again.
    Conflict,
    /// Not legal in this phase and state.
    Refused,
    /// A stale base, a merge conflict, or a dirty checkout in the way.
    Stale,
    /// The plan's own work failed.
    WorkFailed,
    /// The plan waits for a person's input.
    AwaitingInput,
    /// The lease was lost, or the work interrupted or cancelled from elsewhere.
    LeaseLost,
    /// The store is unavailable, corrupt, or of another schema version.
    Store,
    /// `--timeout` elapsed.
    TimedOut,
    /// Stopped by SIGINT.
    Interrupted,
    /// Stopped by SIGTERM.
    Terminated,
}

impl Exit {
    /// All codes, in the order of the table.
    pub const ALL: [Self; 14] = [
        Self::Done,
        Self::Internal,
        Self::Usage,
        Self::NotFound,
        Self::Conflict,
        Self::Refused,
        Self::Stale,
        Self::WorkFailed,
        Self::AwaitingInput,
        Self::LeaseLost,
        Self::Store,
        Self::TimedOut,
        Self::Interrupted,
        Self::Terminated,
    ];

    /// The number.
    pub const fn code(self) -> u8 {
        match self {
            Self::Done => 0,
            Self::Internal => 1,
            Self::Usage => 2,
            Self::NotFound => 3,
            Self::Conflict => 4,
            Self::Refused => 5,
            Self::Stale => 6,
            Self::WorkFailed => 7,
            Self::AwaitingInput => 8,
            Self::LeaseLost => 9,
            Self::Store => 10,
            Self::TimedOut => 124,
            Self::Interrupted => 130,
            Self::Terminated => 143,
        }
    }

    /// The meaning, word for word as in the table of the reference.
    pub const fn meaning(self) -> &'static str {
        match self {
            Self::Done => "done, or already so",
            Self::Internal => "internal error, or `diagnostics` found one",
            Self::Usage => "usage, invalid file, path or value",
            Self::NotFound => "no such plan, project, action or lock in the store, or an ambiguous prefix",
            Self::Conflict => "conflict: a lock is held by another; retryable",
            Self::Refused => "refused: not legal in this phase and state",
            Self::Stale => "stale base, merge conflict, or a dirty checkout in the way",
            Self::WorkFailed => "the plan's own work failed",
            Self::AwaitingInput => "ended because the plan awaits a person's input",
            Self::LeaseLost => "lease lost, interrupted, or cancelled from elsewhere",
            Self::Store => "store unavailable, corrupt, or of another schema version",
            Self::TimedOut => "`--timeout` elapsed",
            Self::Interrupted => "stopped by SIGINT",
            Self::Terminated => "stopped by SIGTERM",
        }
    }
}

impl From<Exit> for ExitCode {
    fn from(exit: Exit) -> Self {
        Self::from(exit.code())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const REFERENCE: &str = include_str!("../../../docs/reference/cli.md");

    /// The rows `| code | meaning |` below the heading of the table.
    fn documented() -> Vec<(u8, String)> {
        let section = REFERENCE.split("## Exit codes").nth(1).expect("the reference has the table");
        let row = |line: &str| {
            let mut cells = line.trim().strip_prefix('|')?.split('|').map(str::trim);
            Some((cells.next()?.parse().ok()?, cells.next()?.to_owned()))
        };
        section.split("\n## ").next().expect("split yields one").lines().filter_map(row).collect()
    }

    #[test]
    fn the_documented_table_is_the_enum() {
        let ours: Vec<_> = Exit::ALL.map(|exit| (exit.code(), exit.meaning().to_owned())).into();
        assert_eq!(documented(), ours);
    }

    #[test]
    fn a_code_reaches_the_process() {
        assert_eq!(format!("{:?}", ExitCode::from(Exit::Conflict)), format!("{:?}", ExitCode::from(4)));
    }
}
