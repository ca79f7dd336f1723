//! `agents plan why`: gathers the facts; the domain decides.

use agents_application::lifecycle::history;
use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::{Caller, HeldLock, LineView, Liveness, LockKey, Passage, Ticket};
use agents_domain::name::Name;
use agents_domain::orders::{Past, is_met};
use agents_domain::places::Places as _;
use agents_domain::plan::PlanRecord;
use agents_domain::reads::PlanView;
use agents_domain::why::{Above, Below, Facts, Held, Ordered, Waiting, causes};
use agents_domain::workspace::all_here;

use crate::app::App;
use crate::args::value::PlanRef;
use crate::commands::{detach, resolve, worker};
use crate::failure::Failure;
use crate::render::{InHand, Report, why_report};

/// Says why a plan is not running, or that it is.
pub(super) fn why(app: &App, plan: &PlanRef) -> Result<Report, Failure> {
    let facts = facts(app, plan)?;
    let report = why_report(&facts.plan, &causes(&facts), facts.now);
    Ok(elsewhere(app, &facts.plan)?.into_iter().fold(report, Report::message))
}

/// The command that helps with what is nearest.
pub(super) fn remedy(app: &App, plan: PlanId) -> Result<Option<String>, Failure> {
    let facts = facts_of(app, resolve::view(app, plan)?)?;
    Ok(causes(&facts).into_iter().next().map(|cause| cause.remedy))
}

/// What of a plan can only be done on another machine.
fn elsewhere(app: &App, plan: &PlanRecord) -> Result<Vec<String>, Failure> {
    if plan.state().is_terminal() {
        return Ok(Vec::new());
    }
    let definition = app.block_on(app.store.plans().definition(plan.id))?;
    let bound = definition.and_then(|known| all_here(&known.projects, &app.base.machine()).err());
    let pending = history::pending(&history::works(&app.block_on(app.store.plans().events(plan.id))?));
    let of = |(attempt, left): (u32, Vec<(Name, String)>)| {
        left.into_iter().map(move |(project, host)| {
            format!(
                "{project}: the snapshot of attempt {attempt} is pending on {host}; there: agents recover"
            )
        })
    };
    Ok(bound.map(|bound| bound.to_string()).into_iter().chain(pending.into_iter().flat_map(of)).collect())
}

fn facts(app: &App, plan: &PlanRef) -> Result<Facts, Failure> {
    facts_of(app, resolve::view(app, resolve::plan(app, plan)?)?)
}

/// The facts of one plan, and of all that are above it.
fn facts_of(app: &App, view: PlanView) -> Result<Facts, Failure> {
    let driver = view.lock.as_ref().map(|lock| lock.owner);
    let (mut projects, mut waiting) = (Vec::new(), Vec::new());
    for project in &view.record.projects {
        let key = LockKey::Project(project.name.clone());
        let line = app.block_on(app.locks().line_of(&key))?;
        waiting.extend(driver.and_then(|driver| place_in(app, &line, key, driver)));
        projects.extend(line.held.into_iter().map(|lock| held(app, lock)));
    }
    let requests = app.block_on(app.store.requests().open(&LockKey::Plan(view.record.id)))?;
    let family = app.block_on(app.subplans().family(view.record.id))?;
    Ok(Facts {
        above: above(app, &view.record)?.map(Box::new),
        below: Below::of(family.children().map(|child| &child.record)),
        holder: view.lock.map(|lock| held(app, lock)),
        projects,
        waiting,
        places: app.block_on(app.places().census()).ok(),
        requests,
        ordered: ordered(app, &view.record)?,
        now: app.now(),
        plan: view.record,
    })
}

/// The order of a plan that is still to be carried out.
fn ordered(app: &App, plan: &PlanRecord) -> Result<Option<Ordered>, Failure> {
    let Some(InHand { order, worker }) = app.block_on(detach::in_hand(app, plan.id))? else {
        return Ok(None);
    };
    let past = Past::of(&app.block_on(app.store.plans().events(plan.id))?, order.wanted.version);
    if is_met(&order, plan, past, app.now()) {
        return Ok(None);
    }
    let alive = app.block_on(worker::alive(app))?.len();
    Ok(Some(Ordered { order: Box::new(order), worker: worker.map(Box::new), alive }))
}

/// What is above a child: its parent with all that is known of that, and the siblings it waits for.
fn above(app: &App, child: &PlanRecord) -> Result<Option<Above>, Failure> {
    let Some(parent) = child.parent() else { return Ok(None) };
    let facts = facts_of(app, resolve::view(app, parent)?)?;
    let lifecycle = app.lifecycle();
    let definition = app.block_on(lifecycle.definition(parent));
    let definition = definition.map_err(|error| Failure::of_lifecycle(error, &|held| app.locked(held)))?;
    let family = app.block_on(app.subplans().family(parent))?;
    let siblings = family.children().map(|view| &view.record);
    Ok(Some(Above::new(child, facts, siblings, definition.action.subplan_settings().mode)))
}

fn held(app: &App, lock: HeldLock) -> Held {
    Held { liveness: app.liveness(&lock.holder), lock }
}

/// Where the driver of a plan stands in the line for one of its projects, if it does.
fn place_in(app: &App, line: &LineView, key: LockKey, driver: OwnerId) -> Option<Waiting> {
    let own = line.line.iter().find(|ticket| ticket.owner == driver)?;
    let is_dead = |ticket: &&Ticket| app.liveness(&ticket.holder) == Liveness::Dead;
    let dead: Vec<_> = line.line.iter().filter(is_dead).map(|ticket| ticket.number).collect();
    let keys = [key.clone()];
    let caller = Caller { owner: driver, keys: &keys, holds: &[], ticket: Some(own.number), dead: &dead };
    let ahead: Vec<_> = Passage::of(&line.line, &caller).ahead.iter().map(|t| t.holder.clone()).collect();
    let holder = line.held.first().map(|lock| held(app, lock.clone()));
    Some(Waiting { key, position: u32::try_from(ahead.len() + 1).ok(), ahead, holder })
}
