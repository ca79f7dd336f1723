//! What a server says that will be otherwise in a moment, in whatever language; and answers that are lost.

use std::time::Duration;

use agents_domain::catalogue::{Removal, StoredAction};
use agents_domain::lock::{Fence, FencingToken};
use agents_domain::orders::{Claim, PutBack};
use agents_domain::plan::{Change, CommitOutcome, Plan, StoreError};
use agents_domain::request::Closed;
use agents_domain::time::Clock as _;
use agents_infrastructure::postgres::PostgresStore;
use agents_testing::postgres::Database;
use agents_testing::proxy::{Fate, Proxy};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use rstest::rstest;

use super::{SOON, by_proxy, options, until_somebody_waits, with_database, with_database_pooled};
use crate::orders::{any, back, claim, now, of, ordered, place, wanted, write};
use crate::support::{Fixture, postgres_options};
use crate::values::{full_action, name, owner, project, prompt};
use crate::workers::worker;

/// From now on whoever writes a plan is refused so often, with that code and these words.
fn refuse(admin: &mut PgConnection, times: u32, code: &str, words: &str) {
    let trigger = format!(
        "CREATE SEQUENCE tries; \
         CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
         IF nextval('tries') <= {times} THEN RAISE EXCEPTION USING ERRCODE = '{code}', MESSAGE = '{words}'; END IF; \
         RETURN NEW; END $$; \
         CREATE TRIGGER refuse BEFORE UPDATE ON plans FOR EACH ROW EXECUTE FUNCTION refuse();"
    );
    admin.batch_execute(&trigger).expect("refused from now on");
}

async fn is_applied(store: &Fixture, plan: &Plan, fence: &Fence) {
    let write = prompt(plan, "smaller", store.clock.now());
    assert_eq!(store.plans.commit(&write, fence).await, Ok(CommitOutcome::Applied));
}

#[rstest]
#[case::a_standby_that_is_made_primary("25006", "cannot execute UPDATE in a read-only transaction")]
#[case::a_deadlock("40P01", "Verklemmung entdeckt")]
#[case::a_race("40001", "could not serialize access")]
#[case::a_statement_that_took_too_long("57014", "canceling statement due to statement timeout")]
#[case::the_same_in_german("57014", "storniere Anfrage wegen Zeitüberschreitung")]
#[tokio::test]
async fn what_passes_is_waited_out(#[case] code: &str, #[case] words: &str) {
    for (store, database) in [with_database(), with_database_pooled()] {
        let (plan, lease) = store.plan(1, 1).await;
        refuse(&mut database.connect(), 3, code, words);
        is_applied(&store, &plan, &lease.fence).await;
    }
}

#[tokio::test]
async fn what_is_refused_for_good_is_not_tried_for_long() {
    let (store, database) = with_database();
    let (plan, lease) = store.plan(1, 1).await;
    refuse(&mut database.connect(), 1_000, "42501", "permission denied for table plans");
    let write = prompt(&plan, "smaller", store.clock.now());
    let refused = store.plans.commit(&write, &lease.fence).await;
    assert!(
        matches!(&refused, Err(StoreError::Unavailable { reason }) if reason.contains("denied")),
        "{refused:?}"
    );
}

#[tokio::test]
async fn a_text_with_a_nul_is_said_to_be_the_trouble() {
    let (store, _) = with_database();
    let (plan, lease) = store.plan(1, 1).await;
    let write = prompt(&plan, "a\0b", store.clock.now());
    match store.plans.commit(&write, &lease.fence).await {
        Err(StoreError::Corrupt { reason, .. }) => assert!(reason.contains("NUL"), "{reason}"),
        other => panic!("written: {other:?}"),
    }
}

#[rstest]
#[tokio::test]
async fn a_write_that_nobody_repeats_is_repeated_until_it_is_known(
    #[values(Fate::Done, Fate::Lost)] fate: Fate,
) {
    let (store, proxy) = by_proxy();
    let cut = |words: &[&str]| proxy.cut_at(words, fate);

    let cut_at = cut(&["INSERT INTO \"projects\"", "COMMIT"]);
    assert_eq!(store.projects.add(&project(1), store.clock.now()).await, Ok(()));
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!(store.projects.list().await, Ok(vec![project(1)]));

    let cut_at = cut(&["DELETE FROM \"projects\"", "COMMIT"]);
    assert_eq!(store.projects.remove(&project(1).name).await, Ok(Removal::Removed));
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!(store.projects.remove(&project(1).name).await, Ok(Removal::Missing));

    let action =
        StoredAction { action: full_action(), source: "full".to_owned(), updated_at: store.clock.now() };
    let cut_at = cut(&["INSERT INTO \"actions\"", "COMMIT"]);
    assert_eq!(store.actions.put(&action).await, Ok(false), "there was none");
    cut_at.recv_timeout(SOON).expect("it was cut");
    let cut_at = cut(&["DELETE FROM \"actions\"", "COMMIT"]);
    assert_eq!(store.actions.remove(&action.action.name).await, Ok(Removal::Removed));
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!(store.actions.remove(&name("other")).await, Ok(Removal::Missing));
}

