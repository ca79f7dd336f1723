//! Children: they come to be with a commit of their parent or not at all, and belong to its past when
//! it says so.

use agents_domain::lock::{Fence, FencingToken, LockKey};
use agents_domain::plan::{
    Change, CommitOutcome, Event, Phase, Plan, PlanWrite, Spawned, State, StoreError, replay,
};
use agents_domain::reads::{PlanFilter, PlanView};
use agents_domain::subplan::{GivenUp, Subplan};
use agents_domain::time::Clock as _;

use crate::children::{child, child_of, spawn};
use crate::journey::{failure, start};
use crate::support::{Fixture, Opener, TERM, Unfenced, request, term};
use crate::values::{
    event_id, least_definition, new_plan_of, number_of, origin, owner, plan_id, prompt, step,
};

/// The numbers of all that are below a plan.
async fn family(store: &Fixture, plan: &Plan) -> Vec<u32> {
    let views = store.reads.family(plan.id).await.expect("an answer");
    views.iter().map(|view| number_of(view.record.id)).collect()
}

async fn status(store: &Fixture, plan: &Plan) -> PlanView {
    store.reads.status(plan.id).await.expect("an answer").expect("the plan")
}

/// The stored plan of that number.
async fn the(store: &Fixture, number: u32) -> Plan {
    store.plans.load(plan_id(number)).await.expect("an answer").expect("the plan")
}

async fn applied(store: &Fixture, write: PlanWrite, fence: &Fence) -> Plan {
    assert_eq!(store.plans.commit(&write, fence).await, Ok(CommitOutcome::Applied));
    write.plan
}

/// Plan 1 with children of these numbers and names, held by owner 1.
async fn with_children(store: &Fixture, children: &[(u32, &str)]) -> (Plan, Fence) {
    let (parent, lease) = store.plan(1, 1).await;
    let children: Vec<Spawned> = children.iter().map(|(number, name)| child(*number, name)).collect();
    (applied(store, spawn(&parent, &children, store.clock.now()), &lease.fence).await, lease.fence)
}

/// Tries a write of plan 1 that must leave nothing behind, neither of it nor of its children.
async fn leaves_nothing(
    store: &Fixture,
    before: &Plan,
    write: &PlanWrite,
    fence: &Fence,
) -> Result<CommitOutcome, StoreError> {
    let (log, relatives) = (store.plans.events(before.id).await, family(store, before).await);
    let answer = store.plans.commit(write, fence).await;
    assert_eq!(store.stored(before).await, *before);
    assert_eq!(store.plans.events(before.id).await, log);
    assert_eq!(family(store, before).await, relatives);
    for new in write.spawn.iter().filter(|new| !relatives.contains(&number_of(new.plan.id))) {
        assert_eq!(store.plans.load(new.plan.id).await, Ok(None));
        assert_eq!(store.plans.events(new.plan.id).await, Ok(Vec::new()));
        let key = LockKey::Plan(new.plan.id);
        let asked = request(9, &[&key]);
        assert!(store.locks.acquire(&asked).await.is_err(), "a lock of nothing");
    }
    answer
}

pub(crate) async fn children_come_to_be_with_an_event_of_their_parent(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, lease) = store.plan(1, 1).await;
    let write = spawn(&parent, &[child(2, "b"), child(3, "a")], store.clock.now());
    applied(&store, write.clone(), &lease.fence).await;
    assert_eq!(store.stored(&parent).await, write.plan);
    let log = store.plans.events(parent.id).await.expect("a log");
    assert_eq!(log.last().map(|event| &event.change), Some(&write.events[0].change));
    assert_eq!(replay(&log), Ok(write.plan.clone()));
    for new in &write.spawn {
        assert_eq!(store.stored(&new.plan).await, new.plan);
        assert_eq!(store.plans.definition(new.plan.id).await, Ok(Some(new.definition.clone())));
        let log = store.plans.events(new.plan.id).await.expect("a log");
        let by = Event { owner: Some(owner(1)), token: lease.fence.token(), ..new.event.clone() };
        assert_eq!(log, [by], "whoever held the parent made it");
        assert_eq!(replay(&log), Ok(new.plan.clone()));
    }
}

pub(crate) async fn a_new_child_is_free_and_its_own_lock_counts(open: Opener) {
    let store = open(Unfenced::Allowed);
    let (_, of_parent) = with_children(&store, &[(2, "a"), (3, "b")]).await;
    let (first, second) = (the(&store, 2).await, the(&store, 3).await);
    assert_eq!(status(&store, &first).await.lock, None);
    let lease = store.take_one(2, &LockKey::Plan(first.id)).await;
    assert_eq!(term(&lease).1.value(), 1, "the first to hold it");
    let at = store.clock.now();
    let stranger = store.plans.commit(&prompt(&first, "x", at), &of_parent).await;
    assert_eq!(stranger, Ok(CommitOutcome::Stale), "the lock of the parent is not that of the child");
    applied(&store, prompt(&first, "x", at), &lease.fence).await;
    applied(&store, prompt(&second, "y", at), &Fence::Unfenced).await;
}

