//! `--detach`: an order for a worker, and nothing more.

use agents_application::Order;
use agents_application::driver::{ApplyOptions, Ordered};
use agents_domain::id::PlanId;
use agents_domain::orders::Wish;

use crate::app::App;
use crate::args::value::PlanRef;
use crate::commands::{drive, resolve, worker};
use crate::failure::Failure;
use crate::render::{InHand, Report};

/// `agents run --detach`.
pub(super) fn run(app: &App, order: Order, apply: Option<ApplyOptions>) -> Result<Report, Failure> {
    let orders = app.orders();
    let ordered = drive::heard(app, |driver| async move { driver.run_later(order, apply, &*orders).await });
    report(app, ordered?)
}

/// `agents plan execute|apply|retry --detach`.
pub(super) fn order(app: &App, plan: &PlanRef, wish: Wish) -> Result<Report, Failure> {
    app.git.check()?;
    let (plan, orders) = (resolve::plan(app, plan)?, app.orders());
    let ordered = drive::heard(app, |driver| async move { driver.order(plan, wish, &*orders).await });
    report(app, ordered?)
}

/// What was ordered, and what to do next.
fn report(app: &App, Ordered { plan, order }: Ordered) -> Result<Report, Failure> {
    let id = plan.id;
    let report = drive::report(app, id)?;
    let Some(order) = order else {
        return Ok(report.message(format!("nothing to order: plan {id} is at {}", plan.stage)));
    };
    let goal = order.wanted.goal;
    let report = report.message(format!("ordered: a worker takes plan {id} up to {goal}"));
    let report = if app.block_on(worker::alive(app))?.is_empty() {
        report.message("no worker is alive; start one: agents worker run")
    } else {
        report
    };
    Ok(report.message(format!("next: agents plan status {id}")))
}

/// The order of a plan, and who has it.
pub(super) async fn in_hand(app: &App, plan: PlanId) -> Result<Option<InHand>, Failure> {
    let Some(order) = app.orders().of(plan).await? else { return Ok(None) };
    let Some(claim) = order.claim else { return Ok(Some(InHand { order, worker: None })) };
    let workers = app.store.workers().list().await?;
    let worker = workers.into_iter().map(|one| one.worker).find(|worker| worker.id == claim.worker);
    Ok(Some(InHand { order, worker }))
}
