//! `agents recover`: ends what dead drivers left behind, plan by plan.
//!
//! Which plans that concerns is decided by [`agents_application::recovery`] from what is seen, and
//! again by the driver once it holds the plan. A landing that has to wait for a project is left for
//! the next time, unless `--wait` says otherwise: the other plans come first.

use agents_application::recovery::{Action, Facts, decide};
use agents_application::{DriveError, LifecycleError, PhaseDriver, StopHub};
use agents_domain::id::PlanId;
use agents_domain::lock::LockError;
use agents_domain::plan::State;
use agents_domain::reads::{PlanFilter, PlanView};
use serde_json::json;

use crate::app::App;
use crate::commands::drive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report};

/// Recovers every plan in `processing` that nobody validly holds, makes the snapshots that are pending on
/// this machine, and pushes what it could not push. One that fails does not stop the rest.
pub fn recover(app: &App) -> Result<Report, Failure> {
    let stuck = stuck(app)?;
    // Of plans that another machine may have recovered, the directories are here.
    let left = app.block_on(app.leftovers().plans(&[]))?;
    let driver = app.recoverer(&app.stop);
    let mut grid = Grid::new(&["PLAN", "OUTCOME"]);
    let (mut rows, mut exit) = (Vec::new(), Exit::Done);
    let recovered = drive::over_many(app, "agents recover", async || {
        let mut outcomes = Vec::new();
        for view in &stuck {
            if app.stop.requested().is_none() {
                outcomes.push((view.record.id, driver.recover(view.record.id).await));
            }
        }
        let mut saved = Vec::new();
        for plan in &left {
            if app.stop.requested().is_none() {
                saved.push((*plan, put_right(&driver, *plan).await));
            }
        }
        (outcomes, saved)
    })?;
    let (recovered, saved) = recovered;
    for (id, recovered) in recovered {
        let (ok, code, outcome) = match recovered {
            Ok(plan) => (true, Exit::Done, format!("now {}", plan.stage)),
            // Somebody was faster, and looks after it.
            Err(error) if is_held(&error) => {
                (false, Exit::Done, format!("left alone: {}", failed(app, error).message))
            }
            Err(error) => {
                let failure = failed(app, error);
                (false, failure.exit, failure.message)
            }
        };
        exit = if exit == Exit::Done { code } else { exit };
        grid.row([id.to_string(), outcome.clone()]);
        rows.push(json!({
            "plan_id": id.as_str(), "recovered": ok, "exit_code": code.code(), "outcome": outcome,
        }));
    }
    for (id, saved) in saved {
        let (ok, code, outcome) = match saved {
            Ok(done) if done.is_empty() => continue,
            Ok(done) => (true, Exit::Done, done.join("; ")),
            // Another has it, or it is not in this store: nothing was promised.
            Err(DriveError::Lifecycle(LifecycleError::NoSuchPlan { .. })) => continue,
            Err(error) if is_held(&error) => continue,
            Err(error) => {
                let failure = failed(app, error);
                (false, failure.exit, failure.message)
            }
        };
        exit = if exit == Exit::Done { code } else { exit };
        grid.row([id.to_string(), outcome.clone()]);
        rows.push(json!({
            "plan_id": id.as_str(), "recovered": ok, "exit_code": code.code(), "outcome": outcome,
        }));
    }
    let rows_told = !rows.is_empty();
    let ids = stuck.iter().map(|view| view.record.id.to_string()).collect();
    let report = Report { body: Body::Table(grid), ids, ..Report::of(json!({ "plans": rows })) };
    let warnings = app.watch.take_warnings().into_iter().fold(report, Report::message);
    let summary = match stuck.len() {
        0 if rows_told => "no plan was without a driver".to_owned(),
        0 => "nothing to recover".to_owned(),
        1 => "1 plan was without a driver; next: agents plan list --state errored".to_owned(),
        n => format!("{n} plans were without a driver; next: agents plan list --state errored"),
    };
    let report = Report { exit, ..warnings }.message(summary);
    Ok(if exit == Exit::Done {
        report
    } else {
        report.message("not all could be recovered; then: agents recover")
    })
}

/// Makes the snapshots that are pending on this machine, and pushes what it could not push, until `stop` is
/// heard; what cannot be done now is done another time.
pub(super) async fn put_all_right(app: &App, stop: &StopHub) {
    let Ok(left) = app.leftovers().plans(&[]).await else { return };
    let driver = app.recoverer(stop);
    for plan in left {
        if stop.requested().is_some() {
            return;
        }
        match put_right(&driver, plan).await {
            Ok(done) if done.is_empty() => {}
            Ok(done) => tracing::info!(%plan, "{}", done.join("; ")),
            Err(error) => tracing::debug!(%plan, %error, "what is pending here stays pending"),
        }
    }
}

/// What other machines lack of a plan, and only this one can do about it; what was done, in words.
async fn put_right(driver: &PhaseDriver, plan: PlanId) -> Result<Vec<String>, DriveError> {
    let made = driver.save_pending(plan).await?;
    let pushed = driver.push_missed(plan).await?;
    let made = made.iter().map(|(attempt, project)| format!("attempt {attempt} in {project}"));
    let lines = [
        ("put into snapshots", made.collect::<Vec<_>>()),
        ("pushed", pushed.iter().map(|project| format!("the result in {project}")).collect()),
    ];
    let done = lines.into_iter().filter(|(_, each)| !each.is_empty());
    Ok(done.map(|(what, each)| format!("{what} what was pending here: {}", each.join(", "))).collect())
}

/// The plans in `processing` whose driver is gone, or whose lock has run out.
pub(super) fn stuck(app: &App) -> Result<Vec<PlanView>, Failure> {
    let filter = PlanFilter { state: Some(State::Processing), all: true, ..PlanFilter::default() };
    let mut plans = app.block_on(app.store.reads().list(&filter))?.plans;
    let here = app.locks().myself("recover");
    let liveness = |holder: &_| app.liveness(holder);
    plans.retain(|view| decide(&Facts::seen(view, liveness, &here)) == Action::Take);
    Ok(plans)
}

fn failed(app: &App, error: DriveError) -> Failure {
    Failure::of_drive(error, &|held| app.locked(held))
}

/// Whether another holds the plan by now.
fn is_held(error: &DriveError) -> bool {
    let DriveError::Lifecycle(LifecycleError::Lock { source, .. }) = error else { return false };
    matches!(source, LockError::Conflict(_))
}
