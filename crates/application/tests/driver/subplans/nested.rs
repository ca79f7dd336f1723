//! Children of children.

use std::time::Duration;

use agents_domain::action::SubplanSpec;
use agents_domain::files::Later;
use agents_domain::plan::{Phase, Plan, State};
use agents_domain::subplan::{Mode, Settings};
use agents_infrastructure::scripted::Scripted;

use super::tree::{item, item_of, items, once};
use crate::world::{PLAINLY, Process, World, at, code, fails};

impl World {
    /// Stores an action whose plans have these children, and do nothing else.
    pub(super) fn nest(&self, name: &str, settings: Settings, names: &[&str], of: &str) {
        self.store_action(name, |action| {
            action.execute = None;
            let items = names.iter().map(|name| item_of(name, of, &[])).collect();
            action.subplans = Some(SubplanSpec { settings, items });
        });
    }
}

#[tokio::test]
async fn children_nest_as_deep_as_they_may_and_no_deeper() {
    for (depth, end) in [(5, State::Complete), (6, State::Errored)] {
        let world = World::of_families();
        let mut below = "work".to_owned();
        for level in (2..=depth).rev() {
            let name = format!("level-{level}");
            world.nest(&name, once(Mode::Sequential), &[&format!("at-{level}")], &below);
            below = name;
        }
        let process = world.process(1);
        let parent =
            world.drive_family(&process, once(Mode::Parallel), vec![item_of("at-1", &below, &[])]).await;
        assert_eq!(at(&parent), (Phase::Execute, end), "{depth}: {:?}", parent.failure);
        let family = world.below(parent.id).await;
        let deepest = family.last().expect("there are some");
        assert_eq!((family.len(), deepest.subplan.clone().expect("it is one").depth), (5, 5));
        assert_eq!(deepest.subplan.clone().expect("it is one").root, parent.id);
        if end == State::Errored {
            assert_eq!((at(deepest), code(deepest)), ((Phase::Strategize, State::Errored), "subplans"));
            let said = deepest.failure.clone().expect("said").message;
            assert!(said.contains("depth 6 are deeper than the 5 levels"), "{said}");
        }
        world.check_tree(parent.id).await;
    }
}

#[tokio::test]
async fn the_work_of_a_leaf_comes_up_to_the_root() {
    let world = World::of_families();
    world.nest("nest", once(Mode::Parallel), &["x", "y"], "work");
    let process = world.process(1);
    let wanted = vec![item_of("n", "nest", &[]), item_of("m", "nest", &[])];
    let parent = world.drive_family(&process, once(Mode::Parallel), wanted).await;
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    let tip = parent.projects[0].tip.clone().expect("made");
    let below = world.below(parent.id).await;
    assert_eq!(below.len(), 6);
    for plan in below {
        assert!(
            world.workspace.contains(&tip, &plan.projects[0].tip.clone().expect("made")),
            "{:?}",
            plan.name
        );
    }
    assert_eq!(world.workspace.moves().len(), 6);
    world.check_tree(parent.id).await;
}

/// What a command says about being run again is a question.
fn asks(world: &World, name: &str) {
    world.runner.on_plan(name, "execute", fails(75));
    world.files.commands_say(Some(Later::Answer { question: "which one?".to_owned() }));
}

#[tokio::test]
async fn a_question_deep_below_parks_all_above_it_once_and_the_answer_goes_on() {
    let world = World::of_families();
    world.nest("nest", once(Mode::Parallel), &["x"], "work");
    asks(&world, "x");
    let process = world.process(1);
    let parent = world.drive_family(&process, once(Mode::Parallel), vec![item_of("n", "nest", &[])]).await;
    assert_eq!(at(&parent), (Phase::Execute, State::Queued));
    let leaf = world.child(parent.id, "x").await;
    let cause = parent.parked.clone().expect("it waits").cause;
    assert!(cause.contains("which one?") && cause.contains(leaf.id.as_str()), "{cause}");
    let nested = world.child(parent.id, "n").await;
    assert_eq!((nested.attempt, world.started().len()), (2, 1), "it is asked about once");
    process.driver.lifecycle().prompt(leaf.id, "the second".into()).await.expect("answered");
    let parent = process.driver.execute(parent.id).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    world.check_tree(parent.id).await;
}

