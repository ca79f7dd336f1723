//! Many writers on one file: each open stands for a process.

use std::sync::atomic::{AtomicU64, Ordering};

use agents_domain::lock::{LockError, LockKey, LockPort as _, Renewal};
use agents_domain::orders::{Claim, NewOrder, Orders as _};
use agents_domain::plan::{Change, CommitOutcome, Phase, PlanStore as _};
use agents_domain::request::Asker;
use agents_domain::time::{Clock as _, Ttl};

use super::world::{World, owner_of, sound, token};
use crate::sqlite::SqliteOrders;

const WRITERS: u64 = 8;
const TURNS: u64 = 25;

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_current_thread().build().expect("runtime")
}

/// Takes the plan's lock, reads the plan, writes, releases; again if somebody was faster.
async fn transition(world: &World, store: &crate::sqlite::SqliteStore, key: &LockKey, who: u64) -> u64 {
    let LockKey::Plan(id) = key else { panic!("a plan") };
    let mut lost = 0;
    let fence = loop {
        let request = world.request(std::slice::from_ref(key), world.owner());
        match store.locks().acquire(&request).await {
            Ok(leases) => break leases[0].fence,
            Err(LockError::Conflict(_)) => lost += 1,
            Err(error) => panic!("{error}"),
        }
    };
    let plan = store.plans().load(*id).await.expect("read").expect("there");
    let write = world.write(&plan, Change::Prompted { text: format!("by {who}") }, &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    store.locks().release(owner_of(&fence), &(key.clone(), token(&fence))).await.expect("released");
    lost
}

#[test]
fn a_crowd_on_one_plan_loses_no_commit_and_sees_no_raw_error() {
    let (world, store) = World::new();
    let (plan, fence) = runtime().block_on(world.held_plan(&store));
    let key = LockKey::Plan(plan.id);
    let free = store.locks();
    runtime().block_on(free.release_all_for_owner(owner_of(&fence))).expect("released");
    std::thread::scope(|scope| {
        for who in 0..WRITERS {
            let (world, key) = (&world, &key);
            scope.spawn(move || {
                let store = world.open();
                runtime().block_on(async {
                    for _ in 0..TURNS {
                        transition(world, &store, key, who).await;
                    }
                });
            });
        }
    });
    let plan = runtime().block_on(store.plans().load(plan.id)).expect("read").expect("there");
    assert_eq!(plan.version, 1 + WRITERS * TURNS);
    assert_eq!(plan.guidance.len() as u64, WRITERS * TURNS);
    sound(&store);
}

#[test]
fn a_crowd_on_plans_of_their_own_leaves_the_heartbeat_its_turn() {
    let (world, store) = World::new();
    let (plan, fence) = runtime().block_on(world.held_plan(&store));
    let terms = [(LockKey::Plan(plan.id), token(&fence))];
    let running = AtomicU64::new(WRITERS);
    std::thread::scope(|scope| {
        for _ in 0..WRITERS {
            let (world, running) = (&world, &running);
            scope.spawn(move || {
                let store = world.open();
                runtime().block_on(async {
                    for _ in 0..5 {
                        let (plan, fence) = world.held_plan(&store).await;
                        world.commit(&store, &plan, super::world::start(), &fence).await;
                    }
                });
                running.fetch_sub(1, Ordering::SeqCst);
            });
        }
        let heartbeat = store.heartbeat_locks();
        while running.load(Ordering::SeqCst) > 0 {
            let renewed = runtime().block_on(heartbeat.renew(owner_of(&fence), &terms, Ttl::default()));
            assert!(matches!(renewed.expect("in time")[0], Renewal::Extended { .. }));
        }
    });
    sound(&store);
}

/// A claim looks first, and then again in its turn: here at a file in which nothing is due.
#[tokio::test]
async fn what_was_due_when_it_was_looked_at_and_is_no_more_is_not_taken_up() {
    let ((world, seen), (_empty, store)) = (World::new(), World::new());
    let (plan, fence) = world.held_plan(&seen).await;
    let by = Asker { host: "box".into(), pid: 1, user: "ada".into() };
    let (version, at) = (plan.version, world.clock.now());
    let order =
        NewOrder { plan: plan.id, goal: Phase::Execute, allow_empty: false, again: None, version, by, at };
    seen.orders().place(&order).await.expect("placed");
    let claim = Claim {
        worker: world.owner(),
        now: at,
        since: at,
        dead: vec![owner_of(&fence)],
        projects: vec![],
        machine: "machine-1".into(),
    };
    let stale = SqliteOrders { reads: seen.orders().reads, ..store.orders() };
    assert_eq!(stale.claim(&claim).await, Ok(None));
    let taken = seen.orders().claim(&claim).await.expect("an answer").expect("it is due");
    assert_eq!(taken.wanted, order);
}
