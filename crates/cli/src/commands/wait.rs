//! `agents plan wait`: until a plan rests, or is in the state that is waited for.
//!
//! It ends as the command that drives the plan would: 0 if all is well, else with the exit code of
//! what happened.

use agents_application::vigil::Awaited;
use agents_domain::plan::State;
use agents_domain::reads::PlanView;
use serde_json::json;

use crate::app::App;
use crate::args::plan::WaitArgs;
use crate::commands::{drive, resolve};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::Report;

/// Waits, and says what became of the plan.
pub(super) fn wait(app: &App, args: &WaitArgs) -> Result<Report, Failure> {
    let id = resolve::plan(app, &args.plan)?;
    let awaited = app.block_on(app.vigil().keep(id, args.wanted, args.timeout, &*app.watch));
    app.base.progress.finish();
    match (awaited?, args.wanted) {
        (Awaited::Reached(view), Some(_)) => drive::report_of(app, &view),
        (Awaited::Reached(view), None) => rested(app, &view),
        (Awaited::Elsewhere(view), wanted) => {
            rested(app, &view).and_then(|_| Err(past(&view, wanted.unwrap_or(State::Applied))))
        }
        (Awaited::TimedOut(view), _) => Err(timed_out(&view)),
        (Awaited::Missing, _) => {
            Err(Failure::not_found("no_such_plan", format!("there is no plan {id}")).hint("agents plan list"))
        }
    }
}

/// What it has come to. Who waits did not cancel it: to them that is no success.
fn rested(app: &App, view: &PlanView) -> Result<Report, Failure> {
    if view.record.state() == State::Cancelled {
        let id = view.record.id;
        let failure = Failure::new(Exit::LeaseLost, "cancelled", format!("plan {id} was cancelled"));
        return Err(stage_of(failure, view).hint(format!("agents plan events {id}")));
    }
    drive::outcome(app, &view.record)
}

/// The road has ended well, and not where it was waited for.
fn past(view: &PlanView, wanted: State) -> Failure {
    let (id, stage) = (view.record.id, view.record.stage);
    let message = format!("plan {id} is {stage} and will not be {wanted} any more");
    let failure = Failure::new(Exit::Refused, "not_reached", message);
    stage_of(failure, view).hint(format!("agents plan status {id}"))
}

fn timed_out(view: &PlanView) -> Failure {
    let (id, stage) = (view.record.id, view.record.stage);
    let message = format!("the time is over, and plan {id} is {stage}");
    let failure = Failure::new(Exit::TimedOut, "timed_out", message);
    stage_of(failure, view).hint(format!("agents plan why {id}")).retry()
}

fn stage_of(failure: Failure, view: &PlanView) -> Failure {
    let plan = &view.record;
    let (phase, state) = (plan.phase().as_str(), plan.state().as_str());
    failure.detail(json!({ "plan_id": plan.id.as_str(), "phase": phase, "state": state }))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    #[test]
    fn what_ends_a_wait_has_a_code_and_a_way_on() {
        let view = samples::view();
        let (past, late) = (past(&view, State::Errored), timed_out(&view));
        assert_eq!((past.exit, past.code, past.retryable), (Exit::Refused, "not_reached", false));
        assert_eq!((late.exit, late.code, late.retryable), (Exit::TimedOut, "timed_out", true));
        for failure in [past, late] {
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
            assert_eq!(failure.details.expect("given")["state"], "queued");
        }
    }
}
