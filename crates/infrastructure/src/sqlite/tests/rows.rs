//! Rows that make no sense are errors that name them; a check finds them all.

use agents_domain::orders::{NewOrder, Orders as _};
use agents_domain::plan::{Change, CommitOutcome, Phase, Plan, PlanStore as _, StoreError};
use agents_domain::reads::{PlanFilter, PlanReads as _};
use agents_domain::request::Asker;
use agents_domain::time::Clock as _;
use rstest::rstest;

use super::subplans::spawn;
use super::world::{World, sound, start};
use crate::sqlite::SqliteStore;

const NO_CHECKS: &str = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;";
/// And without the triggers that guard the rows of children.
const UNGUARDED: &str = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF; \
    DROP TRIGGER subplans_are_frozen; DROP TRIGGER subplans_are_never_deleted; \
    DROP TRIGGER subplans_fit_their_parent;";

#[rstest]
#[case("UPDATE plans SET phase = 'limbo'", "phase is `limbo`")]
#[case("UPDATE plans SET state = 'done'", "state is `done`")]
#[case("UPDATE plans SET phase = 'apply', state = 'complete'", "there is no apply/complete")]
#[case("UPDATE plans SET automation = 'full'", "automation is `full`")]
#[case("UPDATE plans SET attempt = -1", "attempt is -1")]
#[case("UPDATE plans SET action = 'NO'", "action")]
#[case("UPDATE plans SET parent = 'x'", "parent")]
#[case("UPDATE plans SET validations = '{'", "validations")]
#[case("UPDATE plans SET driver_pid = NULL", "driver_pid is missing")]
#[case("UPDATE plans SET driver_host = NULL", "driver_host is missing")]
#[case("UPDATE plans SET attempt_commanded = NULL", "attempt_commanded is missing")]
#[case("UPDATE plans SET attempt_started_at = NULL", "nobody drives it")]
#[case("UPDATE plans SET state = 'errored'", "for no reason")]
#[case("UPDATE plans SET state = 'errored', error_code = 'x'", "error_message is missing")]
#[case("UPDATE plan_projects SET base = 'x'", "base")]
#[case(
    "UPDATE plan_projects SET intent_id = '01ARZ3NDEKTSV4RRFFQ69G5FAV', landing_ref = 'r'",
    "landing_old is missing"
)]
#[tokio::test]
async fn a_plan_that_cannot_be_is_corrupt(#[case] damage: &str, #[case] words: &str) {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let plan = world.commit(&store, &plan, start(), &fence).await;
    world.sql(&format!("{NO_CHECKS}{damage}")).expect("damaged");
    let Err(StoreError::Corrupt { row, reason }) = store.plans().load(plan.id).await else {
        panic!("{damage} went unnoticed")
    };
    assert!(row.contains(plan.id.as_str()) && reason.contains(words), "{row}: {reason}");
    let report = store.check().expect("checked");
    assert!(report.problems.iter().any(|problem| problem.contains(plan.id.as_str())), "{report:?}");
}

#[rstest]
#[case("UPDATE subplans SET parent = 'x'", "parent")]
#[case(
    "UPDATE subplans SET parent = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
    "parent is not that of its row of subplans"
)]
#[case("DELETE FROM subplans", "parent is not that of its row of subplans")]
#[case("UPDATE plans SET parent = NULL", "parent is not that of its row of subplans")]
#[case("UPDATE subplans SET root = 'x'", "root")]
#[case("UPDATE subplans SET depth = -1", "depth is -1")]
#[case("UPDATE subplans SET position = 5000000000", "position is 5000000000")]
#[case("UPDATE subplans SET depends_on = '[1]'", "depends_on")]
#[case("UPDATE subplans SET failures = -1", "failures is -1")]
#[case("UPDATE subplans SET given_up_kind = 'tired', given_up_by = 'b'", "given_up_kind is `tired`")]
#[case("UPDATE subplans SET given_up_kind = 'skipped'", "given_up_by is missing")]
#[tokio::test]
async fn a_child_that_cannot_be_is_corrupt(#[case] damage: &str, #[case] words: &str) {
    let (world, store) = World::new();
    let child = one_child(&world, &store).await;
    world.sql(&format!("{UNGUARDED}{damage} WHERE {}", only(&child, damage))).expect("damaged");
    let Err(StoreError::Corrupt { row, reason }) = store.plans().load(child.id).await else {
        panic!("{damage} went unnoticed")
    };
    assert!(row.contains(child.id.as_str()) && reason.contains(words), "{row}: {reason}");
    let all = PlanFilter { all: true, ..PlanFilter::default() };
    assert!(matches!(store.reads().list(&all).await, Err(StoreError::Corrupt { .. })));
    let report = store.check().expect("checked");
    assert!(report.problems.iter().any(|problem| problem.contains(child.id.as_str())), "{report:?}");
}

