//! The lock port on SQLite, and step by step against the pure record.

use std::collections::BTreeMap;
use std::time::Duration;

use agents_domain::catalogue::ProjectStore as _;
use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, FencingToken, LockError, LockFilter, LockKey, LockPort as _, LockRecord, Release,
    Renewal, Respect,
};
use agents_domain::time::{Clock as _, Timestamp, Ttl};
use proptest::prelude::*;

use super::world::{World, holder, name, owner_of, project, token};
use crate::sqlite::{SqliteOptions, SqliteStore};

async fn projects(store: &SqliteStore, names: &[&str]) -> Vec<LockKey> {
    for name in names {
        store.projects().add(&project(name), Timestamp::from_millis(0)).await.expect("added");
    }
    names.iter().map(|text| LockKey::Project(name(text))).collect()
}

#[tokio::test]
async fn all_keys_or_none_in_the_order_of_keys() {
    let (world, store) = World::new();
    let keys = projects(&store, &["b", "a", "c"]).await;
    let (a, b) = (world.owner(), world.owner());
    let request = world.request(&[keys[0].clone(), keys[1].clone(), keys[0].clone()], a);
    let leases = store.locks().acquire(&request).await.expect("free");
    let granted: Vec<_> = leases.iter().map(|lease| lease.key.clone()).collect();
    assert_eq!(granted, [keys[1].clone(), keys[0].clone()]);
    let refused = store.locks().acquire(&world.request(&[keys[2].clone(), keys[0].clone()], b)).await;
    let Err(LockError::Conflict(conflict)) = refused else { panic!("{refused:?}") };
    assert_eq!((conflict.0.owner, &conflict.0.key), (a, &keys[0]));
    assert_eq!(conflict.0.holder, holder("plan execute"));
    assert!(store.locks().acquire(&world.request(&keys[2..], b)).await.is_ok(), "nothing was taken");
}

#[tokio::test]
async fn a_lock_without_plan_or_project_does_not_exist() {
    let (world, store) = World::new();
    let key = LockKey::Project(name("none"));
    let owner = world.owner();
    let refused = store.locks().acquire(&world.request(std::slice::from_ref(&key), owner)).await;
    assert_eq!(refused, Err(LockError::NoSuchLock { key: key.clone() }));
    let term = (key, FencingToken::from_storage(1));
    let renewed = store.locks().renew(owner, std::slice::from_ref(&term), Ttl::default()).await;
    assert_eq!(renewed, Ok(vec![Renewal::Expired]));
    assert_eq!(store.locks().release(owner, &term).await, Ok(Release::NotHeld));
}

#[tokio::test]
async fn the_same_owner_keeps_its_token_its_start_and_the_later_end() {
    let (world, store) = World::new();
    let keys = projects(&store, &["a"]).await;
    let owner = world.owner();
    let first = store.locks().acquire(&world.request(&keys, owner)).await.expect("free").remove(0);
    world.clock.advance(Duration::from_secs(1));
    let short = AcquireRequest {
        ttl: Ttl::new(Ttl::MIN).expect("valid"),
        holder: holder("inner"),
        ..world.request(&keys, owner)
    };
    let inner = store.locks().acquire(&short).await.expect("own").remove(0);
    assert!(inner.reentrant && !first.reentrant);
    assert_eq!(
        (inner.fence, inner.acquired_at, inner.expires_at),
        (first.fence, first.acquired_at, first.expires_at)
    );
    let longer = store.locks().acquire(&world.request(&keys, owner)).await.expect("own").remove(0);
    assert_eq!(longer.expires_at, world.clock.now().plus(Ttl::default().as_duration()));
    let listed = store.locks().list(&LockFilter::default()).await.expect("listed");
    assert_eq!(
        (listed[0].holder.operation.as_str(), listed[0].expires_at),
        ("plan execute", longer.expires_at)
    );
}

