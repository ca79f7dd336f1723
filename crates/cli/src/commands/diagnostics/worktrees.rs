//! Whether directories and records of attempts fit the plans: orphans of both kinds.

use std::time::Duration;

use agents_application::LifecycleError;
use agents_application::housekeeping::{Judged, PruneError, Wish};
use agents_domain::housekeeping::LeftoverKind;
use agents_domain::id::PlanId;
use agents_domain::plan::State;
use agents_domain::reads::PlanFilter;

use super::{Check, bad, ok};
use crate::app::App;
use crate::failure::Failure;

/// How many there are of each kind.
#[derive(Debug, Default)]
struct Orphans {
    /// Directories of plans that are not at work.
    at_rest: usize,
    /// Directories of no plan of this database.
    strange: usize,
    /// Records of directories that are not there.
    records: usize,
    /// Directories that a plan's log calls kept, and that are not there.
    missing: usize,
}

/// Read-only.
pub(super) fn check(app: &App) -> Check {
    match count(app) {
        Err(failure) => bad("worktrees", "warn", failure.message, "agents prune"),
        Ok(orphans) => match orphans.words() {
            words if words.is_empty() => ok("worktrees", "none without work"),
            words => bad("worktrees", "warn", words.join("; "), "agents prune"),
        },
    }
}

fn count(app: &App) -> Result<Orphans, Failure> {
    let mut orphans = Orphans { strange: strays(app), ..Orphans::default() };
    let projects = app.block_on(app.store.projects().list())?;
    let keeper = app.housekeeper();
    for plan in app.block_on(app.leftovers().plans(&projects))? {
        match app.block_on(keeper.look(plan, Wish { older_than: Duration::ZERO, kept: false })) {
            Ok(found) => orphans.add(app, plan, &found)?,
            Err(PruneError::Lifecycle(LifecycleError::NoSuchPlan { .. })) => orphans.strange += 1,
            Err(PruneError::Lifecycle(error)) => return Err(Failure::internal(error.to_string())),
            Err(PruneError::Workspace(error)) => return Err(error.into()),
        }
    }
    let filter = PlanFilter { all: true, ..PlanFilter::default() };
    let plans = app.block_on(app.store.reads().list(&filter))?.plans;
    let unfinished = |state: State| !state.is_terminal() && state != State::Processing;
    for view in plans.iter().filter(|view| unfinished(view.record.state()) && view.record.attempt > 0) {
        let missing = app.block_on(keeper.missing(view.record.id));
        orphans.missing += missing.map_or(0, |missing| missing.len());
    }
    Ok(orphans)
}

/// What is below the directory of worktrees and bears no plan's name.
fn strays(app: &App) -> usize {
    let root = app.base.settings.state_dir.join("worktrees");
    let entries = std::fs::read_dir(root).into_iter().flatten().flatten();
    let names = entries.map(|entry| entry.file_name().to_string_lossy().into_owned());
    names.filter(|name| PlanId::parse(name).is_err()).count()
}

impl Orphans {
    fn add(&mut self, app: &App, plan: PlanId, found: &[Judged]) -> Result<(), Failure> {
        let view = app.block_on(app.store.reads().status(plan))?;
        if view.is_none_or(|view| view.record.state() == State::Processing) {
            return Ok(());
        }
        for one in found {
            match one.leftover.kind {
                LeftoverKind::Worktree | LeftoverKind::Preview => self.at_rest += 1,
                LeftoverKind::Record => self.records += 1,
                LeftoverKind::Foreign { .. } => self.strange += 1,
                LeftoverKind::Files { .. } | LeftoverKind::Branch { .. } => {}
            }
        }
        Ok(())
    }

    fn words(&self) -> Vec<String> {
        let kinds = [
            (self.at_rest, "of plans that are not at work"),
            (self.strange, "of no plan of this database"),
            (self.records, "recorded and not there"),
            (self.missing, "kept by a plan's log and not there"),
        ];
        let some = kinds.iter().filter(|(count, _)| *count > 0);
        some.map(|(count, what)| format!("{count} {what}")).collect()
    }
}
