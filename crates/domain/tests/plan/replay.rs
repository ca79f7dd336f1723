//! A log leads to its plan, and a log that makes no sense is refused with the place.

use agents_domain::plan::{Change, Event, Phase, ReplayError, replay};
use rstest::rstest;

use crate::support::{Story, advance, cancel, complete, fail, intend, land, plan_id, prompt, start};

fn log() -> Vec<Event> {
    Story::of([prompt("a"), start(), complete(), advance(Phase::Execute)]).events
}

#[test]
fn a_log_leads_to_its_plan() {
    let story = Story::applying([intend(&[("api", 1)]), land(1), fail("x"), cancel(true)]);
    assert_eq!(replay(&story.events), Ok(story.plan));
}

#[test]
fn a_log_begins_with_the_making_of_the_plan() {
    assert_eq!(replay(&[]), Err(ReplayError::NoBeginning));
    assert_eq!(replay(&log()[1..]), Err(ReplayError::NoBeginning));
}

#[rstest]
#[case::first(0, 2, 1)]
#[case::missing(2, 4, 3)]
#[case::doubled(2, 2, 3)]
fn numbers_follow_each_other(#[case] place: usize, #[case] found: u64, #[case] expected: u64) {
    let mut log = log();
    log[place].seq = found;
    assert_eq!(replay(&log), Err(ReplayError::Gap { expected, found }));
}

#[test]
fn an_event_that_was_not_legal_is_named() {
    let mut log = log();
    log[3].change = Change::retried();
    let error = replay(&log).expect_err("illegal");
    assert_eq!(error.to_string(), "event 4 was not legal");
    let source = std::error::Error::source(&error).expect("the refusal").to_string();
    assert!(source.contains("strategize/processing"), "{source}");
}

#[test]
fn an_event_that_changes_nothing_is_named() {
    let mut log = log();
    log.push(Event { seq: 6, ..log[4].clone() });
    assert_eq!(replay(&log), Err(ReplayError::Idle { seq: 6 }));
}

#[test]
fn an_event_of_another_plan_is_named() {
    let mut log = log();
    log[1].plan = plan_id(2);
    assert_eq!(replay(&log), Err(ReplayError::Foreign { seq: 2, plan: plan_id(2) }));
}

#[test]
fn a_second_making_is_not_legal() {
    let mut log = log();
    log[1].change = log[0].change.clone();
    assert!(matches!(replay(&log), Err(ReplayError::Illegal { seq: 2, .. })));
}
