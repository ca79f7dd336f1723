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
//! A landing that is given up, because somebody moved the branch, is marked too: its marker leads to
//! `old`. Until that is done nobody is told, and so nothing is recorded:
//!
//! ```text
//! A: reads intent ── frozen ──────────────────────────────────────── thaws: marker exists → refused
//! user:               moves main                    resets main to old
//! B:                             marks: given up, plan retried or cancelled
//! ```
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
    if let Some(settled) = settled(&at, intent)? {
        return Ok(settled);
    }
    let step = format!("update {}\0{}\0{}\0", intent.reference, intent.new, intent.old);
    let Err(error) = with_marker(&at, intent, &step, &intent.new) else { return Ok(Landing::Landed) };
    // Somebody was faster, or moved the branch; in that order, since a marker settles it.
    if let Some(settled) = settled(&at, intent)? {
        return Ok(settled);
    }
    match refs::read(&at, &intent.reference)? {
        Some(found) if found == intent.old => Err(error),
        Some(found) if refs::contains(&at, &found, &intent.new)? => make_up(&at, intent, &found),
        found => give_up(&at, intent, found),
    }
}

/// What the marker says, if it is there.
fn settled(at: &At<'_>, intent: &Intent) -> Result<Option<Landing>, WorkspaceError> {
    let Some(marker) = refs::read(at, &intent.marker())? else { return Ok(None) };
    said(intent, Some(&marker), || refs::read(at, &intent.reference)).map(Some)
}

/// What a marker at that commit says. One at another is nobody's doing of ours.
fn said(
    intent: &Intent,
    marker: Option<&Oid>,
    branch: impl FnOnce() -> Result<Option<Oid>, WorkspaceError>,
) -> Result<Landing, WorkspaceError> {
    match marker {
        Some(found) if *found == intent.new => Ok(Landing::Landed),
        Some(found) if *found == intent.old => Ok(Landing::MovedAway { found: branch()? }),
        found => Err(WorkspaceError::RefMoved {
            reference: intent.marker(),
            expected: intent.new.to_string(),
            found: found.map_or_else(|| "something else".to_owned(), Oid::to_string),
        }),
    }
}

/// One ref transaction of `step` and the creation of the marker.
fn with_marker(at: &At<'_>, intent: &Intent, step: &str, to: &Oid) -> Result<(), WorkspaceError> {
    let marker = intent.marker();
    let steps = format!("start\0{step}create {marker}\0{to}\0prepare\0commit\0");
    let what = if *to == intent.new { "landing" } else { "giving up" };
    let why = format!("agents: {what} {}", intent.id);
    at.call(&["update-ref", "--stdin", "-z", "-m", &why]).input(steps.into_bytes()).run().map(drop)
}

/// The branch has landed, the marker is missing: create it while the branch stays where it is.
fn make_up(at: &At<'_>, intent: &Intent, found: &Oid) -> Result<Landing, WorkspaceError> {
    let step = format!("verify {}\0{found}\0", intent.reference);
    match with_marker(at, intent, &step, &intent.new) {
        Err(error) => settled(at, intent)?.ok_or(error),
        Ok(()) => Ok(Landing::Landed),
    }
}

/// Somebody moved the branch: from now on nobody lands by this intent, wherever the branch goes. It
/// need not stay where it was found: whoever lands meanwhile makes the marker, too, and is found.
fn give_up(at: &At<'_>, intent: &Intent, found: Option<Oid>) -> Result<Landing, WorkspaceError> {
    match with_marker(at, intent, "", &intent.old) {
        Err(error) => settled(at, intent)?.ok_or(error),
        Ok(()) => Ok(Landing::MovedAway { found }),
    }
}