pub(crate) async fn a_write_that_comes_too_late_spawns_nothing(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, lease) = store.plan(1, 1).await;
    let [project] = store.projects([1]).await;
    let write = spawn(&parent, &[child(2, "a"), child(3, "b")], store.clock.now());
    let stale = Ok(CommitOutcome::Stale);
    let future = PlanWrite { expected_version: 7, ..write.clone() };
    assert_eq!(leaves_nothing(&store, &parent, &future, &lease.fence).await, stale);
    let also = PlanWrite { also: vec![(project, lease.fence)], ..write.clone() };
    assert_eq!(leaves_nothing(&store, &parent, &also, &lease.fence).await, stale, "another lock is lost");
    let later = applied(&store, prompt(&parent, "x", store.clock.now()), &lease.fence).await;
    let mut late = write.clone();
    late.events[0].id = event_id(parent.id, 77);
    assert_eq!(leaves_nothing(&store, &later, &late, &lease.fence).await, stale, "another version");
    store.clock.advance(TERM);
    store.take_one(2, &lease.key).await;
    let write = spawn(&later, &[child(2, "a")], store.clock.now());
    assert_eq!(leaves_nothing(&store, &later, &write, &lease.fence).await, stale, "taken over");
}

pub(crate) async fn a_name_is_taken_once_among_siblings(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, fence) = with_children(&store, &[(2, "a")]).await;
    let at = store.clock.now();
    let name_of_old = spawn(&parent, &[child(3, "b"), child(4, "a")], at);
    let twice = spawn(&parent, &[child(3, "b"), child(4, "b")], at);
    let id_of_old = spawn(&parent, &[child(3, "b"), child(2, "c")], at);
    let id_twice = spawn(&parent, &[child(3, "b"), child(3, "c")], at);
    for write in [name_of_old, twice, id_of_old, id_twice] {
        let answer = leaves_nothing(&store, &parent, &write, &fence).await;
        assert!(matches!(answer, Err(StoreError::Taken { .. })), "{answer:?}");
    }
    let below = store.take_one(1, &LockKey::Plan(plan_id(2))).await.fence;
    let child_plan = the(&store, 2).await;
    applied(&store, spawn(&child_plan, &[child(5, "a")], at), &below).await;
    assert_eq!(family(&store, &parent).await, [2, 5], "among siblings only");
}

pub(crate) async fn a_child_that_does_not_fit_its_parent_is_refused(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, lease) = store.plan(1, 1).await;
    let (stranger, _) = store.plan(1, 9).await;
    let fitting = child_of(&parent, 1, "b");
    let wrong = [
        None,
        Some(child_of(&stranger, 1, "b")),
        Some(Subplan { root: stranger.id, ..fitting.clone() }),
        Some(Subplan { depth: 2, ..fitting.clone() }),
    ];
    for subplan in wrong {
        let mut write = spawn(&parent, &[child(2, "a"), child(3, "b")], store.clock.now());
        let mut origin = origin(&least_definition());
        origin.subplan = subplan.clone();
        write.spawn[1] = new_plan_of(3, store.clock.now(), origin, least_definition());
        let answer = leaves_nothing(&store, &parent, &write, &lease.fence).await;
        assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{subplan:?}: {answer:?}");
    }
}

pub(crate) async fn a_spawn_that_is_repeated_is_harmless(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, lease) = store.plan(1, 1).await;
    let write = spawn(&parent, &[child(2, "a"), child(3, "b")], store.clock.now());
    applied(&store, write.clone(), &lease.fence).await;
    let of_child = store.take_one(2, &LockKey::Plan(plan_id(2))).await.fence;
    let moved = applied(&store, prompt(&write.spawn[0].plan, "x", store.clock.now()), &of_child).await;
    applied(&store, prompt(&write.plan, "y", store.clock.now()), &lease.fence).await;
    applied(&store, write.clone(), &lease.fence).await;
    store.clock.advance(TERM);
    store.take_one(3, &lease.key).await;
    applied(&store, write, &lease.fence).await;
    assert_eq!(store.stored(&moved).await, moved);
    assert_eq!(store.plans.events(parent.id).await.expect("a log").len(), 3);
    assert_eq!(family(&store, &parent).await, [2, 3]);
}

