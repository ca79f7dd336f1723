//! Who waits for whom: writes, renewals, and whatever begins or ends a term.

use std::sync::Arc;
use std::time::Duration;

use agents_domain::lock::{Lease, LockError, LockKey, Release, Renewal};
use agents_domain::plan::{CommitOutcome, Plan, PlanWrite, StoreError};
use agents_domain::time::Clock as _;
use agents_testing::postgres::Database;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use tokio::task::JoinHandle;
use tokio::time::timeout;

use super::{SOON, fence, until_somebody_waits, with_database, with_database_pooled};
use crate::children::{child, spawn};
use crate::support::{Fixture, request, term, ttl};
use crate::values::{owner, plan_id, prompt};

/// Sooner than a write gives up that waits for another: what waits for the write would get through then.
const AT_ONCE: Duration = Duration::from_secs(5);

/// A write that is in the middle of it: its fences are locked, and it waits at the row of its plan, which
/// is in the other hand.
struct Midway {
    store: Fixture,
    plan: Plan,
    lease: Lease,
    write: JoinHandle<Result<CommitOutcome, StoreError>>,
    in_the_way: PgConnection,
    database: Arc<Database>,
}

impl Midway {
    /// One that is a statement, and one that is a transaction.
    async fn each() -> [Self; 2] {
        [Self::of(|_, write| write).await, Self::of(with_a_child).await]
    }

    async fn of(more: fn(&Plan, PlanWrite) -> PlanWrite) -> Self {
        let (store, database) = with_database();
        let (plan, lease) = store.plan(1, 1).await;
        let write = more(&plan, prompt(&plan, "slow", store.clock.now()));
        let mut in_the_way = database.connect();
        in_the_way.batch_execute("BEGIN; SELECT FROM plans FOR UPDATE").expect("in the way");
        let (plans, fence) = (Arc::clone(&store.plans), lease.fence);
        let write = tokio::spawn(async move { plans.commit(&write, &fence).await });
        until_somebody_waits(&database, 1).await;
        Self { store, plan, lease, write, in_the_way, database }
    }

    async fn end(mut self) -> Fixture {
        self.in_the_way.batch_execute("COMMIT").expect("out of the way");
        assert_eq!(self.write.await.expect("no panic"), Ok(CommitOutcome::Applied));
        self.store
    }
}

fn with_a_child(plan: &Plan, _: PlanWrite) -> PlanWrite {
    spawn(plan, &[child(2, "a")], plan.updated_at)
}

#[tokio::test]
async fn a_holder_renews_while_it_writes() {
    for midway in Midway::each().await {
        let terms = [term(&midway.lease)];
        let renewal = midway.store.locks.renew(owner(1), &terms, ttl(SOON));
        let renewed = timeout(AT_ONCE, renewal).await.expect("at once").expect("an answer");
        assert!(matches!(renewed[..], [Renewal::Extended { .. }]), "{renewed:?}");
        assert!(!midway.write.is_finished());
        midway.end().await;
    }
}

#[tokio::test]
async fn no_term_ends_or_begins_under_a_write() {
    type Ending = JoinHandle<()>;
    let ways: [fn(&Fixture, &Lease) -> Ending; 4] = [
        |store, lease| {
            let (locks, term) = (Arc::clone(&store.locks), term(lease));
            tokio::spawn(async move {
                assert_eq!(locks.release(owner(1), &term).await, Ok(Release::Released));
            })
        },
        |store, lease| {
            let (locks, term) = (Arc::clone(&store.locks), term(lease));
            tokio::spawn(async move {
                assert_eq!(locks.evict(&term, owner(2), "stuck").await, Ok(Release::Released));
            })
        },
        |store, _| {
            let locks = Arc::clone(&store.locks);
            tokio::spawn(async move { assert_eq!(locks.release_all_for_owner(owner(1)).await, Ok(1)) })
        },
        |store, lease| {
            let (locks, mut asked) = (Arc::clone(&store.locks), request(2, &[&lease.key]));
            asked.proven_dead = vec![term(lease)];
            tokio::spawn(async move {
                assert_eq!(locks.acquire(&asked).await.map(|leases| leases[0].fence), Ok(fence(2, 2)));
            })
        },
    ];
    for way in ways {
        for midway in Midway::each().await {
            let ending = way(&midway.store, &midway.lease);
            until_somebody_waits(&midway.database, 2).await;
            assert!(!ending.is_finished());
            let (plan, store) = (midway.plan.clone(), midway.end().await);
            ending.await.expect("it was done then");
            assert_ne!(store.stored(&plan).await, plan, "it was written before");
        }
    }
}

