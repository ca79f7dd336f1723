//! One attempt of one phase: directories, preparation, the command, and what it left behind.
//!
//! ```text
//! open worktrees → files → setup → command → snapshot each worktree → record → remove what is safe
//! ```
//!
//! Whatever fails on the way, what was opened is put into a snapshot; a snapshot that cannot be
//! made keeps the directory. Only a lost lease skips this: the next holder does it.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::Duration;

use agents_domain::action::{PhaseSpec, Program};
use agents_domain::files::{AskedSubplans, AttemptPaths, FilesError};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::places::Place;
use agents_domain::plan::{Definition, Exit, Failure, Phase, Plan, PlanProject, Saved, Work};
use agents_domain::runner::{Ended, Invocation, RunError, RunReport, StopCause};
use agents_domain::workspace::{Project, Slot, Snapshot};

use super::parking::{PARK, Wish};
use super::{PhaseDriver, Under, context, failures};
use crate::lock_service::LockGuard;

/// How the command of an attempt ended.
#[derive(Debug)]
pub(super) enum End {
    /// Well; what it made beside its work.
    Succeeded(Made),
    /// Badly, and how its command ended if it did so by itself.
    Failed(Failure, Option<Exit>),
    /// It wants to be run again later.
    Parked(Wish),
    /// By us.
    Stopped(StopCause),
}

/// What a strategize phase made.
#[derive(Debug, Default)]
pub(super) struct Made {
    pub(super) strategy: Option<String>,
    /// The children it asked for.
    pub(super) asked: AskedSubplans,
}

/// An attempt that is over.
#[derive(Debug)]
pub(super) struct Finished {
    pub(super) end: End,
    /// Where the work is.
    pub(super) work: Vec<Work>,
    /// By project: where the plan branch was, and where it goes.
    pub(super) moves: BTreeMap<Name, (Option<Oid>, Oid)>,
}

/// The attempt's directory in one project.
struct Tree {
    slot: Slot,
    directory: PathBuf,
    start: Oid,
    /// Where it would have started without unfinished work: what the plan branch lacks is counted
    /// from here.
    foundation: Oid,
    /// Where the plan branch is, if there is one.
    branch: Option<Oid>,
}

impl PhaseDriver {
    pub(super) async fn attempt(
        &self,
        plan: &Plan,
        definition: &Definition,
        spec: &PhaseSpec,
        hold: &LockGuard,
        place: Box<dyn Place>,
    ) -> Finished {
        let mut trees = Vec::new();
        let end = match self.work(plan, definition, spec, hold, &mut trees).await {
            Ok(end) => end,
            Err(failure) => End::Failed(failure, None),
        };
        // Nothing runs any more.
        drop(place);
        let mut finished = Finished { end, work: Vec::new(), moves: BTreeMap::new() };
        if hold.is_lost() {
            // Also if the command ended by itself just before: the directory is another's now.
            finished.end = End::Stopped(StopCause::LeaseLost);
        }
        if matches!(finished.end, End::Stopped(cause) if cause.is_loss()) {
            return finished;
        }
        for tree in &trees {
            self.save(tree, plan, definition, hold, &mut finished).await;
        }
        finished
    }

    async fn work(
        &self,
        plan: &Plan,
        definition: &Definition,
        spec: &PhaseSpec,
        hold: &LockGuard,
        trees: &mut Vec<Tree>,
    ) -> Result<End, Failure> {
        for slot in slots(plan, definition) {
            trees.push(self.open(plan, definition, slot).await?);
        }
        let guidance = plan.guidance.join("\n\n");
        let strategy = match plan.phase() {
            Phase::Strategize => "",
            _ => plan.strategy.as_deref().unwrap_or_default(),
        };
        let prepared = self.parts.files.prepare(plan.id, plan.attempt, strategy, &guidance).await;
        let paths = prepared.map_err(|error| failures::of_files(plan.id, &error))?;
        if let Some(setup) = &definition.action.worktree.setup {
            for index in 0..trees.len() {
                let command = Command { purpose: "setup", program: setup, timeout: spec.timeout };
                let report = self.run_in(plan, definition, &paths, trees, index, command, hold).await?;
                if let Some(end) = self.ended_badly(plan, "setup", &report, &paths).await {
                    return Ok(end);
                }
            }
        }
        let purpose = plan.phase().as_str();
        let command = Command { purpose, program: &spec.program, timeout: spec.timeout };
        let report = self.run_in(plan, definition, &paths, trees, 0, command, hold).await?;
        if let Some(end) = self.ended_badly(plan, purpose, &report, &paths).await {
            return Ok(end);
        }
        if plan.phase() != Phase::Strategize {
            return Ok(End::Succeeded(Made::default()));
        }
        let unread = |error: FilesError| failures::of_files(plan.id, &error);
        let strategy = Some(self.parts.files.strategy(&paths).await.map_err(unread)?);
        let asked = self.parts.files.subplans(&paths).await.map_err(unread)?;
        Ok(End::Succeeded(Made { strategy, asked }))
    }

