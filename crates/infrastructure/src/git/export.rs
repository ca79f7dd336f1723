//! Putting commits into a new directory of plain files: no checkout, no worktree, no history.
//!
//! All is written beside the directory first and put in place by one rename: after a failure or a
//! crash the directory is not there. Git's own index and checkouts stay as they are.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, WorkspaceError};

use super::command::Git;
use super::failure::{io, unsuitable};

/// Writes each commit's files into `dir`: of one project directly, of several into a directory by
/// the name of each. Refused if `dir` is there and not empty, or lies in one of the repositories.
/// Blocks; if the process dies, a directory whose name begins with `.agents-restore` may be left
/// beside it. Returns where `dir` is.
pub fn export(git: &Git, commits: &[(&Project, Oid)], dir: &Path) -> Result<PathBuf, WorkspaceError> {
    git.check()?;
    let target = vacant(dir)?;
    let inside =
        |project: &Project| target.starts_with(&project.path) || target.starts_with(&project.common_dir);
    if let Some((project, _)) = commits.iter().find(|(project, _)| inside(project)) {
        return Err(unsuitable(dir, format!("it is inside of the project {}", project.name)));
    }
    let parent = target.parent().unwrap_or(Path::new("/"));
    let scratch = parent.join(format!(".agents-restore.{}", std::process::id()));
    fs::create_dir(&scratch).map_err(io(&scratch))?;
    let done = fill(git, commits, &scratch)
        .and_then(|made| fs::rename(made, &target).map_err(|error| unsuitable(dir, error)));
    let cleared = fs::remove_dir_all(&scratch).map_err(io(&scratch));
    done.and(cleared).map(|()| target)
}

/// The path in its canonical parent, if nothing is there yet.
fn vacant(dir: &Path) -> Result<PathBuf, WorkspaceError> {
    if let Ok(found) = fs::symlink_metadata(dir) {
        let empty = found.is_dir() && fs::read_dir(dir).map_err(io(dir))?.next().is_none();
        return if empty {
            fs::canonicalize(dir).map_err(io(dir))
        } else {
            Err(unsuitable(dir, "it is there already; name a directory that is new or empty"))
        };
    }
    let name = dir.file_name().ok_or_else(|| unsuitable(dir, "it names no directory"))?;
    let parent = match dir.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    };
    match fs::canonicalize(parent) {
        Ok(parent) => Ok(parent.join(name)),
        Err(error) if error.kind() == ErrorKind::NotFound => Err(unsuitable(parent, "it does not exist")),
        Err(error) => Err(unsuitable(parent, error)),
    }
}

fn fill(git: &Git, commits: &[(&Project, Oid)], scratch: &Path) -> Result<PathBuf, WorkspaceError> {
    let (tree, index) = (scratch.join("tree"), scratch.join("index"));
    for (project, commit) in commits {
        let place = if commits.len() == 1 { tree.clone() } else { tree.join(project.name.as_str()) };
        fs::create_dir_all(&place).map_err(io(&place))?;
        let at = git.repository(&project.common_dir).with("GIT_INDEX_FILE", &index);
        at.call(&["read-tree", "--reset"]).args([commit.as_str()]).run()?;
        at.with("GIT_WORK_TREE", &place).call(&["checkout-index", "--all", "--quiet"]).run()?;
        fs::remove_file(&index).map_err(io(&index))?;
    }
    Ok(tree)
}
