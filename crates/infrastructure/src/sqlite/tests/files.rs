//! Database files: which are opened, which are refused and why, and what happens to them in use.

use std::fs;
use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;
use std::time::Duration;

use agents_domain::catalogue::ProjectStore as _;
use agents_domain::id::PlanId;
use agents_domain::lock::{LockError, LockFilter, LockKey, LockPort as _};
use agents_domain::plan::{PlanStore as _, StoreError};
use agents_domain::time::Timestamp;
use agents_domain::workspace::{Machine, Project};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::world::{World, project, sound, token};
use crate::sqlite::{Adoption, OpenError, SqliteOptions, SqliteStore, status};
use crate::store::SCHEMA_VERSION;

fn refusal(options: SqliteOptions) -> OpenError {
    SqliteStore::open(options).err().expect("refused")
}

fn mode(path: &Path) -> u32 {
    path.metadata().expect("there").permissions().mode() & 0o777
}

#[test]
fn a_new_database_and_its_directory_are_their_owners_alone() {
    let world = World::empty();
    let path = world.dir.path().join("state/agents/agents.db");
    let options = || SqliteOptions { path: path.clone(), ..world.options() };
    assert!(matches!(refusal(options()), OpenError::NotInitialised { .. }));
    let store = SqliteStore::create(options()).expect("made");
    assert_eq!(store.path(), path);
    for private in [path.clone(), path.with_extension("db-wal"), path.with_extension("db-shm")] {
        assert_eq!(mode(&private), 0o600, "{}", private.display());
    }
    assert_eq!(mode(path.parent().expect("has one")), 0o700);
    let status = status(&path).expect("described");
    assert_eq!(
        (status.schema_version, status.known_version, status.pending),
        (SCHEMA_VERSION, SCHEMA_VERSION, false)
    );
    assert_eq!((status.journal_mode.as_str(), status.machine.as_deref()), ("wal", Some("machine-1")));
    assert!(status.size > 0 && status.path == path);
}

#[test]
fn creating_twice_and_at_once_makes_one_database() {
    let world = World::empty();
    std::thread::scope(|scope| {
        for _ in 0..4 {
            scope.spawn(|| SqliteStore::create(world.options()).expect("made"));
        }
    });
    sound(&world.open());
    let status = SqliteStore::migrate(&world.options()).expect("nothing to do");
    assert!(!status.pending);
}

#[test]
fn what_is_no_database_of_ours_is_refused_and_left_alone() {
    let world = World::empty();
    assert!(matches!(refusal(world.options()), OpenError::NotInitialised { .. }));
    fs::write(world.path(), "").expect("written");
    assert!(matches!(refusal(world.options()), OpenError::NotInitialised { .. }));
    assert!(matches!(status(&world.path()), Err(OpenError::NotInitialised { .. })));
    assert!(matches!(SqliteStore::migrate(&world.options()), Err(OpenError::NotInitialised { .. })));
    let text = "certainly not a database, but long enough to be one: ".repeat(50);
    fs::write(world.path(), &text).expect("written");
    assert!(matches!(refusal(world.options()), OpenError::NotADatabase { .. }));
    let made = SqliteStore::create(world.options()).err();
    assert!(matches!(made, Some(OpenError::NotADatabase { .. })), "{made:?}");
    assert_eq!(fs::read_to_string(world.path()).expect("read"), text);
    fs::remove_file(world.path()).expect("removed");
    fs::create_dir(world.path()).expect("made");
    assert!(matches!(refusal(world.options()), OpenError::NotADatabase { .. }));
    fs::remove_dir(world.path()).expect("removed");
    world.sql("CREATE TABLE theirs (x); INSERT INTO theirs VALUES (1)").expect("made");
    for error in [
        refusal(world.options()),
        SqliteStore::create(world.options()).err().expect("refused"),
        SqliteStore::adopt(&world.options()).expect_err("refused"),
        status(&world.path()).expect_err("refused"),
    ] {
        assert!(matches!(error, OpenError::ForeignDatabase { .. }), "{error:?}");
    }
}

#[test]
fn an_empty_file_becomes_a_database_if_asked() {
    let world = World::empty();
    fs::write(world.path(), "").expect("written");
    sound(&SqliteStore::create(world.options()).expect("made"));
}

