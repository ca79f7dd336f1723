//! From what a person names to what is stored. Never guesses.

use std::path::Path;

use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::reads::PlanView;
use agents_domain::workspace::Project;
use agents_infrastructure::git;

use crate::app::App;
use crate::args::value::{PlanRef, ProjectRef};
use crate::failure::Failure;

/// How many plans are named when a prefix is ambiguous.
const SHOWN: u32 = 5;

/// The one plan whose id begins so.
pub(super) fn plan(app: &App, wanted: &PlanRef) -> Result<PlanId, Failure> {
    let found = app.block_on(app.store.reads().resolve(wanted.as_str(), SHOWN + 1))?;
    match found.as_slice() {
        [plan] => Ok(*plan),
        [] => {
            Err(Failure::not_found("no_such_plan", format!("there is no plan {wanted}"))
                .hint("agents plan list"))
        }
        many => {
            let some: Vec<_> = many.iter().take(SHOWN as usize).map(PlanId::to_string).collect();
            let more = if many.len() > some.len() { ", …" } else { "" };
            let message = format!("{wanted} is the beginning of several plans: {}{more}", some.join(", "));
            Err(Failure::not_found("ambiguous_plan", message).hint(format!("agents plan status {}", some[0])))
        }
    }
}

/// A plan as readers see it.
pub(super) fn view(app: &App, plan: PlanId) -> Result<PlanView, Failure> {
    app.block_on(app.store.reads().status(plan))?.ok_or_else(|| {
        Failure::not_found("no_such_plan", format!("there is no plan {plan}")).hint("agents plan list")
    })
}

/// Whether there is such a lock: it is there as long as its plan or project is.
pub(super) fn lock(app: &App, key: &LockKey) -> Result<(), Failure> {
    match key {
        LockKey::Plan(plan) => view(app, *plan).map(drop),
        LockKey::Project(name) => match app.block_on(app.store.projects().get(name))? {
            Some(_) => Ok(()),
            None => Err(no_such_project(name)),
        },
    }
}

/// The names of registered projects, from names and from paths inside them.
pub(super) fn projects(app: &App, wanted: &[ProjectRef]) -> Result<Vec<Name>, Failure> {
    let known = app.block_on(app.store.projects().list())?;
    wanted.iter().map(|wanted| project(app, &known, wanted)).collect()
}

fn project(app: &App, known: &[Project], wanted: &ProjectRef) -> Result<Name, Failure> {
    let named = Name::parse(wanted.as_str());
    if let Ok(name) = &named
        && known.iter().any(|project| project.name == *name)
    {
        return Ok(name.clone());
    }
    let path = Path::new(wanted.as_str());
    if path.exists() {
        return at_path(app, known, path);
    }
    if let Ok(name) = named {
        return Err(no_such_project(&name));
    }
    Err(Failure::usage(format!("`{wanted}` is neither the name of a project nor a path that exists")))
}

/// Whether projects of these names are registered: a name that is mistyped would be waited for in vain.
pub(super) fn registered<'a>(app: &App, names: impl IntoIterator<Item = &'a Name>) -> Result<(), Failure> {
    for name in names {
        app.block_on(app.store.projects().get(name))?.ok_or_else(|| no_such_project(name))?;
    }
    Ok(())
}

pub(super) fn no_such_project(name: &Name) -> Failure {
    Failure::not_found("no_such_project", format!("there is no project {name}")).hint("agents project list")
}

fn at_path(app: &App, known: &[Project], path: &Path) -> Result<Name, Failure> {
    let shown = path.display();
    let common = git::locate(&app.git, path)?;
    let common = common.ok_or_else(|| Failure::usage(format!("{shown} is not in a git repository")))?;
    let found = known.iter().find(|project| project.common_dir == common);
    found.map(|project| project.name.clone()).ok_or_else(|| {
        Failure::not_found("no_such_project", format!("the repository at {shown} is not registered"))
            .hint(format!("agents project add {}", crate::remedy::quoted(&shown.to_string())))
    })
}
