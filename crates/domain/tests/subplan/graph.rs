//! Which lists of items are graphs, and what is said of the others.

use agents_domain::subplan::{GraphProblem, Mode};

use crate::support::{graph, node};

fn problems(lines: &[&str], mode: Mode) -> Vec<String> {
    graph(lines, mode).expect_err("no graph").iter().map(GraphProblem::to_string).collect()
}

#[test]
fn a_circle_is_shown_as_the_way_around_it() {
    let lines = ["entry: a", "a: b", "b: c", "c: a", "free"];
    let [GraphProblem::Cycle { path }] = &graph(&lines, Mode::Dependency).expect_err("a circle")[..] else {
        panic!("one problem")
    };
    assert_eq!((path.len(), path.first()), (4, path.last()));
    for pair in path.windows(2) {
        let line = lines.iter().find(|line| line.starts_with(&format!("{}:", pair[0]))).expect("an item");
        assert!(line.ends_with(&pair[1]), "{pair:?} is a dependency");
    }
    assert!(problems(&lines, Mode::Dependency)[0].starts_with("nothing in this circle can begin: "));
}

#[test]
fn all_problems_are_told_at_once() {
    let lines = ["a: a", "b: nowhere c", "c: b", "b", "d: elsewhere"];
    let found = problems(&lines, Mode::Dependency);
    for told in [
        "`b` is there twice",
        "`a` depends on itself",
        "`b` depends on `nowhere`, which is not there",
        "`d` depends on `elsewhere`, which is not there",
    ] {
        assert!(found.iter().any(|problem| problem == told), "{told}: {found:?}");
    }
}

#[test]
fn dependencies_count_in_their_mode_only() {
    let told = "`b` has dependencies, which count in the mode `dependency` only, not in `parallel`";
    assert_eq!(problems(&["a", "b: a"], Mode::Parallel), [told]);
    assert!(problems(&["a", "b: a"], Mode::Sequential)[0].ends_with("not in `sequential`"));
}

#[test]
fn naming_a_dependency_twice_is_naming_it_once() {
    let graph = graph(&["a", "b: a a a"], Mode::Dependency).expect("a graph");
    assert_eq!((graph.needs(node(1)), graph.dependents(node(0))), (1, &[node(1)][..]));
}

#[test]
fn waves_come_as_early_as_they_can() {
    let diamond = graph(&["base", "left: base", "right: base", "top: left right", "alone"], Mode::Dependency);
    assert_eq!(diamond.expect("a graph").waves(), [0, 1, 1, 2, 0]);
    assert_eq!(graph(&["a", "b", "c"], Mode::Sequential).expect("a chain").waves(), [0, 1, 2]);
    assert_eq!(graph(&["a", "b", "c"], Mode::Parallel).expect("no edges").waves(), [0, 0, 0]);
    assert!(graph(&[], Mode::Dependency).expect("nothing").is_empty());
}
