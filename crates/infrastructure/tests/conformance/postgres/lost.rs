//! Grants and tickets whose reply is lost on the way, and who waits for them: nobody loses a place by it, and
//! nothing is held or waited for by nobody.

use std::sync::Arc;
use std::time::Duration;

use agents_application::lock_service::LockParts;
use agents_application::observer::Unobserved;
use agents_application::{LockGuard, LockService, Wait};
use agents_domain::id::{Ids as _, OwnerId};
use agents_domain::lock::{AcquireRequest, FencingToken, LockError, LockKey, Ticket};
use agents_domain::plan::StoreError;
use agents_domain::runner::NoChildren;
use agents_domain::time::{Clock as _, Ttl};
use agents_infrastructure::ids::CountingIds;
use agents_infrastructure::scripted::Census;
use agents_testing::proxy::{Direction, Fate};
use diesel::connection::SimpleConnection as _;
use rstest::rstest;
use tokio::task::JoinHandle;

use super::{SOON, by_proxy, by_proxy_with_database};
use crate::line::asking;
use crate::support::{Fixture, request, term};
use crate::values::{owner, project};

/// The one statement that grants.
const GRANT: &str = "owner_id = me.owner_id, boot_id";

fn service(store: &Fixture, ids: &Arc<CountingIds>, pid: u32) -> LockService {
    LockService::new(LockParts {
        port: Arc::clone(&store.locks),
        heartbeat: Arc::clone(&store.locks),
        line: Arc::clone(&store.line),
        pulse: Arc::clone(&store.pulse),
        requests: Arc::clone(&store.requests),
        children: Arc::new(NoChildren),
        owner: OwnerId::from(ids.ulid()),
        ttl: Ttl::default(),
        tick: Duration::from_hours(1),
        processes: Arc::new(Census::default().citizen(pid)),
        clock: store.clock.clone(),
        ids: ids.clone(),
    })
}

async fn in_line(store: &Fixture, key: &LockKey) -> usize {
    let view = store.line.look(std::slice::from_ref(key), None, None).await.expect("an answer");
    view.expect("a first look").line.len()
}

/// Joins the line, and is in it.
async fn joins(
    store: &Fixture,
    locks: &LockService,
    key: &LockKey,
) -> JoinHandle<Result<LockGuard, LockError>> {
    let (before, locks, keys) = (in_line(store, key).await, locks.clone(), vec![key.clone()]);
    let waiting = tokio::spawn(async move { locks.acquire(keys, "test", Wait::Forever, &Unobserved).await });
    while in_line(store, key).await == before {
        tokio::task::yield_now().await;
    }
    waiting
}

#[rstest]
#[tokio::test]
async fn whose_turn_it_is_does_not_lose_it_with_the_reply(#[values(Fate::Done, Fate::Lost)] fate: Fate) {
    let (store, proxy) = by_proxy();
    let [key] = store.projects([1]).await;
    let held = store.take_one(3, &key).await;
    let ids = Arc::new(CountingIds::default());
    let (ada, bob) = (service(&store, &ids, 1), service(&store, &ids, 2));
    let (first, second) = (joins(&store, &ada, &key).await, joins(&store, &bob, &key).await);
    let cut_at = proxy.cut_at(&[GRANT], fate);
    store.locks.release(owner(3), &term(&held)).await.expect("released");
    let guard = tokio::time::timeout(SOON, first).await.expect("soon").expect("no panic").expect("its turn");
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!(guard.fence().token().map(FencingToken::value), Some(2), "granted once");
    assert!(!second.is_finished() && in_line(&store, &key).await == 1, "the next one waits still");
    guard.release().await.expect("ours");
    let next = tokio::time::timeout(SOON, second).await.expect("soon").expect("no panic").expect("its turn");
    next.release().await.expect("ours");
}

#[rstest]
#[tokio::test]
async fn a_grant_past_the_dead_is_known_though_its_reply_is_lost(
    #[values(Fate::Done, Fate::Lost)] fate: Fate,
) {
    let (store, proxy) = by_proxy();
    let [a, b] = store.projects([1, 2]).await;
    let dead = store.line.take(&asking(2, &[&a])).await.expect("a ticket");
    let cut_at = proxy.cut_at(&["UPDATE \"locks\"", "COMMIT"], fate);
    let asked = AcquireRequest { dead_tickets: vec![dead], ..request(3, &[&a, &b]) };
    let leases = store.locks.acquire(&asked).await.expect("the dead are passed");
    cut_at.recv_timeout(SOON).expect("it was cut");
    let granted = leases.iter().map(|lease| (lease.reentrant, term(lease).1.value())).collect::<Vec<_>>();
    assert_eq!(granted, [(false, 1), (false, 1)], "granted once");
    assert_eq!((in_line(&store, &a).await, store.holder_of(&b).await), (0, Some(owner(3))));
}

