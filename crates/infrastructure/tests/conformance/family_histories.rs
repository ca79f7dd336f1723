//! Random histories of families, against a model of them, step by step.
//!
//! The model knows of each plan what it is and which children it has, those of its past apart. After
//! every step the answer of the store, and then each plan, its log, its family and its tally, must be
//! what the model says.

use std::collections::{BTreeMap, BTreeSet};

use agents_domain::lock::{Fence, LockKey};
use agents_domain::plan::{Change, CommitOutcome, Plan, PlanWrite, Spawned, Step, StoreError, next};
use agents_domain::time::Clock as _;
use proptest::prelude::*;
use proptest::strategy::ValueTree as _;
use proptest::test_runner::TestRunner;

use crate::children::{child, spawn};
use crate::support::{Fixture, Opener, Unfenced};
use crate::values::{owner, plan_id, prompt, step};

const HISTORIES: usize = 24;
const NAMES: [&str; 5] = ["api", "web", "db", "docs", "tests"];

/// What may be wrong with a write.
#[derive(Debug, Clone, Copy, PartialEq)]
enum Wrong {
    Nothing,
    Fence,
    Version,
}

/// Plans, children and writes are meant modulo how many there are.
#[derive(Debug, Clone)]
enum Op {
    Spawn { parent: usize, names: Vec<usize>, replaces: Option<usize>, guided: bool, wrong: Wrong },
    Prompt { plan: usize },
    Revert { plan: usize },
    Repeat { write: usize },
    PassOn { plan: usize },
}

fn op() -> impl Strategy<Value = Op> {
    let (plan, names) = (0usize..30, proptest::collection::vec(0..NAMES.len(), 1..4));
    let wrong = prop_oneof![6 => Just(Wrong::Nothing), 1 => Just(Wrong::Fence), 1 => Just(Wrong::Version)];
    let replaces = proptest::option::weighted(0.3, 0usize..9);
    prop_oneof![
        6 => (plan.clone(), names, replaces, any::<bool>(), wrong).prop_map(
            |(parent, names, replaces, guided, wrong)| Op::Spawn { parent, names, replaces, guided, wrong }
        ),
        2 => plan.clone().prop_map(|plan| Op::Prompt { plan }),
        1 => plan.clone().prop_map(|plan| Op::Revert { plan }),
        2 => plan.clone().prop_map(|write| Op::Repeat { write }),
        1 => plan.prop_map(|plan| Op::PassOn { plan }),
    ]
}

struct Member {
    plan: Plan,
    fence: Fence,
    /// One of an earlier term.
    lost: Option<Fence>,
    /// By number, and whether it is of today.
    children: BTreeMap<u32, bool>,
}

#[derive(Default)]
struct Model {
    members: BTreeMap<u32, Member>,
    written: Vec<(PlanWrite, Fence)>,
    owners: u32,
}

impl Model {
    fn pick(&self, index: usize) -> u32 {
        *self.members.keys().nth(index % self.members.len()).expect("one at least")
    }

    fn next_number(&self) -> u32 {
        self.members.keys().next_back().expect("one at least") + 1
    }

    fn current(&self, parent: u32) -> Vec<u32> {
        let children = self.members[&parent].children.iter();
        let mut current: Vec<u32> = children.filter(|(_, current)| **current).map(|(n, _)| *n).collect();
        current.sort_by_key(|n| (self.subplan(*n).position, *n));
        current
    }

    fn subplan(&self, number: u32) -> &agents_domain::subplan::Subplan {
        self.members[&number].plan.subplan.as_ref().expect("a child")
    }

    fn family(&self, plan: u32) -> Vec<u32> {
        let with_its_own = |child: u32| std::iter::once(child).chain(self.family(child)).collect::<Vec<_>>();
        self.current(plan).into_iter().flat_map(with_its_own).collect()
    }

    fn write(&self, op: &Op) -> Option<(u32, PlanWrite)> {
        let at = self.members.values().next()?.plan.created_at;
        match op {
            Op::Prompt { plan } => {
                let number = self.pick(*plan);
                Some((number, prompt(&self.members[&number].plan, "smaller", at)))
            }
            Op::Revert { plan } => {
                let number = self.pick(*plan);
                let (plan, change) = (&self.members[&number].plan, Change::Reverted { reason: None });
                let moved = matches!(next(plan, &change, at), Ok(Step::Moved(_)));
                moved.then(|| (number, step(plan, change, at)))
            }
            Op::Spawn { parent, names, replaces, guided, .. } => {
                let number = self.pick(*parent);
                let Member { plan, children: there, .. } = &self.members[&number];
                let mut children: Vec<Spawned> =
                    (self.next_number()..).zip(names).map(|(n, name)| child(n, NAMES[*name])).collect();
                if let Some(old) = replaces.filter(|_| !there.is_empty()) {
                    children[0].replaces = there.keys().nth(old % there.len()).map(|old| plan_id(*old));
                }
                if !guided {
                    return Some((number, spawn(plan, &children, at)));
                }
                let first = prompt(plan, "as two", at);
                let second = spawn(&first.plan, &children, at);
                let events = [first.events, second.events].concat();
                Some((number, PlanWrite { events, expected_version: plan.version, ..second }))
            }
            Op::Repeat { .. } | Op::PassOn { .. } => None,
        }
    }

    /// Whether a child of these names is taken, and whether one that has no place is to give it.
    fn faults(&self, parent: u32, write: &PlanWrite) -> (bool, bool) {
        let Some(Change::Spawned { children }) = write.events.last().map(|event| &event.change) else {
            return (false, false);
        };
        let mut current = self.current(parent);
        let replaced = children[0].replaces;
        let is_replaced = |n: &u32| replaced == Some(plan_id(*n));
        let homeless = replaced.is_some() && !current.iter().any(is_replaced);
        current.retain(|n| !is_replaced(n));
        let mut names: BTreeSet<&str> = current.iter().map(|n| self.subplan(*n).name.as_str()).collect();
        (!children.iter().all(|child| names.insert(&child.name)), homeless)
    }

