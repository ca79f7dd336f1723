//! Where the directories of attempts are, and the proof that we made them.
//!
//! ```text
//! <state>/worktrees/<ULID>/<attempt>/local~api                 the worktree
//!                                    local~api~made            its marker, written before it
//!                                    local~api~removed         the worktree while it is removed
//!                                    local~api~preview         a throwaway checkout of a merge
//!                                    local~api~preview~made    its marker
//! ```
//!
//! No name contains a `~`, so no two of these collide. The marker is beside the worktree: a child
//! that empties or replaces the directory cannot make or forge it by accident. Removal needs the
//! marker, and a canonical path that is the one we gave: a symlink put in its place, or in the
//! place of a parent, leads nowhere.

use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agents_domain::workspace::{Slot, WorkspaceError};

use super::failure::{io, unsuitable};

/// What a directory is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The worktree of an attempt.
    Attempt,
    /// A merge to validate.
    Preview,
}

/// The directory of one slot, there or not.
pub(super) struct Place {
    root: PathBuf,
    below: PathBuf,
    marker: PathBuf,
}

impl Place {
    /// The directory for `slot`; nothing is looked at yet.
    pub(super) fn of(root: &Path, slot: &Slot, kind: Kind) -> Self {
        let name = &slot.project.name;
        let suffix = if kind == Kind::Preview { "~preview" } else { "" };
        let leaf = format!("{}~{}{suffix}", name.namespace(), name.short());
        let parent = Path::new(slot.plan.as_str()).join(slot.attempt.to_string());
        let marker = root.join(&parent).join(format!("{leaf}~made"));
        Self { root: root.to_owned(), below: parent.join(leaf), marker }
    }

    /// The path, as given.
    pub(super) fn path(&self) -> PathBuf {
        self.root.join(&self.below)
    }

    /// Makes the directories above it, which says nothing yet.
    pub(super) fn make_way(&self) -> Result<(), WorkspaceError> {
        let path = self.path();
        let parent = path.parent().expect("a plan and an attempt are above it");
        fs::create_dir_all(parent).map_err(io(parent))
    }

    /// Marks the directory as ours, before git makes it; refused if something is there.
    pub(super) fn claim(&self, slot: &Slot) -> Result<PathBuf, WorkspaceError> {
        self.make_way()?;
        let path = self.path();
        let parent = path.parent().expect("a plan and an attempt are above it");
        let canonical = fs::canonicalize(parent).map_err(io(parent))?;
        if canonical.join(self.leaf()) != self.expected()? {
            return Err(unsuitable(&path, "a link leads out of the state directory"));
        }
        if fs::symlink_metadata(&path).is_ok() {
            return Err(unsuitable(&path, "it exists already; a directory is never used by two attempts"));
        }
        let text =
            format!("made by agents for plan {} in {}\n", slot.plan, slot.project.common_dir.display());
        fs::write(&self.marker, text).map_err(io(&self.marker))?;
        self.expected()
    }

    /// The canonical path of the directory if it is there; an error if it is not ours.
    pub(super) fn ours(&self) -> Result<Option<PathBuf>, WorkspaceError> {
        let path = self.path();
        match fs::canonicalize(&path) {
            Err(error) if error.kind() == ErrorKind::NotFound => Ok(None),
            Err(error) => Err(unsuitable(&path, error)),
            Ok(found) if found != self.expected()? => Err(unsuitable(&path, "it leads elsewhere")),
            Ok(_) if !self.marker.is_file() => Err(unsuitable(&path, "it was not made by agents")),
            Ok(found) => Ok(Some(found)),
        }
    }

    /// The canonical path of what is to be removed: the directory, or only its marker, if a crash
    /// left that alone. `None`: nothing was made, or all is gone.
    pub(super) fn removable(&self) -> Result<Option<PathBuf>, WorkspaceError> {
        match self.ours()? {
            None if self.marker.is_file() => self.expected().map(Some),
            found => Ok(found),
        }
    }

    /// Where the directory is put while it is removed: a name of ours too.
    pub(super) fn aside(&self) -> Result<PathBuf, WorkspaceError> {
        let mut name = self.leaf().as_os_str().to_owned();
        name.push("~removed");
        Ok(self.expected()?.with_file_name(name))
    }

    /// Forgets a directory that is not there, and the parents that are empty now.
    pub(super) fn forget(&self) -> Result<(), WorkspaceError> {
        if fs::symlink_metadata(self.path()).is_ok() {
            return Ok(());
        }
        fs::remove_file(&self.marker).map_err(io(&self.marker))?;
        for parent in self.below.ancestors().skip(1).take(2) {
            // Not empty, or not there: nothing to do.
            drop(fs::remove_dir(self.root.join(parent)));
        }
        Ok(())
    }

    fn leaf(&self) -> &Path {
        self.below.file_name().map(Path::new).expect("the project's name is last")
    }

    fn expected(&self) -> Result<PathBuf, WorkspaceError> {
        Ok(fs::canonicalize(&self.root).map_err(io(&self.root))?.join(&self.below))
    }
}
