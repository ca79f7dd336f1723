//! What the scheduler orders, mode by mode.

use agents_domain::subplan::{Cause, Found, Mode, Scheduler, Settings, Status, Step, Totals};
use rstest::rstest;

use crate::support::{graph, node, once, scheduler, steps};

const DIAMOND: [&str; 4] = ["base", "left: base", "right: base", "top: left right"];

/// Carries a node through to its merge.
fn succeed(scheduler: &mut Scheduler, index: usize) {
    scheduler.executed(node(index));
    assert_eq!(scheduler.step(), Some(Step::Merge(node(index))));
    scheduler.merged(node(index));
}

#[test]
fn in_sequence_each_begins_once_the_one_before_it_is_merged() {
    let mut line = scheduler(&["a", "b", "c"], &once(Mode::Sequential));
    for index in 0..3 {
        assert_eq!(steps(&mut line), [Step::Start(node(index))]);
        succeed(&mut line, index);
    }
    assert_eq!(line.totals(), Totals { merged: 3, ..Totals::default() });
    assert!(line.totals().is_settled());
}

#[test]
fn in_sequence_the_first_failure_ends_it() {
    let mut line = scheduler(&["a", "b", "c", "d"], &once(Mode::Sequential));
    assert_eq!(steps(&mut line), [Step::Start(node(0))]);
    succeed(&mut line, 0);
    assert_eq!(steps(&mut line), [Step::Start(node(1))]);
    line.failed(node(1), 1);
    let cause = Cause::Skipped { by: node(1) };
    assert_eq!(steps(&mut line), [Step::Cancel(node(2), cause), Step::Cancel(node(3), cause)]);
    assert!(line.totals().is_settled());
}

#[test]
fn in_parallel_the_others_go_on_and_further_ones_queue() {
    let settings = Settings { max_parallel: 2, ..once(Mode::Parallel) };
    let mut crowd = scheduler(&["a", "b", "c"], &settings);
    assert_eq!(steps(&mut crowd), [Step::Start(node(0)), Step::Start(node(1))]);
    crowd.failed(node(0), 1);
    assert_eq!(steps(&mut crowd), [Step::Start(node(2))]);
    succeed(&mut crowd, 1);
    succeed(&mut crowd, 2);
    assert_eq!(crowd.totals(), Totals { merged: 2, failed: 1, ..Totals::default() });
}

#[test]
fn a_dependent_begins_when_all_it_needs_is_merged_and_not_when_it_has_run() {
    let mut diamond = scheduler(&DIAMOND, &once(Mode::Dependency));
    assert_eq!(steps(&mut diamond), [Step::Start(node(0))]);
    diamond.executed(node(0));
    assert_eq!(steps(&mut diamond), [Step::Merge(node(0))]);
    assert_eq!(steps(&mut diamond), []);
    diamond.merged(node(0));
    assert_eq!(steps(&mut diamond), [Step::Start(node(1)), Step::Start(node(2))]);
    succeed(&mut diamond, 2);
    assert_eq!(steps(&mut diamond), []);
    succeed(&mut diamond, 1);
    assert_eq!(steps(&mut diamond), [Step::Start(node(3))]);
}

#[test]
fn dependents_of_a_failure_are_cancelled_down_the_chain_with_its_first_cause() {
    let lines = ["api", "client: api", "docs: client", "other"];
    let mut graph = scheduler(&lines, &once(Mode::Dependency));
    assert_eq!(steps(&mut graph), [Step::Start(node(0)), Step::Start(node(3))]);
    graph.failed(node(0), 1);
    let cause = Cause::Skipped { by: node(0) };
    assert_eq!(steps(&mut graph), [Step::Cancel(node(1), cause), Step::Cancel(node(2), cause)]);
    assert_eq!(graph.status(node(3)), Status::Running);
}

#[test]
fn a_failure_is_tried_again_as_long_as_there_are_attempts() {
    let settings = Settings { max_retries: 1, ..once(Mode::Parallel) };
    let mut one = scheduler(&["a"], &settings);
    for failures in 1..=2 {
        assert_eq!(steps(&mut one), [Step::Start(node(0))]);
        one.failed(node(0), failures);
        assert_eq!(one.failures(node(0)), failures);
    }
    assert_eq!((steps(&mut one), one.status(node(0))), (vec![], Status::Failed));
}

