//! A private copy of a checkout's index: what-if on it changes nothing for anybody else.
//!
//! The copy keeps the modification time of the original. Git takes an entry for unchanged if its
//! times match and it is older than the index; a younger copy would hide a change of the same
//! size made within the tick of the clock in which the index was written.

use std::fs::{self, File};
use std::io::{self, ErrorKind};
use std::path::{Path, PathBuf};

use agents_domain::workspace::WorkspaceError;

use super::command::At;
use super::failure::{describe_lock, unsuitable};
use super::{failure, output};

/// What the names of private indexes begin with.
const PREFIX: &str = "agents-index.";

/// An index file of our own beside the real one; removed when dropped.
pub(super) struct PrivateIndex {
    path: PathBuf,
}

impl PrivateIndex {
    /// Copies the index of a checkout; a missing one is read from HEAD.
    pub(super) fn of(at: &At<'_>, git_dir: &Path) -> Result<Self, WorkspaceError> {
        let (original, copy) = (git_dir.join("index"), Self::reserve(git_dir)?);
        match copy_with_time(&original, &copy.path) {
            Ok(()) => {}
            Err(error) if error.kind() == ErrorKind::NotFound => {
                fs::remove_file(&copy.path).map_err(failure::io(&copy.path))?;
                copy.at(at).call(&["read-tree", "HEAD"]).run()?;
            }
            Err(error) => return Err(unsuitable(&original, error)),
        }
        Ok(copy)
    }

    /// The same place with this index instead of the real one.
    pub(super) fn at<'a>(&self, at: &At<'a>) -> At<'a> {
        at.with("GIT_INDEX_FILE", &self.path)
    }

    /// A name that nobody else uses, in this process or another.
    fn reserve(git_dir: &Path) -> Result<Self, WorkspaceError> {
        let process = std::process::id();
        let mut tries = (0_u32..).map(|number| git_dir.join(format!("{PREFIX}{process}.{number}")));
        let free = tries.find_map(|path| match File::create_new(&path) {
            Ok(_) => Some(Ok(Self { path })),
            Err(error) if error.kind() == ErrorKind::AlreadyExists => None,
            Err(error) => Some(Err(unsuitable(&path, error))),
        });
        free.expect("numbers do not run out before the disk does")
    }
}

impl Drop for PrivateIndex {
    fn drop(&mut self) {
        // What stays is garbage of a name of ours, and harmless.
        drop(fs::remove_file(&self.path));
    }
}

fn copy_with_time(from: &Path, to: &Path) -> io::Result<()> {
    let written = fs::metadata(from)?.modified()?;
    fs::copy(from, to)?;
    File::options().write(true).open(to)?.set_modified(written)
}

/// The git directory of a checkout itself, not the common one.
pub(super) fn git_dir(at: &At<'_>) -> Result<PathBuf, WorkspaceError> {
    Ok(output::path_line(&at.call(&["rev-parse", "--absolute-git-dir"]).run()?))
}

/// Refuses a git directory in which a git was cut off, or is still at work.
pub(super) fn refuse_locked(git_dir: &Path) -> Result<(), WorkspaceError> {
    for entry in fs::read_dir(git_dir).map_err(failure::io(git_dir))?.flatten() {
        let name = entry.file_name();
        let name = name.as_encoded_bytes();
        if name.ends_with(b".lock") && !name.starts_with(PREFIX.as_bytes()) {
            return Err(failure::git("snapshot", git_dir, describe_lock(&entry.path())));
        }
    }
    Ok(())
}
