//! A family of plans at one moment: who is whose child, and how each stands with its scheduler.

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::plan::{InterruptCause, Origin, Phase, PlanRecord, State};
use agents_domain::reads::PlanView;
use agents_domain::subplan::{
    Cause, Found, GivenUp, Graph, GraphProblem, Item, Mode, NodeId, Scheduler, Settings, Subplan,
    has_come_to_children, waits_for,
};

/// The work of children conflicts.
pub(crate) const CONFLICT: &str = "conflict";
/// The work of children could not be merged for another reason.
pub(crate) const NOT_MERGED: &str = "subplan_not_merged";

/// All that are below a plan.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Family {
    head: PlanId,
    /// Each after its parent, siblings in the order of their places.
    members: Vec<PlanView>,
}

/// A child, as its scheduler knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Child {
    /// The plan.
    pub id: PlanId,
    /// Its name among its siblings.
    pub name: String,
}

/// Why a child cannot begin by itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Unready {
    /// One that it depends on is not merged.
    DependsOn {
        /// Its name.
        sibling: String,
    },
    /// Its parent has not begun to run children.
    ParentIdle,
}

impl Family {
    /// The family below `head`.
    pub const fn new(head: PlanId, members: Vec<PlanView>) -> Self {
        Self { head, members }
    }

    /// Everybody, each after its parent.
    pub fn members(&self) -> &[PlanView] {
        &self.members
    }

    /// Whether there is nobody.
    pub fn is_empty(&self) -> bool {
        self.members.is_empty()
    }

    /// The children of the head, in the order of their places.
    pub fn children(&self) -> impl Iterator<Item = &PlanView> {
        self.of(self.head)
    }

    /// The children of a member, in the order of their places.
    pub fn of(&self, parent: PlanId) -> impl Iterator<Item = &PlanView> {
        self.members.iter().filter(move |view| view.record.parent() == Some(parent))
    }

    /// Who waits for whom among the children of the head.
    pub fn graph(&self, mode: Mode) -> Result<Graph, Vec<GraphProblem>> {
        let items: Vec<Item<'_>> = self.children().map(|view| item(subplan(&view.record))).collect();
        Graph::new(&items, mode)
    }

    /// A scheduler that carries on from what the children's rows say, and the child of each node.
    pub fn scheduler(&self, settings: &Settings) -> Result<(Scheduler, Vec<Child>), Vec<GraphProblem>> {
        let graph = self.graph(settings.mode)?;
        let nodes: BTreeMap<&str, NodeId> =
            self.children().map(|view| subplan(&view.record).name.as_str()).zip(graph.nodes()).collect();
        let found: Vec<_> = self.children().map(|view| found(&view.record, &nodes)).collect();
        let child = |view: &PlanView| Child { id: view.record.id, name: subplan(&view.record).name.clone() };
        let children = self.children().map(child).collect();
        Ok((Scheduler::resume(graph, settings, found), children))
    }

    /// Why a child of the head cannot begin by itself; `None`: it can. `parent` is the head.
    pub fn unready(&self, parent: &PlanRecord, mode: Mode, child: &PlanRecord) -> Option<Unready> {
        if !has_come_to_children(parent) {
            return Some(Unready::ParentIdle);
        }
        let sibling = waits_for(child, self.children().map(|view| &view.record), mode).next()?;
        Some(Unready::DependsOn { sibling: subplan(sibling).name.clone() })
    }
}

/// A child's facts about itself as a child.
pub(super) fn subplan(record: &PlanRecord) -> &Subplan {
    record.subplan.as_ref().expect("whoever has a parent is a subplan")
}

fn item(subplan: &Subplan) -> Item<'_> {
    Item { name: &subplan.name, depends_on: &subplan.depends_on }
}

/// What a scheduler finds of a child, and how many of its attempts have failed.
fn found(record: &PlanRecord, nodes: &BTreeMap<&str, NodeId>) -> (Found, u32) {
    let found = match (record.phase(), record.state()) {
        (_, State::Applied) => Found::Merged,
        (_, State::Cancelled) => Found::Cancelled(cause(record.given_up(), nodes)),
        (Phase::Execute, State::Complete) | (Phase::Apply, _) => Found::Executed,
        (_, State::Processing) => Found::Running,
        (_, State::Errored) if !was_interrupted(record) && !is_torn(record) => Found::Failed,
        _ => Found::Queued,
    };
    (found, failures_of(record))
}

/// How many attempts of a child count as failed: all there may be, if trying again with nothing
/// changed would fail again.
pub(crate) fn failures_of(record: &PlanRecord) -> u32 {
    let hopeless = record.failure.as_ref().is_some_and(|failure| !failure.retryable);
    if hopeless && record.state() == State::Errored { u32::MAX } else { subplan(record).failures }
}

/// Whether the work of its own children could not be merged: a person resolves that, and then it goes
/// on.
pub(crate) fn is_torn(record: &PlanRecord) -> bool {
    let torn = |code: &str| code == CONFLICT || code == NOT_MERGED;
    let errored = record.phase() == Phase::Execute && record.state() == State::Errored;
    errored && record.failure.as_ref().is_some_and(|failure| torn(&failure.code))
}

/// Whether its last attempt was cut short, which is no failure of its own.
pub(crate) fn was_interrupted(record: &PlanRecord) -> bool {
    record.failure.as_ref().is_some_and(|failure| InterruptCause::parse(&failure.code).is_some())
}

fn cause(given_up: Option<&GivenUp>, nodes: &BTreeMap<&str, NodeId>) -> Cause {
    let node = |name: &String| nodes.get(name.as_str()).copied();
    match given_up {
        Some(GivenUp::Skipped { by }) => node(by).map_or(Cause::Asked, |by| Cause::Skipped { by }),
        Some(GivenUp::FailFast { by }) => node(by).map_or(Cause::Asked, |by| Cause::FailFast { by }),
        None => Cause::Asked,
    }
}

/// What a child was made of, to make another one like it.
pub(super) fn origin_again(record: &PlanRecord) -> Origin {
    let fresh = Subplan { failures: 0, given_up: None, ..subplan(record).clone() };
    Origin {
        name: record.name.clone(),
        action: record.action.clone(),
        automation: record.automation,
        projects: record.projects.iter().map(|project| project.name.clone()).collect(),
        subplan: Some(fresh),
    }
}
