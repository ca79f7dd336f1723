//! `agents plan …`: moving plans along, and looking at them.

use std::io::{Cursor, Read};

use agents_application::driver::ApplyOptions;
use agents_domain::plan::PlanStore;
use agents_domain::reads::{PlanFilter, PlanReads};
use agents_infrastructure::process::read_log;
use serde_json::json;

use crate::app::App;
use crate::args::plan::{ListArgs, PlanCommand};
use crate::args::value::PlanRef;
use crate::commands::{drive, resolve, run};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report, ask, events_report, plans_report};

/// How many plans are listed unless told.
const DEFAULT_LIMIT: u32 = 50;

/// Runs one of them.
pub fn plan(app: &App, command: &PlanCommand) -> Result<Report, Failure> {
    match command {
        PlanCommand::Use(args) => run::use_action(app, args),
        PlanCommand::Execute { plan } => {
            let id = resolve::plan(app, plan)?;
            drive::drive(app, |driver| async move { driver.execute(id).await })
        }
        PlanCommand::Apply { plan, yes, allow_empty } => apply(app, plan, *yes, *allow_empty),
        PlanCommand::Retry { plan, allow_empty } => {
            let (id, options) = (resolve::plan(app, plan)?, ApplyOptions { allow_empty: *allow_empty });
            drive::drive(app, |driver| async move { driver.retry(id, options).await })
        }
        PlanCommand::Cancel(args) => {
            let (id, reason) = (resolve::plan(app, &args.plan)?, text(args.reason.as_ref()));
            drive::drive(app, |driver| async move { driver.cancel(id, reason).await })
        }
        PlanCommand::Revert(args) => {
            let (id, reason) = (resolve::plan(app, &args.plan)?, text(args.reason.as_ref()));
            drive::drive(app, |driver| async move { driver.revert(id, reason).await })
        }
        PlanCommand::Prompt { plan, text } => {
            let (id, text) = (resolve::plan(app, plan)?, text.as_str().to_owned());
            drive::drive(app, |driver| async move { Ok(driver.lifecycle().prompt(id, text).await?) })
        }
        PlanCommand::List(args) => list(app, args),
        PlanCommand::Status { plan } => drive::report(app, resolve::plan(app, plan)?),
        PlanCommand::Events { plan } => {
            let events = app.block_on(app.store.plans().events(resolve::plan(app, plan)?))?;
            Ok(events_report(&events, app.now()))
        }
        PlanCommand::Log { plan, attempt } => log(app, plan, *attempt),
    }
}

fn text(words: Option<&crate::args::value::Words>) -> Option<String> {
    words.map(|words| words.as_str().to_owned())
}

/// Asks only on a terminal; elsewhere the command is the approval.
fn apply(app: &App, plan: &PlanRef, yes: bool, allow_empty: bool) -> Result<Report, Failure> {
    let id = resolve::plan(app, plan)?;
    let streams = app.base.env.streams;
    let asks = streams.input_is_terminal && streams.error_is_terminal && !app.base.flags.no_input && !yes;
    if asks {
        let view = resolve::view(app, id)?;
        let projects: Vec<_> = view.record.projects.iter().map(|project| project.name.to_string()).collect();
        let question = format!("Land plan {id} on {}?", projects.join(", "));
        if !ask(&question, &mut std::io::stdin().lock(), &mut std::io::stderr()) {
            return Err(Failure::new(Exit::AwaitingInput, "not_approved", "nothing was applied")
                .hint(format!("agents plan apply {id} --yes")));
        }
    }
    let options = ApplyOptions { allow_empty };
    drive::drive(app, |driver| async move { driver.apply(id, options).await })
}

fn list(app: &App, args: &ListArgs) -> Result<Report, Failure> {
    let parent = args.parent.as_ref().map(|parent| resolve::plan(app, parent)).transpose()?;
    let filter = PlanFilter {
        phase: args.phase,
        state: args.state,
        project: args.project.clone(),
        action: args.action.clone(),
        parent,
        all: args.all,
        limit: Some(args.limit.unwrap_or(DEFAULT_LIMIT)),
    };
    let page = app.block_on(app.store.reads().list(&filter))?;
    Ok(plans_report(&page, &|holder| app.liveness(holder), app.now()))
}

/// One attempt's output, or that of all, each under a line of its own.
fn log(app: &App, plan: &PlanRef, attempt: Option<u32>) -> Result<Report, Failure> {
    let view = resolve::view(app, resolve::plan(app, plan)?)?;
    let (id, last) = (view.record.id, view.record.attempt);
    let attempts = attempt.map_or(1..=last, |attempt| attempt..=attempt);
    let (mut bytes, mut logs): (Box<dyn Read + Send>, _) = (Box::new(std::io::empty()), Vec::new());
    for number in attempts {
        let path = app.files.paths(id, number).log;
        let Ok(reader) = read_log(&path) else { continue };
        let heading = if attempt.is_some() { String::new() } else { format!("[agents] attempt {number}\n") };
        bytes = Box::new(bytes.chain(Cursor::new(heading)).chain(reader));
        logs.push(json!({ "attempt": number, "path": path.display().to_string() }));
    }
    if logs.is_empty() {
        let which = attempt.map_or_else(String::new, |attempt| format!(" of attempt {attempt}"));
        let failure = Failure::not_found("no_log", format!("plan {id} has no log{which}"));
        return Err(failure.hint(format!("agents plan events {id}")));
    }
    let data = json!({ "plan_id": id.as_str(), "logs": logs });
    Ok(Report { body: Body::Raw(bytes), ..Report::of(data) })
}
