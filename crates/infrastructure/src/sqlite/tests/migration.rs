//! A file of an earlier schema, brought up to date with all that is in it.

use agents_domain::feed::{Feed as _, FeedPosition};
use agents_domain::id::PlanId;
use agents_domain::lock::LockKey;
use agents_domain::measures::Measures as _;
use agents_domain::plan::{Change, CommitOutcome, Plan, PlanStore as _, State, replay};
use agents_domain::reads::{PlanFilter, PlanReads as _};
use agents_domain::request::Requests as _;

use super::subplans::spawn;
use super::world::{World, sound, token};
use crate::action_file;
use crate::sqlite::{APPLICATION_ID, OpenError, SqliteOptions, SqliteStore};
use crate::store::SCHEMA_VERSION;

/// Its tables, as its migrations made them, with the notes that say which were made.
const SCHEMA_2: &str = concat!(
    include_str!("../../../../../migrations/sqlite/0001_core/up.sql"),
    include_str!("../../../../../migrations/sqlite/0002_requests_and_lines/up.sql"),
    "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
     run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
     INSERT INTO __diesel_schema_migrations (version) VALUES ('0001'), ('0002'); \
     INSERT INTO meta VALUES ('machine', 'machine-1'); PRAGMA journal_mode = WAL;"
);
const CONTENT: &str = include_str!("../../../tests/data/schema_2.sql");

const LANDED: &str = "01M8CH40WSQ9SVDVP0FR5K3ZHW";
const CANCELLED: &str = "01M8CH425AAFRA5GKYDZZEC6HV";
const WAITING: &str = "01M8CH42ZZ6DXDRXX5WM3PD5JA";

fn id(text: &str) -> PlanId {
    PlanId::parse(text).expect("a ULID")
}

async fn the(store: &SqliteStore, plan: &str) -> Plan {
    store.plans().load(id(plan)).await.expect("read").expect("there")
}

/// A file of schema 2, and what it takes to open it.
fn earlier() -> (World, SqliteOptions) {
    let world = World::empty();
    world.sql(&format!("PRAGMA application_id = {APPLICATION_ID}; {SCHEMA_2} {CONTENT}")).expect("made");
    let parse_action = |text: &str, origin: &str| action_file::parse(text, origin).map_err(|e| e.to_string());
    let options = SqliteOptions { parse_action, ..world.options() };
    (world, options)
}

#[tokio::test]
async fn a_file_of_schema_2_is_opened_only_after_it_was_brought_up_to_date() {
    let (_world, options) = earlier();
    let pending = OpenError::MigrationPending { found: 2, known: SCHEMA_VERSION };
    assert_eq!(SqliteStore::open(options.clone()).err(), Some(pending));
    for _ in 0..2 {
        let status = SqliteStore::migrate(&options).expect("brought up to date");
        assert_eq!((status.schema_version, status.pending), (SCHEMA_VERSION, false));
    }
    sound(&SqliteStore::open(options).expect("opens"));
}

#[tokio::test]
async fn all_that_was_in_a_file_of_schema_2_is_there_afterwards() {
    let (_world, options) = earlier();
    SqliteStore::migrate(&options).expect("brought up to date");
    let store = SqliteStore::open(options).expect("opens");
    for (plan, state, version) in
        [(LANDED, State::Applied, 11), (CANCELLED, State::Cancelled, 12), (WAITING, State::Complete, 6)]
    {
        let found = the(&store, plan).await;
        assert_eq!((found.state(), found.version, &found.subplan), (state, version, &None));
        let log = store.plans().events(found.id).await.expect("read");
        assert_eq!(replay(&log).as_ref(), Ok(&found));
        let order = store.plans().definition(found.id).await.expect("read").expect("there");
        assert_eq!(order.action.definition_of_done, "It is ported.");
        assert_eq!(order.projects.len(), 1);
    }
    let page = store.reads().list(&PlanFilter::default()).await.expect("listed");
    assert_eq!((page.total, page.plans.len()), (3, 3));
    assert!(page.plans.iter().all(|view| view.subplans.total() == 0));
    let asked = store.requests().open(&LockKey::Plan(id(WAITING))).await.expect("read");
    assert_eq!(asked.len(), 1);
}

#[tokio::test]
async fn the_events_of_schema_2_are_one_after_the_other_by_time_and_new_ones_come_after_them() {
    let (world, options) = earlier();
    SqliteStore::migrate(&options).expect("brought up to date");
    let store = SqliteStore::open(options).expect("opens");
    let page = store.feed().after(FeedPosition::START, 100).await.expect("read");
    assert_eq!(page.events.len(), 11 + 12 + 6);
    assert!(page.events.is_sorted_by_key(|event| event.at));
    for plan in [LANDED, CANCELLED, WAITING] {
        let own: Vec<_> = page.events.iter().filter(|event| event.plan == id(plan)).cloned().collect();
        assert_eq!(Ok(own), store.plans().events(id(plan)).await);
    }
    let fence = world.take(&store, &LockKey::Plan(id(WAITING))).await;
    let waiting = the(&store, WAITING).await;
    world.commit(&store, &waiting, Change::Reverted { reason: None }, &fence).await;
    let more = store.feed().after(page.next, 100).await.expect("read").events;
    assert_eq!(more.iter().map(|event| (event.plan, event.seq)).collect::<Vec<_>>(), [(id(WAITING), 7)]);
    let counted = store.measures().measure().await.expect("read").events;
    assert_eq!((counted["plan.created"], counted.values().sum::<u64>()), (3, 30));
    sound(&store);
}

#[tokio::test]
async fn plans_of_schema_2_go_on_and_may_have_children() {
    let (world, options) = earlier();
    SqliteStore::migrate(&options).expect("brought up to date");
    let store = SqliteStore::open(options).expect("opens");
    let cancelled = world.take(&store, &LockKey::Plan(id(CANCELLED))).await;
    assert_eq!(token(&cancelled).value(), 6, "tokens go on");
    let fence = world.take(&store, &LockKey::Plan(id(WAITING))).await;
    let waiting = the(&store, WAITING).await;
    let back = world.commit(&store, &waiting, Change::Reverted { reason: None }, &fence).await;
    let write = spawn(&world, &back, &[("a", None), ("b", None)], &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    assert_eq!(store.reads().family(back.id).await.expect("read").len(), 2);
    sound(&store);
}
