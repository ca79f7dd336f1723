//! Graphs by their edges.

use agents_domain::subplan::{Graph, GraphProblem, Item, Mode, NodeId, Scheduler, Settings, Step};

/// `a: b c` is an item `a` that depends on `b` and `c`.
pub(crate) fn graph(lines: &[&str], mode: Mode) -> Result<Graph, Vec<GraphProblem>> {
    let parsed: Vec<(String, Vec<String>)> = lines
        .iter()
        .map(|line| {
            let (name, needs) = line.split_once(':').unwrap_or((line, ""));
            (name.to_owned(), needs.split_whitespace().map(str::to_owned).collect())
        })
        .collect();
    let items: Vec<Item<'_>> = parsed.iter().map(|(name, depends_on)| Item { name, depends_on }).collect();
    Graph::new(&items, mode)
}

/// A scheduler of these items.
pub(crate) fn scheduler(lines: &[&str], settings: &Settings) -> Scheduler {
    Scheduler::new(graph(lines, settings.mode).expect("a graph"), settings)
}

/// Settings without retries.
pub(crate) fn once(mode: Mode) -> Settings {
    Settings { mode, max_retries: 0, ..Settings::default() }
}

/// The node at that place.
pub(crate) fn node(index: usize) -> NodeId {
    let all: Vec<String> = (0..=index).map(|index| index.to_string()).collect();
    let items: Vec<Item<'_>> = all.iter().map(|name| Item { name, depends_on: &[] }).collect();
    Graph::new(&items, Mode::Parallel).expect("no edges").nodes().nth(index).expect("it is there")
}

/// All that is to be done now.
pub(crate) fn steps(scheduler: &mut Scheduler) -> Vec<Step> {
    std::iter::from_fn(|| scheduler.step()).collect()
}
