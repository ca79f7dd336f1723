//! What plans left below the state directory and in the repositories, and its removal.
//!
//! Directories go only by their marker and canonical path (`paths`); the files of an attempt by
//! their names, in a folder whose canonical path is the one we gave it; branches by
//! compare-and-swap, first on the remote if there is one. Nothing else is ever removed.

use std::collections::BTreeSet;
use std::fs;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};

use agents_domain::housekeeping::{Leftover, LeftoverKind};
use agents_domain::id::PlanId;
use agents_domain::workspace::{Project, Slot, WorkspaceError};

use super::command::Git;
use super::failure::{io, unsuitable};
use super::paths::{Kind, Place};
use super::remote::Far;
use super::{output, plan_branch, refs, worktree};

/// The files that an attempt is given, apart from its folder for artifacts.
const FILES: [&str; 5] = ["strategy.md", "subplans.jsonl", "guidance.md", "events.jsonl", "output.log"];

/// Where plans leave things.
pub(super) struct Ground<'a> {
    pub(super) git: &'a Git,
    /// `<state>/worktrees`.
    pub(super) root: &'a Path,
    /// `<state>/attempts`.
    pub(super) files: &'a Path,
}

impl Ground<'_> {
    /// The plans that have left anything.
    pub(super) fn plans(&self, projects: &[Project]) -> Result<Vec<PlanId>, WorkspaceError> {
        let mut found: BTreeSet<PlanId> = BTreeSet::new();
        for dir in [self.root, self.files] {
            found.extend(names(dir)?.iter().filter_map(|name| PlanId::parse(name).ok()));
        }
        for project in projects.iter().filter(|project| project.common_dir.is_dir()) {
            let at = self.git.repository(&project.common_dir);
            let pattern = "refs/heads/agents/plan-*";
            let listed = at.call(&["for-each-ref", "--format=%(refname:strip=3)", pattern]).run()?;
            let listed = output::text(&listed);
            let ids = listed.lines().filter_map(|line| line.strip_prefix("plan-"));
            found.extend(ids.filter_map(|id| PlanId::parse(id).ok()));
            let recorded = self.recorded(project)?;
            found.extend(recorded.iter().filter_map(|path| self.place_of(path)).map(|(plan, _)| plan));
        }
        Ok(found.into_iter().collect())
    }

    /// What one plan has left.
    pub(super) fn of(&self, plan: PlanId, projects: &[Project]) -> Result<Vec<Leftover>, WorkspaceError> {
        let mut found = Vec::new();
        for attempt in attempts(&self.root.join(plan.as_str()))? {
            for project in projects {
                let slot = Slot { plan, attempt, project: project.clone() };
                found.extend(self.directory(&slot, Kind::Attempt));
                found.extend(self.directory(&slot, Kind::Preview));
            }
        }
        for project in projects.iter().filter(|project| project.common_dir.is_dir()) {
            for path in self.recorded(project)? {
                let known = found.iter().any(|leftover| leftover.path == path);
                let gone = fs::symlink_metadata(&path).is_err_and(|e| e.kind() == ErrorKind::NotFound);
                if let Some((of, attempt)) = self.place_of(&path).filter(|_| !known && gone)
                    && of == plan
                {
                    let slot = Slot { plan, attempt, project: project.clone() };
                    found.push(leftover(&slot, LeftoverKind::Record, path, 0));
                }
            }
            found.extend(self.branch(plan, project)?);
        }
        for attempt in attempts(&self.files.join(plan.as_str()))? {
            let path = self.files.join(plan.as_str()).join(attempt.to_string());
            let artifacts = !names(&path.join("artifacts"))?.is_empty();
            let kind = LeftoverKind::Files { artifacts };
            let bytes = size(&path);
            found.push(Leftover { plan, attempt: Some(attempt), project: None, kind, path, bytes });
        }
        Ok(found)
    }

    /// Removes one of them.
    pub(super) fn remove(&self, leftover: &Leftover, projects: &[Project]) -> Result<(), WorkspaceError> {
        let project = projects.iter().find(|project| Some(&project.name) == leftover.project.as_ref());
        match (&leftover.kind, project, leftover.attempt) {
            (LeftoverKind::Files { .. }, _, Some(attempt)) => self.remove_files(leftover.plan, attempt),
            (LeftoverKind::Branch { tip, .. }, Some(project), _) => {
                let at = self.git.repository(&project.common_dir);
                let reference = plan_branch::reference(leftover.plan);
                if let Some(far) = Far::of(self.git, project)? {
                    far.remove(&reference, tip)?;
                    far.note(&reference, None)?;
                    far.forget_shared(leftover.plan)?;
                }
                refs::delete(&at, &reference, tip)
            }
            (LeftoverKind::Record, Some(project), Some(attempt)) => {
                let slot = Slot { plan: leftover.plan, attempt, project: project.clone() };
                // Whichever of the two it is a marker of; the other is looked at and left.
                for kind in [Kind::Attempt, Kind::Preview] {
                    if Place::of(self.root, &slot, kind).path() == leftover.path {
                        worktree::remove(self.git, self.root, &slot, kind)?;
                    }
                }
                worktree::forget_record(self.git, &project.common_dir, &leftover.path)
            }
            (LeftoverKind::Worktree | LeftoverKind::Preview, Some(project), Some(attempt)) => {
                let slot = Slot { plan: leftover.plan, attempt, project: project.clone() };
                let preview = leftover.kind == LeftoverKind::Preview;
                let kind = if preview { Kind::Preview } else { Kind::Attempt };
                worktree::remove(self.git, self.root, &slot, kind)
            }
            _ => Err(unsuitable(&leftover.path, "it was not made by agents")),
        }
    }

    fn directory(&self, slot: &Slot, kind: Kind) -> Option<Leftover> {
        let place = Place::of(self.root, slot, kind);
        let (is, path) = match place.ours() {
            Ok(Some(path)) if kind == Kind::Preview => (LeftoverKind::Preview, path),
            Ok(Some(path)) => (LeftoverKind::Worktree, path),
            Ok(None) => (LeftoverKind::Record, place.removable().ok()??),
            Err(error) => (LeftoverKind::Foreign { reason: error.to_string() }, place.path()),
        };
        let bytes = size(&path);
        Some(leftover(slot, is, path, bytes))
    }

    fn branch(&self, plan: PlanId, project: &Project) -> Result<Option<Leftover>, WorkspaceError> {
        let at = self.git.repository(&project.common_dir);
        let reference = plan_branch::reference(plan);
        let Some(tip) = refs::read(&at, &reference)? else { return Ok(None) };
        let listed = worktree::list(self.git, &project.common_dir)?;
        let line = format!("branch {reference}");
        let checked_out = output::fields(&listed).any(|field| field == line.as_bytes());
        let (kind, path) = (LeftoverKind::Branch { tip, checked_out }, project.path.clone());
        let project = Some(project.name.clone());
        Ok(Some(Leftover { plan, attempt: None, project, kind, path, bytes: 0 }))
    }

    /// The worktrees that git knows of, below our root.
    fn recorded(&self, project: &Project) -> Result<Vec<PathBuf>, WorkspaceError> {
        let listed = worktree::list(self.git, &project.common_dir)?;
        let paths = output::fields(&listed).filter_map(|field| field.strip_prefix(b"worktree "));
        Ok(paths.map(output::path).filter(|path| self.place_of(path).is_some()).collect())
    }

    /// Plan and attempt of a path such as `<root>/<ULID>/<attempt>/local~api`.
    fn place_of(&self, path: &Path) -> Option<(PlanId, u32)> {
        let root = fs::canonicalize(self.root).unwrap_or_else(|_| self.root.to_owned());
        let mut parts = path.strip_prefix(root).ok()?.iter().map(|part| part.to_str());
        let (plan, attempt) = (PlanId::parse(parts.next()??).ok()?, parts.next()??.parse().ok()?);
        parts.next()??;
        parts.next().is_none().then_some((plan, attempt))
    }

    fn remove_files(&self, plan: PlanId, attempt: u32) -> Result<(), WorkspaceError> {
        let below = Path::new(plan.as_str()).join(attempt.to_string());
        let folder = self.files.join(&below);
        match fs::canonicalize(&folder) {
            Err(error) if error.kind() == ErrorKind::NotFound => return Ok(()),
            Err(error) => return Err(unsuitable(&folder, error)),
            Ok(found) if found == fs::canonicalize(self.files).map_err(io(self.files))?.join(&below) => {}
            Ok(_) => return Err(unsuitable(&folder, "it leads elsewhere")),
        }
        for name in FILES {
            absent(&folder, fs::remove_file(folder.join(name)))?;
        }
        let artifacts = folder.join("artifacts");
        absent(&artifacts, fs::remove_dir_all(&artifacts))?;
        // Not recursively: what else is in there is not ours.
        absent(&folder, fs::remove_dir(&folder))?;
        drop(fs::remove_dir(self.files.join(plan.as_str())));
        Ok(())
    }
}