#[test]
fn failing_fast_stops_what_runs_discards_its_result_and_cancels_the_rest() {
    let settings = Settings { max_parallel: 2, fail_fast: true, ..once(Mode::Parallel) };
    let mut crowd = scheduler(&["a", "b", "c"], &settings);
    steps(&mut crowd);
    crowd.failed(node(0), 1);
    let cause = Cause::FailFast { by: node(0) };
    assert_eq!(steps(&mut crowd), [Step::Stop(node(1), cause), Step::Cancel(node(2), cause)]);
    // It was faster than the stop: its result does not count all the same.
    crowd.executed(node(1));
    assert_eq!(crowd.status(node(1)), Status::Cancelled(cause));
    assert_eq!(steps(&mut crowd), []);
    assert_eq!(crowd.totals(), Totals { failed: 1, cancelled: 2, ..Totals::default() });
}

#[test]
fn a_conflict_holds_up_what_depends_on_it_and_nothing_else() {
    let mut diamond = scheduler(&["a", "b: a", "c"], &once(Mode::Dependency));
    steps(&mut diamond);
    diamond.executed(node(0));
    assert_eq!(steps(&mut diamond), [Step::Merge(node(0))]);
    diamond.conflicted(node(0));
    assert!(!diamond.totals().is_stalled(), "c runs");
    succeed(&mut diamond, 2);
    assert_eq!(steps(&mut diamond), []);
    assert!(diamond.totals().is_stalled() && !diamond.totals().is_settled());
    diamond.merged(node(0));
    assert_eq!(steps(&mut diamond), [Step::Start(node(1))]);
}

#[test]
fn whoever_is_cancelled_by_others_counts_as_not_succeeded() {
    let mut pair = scheduler(&["a", "b: a"], &once(Mode::Dependency));
    steps(&mut pair);
    pair.cancelled(node(0));
    assert_eq!(steps(&mut pair), [Step::Cancel(node(1), Cause::Skipped { by: node(0) })]);
    assert_eq!(pair.status(node(0)), Status::Cancelled(Cause::Asked));
}

#[test]
fn a_merge_that_is_due_is_not_ordered_of_a_child_that_was_cancelled_meanwhile() {
    let mut one = scheduler(&["a"], &once(Mode::Parallel));
    steps(&mut one);
    one.executed(node(0));
    one.cancelled(node(0));
    assert_eq!(steps(&mut one), []);
}

#[test]
fn a_child_that_has_tried_by_itself_has_used_up_its_attempts() {
    let settings = Settings { max_retries: 2, ..once(Mode::Parallel) };
    let mut pair = scheduler(&["a", "b"], &settings);
    steps(&mut pair);
    pair.failed(node(0), 3);
    assert_eq!((steps(&mut pair), pair.status(node(0))), (vec![], Status::Failed));
    pair.failed(node(1), 2);
    assert_eq!(steps(&mut pair), [Step::Start(node(1))]);
}

#[test]
fn a_hopeless_failure_is_not_tried_again() {
    let settings = Settings { max_retries: u32::MAX, ..once(Mode::Parallel) };
    let mut one = scheduler(&["a"], &settings);
    steps(&mut one);
    one.failed(node(0), u32::MAX);
    assert_eq!((steps(&mut one), one.status(node(0))), (vec![], Status::Failed));
}

#[test]
fn a_failure_told_of_a_child_that_does_not_run_is_not_counted() {
    let mut pair = scheduler(&["a", "b: a"], &once(Mode::Dependency));
    pair.failed(node(1), 7);
    assert_eq!((pair.failures(node(1)), pair.status(node(1))), (0, Status::Waiting));
    assert_eq!(steps(&mut pair), [Step::Start(node(0))]);
}

#[test]
fn whoever_asks_gives_its_slot_away_and_holds_up_what_depends_on_it() {
    let settings = Settings { max_parallel: 1, ..once(Mode::Dependency) };
    let mut children = scheduler(&["a", "b: a", "c"], &settings);
    assert_eq!(steps(&mut children), [Step::Start(node(0))]);
    children.parked(node(0));
    assert_eq!(children.status(node(0)), Status::Parked);
    assert_eq!(steps(&mut children), [Step::Start(node(2))]);
    let totals = children.totals();
    assert_eq!(totals, Totals { queued: 1, running: 1, parked: 1, ..Totals::default() });
    assert!(!totals.is_stalled(), "c runs");
    succeed(&mut children, 2);
    assert_eq!(steps(&mut children), []);
    assert!(children.totals().is_stalled() && !children.totals().is_settled());
    assert_eq!(children.status(node(1)), Status::Waiting);
}

#[test]
fn only_what_runs_asks() {
    let mut pair = scheduler(&["a", "b: a"], &once(Mode::Dependency));
    steps(&mut pair);
    pair.executed(node(0));
    pair.parked(node(0));
    pair.parked(node(1));
    assert_eq!((pair.status(node(0)), pair.status(node(1))), (Status::Merging, Status::Waiting));
}

