//! `agents plan spawn`: another child for a plan.

use agents_application::{OrderError, arguments};
use agents_domain::action::{ArgumentValue, Arguments};
use agents_domain::subplan::SubplanItem;

use crate::app::App;
use crate::args::plan::SpawnArgs;
use crate::commands::{drive, resolve};
use crate::failure::Failure;
use crate::render::Report;

/// Stores the child, and shows it.
pub(super) fn spawn(app: &App, args: &SpawnArgs) -> Result<Report, Failure> {
    let parent = resolve::plan(app, &args.parent)?;
    let item = SubplanItem {
        name: args.name.clone().unwrap_or_else(|| args.action.short().to_owned()),
        action: args.action.clone(),
        args: given(app, args)?,
        depends_on: args.depends_on.clone(),
        projects: args.projects.clone(),
    };
    let spawned = app.block_on(app.subplans().spawn(parent, &[item], app.wait_for_plan()));
    let children = spawned.map_err(|error| Failure::of_spawn(error, &|held| app.locked(held)))?;
    let child = children.first().copied().unwrap_or(parent);
    let report = drive::report(app, child)?;
    Ok(report.message(format!("plan {parent} runs it when it is executed: agents plan tree {parent}")))
}

/// The arguments as the action wants them; of an action that is not there whatever they look like:
/// that it is not there is said with everything else.
fn given(app: &App, args: &SpawnArgs) -> Result<Arguments, Failure> {
    let pairs: Vec<String> =
        args.args.iter().map(|given| format!("{}={}", given.name, given.value)).collect();
    let Some(stored) = app.block_on(app.store.actions().get(&args.action))? else {
        let text = |value: &str| ArgumentValue::String(value.to_owned());
        return Ok(args.args.iter().map(|given| (given.name.clone(), text(&given.value))).collect());
    };
    let read = arguments::read(&stored.action.arguments, &pairs);
    let action = args.action.clone();
    Ok(read.map_err(|problems| OrderError::Arguments { action, problems })?)
}
