//! Apply: exactly once, or not at all.
//!
//! ```text
//! plan lock ─ all project locks ─ merge ─ validate ─ checkouts free? ─ INTENT ─ move refs ─ record
//!                                                                       │
//!          refused here: nothing has changed                            └ from here on anyone with
//!                                                                         the lock finishes it, once
//! ```
//!
//! The project locks are held from the merge to the record, and the intent's commit checks them
//! together with the plan's: whoever lost one moves nothing. Each move carries a marker ref, so
//! that a process which was frozen and thaws later cannot move it again.

use agents_domain::action::{ApplySpec, LandOn};
use agents_domain::id::IntentId;
use agents_domain::lock::LockKey;
use agents_domain::plan::{Definition, Failure, Plan, Validation};
use agents_domain::runner::{Ended, Invocation, RunReport};
use agents_domain::workspace::{Intent, Landing, MergeRequest, Merged, Project, Slot, WorkspaceError};

use super::{ApplyOptions, DriveError, PhaseDriver, context, failures};
use crate::lock_service::LockGuard;

/// Why apply stops before its intent.
enum Obstacle {
    /// The work cannot land as things are.
    Constrained(Failure, Vec<Validation>),
    /// Something failed that another try may mend.
    Failed(Failure),
    /// A command was stopped: the plan's lock is lost, or this process is to end.
    Stopped(agents_domain::runner::StopCause),
}

/// A merge that is ready to land.
struct Ready {
    project: Project,
    intent: Intent,
}

impl PhaseDriver {
    /// Lands a plan that is at apply/queued.
    pub(super) async fn land(
        &self,
        plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
        options: ApplyOptions,
    ) -> Result<Plan, DriveError> {
        let projects = self.lock_projects(&plan, definition, hold).await?;
        let outcome = self.land_locked(plan, definition, hold, &projects, options).await;
        if let Err(error) = projects.release().await {
            self.warn(&format!("project locks could not be released and end with their lease: {error}"));
        }
        outcome
    }

    /// Carries out an open landing that a dead driver decided on.
    pub(super) async fn finish_landing(
        &self,
        plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let projects = self.lock_projects(&plan, definition, hold).await?;
        let outcome = self.carry_out(plan, definition, hold).await;
        if let Err(error) = projects.release().await {
            self.warn(&format!("project locks could not be released and end with their lease: {error}"));
        }
        outcome
    }

    async fn lock_projects(
        &self,
        plan: &Plan,
        definition: &Definition,
        hold: &LockGuard,
    ) -> Result<LockGuard, DriveError> {
        let keys = definition.projects.iter().map(|project| LockKey::Project(project.name.clone())).collect();
        let lifecycle = &self.parts.lifecycle;
        let wait = self.parts.wait_for_projects;
        let id = plan.id;
        tokio::select! {
            locked = lifecycle.locks().acquire(keys, "plan apply", wait, lifecycle.observer()) => {
                locked.map_err(|source| DriveError::Projects { plan: id, source })
            }
            cause = self.stop_signal(hold) => Err(DriveError::Stopped { plan: id, cause }),
        }
    }

    async fn land_locked(
        &self,
        plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
        projects: &LockGuard,
        options: ApplyOptions,
    ) -> Result<Plan, DriveError> {
        let lifecycle = &self.parts.lifecycle;
        let plan = lifecycle.start(plan.id, std::collections::BTreeMap::new(), false).await?;
        if plan.landing_is_open() {
            return self.carry_out(plan, definition, hold).await;
        }
        let (ready, validations) = match self.prepare_landing(&plan, definition, hold, options).await {
            Ok(prepared) => prepared,
            Err(Obstacle::Constrained(failure, validations)) => {
                return Ok(lifecycle.constrain(plan.id, failure, validations).await?);
            }
            Err(Obstacle::Failed(failure)) => {
                return Ok(lifecycle.fail(plan.id, failure, Vec::new()).await?);
            }
            Err(Obstacle::Stopped(cause)) => return self.stopped(&plan, cause).await,
        };
        let intents = ready.into_iter().map(|ready| ready.intent).collect();
        let plan = lifecycle.intend(plan.id, intents, validations, projects).await?;
        self.carry_out(plan, definition, hold).await
    }

    async fn stopped(
        &self,
        plan: &Plan,
        cause: agents_domain::runner::StopCause,
    ) -> Result<Plan, DriveError> {
        if cause != agents_domain::runner::StopCause::LeaseLost {
            let interrupt = agents_domain::plan::InterruptCause::Shutdown;
            self.parts.lifecycle.interrupt(plan.id, interrupt, Vec::new()).await?;
        }
        Err(DriveError::Stopped { plan: plan.id, cause })
    }

