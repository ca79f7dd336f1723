//! What depends on what: a graph without cycles, by construction.
//!
//! Nodes are numbers, in the order in which the items were given. Edges lead from a node to those
//! that depend on it, in two flat lists, so that a hundred thousand nodes are a few megabytes and a
//! walk is one pass. Building is linear in nodes and edges.

use thiserror::Error;

use super::Mode;
use super::names::Names;

/// One child, as it was asked for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Item<'a> {
    /// Its name, unique among its siblings.
    pub name: &'a str,
    /// The siblings that must have succeeded before it begins.
    pub depends_on: &'a [String],
}

/// A node: the place of its item in the list.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct NodeId(u32);

impl NodeId {
    /// The place in the list of items.
    pub const fn index(self) -> usize {
        self.0 as usize
    }

    pub(super) fn of(index: usize) -> Self {
        Self(u32::try_from(index).expect("no list of items has four thousand million of them"))
    }
}

/// What is wrong with a list of items.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum GraphProblem {
    /// Two items have one name.
    #[error("`{name}` is there twice")]
    Duplicate {
        /// The name.
        name: String,
    },
    /// A dependency is no item of the list.
    #[error("`{item}` depends on `{dependency}`, which is not there")]
    Unknown {
        /// Whose dependency it is.
        item: String,
        /// What it names.
        dependency: String,
    },
    /// An item depends on itself.
    #[error("`{item}` depends on itself")]
    OnItself {
        /// The item.
        item: String,
    },
    /// Items wait for one another in a circle.
    #[error("nothing in this circle can begin: {}", path.join(" → "))]
    Cycle {
        /// Each depends on the next; the last is the first again.
        path: Vec<String>,
    },
    /// Dependencies in a mode that has none.
    #[error("`{item}` has dependencies, which count in the mode `dependency` only, not in `{mode}`")]
    NotInThisMode {
        /// The item.
        item: String,
        /// The mode.
        mode: &'static str,
    },
}

/// Who waits for whom; never in a circle.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Graph {
    /// Where the dependents of a node begin in `edges`; one more than there are nodes.
    starts: Vec<u32>,
    /// The dependents, node by node.
    edges: Vec<NodeId>,
    /// How many each node depends on.
    needs: Vec<u32>,
}

impl Graph {
    /// The graph of these items. In the mode `sequential` each depends on the one before it, in
    /// `parallel` on none. All problems at once; of circles the first that is met.
    pub fn new(items: &[Item<'_>], mode: Mode) -> Result<Self, Vec<GraphProblem>> {
        let mut problems = Vec::new();
        let repeated = |name: &str| problems.push(GraphProblem::Duplicate { name: name.to_owned() });
        let names = Names::of(items, repeated);
        let edges = match mode {
            Mode::Dependency => dependencies(items, &names, &mut problems),
            Mode::Sequential | Mode::Parallel => {
                let given = items.iter().filter(|item| !item.depends_on.is_empty());
                problems.extend(given.map(|item| GraphProblem::NotInThisMode {
                    item: item.name.to_owned(),
                    mode: mode.as_str(),
                }));
                let chain = if mode == Mode::Sequential { items.len() } else { 0 };
                (1..chain).map(|index| (NodeId::of(index - 1), NodeId::of(index))).collect()
            }
        };
        let graph = Self::of_edges(items.len(), &edges);
        if let Some(path) = graph.circle() {
            let path = path.into_iter().map(|node| items[node.index()].name.to_owned()).collect();
            problems.push(GraphProblem::Cycle { path });
        }
        if problems.is_empty() { Ok(graph) } else { Err(problems) }
    }

    /// Edges lead from what is needed to who needs it.
    fn of_edges(nodes: usize, edges: &[(NodeId, NodeId)]) -> Self {
        let (mut starts, mut needs) = (vec![0_u32; nodes + 1], vec![0_u32; nodes]);
        for (from, to) in edges {
            starts[from.index() + 1] += 1;
            needs[to.index()] += 1;
        }
        for index in 0..nodes {
            starts[index + 1] += starts[index];
        }
        let (mut next, mut flat) = (starts.clone(), vec![NodeId(0); edges.len()]);
        for (from, to) in edges {
            let place = &mut next[from.index()];
            flat[*place as usize] = *to;
            *place += 1;
        }
        Self { starts, edges: flat, needs }
    }

    /// How many nodes there are.
    pub fn len(&self) -> usize {
        self.needs.len()
    }

    /// Whether there is nothing to do.
    pub fn is_empty(&self) -> bool {
        self.needs.is_empty()
    }

    /// All nodes, in the order of their items.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        (0..self.len()).map(NodeId::of)
    }

