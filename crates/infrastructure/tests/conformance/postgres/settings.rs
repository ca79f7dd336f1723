//! What roles, databases, and others behind the same pooler have set does not matter.

use std::sync::Arc;

use agents_domain::lock::{Line as _, LockError};
use agents_domain::plan::CommitOutcome;
use agents_domain::time::Clock as _;
use agents_infrastructure::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use agents_testing::postgres::Database;
use diesel::connection::SimpleConnection as _;

use super::{end_all, options, with_database, with_database_pooled};
use crate::support::{request, term};
use crate::values::{owner, prompt};

/// Sets something for all connections of a database that are yet to be made, and ends those there are.
fn set_for_all(database: &Database, settings: &[&str]) {
    let mut admin = database.connect();
    for setting in settings {
        admin.batch_execute(&format!("ALTER DATABASE {} SET {setting}", database.name())).expect("set");
    }
    end_all(&mut admin);
}

#[tokio::test]
async fn a_database_that_reads_only_and_serializably_by_default_is_written_as_ever() {
    for (store, database) in [with_database(), with_database_pooled()] {
        let (plan, lease) = store.plan(1, 1).await;
        let note = "CREATE TABLE noted (isolation TEXT); \
             CREATE FUNCTION note() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN \
             INSERT INTO noted VALUES (current_setting('transaction_isolation')); RETURN NEW; END $$; \
             CREATE TRIGGER note BEFORE UPDATE ON locks FOR EACH ROW EXECUTE FUNCTION note(); \
             CREATE TRIGGER note BEFORE UPDATE ON plans FOR EACH ROW EXECUTE FUNCTION note();";
        database.connect().batch_execute(note).expect("noted from now on");
        set_for_all(
            &database,
            &["default_transaction_read_only = on", "default_transaction_isolation = 'serializable'"],
        );
        let write = prompt(&plan, "smaller", store.clock.now());
        assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
        store.locks.release(owner(1), &term(&lease)).await.expect("released");
        store.locks.acquire(&request(2, &[&lease.key])).await.expect("granted");
        let odd = "DO $$ BEGIN ASSERT (SELECT count(*) = 3 AND bool_and(isolation = 'read committed') FROM noted); END $$";
        database.connect().batch_execute(odd).expect("all of them saw what was committed");
    }
}

#[tokio::test]
async fn names_mean_what_they_meant_when_the_database_was_opened() {
    for (store, database) in [with_database(), with_database_pooled()] {
        let (plan, lease) = store.plan(1, 1).await;
        let theirs = "CREATE SCHEMA theirs; CREATE TABLE theirs.locks (LIKE locks); CREATE TABLE theirs.plans (LIKE plans)";
        database.connect().batch_execute(theirs).expect("tables of the same names");
        set_for_all(&database, &["search_path = theirs, public"]);
        let write = prompt(&plan, "smaller", store.clock.now());
        assert_eq!(store.plans.commit(&write, &lease.fence).await, Ok(CommitOutcome::Applied));
        assert_eq!(store.stored(&plan).await, write.plan);
    }
}

#[tokio::test]
async fn a_way_past_the_pooler_to_another_database_is_refused() {
    let (database, other) = (Database::fresh(), Database::fresh());
    let key = agents_domain::lock::LockKey::Project(crate::values::project(1).name);
    for (direct, same) in [(&database, true), (&other, false)] {
        let url = PostgresUrl::parse(&direct.url()).expect("a URL");
        let options = PostgresOptions { direct_url: Some(url), ..options(&database) };
        PostgresStore::create(options.clone()).expect("made");
        let store = Arc::new(PostgresStore::open(options.clone()).expect("ours"));
        let looked = store.line().look(std::slice::from_ref(&key), None, None).await;
        match looked {
            Err(LockError::NoSuchLock { .. }) => assert!(same),
            Err(LockError::Unavailable { reason }) => {
                assert!(!same && reason.contains("database_direct_url"), "{reason}");
            }
            other => panic!("looked at what is not there: {other:?}"),
        }
        assert_eq!(PostgresStore::address(&options).is_ok(), same);
    }
}
