//! A scheduler dies at every step, and whoever drives its plan next carries on.
//!
//! Whatever the step was: no child's command runs twice in an attempt, what has finished is never
//! run again, each child's work is merged once, and the parent comes to its end.

use agents_application::Order;
use agents_domain::action::SubplanSpec;
use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Phase, State};
use agents_domain::reads::PlanFilter;
use agents_domain::subplan::{Mode, Settings};
use agents_infrastructure::scripted::{Gate, Scripted};

use super::tree::{item, item_of, items, once};
use crate::fuse::Fuse;
use crate::world::{Outcome, PLAINLY, Process, World, at, code, fails, spec};

/// Nothing burns it down.
const NEVER: u32 = u32::MAX;

/// Two children, one after the other, of which the second fails once; and a command of its own.
fn plain(world: &World) -> Order {
    world.order(|action| {
        action.execute = Some(spec());
        let settings = Settings { mode: Mode::Dependency, ..Settings::default() };
        action.subplans = Some(SubplanSpec { settings, items: vec![item("a", &[]), item("b", &["a"])] });
    })
}

/// A child that has one itself, beside another.
fn nested(world: &World) -> Order {
    world.store_action("nest", |action| {
        action.execute = None;
        let settings = Settings { mode: Mode::Parallel, ..Settings::default() };
        action.subplans = Some(SubplanSpec { settings, items: items(&["x"]) });
    });
    world.order(|action| {
        action.execute = None;
        let settings = Settings { mode: Mode::Parallel, ..Settings::default() };
        action.subplans =
            Some(SubplanSpec { settings, items: vec![item_of("n", "nest", &[]), item("b", &[])] });
    })
}

async fn root(world: &World) -> Option<PlanId> {
    let page = world.store.reads().list(&PlanFilter::default()).await.expect("listed");
    page.plans.first().map(|view| view.record.id)
}

/// The next command that a person gives; `None`: there is nothing to do.
async fn next_command(world: &World, process: &Process, order: fn(&World) -> Order) -> Option<Outcome> {
    let Some(id) = root(world).await else {
        return Some(process.driver.run(order(world), true, PLAINLY).await);
    };
    let driver = &process.driver;
    Some(match at(&world.load(id).await) {
        (_, State::Applied) => return None,
        // Nothing but new attempts for those that failed leads on.
        (_, State::Errored) if code(&world.load(id).await) == "subplans_failed" => return None,
        (Phase::Strategize | Phase::Apply, State::Processing) => driver.recover(id).await,
        (_, State::Errored | State::Constrained) => {
            // If that was a conflict, it is resolved.
            world.workspace.conflict(&world.projects[0], &[]);
            driver.retry(id, PLAINLY).await
        }
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => driver.apply(id, PLAINLY).await,
        // Who only ran children is followed by one that carries on; who ran more is interrupted.
        _ => match driver.execute(id).await {
            Err(_) if world.load(id).await.state() == State::Errored => driver.retry(id, PLAINLY).await,
            outcome => outcome,
        },
    })
}

/// Gives commands until nothing is left to do, or the process dies; true if it lived.
async fn carry_on(world: &World, pid: u32, steps: u32, order: fn(&World) -> Order) -> bool {
    let fuse = Fuse::of(steps);
    let process = world.process_on(pid, world.ports().fused(&fuse));
    let whole = async {
        let mut commands = 0;
        while let Some(outcome) = next_command(world, &process, order).await {
            outcome.unwrap_or_else(|error| panic!("{steps} steps of {pid}: {error}"));
            commands += 1;
            assert!(commands < 9, "{steps} steps of {pid}: it goes round in circles");
        }
    };
    let lived = tokio::select! {
        biased;
        () = whole => true,
        () = fuse.blown() => false,
    };
    if !lived {
        world.dies(pid);
    }
    lived
}

async fn end_well(world: &World, what: &str) {
    let id = root(world).await.expect("made");
    let below = world.below(id).await;
    assert_eq!(world.load(id).await.state(), State::Applied, "{what}");
    for child in &below {
        assert_eq!(child.state(), State::Applied, "{what}: {:?}", child.name);
        let events = world.events(child.id).await;
        let executed = |phase: &mut Phase, change: &Change| {
            if let Change::PhaseAdvanced { to } = change {
                *phase = *to;
            }
            *phase == Phase::Execute && matches!(change, Change::PhaseCompleted { .. })
        };
        let mut phase = Phase::Strategize;
        let times = events.iter().filter(|event| executed(&mut phase, &event.change)).count();
        assert_eq!(times, 1, "{what}: {:?} has done its work once", child.name);
        let tip = child.projects[0].tip.clone().expect("made");
        assert!(world.workspace.contains(&world.target(0), &tip), "{what}: it is in what landed");
    }
    assert_eq!(world.workspace.moves().len(), below.len() + 1, "{what}: each branch moves once for each");
    assert_eq!(world.workspace.directories().0, 0, "{what}: every directory is put away");
    world.check_tree(id).await;
}

