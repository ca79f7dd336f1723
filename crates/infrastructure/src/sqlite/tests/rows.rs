//! Rows that make no sense are errors that name them; a check finds them all.

use agents_domain::plan::{PlanStore as _, StoreError};
use agents_domain::reads::{PlanFilter, PlanReads as _};
use rstest::rstest;

use super::world::{World, start};

const NO_CHECKS: &str = "PRAGMA ignore_check_constraints = ON; PRAGMA foreign_keys = OFF;";

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
             INSERT INTO projects VALUES ('local/p', '/p', '/p/.git', 'main', 0); \
             INSERT INTO locks (resource_type, resource_id, token) VALUES ('project', 'local/none', 0); \
             UPDATE plan_counts SET plans = 7 WHERE state = 'processing'; \
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
    match crate::sqlite::SqliteStore::open(world.options()) {
        Err(error) => assert!(error.to_string().contains("damaged"), "{error}"),
        Ok(store) => {
            let answer = store.reads().list(&PlanFilter::default()).await;
            assert!(matches!(answer, Err(StoreError::Corrupt { .. })), "{answer:?}");
        }
    }
}