#[test]
fn failing_fast_cancels_whoever_asks_and_whoever_was_to_be_stopped_and_asks() {
    let settings = Settings { max_parallel: 3, fail_fast: true, ..once(Mode::Parallel) };
    let mut crowd = scheduler(&["a", "b", "c"], &settings);
    steps(&mut crowd);
    crowd.parked(node(1));
    crowd.failed(node(0), 1);
    let cause = Cause::FailFast { by: node(0) };
    assert_eq!(steps(&mut crowd), [Step::Cancel(node(1), cause), Step::Stop(node(2), cause)]);
    crowd.parked(node(2));
    assert_eq!(crowd.status(node(2)), Status::Cancelled(cause));
    assert_eq!(crowd.totals(), Totals { failed: 1, cancelled: 2, ..Totals::default() });
}

#[test]
fn whoever_asks_can_be_cancelled() {
    let mut pair = scheduler(&["a", "b: a"], &once(Mode::Dependency));
    steps(&mut pair);
    pair.parked(node(0));
    pair.cancelled(node(0));
    assert_eq!(steps(&mut pair), [Step::Cancel(node(1), Cause::Skipped { by: node(0) })]);
    assert!(pair.totals().is_settled());
}

#[rstest]
#[case::what_has_settled_is_not_run_again(
    [(Found::Merged, 1), (Found::Merged, 1), (Found::Failed, 1), (Found::Queued, 0)],
    &[Step::Cancel(node(3), Cause::Skipped { by: node(2) })]
)]
#[case::what_runs_is_waited_for([(Found::Merged, 1), (Found::Running, 1), (Found::Queued, 0), (Found::Queued, 0)],
    &[Step::Start(node(2))]
)]
#[case::what_was_not_merged_yet_is_merged(
    [(Found::Executed, 1), (Found::Queued, 0), (Found::Queued, 0), (Found::Queued, 0)],
    &[Step::Merge(node(0))]
)]
#[case::what_was_skipped_stays_so(
    [(Found::Failed, 1), (Found::Cancelled(Cause::Skipped { by: node(0) }), 0), (Found::Queued, 0), (Found::Queued, 0)],
    &[Step::Cancel(node(2), Cause::Skipped { by: node(0) }), Step::Cancel(node(3), Cause::Skipped { by: node(0) })]
)]
fn a_dead_scheduler_is_followed(#[case] found: [(Found, u32); 4], #[case] expected: &[Step]) {
    let settings = once(Mode::Dependency);
    let graph = graph(&DIAMOND, Mode::Dependency).expect("a graph");
    let mut next = Scheduler::resume(graph, &settings, found);
    assert_eq!(steps(&mut next), expected);
}

#[rstest]
#[case::attempts_are_left((Found::Failed, 1), &[Step::Start(node(0))])]
#[case::none_is_left((Found::Failed, 2), &[Step::Cancel(node(1), Cause::Skipped { by: node(0) })])]
#[case::hopeless((Found::Failed, u32::MAX), &[Step::Cancel(node(1), Cause::Skipped { by: node(0) })])]
#[case::interrupted_after_its_last_failure((Found::Queued, 2), &[Step::Start(node(0))])]
fn a_dead_scheduler_is_followed_with_the_failures_it_had_seen(
    #[case] found: (Found, u32),
    #[case] expected: &[Step],
) {
    let settings = Settings { max_retries: 1, ..once(Mode::Dependency) };
    let graph = graph(&["a", "b: a"], Mode::Dependency).expect("a graph");
    let mut next = Scheduler::resume(graph, &settings, [found, (Found::Queued, 0)]);
    assert_eq!(steps(&mut next), expected);
    assert_eq!(next.failures(node(0)), found.1);
}

#[test]
fn in_sequence_who_is_cancelled_by_a_person_is_passed_over() {
    let mut line = scheduler(&["a", "b", "c"], &once(Mode::Sequential));
    assert_eq!(steps(&mut line), [Step::Start(node(0))]);
    line.cancelled(node(0));
    assert_eq!(steps(&mut line), [Step::Start(node(1))]);
    let found = [(Found::Cancelled(Cause::Asked), 0), (Found::Merged, 0), (Found::Queued, 0)];
    let mut next = Scheduler::resume(
        graph(&["a", "b", "c"], Mode::Sequential).expect("a chain"),
        &once(Mode::Sequential),
        found,
    );
    assert_eq!(steps(&mut next), [Step::Start(node(2))]);
}

#[test]
fn an_answer_makes_a_parked_child_ready_again() {
    let mut pair = scheduler(&["a", "b: a"], &once(Mode::Dependency));
    steps(&mut pair);
    pair.parked(node(0));
    assert_eq!(steps(&mut pair), []);
    pair.answered(node(0));
    assert_eq!(steps(&mut pair), [Step::Start(node(0))]);
    pair.answered(node(0));
    assert_eq!(steps(&mut pair), [], "it runs");
}
