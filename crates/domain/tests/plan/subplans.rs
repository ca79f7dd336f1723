//! Children and their parents: what counts as a failure, where children land, what is refused.

use agents_domain::plan::{Change, InterruptCause, Phase, State};
use agents_domain::subplan::GivenUp;
use rstest::rstest;

use crate::support::{
    Story, adopt, advance, cancel, complete, conflict, fail, give_up, interrupt, merge, park, plan_id,
    prompt, revert, spawn, start, start_from, try_again,
};

fn failures(story: &Story) -> u32 {
    story.plan.subplan.as_ref().expect("a child").failures
}

/// Where the plan branches are, by the digits of their commits.
fn tips(story: &Story) -> Vec<Option<char>> {
    let digit = |oid: &agents_domain::oid::Oid| oid.as_str().chars().next();
    story.plan.projects.iter().map(|project| project.tip.as_ref().and_then(digit)).collect()
}

/// A plan whose attempt at execute is about its children.
fn scheduling() -> Story {
    Story::of([start(), complete(), advance(Phase::Execute), start_from('9', false)])
}

#[test]
fn a_child_knows_whose_it_is_and_a_plan_of_its_own_is_nobodys() {
    let (child, own) = (Story::child().plan, Story::new().plan);
    assert_eq!((child.parent(), own.parent()), (Some(plan_id(2)), None));
    assert_eq!((child.given_up(), own.given_up()), (None, None));
}

#[test]
fn attempts_of_a_child_that_fail_are_counted() {
    let mut story = Story::child().and([start(), fail("a"), try_again(), start(), fail("b")]);
    assert_eq!(failures(&story), 2);
    story.go(try_again()).go(start()).go(complete());
    assert_eq!(failures(&story), 2, "a success takes nothing back");
    story.go(advance(Phase::Execute)).go(start()).go(fail("c"));
    assert_eq!(failures(&story), 3, "the phases count together");
}

#[rstest]
#[case::interrupted(interrupt(InterruptCause::OwnerDied))]
#[case::shut_down(interrupt(InterruptCause::Shutdown))]
#[case::parked(park(None))]
#[case::asking(park(Some("which?")))]
fn what_is_no_failure_of_a_childs_is_not_counted(#[case] end: Change) {
    assert_eq!(failures(&Story::child().and([start(), end])), 0);
}

#[test]
fn what_goes_wrong_in_its_merge_is_not_counted() {
    let road = [start(), complete(), advance(Phase::Execute), start(), complete(), advance(Phase::Apply)];
    let story = Story::child().and(road).and([start(), fail("conflict")]);
    assert_eq!((story.plan.state(), failures(&story)), (State::Errored, 0));
}

#[test]
fn a_person_gives_a_child_all_its_attempts_anew_and_its_scheduler_does_not() {
    let failed = || Story::child().and([start(), fail("a"), try_again(), start(), fail("b")]);
    assert_eq!(failures(&failed().and([try_again()])), 2);
    assert_eq!(failures(&failed().and([Change::retried()])), 0);
    assert_eq!(failures(&failed().and([revert("otherwise")])), 0);
}

#[test]
fn a_plan_of_its_own_has_no_failures_to_count() {
    let plan = Story::of([start(), fail("a"), Change::retried(), start(), fail("b"), revert("c")]).plan;
    assert_eq!(plan.subplan, None);
}

#[rstest]
#[case(GivenUp::Skipped { by: "api".to_owned() }, "skipped: `api` did not succeed")]
#[case(GivenUp::FailFast { by: "web".to_owned() }, "stopped: `web` failed, and `fail_fast` is set")]
fn why_a_child_was_given_up_is_recorded(#[case] given_up: GivenUp, #[case] reason: &str) {
    let story = Story::child().and([give_up(given_up.clone())]);
    assert_eq!((story.plan.state(), story.plan.given_up()), (State::Cancelled, Some(&given_up)));
    assert_eq!(story.plan.cancel_reason.as_deref(), Some(reason));
}

