//! From a parsed command to its report: one match, one function for each command.

use std::sync::Arc;

use serde_json::json;

use crate::app::Base;
use crate::args::action::ActionCommand;
use crate::args::plan::PlanCommand;
use crate::args::worker::WorkerCommand;
use crate::args::{Cli, Command, Topic, topic};
use crate::commands::{
    action, db, demo, diagnostics, events, follow, init, lock, metrics, plan, project, prune, recover, run,
    tree, worker,
};
use crate::config::Settings;
use crate::env::Env;
use crate::failure::Failure;
use crate::render::{Body, Grid, Progress, Report};

/// Runs one command. `progress` shows how long work goes on.
pub fn dispatch(cli: &Cli, settings: &Settings, env: &Env, progress: Progress) -> Result<Report, Failure> {
    let base = Base {
        flags: cli.global.clone(),
        settings: settings.clone(),
        env: env.clone(),
        progress: Arc::new(progress),
    };
    match &cli.command {
        Command::Help { topic } => help(topic),
        Command::Init => init::init(&base),
        Command::Demo { subplans: false } => demo::demo(&base),
        Command::Demo { subplans: true } => demo::demo_subplans(&base),
        Command::Diagnostics => diagnostics::diagnostics(base),
        Command::Db(command) => db::db(&base, command),
        Command::Action(ActionCommand::Validate { file }) => action::validate(file),
        Command::Action(ActionCommand::Schema) => Ok(action::schema()),
        Command::Action(ActionCommand::Add { file }) => action::add(&base.open()?, file),
        Command::Action(ActionCommand::List) => action::list(&base.open()?),
        Command::Action(ActionCommand::Show { name }) => action::show(&base.open()?, name),
        Command::Action(ActionCommand::Remove { name }) => action::remove(&base.open()?, name),
        Command::Project(command) => project::project(&base.open()?, command),
        Command::Run(args) => run::run(&base.open()?, args),
        Command::Plan(PlanCommand::Log { plan, attempt, follow: true }) => {
            follow::follow(base.open()?, plan, *attempt)
        }
        Command::Plan(PlanCommand::Tree { plan, watch: true }) => tree::watch(base.open()?, plan),
        Command::Plan(command) => plan::plan(&base.open()?, command),
        Command::Lock(command) => lock::lock(&base.open()?, command),
        Command::Events(args) => events::events(base.open()?, args),
        Command::Metrics => metrics::metrics(&base.open()?),
        Command::Worker(WorkerCommand::Run(args)) => worker::run(base.open()?, args),
        Command::Worker(WorkerCommand::List) => worker::list(&base.open()?),
        Command::Prune(args) => prune::prune(&base.open()?, args),
        Command::Recover => recover::recover(&base.open()?),
    }
}
fn help(words: &[String]) -> Result<Report, Failure> {
    let codes = match topic(words)? {
        Topic::ExitCodes(codes) => codes,
        Topic::Command(text) => {
            return Ok(Report { body: Body::Text(text.clone()), ..Report::of(json!({ "text": text })) });
        }
    };
    let mut grid = Grid::new(&["CODE", "MEANING"]);
    for exit in &codes {
        grid.row([exit.code().to_string(), exit.meaning().to_owned()]);
    }
    let data: Vec<_> =
        codes.iter().map(|exit| json!({ "code": exit.code(), "meaning": exit.meaning() })).collect();
    Ok(Report { body: Body::Table(grid), ..Report::of(json!({ "exit_codes": data })) })
}
