//! Checkouts of a branch that is moved: whether they can follow it, and following. A plan lands on the
//! user's branch, and its own branch may be checked out, too, by who merges there by hand.
//!
//! Only paths that differ between `old` and `new` matter; changes elsewhere stay as they are. At
//! such a path, what lies on disk and in the index must be as in `old` or as in `new`. As in
//! `new` is fine: a follow that was cut off has written it, or the user made the same change. All
//! else is in the way, and so are untracked and ignored files where `new` has one.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Output;

use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, Project, WorkspaceError};

use super::command::{At, Git};
use super::index::{self, PrivateIndex};
use super::touched::{Names, diff};
use super::{failure, inspect, output, refs, worktree};

/// A branch from one commit to another.
pub(super) struct Move<'a> {
    pub(super) reference: &'a str,
    pub(super) old: &'a Oid,
    pub(super) new: &'a Oid,
}

impl<'a> Move<'a> {
    /// That of a landing. With a remote it is not the checkout's branch that moves: that follows when its
    /// user pulls.
    pub(super) fn of_landing(project: &Project, intent: &'a Intent) -> Option<Self> {
        let Intent { reference, old, new, .. } = intent;
        project.remote.is_none().then_some(Self { reference, old, new })
    }
}

/// Moves a branch, from `old` (`None`: absent) to `new`, by compare-and-swap, and all checkouts of it along. It
/// stays where it is if one of them could not follow.
///
/// Crash semantics: who dies right after the branch was moved leaves a checkout behind it, which shows what
/// is new as if it had been taken back.
pub(super) fn swap(
    git: &Git,
    project: &Project,
    reference: &str,
    old: Option<&Oid>,
    new: &Oid,
    why: &str,
) -> Result<(), WorkspaceError> {
    let checked_out = may_follow(git, project, reference, old, new)?;
    refs::swap(&git.repository(&project.common_dir), reference, old, new, why)?;
    checked_out.map_or(Ok(()), |moved| follow(git, project, &moved))
}

/// What checkouts have to follow, and could; `None`: there are none.
pub(super) fn may_follow<'a>(
    git: &Git,
    project: &Project,
    reference: &'a str,
    old: Option<&'a Oid>,
    new: &'a Oid,
) -> Result<Option<Move<'a>>, WorkspaceError> {
    let moved = old.map(|old| Move { reference, old, new });
    let Some(moved) = moved.filter(|_| may_be_checked_out(&project.common_dir, reference)) else {
        return Ok(None);
    };
    check(git, project, &moved)?;
    Ok(Some(moved))
}

/// Whether a look is worth its git commands. A repository whose refs are in tables tells nothing by its files.
fn may_be_checked_out(common_dir: &Path, reference: &str) -> bool {
    let names = |head: PathBuf| {
        let content = fs::read_to_string(head).unwrap_or_default();
        content.strip_prefix("ref: ").is_some_and(|found| found.trim_end() == reference)
    };
    let linked = fs::read_dir(common_dir.join("worktrees")).into_iter().flatten().flatten();
    common_dir.join("reftable").is_dir()
        || names(common_dir.join("HEAD"))
        || linked.into_iter().any(|worktree| names(worktree.path().join("HEAD")))
}

/// Whether all checkouts of the ref could follow it; nothing is written but private files and
/// objects that no ref holds.
pub(super) fn check(git: &Git, project: &Project, moved: &Move<'_>) -> Result<(), WorkspaceError> {
    for dir in checkouts(git, project, moved.reference)? {
        let at = git.directory(&dir);
        refuse_locked_index(&at)?;
        let touched = diff(&at, &["diff-tree", "-r"], &[moved.old, moved.new])?;
        let now = Working::look(&at, &touched)?;
        let in_way = now.in_way(&at, &touched, moved)?;
        if !in_way.is_empty() {
            return Err(dirty(&dir, in_way.iter().map(|path| output::text(path)).collect()));
        }
        move_along(&now.index.at(&at), &["-n"], moved)?;
    }
    Ok(())
}

/// A checkout whose index another git has locked, or left locked, could not follow. All else that
/// is looked at happens in private copies, which such a lock does not stop.
fn refuse_locked_index(at: &At<'_>) -> Result<(), WorkspaceError> {
    let lock = index::git_dir(at)?.join("index.lock");
    let there = fs::symlink_metadata(&lock).is_ok();
    if there { Err(failure::git("read-tree", at.dir, failure::describe_lock(&lock))) } else { Ok(()) }
}

/// Moves all checkouts of the ref along. What has been done before stays done.
pub(super) fn follow(git: &Git, project: &Project, moved: &Move<'_>) -> Result<(), WorkspaceError> {
    let repository = git.repository(&project.common_dir);
    if refs::read(&repository, moved.reference)?.as_ref() != Some(moved.new) {
        // It has moved on: whoever moved it had a checkout that followed, or sees the difference.
        return Ok(());
    }
    for dir in checkouts(git, project, moved.reference)? {
        let at = git.directory(&dir);
        let touched = diff(&at, &["diff-tree", "-r"], &[moved.old, moved.new])?;
        if followed(&at, &touched, moved)? {
            continue;
        }
        // Without `-q`, which would keep quiet about a lock as well. Exit 1: some files differ.
        at.call(&["update-index", "--refresh"]).run_or(&[1])?;
        let done = Working::look(&at, &touched)?.already_new(&at, &touched, moved)?;
        stage(&at, &done)?;
        move_along(&at, &[], moved)?;
    }
    Ok(())
}

