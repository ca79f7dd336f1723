//! How the facts of a plan follow its changes.
//!
//! Only ever called for a change that was found legal; decides nothing, and does not touch the
//! stage or the version.

use crate::plan::change::{Change, Saved, Work};
use crate::plan::{Attempt, Parked, Phase, PlanLanding, PlanRecord};
use crate::time::Timestamp;

/// Moves the facts along; the stage is set by the caller.
pub(super) fn amend(record: &mut PlanRecord, change: &Change, at: Timestamp) {
    match change {
        Change::Created(_)
        | Change::PhaseAdvanced { .. }
        | Change::Spawned { .. }
        | Change::SubplanConflicted { .. } => {}
        Change::PhaseStarted { driver, bases, commanded } => {
            record.attempt = record.attempt.saturating_add(1);
            record.failure = None;
            record.parked = None;
            record.last_attempt =
                Some(Attempt { driver: driver.clone(), started_at: at, commanded: *commanded });
            for project in &mut record.projects {
                project.base = project.base.take().or_else(|| bases.get(&project.name).cloned());
                if record.stage.phase() == Phase::Execute && !commanded {
                    // Children land on the plan branch, so it has to be somewhere first.
                    project.tip = project.tip.take().or_else(|| project.base.clone());
                }
            }
        }
        Change::PhaseCompleted { tips, strategy, .. } => {
            record.strategy = strategy.clone().or(record.strategy.take());
            for project in &mut record.projects {
                project.tip = tips.get(&project.name).cloned().or(project.tip.take());
                (project.snapshot, project.resume) = (None, None);
            }
        }
        Change::PhaseFailed { failure, work, .. } => {
            record.failure = Some(failure.clone());
            if let Some(subplan) = record.subplan.as_mut().filter(|_| record.stage.phase() != Phase::Apply) {
                subplan.failures = subplan.failures.saturating_add(1);
            }
            unfinished(record, work);
        }
        Change::Parked { until, input, cause, work } => {
            record.parked = Some(Parked { until: *until, input: input.clone(), cause: cause.clone() });
            unfinished(record, work);
            go_on(record, work);
        }
        Change::Applied => record.failure = None,
        Change::Retried { resume, anew } => {
            record.failure = None;
            if let Some(subplan) = record.subplan.as_mut().filter(|_| *anew) {
                subplan.failures = 0;
            }
            for project in &mut record.projects {
                project.resume = resume.get(&project.name).cloned();
            }
        }
        Change::Constrained { failure, validations } => {
            record.failure = Some(failure.clone());
            record.validations.clone_from(validations);
            forget_open_landings(record);
        }
        Change::Reverted { reason } => go_back(record, reason.as_deref()),
        Change::Interrupted { cause, work } => {
            record.failure = Some(cause.failure(record.id));
            unfinished(record, work);
        }
        Change::Adopted { driver } => {
            if let Some(attempt) = &mut record.last_attempt {
                attempt.driver = driver.clone();
            }
        }
        Change::Cancelled { reason, work, given_up, .. } => {
            record.cancel_reason.clone_from(reason);
            if let Some(subplan) = &mut record.subplan {
                subplan.given_up.clone_from(given_up);
            }
            record.parked = None;
            unfinished(record, work);
        }
        Change::Prompted { text } => {
            record.guidance.push(text.clone());
            if record.parked.as_ref().is_some_and(|parked| parked.input.is_some()) {
                record.parked = None;
            }
        }
        Change::LandingIntended { intents, validations } => {
            record.validations.clone_from(validations);
            for project in &mut record.projects {
                if let Some(intent) = intents.iter().find(|intent| intent.project == project.name) {
                    project.landing = Some(PlanLanding { intent: intent.clone(), landed: false });
                }
            }
        }
        Change::SubplanMerged { tips, .. } => {
            for project in &mut record.projects {
                project.tip = tips.get(&project.name).cloned().or(project.tip.take());
            }
        }
        Change::WorkSaved { attempt, work } => belated(record, *attempt, work),
        Change::CommandStarted => {
            if let Some(attempt) = &mut record.last_attempt {
                attempt.commanded = true;
            }
        }
        Change::Landed { intent } => {
            let landings = record.projects.iter_mut().filter_map(|project| project.landing.as_mut());
            landings.filter(|landing| landing.intent.id == *intent).for_each(|landing| landing.landed = true);
        }
    }
}

/// Where unfinished work is, if it is in a snapshot. What is only in a directory is newer than any
/// snapshot of before, which must not be taken for it.
fn unfinished(record: &mut PlanRecord, work: &[Work]) {
    for Work { project: name, saved } in work {
        for project in record.projects.iter_mut().filter(|project| project.name == *name) {
            project.snapshot = match saved {
                Saved::Snapshot { commit, .. } => Some(commit.clone()),
                Saved::Directory { .. } | Saved::Pending { .. } => None,
            };
        }
    }
}

/// What a later attempt left is newer.
fn belated(record: &mut PlanRecord, attempt: u32, work: &[Work]) {
    if attempt == record.attempt {
        unfinished(record, work);
    }
}

/// An attempt that went on with unfinished work and is parked leaves more of it: the next one goes
/// on from there. What could not be put into a snapshot is not gone on with unasked.
fn go_on(record: &mut PlanRecord, work: &[Work]) {
    for project in record.projects.iter_mut().filter(|project| project.resume.is_some()) {
        if work.iter().any(|work| work.project == project.name) {
            project.resume = project.snapshot.clone().or(project.resume.take());
        }
    }
}

/// A branch that moved away ends its intent, which is marked as given up by then; the next attempt decides
/// anew. What landed stays. Those behind it need no mark: nobody comes to them but by landing that one.
fn forget_open_landings(record: &mut PlanRecord) {
    for project in &mut record.projects {
        project.landing.take_if(|landing| !landing.landed);
    }
}

/// The next attempt starts from a base of its own. Earlier work stays in its refs; what went wrong
/// becomes guidance.
fn go_back(record: &mut PlanRecord, reason: Option<&str>) {
    let finding = record.failure.take().map(|failure| failure.message);
    record.guidance.extend(finding);
    record.guidance.extend(reason.map(str::to_owned));
    record.reversion_count += 1;
    if let Some(subplan) = &mut record.subplan {
        subplan.failures = 0;
    }
    record.strategy = None;
    record.parked = None;
    record.validations.clear();
    for project in &mut record.projects {
        (project.base, project.tip, project.snapshot, project.resume) = (None, None, None, None);
    }
}
