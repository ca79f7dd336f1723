//! Snapshots: what an attempt left behind becomes one commit in a ref of its own.
//!
//! The worktree, its index and its HEAD stay as they are. All is done on a private index:
//!
//! 1. copy the index (its stat data saves reading every file again),
//! 2. add what differs and what is untracked, less ignored and copied files,
//! 3. `write-tree`; a tree equal to HEAD's makes HEAD the snapshot, no empty commit,
//! 4. `commit-tree -p HEAD`: commits that the child made are its history,
//! 5. create `refs/agents/<ULID>/<attempt>/<token>/<project>`, never overwriting it.
//!
//! A state that an earlier holder of the plan has put into a ref already stays there; without a
//! directory the newest of those is what the attempt left.
//!
//! Left out, and a reason to keep the directory: ignored files outside of caches, nested
//! repositories, untracked files above 100 MiB.

use std::collections::HashSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agents_domain::lock::FencingToken;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Slot, Snapshot, WorkspaceError};

use super::command::{At, Git};
use super::failure::unsuitable;
use super::index::{self, PrivateIndex};
use super::keep::{self, LeftOut};
use super::kept::{self, Kept};
use super::output::Changed;
use super::paths::{Kind, Place};
use super::{copy, identity, output, refs};

type Names = HashSet<Vec<u8>>;

/// Takes the snapshot of an attempt; repeated on an unchanged directory it is the first one.
pub(super) fn take(
    git: &Git,
    root: &Path,
    slot: &Slot,
    start: &Oid,
    token: Option<FencingToken>,
    copied: &[String],
) -> Result<Snapshot, WorkspaceError> {
    let place = Place::of(root, slot, Kind::Attempt);
    let absent = || WorkspaceError::NoDirectory { path: place.path().display().to_string() };
    let Some(dir) = place.ours()? else { return earlier(git, slot, start)?.ok_or_else(absent) };
    let at = git.worktree(&dir);
    let git_dir = own_git_dir(&at, slot)?;
    let copied = names_of(copied)?;
    refuse_committed(&at, start, &copied)?;
    let mut left_out = LeftOut::default();
    let tree = write_tree(&at, &git_dir, &dir, &copied, &mut left_out)?;
    let reference =
        // 0 is never granted: it stands for an attempt without a lock.
        format!("refs/agents/{}/{}/{}/{}", slot.plan, slot.attempt, token.map_or(0, FencingToken::value), refs::component(&slot.project.name));
    let (reference, commit) = keep_in_ref(&at, slot, &tree, reference)?;
    let found = changes(&at, start, &commit)?;
    let links = found.iter().filter(|change| change.gitlink);
    left_out.nested.extend(links.map(|change| change.path.clone()));
    let changed = found.iter().map(|change| output::text(&change.path)).collect();
    Ok(Snapshot { commit, reference, changed, keep_directory: left_out.reason() })
}

fn changes(at: &At<'_>, start: &Oid, commit: &Oid) -> Result<Vec<Changed>, WorkspaceError> {
    if start == commit {
        return Ok(Vec::new());
    }
    let raw = at.call(&["diff-tree", "-r", "-z", "--raw", "--no-renames"]);
    Ok(output::changes(&raw.args([start.as_str(), commit.as_str()]).run()?))
}

/// The newest snapshot of an attempt whose directory is gone.
fn earlier(git: &Git, slot: &Slot, start: &Oid) -> Result<Option<Snapshot>, WorkspaceError> {
    if !slot.project.common_dir.is_dir() {
        return Ok(None);
    }
    let at = git.repository(&slot.project.common_dir);
    let Some(Kept { reference, commit, .. }) = kept::newest(&at, slot)? else { return Ok(None) };
    let changed = changes(&at, start, &commit)?.iter().map(|change| output::text(&change.path)).collect();
    Ok(Some(Snapshot { commit, reference, changed, keep_directory: None }))
}

/// The git directory of the worktree, which must still be one of the project's.
fn own_git_dir(at: &At<'_>, slot: &Slot) -> Result<PathBuf, WorkspaceError> {
    let git_dir = index::git_dir(at)?;
    if common_dir(&git_dir).as_ref() != Some(&slot.project.common_dir) {
        return Err(unsuitable(at.dir, "its `.git` no longer belongs to the project's repository"));
    }
    index::refuse_locked(&git_dir)?;
    Ok(git_dir)
}

/// What git says to `--git-common-dir`: where the file `commondir` leads, from where it lies; without
/// it, the git directory itself (gitrepository-layout). One process less for each attempt.
fn common_dir(git_dir: &Path) -> Option<PathBuf> {
    let common = match fs::read(git_dir.join("commondir")) {
        Ok(line) => git_dir.join(output::path_line(&line)),
        Err(error) if error.kind() == ErrorKind::NotFound => git_dir.to_owned(),
        Err(_) => return None,
    };
    fs::canonicalize(common).ok()
}

fn names_of(copied: &[String]) -> Result<Names, WorkspaceError> {
    let paths = copy::normalised(copied)?;
    Ok(paths.into_iter().map(|path| path.into_os_string().into_encoded_bytes()).collect())
}

/// Copied files are often secrets. One that the child has committed is in the history that would
/// land; there is no snapshot without it.
fn refuse_committed(at: &At<'_>, start: &Oid, copied: &Names) -> Result<(), WorkspaceError> {
    if copied.is_empty() {
        return Ok(());
    }
    let range = format!("{start}..HEAD");
    let log = ["log", "-z", "--format=", "--name-only", "--no-renames", "--full-history", "-m", &range];
    let touched = at.call(&log).run()?;
    match output::fields(&touched).find(|path| copied.contains(*path)) {
        Some(path) => {
            let why = "the command committed it, but it was only copied in and must not be kept";
            Err(unsuitable(&output::path(path), why))
        }
        None => Ok(()),
    }
}

