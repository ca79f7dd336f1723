//! Landing: one branch moves once, whoever does it, however often it is tried.
//!
//! One ref transaction moves the branch by compare-and-swap and creates the marker of the intent.
//! The marker is what makes it once:
//!
//! ```text
//! A: reads intent ── frozen ────────────────────────────── thaws: marker exists → refused
//! B:                 move main old→new, create marker
//! user:                                       reset main to old
//! ```
//!
//! Git's own files are not one atomic write: a machine that dies inside of `commit` can leave
//! the branch moved and the marker missing (git moves refs in the order of the transaction, the
//! branch first). The commit `new` exists for this intent alone, so a branch that is at it, or
//! beyond it, has landed; the marker is then made up for.
//!
//! With a remote all of this happens there: see `far`.

mod far;

use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, Landing, Project, WorkspaceError};

use super::command::{At, Git};
use super::remote::Far;
use super::{identity, refs};

pub(super) use far::share;

/// Carries out an intent.
pub(super) fn land(git: &Git, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
    if let Some(far) = Far::of(git, project)? {
        return far::land(&far, project, intent);
    }
    let at = identity::with_identity(&git.repository(&project.common_dir))?;
    if marked(&at, intent)? {
        return Ok(Landing::Landed);
    }
    let step = format!("update {}\0{}\0{}\0", intent.reference, intent.new, intent.old);
    let Err(error) = with_marker(&at, intent, &step) else { return Ok(Landing::Landed) };
    // Somebody was faster, or moved the branch; in that order, since a marker settles it.
    if marked(&at, intent)? {
        return Ok(Landing::Landed);
    }
    match refs::read(&at, &intent.reference)? {
        Some(found) if found == intent.old => Err(error),
        Some(found) if refs::contains(&at, &found, &intent.new)? => make_up(&at, intent, &found),
        found => Ok(Landing::MovedAway { found }),
    }
}

/// Whether the marker is there. One at another commit is nobody's doing of ours.
fn marked(at: &At<'_>, intent: &Intent) -> Result<bool, WorkspaceError> {
    match refs::read(at, &intent.marker())? {
        None => Ok(false),
        Some(found) if found == intent.new => Ok(true),
        Some(found) => Err(WorkspaceError::RefMoved {
            reference: intent.marker(),
            expected: intent.new.to_string(),
            found: found.to_string(),
        }),
    }
}

/// One ref transaction of `step` and the creation of the marker.
fn with_marker(at: &At<'_>, intent: &Intent, step: &str) -> Result<(), WorkspaceError> {
    let (marker, new) = (intent.marker(), &intent.new);
    let steps = format!("start\0{step}create {marker}\0{new}\0prepare\0commit\0");
    let why = format!("agents: landing {}", intent.id);
    at.call(&["update-ref", "--stdin", "-z", "-m", &why]).input(steps.into_bytes()).run().map(drop)
}

/// The branch has landed, the marker is missing: create it while the branch stays where it is.
fn make_up(at: &At<'_>, intent: &Intent, found: &Oid) -> Result<Landing, WorkspaceError> {
    let step = format!("verify {}\0{found}\0", intent.reference);
    match with_marker(at, intent, &step) {
        Err(error) if !marked(at, intent)? => Err(error),
        _ => Ok(Landing::Landed),
    }
}
