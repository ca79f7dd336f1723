//! Whatever happens to a plan, its row is what its log leads to.

use std::collections::BTreeMap;

use agents_domain::id::{IntentId, PlanId};
use agents_domain::lock::{Fence, LockKey};
use agents_domain::oid::Oid;
use agents_domain::plan::{
    Change, CommitOutcome, Exit, Failure, InterruptCause, Phase, Plan, PlanStore as _, Saved, Spawned, Step,
    Validation, Work, next,
};
use agents_domain::subplan::GivenUp;
use agents_domain::time::{Clock as _, Timestamp};
use agents_domain::workspace::Intent;
use proptest::prelude::*;

use super::subplans::spawn;
use super::world::{World, done, holder, name, sound, start};
use crate::sqlite::SqliteStore;

fn oid(digit: &str) -> Oid {
    Oid::parse(&digit.repeat(40)).expect("valid")
}

fn failure() -> Failure {
    Failure {
        code: "conflict".into(),
        message: "both changed".into(),
        hint: Some("h".into()),
        retryable: true,
    }
}

fn changes(round: usize) -> Vec<Change> {
    let id = IntentId::parse(&format!("01ARZ3NDEKTSV4RRFF{:08}", round % 3)).expect("valid");
    let intent = Intent {
        id,
        project: name(if round.is_multiple_of(2) { "api" } else { "web" }),
        reference: "refs/heads/main".into(),
        old: oid("1"),
        new: oid("2"),
    };
    let validation = Validation {
        name: "tests".into(),
        project: name("api"),
        required: true,
        passed: round.is_multiple_of(2),
        message: Some("said".into()),
    };
    let work = vec![Work { project: name("api"), saved: Saved::Directory { reason: "full".into() } }];
    let saved = Saved::Snapshot { reference: "refs/x".into(), commit: oid("4"), kept: None };
    let snapshot = Work { project: name("web"), saved };
    let exit = Some(if round.is_multiple_of(2) { Exit::Code(3) } else { Exit::Signal(9) });
    let input = (round.is_multiple_of(2)).then(|| "which?".to_owned());
    let given_up = (round.is_multiple_of(2)).then(|| GivenUp::Skipped { by: "db".into() });
    let child = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    let spawned =
        Spawned { plan: child, name: format!("part-{round}"), action: name("port"), replaces: None };
    vec![
        start(),
        done(),
        Change::PhaseFailed { failure: failure(), exit: None, work: work.clone() },
        Change::PhaseFailed { failure: failure(), exit, work: vec![snapshot] },
        Change::Parked { until: Some(Timestamp::from_millis(7)), input, cause: "later".into(), work },
        Change::PhaseAdvanced { to: Phase::Execute },
        Change::PhaseAdvanced { to: Phase::Apply },
        Change::Applied,
        Change::Constrained { failure: failure(), validations: vec![validation.clone()] },
        Change::Retried { resume: BTreeMap::new(), anew: true },
        Change::Retried { resume: [(name("api"), oid("3"))].into(), anew: false },
        Change::Reverted { reason: Some("wrong way".into()) },
        Change::Interrupted { cause: InterruptCause::OwnerDied, work: vec![] },
        Change::Adopted { driver: holder("plan execute") },
        Change::Prompted { text: "more tests".into() },
        Change::LandingIntended { intents: vec![intent], validations: vec![validation] },
        Change::Landed { intent: id },
        Change::PhaseStarted { driver: holder("parent"), bases: BTreeMap::new(), commanded: false },
        Change::Spawned { children: vec![spawned] },
        Change::SubplanMerged { child, name: "a".into(), tips: [(name("web"), oid("5"))].into() },
        Change::SubplanConflicted { child, name: "a".into(), failure: failure() },
        Change::CommandStarted,
        Change::Cancelled { reason: Some("enough".into()), keep_landed: true, work: vec![], given_up },
    ]
}

fn is_legal(plan: &Plan, change: &Change, world: &World) -> bool {
    matches!(next(plan, change, world.clock.now()), Ok(Step::Moved(_)))
}

/// A part of a plan, held: all that happens to plans happens to parts, and more.
async fn child(world: &World, store: &SqliteStore) -> (Plan, Fence) {
    let (parent, fence) = world.held_plan(store).await;
    let mut write = spawn(world, &parent, &[("a", None)], &fence);
    assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
    let child = write.spawn.remove(0).plan;
    let fence = world.take(store, &LockKey::Plan(child.id)).await;
    (child, fence)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]
    #[test]
    fn every_history_is_read_back_and_replays(picks in proptest::collection::vec(0usize..1_000, 1..60)) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().expect("runtime");
        runtime.block_on(async {
            let (world, store) = World::new();
            let (mut plan, fence) = child(&world, &store).await;
            for (round, pick) in picks.into_iter().enumerate() {
                // The last change ends the plan; it is left out until little else remains.
                let mut legal = changes(round);
                legal.retain(|change| is_legal(&plan, change, &world));
                if legal.len() > 3 {
                    legal.retain(|change| !matches!(change, Change::Cancelled { .. }));
                }
                if legal.is_empty() {
                    break;
                }
                let write = match legal.swap_remove(pick % legal.len()) {
                    Change::Spawned { children } => spawn(&world, &plan, &[(&children[0].name, None)], &fence),
                    change => world.write(&plan, change, &fence),
                };
                assert_eq!(store.plans().commit(&write, &fence).await, Ok(CommitOutcome::Applied));
                plan = write.plan;
                assert_eq!(store.plans().load(plan.id).await, Ok(Some(plan.clone())));
            }
            sound(&store);
        });
    }
}