fn leftover(slot: &Slot, kind: LeftoverKind, path: PathBuf, bytes: u64) -> Leftover {
    let project = Some(slot.project.name.clone());
    Leftover { plan: slot.plan, attempt: Some(slot.attempt), project, kind, path, bytes }
}

fn absent(path: &Path, done: std::io::Result<()>) -> Result<(), WorkspaceError> {
    match done {
        Err(error) if error.kind() != ErrorKind::NotFound => Err(unsuitable(path, error)),
        _ => Ok(()),
    }
}

/// The names in a directory; of one that is not there, none.
fn names(dir: &Path) -> Result<Vec<String>, WorkspaceError> {
    let entries = match fs::read_dir(dir) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        entries => entries.map_err(io(dir))?,
    };
    let mut names: Vec<_> =
        entries.flatten().map(|entry| entry.file_name().to_string_lossy().into_owned()).collect();
    names.sort();
    Ok(names)
}

fn attempts(dir: &Path) -> Result<Vec<u32>, WorkspaceError> {
    let mut found: Vec<u32> = names(dir)?.iter().filter_map(|name| name.parse().ok()).collect();
    found.sort_unstable();
    Ok(found)
}

/// What a file or directory takes, links not followed; what cannot be read counts nothing.
fn size(path: &Path) -> u64 {
    let Ok(found) = fs::symlink_metadata(path) else { return 0 };
    if !found.is_dir() {
        return found.len();
    }
    fs::read_dir(path).into_iter().flatten().flatten().map(|entry| size(&entry.path())).sum()
}