#[rstest]
#[tokio::test]
async fn a_place_in_line_is_taken_once_though_the_reply_is_lost(
    #[values(Fate::Done, Fate::Lost)] fate: Fate,
) {
    let (store, proxy) = by_proxy();
    let [a, b] = store.projects([1, 2]).await;
    let earlier = store.line.take(&asking(1, &[&a])).await.expect("a ticket");
    let cut_at = proxy.cut_at(&["INSERT INTO tickets"], fate);
    let number = store.line.take(&asking(1, &[&b, &a, &b])).await.expect("a ticket");
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert!(number > earlier);
    assert_eq!((in_line(&store, &a).await, in_line(&store, &b).await), (2, 1), "once");
    let other = store.line.take(&asking(1, &[&b])).await.expect("a ticket");
    let same = store.line.take(&asking(1, &[&b])).await.expect("a ticket");
    assert!(number < other && other < same, "whoever joins again has a place of its own");
}

/// One that was told it has none would join again, behind all who came since.
#[rstest]
#[tokio::test]
async fn a_place_in_line_is_kept_though_the_reply_to_its_renewal_is_lost(
    #[values(Fate::Done, Fate::Lost)] fate: Fate,
) {
    let (store, proxy) = by_proxy();
    let [key] = store.projects([1]).await;
    let number = store.line.take(&asking(1, &[&key])).await.expect("a ticket");
    store.clock.advance(Ticket::LIFE);
    let cut_at = proxy.cut_at(&["UPDATE tickets"], fate);
    assert_eq!(store.line.renew(owner(1), number, Ticket::LIFE).await, Ok(true));
    cut_at.recv_timeout(SOON).expect("it was cut");
    store.clock.advance(Ticket::LIFE / 2);
    let view = store.line.look(std::slice::from_ref(&key), None, None).await.expect("an answer");
    let line = view.expect("a first look").line;
    assert_eq!(line.iter().map(|ticket| (ticket.number, ticket.over)).collect::<Vec<_>>(), [(number, false)]);
    assert_eq!(store.line.leave(owner(1), number).await, Ok(true), "it is there once");
}

#[tokio::test]
async fn what_a_try_may_have_done_is_unknown_though_the_next_is_refused() {
    let (store, proxy, database) = by_proxy_with_database();
    let once = "CREATE SEQUENCE tries; \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('tries') > 1 THEN RAISE EXCEPTION USING ERRCODE = '42501', MESSAGE = 'permission denied'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE INSERT ON projects FOR EACH ROW EXECUTE FUNCTION refuse();";
    database.connect().batch_execute(once).expect("refused from now on");
    let cut_at = proxy.cut_at(&["INSERT INTO \"projects\"", "COMMIT"], Fate::Lost);
    let added = store.projects.add(&project(1), store.clock.now()).await;
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert!(matches!(&added, Err(StoreError::Unknown { reason }) if reason.contains("denied")), "{added:?}");
}

#[test]
fn what_was_given_up_is_not_begun_anew_when_the_server_is_back() {
    let (store, proxy) = by_proxy();
    let mut time = tokio::runtime::Builder::new_current_thread();
    let runtime = time.enable_all().start_paused(true).build().expect("a runtime");
    let key = runtime.block_on(async {
        let [key] = store.projects([1]).await;
        proxy.hold_back(Direction::Both);
        let (locks, asked) = (Arc::clone(&store.locks), request(1, &[&key]));
        let asking = tokio::spawn(async move { locks.acquire(&asked).await });
        tokio::task::yield_now().await;
        tokio::time::advance(Duration::from_secs(101)).await;
        let refused = asking.await.expect("no panic");
        assert!(matches!(refused, Err(LockError::Unavailable { .. })), "{refused:?}");
        key
    });
    proxy.cut();
    proxy.heal();
    // Ends when the thread that was left behind has.
    drop(runtime);
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    assert_eq!(runtime.block_on(store.holder_of(&key)), None, "nobody would know of it");
}
