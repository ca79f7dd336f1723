//! A process dies at every step of a whole run, and again at every step of whoever carries on.
//!
//! Each time others carry on, as a person or a worker would, until the plan is applied. Whatever
//! the step was: each branch has moved once, the log replays to the plan, later terms have greater
//! tokens, no attempt was made twice, and no lock, directory or command is left. At the moment of
//! each crash no directory is gone whose snapshot the log does not name.

use agents_application::Order;
use agents_application::lifecycle::history::{attempts, works};
use agents_domain::id::PlanId;
use agents_domain::plan::{Phase, Saved, State};
use agents_domain::reads::PlanFilter;
use agents_domain::workspace::Remote;
use rstest::rstest;

use crate::fuse::Fuse;
use crate::world::{Outcome, PLAINLY, Process, World, at, fails, program, spec};

/// Nothing burns it down.
const NEVER: u32 = u32::MAX;

fn order(world: &World) -> Order {
    world.order(|action| {
        action.strategize = Some(spec());
        action.worktree.setup = Some(program());
        action.apply.after = Some(program());
        let (name, program, timeout) = ("lint".to_owned(), program(), None);
        action.validations =
            vec![agents_domain::action::ValidationSpec { name, program, timeout, required: true }];
    })
}

/// The only plan there is, if it was made before the crash.
async fn only_plan(world: &World) -> Option<PlanId> {
    let page = world.store.reads().list(&PlanFilter::default()).await.expect("listed");
    page.plans.first().map(|view| view.record.id)
}

/// What a person does about a plan that has failed.
#[derive(Clone, Copy, PartialEq)]
enum Habit {
    /// Begins anew.
    Anew,
    /// Goes on with what there is.
    GoOn,
}

/// The next command that a person gives; `None`: there is nothing to do.
async fn next_command(world: &World, process: &Process, habit: Habit) -> Option<Outcome> {
    let Some(id) = only_plan(world).await else {
        return Some(process.driver.run(order(world), true, PLAINLY).await);
    };
    let driver = &process.driver;
    let plan = world.load(id).await;
    let left = plan.projects.iter().any(|facts| facts.snapshot.is_some());
    Some(match at(&plan) {
        (Phase::Execute, State::Errored) if left && habit == Habit::GoOn => driver.go_on(id).await,
        (_, State::Applied) => return None,
        (_, State::Processing) => driver.recover(id).await,
        (_, State::Errored | State::Constrained) => driver.retry(id, PLAINLY).await,
        (Phase::Execute, State::Complete) | (Phase::Apply, State::Queued) => driver.apply(id, PLAINLY).await,
        _ => driver.execute(id).await,
    })
}