#[tokio::test(start_paused = true)]
async fn a_nested_parent_that_runs_out_of_time_stops_what_it_runs_and_is_tried_again() {
    let world = World::of_families();
    world.nest("nest", once(Mode::Parallel), &["x"], "work");
    let gate = world.gate("x", Scripted::exits(0));
    let limit = Duration::from_mins(1);
    let settings = Settings { timeout: Some(limit), max_retries: 1, ..Settings::default() };
    let driving = world.spawn_family(&world.process(1), settings, vec![item_of("n", "nest", &[])]);
    gate.reached().await;
    world.clock.advance(limit);
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    let nested = world.child(parent.id, "n").await;
    assert_eq!(nested.subplan.clone().expect("it is one").failures, 1);
    let leaf = world.child(parent.id, "x").await;
    assert_eq!(leaf.subplan.clone().expect("it is one").failures, 0, "it was interrupted");
    assert_eq!(world.started(), ["x", "x"]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn fail_fast_gives_up_all_that_is_below_a_child() {
    let world = World::of_families();
    world.nest("nest", once(Mode::Parallel), &["x", "y"], "work");
    let gates = ["x", "y"].map(|name| world.gate(name, Scripted::exits(0)));
    let bad = world.gate("bad", fails(3));
    let settings = Settings { fail_fast: true, ..once(Mode::Parallel) };
    let wanted = vec![item_of("n", "nest", &[]), items(&["bad"]).remove(0)];
    let driving = world.spawn_family(&world.process(1), settings, wanted);
    gates[0].reached().await;
    gates[1].reached().await;
    bad.reached().await;
    bad.open();
    let parent = driving.await.expect("no panic").expect("driven");
    assert_eq!(world.states(parent.id).await, [State::Cancelled, State::Errored]);
    let nested = world.child(parent.id, "n").await.id;
    assert_eq!(world.states(nested).await, [State::Cancelled; 2]);
    world.check_tree(parent.id).await;
}

/// A root whose child's child conflicts, and a sibling that waits for that child.
async fn torn_below(world: &World, process: &Process) -> Plan {
    world.nest("nest", once(Mode::Parallel), &["x"], "work");
    world.workspace.conflict(&world.projects[0], &["src/lib.rs"]);
    let wanted = vec![item_of("n", "nest", &[]), item("after", &["n"])];
    let settings = Settings { max_retries: 2, ..once(Mode::Dependency) };
    let parent = world.drive_family(process, settings, wanted).await;
    let nested = world.child(parent.id, "n").await;
    assert_eq!((code(&parent), code(&nested)), ("conflict", "conflict"));
    assert_eq!(nested.attempt, 2, "strategize and execute: it is not tried again by itself");
    assert_eq!(world.states(parent.id).await, [State::Errored, State::Queued], "what follows waits");
    let failure = parent.failure.clone().expect("said");
    for part in ["`n`", "`x`", "src/lib.rs"] {
        assert!(failure.message.contains(part), "{part}: {}", failure.message);
    }
    let (hint, why) = (failure.hint.expect("there is a way on"), format!("agents plan why {}", nested.id));
    assert!(hint.contains(&why) && hint.ends_with(&format!("agents plan retry {}", parent.id)), "{hint}");
    world.check_tree(parent.id).await;
    parent
}

#[tokio::test]
async fn a_conflict_deep_below_is_one_of_the_root_and_goes_on_from_there() {
    let world = World::of_families();
    let process = world.process(1);
    let parent = torn_below(&world, &process).await;
    let again = process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!((code(&again), world.started().len()), ("conflict", 1), "nobody has resolved it");
    world.workspace.conflict(&world.projects[0], &[]);
    let parent = world.process(2).driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    assert_eq!(world.states(parent.id).await, [State::Applied; 2]);
    assert_eq!(world.started(), ["x", "after"]);
    world.check_tree(parent.id).await;
}

#[tokio::test]
async fn a_conflict_below_is_resolved_below_and_then_goes_on_above() {
    let world = World::of_families();
    let process = world.process(1);
    let parent = torn_below(&world, &process).await;
    world.workspace.conflict(&world.projects[0], &[]);
    let nested = world.child(parent.id, "n").await;
    let nested = process.driver.retry(nested.id, PLAINLY).await.expect("driven");
    assert_eq!(at(&nested), (Phase::Execute, State::Complete), "{:?}", nested.failure);
    let parent = process.driver.retry(parent.id, PLAINLY).await.expect("driven");
    assert_eq!(at(&parent), (Phase::Execute, State::Complete), "{:?}", parent.failure);
    world.check_tree(parent.id).await;
}
