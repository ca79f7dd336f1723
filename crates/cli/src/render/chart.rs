//! `plan graph`: children as nodes of a drawing, and for programs.

use agents_domain::plan::PlanRecord;
use agents_domain::subplan::{GivenUp, Graph, Item, Mode, Subplan, SubplanItem};
use serde_json::{Value, json};

use crate::render::graph::{Drawing, Form, Node, draw};
use crate::render::{Body, Report};

/// What a child is before it is there.
const NOT_SPAWNED: &str = "not spawned";

/// A child, or what will be one.
#[derive(Debug, Clone, Copy)]
pub enum Charted<'a> {
    /// It is there.
    Child(&'a PlanRecord),
    /// The action asks for it.
    Asked(&'a SubplanItem),
}

impl Charted<'_> {
    /// Its place in the graph.
    pub fn item(&self) -> Item<'_> {
        match self {
            Self::Child(record) => {
                let own = subplan(record);
                Item { name: &own.name, depends_on: &own.depends_on }
            }
            Self::Asked(item) => Item { name: &item.name, depends_on: &item.depends_on },
        }
    }

    /// Where it is, in words; of one that was given up why.
    fn state(&self) -> String {
        match self {
            Self::Child(record) => {
                record.given_up().map_or_else(|| record.stage.to_string(), GivenUp::reason)
            }
            Self::Asked(_) => NOT_SPAWNED.to_owned(),
        }
    }

    fn record(&self) -> Option<&PlanRecord> {
        match self {
            Self::Child(record) => Some(record),
            Self::Asked(_) => None,
        }
    }

    fn action(&self) -> &str {
        match self {
            Self::Child(record) => record.action.as_str(),
            Self::Asked(item) => item.action.as_str(),
        }
    }
}

fn subplan(record: &PlanRecord) -> &Subplan {
    record.subplan.as_ref().expect("whoever has a parent is a subplan")
}

/// `plan graph`.
pub fn graph_report(
    head: &PlanRecord,
    mode: Mode,
    charted: &[Charted<'_>],
    graph: &Graph,
    form: Form,
) -> Report {
    let title = head.name.clone().unwrap_or_else(|| head.action.to_string());
    let drawing = Drawing { title: format!("{title} ({})", head.id), nodes: nodes(charted, graph) };
    let text = draw(&drawing, form);
    let views = drawing.nodes.iter().zip(charted);
    let data = json!({
        "plan_id": head.id.as_str(),
        "mode": mode.as_str(),
        "form": form.as_str(),
        "nodes": views.map(|(node, charted)| node_view(&drawing, node, charted)).collect::<Vec<_>>(),
        "edges": edges(&drawing),
        "waves": waves(&drawing),
        "text": text,
    });
    let ids = drawing.nodes.iter().filter_map(|node| node.id.clone()).collect();
    Report { body: Body::Text(text), ids, ..Report::of(data) }
}

fn nodes(charted: &[Charted<'_>], graph: &Graph) -> Vec<Node> {
    let waves = graph.waves();
    let mut nodes: Vec<Node> = charted
        .iter()
        .zip(waves)
        .map(|(charted, wave)| Node {
            name: charted.item().name.to_owned(),
            id: charted.record().map(|record| record.id.to_string()),
            state: charted.state(),
            wave,
            depends_on: Vec::new(),
        })
        .collect();
    for needed in graph.nodes() {
        for dependent in graph.dependents(needed) {
            nodes[dependent.index()].depends_on.push(needed.index());
        }
    }
    nodes
}

fn names<'a>(drawing: &'a Drawing, nodes: &[usize]) -> Vec<&'a str> {
    nodes.iter().map(|node| drawing.nodes[*node].name.as_str()).collect()
}

fn node_view(drawing: &Drawing, node: &Node, charted: &Charted<'_>) -> Value {
    let record = charted.record();
    json!({
        "name": node.name,
        "plan_id": node.id,
        "action": charted.action(),
        "phase": record.map(|record| record.phase().as_str()),
        "state": record.map_or("not_spawned", |record| record.state().as_str()),
        "given_up": record.and_then(|record| record.given_up()).map(GivenUp::reason),
        "wave": node.wave + 1,
        "depends_on": names(drawing, &node.depends_on),
    })
}

/// From what is needed to who needs it.
fn edges(drawing: &Drawing) -> Vec<Value> {
    let name = |node: usize| drawing.nodes[node].name.as_str();
    drawing.edges().map(|(from, to)| json!({ "from": name(from), "to": name(to) })).collect()
}

fn waves(drawing: &Drawing) -> Vec<Vec<&str>> {
    drawing.waves().iter().map(|(_, nodes)| names(drawing, nodes)).collect()
}
