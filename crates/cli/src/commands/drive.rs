//! What all commands that move a plan share: signals, the end of the hold, and the report.

use agents_application::lifecycle::history;
use agents_application::{DriveError, Observer as _, PhaseDriver};
use agents_domain::id::PlanId;
use agents_domain::plan::{Failure as PlanFailure, Parked, Phase, Plan, PlanRecord, State};
use agents_domain::reads::PlanView;
use agents_domain::runner::StopCause;
use serde_json::json;

use crate::app::App;
use crate::commands::{detach, resolve, why};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Report, parked_view, plan_report, rfc3339, with_order};
use crate::signals::Signals;

/// Drives a plan with signals heard, ends every hold of this process, and reports what became of
/// the plan.
pub(super) fn drive<F, D>(app: &App, work: D) -> Result<Report, Failure>
where
    D: FnOnce(PhaseDriver) -> F,
    F: Future<Output = Result<Plan, DriveError>>,
{
    drive_to(app, work, outcome)
}

/// The same for a command that has done its part whatever state the plan is in.
pub(super) fn note<F, D>(app: &App, work: D) -> Result<Report, Failure>
where
    D: FnOnce(PhaseDriver) -> F,
    F: Future<Output = Result<Plan, DriveError>>,
{
    drive_to(app, work, noted)
}

fn drive_to<F, D>(
    app: &App,
    work: D,
    outcome: fn(&App, &PlanRecord) -> Result<Report, Failure>,
) -> Result<Report, Failure>
where
    D: FnOnce(PhaseDriver) -> F,
    F: Future<Output = Result<Plan, DriveError>>,
{
    let outcome = heard(app, work).and_then(|plan| outcome(app, &plan));
    with_warnings(app, outcome)
}

/// Has a driver do something, with signals heard: the first ends nothing in the middle, and then everything is
/// given back.
pub(super) fn heard<T, F, D>(app: &App, work: D) -> Result<T, Failure>
where
    D: FnOnce(PhaseDriver) -> F,
    F: Future<Output = Result<T, DriveError>>,
{
    let driven = app.block_on(async {
        let signals = Signals::listen(app.stop.clone())?;
        let outcome = work(app.driver()).await;
        release_all_if_stopped(app).await;
        Ok::<_, Failure>((outcome, signals.exit()))
    });
    app.base.progress.finish();
    let (outcome, exit) = driven?;
    outcome.map_err(|error| explain(app, error, exit))
}

/// Works on many plans with signals heard. The work looks at [`App::stop`] between two of them; was
/// it stopped, everything is given back, and `remedy` goes on with the rest.
pub(super) fn over_many<T>(app: &App, remedy: &str, work: impl AsyncFnOnce() -> T) -> Result<T, Failure> {
    let done = app.block_on(async {
        let signals = Signals::listen(app.stop.clone())?;
        let done = work().await;
        release_all_if_stopped(app).await;
        if app.stop.requested().is_none() {
            return Ok(done);
        }
        let message = "stopped by a signal; what was not reached is as it was";
        Err(Failure::new(signals.exit(), "stopped", message).hint(remedy).retry())
    });
    app.base.progress.finish();
    done
}

pub(super) async fn release_all_if_stopped(app: &App) {
    if app.stop.requested().is_some() {
        release_all(app).await;
    }
}

/// Gives everything back that this process holds.
pub(super) async fn release_all(app: &App) {
    if let Err(error) = app.locks().release_all_for_owner().await {
        // It changes no outcome: the locks end with their leases, or at once as our proven death.
        app.watch.warning(&format!("locks could not be released and end with their lease: {error}"));
    }
}

/// What became of the plan: a report, or the failure that its state stands for.
pub(super) fn outcome(app: &App, plan: &PlanRecord) -> Result<Report, Failure> {
    match (&plan.failure, plan.state()) {
        (Some(failure), State::Errored | State::Constrained) => Err(unsuccessful(plan, failure)),
        _ => match &plan.parked {
            Some(waits) => Err(parked(plan, waits, helps(app, plan, waits)?)),
            None => noted(app, plan),
        },
    }
}

/// The plan as it is now, and what to do next.
fn noted(app: &App, plan: &PlanRecord) -> Result<Report, Failure> {
    let report = report(app, plan.id)?;
    Ok(next_step(plan).into_iter().fold(report, Report::message))
}

/// What to do next with a plan, if anything.
fn next_step(plan: &PlanRecord) -> Option<String> {
    Some(format!("next: {}", way_on(plan)?))
}

/// The command that leads on, if one does.
fn way_on(plan: &PlanRecord) -> Option<String> {
    let id = plan.id;
    if plan.parked.as_ref().is_some_and(|parked| parked.input.is_some()) {
        return Some(format!("agents plan prompt {id} \"…\""));
    }
    if let Some(parent) = plan.parent() {
        return child_way_on(plan, parent);
    }
    match (plan.phase(), plan.state()) {
        (Phase::Strategize, State::Queued | State::Complete) | (Phase::Execute, State::Queued) => {
            Some(format!("agents plan execute {id}"))
        }
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => {
            Some(format!("agents plan apply {id}"))
        }
        (_, State::Errored | State::Constrained) => Some(format!("agents plan retry {id}")),
        _ => None,
    }
}

/// The same for a child: whoever drives its parent begins it, and makes its work the parent's own.
fn child_way_on(plan: &PlanRecord, parent: PlanId) -> Option<String> {
    match (plan.phase(), plan.state()) {
        (_, State::Applied | State::Cancelled) => None,
        (Phase::Strategize | Phase::Execute, State::Errored) => {
            Some(format!("agents plan retry {}", plan.id))
        }
        (Phase::Execute, State::Complete) | (Phase::Apply, _) => Some(format!("agents plan why {parent}")),
        _ => Some(format!("agents plan why {}", plan.id)),
    }
}