    fn apply(&mut self, number: u32, write: &PlanWrite, fence: Fence, of_children: Vec<Fence>) {
        let first_child = self.next_number();
        let member = self.members.get_mut(&number).expect("there");
        member.plan = write.plan.clone();
        match &write.last_event().change {
            Change::Reverted { .. } => member.children.values_mut().for_each(|current| *current = false),
            Change::Spawned { children } => {
                let replaced: Vec<_> = children.iter().filter_map(|child| child.replaces).collect();
                for (old, current) in &mut member.children {
                    *current &= !replaced.contains(&plan_id(*old));
                }
                member.children.extend((first_child..).zip(children).map(|(n, _)| (n, true)));
            }
            _ => {}
        }
        for ((n, new), fence) in (first_child..).zip(&write.spawn).zip(of_children) {
            let child = Member { plan: new.plan.clone(), fence, lost: None, children: BTreeMap::new() };
            self.members.insert(n, child);
        }
        self.written.push((write.clone(), fence));
    }
}

/// One write, and what must come of it.
async fn write(store: &Fixture, model: &mut Model, op: &Op) {
    let Some((number, mut write)) = model.write(op) else { return };
    let Member { fence, lost, .. } = &model.members[&number];
    let wrong = if let Op::Spawn { wrong, .. } = op { *wrong } else { Wrong::Nothing };
    let (mut fence, lost) = (*fence, *lost);
    let mut stale = false;
    if let (Wrong::Fence, Some(lost)) = (wrong, lost) {
        (fence, stale) = (lost, true);
    } else if wrong == Wrong::Version {
        (write.expected_version, stale) = (write.expected_version + 1, true);
    }
    let answer = store.plans.commit(&write, &fence).await;
    let as_due = match (stale, model.faults(number, &write)) {
        (true, _) => answer == Ok(CommitOutcome::Stale),
        (_, (false, false)) => answer == Ok(CommitOutcome::Applied),
        (_, (true, false)) => matches!(answer, Err(StoreError::Taken { .. })),
        (_, (false, true)) => matches!(answer, Err(StoreError::Corrupt { .. })),
        (_, (true, true)) => answer.is_err(),
    };
    assert!(as_due, "{op:?}: {answer:?}");
    if answer == Ok(CommitOutcome::Applied) {
        let mut of_children = Vec::new();
        for child in &write.spawn {
            of_children.push(store.take_one(1, &LockKey::Plan(child.plan.id)).await.fence);
        }
        model.apply(number, &write, fence, of_children);
    }
}

async fn act(store: &Fixture, model: &mut Model, op: &Op) {
    match op {
        Op::Repeat { write } if !model.written.is_empty() => {
            let (write, fence) = &model.written[write % model.written.len()];
            assert_eq!(store.plans.commit(write, fence).await, Ok(CommitOutcome::Applied), "{op:?}");
        }
        Op::PassOn { plan } => {
            let number = model.pick(*plan);
            model.owners += 1;
            let heir = 10 + model.owners;
            let member = model.members.get_mut(&number).expect("there");
            let key = LockKey::Plan(member.plan.id);
            let (held_by, token) = (member.fence.owner(), member.fence.token());
            let term = (key.clone(), token.expect("fenced"));
            store.locks.release(held_by.expect("fenced"), &term).await.expect("an answer");
            member.lost = Some(member.fence);
            member.fence = store.take_one(heir, &key).await.fence;
            assert_eq!(member.fence.owner(), Some(owner(heir)));
        }
        _ => write(store, model, op).await,
    }
}

/// Everything that the store tells is what the model tells.
async fn compare(store: &Fixture, model: &Model, op: &Op) {
    for (number, member) in &model.members {
        let id = member.plan.id;
        assert_eq!(store.stored(&member.plan).await, member.plan, "{op:?}");
        let log = store.plans.events(id).await.expect("a log");
        assert_eq!(agents_domain::plan::replay(&log).as_ref(), Ok(&member.plan), "{op:?}");
        let below = store.reads.family(id).await.expect("an answer");
        let below: Vec<_> = below.iter().map(|view| view.record.id).collect();
        let expected: Vec<_> = model.family(*number).into_iter().map(plan_id).collect();
        assert_eq!(below, expected, "{op:?}: below {number}");
        let view = store.reads.status(id).await.expect("an answer").expect("the plan");
        assert_eq!(usize::try_from(view.subplans.total()), Ok(model.current(*number).len()), "{op:?}");
    }
    let strangers = store.reads.resolve("01PAN", 1_000).await.expect("an answer");
    assert_eq!(strangers.len(), model.members.len(), "{op:?}: nobody else is there");
}

pub(crate) async fn random_families_agree_with_the_model(open: Opener) {
    let mut runner = TestRunner::default();
    for _ in 0..open(Unfenced::Refused).histories(HISTORIES) {
        let history =
            proptest::collection::vec(op(), 1..20).new_tree(&mut runner).expect("a history").current();
        let store = open(Unfenced::Refused);
        let (plan, lease) = store.plan(1, 1).await;
        let root = Member { plan, fence: lease.fence, lost: None, children: BTreeMap::new() };
        let mut model = Model { members: BTreeMap::from([(1, root)]), ..Model::default() };
        assert_eq!(model.members[&1].plan.created_at, store.clock.now());
        for op in &history {
            act(&store, &mut model, op).await;
            compare(&store, &model, op).await;
        }
    }
}
