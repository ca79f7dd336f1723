//! What can go wrong between a store and its server, and only there: replies that are lost, connections
//! that are ended, others who are in the middle of something.

mod lost;
mod settings;
mod troubles;
mod waits;

use std::any::Any;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::lock::{Fence, FencingToken, LockKey};
use agents_domain::plan::{CommitOutcome, StoreError};
use agents_domain::time::Clock as _;
use agents_infrastructure::postgres::{OpenError, PostgresOptions, PostgresStore};
use agents_testing::postgres::Database;
use agents_testing::proxy::{Fate, Proxy};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::children::{child, spawn};
use crate::support::{Fixture, Unfenced, postgres_at, postgres_options, request, term};
use crate::values::{owner, prompt};

const SOON: Duration = Duration::from_secs(20);

/// A store that reaches its server by way of a proxy.
fn by_proxy() -> (Fixture, Arc<Proxy>) {
    let (store, proxy, _) = by_proxy_with_database();
    (store, proxy)
}

/// The same, and its database.
fn by_proxy_with_database() -> (Fixture, Arc<Proxy>, Arc<Database>) {
    let database = Arc::new(Database::fresh());
    let proxy = Arc::new(Proxy::to(database.server()));
    let url = database.url_by_way_of(proxy.address());
    let kept: Box<dyn Any> = Box::new((Arc::clone(&database), Arc::clone(&proxy)));
    (postgres_at(&url, Unfenced::Refused, |options| options, kept), proxy, database)
}

/// A store, and its database.
fn with_database() -> (Fixture, Arc<Database>) {
    with_database_as(|options| options)
}

/// The same as if a pooler in transaction mode stood in between.
fn with_database_pooled() -> (Fixture, Arc<Database>) {
    with_database_as(PostgresOptions::pooled)
}

fn with_database_as(more: fn(PostgresOptions) -> PostgresOptions) -> (Fixture, Arc<Database>) {
    let database = Arc::new(Database::fresh());
    let kept = Box::new(Arc::clone(&database));
    (postgres_at(&database.url(), Unfenced::Refused, more, kept), database)
}

/// Ends all connections of the database of `admin` but that one.
fn end_all(admin: &mut PgConnection) {
    let end_all = "SELECT pg_terminate_backend(pid, 10000) FROM pg_stat_activity \
                   WHERE datname = current_database() AND pid <> pg_backend_pid()";
    admin.batch_execute(end_all).expect("ended");
}

fn fence(who: u32, token: i64) -> Fence {
    Fence::Token { owner: owner(who), token: FencingToken::from_storage(token) }
}

/// Waits until so many connections of that database wait for locks of others.
///
/// # Panics
///
/// If they do not for [`SOON`].
async fn until_somebody_waits(database: &Database, many: u32) {
    let mut connection = database.connect();
    let watch = format!(
        "DO $$ DECLARE began TIMESTAMPTZ := clock_timestamp(); BEGIN \
         WHILE (SELECT count(*) FROM pg_stat_activity WHERE wait_event_type = 'Lock' \
           AND datname = current_database()) < {many} LOOP \
           ASSERT clock_timestamp() < began + INTERVAL '{} s', 'nobody waits'; \
           PERFORM pg_sleep(0.001), pg_stat_clear_snapshot(); \
         END LOOP; END $$",
        SOON.as_secs()
    );
    let watching = move || connection.batch_execute(&watch).expect("somebody waits");
    tokio::task::spawn_blocking(watching).await.expect("somebody waits");
}

#[tokio::test]
async fn a_commit_whose_reply_is_lost_is_unknown_and_its_repetition_tells() {
    for (fate, written) in [(Fate::Done, true), (Fate::Lost, false)] {
        let (store, proxy) = by_proxy();
        let (plan, lease) = store.plan(1, 1).await;
        let write = prompt(&plan, "smaller", store.clock.now());
        let cut = proxy.cut_at(&["UPDATE plans SET"], fate);
        let first = store.plans.commit(&write, &lease.fence).await;
        assert!(matches!(first, Err(StoreError::Unknown { .. })), "{first:?}");
        cut.recv_timeout(SOON).expect("it was cut");
        assert_eq!(store.stored(&plan).await == write.plan, written, "{fate:?}");
        assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
        assert_eq!(store.plans.events(plan.id).await.expect("a log").len(), 2, "once");
    }
}