/// The tree of everything tracked and untracked; what had to be left out is noted.
fn write_tree(
    at: &At<'_>,
    git_dir: &Path,
    dir: &Path,
    copied: &Names,
    left_out: &mut LeftOut,
) -> Result<Oid, WorkspaceError> {
    let index = PrivateIndex::of(at, git_dir)?;
    let private = index.at(at);
    // Refreshing first: files only touched need no second look. Exit 1 says some have changed.
    private.call(&["update-index", "-q", "--refresh"]).run_or(&[1])?;
    let mut add = list(&private, &["diff-files", "-z", "--name-only", "--no-renames"], copied)?;
    for path in list(&private, &["ls-files", "-z", "-o", "--exclude-standard"], copied)? {
        if path.ends_with(b"/") {
            left_out.nested.push(path);
        } else if is_large(&dir.join(output::path(&path))) {
            left_out.large.push(path);
        } else {
            add.push(path);
        }
    }
    let ignored =
        list(&private, &["ls-files", "-z", "-o", "-i", "--exclude-standard", "--directory"], copied)?;
    let known = |path: &Path| copied.contains(path.as_os_str().as_encoded_bytes());
    left_out
        .ignored
        .extend(ignored.into_iter().filter(|path| keep::matters(dir, &output::path(path), &known)));
    let update = ["update-index", "-z", "--add", "--remove", "--replace", "--stdin"];
    if !add.is_empty() {
        private.call(&update).input(output::joined(&add)).run()?;
    }
    if !copied.is_empty() {
        // The child may have staged them.
        let reset = ["reset", "-q", "--pathspec-from-file=-", "--pathspec-file-nul", "HEAD"];
        let literal = private.with("GIT_LITERAL_PATHSPECS", "1");
        literal.call(&reset).input(output::joined(copied)).run()?;
    }
    private.call(&["write-tree"]).run_oid()
}

fn list(at: &At<'_>, command: &[&str], copied: &Names) -> Result<Vec<Vec<u8>>, WorkspaceError> {
    let listed = at.call(command).run()?;
    Ok(output::fields(&listed).filter(|path| !copied.contains(*path)).map(<[u8]>::to_vec).collect())
}

fn is_large(path: &Path) -> bool {
    fs::symlink_metadata(path).is_ok_and(|found| found.is_file() && found.len() > keep::LARGE)
}

/// Puts the tree into the ref, on top of HEAD; the ref that has it, and the commit it is at.
fn keep_in_ref(
    at: &At<'_>,
    slot: &Slot,
    tree: &Oid,
    reference: String,
) -> Result<(String, Oid), WorkspaceError> {
    let head = at.call(&["rev-parse", "--verify", "-q", "HEAD^{commit}"]).run_oid()?;
    let all = kept::of_plan(at, &slot.project, slot.plan)?;
    if let Some(first) = all.iter().find(|kept| kept.reference == reference) {
        return same(at, first.commit.clone(), &head, tree, reference);
    }
    // Who held the plan before may have died between its snapshot and the record of it.
    if let Some(before) = all.into_iter().rfind(|kept| kept.attempt == slot.attempt)
        && is_of(at, &before.commit, &head, tree)?
    {
        return Ok((before.reference, before.commit));
    }
    let commit = if refs::tree(at, &head)? == *tree { head.clone() } else { commit(at, slot, tree, &head)? };
    let Err(error) = refs::swap(at, &reference, None, &commit, "agents: snapshot") else {
        return Ok((reference, commit));
    };
    match refs::read(at, &reference)? {
        Some(first) => same(at, first, &head, tree, reference),
        None => Err(error),
    }
}

fn commit(at: &At<'_>, slot: &Slot, tree: &Oid, head: &Oid) -> Result<Oid, WorkspaceError> {
    let message = format!(
        "agents: attempt {} in {}\n\nPlan {}. A snapshot of everything that was not ignored.\n",
        slot.attempt, slot.project.name, slot.plan
    );
    let at = identity::with_identity(at)?;
    at.call(&["commit-tree", tree.as_str(), "-p", head.as_str()]).input(message.into()).run_oid()
}

/// An earlier snapshot, if it is of the same state.
fn same(
    at: &At<'_>,
    first: Oid,
    head: &Oid,
    tree: &Oid,
    reference: String,
) -> Result<(String, Oid), WorkspaceError> {
    if is_of(at, &first, head, tree)? {
        return Ok((reference, first));
    }
    let (expected, found) = ("absent".to_owned(), format!("{first}, a snapshot of another state"));
    Err(WorkspaceError::RefMoved { reference, expected, found })
}

/// Whether a snapshot is of that tree on top of that HEAD.
fn is_of(at: &At<'_>, snapshot: &Oid, head: &Oid, tree: &Oid) -> Result<bool, WorkspaceError> {
    let of_head = snapshot == head || parents(at, snapshot)?.contains(head.as_str());
    Ok(of_head && refs::tree(at, snapshot)? == *tree)
}

fn parents(at: &At<'_>, commit: &Oid) -> Result<String, WorkspaceError> {
    let line = at.call(&["rev-list", "--no-walk", "--parents", commit.as_str()]).run()?;
    Ok(output::text(&line))
}