#[test]
fn other_schemas_name_both_versions() {
    let (world, store) = World::new();
    drop(store);
    world.sql("PRAGMA user_version = 99").expect("written");
    let newer = OpenError::NewerSchema { found: 99, known: SCHEMA_VERSION };
    assert_eq!(refusal(world.options()), newer);
    assert_eq!(SqliteStore::migrate(&world.options()), Err(newer.clone()));
    assert_eq!(SqliteStore::create(world.options()).err(), Some(newer));
    assert!(!status(&world.path()).expect("described").pending);
}

#[test]
fn a_creation_that_was_cut_short_is_known_as_ours_and_finished() {
    let world = World::empty();
    world.sql(&format!("PRAGMA application_id = {}", crate::sqlite::APPLICATION_ID)).expect("marked");
    assert_eq!(refusal(world.options()), OpenError::MigrationPending { found: 0, known: SCHEMA_VERSION });
    assert!(status(&world.path()).expect("described").pending);
    assert!(!SqliteStore::migrate(&world.options()).expect("finished").pending);
    world.sql("PRAGMA journal_mode = DELETE").expect("changed by a tool");
    assert!(matches!(refusal(world.options()), OpenError::MigrationPending { .. }));
    assert_eq!(SqliteStore::migrate(&world.options()).expect("mended").journal_mode, "wal");
    world.sql("DELETE FROM meta").expect("the machine was not written yet");
    assert!(matches!(refusal(world.options()), OpenError::MigrationPending { .. }));
    sound(&SqliteStore::create(world.options()).expect("finished"));
}

#[tokio::test]
async fn a_file_of_another_machine_is_refused_until_adopted_and_keeps_its_tokens() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    drop(store);
    let elsewhere = SqliteOptions { machine: "machine-2".into(), ..world.options() };
    let refused = OpenError::OtherMachine { found: "machine-1".into() };
    assert_eq!(refusal(elsewhere.clone()), refused);
    assert_eq!(SqliteStore::create(elsewhere.clone()).err(), Some(refused));
    let adopted = Adoption { from: Some("machine-1".into()), cleared: 1 };
    assert_eq!(SqliteStore::adopt(&elsewhere), Ok(adopted));
    let again = Adoption { from: Some("machine-2".into()), cleared: 0 };
    assert_eq!(SqliteStore::adopt(&elsewhere), Ok(again));
    let store = SqliteStore::open(elsewhere).expect("ours now");
    assert_eq!(store.locks().list(&LockFilter::default()).await, Ok(vec![]));
    let taken = world.take(&store, &LockKey::Plan(plan.id)).await;
    assert_eq!(token(&taken).value(), token(&fence).value() + 1);
    sound(&store);
}

#[tokio::test]
async fn projects_of_the_machine_that_a_file_comes_from_are_at_home_where_it_is_adopted() {
    let (world, store) = World::new();
    let on = |id: &str| Some(Machine { id: id.into(), host: "box".into() });
    for (name, machine) in [("api", on("machine-1")), ("web", on("builder-1"))] {
        let project = Project { machine, ..project(name) };
        store.projects().add(&project, Timestamp::default()).await.expect("added");
    }
    drop(store);
    let elsewhere = SqliteOptions { machine: "machine-2".into(), ..world.options() };
    SqliteStore::adopt(&elsewhere).expect("adopted");
    let store = SqliteStore::open(elsewhere).expect("ours now");
    let machines: Vec<_> =
        store.projects().list().await.expect("read").into_iter().map(|project| project.machine).collect();
    assert_eq!(machines, [on("machine-2"), on("builder-1")], "a name that was given stays");
    sound(&store);
}

/// Root may write anything, so the thread gives up its rights first.
#[test]
fn a_file_that_may_not_be_written_is_read_only() {
    let (world, store) = World::new();
    drop(store);
    let open_all = fs::Permissions::from_mode(0o755);
    fs::set_permissions(world.dir.path(), open_all).expect("set");
    fs::set_permissions(world.path(), fs::Permissions::from_mode(0o444)).expect("set");
    let options = world.options();
    let as_nobody = std::thread::spawn(move || {
        if rustix::process::getuid().is_root() {
            let nobody = rustix::process::Uid::from_raw(65_534);
            rustix::thread::set_thread_res_uid(nobody, nobody, nobody).expect("root may");
        }
        refusal(options)
    });
    assert!(matches!(as_nobody.join().expect("ran"), OpenError::ReadOnly { .. }));
}