/// Whether the index has left `old` before. Paths that `new` adds are in `old`'s state too if the
/// user has removed them since, so they count only if there are no others.
fn followed(at: &At<'_>, touched: &Names, moved: &Move<'_>) -> Result<bool, WorkspaceError> {
    let sides = [moved.old, moved.new];
    let existed = diff(at, &["diff-tree", "-r", "--diff-filter=a"], &sides)?;
    let left = diff(at, &["diff-index", "--cached"], &[moved.old])?;
    if existed.is_empty() { Ok(!touched.is_disjoint(&left)) } else { Ok(existed.is_subset(&left)) }
}

/// The roots of all checkouts of a ref, the main one and linked ones.
fn checkouts(git: &Git, project: &Project, reference: &str) -> Result<BTreeSet<PathBuf>, WorkspaceError> {
    let listed = worktree::list(git, &project.common_dir)?;
    let mut found = BTreeSet::new();
    let mut root = PathBuf::new();
    for field in output::fields(&listed) {
        if let Some(path) = field.strip_prefix(b"worktree ") {
            root = output::path(path);
        } else if field.strip_prefix(b"branch ") == Some(reference.as_bytes()) {
            found.insert(root.clone());
        }
    }
    // Git lists the main checkout wrongly if its git directory lies elsewhere.
    let head = git.directory(&project.path).call(&["symbolic-ref", "-q", "HEAD"]).output()?.stdout;
    if output::text(&head) == reference
        && inspect::locate(git, &project.path)?.as_ref() == Some(&project.common_dir)
    {
        found.insert(project.path.clone());
    }
    // A directory that is gone, or that is a git directory, is no checkout.
    let there = found.into_iter().filter(|root| fs::symlink_metadata(root.join(".git")).is_ok());
    Ok(there.filter_map(|root| fs::canonicalize(root).ok()).collect())
}

/// Puts what lies on disk at these paths into an index.
fn stage(at: &At<'_>, paths: &Names) -> Result<(), WorkspaceError> {
    // A directory is not one entry; `read-tree` judges it by what is in it.
    let is_dir = |path: &[u8]| {
        let found = fs::symlink_metadata(at.dir.join(output::path(path)));
        found.is_ok_and(|found| found.is_dir())
    };
    let files = paths.iter().filter(|path| !is_dir(path));
    let update = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
    let staged = at.call(&update).input(output::joined(files)).output()?;
    refuse(at, "update-index", &staged)
}

/// `read-tree -m -u old new`: git's own two-way merge of a checkout.
fn move_along(at: &At<'_>, options: &[&str], moved: &Move<'_>) -> Result<(), WorkspaceError> {
    let call = at.call(&["read-tree", "-m", "-u"]).args(options);
    let moved = call.args([moved.old.as_str(), moved.new.as_str()]).output()?;
    refuse(at, "read-tree", &moved)
}

/// A refusal of git becomes an error that names the files, unless it is about a lock.
fn refuse(at: &At<'_>, shown: &str, answer: &Output) -> Result<(), WorkspaceError> {
    let said = output::text(&answer.stderr);
    if answer.status.success() {
        return Ok(());
    }
    let files = named(&said);
    if failure::lock_in_the_way(&said).is_some() || files.is_empty() {
        return Err(failure::of_command(shown, at.dir, answer));
    }
    Err(dirty(at.dir, files))
}

/// The files that refusals of `read-tree` and `update-index` name in quotes.
fn named(said: &str) -> Vec<String> {
    const REFUSALS: [&str; 4] = ["would be", "would lose", "not uptodate", "beyond a symbolic link"];
    let refusals = said.lines().filter(|line| REFUSALS.iter().any(|words| line.contains(words)));
    refusals.filter_map(|line| Some(line.split_once('\'')?.1.split_once('\'')?.0.to_owned())).collect()
}

fn dirty(dir: &Path, files: Vec<String>) -> WorkspaceError {
    WorkspaceError::DirtyCheckout { path: dir.display().to_string(), files }
}

/// A private index that holds, at the touched paths, what lies on disk.
struct Working {
    index: PrivateIndex,
}

impl Working {
    fn look(at: &At<'_>, touched: &Names) -> Result<Self, WorkspaceError> {
        let index = PrivateIndex::of(at, &index::git_dir(at)?)?;
        stage(&index.at(at), touched)?;
        Ok(Self { index })
    }

    /// The touched paths at which the disk or the index is neither as in `old` nor as in `new`.
    fn in_way(&self, at: &At<'_>, touched: &Names, moved: &Move<'_>) -> Result<Names, WorkspaceError> {
        // Git moves no index with unfinished merges, wherever they are.
        let mut in_way = diff(at, &["diff-files", "--diff-filter=U"], &[])?;
        for place in [&self.index.at(at), at] {
            let old = diff(place, &["diff-index", "--cached"], &[moved.old])?;
            let new = diff(place, &["diff-index", "--cached"], &[moved.new])?;
            in_way.extend(touched.iter().filter(|path| old.contains(*path) && new.contains(*path)).cloned());
        }
        Ok(in_way)
    }

    /// The touched paths at which the disk is as in `new`.
    fn already_new(&self, at: &At<'_>, touched: &Names, moved: &Move<'_>) -> Result<Names, WorkspaceError> {
        let differing = diff(&self.index.at(at), &["diff-index", "--cached"], &[moved.new])?;
        Ok(touched.difference(&differing).cloned().collect())
    }
}
