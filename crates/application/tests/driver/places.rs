//! A place for each command: waited for, refused, given up, and never held by who waits.

use std::time::Duration;

use agents_application::driver::DriveError;
use agents_application::lock_service::Wait;
use agents_domain::action::ValidationSpec;
use agents_domain::id::{Ids as _, PlanId};
use agents_domain::lock::Processes as _;
use agents_domain::places::{Occupant, Place, Places as _};
use agents_domain::plan::{Phase, State};
use agents_domain::runner::StopCause;
use agents_infrastructure::places::MemoryPlaces;
use agents_infrastructure::scripted::{Gate, Scripted};

use crate::world::{PLAINLY, World, at, program, settle};

/// A world with one place, and somebody who has it.
async fn full_house() -> (World, Box<dyn Place>) {
    let world = World { places: MemoryPlaces::new(1), ..World::new() };
    let plan = PlanId::from(world.ids.ulid());
    let by = world.census.citizen(77).myself("execute");
    let since = agents_domain::time::Timestamp::default();
    let occupant = Occupant { by, plan, attempt: 1, purpose: "execute".into(), since };
    let place = world.places.take(&occupant).await.expect("usable").expect("free");
    (world, place)
}

async fn taken(world: &World) -> Vec<(u32, String)> {
    let census = world.places.census().await.expect("read");
    census.taken.iter().map(|who| (who.by.pid, who.purpose.clone())).collect()
}

#[tokio::test]
async fn a_command_runs_in_a_place_and_nothing_else_does() {
    let world = World::new();
    let (setup, work) = (Gate::default(), Gate::default());
    world.runner.on("setup", Scripted::exits(0).behind(&setup));
    world.runner.on("execute", Scripted::exits(0).behind(&work));
    let places = world.clone();
    world.workspace.before("snapshot", 1, move |_| {
        assert_eq!(crate::world::now(taken(&places)), [], "the work is put away without a place");
        Ok(())
    });
    let driver = world.process(1).driver;
    let order = world.order(|action| action.worktree.setup = Some(program()));
    let driving = tokio::spawn(async move { driver.run(order, false, PLAINLY).await });
    for gate in [setup, work] {
        gate.reached().await;
        assert_eq!(taken(&world).await, [(1, "execute".to_owned())]);
        gate.open();
    }
    let plan = driving.await.expect("no panic").expect("driven");
    world.check(plan.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_full_house_is_waited_for_before_anything_is_started() {
    let (world, place) = full_house().await;
    let process = world.process(1);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    while !process.notes.have("waiting for a place, taken by 77") {
        tokio::task::yield_now().await;
    }
    tokio::time::advance(Duration::from_hours(10)).await;
    settle().await;
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Queued));
    assert_eq!((world.runner.purposes().len(), world.workspace.opened().len()), (0, 0));
    drop(place);
    assert_eq!(driving.await.expect("no panic").expect("driven").state(), State::Complete);
    world.check(plan).await;
}

#[tokio::test]
async fn who_does_not_wait_is_refused_and_told_who_has_the_places() {
    let (world, place) = full_house().await;
    let process = world.process_waiting(1, world.ports(), Wait::No);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let refused = process.driver.execute(plan).await.expect_err("no place");
    let DriveError::NoPlace { phase: Phase::Execute, census, .. } = refused else { panic!("{refused}") };
    assert_eq!((census.total, census.taken[0].by.pid), (1, 77));
    assert_eq!(at(&world.load(plan).await), (Phase::Execute, State::Queued));
    drop(place);
    assert_eq!(process.driver.execute(plan).await.expect("driven").state(), State::Complete);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn a_bounded_wait_for_a_place_ends() {
    let (world, _place) = full_house().await;
    let wait = Wait::AtMost(Duration::from_mins(1));
    let process = world.process_waiting(1, world.ports(), wait);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    while !process.notes.have("waiting for a place") {
        tokio::task::yield_now().await;
    }
    world.clock.advance(Duration::from_secs(59));
    tokio::time::advance(Duration::from_secs(1)).await;
    settle().await;
    assert!(!driving.is_finished());
    world.clock.advance(Duration::from_secs(1));
    let refused = driving.await.expect("no panic").expect_err("too long");
    assert!(matches!(refused, DriveError::NoPlace { .. }), "{refused}");
}

#[tokio::test(start_paused = true)]
async fn a_stop_while_waiting_for_a_place_changes_nothing() {
    let (world, place) = full_house().await;
    let process = world.process(1);
    let plan = process.driver.create(world.order(|_| ())).await.expect("made").id;
    let driver = process.driver.clone();
    let driving = tokio::spawn(async move { driver.execute(plan).await });
    while !process.notes.have("waiting for a place") {
        tokio::task::yield_now().await;
    }
    let before = world.events(plan).await;
    process.stop.stop();
    let cause = StopCause::Shutdown;
    assert_eq!(driving.await.expect("no panic"), Err(DriveError::Stopped { plan, cause }));
    assert_eq!(world.events(plan).await, before);
    drop(place);
    world.check(plan).await;
}

fn validated(action: &mut agents_domain::action::Action) {
    let (name, program, timeout) = ("lint".to_owned(), program(), None);
    action.validations = vec![ValidationSpec { name, program, timeout, required: true }];
    action.apply.after = Some(self::program());
}

#[tokio::test]
async fn a_check_without_a_place_leaves_the_plan_queued_and_moves_nothing() {
    let (world, place) = full_house().await;
    let plan = {
        let roomy = World { places: MemoryPlaces::new(1), ..world.clone() };
        roomy.executed(validated).await
    };
    let process = world.process_waiting(1, world.ports(), Wait::No);
    let refused = process.driver.apply(plan, PLAINLY).await.expect_err("no place");
    assert!(matches!(refused, DriveError::NoPlace { phase: Phase::Apply, .. }), "{refused}");
    let stored = world.load(plan).await;
    assert_eq!((at(&stored), stored.parked.is_some()), ((Phase::Apply, State::Queued), true));
    assert_eq!((world.workspace.moves(), world.workspace.directories()), (vec![], (0, 0)));
    drop(place);
    assert_eq!(process.driver.apply(plan, PLAINLY).await.expect("driven").state(), State::Applied);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn the_command_for_afterwards_waits_however_impatient_its_driver_is() {
    let world = World { places: MemoryPlaces::new(1), ..World::new() };
    let plan = world.executed(|action| action.apply.after = Some(program())).await;
    let (gate, rival) = (Gate::default(), world.process(2));
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let other = rival.driver.clone();
    let order = world.order(|_| ());
    let running = tokio::spawn(async move { other.run(order, false, PLAINLY).await });
    gate.reached().await;
    let process = world.process_waiting(1, world.ports(), Wait::No);
    let driver = process.driver.clone();
    let applying = tokio::spawn(async move { driver.apply(plan, PLAINLY).await });
    while !process.notes.have("waiting for a place, taken by 2") {
        tokio::task::yield_now().await;
    }
    settle().await;
    assert_eq!(world.load(plan).await.state(), State::Applied, "what has landed has landed");
    gate.open();
    running.await.expect("no panic").expect("driven");
    applying.await.expect("no panic").expect("driven");
    assert_eq!(world.runner.purposes().last().map(String::as_str), Some("after"));
    world.check(plan).await;
}