#[test]
fn a_child_that_a_person_cancelled_was_not_given_up() {
    assert_eq!(Story::child().and([cancel(false)]).plan.given_up(), None);
}

#[test]
fn children_land_where_the_attempt_begins() {
    assert_eq!(tips(&Story::of([start_from('4', false)])), [None, None], "strategize has no children");
    let strategized = || Story::of([start_from('4', true), complete(), advance(Phase::Execute)]);
    assert_eq!(tips(&strategized().and([start_from('5', true)])), [None, None], "its own command moves it");
    let story = strategized().and([start_from('5', false)]);
    assert_eq!(tips(&story), [Some('4'), Some('4')], "the base is sealed already");
}

#[test]
fn an_attempt_about_children_begins_where_the_one_before_it_was() {
    let story =
        scheduling().and([merge(&[("api", '5')]), fail("x"), Change::retried(), start_from('7', false)]);
    assert_eq!(tips(&story), [Some('5'), Some('0')]);
}

#[test]
fn the_work_of_a_child_moves_the_branches_it_is_merged_into() {
    let mut story = scheduling();
    story.go(merge(&[("web", '6')]));
    assert_eq!(tips(&story), [Some('0'), Some('6')]);
    story.go(merge(&[]));
    assert_eq!(tips(&story), [Some('0'), Some('6')], "a child that only read moves nothing");
    story.go(merge(&[("api", '7'), ("web", '8')]));
    assert_eq!(tips(&story), [Some('7'), Some('8')]);
    let refusal = story.refusal(&merge(&[("api", '9'), ("elsewhere", '9')]));
    assert_eq!(refusal.reason, "local/elsewhere is not one of its projects");
}

#[test]
fn a_conflict_changes_nothing_but_the_log() {
    let story = scheduling();
    let after = story.clone().and([conflict()]).plan.into_record();
    let mut expected = story.plan.into_record();
    (expected.version, expected.updated_at) = (after.version, after.updated_at);
    assert_eq!(after, expected);
}

#[test]
fn once_its_own_command_runs_an_attempt_is_not_carried_on() {
    let mut story = scheduling();
    story.go(adopt(2)).go(Change::CommandStarted);
    let attempt = story.plan.last_attempt.clone().expect("an attempt");
    assert!(attempt.commanded);
    assert_eq!(story.plan.attempt, 2, "it is no attempt of its own");
    assert!(story.refusal(&adopt(3)).reason.starts_with("its command ran already"));
    let twice = story.refusal(&Change::CommandStarted);
    assert_eq!(twice.reason, "a command of its own runs in this attempt already");
    story.go(fail("x")).go(Change::retried()).go(start_from('0', false)).go(Change::CommandStarted);
}

#[test]
fn an_attempt_that_began_with_its_command_does_not_begin_it_again() {
    let refusal = Story::executing([]).refusal(&Change::CommandStarted);
    assert_eq!(refusal.reason, "a command of its own runs in this attempt already");
}

#[test]
fn a_plan_gets_children_before_it_runs_them_and_after_they_failed() {
    let mut story = Story::new();
    story.go(spawn(1)).go(start()).go(spawn(2)).go(complete()).go(spawn(1));
    story.go(advance(Phase::Execute)).go(spawn(1)).go(start_from('0', false));
    assert!(story.refusal(&spawn(1)).reason.starts_with("legal here: "));
    story.go(fail("2 of 5 subplans failed")).go(spawn(1));
    assert_eq!(story.plan.stage.to_string(), "execute/errored");
    story.go(Change::retried()).go(start()).go(complete());
    let refusal = story.refusal(&spawn(1));
    assert!(refusal.reason.starts_with("legal here: apply"), "{refusal}");
}

#[test]
fn to_spawn_nothing_is_refused() {
    assert_eq!(Story::new().refusal(&spawn(0)).reason, "there is no child to spawn");
}

#[test]
fn a_child_may_have_children() {
    let story = Story::child().and([spawn(2), prompt("small parts")]);
    assert_eq!((story.plan.version, story.plan.parent()), (3, Some(plan_id(2))));
}
