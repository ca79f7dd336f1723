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
//! goes on asks again. Who is not even let in, or whose machine has no git that works, is told so, since a
//! person has to see to it; the intent stays open as well.
//!
//! An intent that is given up gets its marker too, a tag that leads to `old`, before anybody is told.

use agents_domain::id::Ids as _;
use agents_domain::oid::Oid;
use agents_domain::workspace::{Intent, Landing, Project, WorkspaceError};

use super::said;
use crate::git::command::Git;
use crate::git::identity;
use crate::git::refs;
use crate::git::remote::{Far, Push, Refs};
use crate::ids::SystemIds;

/// Puts the commit where every machine can have it.
pub(in crate::git) fn share(git: &Git, project: &Project, intent: &Intent) -> Result<(), WorkspaceError> {
    let Some(far) = Far::of(git, project)? else { return Ok(()) };
    let (shared, new) = (intent.shared(), &intent.new);
    far.push(&[format!("{new}:{shared}")], &[(&shared, None)])?.done(&far)
}

/// Carries out an intent on the remote.
pub(super) fn land(far: &Far<'_>, project: &Project, intent: &Intent) -> Result<Landing, WorkspaceError> {
    Lander { far, project, intent }.land()
}

/// One intent, and where it is carried out.
struct Lander<'a> {
    far: &'a Far<'a>,
    project: &'a Project,
    intent: &'a Intent,
}

