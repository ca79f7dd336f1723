//! Which git is good enough: 2.38 brought `merge-tree --write-tree`, which landing is built on.

use std::ffi::OsStr;
use std::io;

use agents_domain::workspace::WorkspaceError;

/// The oldest git that will do.
const OLDEST: (u32, u32) = (2, 38);

/// Judges the output of `git --version`.
pub(super) fn check(said: &[u8]) -> Result<(), WorkspaceError> {
    let said = String::from_utf8_lossy(said);
    match parse(&said) {
        Some(version) if version >= OLDEST => Ok(()),
        Some((major, minor)) => Err(refuse(&format!("git {major}.{minor} is too old"))),
        None => Err(refuse(&format!("`git --version` said `{}`, which names no version", said.trim()))),
    }
}

/// The error for a program that could not be started.
pub(super) fn unusable(program: &OsStr, error: &io::Error) -> WorkspaceError {
    let program = program.to_string_lossy();
    if error.kind() == io::ErrorKind::NotFound {
        refuse(&format!("the program `{program}` was not found"))
    } else {
        refuse(&format!("the program `{program}` could not be run: {error}"))
    }
}

fn refuse(why: &str) -> WorkspaceError {
    let (major, minor) = OLDEST;
    WorkspaceError::GitUnusable { reason: format!("{why}; git {major}.{minor} or newer is needed") }
}

/// Major and minor of `git version 2.47.3`, `git version 2.39.5 (Apple Git-154)` and the like.
fn parse(said: &str) -> Option<(u32, u32)> {
    let mut numbers = said.trim().strip_prefix("git version ")?.split('.');
    Some((numbers.next()?.parse().ok()?, numbers.next()?.parse().ok()?))
}

#[cfg(test)]
mod tests {
    use super::*;
    use rstest::rstest;

    #[rstest]
    #[case("git version 2.38.0\n", true)]
    #[case("git version 2.39.5 (Apple Git-154)\n", true)]
    #[case("git version 3.0.0.rc1\n", true)]
    #[case("git version 2.37.7\n", false)]
    #[case("git version 1.9.5\n", false)]
    #[case("git version next\n", false)]
    #[case("hub version 2.40.1\n", false)]
    #[case("", false)]
    fn only_2_38_and_newer_will_do(#[case] said: &str, #[case] good: bool) {
        assert_eq!(check(said.as_bytes()).is_ok(), good, "{said}");
    }

    #[test]
    fn a_program_that_cannot_run_is_named() {
        let denied = unusable(OsStr::new("git"), &io::ErrorKind::PermissionDenied.into());
        assert_eq!(
            denied.to_string(),
            "the program `git` could not be run: permission denied; git 2.38 or newer is needed"
        );
    }
}