    /// Everything up to the point of no return; changes nothing but objects in git.
    async fn prepare_landing(
        &self,
        plan: &Plan,
        definition: &Definition,
        hold: &LockGuard,
        options: ApplyOptions,
    ) -> Result<(Vec<Ready>, Vec<Validation>), Obstacle> {
        let mut ready = Vec::new();
        for project in &definition.projects {
            let landed = plan.landings().any(|l| l.landed && l.intent.project == project.name);
            if !landed {
                ready.extend(self.merge(plan, definition, project).await?);
            }
        }
        if ready.is_empty() && !options.allow_empty && !plan.has_landed() {
            let hint = format!("agents plan apply {} --allow-empty", plan.id);
            let hint = hint.replace("plan apply", "plan retry");
            let failure = failures::failure("empty", "the plan changed nothing".to_owned(), hint, false);
            return Err(Obstacle::Constrained(failure, Vec::new()));
        }
        let mut validations = Vec::new();
        for merge in &ready {
            self.validate(plan, definition, merge, hold, &mut validations).await?;
        }
        if definition.action.apply.land == LandOn::Branch {
            ready.clear();
        }
        for merge in &ready {
            let checked = self.parts.landings.check_checkout(&merge.project, &merge.intent).await;
            checked.map_err(|error| Obstacle::Failed(failures::of_workspace(plan.id, &error)))?;
        }
        Ok((ready, validations))
    }

    /// The merge of one project; `None` if the plan changes nothing there.
    async fn merge(
        &self,
        plan: &Plan,
        definition: &Definition,
        project: &Project,
    ) -> Result<Option<Ready>, Obstacle> {
        let failed = |error: WorkspaceError| Obstacle::Failed(failures::of_workspace(plan.id, &error));
        let recorded = plan.projects.iter().find(|p| p.name == project.name).and_then(|p| p.tip.clone());
        let tip = self.parts.worktrees.settle(project, plan.id, recorded).await.map_err(failed)?;
        let Some(tip) = tip else { return Ok(None) };
        let request = MergeRequest {
            plan: plan.id,
            project: project.clone(),
            tip,
            strategy: definition.action.apply.strategy,
            message: message(plan, definition),
        };
        match self.parts.landings.merge(&request).await.map_err(failed)? {
            Merged::Empty { .. } => Ok(None),
            Merged::Clean { old, new } => {
                let id = IntentId::from(self.parts.ids.ulid());
                let reference = project.target_ref();
                let intent = Intent { id, project: project.name.clone(), reference, old, new };
                Ok(Some(Ready { project: project.clone(), intent }))
            }
            Merged::Conflict { old, files } => {
                let target = &project.branch;
                let message = format!(
                    "{}: {target} (now at {}) and the plan both changed {}",
                    project.name,
                    old.short(),
                    files.join(", ")
                );
                let hint = format!(
                    "merge {target} into {} in any checkout and commit, then: agents plan retry {}",
                    plan.branch(),
                    plan.id
                );
                Err(Obstacle::Constrained(failures::failure("conflict", message, hint, false), Vec::new()))
            }
        }
    }

    /// Runs the action's checks on one merged tree, in a throwaway directory.
    async fn validate(
        &self,
        plan: &Plan,
        definition: &Definition,
        merge: &Ready,
        hold: &LockGuard,
        validations: &mut Vec<Validation>,
    ) -> Result<(), Obstacle> {
        if definition.action.validations.is_empty() {
            return Ok(());
        }
        let slot = Slot { plan: plan.id, attempt: plan.attempt, project: merge.project.clone() };
        let outcome = self.check_all(plan, definition, &slot, &merge.intent, hold, validations).await;
        if let Err(error) = self.parts.landings.close_preview(&slot).await {
            self.warn(&format!("a validation directory could not be removed: {error}"));
        }
        outcome?;
        let failed: Vec<_> =
            validations.iter().filter(|v| v.required && !v.passed).map(|v| v.name.as_str()).collect();
        if failed.is_empty() {
            return Ok(());
        }
        let message = format!("required validation failed on the merged tree: {}", failed.join(", "));
        let failure = failures::failure("validation", message, format!("agents plan log {}", plan.id), false);
        Err(Obstacle::Constrained(failure, std::mem::take(validations)))
    }

    async fn check_all(
        &self,
        plan: &Plan,
        definition: &Definition,
        slot: &Slot,
        intent: &Intent,
        hold: &LockGuard,
        validations: &mut Vec<Validation>,
    ) -> Result<(), Obstacle> {
        let failed = |error: WorkspaceError| Obstacle::Failed(failures::of_workspace(plan.id, &error));
        let directory = self.parts.landings.preview(slot, &intent.new).await.map_err(failed)?;
        for spec in &definition.action.validations {
            let purpose = format!("validation {}", spec.name);
            let invocation = self
                .invocation(
                    plan,
                    definition,
                    slot,
                    directory.clone(),
                    &purpose,
                    spec.program.clone(),
                    spec.timeout,
                )
                .await
                .map_err(Obstacle::Failed)?;
            let message = match self.run_stoppable(invocation, hold).await {
                Ok(RunReport { ended: Ended::Stopped(cause), .. }) => return Err(Obstacle::Stopped(cause)),
                Ok(report) => failures::of_report(plan.id, &purpose, &report).map(|failure| failure.message),
                Err(error) => Some(error.to_string()),
            };
            validations.push(Validation {
                name: spec.name.clone(),
                project: slot.project.name.clone(),
                required: spec.required,
                passed: message.is_none(),
                message,
            });
        }
        Ok(())
    }

