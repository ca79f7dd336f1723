//! Files that an action copies from the user's checkout into a worktree, such as `.env.local`.
//!
//! Each is a plain file, named relative to the root. They are checked before anything is made.

use std::fs;
use std::path::{Component, Path, PathBuf};

use agents_domain::workspace::{Project, WorkspaceError};

use super::failure::{io, unsuitable};
use super::mirror;

/// Whether there is a checkout to copy from: a mirror of a remote has none.
pub(super) fn possible(project: &Project, copy: &[String]) -> Result<(), WorkspaceError> {
    if copy.is_empty() || mirror::has_checkout(project) {
        return Ok(());
    }
    let host = project.machine.as_ref().map_or("another machine", |machine| machine.host.as_str());
    let reason = format!(
        "`worktree.copy` names files, but the checkout of {} they are in is on {host}; run the plan there",
        project.name
    );
    Err(unsuitable(&project.path, reason))
}

/// The paths, normalised; an error names the first that cannot be copied.
pub(super) fn check(checkout: &Path, copy: &[String]) -> Result<Vec<PathBuf>, WorkspaceError> {
    let files = normalised(copy)?;
    for file in &files {
        let source = checkout.join(file);
        match fs::metadata(&source) {
            Ok(found) if found.is_file() => {}
            Ok(_) => return Err(unsuitable(&source, "`worktree.copy` names files only")),
            Err(error) => return Err(unsuitable(&source, format!("`worktree.copy` names it, but: {error}"))),
        }
    }
    Ok(files)
}

/// The paths without `.` components; those that leave the checkout are refused.
pub(super) fn normalised(copy: &[String]) -> Result<Vec<PathBuf>, WorkspaceError> {
    let inside = |part: &Component<'_>| matches!(part, Component::Normal(_) | Component::CurDir);
    let mut files = Vec::new();
    for name in copy {
        let parts = Path::new(name).components();
        let file: PathBuf = parts.clone().filter(|part| *part != Component::CurDir).collect();
        if file.as_os_str().is_empty() || !parts.clone().all(|part| inside(&part)) {
            return Err(unsuitable(Path::new(name), "`worktree.copy` takes paths inside of the checkout"));
        }
        files.push(file);
    }
    Ok(files)
}

/// Copies contents and permissions; parents are made.
pub(super) fn copy(checkout: &Path, dir: &Path, files: &[PathBuf]) -> Result<(), WorkspaceError> {
    for file in files {
        let target = dir.join(file);
        // A link that the repository tracks could lead the copy out of the worktree.
        let below = file.ancestors().filter(|part| !part.as_os_str().is_empty());
        if let Some(link) = below.map(|part| dir.join(part)).find(|part| part.is_symlink()) {
            return Err(unsuitable(&link, "a link is where a file of `worktree.copy` goes"));
        }
        let parent = target.parent().unwrap_or(dir);
        fs::create_dir_all(parent).map_err(io(parent))?;
        fs::copy(checkout.join(file), &target).map_err(io(&target))?;
    }
    Ok(())
}
