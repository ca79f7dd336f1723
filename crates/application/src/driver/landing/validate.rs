//! The action's own commands around a landing: checks before it, one command after it. Each runs
//! in a throwaway directory with the merged commit checked out.

use std::path::PathBuf;
use std::time::Duration;

use agents_domain::action::Program;
use agents_domain::oid::Oid;
use agents_domain::plan::{Definition, Failure, Plan, Validation};
use agents_domain::runner::{Ended, Invocation, RunReport};
use agents_domain::workspace::{Project, Slot, WorkspaceError};

use super::prepare::{Obstacle, Ready, failed};
use crate::driver::attempt::facts;
use crate::driver::place::NotRun;
use crate::driver::{PhaseDriver, Under, context, failures};
use crate::lock_service::Wait;

struct Command<'a> {
    purpose: String,
    program: &'a Program,
    timeout: Option<Duration>,
}

impl PhaseDriver {
    /// Runs the action's checks on one merged tree; adds what they said to `validations`.
    pub(super) async fn validate(
        &self,
        plan: &Plan,
        definition: &Definition,
        merge: &Ready,
        under: Under<'_>,
        validations: &mut Vec<Validation>,
    ) -> Result<(), Obstacle> {
        if definition.action.validations.is_empty() {
            return Ok(());
        }
        let slot = slot(plan, &merge.project);
        let previewed = self.parts.landings.preview(&slot, &merge.intent.new).await;
        let directory = previewed.map_err(|error| failed(plan, &error))?;
        let outcome = self.check_all(plan, definition, &slot, directory, under, validations).await;
        self.close_preview(&slot).await;
        outcome?;
        let required = validations.iter().filter(|validation| validation.required && !validation.passed);
        let missed: Vec<_> = required.map(|validation| validation.name.as_str()).collect();
        if missed.is_empty() {
            return Ok(());
        }
        let message = format!("required validation failed on the merged tree: {}", missed.join(", "));
        let failure = failures::failure("validation", message, format!("agents plan log {}", plan.id), false);
        Err(Obstacle::Constrained(failure, std::mem::take(validations)))
    }

    async fn check_all(
        &self,
        plan: &Plan,
        definition: &Definition,
        slot: &Slot,
        directory: PathBuf,
        under: Under<'_>,
        validations: &mut Vec<Validation>,
    ) -> Result<(), Obstacle> {
        for spec in &definition.action.validations {
            let purpose = format!("validation {}", spec.name);
            let command = Command { purpose: purpose.clone(), program: &spec.program, timeout: spec.timeout };
            let invocation = self.invocation(plan, definition, slot, directory.clone(), command).await;
            let (invocation, wait) = (invocation.map_err(Obstacle::Failed)?, self.parts.wait_for_places);
            let message = match self.run_in_place(plan, invocation, under, wait).await {
                Ok(RunReport { ended: Ended::Stopped(cause), .. }) => return Err(Obstacle::Stopped(cause)),
                Ok(report) => failures::of_report(plan.id, &purpose, &report).map(|failure| failure.message),
                Err(NotRun::Full(census)) => return Err(Obstacle::NoPlace(census)),
                Err(NotRun::Failed(error)) => Some(error.to_string()),
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

    /// Runs the action's command for afterwards, at most once. The landing stands whatever comes
    /// of it.
    pub(super) async fn after(&self, plan: &Plan, definition: &Definition, under: Under<'_>) {
        let Some(program) = &definition.action.apply.after else { return };
        let Some(project) = definition.projects.first() else { return };
        let facts = facts(plan, project);
        let commit = match &facts.landing {
            Some(landing) => Some(landing.intent.new.clone()),
            // The plan branch is the result, with what a person has put on top.
            None => match self.tip(project, plan.id, facts.tip.clone()).await {
                Ok(tip) => facts.tip.as_ref().and(tip),
                Err(_) => facts.tip.clone(),
            },
        };
        let Some(commit) = commit else { return };
        let slot = slot(plan, project);
        let problem = self.run_after(plan, definition, &slot, &commit, program, under).await.err();
        self.close_preview(&slot).await;
        if let Some(problem) = problem {
            self.warn(&format!("plan {} is applied, but its `after` command failed: {problem}", plan.id));
        }
    }

    async fn run_after(
        &self,
        plan: &Plan,
        definition: &Definition,
        slot: &Slot,
        commit: &Oid,
        program: &Program,
        under: Under<'_>,
    ) -> Result<(), String> {
        let previewed = self.parts.landings.preview(slot, commit).await;
        let directory = previewed.map_err(|error: WorkspaceError| error.to_string())?;
        let command = Command { purpose: "after".to_owned(), program, timeout: None };
        let invocation = self.invocation(plan, definition, slot, directory, command).await;
        let invocation = invocation.map_err(|failure| failure.message)?;
        // Nothing could repeat it, so it waits however long that takes.
        let report = self.run_in_place(plan, invocation, under, Wait::Forever).await;
        let report = report.map_err(|not_run| match not_run {
            NotRun::Full(_) => "no place was free for it".to_owned(),
            NotRun::Failed(error) => error.to_string(),
        })?;
        if let Ended::Stopped(_) = report.ended {
            return Err("it was stopped".to_owned());
        }
        failures::of_report(plan.id, "after", &report).map_or(Ok(()), |failure| Err(failure.message))
    }

    pub(in crate::driver) async fn close_preview(&self, slot: &Slot) {
        if let Err(error) = self.parts.landings.close_preview(slot).await {
            self.warn(&format!("{}: a throwaway directory could not be removed: {error}", slot.project.name));
        }
    }

    async fn invocation(
        &self,
        plan: &Plan,
        definition: &Definition,
        slot: &Slot,
        directory: PathBuf,
        command: Command<'_>,
    ) -> Result<Invocation, Failure> {
        let strategy = plan.strategy.as_deref().unwrap_or_default();
        let guidance = plan.guidance.join("\n\n");
        let prepared = self.parts.files.prepare(plan.id, plan.attempt, strategy, &guidance).await;
        let paths = prepared.map_err(|error| failures::of_files(failures::landed_by(plan), &error))?;
        let trees = [(&slot.project.name, directory.as_path())];
        Ok(Invocation {
            plan: plan.id,
            attempt: plan.attempt,
            purpose: command.purpose,
            program: command.program.clone(),
            context: context::context(plan, definition, &paths, &directory, &trees),
            directory,
            log: paths.log,
            timeout: command.timeout,
            grace: self.parts.grace,
        })
    }
}

fn slot(plan: &Plan, project: &Project) -> Slot {
    Slot { plan: plan.id, attempt: plan.attempt, project: project.clone() }
}
