//! `agents recover`: ends what dead drivers left behind, plan by plan.

use agents_domain::lock::Liveness;
use agents_domain::plan::State;
use agents_domain::reads::{PlanFilter, PlanReads, PlanView};
use serde_json::json;

use crate::app::App;
use crate::commands::drive;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report};

/// Recovers every plan in `processing` that nobody validly holds. One that fails does not stop
/// the rest.
pub fn recover(app: &App) -> Result<Report, Failure> {
    let stuck = stuck(app)?;
    let driver = app.driver();
    let mut grid = Grid::new(&["PLAN", "OUTCOME"]);
    let (mut rows, mut failed) = (Vec::new(), false);
    let recovered = drive::over_many(app, "agents recover", async || {
        let mut outcomes = Vec::new();
        for view in &stuck {
            if app.stop.requested().is_none() {
                outcomes.push((view.record.id, driver.recover(view.record.id).await));
            }
        }
        outcomes
    })?;
    for (id, recovered) in recovered {
        let (ok, outcome) = match recovered {
            Ok(plan) => (true, format!("now {}", plan.stage)),
            Err(error) => (false, Failure::of_drive(error, &|held| app.locked(held)).message),
        };
        failed |= !ok;
        grid.row([id.to_string(), outcome.clone()]);
        rows.push(json!({ "plan_id": id.as_str(), "recovered": ok, "outcome": outcome }));
    }
    let ids = stuck.iter().map(|view| view.record.id.to_string()).collect();
    let report = Report { body: Body::Table(grid), ids, ..Report::of(json!({ "plans": rows })) };
    let warnings = app.watch.take_warnings().into_iter().fold(report, Report::message);
    let exit = if failed { Exit::Internal } else { Exit::Done };
    let summary = match stuck.len() {
        0 => "nothing to recover".to_owned(),
        1 => "1 plan was without a driver; next: agents plan list --state errored".to_owned(),
        n => format!("{n} plans were without a driver; next: agents plan list --state errored"),
    };
    Ok(Report { exit, ..warnings }.message(summary))
}

/// The plans in `processing` whose driver is gone, or whose lock has run out.
pub(super) fn stuck(app: &App) -> Result<Vec<PlanView>, Failure> {
    let filter = PlanFilter { state: Some(State::Processing), all: true, ..PlanFilter::default() };
    let mut plans = app.block_on(app.store.reads().list(&filter))?.plans;
    plans.retain(|view| match &view.lock {
        None => true,
        Some(lock) => lock.stale || app.liveness(&lock.holder) == Liveness::Dead,
    });
    Ok(plans)
}
