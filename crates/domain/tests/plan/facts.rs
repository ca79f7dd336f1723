//! How the facts of a plan follow its changes.

use std::collections::BTreeMap;

use agents_domain::plan::{Attempt, Change, InterruptCause, Parked, Phase, State};
use rstest::rstest;

use crate::support::{
    Story, adopt, advance, at, cancel, complete, constrain, fail, failure, holder, intend, interrupt, land,
    name, oid, park, prompt, revert, start, start_from, validation,
};

fn bases(story: &Story) -> Vec<Option<&str>> {
    story.plan.projects.iter().map(|project| project.base.as_ref().map(|oid| &oid.as_str()[..1])).collect()
}

fn landings(story: &Story) -> Vec<Option<bool>> {
    let landed = |project: &agents_domain::plan::PlanProject| project.landing.as_ref().map(|l| l.landed);
    story.plan.projects.iter().map(landed).collect()
}

#[test]
fn a_new_plan_has_done_nothing() {
    let plan = Story::new().plan;
    assert_eq!((plan.version, plan.attempt, plan.reversion_count), (1, 0, 0));
    assert_eq!(plan.stage.to_string(), "strategize/queued");
    assert_eq!((plan.created_at, plan.updated_at), (at(0), at(0)));
    assert_eq!(plan.branch(), format!("agents/plan-{}", plan.id));
    assert!(!plan.landing_is_open() && !plan.has_landed());
}

#[test]
fn each_start_is_an_attempt_of_its_own() {
    let mut story = Story::of([start(), fail("x"), Change::retried()]);
    assert_eq!(story.plan.attempt, 1, "retry orders an attempt, start begins it");
    story.go(start());
    assert_eq!((story.plan.attempt, story.plan.updated_at), (2, at(4)));
    let expected = Attempt { driver: holder(1), started_at: at(4), commanded: true };
    assert_eq!(story.plan.last_attempt, Some(expected));
}

#[test]
fn the_base_is_sealed_once_and_anew_after_a_revert() {
    let mut story = Story::of([start_from('1', true), fail("x"), Change::retried(), start_from('2', true)]);
    assert_eq!(bases(&story), [Some("1"), Some("1")]);
    story.go(fail("x")).go(revert("moved"));
    assert_eq!(bases(&story), [None, None]);
    story.go(start_from('3', true));
    assert_eq!(bases(&story), [Some("3"), Some("3")]);
}

#[test]
fn a_failure_lasts_until_the_plan_goes_on() {
    let mut story = Story::of([start(), fail("red")]);
    assert_eq!(story.plan.failure, Some(failure("red")));
    story.go(prompt("look again"));
    assert_eq!(story.plan.failure, Some(failure("red")));
    story.go(Change::retried());
    assert_eq!(story.plan.failure, None);
}

#[rstest]
#[case(InterruptCause::OwnerDied, "owner_died")]
#[case(InterruptCause::LeaseLost, "lease_lost")]
#[case(InterruptCause::Shutdown, "shutdown")]
fn an_interruption_is_a_retryable_failure(#[case] cause: InterruptCause, #[case] code: &str) {
    let plan = Story::of([start(), interrupt(cause)]).plan;
    let failure = plan.failure.as_ref().expect("a failure");
    assert_eq!((failure.code.as_str(), failure.message.as_str()), (code, cause.message()));
    assert_eq!(failure.hint, Some(format!("agents plan retry {}", plan.id)));
    assert!(failure.retryable && plan.state() == State::Errored);
    assert_eq!(InterruptCause::parse(code), Some(cause));
    assert_eq!(InterruptCause::parse("boredom"), None);
}

#[test]
fn parking_lasts_until_the_next_start() {
    let mut story = Story::of([start(), park(None)]);
    let parked = Parked { until: Some(at(99)), input: None, cause: "quota".to_owned() };
    assert_eq!(story.plan.parked, Some(parked.clone()));
    story.go(prompt("in the meantime"));
    assert_eq!(story.plan.parked, Some(parked), "guidance is no answer where nothing was asked");
    story.go(start());
    assert_eq!(story.plan.parked, None);
}

