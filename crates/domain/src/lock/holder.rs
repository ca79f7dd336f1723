//! Who holds a lock, in terms by which death can be proved.

use std::fmt;

/// The identity of an owning process, and what a person wants to know of it.
///
/// `host`, `boot_id` and `pid_namespace` say where `pid` means anything; `started` (clock ticks
/// since boot, `/proc/<pid>/stat` field 22) tells a process from a later one with the same pid.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Holder {
    /// The machine's name.
    pub host: String,
    /// The boot of that machine.
    pub boot_id: String,
    /// The pid namespace, as the kernel names it.
    pub pid_namespace: String,
    /// The process.
    pub pid: u32,
    /// When it started, in the kernel's ticks since boot.
    pub started: u64,
    /// The user's name or number.
    pub user: String,
    /// What it is doing: `plan execute`, for people.
    pub operation: String,
}

/// What can be proved of a holder from here, now.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Liveness {
    /// The process runs on this machine.
    Alive,
    /// Beyond doubt: this machine's, and gone, a zombie, or another process by now.
    Dead,
    /// Not this machine's, or not visible from here. The lease's length decides.
    Unknown,
}

impl Liveness {
    /// The word used in output.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Alive => "alive",
            Self::Dead => "dead",
            Self::Unknown => "unknown",
        }
    }
}

impl fmt::Display for Liveness {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// Knows processes: this one, and whether another is dead.
#[cfg_attr(feature = "mock", mockall::automock)]
pub trait Processes: Send + Sync {
    /// This process, as it enters into locks for `operation`.
    fn myself(&self, operation: &str) -> Holder;
    /// What can be proved of that holder. Never [`Liveness::Dead`] on a guess.
    fn liveness(&self, holder: &Holder) -> Liveness;
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn liveness_has_the_words_of_the_contract() {
        let words = [Liveness::Alive, Liveness::Dead, Liveness::Unknown].map(|l| l.to_string());
        assert_eq!(words, ["alive", "dead", "unknown"]);
    }
}