/// How many steps there were at which the first process died; `stride`: of so many one.
async fn survives(order: fn(&World) -> Order, script: fn(&World), stride: usize) -> usize {
    let mut points = 0;
    for steps in (1..).step_by(stride) {
        let world = World::of_families();
        script(&world);
        let lived = Box::pin(carry_on(&world, 1, steps, order)).await;
        assert!(Box::pin(carry_on(&world, 2, NEVER, order)).await);
        Box::pin(end_well(&world, &format!("crash at step {steps}"))).await;
        if lived {
            break;
        }
        points += 1;
    }
    points
}

#[tokio::test]
async fn a_family_survives_a_crash_of_its_scheduler_at_every_step() {
    let points = survives(plain, |world| world.runner.on_plan("b", "execute", fails(3)), 1).await;
    assert!(points > 200, "a family has many steps: {points}");
}

#[tokio::test]
async fn a_family_of_families_survives_a_crash_at_every_step() {
    let points = survives(nested, |_| (), 1).await;
    assert!(points > 200, "a family has many steps: {points}");
}

#[tokio::test]
async fn a_conflict_two_levels_down_survives_a_crash_at_every_step_before_and_after_it_is_resolved() {
    let conflicts = |world: &World| world.workspace.conflict(&world.projects[0], &["src/lib.rs"]);
    let points = survives(nested, conflicts, 3).await;
    assert!(points > 100, "a family has many steps: {points}");
}

/// The first failure ends all.
fn hasty(world: &World) -> Order {
    let settings = Settings { fail_fast: true, ..once(Mode::Parallel) };
    world.family_order(settings, items(&["slow", "bad"]))
}

/// Once the failure is on record nothing of the other one is run to its end, or merged.
#[tokio::test]
async fn a_failure_that_ends_all_survives_a_crash_at_every_step() {
    let (mut points, mut decided) = (0, 0);
    loop {
        points += 1;
        let world = World::of_families();
        // Only where the first process runs it; whoever ran it again would succeed.
        world.gate("slow", Scripted::exits(0));
        (0..3).for_each(|_| world.runner.on_plan("bad", "execute", fails(3)));
        let lived = Box::pin(carry_on(&world, 1, points, hasty)).await;
        let what = format!("crash at step {points}");
        let has_failed = match root(&world).await {
            Some(id) => world.below(id).await.iter().any(|child| code(child) == "exit_code"),
            None => false,
        };
        decided += u32::from(has_failed);
        assert!(Box::pin(carry_on(&world, 2, NEVER, hasty)).await);
        let id = root(&world).await.expect("made");
        assert_eq!(code(&world.load(id).await), "subplans_failed", "{what}");
        assert_eq!(world.child(id, "bad").await.state(), State::Errored, "{what}");
        if has_failed {
            assert_eq!(world.child(id, "slow").await.state(), State::Cancelled, "{what}");
            assert_eq!(world.workspace.moves(), [], "{what}");
        }
        world.check_answers(id).await;
        world.check_tree(id).await;
        if lived {
            break;
        }
    }
    println!("{points} crash points, {decided} after the failure");
    assert!(decided > 20, "a failure has many steps: {decided} of {points}");
}

/// A family with little to do.
fn small(world: &World) -> Order {
    world.family_order(Settings { mode: Mode::Parallel, ..Settings::default() }, items(&["a"]))
}

/// The first process dies at some of its steps, and whoever carries on at some of its own.
#[tokio::test]
async fn a_family_survives_that_whoever_carries_on_dies_too() {
    /// Each pair costs as much as a whole family; primes, so that all kinds of steps meet.
    const STRIDES: (usize, usize) = (7, 11);
    let mut pairs = 0;
    for first in (1..).step_by(STRIDES.0) {
        let mut lived = true;
        for second in (1..).step_by(STRIDES.1) {
            let world = World::of_families();
            lived = Box::pin(carry_on(&world, 1, first, small)).await;
            let carried = Box::pin(carry_on(&world, 2, second, small)).await;
            assert!(Box::pin(carry_on(&world, 3, NEVER, small)).await);
            Box::pin(end_well(&world, &format!("crashes at steps {first} and {second}"))).await;
            pairs += 1;
            if lived || carried {
                break;
            }
        }
        if lived {
            break;
        }
    }
    println!("{pairs} pairs of crashes");
    assert!(pairs > 100, "a family has many steps: {pairs}");
}

