//! Failures put into words: what git said, which path, and which lock is in the way.

use std::fmt;
use std::fs;
use std::io;
use std::path::Path;
use std::process::Output;
use std::time::{Duration, SystemTime};

use agents_domain::workspace::WorkspaceError;

/// A path that cannot be worked with, and why.
pub(super) fn unsuitable(path: &Path, reason: impl fmt::Display) -> WorkspaceError {
    WorkspaceError::Unsuitable { path: path.display().to_string(), reason: reason.to_string() }
}

/// For `map_err`: an I/O error becomes [`unsuitable`].
pub(super) fn io(path: &Path) -> impl FnOnce(io::Error) -> WorkspaceError {
    move |error| unsuitable(path, error)
}

/// The error of a command that failed.
pub(super) fn of_command(shown: &str, dir: &Path, output: &Output) -> WorkspaceError {
    let said = String::from_utf8_lossy(&output.stderr);
    let said = said.trim();
    if said.contains("not a git repository") {
        let message = "this is not a git repository any more; was it moved or deleted?";
        return git(shown, dir, message.to_owned());
    }
    let message = match lock_in_the_way(said) {
        Some(lock) => describe_lock(Path::new(lock)),
        None if said.is_empty() => output.status.to_string(),
        None => said.to_owned(),
    };
    git(shown, dir, message)
}

/// [`WorkspaceError::Git`] in a message of ours.
pub(super) fn git(shown: &str, dir: &Path, message: String) -> WorkspaceError {
    WorkspaceError::Git { command: shown.to_owned(), path: dir.display().to_string(), message }
}

/// The lock file that git complains about, if that is what it does.
pub(super) fn lock_in_the_way(said: &str) -> Option<&str> {
    let (_, rest) = said.split_once("Unable to create '")?;
    let (path, rest) = rest.split_once("': ")?;
    (path.strip_suffix(".lock").is_some() && rest.starts_with("File exists")).then_some(path)
}

/// Path and age of a lock of git, and what to do about it. It is never removed by us: another git
/// may be at work behind it.
pub(super) fn describe_lock(lock: &Path) -> String {
    let age = fs::symlink_metadata(lock).and_then(|found| found.modified()).ok().map(age_of);
    let age = age.unwrap_or_else(|| "of unknown age".to_owned());
    format!("git's lock {} ({age}) is in the way; remove it if no git is at work there", lock.display())
}

fn age_of(written: SystemTime) -> String {
    let age = written.elapsed().unwrap_or(Duration::ZERO).as_secs();
    match age {
        0..120 => format!("{age} s old"),
        120..7200 => format!("{} min old", age / 60),
        _ => format!("{} h old", age / 3600),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    #[expect(clippy::disallowed_methods, reason = "the age of a file is told by the system's clock")]
    fn a_lock_is_reported_with_path_and_age() {
        let dir = tempfile::tempdir().expect("a directory");
        let lock = dir.path().join("index.lock");
        let file = fs::File::create(&lock).expect("created");
        for (back, age) in [(60, "60 s old"), (600, "10 min old"), (7200, "2 h old")] {
            file.set_modified(SystemTime::now() - Duration::from_secs(back)).expect("set");
            let said = describe_lock(&lock);
            assert!(said.contains(age) && said.contains("index.lock"), "{said}");
        }
        fs::remove_file(&lock).expect("removed");
        assert!(describe_lock(&lock).contains("of unknown age"));
    }

    #[test]
    fn only_a_lock_that_exists_counts_as_one() {
        let said = "fatal: Unable to create '/r/.git/index.lock': File exists.\n\nAnother git process";
        assert_eq!(lock_in_the_way(said), Some("/r/.git/index.lock"));
        assert_eq!(lock_in_the_way("fatal: Unable to create '/r/.git/index.lock': No space left"), None);
        assert_eq!(lock_in_the_way("fatal: bad object"), None);
    }
}
