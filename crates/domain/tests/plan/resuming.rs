//! Going on with unfinished work: where it is, and when an attempt may begin there.

use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{Change, InterruptCause, Plan, Work, resumption};
use rstest::rstest;

use crate::support::{
    Story, cancel, complete, constrain, directory, fail, fail_with, go_on, name, oid, plan_id, revert,
    snapshot, start,
};

fn parked(work: Vec<Work>) -> Change {
    Change::Parked { until: None, input: None, cause: "75".to_owned(), work }
}

fn interrupted(work: Vec<Work>) -> Change {
    Change::Interrupted { cause: InterruptCause::OwnerDied, work }
}

fn cancelled(work: Vec<Work>) -> Change {
    Change::Cancelled { reason: None, keep_landed: false, work, given_up: None }
}

/// Where the next attempt begins in `api` and in `web`.
fn resumed(plan: &Plan) -> [Option<Oid>; 2] {
    [plan.projects[0].resume.clone(), plan.projects[1].resume.clone()]
}

fn left(plan: &Plan) -> Vec<(Name, Oid)> {
    resumption(plan).expect("there is something").into_iter().collect()
}

#[rstest]
#[case(fail_with)]
#[case(parked)]
#[case(interrupted)]
#[case(cancelled)]
fn however_an_attempt_ends_unfinished_its_work_is_known(#[case] end: fn(Vec<Work>) -> Change) {
    let plan = Story::executing([end(vec![snapshot("api", 'b')])]).plan;
    assert_eq!(plan.projects[0].snapshot, Some(oid('b')));
    assert_eq!((plan.projects[1].snapshot.clone(), plan.resumes()), (None, false));
}

#[test]
fn the_newest_work_counts_and_an_attempt_that_left_none_hides_none() {
    let mut story = Story::executing([fail_with(vec![snapshot("api", 'b'), snapshot("web", 'c')])]);
    story.go(Change::retried()).go(start()).go(fail_with(vec![snapshot("web", 'd')]));
    story.go(Change::retried()).go(start()).go(fail_with(Vec::new()));
    assert_eq!(left(&story.plan), [(name("api"), oid('b')), (name("web"), oid('d'))]);
}

#[test]
fn work_in_no_snapshot_is_not_replaced_by_older_work() {
    let mut story = Story::executing([fail_with(vec![snapshot("api", 'b'), snapshot("web", 'c')])]);
    story.go(Change::retried()).go(start()).go(fail_with(vec![directory("api"), snapshot("web", 'd')]));
    assert_eq!(left(&story.plan), [(name("web"), oid('d'))]);
}

#[test]
fn the_next_attempt_begins_where_the_order_says_and_a_plain_retry_begins_anew() {
    let mut story = Story::executing([fail_with(vec![snapshot("api", 'b')]), go_on(&[("api", 'b')])]);
    assert_eq!(resumed(&story.plan), [Some(oid('b')), None]);
    story.go(start());
    assert_eq!(resumed(&story.plan), [Some(oid('b')), None], "the attempt itself has to know");
    story.go(fail_with(vec![snapshot("api", 'c')])).go(Change::retried());
    assert_eq!(resumed(&story.plan), [None, None]);
}

#[test]
fn an_attempt_that_parks_goes_on_with_what_it_left_if_it_went_on_itself() {
    let mut story = Story::executing([fail_with(vec![snapshot("api", 'b')]), go_on(&[("api", 'b')])]);
    story.go(start()).go(parked(vec![snapshot("api", 'c'), snapshot("web", 'c')]));
    assert_eq!(resumed(&story.plan), [Some(oid('c')), None]);
    story.go(start()).go(parked(vec![directory("api")]));
    assert_eq!(resumed(&story.plan), [Some(oid('c')), None], "what is in no snapshot cannot be begun with");
    let plan = Story::executing([parked(vec![snapshot("api", 'c')])]).plan;
    assert!(!plan.resumes(), "nobody asked for it");
}

#[test]
fn a_completed_phase_leaves_nothing_unfinished() {
    let mut story = Story::executing([fail_with(vec![snapshot("api", 'b')]), go_on(&[("api", 'b')])]);
    story.go(start()).go(complete());
    assert_eq!((story.plan.projects[0].snapshot.clone(), story.plan.resumes()), (None, false));
}

#[test]
fn who_goes_back_goes_on_with_nothing() {
    let mut story = Story::executing([fail_with(vec![snapshot("api", 'b')]), go_on(&[("api", 'b')])]);
    story.go(revert("too clumsy"));
    assert_eq!((story.plan.projects[0].snapshot.clone(), story.plan.resumes()), (None, false));
}

#[rstest]
#[case::nothing_left(Story::executing([fail_with(Vec::new())]), "no attempt has left a snapshot")]
#[case::strategize(Story::of([start(), fail_with(vec![snapshot("api", 'b')])]), "strategize changes no files")]
#[case::apply(Story::applying([constrain()]), "apply lands what is finished")]
#[case::apply_failed(Story::applying([fail("x")]), "apply lands what is finished")]
fn where_there_is_nothing_to_go_on_with_a_plain_retry_is_the_way(#[case] story: Story, #[case] why: &str) {
    let refusal = resumption(&story.plan).expect_err("nothing");
    assert!(refusal.reason.starts_with(why), "{refusal}");
    assert_eq!(refusal.remedy, Some(format!("agents plan retry {}", plan_id(1))));
}

#[test]
fn where_no_retry_is_legal_none_goes_on() {
    let refusal = resumption(&Story::executing([cancel(false)]).plan).expect_err("it is over");
    assert!(refusal.reason.contains("end of its road"), "{refusal}");
}

#[rstest]
#[case(Story::of([start(), fail("x")]))]
#[case(Story::applying([constrain()]))]
fn no_order_begins_a_phase_other_than_execute_with_unfinished_work(#[case] story: Story) {
    assert!(story.refusal(&go_on(&[("api", 'b')])).reason.contains("no unfinished work"));
}

#[test]
fn work_of_another_project_is_refused() {
    let refusal = Story::executing([fail("x")]).refusal(&go_on(&[("elsewhere", 'b')]));
    assert_eq!(refusal.reason, "local/elsewhere is not one of its projects");
}
