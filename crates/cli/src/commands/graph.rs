//! `agents plan graph`: the subplans of a plan, and what they depend on.
//!
//! Those that the action asks for are drawn before they are there: `not spawned`.

use agents_application::subplan_service::Family;
use agents_domain::plan::{Definition, Phase, PlanRecord, State};
use agents_domain::subplan::{Graph, GraphProblem, Item, SubplanItem};

use crate::app::App;
use crate::args::value::PlanRef;
use crate::commands::resolve;
use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{Charted, Form, Report, graph_report};

/// Draws them.
pub(super) fn graph(app: &App, plan: &PlanRef, form: Form) -> Result<Report, Failure> {
    let id = resolve::plan(app, plan)?;
    let head = resolve::view(app, id)?.record;
    let definition = app.block_on(app.store.plans().definition(id))?;
    let definition = definition.ok_or_else(|| Failure::internal(format!("plan {id} has no order")))?;
    let family = Family::new(id, app.block_on(app.store.reads().family(id))?);
    let charted = charted(&head, &definition, &family);
    let items: Vec<Item<'_>> = charted.iter().map(Charted::item).collect();
    let mode = definition.action.subplan_settings().mode;
    let graph = Graph::new(&items, mode).map_err(|problems| undrawable(&head, &problems))?;
    Ok(graph_report(&head, mode, &charted, &graph, form))
}

/// The children, then what the action will ask for.
fn charted<'a>(head: &PlanRecord, definition: &'a Definition, family: &'a Family) -> Vec<Charted<'a>> {
    let asked: &[SubplanItem] = if is_to_spawn(head) { definition.action.subplan_items() } else { &[] };
    let children = family.children().map(|view| Charted::Child(&view.record));
    children.chain(asked.iter().map(Charted::Asked)).collect()
}

/// Whether the children that its action asks for are still to come: strategize ends with them.
fn is_to_spawn(head: &PlanRecord) -> bool {
    head.phase() == Phase::Strategize && !matches!(head.state(), State::Complete | State::Cancelled)
}

/// Children that a person has spawned may be in the way of those that the action asks for.
fn undrawable(head: &PlanRecord, problems: &[GraphProblem]) -> Failure {
    let message = format!("the subplans of plan {} make no graph", head.id);
    let failure =
        Failure::new(Exit::Refused, "subplans", message).hint(format!("agents plan tree {}", head.id));
    problems.iter().fold(failure, |failure, problem| failure.cause(problem.to_string()))
}