/// The plan as `plan status` shows it, with what to do next.
pub(super) fn report(app: &App, plan: PlanId) -> Result<Report, Failure> {
    report_of(app, &resolve::view(app, plan)?)
}

/// The same of a plan that was just seen.
pub(super) fn report_of(app: &App, view: &PlanView) -> Result<Report, Failure> {
    let attempts = history::attempts(&app.block_on(app.store.plans().events(view.record.id))?);
    let report = plan_report(view, &attempts, &|holder| app.liveness(holder), app.now());
    let order = app.block_on(detach::in_hand(app, view.record.id))?;
    Ok(with_order(report, order.as_ref(), app.now()))
}

fn with_warnings(app: &App, outcome: Result<Report, Failure>) -> Result<Report, Failure> {
    let mut warnings = app.watch.take_warnings();
    match outcome {
        Ok(mut report) => {
            warnings.append(&mut report.messages);
            Ok(Report { messages: warnings, ..report })
        }
        Err(mut failure) => {
            failure.causes.append(&mut warnings);
            Err(failure)
        }
    }
}

fn explain(app: &App, error: DriveError, exit: Exit) -> Failure {
    match error {
        DriveError::Stopped { plan, cause: StopCause::Shutdown | StopCause::Escalated } => {
            // It may have been stopped while nothing ran: then there is nothing to retry.
            let found = resolve::view(app, plan).ok().and_then(|view| way_on(&view.record));
            Failure::new(exit, "stopped", format!("plan {plan} was stopped by a signal"))
                .hint(found.unwrap_or_else(|| format!("agents plan status {plan}")))
                .retry()
        }
        error => Failure::of_drive(error, &|held| app.locked(held)),
    }
}

/// The exit code of a plan that did not succeed, by the code of its failure.
fn exit_of(failure: &PlanFailure) -> Exit {
    match failure.code.as_str() {
        "conflict" | "moved_away" | "dirty_checkout" | "ref_moved" | "no_branch" => Exit::Stale,
        "owner_died" | "lease_lost" | "shutdown" => Exit::LeaseLost,
        _ => Exit::WorkFailed,
    }
}

fn unsuccessful(plan: &PlanRecord, failure: &PlanFailure) -> Failure {
    let code = if plan.state() == State::Constrained { "constrained" } else { "phase_failed" };
    let message = format!("plan {} is {}: {}", plan.id, plan.stage, failure.message);
    let details = json!({
        "plan_id": plan.id.as_str(),
        "phase": plan.phase().as_str(),
        "state": plan.state().as_str(),
        "reason": failure.code,
        "attempt": plan.attempt,
    });
    let mut shown = Failure::new(exit_of(failure), code, message).detail(details);
    shown.retryable = failure.retryable;
    let retry = way_on(plan).unwrap_or_else(|| format!("agents plan retry {}", plan.id));
    // Of a child that could not be merged only its parent is tried again.
    let merged_by = plan.parent().filter(|_| plan.phase() == Phase::Apply);
    let leads_there = |hint: &String| merged_by.is_none_or(|parent| hint.contains(parent.as_str()));
    let known = failure.hint.clone().filter(leads_there);
    let hint = known.unwrap_or_else(|| retry.clone());
    let leads_on = hint == retry || hint.contains(" retry ");
    let (first, last) = if leads_on { (None, hint) } else { (Some(hint), retry) };
    let go_on = left_work(plan).then(|| {
        format!("go on with what it left: `agents plan retry {} --continue`, or begin anew:", plan.id)
    });
    first.into_iter().chain(go_on).chain([last]).fold(shown, Failure::hint)
}

/// Whether an attempt at execute left anything that another could go on with.
fn left_work(plan: &PlanRecord) -> bool {
    let mut left = plan.projects.iter().filter(|facts| facts.snapshot.is_some());
    plan.phase() == Phase::Execute && left.any(|facts| facts.snapshot.as_ref() != facts.foundation())
}

/// What helps a plan that waits. It may be a subplan that asks: the answer is for that one, and another
/// attempt of its parent would only wait again.
fn helps(app: &App, plan: &PlanRecord, parked: &Parked) -> Result<String, Failure> {
    let helps = match (&parked.input, parked.until) {
        (None, None) => why::remedy(app, plan.id)?,
        _ => way_on(plan),
    };
    Ok(helps.unwrap_or_else(|| format!("agents plan status {}", plan.id)))
}

/// A plan that waits by its command's wish: for an answer, or until a time, which whoever orders it
/// need not await.
fn parked(plan: &PlanRecord, parked: &Parked, hint: String) -> Failure {
    let id = plan.id;
    let details = json!({
        "plan_id": id.as_str(),
        "phase": plan.phase().as_str(),
        "state": plan.state().as_str(),
        "attempt": plan.attempt,
        "parked": parked_view(parked),
    });
    let failure = match (&parked.input, parked.until) {
        (Some(question), _) => {
            let message = format!("plan {id} awaits an answer");
            let failure = Failure::new(Exit::AwaitingInput, "needs_input", message).cause(&*parked.cause);
            question.lines().fold(failure, |failure, line| failure.cause(format!("it asks: {line}")))
        }
        (None, until) => {
            let until = until.map(|until| format!(" until {}", rfc3339(until))).unwrap_or_default();
            let message = format!("plan {id} waits{until}: {}", parked.cause);
            Failure::new(Exit::AwaitingInput, "parked", message).retry()
        }
    };
    failure.hint(hint).detail(details)
}
