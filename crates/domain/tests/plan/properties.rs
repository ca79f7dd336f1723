//! Properties over random histories: total, one step a version, the table obeyed, ends final,
//! and the log as good as the plan.

use std::sync::LazyLock;

use agents_domain::plan::{Change, Phase, Plan, Stage, State, Step, next, replay, target};
use proptest::prelude::*;
use proptest::strategy::ValueTree;

use crate::support::{Story, at, samples};

/// Made once: there are many, and they are looked through at every step.
static SAMPLES: LazyLock<Vec<Change>> = LazyLock::new(samples);

/// Which change is tried: any at all, or one that the table allows, so that stories get far.
#[derive(Debug, Clone, Copy)]
enum Pick {
    Any(usize),
    Legal(usize),
}

fn picks() -> impl Strategy<Value = Vec<Pick>> {
    let pick =
        prop_oneof![1 => any::<usize>().prop_map(Pick::Any), 3 => any::<usize>().prop_map(Pick::Legal)];
    proptest::collection::vec(pick, 1..120)
}

fn choose(pick: Pick, plan: &Plan) -> Change {
    match pick {
        Pick::Any(n) => SAMPLES[n % SAMPLES.len()].clone(),
        Pick::Legal(n) => {
            let (n, dice) = (n / 256, n % 256);
            // What ends a story, leads back or leads nowhere is rare: else few would get far.
            let is_rare = |change: &Change| match change {
                Change::Cancelled { .. } => dice % 32 != 0,
                Change::Reverted { .. } => dice % 16 != 1,
                _ => target(change.verb(), plan.stage) == Some(plan.stage) && dice % 4 != 2,
            };
            let is_legal = |change: &Change| target(change.verb(), plan.stage).is_some();
            let legal: Vec<&Change> = SAMPLES.iter().filter(|c| is_legal(c) && !is_rare(c)).collect();
            legal.get(n % legal.len().max(1)).map_or(&SAMPLES[n % 20], |change| *change).clone()
        }
    }
}

/// What must hold of one decision.
fn check(before: &Plan, change: &Change, after: &Plan) -> Result<(), TestCaseError> {
    prop_assert_eq!(after.version, before.version + 1);
    prop_assert_eq!(Some(after.stage), target(change.verb(), before.stage));
    prop_assert!(!before.state().is_terminal(), "{} was left by {:?}", before.stage, change);
    let started = u32::from(matches!(change, Change::PhaseStarted { .. }));
    prop_assert_eq!(after.attempt, before.attempt + started);
    prop_assert!(after.reversion_count <= 3);
    prop_assert!(!after.resumes() || after.phase() == Phase::Execute, "unfinished work in {}", after.stage);
    prop_assert!(after.state() != State::Applied || !after.landing_is_open());
    let landed = |plan: &Plan| plan.landings().filter(|landing| landing.landed).count();
    prop_assert!(landed(after) >= landed(before), "a landing was forgotten");
    check_subplans(before, change, after)?;
    prop_assert_eq!(Plan::from_storage(after.clone().into_record()), Ok(after.clone()));
    Ok(())
}

/// What must hold of a child, and of a plan that has children.
fn check_subplans(before: &Plan, change: &Change, after: &Plan) -> Result<(), TestCaseError> {
    prop_assert_eq!(after.parent(), before.parent());
    let failures = |plan: &Plan| plan.subplan.as_ref().map(|subplan| subplan.failures);
    let failed = matches!(change, Change::PhaseFailed { .. }) && before.phase() != Phase::Apply;
    let anew = matches!(change, Change::Retried { anew: true, .. } | Change::Reverted { .. });
    let expected = |before: u32| if anew { 0 } else { before + u32::from(failed) };
    prop_assert_eq!(failures(after), failures(before).map(expected), "after {:?}", change);
    let given_up = matches!(change, Change::Cancelled { given_up: Some(_), .. });
    prop_assert_eq!(after.given_up().is_some(), given_up && after.parent().is_some());
    let scheduling = after.last_attempt.as_ref().is_some_and(|attempt| !attempt.commanded);
    if scheduling && (after.phase(), after.state()) == (Phase::Execute, State::Processing) {
        prop_assert!(after.projects.iter().all(|project| project.tip.is_some()), "children land nowhere");
    }
    Ok(())
}

proptest! {
    #[test]
    fn every_history_keeps_the_promises(picks in picks(), is_child in any::<bool>()) {
        let mut story = if is_child { Story::child() } else { Story::new() };
        for pick in picks {
            let change = choose(pick, &story.plan);
            match story.try_change(&change) {
                Ok(Step::Moved(after)) => {
                    check(&story.plan, &change, &after)?;
                    story.go(change);
                }
                Ok(Step::AlreadySo) => {}
                Err(refusal) => {
                    prop_assert_eq!((refusal.plan, refusal.verb), (story.plan.id, change.verb()));
                    prop_assert_eq!(refusal.stage, story.plan.stage);
                    prop_assert!(!refusal.reason.is_empty());
                }
            }
        }
        prop_assert_eq!(replay(&story.events), Ok(story.plan));
    }

    #[test]
    fn any_change_at_any_stored_stage_is_decided_without_a_panic(stage in 0usize..16, n in any::<usize>()) {
        let mut record = Story::applying([]).plan.into_record();
        record.stage = Stage::all().nth(stage).expect("16 stages");
        record.failure = Some(crate::support::failure("x"));
        let plan = Plan::from_storage(record).expect("every stage, with all its facts");
        let change = &SAMPLES[n % SAMPLES.len()];
        let moved = matches!(next(&plan, change, at(9)), Ok(Step::Moved(_)));
        prop_assert!(!moved || target(change.verb(), plan.stage).is_some());
    }
}

#[test]
fn the_random_histories_do_reach_both_ends() {
    let mut runner = proptest::test_runner::TestRunner::deterministic();
    let mut ends = std::collections::BTreeSet::new();
    for _ in 0..800 {
        let picks = picks().new_tree(&mut runner).expect("a tree").current();
        let mut plan = Story::new().plan;
        for pick in picks {
            if let Ok(Step::Moved(after)) = next(&plan, &choose(pick, &plan), at(1)) {
                plan = after;
            }
        }
        ends.insert(plan.state());
    }
    assert!(ends.contains(&State::Applied) && ends.contains(&State::Cancelled), "{ends:?}");
}
