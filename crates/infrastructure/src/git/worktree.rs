//! Making and removing the directories of attempts and previews.
//!
//! `git worktree add` and `remove` race with each other over names in the common git directory,
//! so both run under a file lock there, over all processes and state directories. The kernel
//! frees it when the process ends, however it ends.

use std::fs::{self, File};
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agents_domain::oid::Oid;
use agents_domain::workspace::{Slot, WorkspaceError};

use super::command::Git;
use super::failure::{io, unsuitable};
use super::identity;
use super::paths::{Kind, Place};

/// Makes the directory, detached at `commit`; refused if it exists. `--no-track` would be refused
/// by git here: a detached HEAD has no upstream to track.
pub(super) fn add(
    git: &Git,
    root: &Path,
    slot: &Slot,
    kind: Kind,
    commit: &Oid,
) -> Result<PathBuf, WorkspaceError> {
    let common_dir = &slot.project.common_dir;
    let place = Place::of(root, slot, kind);
    let _held = hold_worktrees(common_dir)?;
    let dir = place.claim(slot)?;
    let at = identity::with_identity(&git.repository(common_dir))?;
    let added = at.call(&["worktree", "add", "--quiet", "--detach"]).args([dir.as_os_str()]);
    match added.args([commit.as_str()]).run() {
        Ok(_) => Ok(dir),
        Err(error) => place.forget().and(Err(error)),
    }
}

/// Removes the directory if we made it; gone already is fine, and so is a repository that is gone.
pub(super) fn remove(git: &Git, root: &Path, slot: &Slot, kind: Kind) -> Result<(), WorkspaceError> {
    let place = Place::of(root, slot, kind);
    let Some(dir) = place.removable()? else { return Ok(()) };
    let common_dir = &slot.project.common_dir;
    let held = common_dir.is_dir().then(|| hold_worktrees(common_dir)).transpose()?;
    // Not by git: it refuses a worktree whose `.git` the child has broken. Set aside first: one
    // that is removed halfway must not be taken for what the attempt left.
    let aside = place.aside()?;
    remove_all(&aside)?;
    match fs::rename(&dir, &aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unsuitable(&dir, error)),
        _ => remove_all(&aside)?,
    }
    if held.is_some() {
        // With the directory gone this drops git's own record of it, one that a crash left
        // included; "no such worktree" is fine.
        let record = git.repository(common_dir).call(&["worktree", "remove", "--force", "--force"]);
        record.args([dir.as_os_str()]).output()?;
    }
    place.forget()
}

/// Drops git's own record of a directory that is not there.
pub(super) fn forget_record(git: &Git, common_dir: &Path, dir: &Path) -> Result<(), WorkspaceError> {
    let _held = hold_worktrees(common_dir)?;
    match fs::symlink_metadata(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => {}
        _ => return Err(unsuitable(dir, "it is there again")),
    }
    let record = git.repository(common_dir).call(&["worktree", "remove", "--force", "--force"]);
    // "No such worktree" is fine.
    record.args([dir.as_os_str()]).output().map(drop)
}

/// Removes a directory that may not be there. Links are not followed.
fn remove_all(dir: &Path) -> Result<(), WorkspaceError> {
    match fs::remove_dir_all(dir) {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unsuitable(dir, error)),
        _ => Ok(()),
    }
}

/// Waits for the worktree lock of a repository; dropping the file releases it.
fn hold_worktrees(common_dir: &Path) -> Result<File, WorkspaceError> {
    hold(&common_dir.join("agents-worktrees.lock"))
}

/// Waits for the lock of that file, which is made if it is not there.
pub(super) fn hold(path: &Path) -> Result<File, WorkspaceError> {
    let file = File::options().create(true).append(true).open(path).map_err(io(path))?;
    // A signal may interrupt the wait; it goes on.
    while let Err(error) = file.lock() {
        if error.kind() != ErrorKind::Interrupted {
            return Err(unsuitable(path, error));
        }
    }
    Ok(file)
}
