//! `agents plan …`: moving plans along, and looking at them.

use agents_application::driver::ApplyOptions;
use agents_application::lifecycle::history;
use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::orders::{Again, Wish};
use agents_domain::reads::{PlanFilter, PlanView};
use agents_infrastructure::process::read_log;
use serde_json::json;

use crate::app::App;
use crate::args::plan::{ListArgs, PlanCommand};
use crate::args::value::PlanRef;
use crate::commands::{cancel, detach, drive, graph, resolve, results, run, spawn, tree, wait, why};
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Report, ask, errors_report, events_report, plans_report};

/// How many plans are listed unless told.
const DEFAULT_LIMIT: u32 = 50;

/// Runs one of them.
pub fn plan(app: &App, command: &PlanCommand) -> Result<Report, Failure> {
    match command {
        PlanCommand::Use(args) => run::use_action(app, args),
        PlanCommand::Execute { plan, detach: true } => detach::order(app, plan, Wish::Execute),
        PlanCommand::Execute { plan, .. } => {
            let id = at_work(app, plan)?;
            drive::drive(app, |driver| async move { driver.execute(id).await })
        }
        PlanCommand::Apply { plan, yes, allow_empty, detach } => {
            let (id, allow_empty) = (approved(app, plan, *yes)?, *allow_empty);
            if *detach {
                return detach::order(app, plan, Wish::Apply { allow_empty });
            }
            let options = ApplyOptions { allow_empty };
            drive::drive(app, |driver| async move { driver.apply(id, options).await })
        }
        PlanCommand::Retry { plan, go_on, only_failed, allow_empty, detach: true } => {
            let again = match (go_on, only_failed) {
                (true, _) => Again::Continue,
                (_, true) => Again::OnlyFailed,
                _ => Again::Anew,
            };
            detach::order(app, plan, Wish::Retry { again, allow_empty: *allow_empty })
        }
        PlanCommand::Retry { plan, go_on: true, .. } => {
            let id = at_work(app, plan)?;
            drive::drive(app, |driver| async move { driver.go_on(id).await })
        }
        PlanCommand::Retry { plan, only_failed: true, .. } => {
            let id = at_work(app, plan)?;
            drive::drive(app, |driver| async move { driver.retry_failed(id).await })
        }
        PlanCommand::Retry { plan, allow_empty, .. } => {
            let (id, options) = (at_work(app, plan)?, ApplyOptions { allow_empty: *allow_empty });
            drive::drive(app, |driver| async move { driver.retry(id, options).await })
        }
        PlanCommand::Cancel { reasoned, keep_landed } => cancel::cancel(app, reasoned, *keep_landed),
        PlanCommand::Revert(args) => {
            let (id, reason) = (resolve::plan(app, &args.plan)?, text(args.reason.as_ref()));
            drive::drive(app, |driver| async move { driver.revert(id, reason).await })
        }
        PlanCommand::Spawn(args) => spawn::spawn(app, args),
        PlanCommand::Prompt { plan, text } => {
            let (id, text) = (resolve::plan(app, plan)?, text.as_str().to_owned());
            drive::note(app, |driver| async move { driver.prompt(id, text).await })
        }
        PlanCommand::List(args) => list(app, args),
        PlanCommand::Status { plan } => drive::report(app, resolve::plan(app, plan)?),
        PlanCommand::Why { plan } => why::why(app, plan),
        PlanCommand::Wait(args) => wait::wait(app, args),
        // Watched elsewhere: it outlives this function.
        PlanCommand::Tree { plan, .. } => tree::tree(app, plan),
        PlanCommand::Graph { plan, form } => graph::graph(app, plan, *form),
        PlanCommand::Events { plan } => {
            let id = resolve::plan(app, plan)?;
            let events = app.block_on(app.store.plans().events(id))?;
            let requests = app.block_on(app.store.requests().history(&LockKey::Plan(id)))?;
            Ok(events_report(&events, &requests, app.now()))
        }
        PlanCommand::Errors { plan } => {
            let id = resolve::plan(app, plan)?;
            let attempts = history::attempts(&app.block_on(app.store.plans().events(id))?);
            let log = |attempt| Some(app.files.paths(id, attempt).log).filter(|path| path.is_file());
            Ok(errors_report(id, &attempts, &log, app.now()))
        }
        PlanCommand::Diff { plan, attempt, stat } => results::diff(app, plan, *attempt, *stat),
        PlanCommand::Restore { plan, attempt, dir } => results::restore(app, plan, *attempt, dir),
        // Followed elsewhere: it outlives this function.
        PlanCommand::Log { plan, attempt, .. } => log(app, plan, *attempt),
    }
}

