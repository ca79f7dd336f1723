//! `agents run` and `agents plan use`: a new plan.

use agents_application::driver::ApplyOptions;
use agents_application::{Order, OrderRequest, order};
use agents_infrastructure::git;

use crate::app::App;
use crate::args::plan::{NewPlanArgs, RunArgs};
use crate::commands::{detach, drive, resolve};
use crate::failure::Failure;
use crate::render::Report;

/// `agents run`: use, strategize, execute and, when asked, apply, under one hold.
pub fn run(app: &App, args: &RunArgs) -> Result<Report, Failure> {
    let order = prepare(app, &args.plan)?;
    let options = ApplyOptions { allow_empty: args.allow_empty };
    if args.detach {
        return detach::run(app, order, args.apply.then_some(options));
    }
    drive::drive(app, |driver| async move { driver.run(order, args.apply, options).await })
}

/// `agents plan use`: the plan alone.
pub fn use_action(app: &App, args: &NewPlanArgs) -> Result<Report, Failure> {
    let order = prepare(app, args)?;
    drive::drive(app, |driver| async move { driver.create(order).await })
}

fn prepare(app: &App, args: &NewPlanArgs) -> Result<Order, Failure> {
    app.git.check()?;
    let request = OrderRequest {
        action: args.action.clone(),
        projects: resolve::projects(app, &args.projects)?,
        arguments: args.args.iter().map(|given| format!("{}={}", given.name, given.value)).collect(),
        automation: args.automation.or(app.base.settings.automation),
        name: args.name.as_ref().map(|label| label.as_str().to_owned()),
    };
    let order = app.block_on(order::prepare(&*app.store.actions(), &*app.store.projects(), request))?;
    for project in &order.definition.projects {
        git::check_project(&app.git, &app.here(project)?)?;
    }
    Ok(order)
}