#[rstest]
#[tokio::test]
async fn a_grant_whose_reply_is_lost_is_asked_for_again(#[values(Fate::Done, Fate::Lost)] fate: Fate) {
    let (store, proxy) = by_proxy();
    let [key] = store.projects([1]).await;
    let cut_at = proxy.cut_at(&["UPDATE locks SET owner_id"], fate);
    let lease = store.take_one(3, &key).await;
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!(lease.fence.token().map(FencingToken::value), Some(1), "granted once");
}

#[tokio::test]
async fn who_waits_and_is_cut_off_looks_again() {
    let (store, proxy) = by_proxy();
    let [key] = store.projects([1]).await;
    let keys = [key];
    let first = store.line.look(&keys, None, None).await.expect("an answer").expect("a first look");
    assert_ne!(proxy.cut(), 0, "it was connected");
    let asking = store.line.look(&keys, None, Some(first.mark));
    let again = tokio::time::timeout(SOON, asking).await.expect("it does not hang").expect("an answer");
    assert!(again.is_some(), "what was said meanwhile nobody heard");
}

#[rstest]
#[case("obj_description", Fate::Lost)]
#[case("obj_description", Fate::Done)]
#[case("SET default_transaction_isolation", Fate::Lost)]
fn who_opens_a_database_tries_again_if_it_is_cut_off(#[case] words: &str, #[case] fate: Fate) {
    let database = Database::fresh();
    drop(PostgresStore::create(options(&database)).expect("made"));
    let proxy = Proxy::to(database.server());
    let cut_at = proxy.cut_at(&[words], fate);
    drop(PostgresStore::open(postgres_options(&database.url_by_way_of(proxy.address()))).expect("opened"));
    cut_at.recv_timeout(SOON).expect("it was cut");
}

#[rstest]
#[tokio::test]
async fn an_order_is_placed_and_ended_once(#[values(Fate::Done, Fate::Lost)] fate: Fate) {
    let (store, proxy) = by_proxy();
    let (plan, _) = store.plan(1, 1).await;
    let order = wanted(&store, &plan);
    let cut_at = proxy.cut_at(&["INSERT INTO \"orders\"", "COMMIT"], fate);
    let placed = place(&store, &order).await;
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!((placed.revision, &placed.wanted), (1, &order));
    let closed = Closed { at: now(&store), outcome: "met".into() };
    let cut_at = proxy.cut_at(&["UPDATE \"orders\"", "COMMIT"], fate);
    assert_eq!(store.orders.end(plan.id, 1, &closed).await, Ok(true));
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!(store.orders.end(plan.id, 1, &closed).await, Ok(false), "it had ended");
    let again = wanted(&store, &plan);
    assert_eq!(place(&store, &again).await.revision, 2);
}

#[tokio::test]
async fn of_two_who_register_a_name_at_once_the_second_is_told() {
    let (store, database) = with_database();
    let mut rival = database.connect();
    rival
        .batch_execute(
            "BEGIN; INSERT INTO projects (name, path, common_dir, branch, created_at) \
             VALUES ('team/project-1', '/theirs', '/theirs/.git', 'main', 0)",
        )
        .expect("about to be registered");
    let (projects, at) = (std::sync::Arc::clone(&store.projects), store.clock.now());
    let adding = tokio::spawn(async move { projects.add(&project(1), at).await });
    until_somebody_waits(&database, 1).await;
    rival.batch_execute("COMMIT").expect("registered");
    let refused = adding.await.expect("no panic");
    assert!(matches!(&refused, Err(StoreError::Taken { by, .. }) if by.contains("/theirs")), "{refused:?}");
}

