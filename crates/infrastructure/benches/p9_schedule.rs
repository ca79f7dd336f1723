//! P9: scheduling a graph of subplans, from the list of items to the last one settled.
//!
//! A hundred thousand nodes that each depend on four earlier ones, and ten times as many. Every node
//! is begun, executed and merged. The yardstick is petgraph: the same edges put into its graph and
//! sorted (`toposort`), which is a part of the work only. `cargo bench -p agents-infrastructure`.

#[path = "../../../benches/figures.rs"]
mod figures;

use agents_domain::subplan::{Graph, Item, Mode, Scheduler, Settings, Step};
use petgraph::algo::toposort;
use petgraph::graph::{DiGraph, NodeIndex};

use figures::{Spread, Turns, say, wanted};

/// Dependencies of each node.
const NEEDS: usize = 4;
/// Rounds of one time each.
const ROUNDS: usize = 15;

/// Items by name, and the same edges by number.
struct Work {
    names: Vec<String>,
    needs: Vec<Vec<String>>,
    edges: Vec<(usize, usize)>,
}

impl Work {
    /// Each depends on earlier ones, chosen by a linear congruence (Knuth, MMIX).
    fn of(nodes: usize) -> Self {
        let names: Vec<String> = (0..nodes).map(|node| format!("node-{node}")).collect();
        let (mut seed, mut edges, mut needs) = (1_u64, Vec::new(), vec![Vec::new(); nodes]);
        for (node, needed) in needs.iter_mut().enumerate().skip(1) {
            for _ in 0..NEEDS {
                seed = seed.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
                let from = usize::try_from(seed >> 33).expect("31 bits") % node;
                edges.push((from, node));
                needed.push(names[from].clone());
            }
        }
        Self { names, needs, edges }
    }

    fn items(&self) -> Vec<Item<'_>> {
        self.names.iter().zip(&self.needs).map(|(name, depends_on)| Item { name, depends_on }).collect()
    }

    fn ours(&self) -> Scheduler {
        let settings = Settings { mode: Mode::Dependency, ..Settings::default() };
        let graph = Graph::new(&self.items(), settings.mode).expect("no circle");
        let mut scheduler = Scheduler::new(graph, &settings);
        while let Some(step) = scheduler.step() {
            match step {
                Step::Start(node) => scheduler.executed(node),
                Step::Merge(node) => scheduler.merged(node),
                Step::Stop(..) | Step::Cancel(..) => unreachable!("nothing fails here"),
            }
        }
        assert!(scheduler.totals().is_settled());
        scheduler
    }

    fn petgraph(&self) -> usize {
        let mut graph = DiGraph::<(), (), u32>::with_capacity(self.names.len(), self.edges.len());
        let nodes: Vec<NodeIndex> = self.names.iter().map(|_| graph.add_node(())).collect();
        for (from, to) in &self.edges {
            graph.add_edge(nodes[*from], nodes[*to], ());
        }
        toposort(&graph, None).expect("no circle").len()
    }
}

/// What this process has in memory, in bytes.
fn resident() -> usize {
    let status = std::fs::read_to_string("/proc/self/statm").unwrap_or_default();
    let pages = status.split_whitespace().nth(1).and_then(|pages| pages.parse::<usize>().ok());
    pages.unwrap_or_default() * 4096
}

fn main() {
    if !wanted() {
        return;
    }
    for nodes in [100_000, 1_000_000] {
        let work = Work::of(nodes);
        let before = resident();
        let kept = work.ours();
        let bytes = resident().saturating_sub(before) / nodes;
        drop(kept);
        let turns = Turns::take(ROUNDS, 1, || assert_eq!(work.petgraph(), nodes), || drop(work.ours()));
        let (yardstick, ours) = turns.absolute();
        let in_ms = |spread: Spread| Spread {
            median: spread.median / 1_000.0,
            least: spread.least / 1_000.0,
            greatest: spread.greatest / 1_000.0,
        };
        say(&format!("P9 {nodes} nodes, {} edges", work.edges.len()));
        say(&format!("  ours, ms               {}", in_ms(ours)));
        say(&format!("  petgraph toposort, ms  {}", in_ms(yardstick)));
        say(&format!("  ratio                  {}", turns.ratio()));
        say(&format!("  bytes a node           {bytes}"));
    }
}