/// The statement begins, and waits for the first of its fences; meanwhile the second, which it has not come to
/// yet, is taken over, and nothing is in the way of it any more.
#[tokio::test]
async fn a_takeover_before_a_write_comes_to_its_fence_is_seen() {
    for renewed_before in [false, true] {
        for more in [|_: &Plan, write| write, with_a_child] {
            let (store, database) = with_database();
            let [key] = store.projects([1]).await;
            let (plan, lease) = store.plan(1, 1).await;
            let also = store.take_one(1, &key).await;
            let mut write = more(&plan, prompt(&plan, "too late", store.clock.now()));
            write.also = vec![(key.clone(), also.fence)];
            let mut in_the_way = database.connect();
            let first = "BEGIN; SELECT FROM locks WHERE resource_type = 'plan' FOR UPDATE";
            in_the_way.batch_execute(first).expect("in the way");
            let (plans, fence) = (Arc::clone(&store.plans), lease.fence);
            let late = tokio::spawn(async move { plans.commit(&write, &fence).await });
            until_somebody_waits(&database, 1).await;
            if renewed_before {
                store.locks.renew(owner(1), &[term(&also)], ttl(SOON)).await.expect("renewed");
            }
            let mut asked = request(2, &[&key]);
            asked.proven_dead = vec![term(&also)];
            store.locks.acquire(&asked).await.expect("taken over");
            in_the_way.batch_execute("COMMIT").expect("out of the way");
            assert_eq!(late.await.expect("no panic"), Ok(CommitOutcome::Stale), "{renewed_before}");
            assert_eq!(store.stored(&plan).await, plan, "nothing was written");
        }
    }
}

/// So a process that is frozen while it asks keeps no holder from anything.
#[tokio::test]
async fn whoever_is_refused_has_locked_nothing() {
    for (store, database) in [with_database(), with_database_pooled()] {
        let (plan, lease) = store.plan(1, 1).await;
        let key = LockKey::Plan(plan.id);
        let mut writer = database.connect();
        writer.batch_execute("BEGIN; SELECT FROM locks FOR KEY SHARE").expect("a fence is locked");
        let asked = request(2, &[&key]);
        let refused = timeout(AT_ONCE, store.locks.acquire(&asked)).await.expect("it waits for nobody");
        assert!(matches!(refused, Err(LockError::Conflict(_))), "{refused:?}");
        writer.batch_execute("COMMIT").expect("written");
        store.locks.release(owner(1), &term(&lease)).await.expect("released");
    }
}

/// What a commit sends grows with the number of children by pages only.
#[tokio::test]
async fn many_children_are_some_statements() {
    let (store, proxy) = super::by_proxy();
    let (plan, lease) = store.plan(1, 1).await;
    let children: Vec<_> = (2..1_500).map(|number| child(number, &format!("c{number}"))).collect();
    let write = spawn(&plan, &children, store.clock.now());
    let thrice =
        ["INSERT INTO \"events\"", "INSERT INTO \"plans\"", "INSERT INTO \"plans\"", "INSERT INTO \"plans\""];
    let cut = proxy.cut_at(&thrice, agents_testing::proxy::Fate::Lost);
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    assert!(cut.try_recv().is_err(), "a page holds a thousand");
    assert!(store.plans.load(plan_id(1_499)).await.expect("an answer").is_some());
    assert_eq!(store.plans.events(plan_id(1_499)).await.map(|log| log.len()), Ok(1));
}
