//! Removing what plans leave on disk, and never what is nowhere else.
//!
//! Deciding ([`judge`], pure) is apart from doing ([`Housekeeper`]): under the plan's lock, on what
//! is there at that moment, one thing after another, each conditional. A crash in between leaves
//! the rest for the next time. Snapshots in refs are never removed.

mod judge;

use std::collections::BTreeSet;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::action::LandOn;
use agents_domain::housekeeping::{Leftover, LeftoverKind, Leftovers};
use agents_domain::id::PlanId;
use agents_domain::lock::FencingToken;
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, Saved};
use agents_domain::time::Clock;
use agents_domain::workspace::{Slot, Snapshot, WorkspaceError, Worktrees};

use crate::lifecycle::history::{Works, attempts};
use crate::lifecycle::{LifecycleError, PlanLifecycleService};
use crate::lock_service::Wait;

pub use judge::{Verdict, judge};

/// What a person wants removed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Wish {
    /// Of finished plans: only what is of plans that have not changed for so long.
    pub older_than: Duration,
    /// Also what is in no snapshot.
    pub kept: bool,
}

/// One thing that a plan left, and what is to become of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Judged {
    /// The thing.
    pub leftover: Leftover,
    /// What is to become of it.
    pub verdict: Verdict,
    /// Whether it was removed; `Err`: why not, although it was to go.
    pub removed: Result<bool, String>,
}

/// What a [`Housekeeper`] is made of.
#[derive(Clone)]
pub struct HousekeeperParts {
    /// Reads plans and holds them.
    pub lifecycle: PlanLifecycleService,
    /// Directories of attempts.
    pub worktrees: Arc<dyn Worktrees>,
    /// Finds and removes.
    pub leftovers: Arc<dyn Leftovers>,
    /// Tells how old a plan is.
    pub clock: Arc<dyn Clock>,
}

/// Removes what plans leave.
#[derive(Clone)]
pub struct Housekeeper {
    parts: HousekeeperParts,
}

impl Housekeeper {
    /// A housekeeper of these parts.
    pub fn new(parts: HousekeeperParts) -> Self {
        Self { parts }
    }

    /// What a plan has left, and what would become of it. Changes nothing and takes no lock.
    pub async fn look(&self, plan: PlanId, wish: Wish) -> Result<Vec<Judged>, PruneError> {
        Ok(self.judged(plan, wish).await?.1)
    }

    /// Removes what may go, under the plan's lock; a plan that is held is left alone at once. One
    /// thing that cannot be removed does not stop the rest. If the process dies, repeating it goes
    /// on.
    pub async fn prune(&self, plan: PlanId, wish: Wish) -> Result<Vec<Judged>, PruneError> {
        let hold = self.parts.lifecycle.hold(plan, "prune", Wait::No).await?;
        let outcome = async {
            let (tidy, mut judged) = self.judged(plan, wish).await?;
            for one in judged.iter_mut().filter(|one| one.verdict.goes(wish.kept)) {
                // Whoever took the plan over may be at work in these directories.
                one.removed = if hold.is_lost() {
                    Err("the plan's lock was lost".to_owned())
                } else {
                    self.remove(one, &tidy, hold.fence().token()).await.map(|()| true)
                };
            }
            Ok(judged)
        };
        let outcome = outcome.await;
        if let Err(error) = hold.release().await {
            tracing::warn!(%plan, %error, "the lock could not be released");
            let told =
                format!("the lock of plan {plan} could not be released and ends with its lease: {error}");
            self.parts.lifecycle.observer().warning(&told);
        }
        outcome
    }

