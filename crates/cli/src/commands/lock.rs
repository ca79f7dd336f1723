//! `agents lock …`: who holds what.

use agents_application::lock_service::{BreakError, BreakOrder, Broken};
use agents_domain::lock::{LockFilter, LockKey};
use serde_json::json;

use crate::app::App;
use crate::args::lock::{BreakArgs, LockCommand};
use crate::commands::resolve;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Explanation, Report, explain_report, lock_report, locks_report};

/// Runs one of them.
pub fn lock(app: &App, command: &LockCommand) -> Result<Report, Failure> {
    match command {
        LockCommand::List { stale } => list(app, *stale),
        LockCommand::Show { key } => show(app, key),
        LockCommand::Explain { key } => explain(app, key),
        LockCommand::Break(args) => break_lock(app, args),
    }
}

fn list(app: &App, stale_only: bool) -> Result<Report, Failure> {
    let locks = app.block_on(app.locks().list(&LockFilter { key: None, stale_only }))?;
    Ok(locks_report(&locks, &|holder| app.liveness(holder), app.now()))
}

fn show(app: &App, key: &LockKey) -> Result<Report, Failure> {
    let filter = LockFilter { key: Some(key.clone()), stale_only: false };
    let held = app.block_on(app.locks().list(&filter))?;
    let lock = held.first().ok_or_else(|| {
        Failure::not_found("not_held", format!("nobody holds {key}")).hint("agents lock list")
    })?;
    Ok(lock_report(lock, &|holder| app.liveness(holder), app.now()))
}

fn explain(app: &App, key: &LockKey) -> Result<Report, Failure> {
    let (view, requests) = app.block_on(async {
        let view = app.locks().line_of(key).await?;
        Ok::<_, Failure>((view, app.locks().open_requests(key).await?))
    })?;
    let explained =
        Explanation { key: key.clone(), view, requests, myself: app.locks().myself("lock explain") };
    Ok(explain_report(&explained, &|holder| app.liveness(holder), app.now()))
}

fn break_lock(app: &App, args: &BreakArgs) -> Result<Report, Failure> {
    resolve::lock(app, &args.key)?;
    let order = BreakOrder {
        key: args.key.clone(),
        token: args.token,
        reason: args.reason.as_str().to_owned(),
        force: args.force,
        patience: app.patience(),
    };
    let broken = app.block_on(app.locks().break_lock(order, &*app.watch));
    app.base.progress.finish();
    let (outcome, words) = match broken.map_err(|error| not_broken(app, error))? {
        Broken::WasFree => ("free", "nobody held it"),
        Broken::LetGo => ("let_go", "its holder has let go"),
        Broken::Taken => ("taken", "it was taken from a holder that was gone; next: agents recover"),
        Broken::Forced => (
            "forced",
            "it was taken by force: what its holder runs may overlap with what the next one starts; \
             next: agents recover",
        ),
    };
    let (key, data) = (args.key.to_string(), json!({ "key": args.key.to_string(), "outcome": outcome }));
    let facts = vec![("key", key.clone()), ("outcome", words.to_owned())];
    Ok(Report { body: Body::Facts(facts), ids: vec![key], ..Report::of(data) })
}

fn not_broken(app: &App, error: BreakError) -> Failure {
    match error {
        BreakError::MovedOn(held) => {
            let message = format!("{} is held at token {} by now", held.key, held.token);
            Failure { code: "moved_on", exit: Exit::Refused, message, ..app.locked(&held) }
        }
        BreakError::NoAnswer(held) => {
            let (key, token) = (&held.key, held.token);
            let message = format!("the holder of {key} was asked to let go, and has not answered");
            let force = format!(
                "take it all the same, though two children may overlap: \
                 `agents lock break {key} --token {token} --reason \"no answer\" --force`"
            );
            let mut failure = app.locked(&held).hint(force);
            (failure.code, failure.message) = ("no_answer", message);
            failure.cause("the request stays: the holder serves it as soon as it can")
        }
        BreakError::Lock(error) => error.into(),
        BreakError::Store(error) => error.into(),
    }
}
