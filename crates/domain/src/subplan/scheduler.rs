//! The scheduler of one parent: a pure state machine over its children.
//!
//! It is told what happened to a child ([`Scheduler::executed`], [`Scheduler::failed`], …) and asked
//! what is to be done ([`Scheduler::step`]) until there is nothing more to do just now. It holds no
//! lock and knows no time. All its work together is linear in nodes and edges: each node is begun,
//! settled and skipped once an attempt, each edge is followed once.
//!
//! After a crash it is made anew from what the children's rows say ([`Scheduler::resume`]): what has
//! settled is not run again, what runs is waited for, and what the dead scheduler had not recorded
//! yet (children behind a failure) is decided again, the same way.

use std::collections::VecDeque;

use super::{Cause, Found, Graph, NodeId, Settings, Status, Step, Totals};

/// Walks a graph of children.
#[derive(Debug, Clone)]
pub struct Scheduler {
    graph: Graph,
    statuses: Vec<Status>,
    /// How many of those it depends on are not merged.
    unmet: Vec<u32>,
    /// How many attempts have failed.
    failures: Vec<u32>,
    ready: VecDeque<NodeId>,
    /// What is to be done before anything else begins.
    due: VecDeque<Step>,
    /// Running or stopping: those that have a slot.
    running: u32,
    slots: u32,
    most_attempts: u32,
    fail_fast: bool,
    /// Whether the edges are an order only.
    in_sequence: bool,
}

impl Scheduler {
    /// A scheduler of children of which none has begun.
    pub fn new(graph: Graph, settings: &Settings) -> Self {
        let nodes = graph.len();
        Self::resume(graph, settings, (0..nodes).map(|_| (Found::Queued, 0)))
    }

    /// A scheduler that carries on: of each node, in order, what is found and how many attempts of
    /// it have failed. One that failed and has attempts left is tried again.
    pub fn resume(graph: Graph, settings: &Settings, found: impl IntoIterator<Item = (Found, u32)>) -> Self {
        let (found, failures): (Vec<Found>, Vec<u32>) = found.into_iter().take(graph.len()).unzip();
        assert_eq!(found.len(), graph.len(), "something is found of every node");
        let mut scheduler = Self {
            statuses: vec![Status::Waiting; graph.len()],
            unmet: graph.nodes().map(|node| graph.needs(node)).collect(),
            failures,
            ready: VecDeque::new(),
            due: VecDeque::new(),
            running: 0,
            slots: if settings.mode == super::Mode::Sequential { 1 } else { settings.max_parallel },
            most_attempts: settings.max_retries.saturating_add(1),
            fail_fast: settings.fail_fast,
            in_sequence: settings.mode == super::Mode::Sequential,
            graph,
        };
        scheduler.take_in(&found);
        scheduler
    }

    /// What each is found to be first, so that what follows from one sees the others as they are.
    fn take_in(&mut self, found: &[Found]) {
        for (node, found) in self.graph.nodes().zip(found) {
            match *found {
                Found::Queued => {}
                Found::Running => self.occupy(node),
                Found::Executed => self.queue_merge(node),
                Found::Merged => self.note_merged(node),
                Found::Cancelled(cause) if self.is_passed_over(cause) => self.note_passed_over(node),
                Found::Cancelled(cause) => self.set(node, Status::Cancelled(cause)),
                Found::Failed if self.may_try_again(node) => {}
                Found::Failed => self.set(node, Status::Failed),
            }
        }
        for node in self.graph.nodes() {
            match self.status(node) {
                Status::Waiting if self.unmet[node.index()] == 0 => self.make_ready(node),
                Status::Failed => self.fail(node),
                Status::Cancelled(cause) if self.is_passed_over(cause) => {}
                status @ Status::Cancelled(_) => self.give_up(node, status),
                _ => {}
            }
        }
    }

    /// The next thing to do, or nothing until something happens.
    pub fn step(&mut self) -> Option<Step> {
        while let Some(step) = self.due.pop_front() {
            if self.stands(step) {
                return Some(step);
            }
        }
        while self.running < self.slots {
            let node = self.ready.pop_front()?;
            if self.status(node) == Status::Ready {
                self.occupy(node);
                return Some(Step::Start(node));
            }
        }
        None
    }

    /// Whether a step is still to be done: its node may have ended meanwhile.
    fn stands(&self, step: Step) -> bool {
        match step {
            Step::Merge(node) => self.status(node) == Status::Merging,
            Step::Stop(node, _) => matches!(self.status(node), Status::Stopping(_)),
            Step::Start(_) | Step::Cancel(..) => true,
        }
    }

    /// Its command has done its work. Nothing, unless it runs.
    pub fn executed(&mut self, node: NodeId) {
        match self.status(node) {
            Status::Running => {
                self.running -= 1;
                self.queue_merge(node);
            }
            Status::Stopping(_) => self.cancelled(node),
            _ => {}
        }
    }

    /// It failed, so often since it was given attempts; its own action may have tried more than once.
    /// Tried again as long as it has attempts: never, if it says [`u32::MAX`]. Nothing, unless it runs.
    pub fn failed(&mut self, node: NodeId, failures: u32) {
        if self.status(node) == Status::Running {
            self.failures[node.index()] = failures;
        }
        match self.status(node) {
            Status::Running if self.may_try_again(node) => {
                self.running -= 1;
                self.make_ready(node);
            }
            Status::Running => {
                self.running -= 1;
                self.fail(node);
            }
            Status::Stopping(_) => self.cancelled(node),
            _ => {}
        }
    }

    /// It asks a person, and runs no more until there is an answer; what depends on it waits.
    /// Nothing, unless it runs.
    pub fn parked(&mut self, node: NodeId) {
        match self.status(node) {
            Status::Running => {
                self.running -= 1;
                self.set(node, Status::Parked);
            }
            Status::Stopping(_) => self.cancelled(node),
            _ => {}
        }
    }