/// Gives commands until nothing is left to do, or the process dies; true if it lived.
async fn carry_on(world: &World, pid: u32, steps: u32, habit: Habit) -> bool {
    let fuse = Fuse::of(steps);
    let process = world.process_on(pid, world.ports().fused(&fuse));
    let whole = async {
        let mut commands = 0;
        while let Some(outcome) = next_command(world, &process, habit).await {
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
        nothing_is_lost(world, &format!("{steps} steps of {pid}")).await;
    }
    lived
}

/// At any moment: what was made is there, or the log names the snapshot of it.
async fn nothing_is_lost(world: &World, what: &str) {
    let Some(plan) = only_plan(world).await else { return };
    let works = works(&world.events(plan).await);
    for slot in world.workspace.opened() {
        let saved = works.get(&(slot.attempt, slot.project.name.clone()));
        let named = match saved {
            Some(Saved::Snapshot { reference, commit, .. }) => {
                world.workspace.read(&slot.project, reference).as_ref() == Some(commit)
            }
            _ => false,
        };
        assert!(named || world.workspace.has_directory(&slot), "{what}: {slot:?} is in {saved:?}");
    }
}

async fn end_well(world: &World, what: &str) {
    let plan = world.load(only_plan(world).await.expect("made")).await;
    assert_eq!(plan.state(), State::Applied, "{what}");
    let moves = world.workspace.moves();
    for (index, project) in world.projects.iter().enumerate() {
        let its: Vec<_> = moves.iter().filter(|one| one.project == project.name).collect();
        assert_eq!(its.len(), 1, "{what}: {} moves once", project.name);
        assert_eq!(world.target(index), its[0].new, "{what}");
        let tip = plan.projects[index].tip.clone().expect("it made something");
        assert!(world.workspace.contains(&its[0].new, &tip), "{what}: the work is in it");
    }
    assert_eq!(world.workspace.directories().0, 0, "{what}: every directory is put away");
    world.check(plan.id).await;
}

#[rstest]
#[case::at_hand(None)]
#[case::on_a_remote(Some("ssh://far/site.git"))]
#[tokio::test]
async fn a_run_survives_a_crash_at_every_step(#[case] url: Option<&str>) {
    let mut steps = 1;
    loop {
        let mut world = World::with(&["api", "web"]);
        for project in &mut world.projects {
            project.remote = url.map(|url| Remote { url: url.to_owned(), push_snapshots: false });
        }
        let lived = Box::pin(carry_on(&world, 1, steps, Habit::Anew)).await;
        assert!(Box::pin(carry_on(&world, 2, NEVER, Habit::Anew)).await);
        end_well(&world, &format!("crash at step {steps}")).await;
        if lived {
            break;
        }
        steps += 1;
    }
    println!("{} crash points", steps - 1);
    assert!(steps > if url.is_some() { 104 } else { 100 }, "a run has many steps: {steps}");
}

#[tokio::test]
async fn who_carries_on_may_crash_too() {
    let (mut first, mut pairs) = (1, 0);
    loop {
        let mut second = 1;
        let mut whole = false;
        loop {
            let world = World::new();
            whole |= Box::pin(carry_on(&world, 1, first, Habit::Anew)).await;
            let lived = Box::pin(carry_on(&world, 2, second, Habit::Anew)).await;
            assert!(Box::pin(carry_on(&world, 3, NEVER, Habit::Anew)).await);
            end_well(&world, &format!("crashes at steps {first} and {second}")).await;
            if lived {
                break;
            }
            (second, pairs) = (second + 1, pairs + 1);
        }
        if whole {
            break;
        }
        // A prime stride meets every kind of step, with every step of the second process.
        first += 7;
    }
    println!("{pairs} pairs of crash points");
    assert!(pairs > 500, "{pairs}");
}

/// Every piece of unfinished work that the log names is in what landed.
async fn nothing_was_begun_anew(world: &World, what: &str) {
    let plan = only_plan(world).await.expect("made");
    let mut pieces = 0;
    for attempt in attempts(&world.events(plan).await).iter().filter(|one| one.phase == Phase::Execute) {
        for work in attempt.end.iter().flat_map(|end| &end.work) {
            let index = world.projects.iter().position(|project| project.name == work.project);
            let Saved::Snapshot { commit, .. } = &work.saved else { panic!("{what}: {work:?}") };
            let landed = world.target(index.expect("its own"));
            assert!(world.workspace.contains(&landed, commit), "{what}: {attempt:?} is not in {landed}");
            pieces += 1;
        }
    }
    assert!(pieces > world.projects.len(), "{what}: some work was unfinished");
}

#[tokio::test]
async fn who_goes_on_with_unfinished_work_loses_none_of_it_wherever_it_crashes() {
    let mut steps = 1;
    loop {
        let world = World::with(&["api", "web"]);
        world.runner.on("execute", fails(3));
        let lived = Box::pin(carry_on(&world, 1, steps, Habit::GoOn)).await;
        assert!(Box::pin(carry_on(&world, 2, NEVER, Habit::GoOn)).await);
        let what = format!("crash at step {steps}");
        end_well(&world, &what).await;
        nothing_was_begun_anew(&world, &what).await;
        if lived {
            break;
        }
        steps += 1;
    }
    println!("{} crash points", steps - 1);
    assert!(steps > 130, "a run with a retry has many steps: {steps}");
}

#[tokio::test]
async fn who_goes_on_for_the_second_time_loses_nothing_either() {
    let mut first = 1;
    let mut pairs = 0;
    loop {
        let mut whole = false;
        let mut second = 1;
        loop {
            let world = World::new();
            world.runner.on("execute", fails(3));
            whole |= Box::pin(carry_on(&world, 1, first, Habit::GoOn)).await;
            let lived = Box::pin(carry_on(&world, 2, second, Habit::GoOn)).await;
            assert!(Box::pin(carry_on(&world, 3, NEVER, Habit::GoOn)).await);
            let what = format!("crashes at steps {first} and {second}");
            end_well(&world, &what).await;
            nothing_was_begun_anew(&world, &what).await;
            if lived {
                break;
            }
            (second, pairs) = (second + 3, pairs + 1);
        }
        if whole {
            break;
        }
        first += 11;
    }
    println!("{pairs} pairs of crash points");
    assert!(pairs > 200, "{pairs}");
}