    async fn open(&self, plan: &Plan, definition: &Definition, slot: Slot) -> Result<Tree, Failure> {
        let opened = async {
            let facts = facts(plan, &slot.project);
            let branch = self.tip(&slot.project, plan.id, facts.tip.clone()).await?;
            // A branch of which nothing is recorded is what was before a revert.
            let tip = facts.tip.as_ref().and(branch.clone());
            let foundation =
                tip.or_else(|| facts.base.clone()).expect("the base is sealed by the first start");
            let start = facts.resume.clone().unwrap_or_else(|| foundation.clone());
            let copy = &definition.action.worktree.copy;
            let directory = self.parts.worktrees.open(&slot, &start, copy).await?;
            Ok(Tree { slot, directory, start, foundation, branch })
        };
        opened.await.map_err(|error| failures::of_workspace(plan.id, &error))
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one command; a struct would be used once")]
    async fn run_in(
        &self,
        plan: &Plan,
        definition: &Definition,
        paths: &AttemptPaths,
        trees: &[Tree],
        index: usize,
        command: Command<'_>,
        hold: &LockGuard,
    ) -> Result<RunReport, Failure> {
        let directory = &trees[index].directory;
        let all: Vec<_> = trees.iter().map(|t| (&t.slot.project.name, t.directory.as_path())).collect();
        let invocation = Invocation {
            plan: plan.id,
            attempt: plan.attempt,
            purpose: command.purpose.to_owned(),
            program: command.program.clone(),
            context: context::context(plan, definition, paths, directory, &all),
            directory: directory.clone(),
            log: paths.log.clone(),
            timeout: command.timeout,
            grace: self.parts.grace,
        };
        let report = self.run_stoppable(invocation, hold.into()).await;
        report.map_err(|error| failures::of_run_error(plan.id, command.purpose, &error))
    }

    /// Runs a command; a second request to stop drops it, which ends its tree at once. Returns when
    /// nothing of it is alive, so that whoever holds the plan next has it for itself.
    pub(super) async fn run_stoppable(
        &self,
        invocation: Invocation,
        under: Under<'_>,
    ) -> Result<RunReport, RunError> {
        let (plan, attempt, escalated) = (invocation.plan, invocation.attempt, self.parts.stop.escalated());
        tokio::select! {
            // First, so that nothing more is started once there is no time left.
            biased;
            cause = escalated => {
                self.parts.runner.clear(plan, attempt).await;
                Ok(RunReport { ended: Ended::Stopped(cause), tail: String::new() })
            }
            report = self.parts.runner.run(invocation, self.stop_signal(under)) => report,
        }
    }

    async fn ended_badly(
        &self,
        plan: &Plan,
        purpose: &str,
        report: &RunReport,
        paths: &AttemptPaths,
    ) -> Option<End> {
        match report.ended {
            Ended::Exited(0) => None,
            Ended::Stopped(cause) => Some(End::Stopped(cause)),
            Ended::Exited(PARK) => Some(End::Parked(self.wish(plan, purpose, report, paths).await)),
            ended => {
                let failure = failures::of_report(plan.id, purpose, report);
                failure.map(|failure| End::Failed(failure, failures::exit(ended)))
            }
        }
    }

    /// Puts what an attempt left in one project where it cannot be lost.
    async fn save(
        &self,
        tree: &Tree,
        plan: &Plan,
        definition: &Definition,
        hold: &LockGuard,
        finished: &mut Finished,
    ) {
        let project = tree.slot.project.name.clone();
        let copied = &definition.action.worktree.copy;
        let token = hold.fence().token();
        match self.parts.worktrees.snapshot(&tree.slot, &tree.start, token, copied).await {
            Ok(snapshot) => {
                if plan.phase() == Phase::Strategize && !snapshot.changed.is_empty() {
                    forbid_changes(plan, &snapshot, &mut finished.end);
                }
                if snapshot.commit != tree.foundation {
                    let moved = (tree.branch.clone(), snapshot.commit.clone());
                    finished.moves.insert(project, moved);
                }
                finished.work.push(self.saved(&tree.slot, snapshot));
            }
            Err(error) => {
                self.warn(&format!("{project}: no snapshot; its directory is kept: {error}"));
                let reason = error.to_string();
                if let End::Succeeded(_) = finished.end {
                    finished.end = End::Failed(failures::of_workspace(plan.id, &error), None);
                }
                finished.work.push(Work { project, saved: Saved::Directory { reason } });
            }
        }
    }

    /// What is recorded of a snapshot. Its directory goes only after that (`clear_away`).
    pub(super) fn saved(&self, slot: &Slot, snapshot: Snapshot) -> Work {
        let kept = snapshot.keep_directory;
        if let Some(reason) = &kept {
            self.warn(&format!("{}: the attempt's directory is kept: {reason}", slot.project.name));
        }
        let saved = Saved::Snapshot { reference: snapshot.reference, commit: snapshot.commit, kept };
        Work { project: slot.project.name.clone(), saved }
    }
}

struct Command<'a> {
    purpose: &'a str,
    program: &'a Program,
    timeout: Option<Duration>,
}

/// What is known of the plan in one of its projects.
pub(super) fn facts<'a>(plan: &'a Plan, project: &Project) -> &'a PlanProject {
    let found = plan.projects.iter().find(|facts| facts.name == project.name);
    found.expect("a plan has the projects of its definition, and no others")
}

/// The attempt's place in each project of the plan.
pub(super) fn slots(plan: &Plan, definition: &Definition) -> Vec<Slot> {
    let slot = |project: &Project| Slot { plan: plan.id, attempt: plan.attempt, project: project.clone() };
    definition.projects.iter().map(slot).collect()
}

/// Strategize reads only; what it changed is in its snapshot.
fn forbid_changes(plan: &Plan, snapshot: &Snapshot, end: &mut End) {
    if let End::Succeeded(_) = end {
        let files = snapshot.changed.iter().take(5).cloned().collect::<Vec<_>>().join(", ");
        let message = format!(
            "strategize must not change files, but it changed {files}; they are in {}",
            snapshot.reference
        );
        *end = End::Failed(
            failures::failure("strategize_wrote", message, failures::retry_hint(plan.id), false),
            None,
        );
    }
}
