//! A row that the domain cannot express is an error that names the plan.

use agents_domain::plan::{Phase, Plan, PlanRecord, Stage, State};
use rstest::rstest;

use crate::support::{Story, constrain, fail, fail_with, go_on, intend, land, snapshot, start};

fn at(record: &PlanRecord, phase: Phase, state: State) -> PlanRecord {
    PlanRecord { stage: Stage::new(phase, state).expect("exists"), ..record.clone() }
}

fn refused(record: PlanRecord) -> String {
    let plan = record.id;
    let error = Plan::from_storage(record).expect_err("makes no sense");
    assert_eq!(error.to_string(), format!("the plan {plan} makes no sense: {}", error.reason));
    error.reason
}

#[rstest]
#[case(Story::new())]
#[case(Story::of([start()]))]
#[case(Story::applying([constrain()]))]
#[case(Story::applying([intend(&[("api", 1)]), fail("x")]))]
fn what_the_function_made_is_read_back(#[case] story: Story) {
    let record = story.plan.clone().into_record();
    assert_eq!(Plan::from_storage(record), Ok(story.plan));
}

#[rstest]
#[case(0, "its version is 0")]
#[case(u64::MAX, "its version is out of range")]
fn versions_have_bounds(#[case] version: u64, #[case] reason: &str) {
    assert_eq!(refused(PlanRecord { version, ..Story::new().plan.into_record() }), reason);
}

#[test]
fn states_need_their_facts() {
    let new = Story::new().plan.into_record();
    assert_eq!(
        refused(at(&new, Phase::Execute, State::Processing)),
        "it is processing, and nobody drives it"
    );
    assert_eq!(refused(at(&new, Phase::Apply, State::Constrained)), "it failed for no reason");
    assert_eq!(refused(at(&new, Phase::Strategize, State::Errored)), "it failed for no reason");
}

#[rstest]
#[case(State::Applied)]
#[case(State::Cancelled)]
fn a_landing_is_not_left_open(#[case] state: State) {
    let open = Story::applying([intend(&[("api", 1)])]).plan.into_record();
    assert_eq!(refused(at(&open, Phase::Apply, state)), "it is past its apply, and a landing is open");
}

#[test]
fn nothing_lands_before_apply() {
    let landed = Story::applying([intend(&[("api", 1)]), land(1)]).plan.into_record();
    assert_eq!(refused(at(&landed, Phase::Execute, State::Queued)), "it has a landing before its apply");
}

#[test]
fn unfinished_work_is_gone_on_with_in_execute_only() {
    let left = Story::executing([fail_with(vec![snapshot("api", 'b')]), go_on(&[("api", 'b')])]);
    let record = left.plan.into_record();
    assert_eq!(
        refused(at(&record, Phase::Apply, State::Queued)),
        "it goes on with unfinished work, and not in execute"
    );
}

#[test]
fn an_attempt_number_at_its_end_stays_there() {
    let record = PlanRecord { attempt: u32::MAX, ..Story::new().plan.into_record() };
    let mut story = Story::new();
    story.plan = Plan::from_storage(record).expect("odd, but possible");
    assert_eq!(story.go(start()).plan.attempt, u32::MAX);
}
