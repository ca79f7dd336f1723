//! Properties over random graphs, settings and interleavings, with schedulers that die.

use std::collections::BTreeSet;

use agents_domain::subplan::{Cause, Found, Graph, Item, Mode, NodeId, Scheduler, Settings, Status, Step};
use proptest::prelude::*;

/// What the world beside the scheduler knows.
#[derive(Debug)]
struct World {
    graph: Graph,
    settings: Settings,
    scheduler: Scheduler,
    running: BTreeSet<NodeId>,
    merging: BTreeSet<NodeId>,
    parked: BTreeSet<NodeId>,
    starts: Vec<u32>,
    failures: Vec<u32>,
    stopped: BTreeSet<NodeId>,
    failed_fast: bool,
}

impl World {
    fn obey(&mut self) -> Result<(), TestCaseError> {
        while let Some(step) = self.scheduler.step() {
            match step {
                Step::Start(node) => self.start(node)?,
                Step::Merge(node) => prop_assert!(self.merging.insert(node), "merged twice"),
                Step::Stop(node, _) => {
                    prop_assert!(self.running.contains(&node) && self.stopped.insert(node));
                }
                Step::Cancel(node, _) => {
                    prop_assert!(!self.running.contains(&node), "it runs");
                    self.parked.remove(&node);
                }
            }
        }
        Ok(())
    }

    fn start(&mut self, node: NodeId) -> Result<(), TestCaseError> {
        let slots = if self.settings.mode == Mode::Sequential { 1 } else { self.settings.max_parallel };
        self.starts[node.index()] += 1;
        prop_assert!(self.running.insert(node), "it runs already");
        prop_assert!(self.running.len() <= slots as usize, "more than {slots} at once");
        prop_assert!(self.failures[node.index()] <= self.settings.max_retries, "too many attempts");
        prop_assert!(!self.parked.contains(&node), "it awaits an answer");
        prop_assert!(!self.failed_fast, "begun after a failure");
        for needed in self.graph.nodes().filter(|other| self.graph.dependents(*other).contains(&node)) {
            let status = self.scheduler.status(needed);
            let passed_over =
                self.settings.mode == Mode::Sequential && status == Status::Cancelled(Cause::Asked);
            prop_assert!(status == Status::Merged || passed_over, "begun behind {status:?}");
        }
        Ok(())
    }

    /// Something happens to one child; which and what is up to chance. If none does anything, those
    /// that ask are answered, and the parent is driven again.
    fn happen(&mut self, chance: usize) -> Result<(), TestCaseError> {
        let candidates: Vec<NodeId> = self.running.iter().chain(&self.merging).copied().collect();
        let Some(node) = candidates.get(chance / 16 % candidates.len().max(1)).copied() else {
            let is_ready = |node| self.scheduler.status(node) == Status::Ready;
            prop_assert!(self.scheduler.totals().is_stalled(), "nothing happens any more");
            prop_assert!(!self.graph.nodes().any(is_ready), "a slot is free, and one is ready");
            prop_assert!(!self.failed_fast, "nobody is asked after a failure");
            self.succession();
            return Ok(());
        };
        if self.merging.remove(&node) {
            self.scheduler.merged(node);
            return Ok(());
        }
        self.running.remove(&node);
        match chance % 16 {
            0..=7 => self.scheduler.executed(node),
            8 | 9 => self.ask(node),
            10 => self.scheduler.cancelled(node),
            11 => self.fail(node, u32::MAX),
            _ => self.fail(node, self.failures[node.index()] + 1),
        }
        let failed = self.scheduler.status(node) == Status::Failed;
        self.failed_fast |= failed && self.settings.fail_fast;
        Ok(())
    }

    fn ask(&mut self, node: NodeId) {
        self.scheduler.parked(node);
        if self.scheduler.status(node) == Status::Parked {
            self.parked.insert(node);
        }
    }

    fn fail(&mut self, node: NodeId, failures: u32) {
        self.failures[node.index()] = failures;
        self.scheduler.failed(node, failures);
    }