#[tokio::test]
async fn many_terms_are_renewed_at_once_and_each_says_what_became_of_it() {
    let (world, store) = World::new();
    let keys = projects(&store, &["a", "b", "c", "d"]).await;
    let owner = world.owner();
    let leases = store.locks().acquire(&world.request(&keys, owner)).await.expect("free");
    let terms: Vec<_> = leases.iter().map(|lease| (lease.key.clone(), token(&lease.fence))).collect();
    world.clock.advance(Duration::from_secs(500));
    let rival = world.take(&world.open(), &keys[1]).await;
    store.locks().release(owner, &terms[2]).await.expect("released");
    for locks in [store.locks(), store.heartbeat_locks()] {
        let renewed = locks.renew(owner, &terms, Ttl::default()).await.expect("answers");
        let expires_at = world.clock.now().plus(Ttl::default().as_duration());
        let extended = Renewal::Extended { expires_at };
        let lost = Renewal::Lost { by: owner_of(&rival) };
        assert_eq!(renewed, [extended.clone(), lost, Renewal::Expired, extended]);
    }
    let short = store.locks().renew(owner, &terms[..1], Ttl::new(Ttl::MIN).expect("valid")).await;
    let kept = world.clock.now().plus(Ttl::default().as_duration());
    assert_eq!(short, Ok(vec![Renewal::Extended { expires_at: kept }]), "never shortened");
}

#[tokio::test]
async fn an_earlier_term_of_the_same_owner_is_lost_to_its_later_one() {
    let (world, store) = World::new();
    let keys = projects(&store, &["a"]).await;
    let request = world.request(&keys, world.owner());
    let mut terms = Vec::new();
    for _ in 0..2 {
        let lease = store.locks().acquire(&request).await.expect("free").remove(0);
        terms.push((keys[0].clone(), token(&lease.fence)));
        if terms.len() == 1 {
            store.locks().evict(&terms[0], request.owner, "test").await.expect("evicted");
        }
    }
    let renewed = store.locks().renew(request.owner, &terms, Ttl::default()).await.expect("answers");
    assert_eq!(renewed[0], Renewal::Lost { by: request.owner });
    assert!(matches!(renewed[1], Renewal::Extended { .. }));
}

#[test]
fn the_heartbeat_needs_no_runtime() {
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let (world, store) = World::new();
    let keys = runtime.block_on(projects(&store, &["a"]));
    drop(runtime);
    let locks = store.heartbeat_locks();
    let request = world.request(&keys, world.owner());
    let mut acquire = locks.acquire(&request);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    assert!(acquire.as_mut().poll(&mut context).is_ready());
}

#[tokio::test]
async fn stale_is_now_at_the_end_and_another_boot_is_stale_at_once() {
    let (world, store) = World::new();
    let keys = projects(&store, &["a", "b"]).await;
    let fence = world.take(&store, &keys[0]).await;
    let stale = LockFilter { stale_only: true, ..LockFilter::default() };
    world.clock.advance(Duration::from_millis(299_999));
    assert_eq!(store.locks().list(&stale).await, Ok(vec![]));
    let rebooted = SqliteOptions { boot_id: "boot-2".into(), ..world.options() };
    let rebooted = SqliteStore::open(rebooted).expect("opens");
    assert_eq!(rebooted.locks().list(&stale).await.expect("listed").len(), 1);
    world.clock.advance(Duration::from_millis(1));
    let listed = store.locks().list(&stale).await.expect("listed");
    assert_eq!((listed.len(), &listed[0].key, listed[0].stale), (1, &keys[0], true));
    let only = LockFilter { key: Some(keys[1].clone()), stale_only: false };
    assert_eq!(store.locks().list(&only).await, Ok(vec![]));
    let taken = world.take(&rebooted, &keys[0]).await;
    assert_eq!(token(&taken).value(), token(&fence).value() + 1);
}

#[tokio::test]
async fn a_proof_of_death_counts_only_at_its_token() {
    let (world, store) = World::new();
    let keys = projects(&store, &["a"]).await;
    let fence = world.take(&store, &keys[0]).await;
    let with_proof = |value| AcquireRequest {
        proven_dead: vec![(keys[0].clone(), FencingToken::from_storage(value))],
        ..world.request(&keys, world.owner())
    };
    let old = with_proof(token(&fence).value() - 1);
    assert!(matches!(store.locks().acquire(&old).await, Err(LockError::Conflict(_))));
    assert!(store.locks().acquire(&with_proof(token(&fence).value())).await.is_ok());
}