#[tokio::test]
async fn a_file_deleted_or_replaced_in_use_is_noticed_by_the_next_transaction() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let before = world.path().with_extension("old");
    fs::rename(world.path(), &before).expect("moved");
    let write = world.write(&plan, super::world::start(), &fence);
    let refused = store.plans().commit(&write, &fence).await;
    let Err(StoreError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("was deleted or replaced while in use"), "{reason}");
    assert!(store.plans().load(plan.id).await.is_err(), "reads notice as well");
    fs::write(world.path(), "").expect("written");
    let never_connected = store.locks().release_all_for_owner(world.owner()).await;
    assert!(matches!(never_connected, Err(LockError::Unavailable { .. })), "{never_connected:?}");
    fs::rename(&before, world.path()).expect("moved back");
    assert!(store.plans().load(plan.id).await.expect("read").is_some());
}

#[tokio::test]
async fn a_full_disk_is_a_sentence_and_writes_nothing() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let limit = |connection: &mut SqliteConnection| {
        connection.batch_execute("PRAGMA max_page_count = 1").map_err(Into::into)
    };
    store.durable.transact(limit).expect("set");
    let text = "x".repeat(1_000_000);
    let write = world.write(&plan, agents_domain::plan::Change::Prompted { text }, &fence);
    let refused = store.plans().commit(&write, &fence).await;
    let Err(StoreError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("disk is full"), "{reason}");
    assert_eq!(store.plans().load(plan.id).await, Ok(Some(plan.clone())));
    let outcome = store.plans().commit(&write, &fence).await;
    assert!(outcome.is_ok(), "a fresh connection, and room again: {outcome:?}");
    sound(&store);
}

#[tokio::test]
async fn a_writer_past_the_gate_is_an_unavailable_store_and_no_raw_error() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let mut shell = world.raw();
    shell.batch_execute("BEGIN IMMEDIATE").expect("begun");
    let write = world.write(&plan, super::world::start(), &fence);
    let refused = store.plans().commit(&write, &fence).await;
    let Err(StoreError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains("another program is writing"), "{reason}");
    shell.batch_execute("ROLLBACK").expect("ended");
    assert!(store.plans().commit(&write, &fence).await.is_ok());
}

#[tokio::test]
async fn waiting_for_a_turn_is_bounded_and_names_who_is_in_the_way() {
    let (world, store) = World::new();
    let (plan, _) = world.held_plan(&store).await;
    let impatient = SqliteOptions { gate_timeout: Duration::from_millis(20), ..world.options() };
    let impatient = SqliteStore::open(impatient).expect("opens");
    let turn = store.site.gate.enter(crate::sqlite::gate::Entrance::Heartbeat).expect("free");
    let refused = impatient.locks().release_all_for_owner(world.owner()).await;
    let Err(LockError::Unavailable { reason }) = refused else { panic!("{refused:?}") };
    assert!(reason.contains(&format!("process {}", std::process::id())), "{reason}");
    assert!(impatient.plans().load(plan.id).await.expect("read").is_some(), "reads do not wait");
    let options = SqliteOptions { gate_timeout: Duration::from_millis(20), ..world.options() };
    assert!(matches!(SqliteStore::create(options), Err(OpenError::Unavailable { .. })));
    drop(turn);
}

#[test]
fn a_lane_in_use_is_waited_for_only_so_long() {
    let (world, _) = World::new();
    let options = SqliteOptions { gate_timeout: Duration::from_millis(20), ..world.options() };
    let store = SqliteStore::open(options).expect("opens");
    let inner = store.durable.transact(|_| Ok(store.durable.transact(|_| Ok(())).is_err()));
    assert!(inner.expect("ran"), "it did not wait for itself");
    let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
        let _: Result<(), _> = store.durable.transact(|_| panic!("on purpose"));
    }));
    assert!(panicked.is_err());
    assert!(store.durable.transact(|_| Ok(())).is_ok(), "a fresh connection after a panic");
}

#[test]
fn a_runtime_that_ends_is_an_unavailable_store() {
    let (_world, store) = World::new();
    let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
    let handle = runtime.handle().clone();
    drop(runtime);
    let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    let _entered = handle.enter();
    let plans = store.plans();
    let mut load = plans.load(plan);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    let answer = load.as_mut().poll(&mut context);
    assert!(matches!(answer, std::task::Poll::Ready(Err(StoreError::Unavailable { .. }))));
}
