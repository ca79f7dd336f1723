//! What the repositories consist of.

use std::collections::{BTreeMap, BTreeSet};
use std::path::{Path, PathBuf};

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::workspace::{MergeRequest, Project, Slot, Snapshot, WorkspaceError};

use super::{Moved, ScriptedWorkspace};

pub(super) type Key = (PlanId, u32, Name);
type Hook = Box<dyn FnOnce(&ScriptedWorkspace) -> Result<(), WorkspaceError> + Send>;

#[derive(Default)]
pub(super) struct State {
    /// How many commits there are.
    drawn: u64,
    parents: BTreeMap<Oid, Vec<Oid>>,
    /// The files that a commit changed itself; those of a merge are its parents'.
    changed: BTreeMap<Oid, Vec<String>>,
    pub(super) refs: BTreeMap<(Name, String), Oid>,
    pub(super) trees: BTreeMap<Key, Tree>,
    pub(super) previews: BTreeSet<Key>,
    /// The newest snapshot of each attempt.
    pub(super) snapshots: BTreeMap<Key, Snapshot>,
    pub(super) opened: Vec<Slot>,
    pub(super) moves: Vec<Moved>,
    pub(super) messages: Vec<String>,
    pub(super) dirty: BTreeSet<Name>,
    pub(super) conflicts: BTreeMap<Name, Vec<String>>,
    pub(super) conflicts_of: BTreeMap<PlanId, Vec<String>>,
    pub(super) keep: Option<String>,
    /// Commits that are on another machine only.
    pub(super) lacking: BTreeSet<(Name, Oid)>,
    pub(super) calls: BTreeMap<&'static str, u32>,
    pub(super) hooks: BTreeMap<(&'static str, u32), Hook>,
}

/// The directory of an attempt.
pub(super) struct Tree {
    pub(super) directory: PathBuf,
    pub(super) head: Oid,
    pub(super) edits: Vec<String>,
}

impl State {
    /// A new commit that changed these files itself.
    pub(super) fn draw(&mut self, parents: Vec<Oid>, changed: Vec<String>) -> Oid {
        self.drawn += 1;
        let commit = Oid::parse(&format!("{:040x}", self.drawn)).expect("40 hexadecimal digits");
        self.parents.insert(commit.clone(), parents);
        self.changed.insert(commit.clone(), changed);
        commit
    }

    pub(super) fn contains(&self, commit: &Oid, ancestor: &Oid) -> bool {
        let parents = self.parents.get(commit).into_iter().flatten();
        commit == ancestor || parents.into_iter().any(|parent| self.contains(parent, ancestor))
    }

    /// A commit and all that it comes after.
    fn history(&self, commit: &Oid) -> BTreeSet<Oid> {
        let (mut history, mut ahead) = (BTreeSet::new(), vec![commit.clone()]);
        while let Some(commit) = ahead.pop() {
            if history.insert(commit.clone()) {
                ahead.extend(self.parents.get(&commit).into_iter().flatten().cloned());
            }
        }
        history
    }

    /// The newest commit that both come after; parents are drawn before their children.
    pub(super) fn base(&self, one: &Oid, other: &Oid) -> Option<Oid> {
        self.history(one).intersection(&self.history(other)).max().cloned()
    }

    /// The files that one side has changed and the other one has not taken over.
    pub(super) fn changed_beyond(&self, side: &Oid, other: &Oid) -> BTreeSet<String> {
        let (side, other) = (self.history(side), self.history(other));
        side.difference(&other).filter_map(|commit| self.changed.get(commit)).flatten().cloned().collect()
    }

    /// The files in which a merge onto `old` conflicts.
    pub(super) fn in_the_way(&self, request: &MergeRequest, old: &Oid) -> Vec<String> {
        let told = [self.conflicts.get(&request.project.name), self.conflicts_of.get(&request.plan)];
        let mut files: BTreeSet<String> = told.into_iter().flatten().flatten().cloned().collect();
        if request.exclusive {
            let theirs = self.changed_beyond(&request.tip, old);
            files.extend(self.changed_beyond(old, &request.tip).intersection(&theirs).cloned());
        }
        files.into_iter().collect()
    }

    pub(super) fn read(&self, project: &Project, reference: &str) -> Option<Oid> {
        self.refs.get(&(project.name.clone(), reference.to_owned())).cloned()
    }

    pub(super) fn set(&mut self, project: &Project, reference: &str, to: Oid) {
        self.refs.insert((project.name.clone(), reference.to_owned()), to);
    }

    /// Where the target branch is.
    pub(super) fn target(&self, project: &Project) -> Result<Oid, WorkspaceError> {
        self.read(project, &project.target_ref()).ok_or_else(|| WorkspaceError::NoBranch {
            project: project.name.clone(),
            branch: project.branch.clone(),
        })
    }

    /// Counts a call; what is to happen before it.
    pub(super) fn count(&mut self, method: &'static str) -> Option<Hook> {
        let calls = self.calls.entry(method).or_default();
        *calls += 1;
        self.hooks.remove(&(method, *calls))
    }
}

pub(super) fn key(slot: &Slot) -> Key {
    (slot.plan, slot.attempt, slot.project.name.clone())
}

pub(super) fn directory(slot: &Slot, kind: &str) -> PathBuf {
    let root = Path::new(kind).join(slot.plan.as_str()).join(slot.attempt.to_string());
    root.join(slot.project.name.as_str())
}

pub(super) fn branch(plan: PlanId) -> String {
    format!("refs/heads/agents/plan-{plan}")
}

pub(super) fn unsuitable(path: &Path, reason: &str) -> WorkspaceError {
    WorkspaceError::Unsuitable { path: path.display().to_string(), reason: reason.to_owned() }
}

pub(super) fn ref_moved(reference: String, expected: Option<&Oid>, found: Option<&Oid>) -> WorkspaceError {
    let shown = |oid: Option<&Oid>| oid.map_or("absent".to_owned(), Oid::to_string);
    WorkspaceError::RefMoved { reference, expected: shown(expected), found: shown(found) }
}