/// It rests already, and is wanted now.
#[rstest]
#[tokio::test]
async fn an_order_that_is_placed_again_rests_no_more(#[values(Fate::Done, Fate::Lost)] fate: Fate) {
    let (store, proxy) = by_proxy();
    let (plan, _) = store.plan(1, 1).await;
    let order = wanted(&store, &plan);
    place(&store, &order).await;
    let worker = Claim { dead: vec![owner(1)], ..any(&store, 5) };
    claim(&store, &worker).await.expect("taken");
    let trouble = Some("no answer".to_owned());
    let back = PutBack { rest: Some(SOON), trouble, ..back(&store, plan.id, 5).await };
    store.orders.put_back(&back).await.expect("put back");
    let cut_at = proxy.cut_at(&["UPDATE \"orders\"", "COMMIT"], fate);
    let placed = place(&store, &order).await;
    cut_at.recv_timeout(SOON).expect("it was cut");
    assert_eq!((placed.revision, placed.not_before, placed.trouble.clone()), (1, None, None));
    assert_eq!(of(&store, plan.id).await, placed);
}

#[rstest]
#[case("UPDATE orders SET plan_version = 9", "its order is of a version that it has not come to")]
#[case("DROP TRIGGER orders_end_with_their_plan ON plans", "it is at its end, and its order is open")]
#[tokio::test]
async fn a_check_finds_an_order_that_cannot_be(#[case] damage: &str, #[case] words: &str) {
    let (store, database) = with_database();
    let plan = ordered(&store, 1).await;
    let check = || PostgresStore::open(options(&database)).expect("opened").check();
    assert_eq!(check().expect("checked").problems, Vec::<String>::new());
    database.connect().batch_execute(damage).expect("damaged");
    let cancel = Change::Cancelled { reason: None, keep_landed: false, work: vec![], given_up: None };
    write(&store, &plan, 2, cancel).await;
    let found = check().expect("checked").problems.join("\n");
    assert!(found.contains(plan.id.as_str()) && found.contains(words), "{words}\n---\n{found}");
}

/// Between the look at an order and its claim it was put back, to rest.
#[tokio::test]
async fn an_order_that_has_changed_since_it_was_due_is_not_taken() {
    let (store, database) = with_database();
    let plan = ordered(&store, 1).await;
    let rest = "CREATE OR REPLACE FUNCTION agents_now() RETURNS BIGINT LANGUAGE plpgsql VOLATILE AS $$ BEGIN \
                UPDATE orders SET not_before = 9000000000000; \
                RETURN current_setting('agents.now')::bigint; END $$";
    database.connect().batch_execute(rest).expect("it will rest as soon as it has been looked at");
    assert_eq!(claim(&store, &any(&store, 5)).await, None);
    assert_eq!(of(&store, plan.id).await.claim, None);
}

/// Whoever counts a worker out and the worker itself lock its row before those of its orders.
#[tokio::test]
async fn workers_and_those_who_count_them_out_do_not_wait_crosswise() {
    let (store, database) = with_database();
    ordered(&store, 1).await;
    let me = worker(&store, 5);
    store.workers.report(&me, &[]).await.expect("written");
    claim(&store, &any(&store, 5)).await.expect("taken");
    let seen = store.workers.list().await.expect("read").remove(0).worker;
    for leaves in [false, true] {
        let seen = seen.clone();
        let mut itself = database.connect();
        itself.batch_execute("BEGIN; SELECT FROM workers FOR UPDATE").expect("about to report");
        let (workers, at) = (std::sync::Arc::clone(&store.workers), now(&store));
        let other = tokio::spawn(async move {
            if leaves { workers.leave(owner(5)).await } else { workers.bury(&[seen], at).await }
        });
        until_somebody_waits(&database, 1).await;
        itself.batch_execute("SELECT FROM orders FOR UPDATE NOWAIT; COMMIT").expect("its orders are free");
        assert_eq!(other.await.expect("no panic"), Ok(()));
    }
}

/// Nothing waits for longer than it was told to, also where that is told in other words.
#[tokio::test]
async fn a_grant_is_not_waited_for_again_and_again() {
    let (store, database) = with_database();
    let [key] = store.projects([1]).await;
    let mut rival = database.connect();
    rival
        .batch_execute(
            "BEGIN; SET LOCAL idle_in_transaction_session_timeout = 0; SELECT FROM locks FOR UPDATE",
        )
        .expect("in the way");
    let asked = crate::support::request(1, &[&key]);
    let refused = tokio::time::timeout(Duration::from_secs(15), store.locks.acquire(&asked)).await;
    assert!(refused.expect("within its patience").is_err());
    rival.batch_execute("COMMIT").expect("out of the way");
}