pub(crate) async fn a_family_is_told_from_the_top_down(open: Opener) {
    let store = open(Unfenced::Refused);
    let (root, _) = with_children(&store, &[(30, "z"), (20, "m"), (10, "a")]).await;
    let at = store.clock.now();
    for (number, below) in [(30, vec![(31, "b"), (32, "a")]), (10, vec![(11, "x")]), (31, vec![(33, "x")])] {
        let fence = store.take_one(1, &LockKey::Plan(plan_id(number))).await.fence;
        let plan = the(&store, number).await;
        let below: Vec<Spawned> = below.into_iter().map(|(number, name)| child(number, name)).collect();
        applied(&store, spawn(&plan, &below, at), &fence).await;
    }
    store.plan(1, 2).await;
    assert_eq!(family(&store, &root).await, [30, 31, 33, 32, 20, 10, 11]);
    let views = store.reads.family(root.id).await.expect("an answer");
    for view in &views {
        let facts = view.record.subplan.as_ref().expect("a child");
        let depth = if number_of(view.record.id).is_multiple_of(10) { 1 } else { 2 };
        let depth = if number_of(view.record.id) == 33 { 3 } else { depth };
        assert_eq!((facts.root, facts.depth), (root.id, depth));
        let status = store.reads.status(view.record.id).await.expect("an answer");
        assert_eq!(status.as_ref(), Some(view), "one reader says what the other says");
    }
    let part = &the(&store, 30).await;
    assert_eq!(family(&store, part).await, [31, 33, 32]);
    assert_eq!(store.reads.family(plan_id(77)).await, Ok(Vec::new()));
}

pub(crate) async fn children_are_counted_by_state_wherever_their_parent_is_shown(open: Opener) {
    let store = open(Unfenced::Refused);
    let (root, _) = with_children(&store, &[(2, "a"), (3, "b"), (4, "c")]).await;
    let fence = store.take_one(1, &LockKey::Plan(plan_id(2))).await.fence;
    let middle = the(&store, 2).await;
    let middle = applied(&store, spawn(&middle, &[child(5, "x")], store.clock.now()), &fence).await;
    applied(&store, step(&middle, start(1, '1', true), store.clock.now()), &fence).await;
    let tally = status(&store, &root).await.subplans;
    let counted = (tally.count(State::Queued), tally.count(State::Processing), tally.total());
    assert_eq!(counted, (2, 1, 3), "children, not theirs");
    let all = PlanFilter { all: true, ..PlanFilter::default() };
    let page = store.reads.list(&all).await.expect("a page");
    let relatives = store.reads.family(root.id).await.expect("an answer");
    for view in page.plans.iter().chain(&relatives) {
        let expected = match number_of(view.record.id) {
            1 => 3,
            2 => 1,
            _ => 0,
        };
        assert_eq!(view.subplans.total(), expected, "{}", view.record.id);
    }
    assert_eq!((page.plans.len(), relatives.len()), (5, 4));
}

pub(crate) async fn a_plan_that_goes_back_to_its_start_leaves_its_children_behind(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, fence) = with_children(&store, &[(2, "a"), (3, "b")]).await;
    let of_child = store.take_one(1, &LockKey::Plan(plan_id(2))).await.fence;
    let first = the(&store, 2).await;
    applied(&store, spawn(&first, &[child(4, "x")], store.clock.now()), &of_child).await;
    let back = Change::Reverted { reason: None };
    let parent = applied(&store, step(&parent, back, store.clock.now()), &fence).await;
    assert_eq!(family(&store, &parent).await, [0; 0]);
    assert_eq!(status(&store, &parent).await.subplans.total(), 0);
    assert_eq!(family(&store, &first).await, [4], "what is below is still below");
    assert_eq!(status(&store, &first).await.record.parent(), Some(parent.id), "and known as what it was");
    let children = PlanFilter { parent: Some(parent.id), ..PlanFilter::default() };
    assert_eq!(store.reads.list(&children).await.expect("a page").total, 2);
    let parent = applied(&store, spawn(&parent, &[child(5, "a")], store.clock.now()), &fence).await;
    assert_eq!(family(&store, &parent).await, [5], "its name is free");
}

pub(crate) async fn a_child_takes_the_place_of_another(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, fence) = with_children(&store, &[(2, "a"), (3, "b")]).await;
    let in_place = |number, name, old| Spawned { replaces: Some(plan_id(old)), ..child(number, name) };
    let at = store.clock.now();
    let parent = applied(&store, spawn(&parent, &[in_place(4, "a", 2)], at), &fence).await;
    assert_eq!(family(&store, &parent).await, [4, 3]);
    assert_eq!(status(&store, &parent).await.subplans.total(), 2);
    let (stranger, _) = store.plan(1, 9).await;
    for old in [2, 77, number_of(stranger.id), number_of(parent.id)] {
        let write = spawn(&parent, &[child(5, "c"), in_place(6, "d", old)], at);
        let answer = leaves_nothing(&store, &parent, &write, &fence).await;
        assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{old}: {answer:?}");
    }
    let parent =
        applied(&store, spawn(&parent, &[in_place(7, "b", 3), in_place(8, "a", 4)], at), &fence).await;
    assert_eq!(family(&store, &parent).await, [7, 8]);
}

