//! Who is counted out, and who is not: the dead at once, the silent by whoever was heard for as long.

use std::time::Duration;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::Liveness;
use agents_domain::plan::{Phase, State};
use agents_domain::time::Timestamp;
use agents_domain::workers::{AtWork, ROLL_CALL, SILENCE};
use agents_infrastructure::scripted::{Gate, Scripted};

use super::trouble::Flaky;
use super::{Hand, is_at, order_of, ordered, work, work_once, work_with};
use crate::fuse::Fuse;
use crate::world::{Process, World, pass, settle};

async fn listed(world: &World, worker: OwnerId) -> Option<AtWork> {
    let all = world.store.workers().list().await.expect("read");
    all.into_iter().find(|one| one.worker.id == worker)
}

/// So much time passes for everybody, a roll call at a time, and all have looked.
async fn goes_by(world: &World, length: Duration) {
    let mut gone = Duration::ZERO;
    while gone < length {
        let step = ROLL_CALL.min(length.saturating_sub(gone));
        world.clock.advance(step);
        pass(Duration::from_secs(3)).await;
        gone += step;
    }
}

/// A worker with a plan in hand that says nothing more, of whose process nothing can be told.
async fn falls_silent(world: &World) -> (PlanId, Process) {
    let (plan, fuse, gate) = (ordered(world, false).await, Fuse::of(100_000), Gate::default());
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let silent = world.process_on(1, world.ports().fused(&fuse));
    let hand = work(world, &silent);
    gate.reached().await;
    fuse.blow();
    hand.work.abort();
    world.census.says(1, Liveness::Unknown);
    settle().await;
    (plan, silent)
}

