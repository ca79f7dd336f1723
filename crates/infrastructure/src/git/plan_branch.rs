//! The plan branch `agents/plan-<ULID>`: where the results of successful phases are.
//!
//! With a remote it is there as well, so that another machine can go on from it; the branch here is
//! then what this machine last knew, or has not been able to push yet.

mod far;

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, WorkspaceError};

use super::command::{At, Git};
use super::remote::Far;
use super::results::Tip;
use super::{checkout, refs};

/// Moves it from `old` to `new`. Already at `new`: done before.
pub(super) fn advance(
    git: &Git,
    project: &Project,
    plan: PlanId,
    old: Option<&Oid>,
    new: &Oid,
) -> Result<(), WorkspaceError> {
    let here = advance_here(git, project, plan, old, new);
    match Far::of(git, project)? {
        Some(far) if here.is_ok() => far::advance(&far, plan, old, new),
        _ => here,
    }
}

fn advance_here(
    git: &Git,
    project: &Project,
    plan: PlanId,
    old: Option<&Oid>,
    new: &Oid,
) -> Result<(), WorkspaceError> {
    let (at, reference) = (git.repository(&project.common_dir), reference(plan));
    let checked_out = checkout::may_follow(git, project, &reference, old, new)?;
    let Err(error) = refs::swap(&at, &reference, old, new, "agents: phase complete") else {
        return checked_out.map_or(Ok(()), |moved| checkout::follow(git, project, &moved));
    };
    // Only now is it worth a look why: before the swap, the answer could be out of date.
    let found = refs::read(&at, &reference)?;
    if found.as_ref() == Some(new) {
        return Ok(());
    }
    if found.as_ref() == old {
        return Err(error);
    }
    Err(moved(reference, old, found.as_ref()))
}

/// The tip to work from: what is recorded, or what a person put on top of it. A branch that is
/// behind what is recorded (a crash between the record and the move) or gone is brought up to it;
/// so is one that stands at an earlier snapshot of the plan, which stays in a ref of its own, wherever it was
/// made.
pub(super) fn settle(
    git: &Git,
    project: &Project,
    plan: PlanId,
    recorded: Option<&Oid>,
    earlier: &[Oid],
) -> Result<Option<Oid>, WorkspaceError> {
    let at = git.repository(&project.common_dir);
    let ours = Ours { git, project, at: &at, plan, earlier };
    match Far::of(git, project)? {
        Some(far) => far::settle(&far, project, &ours, recorded),
        None => settle_here(&ours, recorded),
    }
}

/// The tip for who only looks; see [`super::results::plan_tip`].
pub(super) fn newest(
    git: &Git,
    project: &Project,
    plan: PlanId,
    recorded: &Oid,
) -> Result<Tip, WorkspaceError> {
    if let Some(far) = Far::of(git, project)? {
        return far::newest(&far, plan, recorded);
    }
    let found = refs::read(&git.repository(&project.common_dir), &reference(plan))?;
    Ok(Tip { commit: found.unwrap_or_else(|| recorded.clone()), unasked: None })
}

pub(super) use far::unpushed;

/// The results of a plan: what counts, and what once did.
struct Ours<'a> {
    git: &'a Git,
    project: &'a Project,
    at: &'a At<'a>,
    plan: PlanId,
    /// What its log says that it made, on whichever machine.
    earlier: &'a [Oid],
}

impl Ours<'_> {
    /// Moves the branch here, and checkouts of it.
    fn swap(&self, branch: &str, old: Option<&Oid>, new: &Oid, why: &str) -> Result<(), WorkspaceError> {
        checkout::swap(self.git, self.project, branch, old, new, why)
    }

    /// Whether that commit is a snapshot of one of the plan's attempts: one that was made here, or one
    /// that its log names.
    fn has(&self, commit: &Oid) -> Result<bool, WorkspaceError> {
        if self.earlier.contains(commit) {
            return Ok(true);
        }
        let snapshots = format!("refs/agents/{}/", self.plan);
        let found = self.at.call(&["for-each-ref", "--format=%(refname)", "--points-at"]);
        Ok(!found.args([commit.as_str(), &snapshots]).run()?.is_empty())
    }
}

fn settle_here(ours: &Ours<'_>, recorded: Option<&Oid>) -> Result<Option<Oid>, WorkspaceError> {
    let (at, plan) = (ours.at, ours.plan);
    let reference = reference(plan);
    let found = refs::read(at, &reference)?;
    match (recorded, &found) {
        (None, _) => return Ok(found),
        (Some(recorded), Some(found)) if refs::contains(at, found, recorded)? => {}
        (Some(recorded), Some(aside)) if !refs::contains(at, recorded, aside)? && !ours.has(aside)? => {
            return Err(moved(reference, Some(recorded), Some(aside)));
        }
        (Some(recorded), behind) => {
            ours.swap(&reference, behind.as_ref(), recorded, "agents: catching up")?;
            return Ok(Some(recorded.clone()));
        }
    }
    Ok(found)
}

/// The full name of the branch.
pub(super) fn reference(plan: PlanId) -> String {
    format!("refs/heads/agents/plan-{plan}")
}

fn moved(reference: String, expected: Option<&Oid>, found: Option<&Oid>) -> WorkspaceError {
    let shown = |oid: Option<&Oid>| oid.map_or("absent".to_owned(), Oid::to_string);
    WorkspaceError::RefMoved { reference, expected: shown(expected), found: shown(found) }
}