/// The condition that finds that plan in the table that is damaged.
fn only(plan: &Plan, damage: &str) -> String {
    format!("{} = '{}'", if damage.contains("subplans") { "plan_id" } else { "id" }, plan.id)
}

/// A parent with one child.
async fn one_child(world: &World, store: &SqliteStore) -> Plan {
    let (parent, fence) = world.held_plan(store).await;
    let mut write = spawn(world, &parent, &[("a", None)], &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    write.spawn.remove(0).plan
}

#[rstest]
#[case("UPDATE subplans SET depth = 2", "is not one level below its parent, under the same root")]
#[case("UPDATE subplans SET root = plan_id", "is not one level below its parent, under the same root")]
#[case("UPDATE subplans SET parent = root, depth = 1, root = plan_id", "under the same root")]
#[case("DELETE FROM subplans", "and its row of subplans name different parents")]
#[case("UPDATE plans SET parent = NULL", "and its row of subplans name different parents")]
#[case("UPDATE subplans SET current = 0", "a subplan of its past is stored as one of today")]
#[case("UPDATE subplans SET name = 'b'", "its log tells of a subplan that is not stored")]
#[case(
    "UPDATE subplans SET plan_id = '01ARZ3NDEKTSV4RRFFQ69G5FAV'",
    "a row of subplans refers to a missing row"
)]
#[case(
    "DROP INDEX subplans_by_name; INSERT INTO subplans SELECT parent, parent, root, depth, 1, name, '[]', 0, NULL, NULL, 1 FROM subplans",
    "has several subplans of the name a"
)]
#[case(
    "DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE kind = 'subplan.spawned'; DROP TRIGGER plans_never_go_back; UPDATE plans SET version = 1",
    "does not tell of all its subplans"
)]
#[tokio::test]
async fn a_check_finds_children_out_of_place(#[case] damage: &str, #[case] words: &str) {
    let (world, store) = World::new();
    one_child(&world, &store).await;
    sound(&store);
    world.sql(&format!("{UNGUARDED}{damage}")).expect("damaged");
    let found = store.check().expect("checked").problems.join("\n");
    assert!(found.contains(words), "{words}\n---\n{found}");
}

#[rstest]
#[case("UPDATE orders SET goal = 'limbo'", "goal is `limbo`")]
#[case("UPDATE orders SET plan_version = 9", "its order is of a version that it has not come to")]
#[case("DROP TRIGGER orders_end_with_their_plan", "it is at its end, and its order is open")]
#[tokio::test]
async fn a_check_finds_an_order_that_cannot_be(#[case] damage: &str, #[case] words: &str) {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    let by = Asker { host: "box".into(), pid: 1, user: "ada".into() };
    let (version, at) = (plan.version, world.clock.now());
    let order =
        NewOrder { plan: plan.id, goal: Phase::Apply, allow_empty: false, again: None, version, by, at };
    store.orders().place(&order).await.expect("placed");
    sound(&store);
    world.sql(&format!("{NO_CHECKS}{damage}")).expect("damaged");
    let cancelled = Change::Cancelled { reason: None, keep_landed: false, work: vec![], given_up: None };
    world.commit(&store, &plan, cancelled, &fence).await;
    let found = store.check().expect("checked").problems.join("\n");
    assert!(found.contains(plan.id.as_str()) && found.contains(words), "{words}\n---\n{found}");
}

#[rstest]
#[case("schema_version = 2", "schema_version is 2")]
#[case("kind = 'plan.applied'", "kind is `plan.applied`")]
#[case("payload = '{}'", "payload")]
#[case("event_id = 'x'", "event_id")]
#[case("owner_id = 'x'", "owner_id")]
#[tokio::test]
async fn an_event_that_cannot_be_is_corrupt(#[case] damage: &str, #[case] words: &str) {
    let (world, store) = World::new();
    let (plan, _) = world.held_plan(&store).await;
    world
        .sql(&format!("{NO_CHECKS} DROP TRIGGER events_are_never_changed; UPDATE events SET {damage}"))
        .expect("damaged");
    let Err(StoreError::Corrupt { row, reason }) = store.plans().events(plan.id).await else {
        panic!("{damage} went unnoticed")
    };
    assert_eq!(row, format!("events/{}/1", plan.id));
    assert!(reason.contains(words), "{reason}");
}

