//! `agents plan why`: gathers the facts; the domain decides.

use agents_domain::lock::{HeldLock, LockFilter, LockKey};
use agents_domain::places::Places as _;
use agents_domain::request::Requests as _;
use agents_domain::why::{Facts, Held, causes};

use crate::app::App;
use crate::args::value::PlanRef;
use crate::commands::resolve;
use crate::failure::Failure;
use crate::render::{Report, why_report};

/// Says why a plan is not running, or that it is.
pub(super) fn why(app: &App, plan: &PlanRef) -> Result<Report, Failure> {
    let facts = facts(app, plan)?;
    Ok(why_report(&facts.plan, &causes(&facts), facts.now))
}

fn facts(app: &App, plan: &PlanRef) -> Result<Facts, Failure> {
    let view = resolve::view(app, resolve::plan(app, plan)?)?;
    let held = |lock: HeldLock| Held { liveness: app.liveness(&lock.holder), lock };
    let mut projects = Vec::new();
    for project in &view.record.projects {
        let filter = LockFilter { key: Some(LockKey::Project(project.name.clone())), stale_only: false };
        projects.extend(app.block_on(app.locks().list(&filter))?.into_iter().map(held));
    }
    let requests = app.block_on(app.store.requests().open(&LockKey::Plan(view.record.id)))?;
    Ok(Facts {
        holder: view.lock.map(held),
        projects,
        // The seam for the line: nobody keeps it yet.
        waiting: Vec::new(),
        places: app.block_on(app.places().census()).ok(),
        requests,
        now: app.now(),
        plan: view.record,
    })
}
