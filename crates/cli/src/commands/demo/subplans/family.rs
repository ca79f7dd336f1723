//! How the subplans stand at one moment, read from the store.

use agents_domain::id::PlanId;
use agents_domain::plan::{PlanRecord, State};
use agents_domain::reads::PlanFilter;
use serde_json::{Value, json};

use crate::app::App;
use crate::failure::Failure;
use crate::render::Grid;

/// The subplans, in their order.
pub(super) struct Family(Vec<PlanRecord>);

/// The one plan that is no subplan.
pub(super) fn head(app: &App) -> Result<PlanId, Failure> {
    let page = app.block_on(app.store.reads().list(&PlanFilter::default()))?;
    let head = page.plans.first().map(|view| view.record.id);
    head.ok_or_else(|| Failure::internal("the demo made no plan"))
}

impl Family {
    pub(super) fn read(app: &App, plan: PlanId) -> Result<Self, Failure> {
        let family = app.block_on(app.store.reads().family(plan))?;
        Ok(Self(family.into_iter().map(|view| view.record).collect()))
    }

    /// Those that are in that state.
    pub(super) fn of(&self, state: State) -> impl Iterator<Item = &PlanRecord> {
        self.0.iter().filter(move |child| child.state() == state)
    }

    /// Whether one failed, one could not be merged, and one was given up.
    pub(super) fn is_mixed(&self) -> bool {
        [State::Errored, State::Constrained, State::Cancelled].map(|state| self.of(state).count()) == [1; 3]
    }

    pub(super) fn is_applied(&self) -> bool {
        self.0.len() == self.of(State::Applied).count()
    }
}

/// Its name among the others.
pub(super) fn name(child: &PlanRecord) -> &str {
    child.subplan.as_ref().map_or("", |subplan| &subplan.name)
}

/// Its state, and what lies behind it.
fn standing(child: &PlanRecord) -> String {
    let state = child.state();
    let failures = child.subplan.as_ref().map_or(0, |subplan| subplan.failures);
    match (state, child.given_up(), child.failure.as_ref()) {
        (State::Cancelled, Some(given_up), _) => format!("{state}, {}", given_up.reason()),
        (State::Errored, _, Some(failure)) => format!("{state}, {failures} attempts: {}", failure.code),
        (State::Constrained, _, Some(failure)) => format!("{state}: {}", failure.code),
        _ => state.to_string(),
    }
}

/// For people.
pub(super) fn table(moments: [&Family; 3]) -> Grid {
    let mut grid = Grid::new(&["SUBPLAN", "DEPENDS ON", "AFTER THE RUN", "AFTER THE MERGE", "IN THE END"]);
    for (place, child) in moments[0].0.iter().enumerate() {
        let needs = child.subplan.as_ref().map(|subplan| subplan.depends_on.join(", "));
        let standings = moments.map(|family| family.0.get(place).map(standing).unwrap_or_default());
        grid.row([name(child).to_owned(), needs.unwrap_or_default()].into_iter().chain(standings));
    }
    grid
}

/// For programs.
pub(super) fn data(moments: [&Family; 3]) -> Vec<Value> {
    let of = |(place, child): (usize, &PlanRecord)| {
        let states = moments.map(|family| family.0.get(place).map(|child| child.state().as_str()));
        json!({
            "name": name(child),
            "depends_on": child.subplan.as_ref().map(|subplan| &subplan.depends_on),
            "plan_id": moments[2].0.get(place).map(|child| child.id.as_str()),
            "states": states,
        })
    };
    moments[0].0.iter().enumerate().map(of).collect()
}