    /// The directories on this machine that an unfinished plan's log calls kept, and that are not
    /// there: by attempt and project.
    pub async fn missing(&self, plan: PlanId) -> Result<Vec<(u32, Name)>, PruneError> {
        let (tidy, found) = self.judged(plan, Wish { older_than: Duration::ZERO, kept: false }).await?;
        let is_there = |attempt: u32, name: &Name| {
            let mut directories =
                found.iter().map(|one| &one.leftover).filter(|left| left.kind == LeftoverKind::Worktree);
            directories.any(|left| left.attempt == Some(attempt) && left.project.as_ref() == Some(name))
        };
        // What is on another machine is not missed here.
        let host = self.parts.lifecycle.locks().myself("diagnostics").host;
        let events = self.parts.lifecycle.events(plan).await?;
        let made_here: BTreeSet<u32> =
            attempts(&events).iter().filter(|one| one.driver.host == host).map(|one| one.number).collect();
        let kept =
            |saved: &Saved| !matches!(saved, Saved::Snapshot { kept: None, .. } | Saved::Pending { .. });
        let gone = tidy.works.iter().filter(|((attempt, name), saved)| {
            made_here.contains(attempt) && kept(saved) && !is_there(*attempt, name)
        });
        Ok(gone.map(|(key, _)| key.clone()).collect())
    }

    async fn judged(&self, plan: PlanId, wish: Wish) -> Result<(Tidy, Vec<Judged>), PruneError> {
        let lifecycle = &self.parts.lifecycle;
        let (record, definition) = (lifecycle.load(plan).await?, lifecycle.definition(plan).await?);
        let works = lifecycle.works(plan).await?;
        let old = record.updated_at.plus(wish.older_than) <= self.parts.clock.now();
        let found = self.parts.leftovers.of(plan, &definition.projects).await?;
        // The branch of a child is nobody's result: its parent has taken the work in.
        let land = if record.subplan.is_some() { LandOn::Target } else { definition.action.apply.land };
        let judged = found.into_iter().map(|leftover| {
            let verdict = judge(&record, land, &works, old, &leftover);
            Judged { leftover, verdict, removed: Ok(false) }
        });
        let judged = judged.collect();
        Ok((Tidy { definition, works }, judged))
    }

    async fn remove(&self, one: &Judged, tidy: &Tidy, token: Option<FencingToken>) -> Result<(), String> {
        let (leftover, projects) = (&one.leftover, &tidy.definition.projects);
        if let (LeftoverKind::Worktree, Verdict::Goes) = (&leftover.kind, &one.verdict)
            && let Some((slot, recorded)) = tidy.safe(leftover)
        {
            let copied = &tidy.definition.action.worktree.copy;
            return clear(&*self.parts.worktrees, &slot, &recorded, token, copied).await;
        }
        self.parts.leftovers.remove(leftover, projects).await.map_err(|error| error.to_string())
    }
}

/// What is known of a plan whose things are removed.
struct Tidy {
    definition: Definition,
    works: Works,
}

impl Tidy {
    /// Whose directory it is, and the snapshot that the log names.
    fn safe(&self, leftover: &Leftover) -> Option<(Slot, Oid)> {
        let (attempt, name) = (leftover.attempt?, leftover.project.clone()?);
        let project = self.definition.projects.iter().find(|project| project.name == name)?.clone();
        let Saved::Snapshot { commit, .. } = self.works.get(&(attempt, name))? else { return None };
        Some((Slot { plan: leftover.plan, attempt, project }, commit.clone()))
    }
}

/// Why a plan was not looked at, or not pruned. Nothing was removed.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum PruneError {
    /// It is held by another, or not there.
    #[error(transparent)]
    Lifecycle(#[from] LifecycleError),
    /// What it left could not be found out.
    #[error(transparent)]
    Workspace(#[from] WorkspaceError),
}

/// Removes the directory of an attempt whose snapshot is recorded. It is looked at once more: what
/// was written there since goes into a snapshot of this holder first.
pub(crate) async fn clear(
    worktrees: &dyn Worktrees,
    slot: &Slot,
    recorded: &Oid,
    token: Option<FencingToken>,
    copied: &[String],
) -> Result<(), String> {
    match worktrees.snapshot(slot, recorded, token, copied).await {
        Ok(Snapshot { keep_directory: Some(reason), .. }) => return Err(reason),
        Ok(_) | Err(WorkspaceError::NoDirectory { .. }) => {}
        Err(error) => return Err(error.to_string()),
    }
    worktrees.close(slot).await.map_err(|error| error.to_string())
}
