//! What a path is, before it becomes a project; repositories that cannot work are refused here.
//!
//! Refused, each with its reason: no repository, bare, no commit, submodules, git LFS, shallow
//! and partial clones, a detached HEAD without a branch named. A worktree of ours would lack what
//! they keep elsewhere, and a landing could not be judged from the objects that are there.
//!
//! All functions block, and change nothing.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use agents_domain::workspace::{Project, WorkspaceError};

use super::command::{At, Git};
use super::failure::unsuitable;
use super::{mirror, output, refs};

/// A repository that plans can work in.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Found {
    /// The root of the checkout that holds the path; of a linked worktree, that worktree.
    pub root: PathBuf,
    /// The canonical common git directory: what makes two paths the same project.
    pub common_dir: PathBuf,
    /// The branch that plans land on, without `refs/heads/`.
    pub branch: String,
}

/// Looks at the repository around `path`; without `branch`, plans land on the one checked out.
pub fn inspect(git: &Git, path: &Path, branch: Option<&str>) -> Result<Found, WorkspaceError> {
    git.check()?;
    let dir = existing_directory(path)?;
    let at = git.directory(&dir);
    refuse_odd_layout(&at, path)?;
    let root = canonical(&at.call(&["rev-parse", "--show-toplevel"]).run()?, path)?;
    let common_dir = common_dir(&at, path)?;
    let at = git.repository(&common_dir);
    refuse_incomplete(&at, path)?;
    let branch = choose_branch(&at, &git.directory(&dir), path, branch)?;
    refuse_contents(&at, path, &common_dir, &branch)?;
    Ok(Found { root, common_dir, branch })
}

/// The canonical common git directory of the repository around `path`, if there is one: how a path
/// inside of a registered repository finds its project.
pub fn locate(git: &Git, path: &Path) -> Result<Option<PathBuf>, WorkspaceError> {
    git.check()?;
    let Ok(dir) = existing_directory(path) else { return Ok(None) };
    Ok(common_dir(&git.directory(&dir), path).ok())
}

/// Whether a registered project, as it is on this machine, can be worked on: its repository is where
/// it was, and has the branch that plans land on. Of a remote nothing is asked.
pub fn check_project(git: &Git, project: &Project) -> Result<(), WorkspaceError> {
    if !mirror::has_checkout(project) {
        return Ok(());
    }
    if locate(git, &project.path)?.as_ref() != Some(&project.common_dir) {
        let reason = format!("the repository of {} is not there any more; put it back", project.name);
        return Err(unsuitable(&project.path, reason));
    }
    if project.remote.is_some() {
        return Ok(());
    }
    refs::target(&git.repository(&project.common_dir), project).map(drop)
}

fn existing_directory(path: &Path) -> Result<PathBuf, WorkspaceError> {
    let dir = fs::canonicalize(path).map_err(|error| match error.kind() {
        io::ErrorKind::NotFound => unsuitable(path, "it does not exist"),
        _ => unsuitable(path, error),
    })?;
    if dir.is_dir() { Ok(dir) } else { Err(unsuitable(path, "it is not a directory")) }
}

fn common_dir(at: &At<'_>, path: &Path) -> Result<PathBuf, WorkspaceError> {
    canonical(&at.call(&["rev-parse", "--path-format=absolute", "--git-common-dir"]).run()?, path)
}

fn canonical(line: &[u8], path: &Path) -> Result<PathBuf, WorkspaceError> {
    fs::canonicalize(output::path_line(line)).map_err(|error| unsuitable(path, error))
}

fn refuse_odd_layout(at: &At<'_>, path: &Path) -> Result<(), WorkspaceError> {
    let asked = ["rev-parse", "--is-bare-repository", "--is-inside-work-tree", "--is-shallow-repository"];
    let answer = at.call(&asked).output()?;
    let said = output::text(&answer.stderr);
    if said.contains("not a git repository") {
        return Err(unsuitable(path, "it is not in a git repository"));
    }
    if !answer.status.success() {
        return Err(unsuitable(path, said));
    }
    match output::text(&answer.stdout).lines().collect::<Vec<_>>()[..] {
        ["true", ..] => Err(unsuitable(path, "it is a bare repository; plans need a checkout")),
        [_, "false", ..] => Err(unsuitable(path, "it is inside of a git directory, not of a checkout")),
        [.., "true"] => {
            Err(unsuitable(path, "it is a shallow clone; run `git fetch --unshallow` there first"))
        }
        _ => Ok(()),
    }
}

fn refuse_incomplete(at: &At<'_>, path: &Path) -> Result<(), WorkspaceError> {
    let keys = r"^(remote\..*\.(promisor|partialclonefilter)|extensions\.partialclone)$";
    let found = at.call(&["config", "-z", "--name-only", "--get-regexp", keys]).run_or(&[1])?;
    if found.stdout.is_empty() {
        return Ok(());
    }
    Err(unsuitable(path, "it is a partial clone: objects that a merge needs may be missing"))
}

/// The branch asked for, else the one checked out; it must have a commit.
fn choose_branch(
    at: &At<'_>,
    checkout: &At<'_>,
    path: &Path,
    asked: Option<&str>,
) -> Result<String, WorkspaceError> {
    let branch = match asked {
        Some(branch) => branch.to_owned(),
        None => checked_out(checkout, path)?,
    };
    if refs::read(at, &format!("refs/heads/{branch}"))?.is_some() {
        return Ok(branch);
    }
    if at.call(&["for-each-ref", "--count=1", "refs/heads"]).run()?.is_empty() {
        return Err(unsuitable(path, "it has no commit yet"));
    }
    Err(unsuitable(path, format!("it has no branch `{branch}`")))
}

fn checked_out(checkout: &At<'_>, path: &Path) -> Result<String, WorkspaceError> {
    let head = checkout.call(&["symbolic-ref", "-q", "HEAD"]).run_or(&[1])?.stdout;
    match output::text(&head).strip_prefix("refs/heads/") {
        Some(branch) => Ok(branch.to_owned()),
        None => Err(unsuitable(path, "its HEAD is detached; name the branch to land on with --branch")),
    }
}

fn refuse_contents(at: &At<'_>, path: &Path, common: &Path, branch: &str) -> Result<(), WorkspaceError> {
    let tree = format!("refs/heads/{branch}");
    let listed = at.call(&["ls-tree", "-r", "-z", "--full-tree", &tree]).run()?;
    let submodule = |entry: &[u8]| entry.starts_with(b"160000 ") || entry.ends_with(b"\t.gitmodules");
    if output::fields(&listed).any(submodule) {
        return Err(unsuitable(path, "it has submodules, which worktrees of plans would lack"));
    }
    // An attribute line that is no comment.
    let lfs = r"^[[:space:]]*[^#[:space:]].*filter=lfs";
    let grep = ["grep", "-q", "-E", "-e", lfs, &tree, "--", ":(top,glob)**/.gitattributes"];
    let tracked = at.call(&grep).run_or(&[1])?.status.success();
    let local = fs::read_to_string(common.join("info/attributes")).unwrap_or_default();
    let local = local.lines().any(|line| !line.trim_start().starts_with('#') && line.contains("filter=lfs"));
    if tracked || local {
        return Err(unsuitable(path, "it uses git LFS, whose files snapshots would not hold"));
    }
    Ok(())
}