    #[expect(clippy::too_many_arguments, reason = "the facts of one command; a struct would be used once")]
    async fn invocation(
        &self,
        plan: &Plan,
        definition: &Definition,
        slot: &Slot,
        directory: std::path::PathBuf,
        purpose: &str,
        program: agents_domain::action::Program,
        timeout: Option<std::time::Duration>,
    ) -> Result<Invocation, Failure> {
        let strategy = plan.strategy.as_deref().unwrap_or_default();
        let guidance = plan.guidance.join("\n\n");
        let prepared = self.parts.files.prepare(plan.id, plan.attempt, strategy, &guidance).await;
        let paths = prepared.map_err(|error| failures::of_files(plan.id, &error))?;
        let trees = [(&slot.project.name, directory.as_path())];
        Ok(Invocation {
            plan: plan.id,
            attempt: plan.attempt,
            purpose: purpose.to_owned(),
            program,
            context: context::context(plan, definition, &paths, &directory, &trees),
            directory,
            log: paths.log,
            timeout,
            grace: self.parts.grace,
        })
    }

    /// Moves each branch once, records it, and ends the plan. Safe to repeat at any point.
    async fn carry_out(
        &self,
        mut plan: Plan,
        definition: &Definition,
        hold: &LockGuard,
    ) -> Result<Plan, DriveError> {
        let open: Vec<Intent> =
            plan.landings().filter(|landing| !landing.landed).map(|landing| landing.intent.clone()).collect();
        for intent in open {
            let Some(project) = definition.projects.iter().find(|project| project.name == intent.project)
            else {
                continue;
            };
            match self.parts.landings.land(project, &intent).await {
                Ok(Landing::Landed) => {}
                Ok(Landing::MovedAway { found }) => {
                    let failure =
                        moved_away(&plan, &intent, found.as_ref().map(agents_domain::oid::Oid::short));
                    let validations = plan.validations.clone();
                    return Ok(self.parts.lifecycle.constrain(plan.id, failure, validations).await?);
                }
                Err(error) => {
                    let failure = failures::of_workspace(plan.id, &error);
                    return Ok(self.parts.lifecycle.fail(plan.id, failure, Vec::new()).await?);
                }
            }
            if let Err(error) = self.parts.landings.follow(project, &intent).await {
                self.warn(&format!(
                    "{}: {} has moved to {}, but a checkout of it could not follow: {error}",
                    intent.project,
                    intent.reference,
                    intent.new.short()
                ));
            }
            plan = self.parts.lifecycle.landed(plan.id, intent.id).await?;
        }
        let plan = self.parts.lifecycle.applied(plan.id).await?;
        self.after(&plan, definition, hold).await;
        Ok(plan)
    }

    /// Runs the action's command for afterwards. The landing stands whatever comes of it.
    async fn after(&self, plan: &Plan, definition: &Definition, hold: &LockGuard) {
        let ApplySpec { after: Some(program), .. } = &definition.action.apply else { return };
        let Some(project) = definition.projects.first() else { return };
        let directory = project.path.clone();
        let slot = Slot { plan: plan.id, attempt: plan.attempt, project: project.clone() };
        let invocation =
            self.invocation(plan, definition, &slot, directory, "after", program.clone(), None).await;
        let problem = match invocation {
            Err(failure) => Some(failure.message),
            Ok(invocation) => match self.run_stoppable(invocation, hold).await {
                Ok(report) => failures::of_report(plan.id, "after", &report).map(|failure| failure.message),
                Err(error) => Some(error.to_string()),
            },
        };
        if let Some(problem) = problem {
            self.warn(&format!("plan {} is applied, but its `after` command failed: {problem}", plan.id));
        }
    }
}

fn moved_away(plan: &Plan, intent: &Intent, found: Option<&str>) -> Failure {
    let now = found.unwrap_or("nowhere: it is gone");
    let message = format!(
        "{}: {} was to move from {} but is now at {now}",
        intent.project,
        intent.reference,
        intent.old.short()
    );
    failures::failure("moved_away", message, failures::retry_hint(plan.id), true)
}

/// The commit message; a template of the action's is rendered by whoever merges.
fn message(plan: &Plan, definition: &Definition) -> String {
    let name = plan.name.clone().unwrap_or_else(|| plan.id.to_string());
    let description = &definition.action.description;
    let subject = if description.is_empty() { definition.action.name.as_str() } else { description };
    format!("{name}: {subject}\n\nAgents-Plan: {}\n", plan.id)
}