/// So are those that are a transaction, because children come to be with them.
#[tokio::test]
async fn a_transaction_whose_commit_has_no_answer_is_unknown_and_its_repetition_tells() {
    for (fate, written) in [(Fate::Done, true), (Fate::Lost, false)] {
        let (store, proxy) = by_proxy();
        let (plan, lease) = store.plan(1, 1).await;
        let write = spawn(&plan, &[child(2, "a")], store.clock.now());
        let cut = proxy.cut_at(&["INSERT INTO \"plans\"", "COMMIT"], fate);
        let first = store.plans.commit(&write, &lease.fence).await;
        assert!(matches!(first, Err(StoreError::Unknown { .. })), "{first:?}");
        cut.recv_timeout(SOON).expect("it was cut");
        assert_eq!(store.stored(&plan).await == write.plan, written, "{fate:?}");
        assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
        assert_eq!(store.plans.events(plan.id).await.expect("a log").len(), 2, "once");
    }
}

#[tokio::test]
async fn what_is_cut_off_before_its_commit_is_begun_anew() {
    let (store, proxy) = by_proxy();
    let (plan, lease) = store.plan(1, 1).await;
    let write = spawn(&plan, &[child(2, "a")], store.clock.now());
    let cut = proxy.cut_at(&["INSERT INTO \"plans\""], Fate::Done);
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    cut.recv_timeout(SOON).expect("it was cut");
    assert_eq!(store.plans.events(plan.id).await.expect("a log").len(), 2, "once");
}

#[tokio::test]
async fn connections_that_the_server_has_ended_are_replaced() {
    let (store, database) = with_database();
    let (plan, lease) = store.plan(1, 1).await;
    let write = prompt(&plan, "smaller", store.clock.now());
    let mut admin = database.connect();
    end_all(&mut admin);
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    end_all(&mut admin);
    assert!(store.locks.release(owner(1), &term(&lease)).await.is_ok());
    end_all(&mut admin);
    assert_eq!(store.pulse.look(owner(1), &[]).await.map(|look| look.is_some()), Ok(true));
    assert_eq!(store.stored(&plan).await, write.plan);
}

/// The classic: whoever writes has looked at its fence, and before it writes another takes over.
#[tokio::test]
async fn a_takeover_in_the_middle_of_a_commit_is_seen_by_its_fence() {
    let (store, database) = with_database();
    let (plan, lease) = store.plan(1, 1).await;
    let write = prompt(&plan, "too late", store.clock.now());
    let mut rival = database.connect();
    // As every grant does; a mere UPDATE would not be at odds with a write.
    rival.batch_execute("BEGIN; SET LOCAL agents.now = '0'; SELECT FROM locks FOR UPDATE").expect("begun");
    let take_over = format!("UPDATE locks SET token = token + 1, owner_id = '{}'", owner(2));
    rival.batch_execute(&take_over).expect("taken over");
    let (plans, fence) = (Arc::clone(&store.plans), lease.fence);
    let late = tokio::spawn(async move { plans.commit(&write, &fence).await });
    until_somebody_waits(&database, 1).await;
    rival.batch_execute("COMMIT").expect("committed");
    assert_eq!(late.await.expect("no panic"), Ok(CommitOutcome::Stale));
    assert_eq!(store.stored(&plan).await, plan, "nothing was written");
}

/// The same the other way round: nobody takes over between the look and the write.
#[tokio::test]
async fn a_takeover_waits_for_a_write_that_has_begun() {
    let (store, database) = with_database();
    let (plan, lease) = store.plan(1, 1).await;
    let mut writer = database.connect();
    writer.batch_execute("BEGIN; SELECT FROM locks FOR KEY SHARE").expect("the fence is looked at");
    let mut asked = request(2, &[&LockKey::Plan(plan.id)]);
    asked.proven_dead = vec![term(&lease)];
    let locks = Arc::clone(&store.locks);
    let taking = tokio::spawn(async move { locks.acquire(&asked).await });
    until_somebody_waits(&database, 1).await;
    assert!(!taking.is_finished());
    writer.batch_execute("COMMIT").expect("committed");
    let leases = taking.await.expect("no panic").expect("granted");
    assert_eq!(leases[0].fence, fence(2, 2));
}