impl Lander<'_> {
    fn land(&self) -> Result<Landing, WorkspaceError> {
        let (far, intent) = (self.far, self.intent);
        let seen = self.look().map_err(|error| self.unreached(error))?;
        if let Some(settled) = self.settled(&seen)? {
            return Ok(settled);
        }
        if seen.get(&intent.reference) != Some(&intent.old) {
            return self.away(&seen);
        }
        self.need().map_err(|error| self.unreached(error))?;
        let step = (intent.reference.as_str(), Some(&intent.old));
        let branch = format!("{}:{}", intent.new, intent.reference);
        let marker = (format!("{}:{}", self.tag(&intent.new)?, intent.marker()), intent.marker());
        let pushed = far.push(&[branch, marker.0], &[step, (&marker.1, None)])?;
        let (why, refused) = match pushed {
            Push::Done => return Ok(self.ended(Landing::Landed)),
            Push::Refused(error) => (error.to_string(), Some(error)),
            Push::Broken(why) => (why, None),
        };
        let seen = self.look().map_err(|error| self.unknown(&format!("{why}; then: {error}")))?;
        if let Some(settled) = self.settled(&seen)? {
            return Ok(settled);
        }
        match seen.get(&intent.reference) {
            // It may be at it still: a connection that broke says nothing about what was sent before.
            Some(found) if *found == intent.old => Err(refused.unwrap_or_else(|| self.unknown(&why))),
            _ => self.away(&seen),
        }
    }

    fn look(&self) -> Result<Refs, WorkspaceError> {
        let marker = self.intent.marker();
        self.far.look(&[&self.intent.reference, &marker, &format!("{marker}^{{}}")])
    }

    /// What the marker says, if it is there.
    fn settled(&self, seen: &Refs) -> Result<Option<Landing>, WorkspaceError> {
        let marker = self.intent.marker();
        if !seen.contains_key(&marker) {
            return Ok(None);
        }
        let leads_to = seen.get(&format!("{marker}^{{}}"));
        let landing = said(self.intent, leads_to, || Ok(seen.get(&self.intent.reference).cloned()))?;
        Ok(Some(self.ended(landing)))
    }

    /// It is settled, one way or the other: the copy of the commit is not needed any more. One that stays
    /// harms nobody.
    fn ended(&self, landing: Landing) -> Landing {
        let shared = self.intent.shared();
        if let Err(error) = self.far.push(&[format!(":{shared}")], &[(&shared, Some(&self.intent.new))]) {
            tracing::debug!(%error, %shared, "stays on the remote");
        }
        landing
    }

    /// The branch is not where it was, and there is no marker: it has landed after all if the branch has
    /// the commit, which exists for this intent alone. Else it is given up, for good. Both only once the
    /// marker says so.
    fn away(&self, seen: &Refs) -> Result<Landing, WorkspaceError> {
        let (far, intent) = (self.far, self.intent);
        let found = seen.get(&intent.reference).cloned();
        let branch: Refs = found.iter().map(|tip| (intent.reference.clone(), tip.clone())).collect();
        far.bring(&branch).map_err(|error| self.unreached(error))?;
        if let Some(tip) = &found
            && refs::exists(&far.at, &intent.new)?
            && refs::contains(&far.at, tip, &intent.new)?
        {
            return self.mark(&intent.new, Landing::Landed);
        }
        if !refs::exists(&far.at, &intent.old)? {
            // It comes along with what was made from it.
            self.need().map_err(|error| self.unreached(error))?;
        }
        self.mark(&intent.old, Landing::MovedAway { found })
    }

    /// Makes the marker, alone. If that fails it counts what is there: that of somebody faster, if any.
    fn mark(&self, to: &Oid, landing: Landing) -> Result<Landing, WorkspaceError> {
        let marker = self.intent.marker();
        let (why, refused) =
            match self.far.push(&[format!("{}:{marker}", self.tag(to)?)], &[(&marker, None)])? {
                Push::Done => return Ok(self.ended(landing)),
                Push::Refused(error) => (error.to_string(), Some(error)),
                Push::Broken(why) => (why, None),
            };
        let seen = self.look().map_err(|error| self.unknown(&format!("{why}; then: {error}")))?;
        match self.settled(&seen)? {
            Some(settled) => Ok(settled),
            None => Err(refused.unwrap_or_else(|| self.unknown(&why))),
        }
    }

    /// The commit is here, or is brought here from where it was shared.
    fn need(&self) -> Result<(), WorkspaceError> {
        let (far, intent) = (self.far, self.intent);
        if refs::exists(&far.at, &intent.new)? {
            return Ok(());
        }
        let shared = intent.shared();
        let seen = far.look(&[&shared])?;
        far.bring(&seen)?;
        if seen.get(&shared) == Some(&intent.new) {
            return Ok(());
        }
        let (project, commit) = (self.project.name.clone(), intent.new.clone());
        Err(WorkspaceError::NoCommit { project, commit, host: None })
    }

    /// A tag of that commit that no other try has made.
    fn tag(&self, to: &Oid) -> Result<Oid, WorkspaceError> {
        let (far, intent) = (self.far, self.intent);
        let at = identity::with_identity(&far.at)?;
        let tagger = at.call(&["var", "GIT_COMMITTER_IDENT"]).run()?;
        let mut text = format!("object {to}\ntype commit\ntag {}\ntagger ", intent.id).into_bytes();
        text.extend(tagger);
        let what = if *to == intent.new { "Landed once" } else { "Given up, nothing landed" };
        text.extend(format!("\n{what}, by try {}.\n", SystemIds::new().ulid()).into_bytes());
        at.call(&["hash-object", "-t", "tag", "-w", "--stdin"]).input(text).run_oid()
    }

    fn unknown(&self, reason: &impl ToString) -> WorkspaceError {
        let (project, reference) = (self.project.name.clone(), self.intent.reference.clone());
        WorkspaceError::LandingUnknown { project, reference, reason: reason.to_string() }
    }

    /// The remote went out of reach before it could tell what became of the intent. Whatever else it is, a git
    /// that is missing or a repository that is broken, is not the remote's, and is told as what it is.
    fn unreached(&self, error: WorkspaceError) -> WorkspaceError {
        match error {
            WorkspaceError::Remote { .. } => self.unknown(&error),
            other => other,
        }
    }
}
