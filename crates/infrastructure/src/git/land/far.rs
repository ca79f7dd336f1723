//! Landing on a remote: one atomic push, which equals the local ref transaction.
//!
//! ```text
//! push --atomic  <new>:<branch>  <tag>:<marker>  --force-with-lease=<branch>:<old>
//!                                                --force-with-lease=<marker>:          (absent)
//! ```
//!
//! The remote moves both refs in one transaction or none, and only from where the leases say. Two
//! things are different from a repository at hand:
//!
//! - A push leaves a ref alone that is already where it is to go, *before* it looks at the lease. A
//!   process that thaws late would find the marker in place, skip it, and move a branch that was
//!   reset to `old` a second time. So the marker is a tag object of its own for every try: one that
//!   is there already is never the one that is pushed, and the lease refuses it.
//! - Another machine may have to finish, and needs the commit: before the intent is recorded it is
//!   put into `refs/agents/intended/<intent id>` on the remote, and removed once it has landed.
//!
//! A push that fails says little; what has happened is asked of the remote. Marker there: landed. No
//! answer, or no refusal in so many words: unknown, and said so; the intent stays open, and whoever
//! goes on asks again.

use agents_domain::id::Ids as _;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, Landing, Project, WorkspaceError};

use crate::git::command::Git;
use crate::git::identity;
use crate::git::refs;
use crate::git::remote::{Far, Push, Refs};
use crate::ids::SystemIds;

/// Puts the commit where every machine can have it.
pub(in crate::git) fn share(git: &Git, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
    let Some(far) = Far::of(git, project)? else { return Ok(()) };
    let (shared, new) = (intent.shared(), &intent.new);
    match far.push(&[format!("{new}:{shared}")], &[(&shared, None)])? {
        Push::Done => Ok(()),
        Push::Refused(why) | Push::Broken(why) => Err(far.cannot(why)),
    }
}

/// Carries out an intent on the remote.
pub(super) fn land(far: &Far<'_>, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
    let unknown = |reason: String| {
        let (project, reference) = (project.name.clone(), intent.reference.clone());
        WorkspaceError::LandingUnknown { project, reference, reason }
    };
    let seen = look(far, intent).map_err(|error| unknown(error.to_string()))?;
    if let Some(landed) = marked(far, intent, &seen)? {
        return Ok(landed);
    }
    if seen.get(&intent.reference) != Some(&intent.old) {
        return away(far, intent, &seen);
    }
    need(far, project, intent)?;
    let step = (intent.reference.as_str(), Some(&intent.old));
    let (why, refused) = match push(far, intent, Some(format!("{}:{}", intent.new, intent.reference)), step)?
    {
        Push::Done => return Ok(landed(far, intent)),
        Push::Refused(why) => (why, true),
        Push::Broken(why) => (why, false),
    };
    let seen = look(far, intent).map_err(|error| unknown(format!("{why}; then: {error}")))?;
    if let Some(landed) = marked(far, intent, &seen)? {
        return Ok(landed);
    }
    match seen.get(&intent.reference) {
        Some(found) if *found == intent.old && refused => Err(far.cannot(why)),
        // It may be at it still: a connection that broke says nothing about what was sent before.
        Some(found) if *found == intent.old => Err(unknown(why)),
        _ => away(far, intent, &seen),
    }
}

fn look(far: &Far<'_>, intent: &Intent) -> Result<Refs, WorkspaceError> {
    let marker = intent.marker();
    far.look(&[&intent.reference, &marker, &format!("{marker}^{{}}")])
}

/// What the marker says. One that leads to another commit is nobody's doing of ours.
fn marked(far: &Far<'_>, intent: &Intent, seen: &Refs) -> Result<Option<Landing>, WorkspaceError> {
    let marker = intent.marker();
    if !seen.contains_key(&marker) {
        return Ok(None);
    }
    match seen.get(&format!("{marker}^{{}}")) {
        Some(commit) if *commit == intent.new => Ok(Some(landed(far, intent))),
        found => Err(WorkspaceError::RefMoved {
            reference: marker,
            expected: intent.new.to_string(),
            found: found.map_or_else(|| "something else".to_owned(), Oid::to_string),
        }),
    }
}

/// It has landed: the copy of the commit is not needed any more. One that stays harms nobody.
fn landed(far: &Far<'_>, intent: &Intent) -> Landing {
    let shared = intent.shared();
    if let Err(error) = far.push(&[format!(":{shared}")], &[(&shared, Some(&intent.new))]) {
        tracing::debug!(%error, %shared, "stays on the remote");
    }
    Landing::Landed
}

/// The branch is not where it was, and there is no marker: it has landed after all if the branch has
/// the commit, which exists for this intent alone; the marker is then made up for.
fn away(far: &Far<'_>, intent: &Intent, seen: &Refs) -> Result<Landing, WorkspaceError> {
    let found = seen.get(&intent.reference);
    let branch: Refs = found.map(|at| (intent.reference.clone(), at.clone())).into_iter().collect();
    far.bring(&branch)?;
    match found {
        Some(tip) if refs::exists(&far.at, &intent.new)? && refs::contains(&far.at, tip, &intent.new)? => {
            push(far, intent, None, (&intent.reference, Some(tip)))?;
            Ok(landed(far, intent))
        }
        found => Ok(Landing::MovedAway { found: found.cloned() }),
    }
}

/// The commit is here, or is brought here from where it was shared.
fn need(far: &Far<'_>, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
    if refs::exists(&far.at, &intent.new)? {
        return Ok(());
    }
    let shared = intent.shared();
    let seen = far.look(&[&shared])?;
    far.bring(&seen)?;
    if seen.get(&shared) == Some(&intent.new) {
        return Ok(());
    }
    Err(WorkspaceError::NoCommit { project: project.name.clone(), commit: intent.new.clone() })
}

/// One push of the marker, and of the branch with it.
fn push(
    far: &Far<'_>,
    intent: &Intent,
    branch: Option<String>,
    from: (&str, Option<&Oid>),
) -> Result<Push, WorkspaceError> {
    let (marker, tag) = (intent.marker(), tag(far, intent)?);
    let expected = [from, (marker.as_str(), None)];
    // A lease is for a ref that is pushed.
    let expected = if branch.is_some() { &expected[..] } else { &expected[1..] };
    let refspecs: Vec<_> = branch.into_iter().chain([format!("{tag}:{marker}")]).collect();
    far.push(&refspecs, expected)
}

/// A tag of the landed commit that no other try has made.
fn tag(far: &Far<'_>, intent: &Intent) -> Result<Oid, WorkspaceError> {
    let at = identity::with_identity(&far.at)?;
    let tagger = at.call(&["var", "GIT_COMMITTER_IDENT"]).run()?;
    let mut text = format!("object {}\ntype commit\ntag {}\ntagger ", intent.new, intent.id).into_bytes();
    text.extend(tagger);
    text.extend(format!("\nLanded once, by try {}.\n", SystemIds::new().ulid()).into_bytes());
    at.call(&["hash-object", "-t", "tag", "-w", "--stdin"]).input(text).run_oid()
}