/// A plan that git is about to work for: without a git that will do, it stays as it is.
fn at_work(app: &App, plan: &PlanRef) -> Result<PlanId, Failure> {
    app.git.check()?;
    resolve::plan(app, plan)
}

fn text(words: Option<&crate::args::value::Words>) -> Option<String> {
    words.map(|words| words.as_str().to_owned())
}

/// The plan, if it may land. Asks only on a terminal; elsewhere the command is the approval.
fn approved(app: &App, plan: &PlanRef, yes: bool) -> Result<PlanId, Failure> {
    let id = at_work(app, plan)?;
    let streams = app.base.env.streams;
    let asks = streams.input_is_terminal && streams.error_is_terminal && !yes;
    if asks && app.base.flags.no_input {
        let message = "landing wants an answer, and --no-input forbids to ask";
        return Err(Failure::new(Exit::AwaitingInput, "not_approved", message)
            .hint(format!("agents plan apply {id} --yes")));
    }
    if asks {
        let view = resolve::view(app, id)?;
        let projects: Vec<_> = view.record.projects.iter().map(|project| project.name.to_string()).collect();
        let question = format!("Land plan {id} on {}?", projects.join(", "));
        if !ask(&question, &mut std::io::stdin().lock(), &mut std::io::stderr()) {
            return Err(Failure::new(Exit::AwaitingInput, "not_approved", "nothing was applied")
                .hint(format!("agents plan apply {id} --yes")));
        }
    }
    Ok(id)
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
    if page.plans.is_empty() {
        resolve::registered(app, &args.project)?;
    }
    Ok(plans_report(&page, &|holder| app.liveness(holder), app.now()))
}

/// The attempt asked for, or else the newest whose commands said something; it has a log.
pub(super) fn attempt_with_log(app: &App, view: &PlanView, wanted: Option<u32>) -> Result<u32, Failure> {
    let id = view.record.id;
    let size = |attempt| app.files.paths(id, attempt).log.metadata().map(|found| found.len()).ok();
    let newest = |least| (1..=view.record.attempt).rev().find(|attempt| size(*attempt) >= Some(least));
    match wanted.or_else(|| newest(1)).or_else(|| newest(0)) {
        Some(attempt) if size(attempt).is_some() => Ok(attempt),
        Some(attempt) => Err(no_such_attempt(id, attempt)),
        None => {
            let message = format!("plan {id} has run no command yet");
            Err(Failure::not_found("no_log", message).hint(format!("agents plan status {id}")))
        }
    }
}

fn no_such_attempt(id: PlanId, attempt: u32) -> Failure {
    let message = format!("plan {id} has no log of attempt {attempt}");
    Failure::not_found("no_such_attempt", message).hint(format!("agents plan events {id}"))
}

fn log(app: &App, plan: &PlanRef, attempt: Option<u32>) -> Result<Report, Failure> {
    let view = resolve::view(app, resolve::plan(app, plan)?)?;
    let id = view.record.id;
    let attempt = attempt_with_log(app, &view, attempt)?;
    let path = app.files.paths(id, attempt).log;
    let reader = read_log(&path).map_err(|_| no_such_attempt(id, attempt))?;
    let data = json!({ "plan_id": id.as_str(), "attempt": attempt, "path": path.display().to_string() });
    Ok(Report { body: Body::Raw(Box::new(reader)), ..Report::of(data) })
}