#[rstest]
#[case(prompt("main"), 1)]
#[case(revert("never mind"), 1)]
#[case(cancel(false), 0)]
fn a_question_ends_with_its_answer_or_with_the_road(#[case] change: Change, #[case] guidance: usize) {
    let plan = Story::of([start(), park(Some("which?")), change]).plan;
    assert_eq!((plan.parked.clone(), plan.guidance.len()), (None, guidance));
}

#[test]
fn completion_records_strategy_and_tips_and_keeps_earlier_ones() {
    let completed = |project: &str, digit, strategy: Option<&str>| Change::PhaseCompleted {
        tips: BTreeMap::from([(name(project), oid(digit))]),
        strategy: strategy.map(str::to_owned),
        work: Vec::new(),
    };
    let mut story = Story::of([start(), completed("api", '5', Some("carefully")), advance(Phase::Execute)]);
    story.go(start()).go(completed("web", '6', None));
    let tips: Vec<_> = story.plan.projects.iter().map(|project| project.tip.clone()).collect();
    assert_eq!(tips, [Some(oid('5')), Some(oid('6'))]);
    assert_eq!(story.plan.strategy.as_deref(), Some("carefully"));
    story.go(revert("too slow"));
    assert_eq!(story.plan.strategy, None);
    assert_eq!(
        story.plan.projects[0].tip, None,
        "the next attempt starts from the base; the work is in its refs"
    );
}

#[test]
fn what_went_wrong_becomes_guidance() {
    let mut story = Story::of([prompt("small steps"), start(), fail("tests are red"), revert("start over")]);
    assert_eq!(story.plan.guidance, ["small steps", "tests are red", "start over"]);
    assert_eq!((story.plan.failure.clone(), story.plan.reversion_count), (None, 1));
    story.go(Change::Reverted { reason: None });
    assert_eq!((story.plan.guidance.len(), story.plan.reversion_count), (3, 2));
}

#[test]
fn an_adopted_attempt_has_a_new_driver_and_keeps_its_number() {
    let mut story = Story::of([start_from('0', false)]);
    let before = story.plan.last_attempt.clone().expect("an attempt");
    story.go(adopt(7));
    let expected = Attempt { driver: holder(7), ..before };
    assert_eq!((story.plan.last_attempt.clone(), story.plan.attempt), (Some(expected), 1));
}

#[test]
fn a_cancelled_plan_says_why() {
    assert_eq!(Story::of([cancel(false)]).plan.cancel_reason.as_deref(), Some("enough"));
}

#[test]
fn a_landing_is_intended_then_carried_out_project_by_project() {
    let mut story = Story::applying([intend(&[("api", 1), ("web", 2)])]);
    assert_eq!(landings(&story), [Some(false), Some(false)]);
    assert_eq!(story.plan.validations, [validation(true)]);
    story.go(land(2));
    assert_eq!(landings(&story), [Some(false), Some(true)]);
    assert!(story.plan.landing_is_open() && story.plan.has_landed());
}

#[test]
fn retry_keeps_an_open_landing_for_the_next_start_to_resolve() {
    let mut story = Story::applying([intend(&[("api", 1)]), interrupt(InterruptCause::OwnerDied)]);
    story.go(Change::retried()).go(start());
    assert_eq!(landings(&story), [Some(false), None]);
    story.go(land(1)).go(Change::Applied);
}

#[test]
fn constrained_forgets_what_is_open_and_keeps_what_has_landed() {
    let mut story = Story::applying([intend(&[("api", 1), ("web", 2)]), land(1), constrain()]);
    assert_eq!(landings(&story), [Some(true), None]);
    assert_eq!(story.plan.failure, Some(failure("conflict")));
    assert_eq!(story.plan.validations, [validation(false)]);
    story.go(Change::retried()).go(start()).go(intend(&[("web", 3)])).go(land(3)).go(Change::Applied);
    assert_eq!(landings(&story), [Some(true), Some(true)]);
    assert_eq!(story.plan.failure, None);
}

#[test]
fn a_revert_before_anything_landed_clears_what_the_checks_said() {
    let mut story = Story::applying([constrain()]);
    story.go(revert("rethink"));
    assert!(story.plan.validations.is_empty());
    assert_eq!(story.plan.stage.to_string(), "strategize/queued");
    story.go(start()).go(complete());
}