#[tokio::test]
async fn ending_what_one_does_not_hold_harms_nobody() {
    let (world, store) = World::new();
    let keys = projects(&store, &["a", "b"]).await;
    let owner = world.owner();
    let leases = store.locks().acquire(&world.request(&keys, owner)).await.expect("free");
    let term = (keys[0].clone(), token(&leases[0].fence));
    let later = (keys[0].clone(), FencingToken::from_storage(9));
    let locks = store.locks();
    assert_eq!(locks.release(world.owner(), &term).await, Ok(Release::NotHeld));
    assert_eq!(locks.evict(&later, owner, "no").await, Ok(Release::NotHeld));
    assert_eq!(locks.evict(&term, owner, "yes").await, Ok(Release::Released));
    assert_eq!(locks.evict(&term, owner, "again").await, Ok(Release::NotHeld));
    assert_eq!(locks.release_all_for_owner(owner).await, Ok(1));
    assert_eq!(locks.release_all_for_owner(owner).await, Ok(0));
    assert_eq!(locks.list(&LockFilter::default()).await, Ok(vec![]));
}

#[tokio::test]
async fn a_thousand_terms_are_one_statement() {
    let (world, store) = World::new();
    let names: Vec<String> = (0..1_000).map(|n| format!("p{n}")).collect();
    let rows: Vec<String> = names.iter().map(|n| format!("('project', 'local/{n}', 0)")).collect();
    let sql = format!("INSERT INTO locks (resource_type, resource_id, token) VALUES {}", rows.join(","));
    world.sql(&sql).expect("rows");
    let keys: Vec<_> = names.iter().map(|text| LockKey::Project(name(text))).collect();
    let owner = world.owner();
    let leases = store.locks().acquire(&world.request(&keys, owner)).await.expect("free");
    let terms: Vec<_> = leases.iter().map(|lease| (lease.key.clone(), token(&lease.fence))).collect();
    let renewed = store.locks().renew(owner, &terms, Ttl::default()).await.expect("answers");
    assert!(renewed.iter().all(|renewal| matches!(renewal, Renewal::Extended { .. })));
    assert_eq!(store.locks().release_all_for_owner(owner).await, Ok(1_000));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn sqlite_decides_as_the_pure_record_does(
        steps in proptest::collection::vec((0u8..3, 0usize..2, 0u8..5, 0u64..8_000), 1..40)
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let (world, store) = World::new();
            let keys = projects(&store, &["a", "b"]).await;
            let owners: Vec<OwnerId> = (0..3).map(|_| world.owner()).collect();
            let mut records: BTreeMap<usize, LockRecord> = [(0, LockRecord::new()), (1, LockRecord::new())].into();
            let ttl = Ttl::new(Ttl::MIN).expect("valid");
            for (who, which, what, pause) in steps {
                world.clock.advance(Duration::from_millis(pause));
                let (owner, key, now) = (owners[usize::from(who)], &keys[which], world.clock.boottime());
                let record = records[&which];
                let term = (key.clone(), record.token());
                let locks = store.locks();
                let after = match what {
                    0 => {
                        let released = locks.release(owner, &term).await.expect("answers") == Release::Released;
                        let after = record.release(owner, record.token());
                        assert_eq!(released, after.is_some());
                        after
                    }
                    1 => {
                        let renewed = locks.renew(owner, &[term], ttl).await.expect("answers");
                        let after = record.renew(owner, record.token(), now, ttl.as_duration());
                        assert_eq!(matches!(renewed[0], Renewal::Extended { .. }), after.is_some());
                        after
                    }
                    2 => {
                        let evicted = locks.evict(&term, owner, "test").await.expect("answers");
                        let after = record.evict(record.token());
                        assert_eq!(evicted == Release::Released, after.is_some());
                        after
                    }
                    _ => {
                        let request = AcquireRequest { ttl, ..world.request(std::slice::from_ref(key), owner) };
                        let granted = locks.acquire(&request).await;
                        let expected = record.acquire(owner, now, ttl.as_duration(), Respect::UntilItsEnd);
                        assert_eq!(granted.is_ok(), expected.is_ok());
                        if let (Ok(leases), Ok(grant)) = (granted, &expected) {
                            assert_eq!(leases[0].fence.token(), Some(grant.token));
                            assert_eq!(leases[0].reentrant, grant.reentrant);
                        }
                        expected.ok().map(|grant| grant.record)
                    }
                };
                records.insert(which, after.unwrap_or(record));
                let held = store.locks().list(&LockFilter { key: Some(key.clone()), stale_only: false }).await;
                let held = held.expect("listed").pop();
                assert_eq!(held.as_ref().map(|lock| lock.owner), records[&which].tenure().map(|t| t.owner));
                assert_eq!(held.is_some_and(|lock| lock.stale), records[&which].is_stale(now));
            }
        });
    }
}
