//! No public method of the lifecycle service commits without holding the plan's lock.
//!
//! Each is driven with a mocked lock port and a mocked store (`stage`). The list of them (`list`) is
//! compared with the source, so that a new method cannot be left out.

mod list;
mod stage;

use std::sync::{Arc, Mutex};

use agents_application::{LifecycleError, PlanLifecycleService};
use agents_domain::lock::{Conflict, FencingToken, HeldLock, LockError, MockLockPort};
use agents_domain::plan::{CommitOutcome, MockPlanStore, Phase, State, StoreError};
use agents_domain::time::Timestamp;
use rstest::rstest;

use crate::support::World;
use list::{OTHERS, TRANSITIONS};
pub(crate) use stage::{Stage1, stage};

#[tokio::test]
async fn every_public_method_commits_only_while_it_holds() {
    for (name, phase, state, call) in TRANSITIONS {
        let stage = stage(name, phase, state, || Ok(CommitOutcome::Applied));
        call(stage.service, stage.plan).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: &[&str] = match name {
            "create" => &["create held", "release"],
            // Inside a hold: the inner release leaves it to the outer one.
            "intend" | "pass_apply" | "give_up" => &["acquire", "load", "commit"],
            _ => &["acquire", "load", "commit", "release"],
        };
        assert_eq!(*stage.trace.lock().expect("unpoisoned"), expected, "{name}");
    }
}

#[tokio::test]
async fn the_lock_is_released_when_the_write_is_refused() {
    for (name, phase, state, call) in TRANSITIONS.into_iter().filter(|t| t.0 != "create") {
        let stage = stage(name, phase, state, || Ok(CommitOutcome::Stale));
        let refused = call(stage.service, stage.plan).await;
        assert!(matches!(refused, Err(LifecycleError::LeaseLost { .. })), "{name}: {refused:?}");
        let last = if matches!(name, "intend" | "pass_apply" | "give_up") { "commit" } else { "release" };
        assert_eq!(stage.trace.lock().expect("unpoisoned").last(), Some(&last), "{name}");
    }
}

/// The public methods that these sources have, by name.
pub(crate) fn methods<'a>(sources: &[&'a str]) -> Vec<&'a str> {
    let lines = sources.iter().flat_map(|source| source.lines());
    let found = lines.filter_map(|line| line.trim().strip_prefix("pub async fn "));
    let mut found: Vec<&str> = found.map(|rest| rest.split('(').next().unwrap_or_default()).collect();
    found.sort_unstable();
    found
}

#[test]
fn no_public_method_is_missing_from_the_list() {
    let mut listed: Vec<&str> = TRANSITIONS.iter().map(|t| t.0).chain(OTHERS).collect();
    listed.sort_unstable();
    let found = methods(&[
        include_str!("../../src/lifecycle.rs"),
        include_str!("../../src/lifecycle/commit.rs"),
        include_str!("../../src/lifecycle/history.rs"),
        include_str!("../../src/lifecycle/strides.rs"),
        include_str!("../../src/lifecycle/subplans.rs"),
    ]);
    assert_eq!(found, listed);
}

#[rstest]
#[case(CommitOutcome::Missing)]
#[tokio::test]
async fn a_plan_that_is_gone_is_said_to_be_gone(#[case] outcome: CommitOutcome) {
    let stage = stage("retry", Phase::Execute, State::Errored, move || Ok(outcome));
    assert_eq!(stage.service.retry(stage.plan).await, Err(LifecycleError::NoSuchPlan { plan: stage.plan }));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_asked_about_again_with_the_same_event() {
    let left = Arc::new(Mutex::new(2));
    let counter = left.clone();
    let stage = stage("retry", Phase::Execute, State::Errored, move || {
        let mut left = counter.lock().expect("unpoisoned");
        if *left == 0 {
            return Ok(CommitOutcome::Applied);
        }
        *left -= 1;
        Err(StoreError::Unknown { reason: "connection lost".into() })
    });
    stage.service.retry(stage.plan).await.expect("written");
    assert_eq!(
        *stage.trace.lock().expect("unpoisoned"),
        ["acquire", "load", "commit", "commit", "commit", "release"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_leaves_an_unknown_outcome_unknown() {
    let tries = Arc::new(Mutex::new(0));
    let counter = tries.clone();
    let stage = stage("retry", Phase::Execute, State::Errored, move || {
        let mut tries = counter.lock().expect("unpoisoned");
        *tries += 1;
        match *tries {
            1 => Err(StoreError::Unknown { reason: "connection lost".into() }),
            2 | 3 => Err(StoreError::Unavailable { reason: "it restarts".into() }),
            _ => Ok(CommitOutcome::Applied),
        }
    });
    stage.service.retry(stage.plan).await.expect("written");
    assert_eq!(*tries.lock().expect("unpoisoned"), 4);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_an_error_of_its_own() {
    let stage = stage("retry", Phase::Execute, State::Errored, || {
        Err(StoreError::Unknown { reason: "connection lost".into() })
    });
    let unknown = stage.service.retry(stage.plan).await;
    assert!(matches!(unknown, Err(LifecycleError::Store(StoreError::Unknown { .. }))));
    assert_eq!(stage.trace.lock().expect("unpoisoned").last(), Some(&"release"));
}

#[tokio::test]
async fn a_refusal_by_state_writes_nothing_and_releases() {
    let stage = stage("apply", Phase::Strategize, State::Queued, || panic!("nothing to commit"));
    let Err(LifecycleError::Refused(refusal)) = stage.service.apply(stage.plan).await else {
        panic!("refused")
    };
    assert_eq!(refusal.remedy, Some(format!("agents plan execute {}", stage.plan)));
    assert_eq!(*stage.trace.lock().expect("unpoisoned"), ["acquire", "load", "release"]);
}

#[tokio::test]
async fn a_conflict_outranks_a_refusal_and_nothing_is_even_read() {
    let world = World::new();
    let by = HeldLock {
        key: world.key().await,
        owner: world.locks(1).owner(),
        token: FencingToken::from_storage(7),
        acquired_at: Timestamp::default(),
        expires_at: Timestamp::default(),
        stale: false,
        holder: world.processes(5).myself("plan execute"),
    };
    let mut port = MockLockPort::new();
    port.expect_list().returning(|_| Ok(Vec::new()));
    port.expect_acquire().returning(move |_| Err(LockError::Conflict(Conflict(Box::new(by.clone())))));
    let mut store = MockPlanStore::new();
    store.expect_load().never();
    let locks = world.locks_on(1, Arc::new(port));
    let service = PlanLifecycleService::new(
        Arc::new(store),
        world.clock.clone(),
        world.ids.clone(),
        world.processes(1),
    )
    .with_locks(locks);
    let refused = service.apply(world.plan().await).await;
    assert!(matches!(refused, Err(LifecycleError::Lock { source: LockError::Conflict(_), .. })));
}