    /// Its work is part of the parent's. Nothing, unless it was to be merged or in conflict.
    pub fn merged(&mut self, node: NodeId) {
        if !matches!(self.status(node), Status::Merging | Status::Conflicted) {
            return;
        }
        self.note_merged(node);
        self.ready_dependents(node);
    }

    /// It asked a person, and asks no more: it may go on. Nothing, unless it waits for that.
    pub fn answered(&mut self, node: NodeId) {
        if self.status(node) == Status::Parked {
            self.make_ready(node);
        }
    }

    /// Its work does not go together with the parent's: what depends on it waits until a person has
    /// resolved that. Nothing, unless it was to be merged.
    pub fn conflicted(&mut self, node: NodeId) {
        if self.status(node) == Status::Merging {
            self.set(node, Status::Conflicted);
        }
    }

    /// It is given up: it was to be stopped and has ended, or somebody cancelled it. Nothing, if it
    /// has settled.
    pub fn cancelled(&mut self, node: NodeId) {
        let cause = match self.status(node) {
            status if status.is_settled() => return,
            Status::Stopping(cause) => cause,
            _ => Cause::Asked,
        };
        if matches!(self.status(node), Status::Running | Status::Stopping(_)) {
            self.running -= 1;
        }
        if self.is_passed_over(cause) {
            self.note_passed_over(node);
            self.ready_dependents(node);
        } else {
            self.give_up(node, Status::Cancelled(cause));
        }
    }

    /// Where a child is.
    pub fn status(&self, node: NodeId) -> Status {
        self.statuses[node.index()]
    }

    /// All nodes, in the order of their items.
    pub fn nodes(&self) -> impl Iterator<Item = NodeId> + use<> {
        self.graph.nodes()
    }

    /// How many attempts of it have failed.
    pub fn failures(&self, node: NodeId) -> u32 {
        self.failures[node.index()]
    }

    /// How many children are where. One pass.
    pub fn totals(&self) -> Totals {
        self.statuses.iter().fold(Totals::default(), |mut totals, status| {
            let count = match status {
                Status::Waiting | Status::Ready => &mut totals.queued,
                Status::Running | Status::Stopping(_) | Status::Merging => &mut totals.running,
                Status::Parked => &mut totals.parked,
                Status::Conflicted => &mut totals.conflicted,
                Status::Merged => &mut totals.merged,
                Status::Failed => &mut totals.failed,
                Status::Cancelled(_) => &mut totals.cancelled,
            };
            *count += 1;
            totals
        })
    }

    fn set(&mut self, node: NodeId, status: Status) {
        self.statuses[node.index()] = status;
    }

    fn occupy(&mut self, node: NodeId) {
        self.set(node, Status::Running);
        self.running += 1;
    }

    fn make_ready(&mut self, node: NodeId) {
        self.set(node, Status::Ready);
        self.ready.push_back(node);
    }

    fn queue_merge(&mut self, node: NodeId) {
        self.set(node, Status::Merging);
        self.due.push_back(Step::Merge(node));
    }

    fn note_merged(&mut self, node: NodeId) {
        self.set(node, Status::Merged);
        self.release_dependents(node);
    }

    /// Whether the others go on without a child that was cancelled so: a place in an order is no
    /// dependency, and only a failure ends it.
    fn is_passed_over(&self, cause: Cause) -> bool {
        self.in_sequence && cause == Cause::Asked
    }

    fn note_passed_over(&mut self, node: NodeId) {
        self.set(node, Status::Cancelled(Cause::Asked));
        self.release_dependents(node);
    }

    fn release_dependents(&mut self, node: NodeId) {
        self.graph.dependents(node).iter().for_each(|dependent| self.unmet[dependent.index()] -= 1);
    }

    fn ready_dependents(&mut self, node: NodeId) {
        let Self { graph, statuses, unmet, ready, .. } = self;
        for dependent in graph.dependents(node) {
            let status = &mut statuses[dependent.index()];
            if unmet[dependent.index()] == 0 && *status == Status::Waiting {
                *status = Status::Ready;
                ready.push_back(*dependent);
            }
        }
    }

    fn may_try_again(&self, node: NodeId) -> bool {
        self.failures(node) < self.most_attempts
    }

    fn fail(&mut self, node: NodeId) {
        self.give_up(node, Status::Failed);
        if self.fail_fast {
            self.end_all(Cause::FailFast { by: node });
        }
    }

    /// It will not succeed, so nothing down the chain can begin.
    fn give_up(&mut self, node: NodeId, status: Status) {
        self.set(node, status);
        let by = match status {
            Status::Cancelled(Cause::Skipped { by }) => by,
            _ => node,
        };
        let cause = Cause::Skipped { by };
        let Self { graph, statuses, due, .. } = self;
        let mut behind = vec![node];
        while let Some(node) = behind.pop() {
            for dependent in graph.dependents(node) {
                let status = &mut statuses[dependent.index()];
                if *status == Status::Waiting {
                    *status = Status::Cancelled(cause);
                    due.push_back(Step::Cancel(*dependent, cause));
                    behind.push(*dependent);
                }
            }
        }
    }

    fn end_all(&mut self, cause: Cause) {
        for node in self.graph.nodes() {
            match self.status(node) {
                Status::Waiting | Status::Ready | Status::Parked => {
                    self.set(node, Status::Cancelled(cause));
                    self.due.push_back(Step::Cancel(node, cause));
                }
                Status::Running => {
                    self.set(node, Status::Stopping(cause));
                    self.due.push_back(Step::Stop(node, cause));
                }
                _ => {}
            }
        }
    }
}