#[rstest]
#[case("expires_boottime_ms = NULL", "expires_boottime_ms is missing")]
#[case("owner_id = 'x'", "owner_id")]
#[case("host = NULL", "host is missing")]
#[case("started = -1", "started is -1")]
#[tokio::test]
async fn a_lock_that_cannot_be_is_an_error_of_readers_and_takers(#[case] damage: &str, #[case] words: &str) {
    use agents_domain::lock::{LockKey, LockPort as _};
    let (world, store) = World::new();
    let (plan, _) = world.held_plan(&store).await;
    world.sql(&format!("{NO_CHECKS} UPDATE locks SET {damage}")).expect("damaged");
    let Err(StoreError::Corrupt { row, reason }) = store.reads().status(plan.id).await else {
        panic!("{damage} went unnoticed")
    };
    assert!(row == format!("locks/plan/{}", plan.id) && reason.contains(words), "{row}: {reason}");
    let request = world.request(&[LockKey::Plan(plan.id)], world.owner());
    let refused = store.locks().acquire(&request).await.expect_err("refused").to_string();
    assert!(refused.contains(words), "{refused}");
    assert!(store.reads().list(&PlanFilter::default()).await.is_err());
}

#[rstest]
#[case("UPDATE plan_definitions SET arguments = '[]'", "arguments")]
#[case("UPDATE plan_definitions SET action_source = 'NOT'", "the action of plan")]
#[tokio::test]
async fn an_order_that_cannot_be_read_is_corrupt(#[case] damage: &str, #[case] words: &str) {
    let (world, store) = World::new();
    let (plan, _) = world.held_plan(&store).await;
    world.sql(&format!("DROP TRIGGER plan_definitions_are_frozen; {damage}")).expect("damaged");
    let Err(StoreError::Corrupt { reason, .. }) = store.plans().definition(plan.id).await else {
        panic!("{damage} went unnoticed")
    };
    assert!(reason.contains(words), "{reason}");
}

#[tokio::test]
async fn a_check_finds_what_no_row_shows_by_itself() {
    let (world, store) = World::new();
    let (plan, fence) = world.held_plan(&store).await;
    world.commit(&store, &plan, start(), &fence).await;
    world
        .sql(&format!(
            "{NO_CHECKS} DROP TRIGGER events_are_never_deleted; DELETE FROM events WHERE seq = 2; DELETE FROM locks; \
             INSERT INTO projects (name, path, common_dir, branch, created_at) VALUES ('local/p', '/p', '/p/.git', 'main', 0); \
             INSERT INTO locks (resource_type, resource_id, token) VALUES ('project', 'local/none', 0); \
             UPDATE plan_counts SET plans = 7 WHERE state = 'processing'; \
             INSERT INTO event_counts VALUES ('plan.created', 1); \
             INSERT INTO plan_guidance VALUES ('nobody', 0, 'x'); \
             INSERT INTO plans (id, action, automation, phase, state, attempt, version, reversion_count, \
             validations, created_at, updated_at) VALUES ('no ulid', 'local/a', 'auto', 'apply', 'queued', 0, 1, 0, '[]', 0, 0); \
             INSERT INTO plans (id, action, automation, phase, state, attempt, version, reversion_count, \
             validations, created_at, updated_at) VALUES ('01ARZ3NDEKTSV4RRFFQ69G5FAV', 'local/a', 'auto', 'apply', 'queued', 0, 1, 0, '[]', 0, 0)"
        ))
        .expect("damaged");
    let report = store.check().expect("checked");
    let found = report.problems.join("\n");
    for words in [
        "its log leads to another plan",
        "has no lock",
        "project/local/p has no lock",
        "the lock project/local/none belongs to nothing",
        "the count of local/port in strategize/processing is wrong",
        "the count of the events plan.created is wrong",
        "the feed does not hold every event once",
        "plan_guidance refers to a missing row of plans",
        "its id is no ULID",
        "cannot be replayed",
    ] {
        assert!(found.contains(words), "{words}\n---\n{found}");
    }
    assert_eq!(report.plans, 3);
    let resolved = store.reads().resolve("no", 1).await;
    assert!(matches!(resolved, Ok(ids) if ids.is_empty()), "upper case only");
}

#[tokio::test]
async fn a_damaged_file_says_so() {
    let (world, store) = World::new();
    world.held_plan(&store).await;
    drop(store);
    let mut bytes = std::fs::read(world.path()).expect("read");
    bytes[4096..].fill(0x5a);
    std::fs::write(world.path(), bytes).expect("written");
    match SqliteStore::open(world.options()) {
        Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
        Ok(store) => {
            let answer = store.reads().list(&PlanFilter::default()).await;
            assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{answer:?}");
        }
    }
}