#[tokio::test(start_paused = true)]
async fn what_a_dead_worker_had_in_hand_is_taken_up_at_once() {
    let world = World::new();
    let (plan, gate, fuse) = (ordered(&world, true).await, Gate::default(), Fuse::of(100_000));
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let dying = world.process_on(1, world.ports().fused(&fuse));
    let hand = work(&world, &dying);
    gate.reached().await;
    fuse.blow();
    gate.open();
    hand.work.abort();
    settle().await;
    assert_eq!(work_once(&world, 2).await.len(), 1, "as far as anybody knows, it lives");
    world.dies(1);
    let heard = work_once(&world, 2).await;
    assert_eq!(heard[1..3], ["lost 1".to_owned(), format!("taken {plan}")]);
    is_at(&world, plan, Phase::Apply, State::Applied).await;
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_worker_claims_that_was_counted_out_and_lives_goes_back_when_it_dies() {
    let (world, gate, fuse) = (World::new(), Gate::default(), Fuse::of(100_000));
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let dying = world.process_on(1, world.ports().fused(&fuse));
    let hand = work(&world, &dying);
    settle().await;
    let me = dying.locks.owner();
    let seen = listed(&world, me).await.expect("it is there").worker;
    world.store.workers().bury(&[seen], Timestamp::from_millis(0)).await.expect("written");
    let plan = ordered(&world, false).await;
    pass(Duration::from_secs(3)).await;
    gate.reached().await;
    assert!(order_of(&world, plan).await.claim.is_some_and(|claim| claim.worker == me));
    fuse.blow();
    gate.open();
    hand.work.abort();
    world.dies(1);
    let heard = work_once(&world, 2).await;
    assert_eq!(heard[1..3], ["lost 1".to_owned(), format!("taken {plan}")]);
    is_at(&world, plan, Phase::Execute, State::Complete).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_silent_is_counted_out_once_one_was_heard_oneself_for_as_long() {
    let world = World::new();
    let (plan, _silent) = falls_silent(&world).await;
    world.clock.advance(SILENCE);
    let process = world.process(2);
    let hand = work(&world, &process);
    goes_by(&world, SILENCE.saturating_sub(ROLL_CALL)).await;
    assert_eq!(hand.heard.count("lost"), 0, "it was not heard itself before");
    goes_by(&world, 2 * ROLL_CALL).await;
    assert_eq!((hand.heard.count("lost 1"), hand.heard.count("taken")), (1, 0), "its lease stands");
    goes_by(&world, Duration::from_mins(5)).await;
    assert_eq!((hand.heard.count("lost 1"), hand.heard.count("taken")), (1, 1));
    hand.drained().await;
    is_at(&world, plan, Phase::Execute, State::Complete).await;
}

/// The store is away for all alike, for as long as would be a silence; who was first to be answered
/// again says nothing of the others.
async fn comes_back_first(speaks: bool) -> (World, Hand, Process) {
    let world = World::new();
    let (_, silent) = falls_silent(&world).await;
    let (process, flaky) = (world.process(2), Flaky::of(&world));
    let hand = work_with(&world, &process, false, flaky.clone());
    let before = listed(&world, silent.locks.owner()).await.expect("it is there");
    let speak = async || {
        let report = world.store.workers();
        report.report(&before.worker, &before.plans).await.expect("written");
    };
    flaky.is_away(false);
    for _ in 0..10 {
        speak().await;
        goes_by(&world, ROLL_CALL).await;
    }
    flaky.is_away(true);
    goes_by(&world, 5 * SILENCE).await;
    flaky.is_away(false);
    goes_by(&world, SILENCE / 2).await;
    assert_eq!((hand.heard.count("back"), hand.heard.count("lost")), (1, 0), "{:?}", hand.heard.all());
    if speaks {
        speak().await;
    }
    goes_by(&world, SILENCE.saturating_sub(ROLL_CALL)).await;
    (world, hand, silent)
}

#[tokio::test(start_paused = true)]
async fn after_the_store_was_away_nobody_is_counted_out_before_all_had_the_time_to_speak() {
    let (world, hand, other) = comes_back_first(true).await;
    assert_eq!(hand.drained().await.iter().filter(|line| line.starts_with("lost")).count(), 0);
    let listed = listed(&world, other.locks.owner()).await.expect("it is there");
    assert_eq!((listed.worker.lost, listed.plans.len()), (None, 1), "with what it has in hand");
}

#[tokio::test(start_paused = true)]
async fn after_the_store_was_away_who_stays_silent_is_counted_out() {
    let (_world, hand, _) = comes_back_first(false).await;
    assert_eq!(hand.drained().await.iter().filter(|line| *line == "lost 1").count(), 1);
}

/// While it was stopped itself, the store may have been away.
#[tokio::test(start_paused = true)]
async fn who_was_stopped_itself_counts_nobody_out_at_once() {
    let world = World::new();
    let process = world.process(2);
    let hand = work(&world, &process);
    goes_by(&world, 2 * SILENCE).await;
    falls_silent(&world).await;
    world.clock.advance(2 * SILENCE);
    pass(Duration::from_secs(3)).await;
    assert_eq!(hand.heard.count("lost"), 0);
    goes_by(&world, SILENCE).await;
    assert_eq!(hand.heard.count("lost 1"), 1);
    hand.drained().await;
}

/// Who works once stays for that, and only if it is worth it.
#[tokio::test(start_paused = true)]
async fn who_works_once_stays_to_see_whether_who_is_silent_is_gone() {
    let world = World::new();
    let (plan, _silent) = falls_silent(&world).await;
    world.clock.advance(SILENCE / 2);
    assert_eq!(work_once(&world, 2).await, ["begun, 2 at once"], "it is not silent yet");
    world.clock.advance(SILENCE / 2);
    let process = world.process(2);
    let hand = work_with(&world, &process, true, world.store.orders());
    goes_by(&world, SILENCE + ROLL_CALL).await;
    assert_eq!(hand.ends().await, ["begun, 2 at once", "doubted 1", "lost 1"]);
    world.clock.advance(Duration::from_mins(5));
    let heard = work_once(&world, 2).await;
    assert_eq!(heard[1], format!("taken {plan}"));
    is_at(&world, plan, Phase::Execute, State::Complete).await;
}

/// Its process is there, and stopped: it answers to nobody.
#[tokio::test(start_paused = true)]
async fn a_worker_that_is_frozen_is_counted_out_and_works_on_once_it_thaws() {
    let world = World::new();
    let process = world.process(1);
    let frozen = work(&world, &process);
    pass(Duration::from_secs(1)).await;
    let before = listed(&world, process.locks.owner()).await.expect("it is there").worker;
    frozen.drained().await;
    world.store.workers().report(&before, &[]).await.expect("as if it had not ended");
    world.clock.advance(SILENCE);
    assert_eq!(work_once(&world, 2).await, ["begun, 2 at once"], "it has nothing in hand");
    let other = world.process(2);
    let hand = work(&world, &other);
    goes_by(&world, 3 * SILENCE).await;
    assert_eq!(hand.drained().await[1..], ["lost 1", "draining, 0 running"], "once");
    world.store.workers().report(&before, &[]).await.expect("it thaws");
    let back = listed(&world, before.id).await.expect("it is there");
    assert_eq!(back.worker.lost, None);
}
