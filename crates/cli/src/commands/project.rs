//! `agents project …`: the repositories that plans work on.

use std::path::Path;

use agents_domain::catalogue::Removal;
use agents_domain::name::Name;
use agents_domain::plan::StoreError;
use agents_domain::workspace::{Project, Remote};
use agents_infrastructure::git;
use serde_json::{Value, json};

use crate::app::App;
use crate::args::project::ProjectCommand;
use crate::args::value::Words;
use crate::commands::diagnostics::remotes;
use crate::commands::resolve;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Body, Grid, Report};

/// Runs one of them.
pub fn project(app: &App, command: &ProjectCommand) -> Result<Report, Failure> {
    match command {
        ProjectCommand::Add { path, name, branch, remote, push_snapshots } => {
            let remote = remote.as_ref().map(|remote| (remote.as_str(), *push_snapshots));
            add(app, path, name.clone(), branch.as_ref().map(Words::as_str), remote)
        }
        ProjectCommand::List => list(app),
        ProjectCommand::Show { name } => show(app, name),
        ProjectCommand::Remove { name } => remove(app, name),
    }
}

fn add(
    app: &App,
    path: &Path,
    name: Option<Name>,
    branch: Option<&str>,
    remote: Option<(&str, bool)>,
) -> Result<Report, Failure> {
    let found = git::inspect(&app.git, path, branch)?;
    let name = match name {
        Some(name) => name,
        None => name_of(&found.root)?,
    };
    let remote = match remote {
        Some((asked, push_snapshots)) => {
            Some(Remote { url: git::chosen_remote(&app.git, &found.root, asked)?, push_snapshots })
        }
        None => None,
    };
    let project = Project {
        name,
        path: found.root,
        common_dir: found.common_dir,
        branch: found.branch,
        machine: Some(app.base.machine()),
        remote,
    };
    git::check_remote(&app.git, &project)?;
    match app.block_on(app.store.projects().add(&project, app.now())) {
        Ok(()) => {}
        Err(StoreError::Taken { what, by }) => {
            return Err(Failure::new(Exit::Usage, "taken", format!("{what} is taken by {by}"))
                .hint("agents project list"));
        }
        Err(error) => return Err(error.into()),
    }
    let name = &project.name;
    let on = match &project.remote {
        Some(remote) => format!(" of {}", remote.url),
        None => String::new(),
    };
    let message = format!("registered {name}: plans land on {}{on}", project.branch);
    Ok(one(&project).message(message).message("next: agents action add FILE, then agents run ACTION PROJECT"))
}

/// The directory's name as a project name: lower case, other characters as `-`.
fn name_of(root: &Path) -> Result<Name, Failure> {
    let folder = root.file_name().map(|name| name.to_string_lossy().to_lowercase()).unwrap_or_default();
    let fit = |c: char| if c.is_ascii_alphanumeric() || matches!(c, '.' | '_' | '-') { c } else { '-' };
    let name: String = folder.chars().map(fit).collect();
    Name::parse(name.trim_matches(['-', '.', '_'])).map_err(|_| {
        Failure::usage(format!("`{folder}` is no good name for a project")).hint(format!(
            "agents project add {} --name NAME",
            crate::remedy::quoted(&root.display().to_string())
        ))
    })
}

fn list(app: &App) -> Result<Report, Failure> {
    let projects = app.block_on(app.store.projects().list())?;
    let mut grid = Grid::new(&["PROJECT", "BRANCH", "PATH", "MACHINE", "REMOTE"]);
    for project in &projects {
        let path = project.path.display().to_string();
        let machine = project.machine.as_ref().map_or("-", |machine| machine.host.as_str());
        let remote = project.remote.as_ref().map_or("-", |remote| remote.url.as_str());
        let (name, branch) = (project.name.to_string(), project.branch.clone());
        grid.row([name, branch, path, machine.to_owned(), remote.to_owned()]);
    }
    let data = json!({ "projects": projects.iter().map(view).collect::<Vec<_>>() });
    let ids = projects.iter().map(|project| project.name.to_string()).collect();
    let report = Report { body: Body::Table(grid), ids, ..Report::of(data) };
    Ok(projects.iter().fold(report, |report, project| match remotes::secret_of(project) {
        Some(what) => {
            let name = &project.name;
            report.message(format!("the URL of {name} holds {what}; what helps: `agents diagnostics`"))
        }
        None => report,
    }))
}

fn show(app: &App, name: &Name) -> Result<Report, Failure> {
    let project =
        app.block_on(app.store.projects().get(name))?.ok_or_else(|| resolve::no_such_project(name))?;
    Ok(one(&project))
}

fn remove(app: &App, name: &Name) -> Result<Report, Failure> {
    match app.block_on(app.store.projects().remove(name))? {
        Removal::Removed => Ok(Report::of(json!({ "name": name.as_str() }))
            .message(format!("removed {name}; the repository itself is untouched"))),
        Removal::Missing => Err(resolve::no_such_project(name)),
        Removal::InUse { by } => {
            Err(Failure::new(Exit::Refused, "in_use", format!("{name} is in use by {by}"))
                .hint(format!("agents plan list --project {name}")))
        }
    }
}

fn one(project: &Project) -> Report {
    let mut facts = vec![
        ("project", project.name.to_string()),
        ("branch", project.branch.clone()),
        ("path", project.path.display().to_string()),
        ("git", project.common_dir.display().to_string()),
    ];
    if let Some(machine) = &project.machine {
        facts.push(("machine", format!("{} ({})", machine.host, machine.id)));
    }
    if let Some(remote) = &project.remote {
        let also = if remote.push_snapshots { ", snapshots are pushed there" } else { "" };
        facts.push(("remote", format!("{}{also}", remote.url)));
    }
    let ids = vec![project.name.to_string()];
    Report { body: Body::Facts(facts), ids, ..Report::of(view(project)) }
}

fn view(project: &Project) -> Value {
    json!({
        "name": project.name.as_str(),
        "path": project.path.display().to_string(),
        "common_dir": project.common_dir.display().to_string(),
        "branch": project.branch,
        "machine": project.machine.as_ref().map(|machine| json!({ "id": machine.id, "host": machine.host })),
        "remote": project.remote.as_ref().map(|remote| remote.url.as_str()),
        "push_snapshots": project.remote.as_ref().is_some_and(|remote| remote.push_snapshots),
    })
}
