//! Making and removing the directories of attempts and previews.
//!
//! `git worktree add` and `remove` race with each other over names in the common git directory,
//! so both run under a file lock there, over all processes and state directories. The kernel
//! frees it when the process ends, however it ends. The children of a plan wait there for each
//! other, so nothing is done under it that need not be: the identity is asked for before, and what
//! was in a directory is removed before.

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
    place.make_way()?;
    let at = identity::with_identity(&git.repository(common_dir))?;
    let _held = hold_worktrees(common_dir)?;
    let dir = place.claim(slot)?;
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
    // Not by git: it refuses a worktree whose `.git` the child has broken. Set aside first: one
    // that is removed halfway must not be taken for what the attempt left.
    let aside = place.aside()?;
    remove_all(&aside)?;
    match fs::rename(&dir, &aside) {
        Err(error) if error.kind() != ErrorKind::NotFound => return Err(unsuitable(&dir, error)),
        _ => remove_all(&aside)?,
    }
    forget(git, common_dir, &place, &dir)
}

/// Drops git's record of a directory that was removed, and then our marker of it.
fn forget(git: &Git, common_dir: &Path, place: &Place, dir: &Path) -> Result<(), WorkspaceError> {
    let held = common_dir.is_dir().then(|| hold_worktrees(common_dir)).transpose()?;
    if is_there(dir) {
        // Made again by whoever has the plan now: git would remove that.
        return Ok(());
    }
    if held.is_some() {
        drop_record(git, common_dir, dir)?;
    }
    place.forget()
}

/// Drops git's own record of a directory that is not there.
pub(super) fn forget_record(git: &Git, common_dir: &Path, dir: &Path) -> Result<(), WorkspaceError> {
    let _held = hold_worktrees(common_dir)?;
    if is_there(dir) { Err(unsuitable(dir, "it is there again")) } else { drop_record(git, common_dir, dir) }
}

/// The same for whoever holds the lock and knows that it is not there. One that a crash left is
/// dropped, too; "no such worktree" is fine.
fn drop_record(git: &Git, common_dir: &Path, dir: &Path) -> Result<(), WorkspaceError> {
    let record = git.repository(common_dir).call(&["worktree", "remove", "--force", "--force"]);
    record.args([dir.as_os_str()]).output().map(drop)
}

/// Git's list of worktrees, whose fields end with NUL. It fails over one that is only half made. Ours are
/// made under the lock, so git is asked again there; a user's own, whom nothing keeps, are made in a moment.
pub(super) fn list(git: &Git, common_dir: &Path) -> Result<Vec<u8>, WorkspaceError> {
    let listed = || git.repository(common_dir).call(&["worktree", "list", "--porcelain", "-z"]).run();
    listed().or_else(|_| {
        let _held = hold_worktrees(common_dir)?;
        listed().or_else(|_| listed())
    })
}

/// Whether anything has that name, as far as can be seen.
fn is_there(path: &Path) -> bool {
    !fs::symlink_metadata(path).is_err_and(|error| error.kind() == ErrorKind::NotFound)
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

#[cfg(test)]
mod tests {
    use std::process::Command;

    use agents_domain::id::PlanId;
    use agents_domain::name::Name;
    use agents_domain::workspace::Project;

    use super::*;
    use crate::git::refs;

    /// A repository with a commit.
    fn repository(base: &Path) -> PathBuf {
        for line in ["init -q -b main repo", "-C repo commit -q --allow-empty -m first"] {
            let identity = ["-c", "user.name=t", "-c", "user.email=t@localhost"];
            let ran = Command::new("git").args(identity).args(line.split(' ')).current_dir(base).status();
            assert!(ran.expect("git").success(), "{line}");
        }
        base.join("repo")
    }

    /// Somebody is in the middle of `git worktree add`, under the lock.
    #[cfg(target_os = "linux")]
    #[test]
    fn a_worktree_that_is_only_half_made_is_waited_for() {
        let keep = tempfile::tempdir().expect("a directory");
        let common_dir = repository(keep.path()).join(".git");
        let half = common_dir.join("worktrees/half");
        fs::create_dir_all(&half).expect("a directory");
        for (file, text) in [("gitdir", "/nowhere/.git\n"), ("commondir", "")] {
            fs::write(half.join(file), text).expect("written");
        }
        assert!(git_lists(&common_dir).is_err(), "git fails over it");
        let held = hold_worktrees(&common_dir).expect("free");
        let inode = std::os::unix::fs::MetadataExt::ino(&held.metadata().expect("there"));
        let listing = {
            let common_dir = common_dir.clone();
            std::thread::spawn(move || list(&Git::default(), &common_dir))
        };
        let waits = |line: &str| line.contains("->") && line.contains(&format!(":{inode} "));
        while !fs::read_to_string("/proc/locks").expect("there").lines().any(waits) {
            assert!(!listing.is_finished(), "it did not wait");
            std::thread::yield_now();
        }
        fs::remove_dir_all(&half).expect("gone");
        drop(held);
        let listed = listing.join().expect("no panic").expect("listed");
        assert!(listed.starts_with(b"worktree "));
    }

    fn git_lists(common_dir: &Path) -> Result<Vec<u8>, WorkspaceError> {
        Git::default().repository(common_dir).call(&["worktree", "list"]).run()
    }

    #[test]
    fn a_directory_that_was_made_again_is_left_alone() {
        let keep = tempfile::tempdir().expect("a directory");
        let base = fs::canonicalize(keep.path()).expect("there");
        let (git, root, repo) = (Git::default(), base.join("state"), repository(&base));
        let (name, common_dir) = (Name::parse("api").expect("valid"), repo.join(".git"));
        let project = Project {
            name,
            path: repo,
            common_dir: common_dir.clone(),
            branch: "main".to_owned(),
            machine: None,
            remote: None,
        };
        let start = refs::target(&git.repository(&common_dir), &project).expect("a commit");
        let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
        let slot = Slot { plan, attempt: 1, project };
        let dir = add(&git, &root, &slot, Kind::Preview, &start).expect("made");
        let place = Place::of(&root, &slot, Kind::Preview);
        forget(&git, &common_dir, &place, &dir).expect("nothing to do");
        assert!(dir.join(".git").exists());
        remove(&git, &root, &slot, Kind::Preview).expect("it is still marked as ours");
        assert!(!dir.exists());
    }
}