    /// The scheduler dies; another one finds what the rows say. Running children run on.
    fn succession(&mut self) {
        let found = |node: NodeId| match self.scheduler.status(node) {
            Status::Waiting | Status::Ready | Status::Parked => Found::Queued,
            Status::Running | Status::Stopping(_) => Found::Running,
            Status::Merging | Status::Conflicted => Found::Executed,
            Status::Merged => Found::Merged,
            Status::Failed => Found::Failed,
            Status::Cancelled(cause) => Found::Cancelled(cause),
        };
        let all: Vec<_> = self.graph.nodes().map(|node| (found(node), self.failures[node.index()])).collect();
        self.scheduler = Scheduler::resume(self.graph.clone(), &self.settings, all);
        self.merging.clear();
        self.parked.clear();
        self.stopped.clear();
    }

    fn check_the_end(&self) -> Result<(), TestCaseError> {
        prop_assert!(self.scheduler.totals().is_settled(), "{:?}", self.scheduler.totals());
        for node in self.graph.nodes() {
            if let Status::Cancelled(Cause::Skipped { by }) = self.scheduler.status(node) {
                prop_assert!(self.is_behind(node, by), "not behind what it was skipped for");
                prop_assert!(self.scheduler.status(by) != Status::Merged);
                prop_assert_eq!(self.starts[node.index()], 0);
            }
        }
        Ok(())
    }

    fn is_behind(&self, node: NodeId, by: NodeId) -> bool {
        let (mut reached, mut todo) = (BTreeSet::new(), vec![by]);
        while let Some(next) = todo.pop() {
            todo.extend(self.graph.dependents(next).iter().filter(|node| reached.insert(**node)));
        }
        reached.contains(&node)
    }
}

fn worlds() -> impl Strategy<Value = World> {
    let modes = prop::sample::select(Mode::ALL.to_vec());
    let edges = prop::collection::vec((any::<prop::sample::Index>(), any::<prop::sample::Index>()), 0..60);
    (1_usize..25, edges, modes, 1_u32..6, any::<bool>(), 0_u32..3).prop_map(
        |(nodes, edges, mode, max_parallel, fail_fast, max_retries)| {
            let names: Vec<String> = (0..nodes).map(|node| node.to_string()).collect();
            let mut needs = vec![Vec::new(); nodes];
            for (from, to) in edges.iter().map(|(from, to)| (from.index(nodes), to.index(nodes))) {
                // From a lower number to a higher one: no circle.
                if from < to && mode == Mode::Dependency {
                    needs[to].push(names[from].clone());
                }
            }
            let items: Vec<Item<'_>> =
                names.iter().zip(&needs).map(|(name, depends_on)| Item { name, depends_on }).collect();
            let settings = Settings { mode, max_parallel, fail_fast, max_retries, ..Settings::default() };
            let graph = Graph::new(&items, mode).expect("no circle");
            let scheduler = Scheduler::new(graph.clone(), &settings);
            let (running, merging, parked, stopped) = <_>::default();
            let (starts, failures) = (vec![0; nodes], vec![0; nodes]);
            World {
                graph,
                settings,
                scheduler,
                running,
                merging,
                parked,
                starts,
                failures,
                stopped,
                failed_fast: false,
            }
        },
    )
}

proptest! {
    #[test]
    fn whatever_happens_every_child_settles_within_the_bounds(
        mut world in worlds(),
        chances in prop::collection::vec(any::<usize>(), 1..400),
    ) {
        // With few chances the same thing would happen for ever: that a scheduler dies, or a child asks.
        for (round, chance) in chances.iter().cycle().take(4_000).enumerate() {
            let chance = chance.wrapping_add(round);
            world.obey()?;
            if world.scheduler.totals().is_settled() {
                break;
            }
            if chance % 29 == 0 { world.succession() } else { world.happen(chance)? }
        }
        world.check_the_end()?;
    }
}
