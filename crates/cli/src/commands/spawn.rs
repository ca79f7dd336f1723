//! `agents plan spawn`: another child for a plan.

use std::collections::BTreeSet;

use agents_application::arguments::{self, ArgumentProblem, InvalidArguments};
use agents_application::subplan_service::{InvalidSubplans, SpawnError, SubplanProblem};
use agents_domain::action::Arguments;
use agents_domain::id::PlanId;
use agents_domain::subplan::SubplanItem;

use crate::app::App;
use crate::args::plan::SpawnArgs;
use crate::commands::{drive, resolve};
use crate::failure::Failure;
use crate::render::Report;

/// Stores the child, and shows it. All that is wrong with it is told at once.
pub(super) fn spawn(app: &App, args: &SpawnArgs) -> Result<Report, Failure> {
    let parent = resolve::plan(app, &args.parent)?;
    let item = SubplanItem {
        name: args.name.clone().unwrap_or_else(|| args.action.short().to_owned()),
        action: args.action.clone(),
        args: given(app, args)?,
        depends_on: args.depends_on.clone(),
        projects: args.projects.clone(),
    };
    let spawned = match repeated(args, &item.name) {
        Some(problem) => Err(app.block_on(all_wrong(app, parent, &item, problem))),
        None => app.block_on(app.subplans().spawn(parent, &[item], app.wait_for_plan())),
    };
    let children = spawned.map_err(|error| Failure::of_spawn(error, &|held| app.locked(held)))?;
    let child = children.first().copied().unwrap_or(parent);
    let report = drive::report(app, child)?;
    Ok(report.message(format!("plan {parent} runs it when it is executed: agents plan tree {parent}")))
}

/// The arguments as the action wants them, as far as they can be read; of an action that is not there
/// whatever they look like. What does not fit is said with everything else.
fn given(app: &App, args: &SpawnArgs) -> Result<Arguments, Failure> {
    let stored = app.block_on(app.store.actions().get(&args.action))?;
    let specs = stored.map(|stored| stored.action.arguments).unwrap_or_default();
    let pairs = args.args.iter().map(|given| (given.name.as_str(), given.value.as_str()));
    Ok(arguments::read(&specs, pairs))
}

/// Arguments that are given more than once, which no item can have.
fn repeated(args: &SpawnArgs, item: &str) -> Option<SubplanProblem> {
    let mut seen = BTreeSet::new();
    let again = args.args.iter().filter(|given| !seen.insert(given.name.as_str()));
    let problems: Vec<_> =
        again.map(|given| ArgumentProblem::Repeated { name: given.name.clone() }).collect();
    let problems = (!problems.is_empty()).then_some(InvalidArguments { problems })?;
    Some(SubplanProblem::Arguments { item: item.to_owned(), problems })
}

/// That problem, and all others of an item. Stores nothing.
async fn all_wrong(app: &App, parent: PlanId, item: &SubplanItem, problem: SubplanProblem) -> SpawnError {
    let (lifecycle, mut problems) = (app.lifecycle(), vec![problem]);
    let found = async {
        let (plan, definition) = (lifecycle.load(parent).await?, lifecycle.definition(parent).await?);
        app.subplans().prepare(&plan, &definition, std::slice::from_ref(item)).await
    };
    match found.await {
        Ok(_) => InvalidSubplans { problems }.into(),
        Err(SpawnError::Invalid(others)) => {
            problems.extend(others.problems);
            InvalidSubplans { problems }.into()
        }
        Err(error) => error,
    }
}