    /// Those that depend on it directly.
    pub fn dependents(&self, node: NodeId) -> &[NodeId] {
        let at = |index: usize| self.starts[index] as usize;
        &self.edges[at(node.index())..at(node.index() + 1)]
    }

    /// How many it depends on directly.
    pub fn needs(&self, node: NodeId) -> u32 {
        self.needs[node.index()]
    }

    /// The wave in which each node could run at the earliest, from 0: one more than the latest of
    /// those it depends on.
    pub fn waves(&self) -> Vec<u32> {
        let mut waves = vec![0; self.len()];
        for node in self.sorted() {
            for dependent in self.dependents(node) {
                waves[dependent.index()] = waves[dependent.index()].max(waves[node.index()] + 1);
            }
        }
        waves
    }

    /// Every node after all that it depends on; without those of a circle and behind it.
    fn sorted(&self) -> Vec<NodeId> {
        let mut unmet = self.needs.clone();
        let mut sorted: Vec<NodeId> = self.nodes().filter(|node| self.needs(*node) == 0).collect();
        let mut done = 0;
        while let Some(node) = sorted.get(done).copied() {
            done += 1;
            for dependent in self.dependents(node) {
                let left = &mut unmet[dependent.index()];
                *left -= 1;
                if *left == 0 {
                    sorted.push(*dependent);
                }
            }
        }
        sorted
    }

    /// A circle, each followed by one that it depends on, the first again at the end.
    fn circle(&self) -> Option<Vec<NodeId>> {
        let sorted = self.sorted();
        if sorted.len() == self.len() {
            return None;
        }
        let mut free = vec![false; self.len()];
        for node in sorted {
            free[node.index()] = true;
        }
        // Each that is left waits for another one that is left; following that way ends in a circle.
        let mut waits_for = vec![None; self.len()];
        for node in self.nodes().filter(|node| !free[node.index()]) {
            self.dependents(node).iter().for_each(|dependent| waits_for[dependent.index()] = Some(node));
        }
        let mut walked = Vec::new();
        let mut seen = vec![false; self.len()];
        let mut node = self.nodes().find(|node| !free[node.index()])?;
        while !seen[node.index()] {
            seen[node.index()] = true;
            walked.push(node);
            node = waits_for[node.index()]?;
        }
        let first = walked.iter().position(|other| *other == node)?;
        walked.drain(..first);
        walked.push(node);
        Some(walked)
    }
}

/// From each dependency to its item; naming one twice is naming it once.
fn dependencies(
    items: &[Item<'_>],
    names: &Names<'_>,
    problems: &mut Vec<GraphProblem>,
) -> Vec<(NodeId, NodeId)> {
    let given = items.iter().flat_map(|item| item.depends_on);
    let likely: Vec<_> = given.map(|dependency| names.likely(dependency)).collect();
    let (mut edges, mut likely) = (Vec::with_capacity(likely.len()), likely.into_iter());
    let mut named_last_by = vec![None; items.len()];
    for (index, item) in items.iter().enumerate() {
        let this = NodeId::of(index);
        for (dependency, likely) in item.depends_on.iter().zip(likely.by_ref()) {
            let name = || item.name.to_owned();
            match names.checked(dependency, likely) {
                None => problems.push(GraphProblem::Unknown { item: name(), dependency: dependency.clone() }),
                Some(_) if dependency == item.name => problems.push(GraphProblem::OnItself { item: name() }),
                Some(node) if named_last_by[node.index()].replace(this) != Some(this) => {
                    edges.push((node, this));
                }
                Some(_) => {}
            }
        }
    }
    edges
}
