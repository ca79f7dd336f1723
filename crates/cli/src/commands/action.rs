//! `agents action …`: the templates that plans use.

use std::path::Path;

use agents_domain::catalogue::{Removal, StoredAction};
use agents_domain::name::Name;
use agents_infrastructure::action_file;
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report, rfc3339};

/// `action validate`: needs no store.
pub fn validate(file: &Path) -> Result<Report, Failure> {
    let (action, _) = action_file::read(file)?;
    let message = format!("{} is a valid action file: {}", file.display(), action.name);
    Ok(Report { ids: vec![action.name.to_string()], ..Report::of(json!({ "name": action.name.as_str() })) }
        .message(message))
}

/// `action schema`: the JSON Schema of action files.
pub fn schema() -> Report {
    let schema = action_file::schema();
    let text = format!("{schema:#}");
    Report { body: Body::Text(text), ..Report::of(schema) }
}

/// `action add`: a file becomes an action, in place of an earlier one of that name.
pub fn add(app: &App, file: &Path) -> Result<Report, Failure> {
    let (action, source) = action_file::read(file)?;
    let stored = StoredAction { action, source, updated_at: app.now() };
    let replaced = app.block_on(app.store.actions().put(&stored))?;
    let name = &stored.action.name;
    let verb = if replaced { "replaced" } else { "added" };
    let message = format!("{verb} {name}; plans made before keep what they were made with");
    let facts = vec![("action", name.to_string()), ("description", stored.action.description.clone())];
    let report = Report { body: Body::Facts(facts), ..one(&stored) };
    Ok(report.message(message).message(format!("next: agents run {name} PROJECT")))
}

/// `action list`.
pub fn list(app: &App) -> Result<Report, Failure> {
    let actions = app.block_on(app.store.actions().list())?;
    let mut grid = Grid::new(&["ACTION", "LEVEL", "ARGUMENTS", "DESCRIPTION"]);
    for StoredAction { action, .. } in &actions {
        let arguments: Vec<_> = action.arguments.iter().map(|argument| argument.name.as_str()).collect();
        let level = action.automation.to_string();
        grid.row([action.name.to_string(), level, arguments.join(", "), action.description.clone()]);
    }
    let data = json!({ "actions": actions.iter().map(view).collect::<Vec<_>>() });
    let ids = actions.iter().map(|stored| stored.action.name.to_string()).collect();
    Ok(Report { body: Body::Table(grid), ids, ..Report::of(data) })
}

/// `action show`: the text it was read from.
pub fn show(app: &App, name: &Name) -> Result<Report, Failure> {
    let stored = app.block_on(app.store.actions().get(name))?.ok_or_else(|| unknown(name))?;
    Ok(one(&stored))
}

/// `action remove`. Plans have frozen what they use.
pub fn remove(app: &App, name: &Name) -> Result<Report, Failure> {
    match app.block_on(app.store.actions().remove(name))? {
        Removal::Missing => Err(unknown(name)),
        Removal::Removed | Removal::InUse { .. } => Ok(Report::of(json!({ "name": name.as_str() }))
            .message(format!("removed {name}; plans made with it go on as they are"))),
    }
}

fn unknown(name: &Name) -> Failure {
    Failure::not_found("no_such_action", format!("there is no action {name}")).hint("agents action list")
}

fn one(stored: &StoredAction) -> Report {
    let mut data = view(stored);
    data["source"] = Value::from(stored.source.clone());
    let ids = vec![stored.action.name.to_string()];
    Report { body: Body::Text(stored.source.clone()), ids, ..Report::of(data) }
}

fn view(stored: &StoredAction) -> Value {
    let action = &stored.action;
    let arguments: Vec<_> = action
        .arguments
        .iter()
        .map(|argument| {
            json!({
                "name": argument.name,
                "type": argument.kind.as_str(),
                "required": argument.required,
                "description": argument.description,
            })
        })
        .collect();
    json!({
        "name": action.name.as_str(),
        "description": action.description,
        "automation": action.automation.as_str(),
        "arguments": arguments,
        "updated_at": rfc3339(stored.updated_at),
    })
}