#[tokio::test]
async fn grants_and_releases_do_not_wait_for_the_disk_and_plans_do() {
    let (store, database) = with_database();
    let [key] = store.projects([1]).await;
    let mut admin = database.connect();
    // A table that notes how each transaction that changes a lock or a plan will commit.
    admin
        .batch_execute(
            "CREATE TABLE noted (what TEXT, waits TEXT); \
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO noted VALUES (TG_TABLE_NAME, current_setting('synchronous_commit')); RETURN NULL; END $$; \
             CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON locks DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION note(); \
             CREATE CONSTRAINT TRIGGER note AFTER UPDATE ON plans DEFERRABLE INITIALLY DEFERRED \
             FOR EACH ROW EXECUTE FUNCTION note();",
        )
        .expect("noted from now on");
    let lease = store.take_one(1, &key).await;
    store.locks.release(owner(1), &term(&lease)).await.expect("released");
    assert_eq!(noted(&mut admin), ["locks off", "locks off"]);
    let (plan, lease) = store.plan(1, 1).await;
    let write = prompt(&plan, "smaller", store.clock.now());
    assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
    store.locks.renew(owner(1), &[term(&lease)], crate::support::ttl(SOON)).await.expect("renewed");
    assert_eq!(noted(&mut admin), ["plans on", "locks on"]);
}

/// What was noted since the last time.
fn noted(admin: &mut PgConnection) -> Vec<String> {
    diesel::table! {
        noted (what) { what -> Text, waits -> Text, }
    }
    let rows: Vec<(String, String)> = noted::table.load(admin).expect("the notes");
    diesel::delete(noted::table).execute(admin).expect("forgotten");
    rows.into_iter().map(|(what, waits)| format!("{what} {waits}")).collect()
}

fn options(database: &Database) -> PostgresOptions {
    postgres_options(&database.url())
}

#[test]
fn tables_are_made_only_where_there_is_nothing_unless_one_asks_for_it() {
    let database = Database::fresh();
    let opened = PostgresStore::open(options(&database)).err();
    assert!(matches!(opened, Some(OpenError::NotInitialised { .. })), "{opened:?}");
    database.connect().batch_execute("CREATE TABLE meta (theirs TEXT)").expect("a table of others");
    for refused in [PostgresStore::open(options(&database)), PostgresStore::create(options(&database))] {
        let refused = refused.err();
        assert!(matches!(refused, Some(OpenError::ForeignDatabase { .. })), "{refused:?}");
    }
    let in_the_way = PostgresStore::migrate(&options(&database)).expect_err("their table has our name");
    assert!(matches!(in_the_way, OpenError::Unavailable { .. }), "{in_the_way}");
    database.connect().batch_execute("ALTER TABLE meta RENAME TO theirs").expect("out of the way");
    assert!(!PostgresStore::migrate(&options(&database)).expect("beside it").pending);
    assert!(PostgresStore::open(options(&database)).is_ok());
}

#[test]
fn several_who_make_the_tables_at_once_make_them_once() {
    let database = Database::fresh();
    std::thread::scope(|scope| {
        let makers: Vec<_> =
            (0..6).map(|_| scope.spawn(|| PostgresStore::create(options(&database)).map(drop))).collect();
        for maker in makers {
            maker.join().expect("no panic").expect("made, by somebody");
        }
    });
}

#[test]
fn a_schema_of_another_version_is_refused() {
    let database = Database::fresh();
    PostgresStore::create(options(&database)).expect("made");
    let mut admin = database.connect();
    for (version, newer) in [("99", true), ("odd", true), ("1", false)] {
        let set = format!("UPDATE meta SET value = '{version}' WHERE key = 'schema_version'");
        admin.batch_execute(&set).expect("set");
        let refused = PostgresStore::open(options(&database)).err();
        let expected = match &refused {
            Some(OpenError::NewerSchema { .. }) => newer,
            Some(OpenError::MigrationPending { .. }) => !newer,
            _ => false,
        };
        assert!(expected, "{version}: {refused:?}");
    }
}

#[tokio::test]
async fn waiting_for_others_is_bounded_and_writes_nothing() {
    let brief = |options| PostgresOptions { patience: Duration::from_millis(200), connections: 1, ..options };
    let (store, database) = with_database_as(brief);
    let (plan, lease) = store.plan(1, 1).await;
    let mut rival = database.connect();
    rival.batch_execute("BEGIN; SELECT FROM locks FOR UPDATE").expect("in the way");
    // One waits for the rival, the others for its connection.
    let write = |n: u32| {
        let (plans, fence) = (Arc::clone(&store.plans), lease.fence);
        let write = prompt(&plan, &n.to_string(), store.clock.now());
        tokio::spawn(async move { plans.commit(&write, &fence).await })
    };
    for write in [1, 2, 3].map(write) {
        let Err(StoreError::Unavailable { reason }) = write.await.expect("no panic") else {
            panic!("written")
        };
        assert!(
            reason.contains("statement timeout") || reason.contains("connections of this process"),
            "{reason}"
        );
    }
    rival.batch_execute("COMMIT").expect("out of the way");
    assert_eq!(store.stored(&plan).await, plan);
}
