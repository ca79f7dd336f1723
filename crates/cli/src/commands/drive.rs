//! What all commands that move a plan share: signals, the end of the hold, and the report.

use agents_application::{DriveError, Observer as _, PhaseDriver};
use agents_domain::id::PlanId;
use agents_domain::plan::{Failure as PlanFailure, Phase, Plan, State};
use agents_domain::runner::StopCause;
use serde_json::json;

use crate::app::App;
use crate::commands::resolve;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Report, plan_report};
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
    outcome: fn(&App, &Plan) -> Result<Report, Failure>,
) -> Result<Report, Failure>
where
    D: FnOnce(PhaseDriver) -> F,
    F: Future<Output = Result<Plan, DriveError>>,
{
    let driven = app.block_on(async {
        let signals = Signals::listen(app.stop.clone())?;
        let outcome = work(app.driver()).await;
        release_all_if_stopped(app).await;
        outcome.map_err(|error| explain(app, error, &signals))
    });
    app.base.progress.finish();
    let outcome = driven.and_then(|plan| outcome(app, &plan));
    with_warnings(app, outcome)
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

async fn release_all_if_stopped(app: &App) {
    if app.stop.requested().is_some()
        && let Err(error) = app.locks().release_all_for_owner().await
    {
        // It changes no outcome: the locks end with their leases, or at once as our proven death.
        app.watch.warning(&format!("locks could not be released and end with their lease: {error}"));
    }
}

/// What became of the plan: a report, or the failure that its state stands for.
pub(super) fn outcome(app: &App, plan: &Plan) -> Result<Report, Failure> {
    match (&plan.failure, plan.state()) {
        (Some(failure), State::Errored | State::Constrained) => Err(unsuccessful(plan, failure)),
        _ if plan.parked.is_some() => Err(parked(plan)),
        _ => noted(app, plan),
    }
}

/// The plan as it is now, and what to do next.
fn noted(app: &App, plan: &Plan) -> Result<Report, Failure> {
    let report = report(app, plan.id)?;
    Ok(next_step(plan).into_iter().fold(report, Report::message))
}

/// What to do next with a plan that is well, if anything.
fn next_step(plan: &Plan) -> Option<String> {
    let id = plan.id;
    match (plan.phase(), plan.state()) {
        (Phase::Strategize, State::Queued | State::Complete) | (Phase::Execute, State::Queued) => {
            Some(format!("next: agents plan execute {id}"))
        }
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => {
            Some(format!("next: agents plan apply {id}"))
        }
        (_, State::Errored | State::Constrained) => Some(format!("next: agents plan retry {id}")),
        _ => None,
    }
}

/// The plan as `plan status` shows it, with what to do next.
pub(super) fn report(app: &App, plan: PlanId) -> Result<Report, Failure> {
    let view = resolve::view(app, plan)?;
    Ok(plan_report(&view, &|holder| app.liveness(holder), app.now()))
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

fn explain(app: &App, error: DriveError, signals: &Signals) -> Failure {
    match error {
        DriveError::Stopped { plan, cause: StopCause::Shutdown | StopCause::Escalated } => {
            Failure::new(signals.exit(), "stopped", format!("plan {plan} was stopped by a signal"))
                .hint(format!("agents plan retry {plan}"))
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

fn unsuccessful(plan: &Plan, failure: &PlanFailure) -> Failure {
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
    let retry = format!("agents plan retry {}", plan.id);
    let hint = failure.hint.clone().unwrap_or_else(|| retry.clone());
    let shown = shown.hint(hint.clone());
    if hint.contains(" retry ") { shown } else { shown.hint(retry) }
}

fn parked(plan: &Plan) -> Failure {
    let cause = plan.parked.as_ref().map(|parked| parked.cause.clone()).unwrap_or_default();
    Failure::new(Exit::AwaitingInput, "parked", format!("plan {} waits: {cause}", plan.id))
        .hint(format!("agents plan execute {}", plan.id))
        .retry()
}
