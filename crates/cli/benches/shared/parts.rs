//! Home and repository, put back to what they were, and one process, timed.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::figures::nanoseconds;

/// Home and repository, as they were.
const PARTS: [&str; 2] = ["home", "repository"];

/// Puts a copy of both parts from one directory into another.
pub(crate) fn copy(from: &Path, to: &Path) {
    for part in PARTS {
        let _ = fs::remove_dir_all(to.join(part));
        let copied = Command::new("cp").arg("-a").arg(from.join(part)).arg(to).status();
        assert!(copied.expect("cp").success(), "{part} could not be copied");
    }
    // The copies are other files: git would read them all again.
    let refreshed = Command::new("git")
        .args(["update-index", "-q", "--refresh"])
        .current_dir(to.join("repository"))
        .status();
    refreshed.expect("git");
}

/// How long a process takes that must succeed, in nanoseconds.
pub(crate) fn run(mut command: Command) -> u64 {
    nanoseconds(|| {
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(ended.expect("started").success(), "{command:?} failed");
    })
}

/// Nanoseconds, counted so.
#[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds are a hundred days")]
pub(crate) fn microseconds(nanoseconds: u64) -> f64 {
    nanoseconds as f64 / 1_000.0
}
