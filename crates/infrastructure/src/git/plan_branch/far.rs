//! The plan branch where a project has a remote: there and here brought together.
//!
//! The remote's branch is what counts, but for results that are recorded and have not been pushed: a
//! machine that went offline at the end of a phase pushes them when the plan goes on there.

use agents_domain::id::PlanId;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Project, WorkspaceError};

use super::{Ours, moved, reference, settle_here};
use crate::git::command::Git;
use crate::git::refs;
use crate::git::remote::Far;
use crate::git::results::Tip;

/// Moves the remote's branch from `old` to `new`. Already at `new`: done before.
pub(super) fn advance(
    far: &Far<'_>,
    plan: PlanId,
    old: Option<&Oid>,
    new: &Oid,
) -> Result<(), WorkspaceError> {
    let reference = reference(plan);
    let pushed = far.push(&[format!("{new}:{reference}")], &[(&reference, old)])?;
    let Err(error) = pushed.done(far) else {
        return far.note(&reference, Some(new));
    };
    match far.look(&[&reference])?.remove(&reference) {
        Some(found) if found == *new => far.note(&reference, Some(new)),
        found if found.as_ref() == old => Err(error),
        found => Err(moved(reference, old, found.as_ref())),
    }
}

/// The tip to work from; see `settle` of the module above. Afterwards the remote has it too, unless
/// nothing is recorded.
pub(super) fn settle(
    far: &Far<'_>,
    project: &Project,
    of_plan: &Ours<'_>,
    recorded: Option<&Oid>,
) -> Result<Option<Oid>, WorkspaceError> {
    let (at, plan, branch) = (&far.at, of_plan.plan, reference(of_plan.plan));
    let mut seen = far.look(&[&branch, &project.target_ref()])?;
    far.bring(&seen)?;
    let theirs = seen.remove(&branch);
    far.note(&branch, theirs.as_ref())?;
    let Some(recorded) = recorded else { return as_there(of_plan, &branch, theirs) };
    if !refs::exists(at, recorded)? {
        let (project, commit) = (project.name.clone(), recorded.clone());
        return Err(WorkspaceError::NoCommit { project, commit, host: None });
    }
    let ours = refs::read(at, &branch)?;
    if let Some(theirs) = &theirs
        && ours.as_ref() != Some(theirs)
        && prevails(far, theirs, ours.as_ref(), recorded)?
    {
        of_plan.swap(&branch, ours.as_ref(), theirs, "agents: as on the remote")?;
    }
    let settled = settle_here(of_plan, Some(recorded))?;
    if let Some(tip) = &settled
        && theirs.as_ref() != Some(tip)
    {
        if let Some(aside) = &theirs
            && !refs::contains(at, tip, aside)?
            && !of_plan.has(aside)?
        {
            return Err(moved(branch, Some(recorded), theirs.as_ref()));
        }
        advance(far, plan, theirs.as_ref(), tip)?;
    }
    Ok(settled)
}

/// The tip for who only looks: of the branches there and here that have what is recorded the one that is ahead,
/// or what is recorded, if none has it.
pub(super) fn newest(far: &Far<'_>, plan: PlanId, recorded: &Oid) -> Result<Tip, WorkspaceError> {
    let branch = reference(plan);
    let (theirs, unasked) = match found(far, &branch) {
        Ok(theirs) => (theirs, None),
        Err(error @ (WorkspaceError::Remote { .. } | WorkspaceError::RemoteRefused { .. })) => {
            (None, Some(error))
        }
        Err(error) => return Err(error),
    };
    let mut commit = recorded.clone();
    if refs::exists(&far.at, recorded)? {
        for tip in [theirs, refs::read(&far.at, &branch)?].into_iter().flatten() {
            if refs::contains(&far.at, &tip, &commit)? {
                commit = tip;
            }
        }
    }
    Ok(Tip { commit, unasked })
}

/// Where the branch is there; its commit is here afterwards.
fn found(far: &Far<'_>, branch: &str) -> Result<Option<Oid>, WorkspaceError> {
    let mut seen = far.look(&[branch])?;
    far.bring(&seen)?;
    Ok(seen.remove(branch))
}

/// Whether this machine has that result, and the remote's branch was without it when it last looked.
pub(in crate::git) fn unpushed(
    git: &Git,
    project: &Project,
    plan: PlanId,
    recorded: &Oid,
) -> Result<bool, WorkspaceError> {
    let Some(far) = Far::of(git, project)? else { return Ok(false) };
    if !refs::exists(&far.at, recorded)? {
        return Ok(false);
    }
    match far.known(&reference(plan))? {
        Some(known) => Ok(!refs::contains(&far.at, &known, recorded)?),
        None => Ok(true),
    }
}

/// With nothing recorded only the remote's branch counts. One that is here besides is of a life that the
/// plan was taken back from, or was made and never pushed: nobody else knows of it, and what it had of
/// results is in snapshots.
fn as_there(of_plan: &Ours<'_>, branch: &str, theirs: Option<Oid>) -> Result<Option<Oid>, WorkspaceError> {
    let at = of_plan.at;
    match (refs::read(at, branch)?, &theirs) {
        (ours, Some(theirs)) if ours.as_ref() != Some(theirs) => {
            of_plan.swap(branch, ours.as_ref(), theirs, "agents: as on the remote")?;
        }
        (Some(ours), None) => refs::delete(at, branch, &ours)?,
        _ => {}
    }
    Ok(theirs)
}

/// Whether the remote's branch takes the place of the one here: unless that is ahead of it, or is
/// aside of it and has what is recorded where the remote's has not.
fn prevails(far: &Far<'_>, theirs: &Oid, ours: Option<&Oid>, recorded: &Oid) -> Result<bool, WorkspaceError> {
    let Some(ours) = ours else { return Ok(true) };
    let at = &far.at;
    if refs::contains(at, theirs, ours)? {
        return Ok(true);
    }
    Ok(refs::contains(at, theirs, recorded)? && !refs::contains(at, ours, theirs)?)
}