pub(crate) async fn how_a_child_stands_survives_the_store(open: Opener) {
    let store = open(Unfenced::Refused);
    with_children(&store, &[(2, "a"), (3, "b")]).await;
    let given_up = [GivenUp::Skipped { by: "it's \"a\"".into() }, GivenUp::FailFast { by: "a".into() }];
    for (number, given_up) in [2, 3].into_iter().zip(given_up) {
        let fence = store.take_one(1, &LockKey::Plan(plan_id(number))).await.fence;
        let mut plan = the(&store, number).await;
        let fail = Change::PhaseFailed { failure: failure(true), exit: None, work: Vec::new() };
        let again = Change::Retried { resume: [].into(), anew: false };
        let end = Change::Cancelled {
            reason: Some(given_up.reason()),
            keep_landed: false,
            work: Vec::new(),
            given_up: Some(given_up.clone()),
        };
        let road = [start(1, '1', true), fail.clone(), again, start(2, '2', true), fail, end];
        for (change, failures) in road.into_iter().zip([0, 1, 1, 1, 2, 2]) {
            plan = applied(&store, step(&plan, change, store.clock.now()), &fence).await;
            let stored = store.stored(&plan).await;
            assert_eq!(stored, plan);
            assert_eq!(stored.subplan.as_ref().map(|subplan| subplan.failures), Some(failures));
            assert_eq!(status(&store, &plan).await.record, plan.clone().into_record());
        }
        assert_eq!(plan.given_up(), Some(&given_up));
        assert_eq!(replay(&store.plans.events(plan.id).await.expect("a log")), Ok(plan));
    }
}

pub(crate) async fn a_child_is_done_when_its_parent_says_so(open: Opener) {
    let store = open(Unfenced::Refused);
    let (parent, lease) = store.plan(1, 1).await;
    let mut write = spawn(&parent, &[child(2, "a"), child(3, "b")], store.clock.now());
    write.spawn[0].definition.action.definition_of_done.push_str("what the parent wants");
    applied(&store, write.clone(), &lease.fence).await;
    for new in write.spawn {
        assert_eq!(store.plans.definition(new.plan.id).await, Ok(Some(new.definition)));
    }
}

pub(crate) async fn several_events_are_written_as_one(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let at = store.clock.now();
    let first = prompt(&plan, "one", at);
    let second = spawn(&first.plan, &[child(2, "a")], at);
    let third = step(&second.plan, start(1, '1', true), at);
    let events = [&first, &second, &third].map(|write| write.events[0].clone()).to_vec();
    let whole = PlanWrite { plan: third.plan, events, spawn: second.spawn, ..first.clone() };
    for _ in 0..2 {
        applied(&store, whole.clone(), &lease.fence).await;
    }
    assert_eq!(store.stored(&plan).await, whole.plan);
    let log = store.plans.events(plan.id).await.expect("a log");
    assert_eq!(log.iter().map(|event| event.seq).collect::<Vec<_>>(), [1, 2, 3, 4]);
    let tokens: Vec<_> = log.iter().map(|event| event.token.map(FencingToken::value)).collect();
    assert_eq!(tokens, [Some(1); 4]);
    assert_eq!(replay(&log), Ok(whole.plan.clone()));
    assert_eq!((whole.plan.phase(), family(&store, &plan).await), (Phase::Strategize, vec![2]));
}

pub(crate) async fn a_part_of_a_write_is_not_the_write(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let first = prompt(&plan, "one", store.clock.now());
    let second = spawn(&first.plan, &[child(2, "a")], store.clock.now());
    let events = [&first, &second].map(|write| write.events[0].clone()).to_vec();
    let whole = PlanWrite { events, expected_version: plan.version, ..second };
    let alone = applied(&store, first, &lease.fence).await;
    let answer = leaves_nothing(&store, &alone, &whole, &lease.fence).await;
    assert_eq!(answer, Ok(CommitOutcome::Stale));
    let whole = PlanWrite { expected_version: alone.version, ..whole };
    let answer = leaves_nothing(&store, &alone, &whole, &lease.fence).await;
    assert!(answer.is_err(), "its first event is there already: {answer:?}");
}