/// A parent whose driver dies while `a` runs.
async fn dead(world: &World) -> PlanId {
    let (fuse, gate) = (Fuse::of(NEVER), Gate::default());
    world.runner.on_plan("a", "execute", Scripted::exits(0).behind(&gate));
    let process = world.process_on(1, world.ports().fused(&fuse));
    let order = world.family_order(Settings::default(), items(&["a"]));
    tokio::select! {
        biased;
        ended = process.driver.run(order, false, PLAINLY) => panic!("it waits at the gate: {ended:?}"),
        () = gate.reached() => fuse.blow(),
    }
    world.dies(1);
    root(world).await.expect("made")
}

#[tokio::test]
async fn execute_carries_on_the_same_attempt() {
    let world = World::of_families();
    let id = dead(&world).await;
    let before = world.load(id).await;
    assert_eq!(at(&before), (Phase::Execute, State::Processing));
    let process = world.process(2);
    let parent = process.driver.execute(id).await.expect("carried on");
    assert_eq!((at(&parent), parent.attempt), ((Phase::Execute, State::Complete), before.attempt));
    assert!(world.log(id).await.contains(&"plan.adopted"));
    assert!(process.notes.have("carried on for a driver that is gone"));
    let child = world.child(id, "a").await;
    assert_eq!((child.subplan.clone().expect("it is one").failures, world.started().len()), (0, 2));
    world.check_tree(id).await;
}

#[tokio::test]
async fn who_has_not_come_to_drive_does_not_adopt() {
    for command in ["recover", "cancel", "revert"] {
        let world = World::of_families();
        let id = dead(&world).await;
        let driver = world.process(2).driver;
        let outcome = match command {
            "recover" => driver.recover(id).await,
            "cancel" => driver.cancel(id, None, false).await,
            _ => driver.revert(id, None).await,
        };
        let plan = outcome.unwrap_or_else(|error| panic!("{command}: {error}"));
        let log = world.log(id).await;
        assert!(log.contains(&"plan.interrupted") && !log.contains(&"plan.adopted"), "{command}: {log:?}");
        assert_eq!(world.started().len(), 1, "{command}: nothing runs");
        let end = match command {
            "recover" => State::Errored,
            "cancel" => State::Cancelled,
            _ => State::Queued,
        };
        assert_eq!(plan.state(), end, "{command}");
        world.check(id).await;
    }
}

/// A scheduler died after its decision to merge `a`, before the branch moved.
#[tokio::test]
async fn cancelling_over_an_open_merge_finishes_it_and_gives_up_the_rest() {
    let world = World::of_families();
    let fuse = Fuse::of(NEVER);
    let process = world.process_on(1, world.ports().fused(&fuse));
    let (dying, burning) = (world.clone(), fuse.clone());
    world.workspace.before("land", 1, move |_| {
        burning.blow();
        dying.dies(1);
        Err(crate::world::git_error())
    });
    let order =
        world.family_order(Settings { mode: Mode::Sequential, ..Settings::default() }, items(&["a", "b"]));
    tokio::select! {
        biased;
        ended = process.driver.run(order, false, PLAINLY) => panic!("it dies: {ended:?}"),
        () = fuse.blown() => {}
    }
    let id = root(&world).await.expect("made");
    assert!(world.child(id, "a").await.landing_is_open());
    let cancelled = world.process(2).driver.cancel(id, None, false).await.expect("cancelled");
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(world.states(id).await, [State::Applied, State::Cancelled]);
    world.check_tree(id).await;
}

/// The branch could not be moved when it had been decided to; nobody died.
#[tokio::test]
async fn cancelling_over_a_merge_that_was_decided_and_failed_finishes_it_and_gives_up_the_rest() {
    let world = World::of_families();
    world.workspace.fail("land", 1, crate::world::git_error());
    let settings = Settings { mode: Mode::Sequential, ..Settings::default() };
    let process = world.process(1);
    let parent = world.drive_family(&process, settings, items(&["a", "b"])).await;
    assert_eq!((parent.phase(), parent.state()), (Phase::Execute, State::Errored));
    let torn = world.child(parent.id, "a").await;
    assert!(torn.landing_is_open() && torn.state() == State::Errored, "{}", torn.stage);
    let cancelled = process.driver.cancel(parent.id, None, false).await.expect("cancelled");
    assert_eq!(cancelled.state(), State::Cancelled);
    assert_eq!(world.states(parent.id).await, [State::Applied, State::Cancelled]);
    world.check_tree(parent.id).await;
}
