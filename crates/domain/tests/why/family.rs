//! The causes of a child, and of a plan that has children.

use agents_domain::lock::Liveness;
use agents_domain::plan::{Attempt, Parked, Phase, PlanRecord, Stage, State};
use agents_domain::subplan::Mode;
use agents_domain::time::Timestamp;
use agents_domain::why::{Above, Below, Cause, Facts, Stall, Why, causes};
use rstest::rstest;

use crate::support::{
    asking, at, child, codes, failure, first, full, part, plan_held, plan_id, project_held, stage,
};

fn at_work() -> Stage {
    stage(Phase::Execute, State::Processing)
}

fn queued() -> Stage {
    stage(Phase::Strategize, State::Queued)
}

/// A parent that runs its children.
fn driven() -> Facts {
    let busy = child(9, at_work(), &[]);
    let holder = Some(plan_held(false, Liveness::Alive));
    Facts { holder, below: Below::of([&busy]), ..at(Phase::Execute, State::Processing) }
}

/// What is known of a child with that parent, and with siblings in these stages: `part-0`, ….
fn among(record: PlanRecord, parent: Facts, siblings: &[Stage], mode: Mode) -> Facts {
    let siblings: Vec<PlanRecord> = (0..).zip(siblings).map(|(place, at)| child(place, *at, &[])).collect();
    let above = Above::new(&record, parent, &siblings, mode);
    part(record, above)
}

fn only(record: PlanRecord, parent: Facts) -> Facts {
    among(record, parent, &[], Mode::Parallel)
}

fn of_parent(command: &str) -> String {
    format!("plan {command} {}", plan_id())
}

#[rstest]
#[case::all_it_names(Mode::Dependency, &["part-0", "part-2"], &["part-2"])]
#[case::all_before_it(Mode::Sequential, &[], &["part-1", "part-2"])]
#[case::nobody(Mode::Parallel, &[], &[])]
fn a_child_waits_for_what_it_depends_on_and_is_not_merged(
    #[case] mode: Mode,
    #[case] needs: &[&str],
    #[case] expected: &[&str],
) {
    let applied = stage(Phase::Apply, State::Applied);
    let siblings = [applied, queued(), at_work()];
    let facts = among(child(3, queued(), needs), driven(), &siblings, mode);
    let above = facts.above.as_ref().expect("a child");
    let names: Vec<&str> = above.waits_for.iter().map(|sibling| sibling.name.as_str()).collect();
    assert_eq!(names, expected);
}

#[test]
fn a_child_that_waits_for_siblings_leads_to_the_first_of_them() {
    let siblings = [stage(Phase::Execute, State::Complete), at_work()];
    let record = child(2, queued(), &["part-0", "part-1"]);
    let facts = among(record.clone(), driven(), &siblings, Mode::Dependency);
    let found = causes(&facts);
    let [Cause { why: Why::WaitsForSubplans { siblings: told }, remedy }] = &found[..] else {
        panic!("{found:?}");
    };
    let told: Vec<_> = told.iter().map(|sibling| (sibling.name.as_str(), sibling.stage)).collect();
    assert_eq!(told, [("part-0", siblings[0]), ("part-1", siblings[1])]);
    assert_eq!(*remedy, format!("agents plan why {}", child(0, queued(), &[]).id));
    let idle = among(record, at(Phase::Execute, State::Errored), &siblings, Mode::Dependency);
    assert_eq!(codes(&idle), ["waits_for_subplans", "waits_for_parent"], "nobody is at its parent");
}

#[rstest]
#[case(Phase::Strategize, State::Queued, "execute")]
#[case(Phase::Strategize, State::Complete, "execute")]
#[case(Phase::Execute, State::Queued, "execute")]
#[case(Phase::Execute, State::Errored, "retry")]
fn a_child_that_could_begin_waits_for_its_parent_and_is_helped_as_that(
    #[case] phase: Phase,
    #[case] state: State,
    #[case] command: &str,
) {
    for own in [queued(), stage(Phase::Strategize, State::Complete), stage(Phase::Execute, State::Queued)] {
        let facts = only(child(0, own, &[]), at(phase, state));
        assert_eq!((codes(&facts), first(&facts).1), (vec!["waits_for_parent"], of_parent(command)));
    }
}

#[test]
fn whoever_waits_for_its_parent_knows_why_that_does_not_go_on() {
    let mut parent = at(Phase::Execute, State::Errored);
    parent.plan.failure = Some(failure(Some("agents plan retry X --only-failed")));
    let facts = only(child(0, queued(), &[]), parent.clone());
    assert_eq!(first(&facts), ("waits_for_parent", "plan retry X --only-failed".to_owned()));
    let found = causes(&facts).remove(0).why;
    let Why::WaitsForParent { parent: told, stage, because } = found else { panic!("{found:?}") };
    assert_eq!((told, stage, because.why.code()), (plan_id(), parent.plan.stage, "errored"));
}

#[test]
fn a_child_whose_parent_runs_others_waits_for_its_turn() {
    let facts = only(child(0, queued(), &[]), driven());
    assert_eq!(first(&facts), ("waits_for_parent", of_parent("tree")));
}

#[test]
fn a_child_whose_parents_driver_is_dead_is_recovered_with_it() {
    let dead = Facts { holder: Some(plan_held(false, Liveness::Dead)), ..driven() };
    assert_eq!(first(&only(child(0, queued(), &[]), dead)), ("waits_for_parent", "recover".to_owned()));
}

#[test]
fn nothing_comes_of_a_child_whose_parent_is_at_its_end() {
    let record = child(0, queued(), &[]);
    let cancel = format!("plan cancel {}", record.id);
    for parent in [at(Phase::Execute, State::Cancelled), at(Phase::Apply, State::Applied)] {
        assert_eq!(first(&only(record.clone(), parent)), ("waits_for_parent", cancel.clone()));
    }
}

#[test]
fn a_grandchild_is_helped_as_whoever_everybody_waits_for() {
    let parent = only(child(0, queued(), &[]), at(Phase::Execute, State::Queued));
    let facts = only(child(1, queued(), &[]), parent);
    assert_eq!(first(&facts), ("waits_for_parent", of_parent("execute")));
}

#[rstest]
#[case(Phase::Execute, State::Complete)]
#[case(Phase::Apply, State::Queued)]
#[case(Phase::Apply, State::Errored)]
#[case(Phase::Apply, State::Constrained)]
fn the_work_of_a_child_is_merged_by_its_parent(#[case] phase: Phase, #[case] state: State) {
    let record = child(0, stage(phase, state), &[]);
    let facts = only(record.clone(), at(Phase::Execute, State::Errored));
    assert_eq!(first(&facts), ("merged_by_parent", of_parent("retry")));
    assert_eq!(first(&only(record.clone(), driven())), ("merged_by_parent", of_parent("tree")));
    let found = causes(&facts).remove(0).why;
    let Why::MergedByParent { failure, .. } = found else { panic!("{found:?}") };
    assert_eq!(failure, record.failure);
}

#[test]
fn a_failed_child_is_tried_again_by_itself_once_its_parent_has_come_to_it() {
    let errored = stage(Phase::Execute, State::Errored);
    let record = child(1, errored, &["part-0"]);
    let retry = format!("plan retry {}", record.id);
    let parent = || at(Phase::Execute, State::Errored);
    let among = |parent, sibling| among(record.clone(), parent, &[sibling], Mode::Dependency);
    let applied = stage(Phase::Apply, State::Applied);
    assert_eq!(first(&among(parent(), applied)), ("errored", retry));
    assert_eq!(first(&among(parent(), queued())), ("errored", of_parent("retry")), "not before its time");
    let mut fresh = at(Phase::Execute, State::Processing);
    fresh.plan.attempt = 0;
    assert_eq!(first(&among(fresh, applied)), ("errored", "recover".to_owned()));
    let not_there = at(Phase::Execute, State::Queued);
    assert_eq!(first(&among(not_there, applied)), ("errored", of_parent("execute")));
}

#[test]
fn a_child_that_asks_is_answered_and_one_that_pauses_is_its_parents() {
    let asks = asking(1);
    let prompt = format!("plan prompt {} \"…\"", asks.id);
    assert_eq!(first(&only(asks.clone(), at(Phase::Execute, State::Queued))), ("awaits_input", prompt));
    let until = Some(Timestamp::from_millis(5_000));
    let pauses = PlanRecord { parked: Some(Parked { until, input: None, cause: "75".to_owned() }), ..asks };
    assert_eq!(first(&only(pauses, at(Phase::Execute, State::Queued))), ("parked", of_parent("execute")));
}

#[test]
fn a_child_that_is_merged_does_not_wait_for_the_projects_of_others() {
    let record = child(0, stage(Phase::Apply, State::Processing), &[]);
    let facts = Facts {
        holder: Some(plan_held(false, Liveness::Alive)),
        projects: vec![project_held(2, Liveness::Alive)],
        ..only(record, driven())
    };
    assert_eq!(codes(&facts), ["runs"]);
}

#[test]
fn a_plan_that_runs_children_says_so_with_those_that_wait_for_a_person() {
    let conflicted = child(2, stage(Phase::Apply, State::Constrained), &[]);
    let (busy, asks) = (child(0, at_work(), &[]), asking(1));
    let facts = Facts { below: Below::of([&busy, &asks, &conflicted]), ..driven() };
    let found = causes(&facts);
    let told: Vec<_> = found.iter().map(|cause| (cause.why.code(), cause.remedy.clone())).collect();
    let expected = [
        ("runs_children", format!("agents {}", of_parent("tree"))),
        ("subplan_asks", format!("agents plan prompt {} \"…\"", asks.id)),
        ("subplan_conflicts", format!("agents plan diff {}", conflicted.id)),
    ];
    assert_eq!(told, expected);
    let Why::RunsChildren { tally, .. } = &found[0].why else { panic!("{found:?}") };
    let counts = [State::Processing, State::Queued, State::Constrained].map(|state| tally.count(state));
    assert_eq!((tally.total(), counts), (3, [1, 1, 1]));
}

#[test]
fn a_plan_runs_itself_before_it_has_children_and_when_they_are_merged() {
    let parent = |below, commanded| {
        let mut facts = Facts { below, ..driven() };
        let driver = plan_held(false, Liveness::Alive).lock.holder;
        facts.plan.last_attempt = Some(Attempt { driver, started_at: Timestamp::default(), commanded });
        codes(&facts)
    };
    let merged = child(0, stage(Phase::Apply, State::Applied), &[]);
    let given_up = child(1, stage(Phase::Execute, State::Cancelled), &[]);
    let busy = child(2, at_work(), &[]);
    assert_eq!(parent(Below::default(), false), ["runs"]);
    assert_eq!(parent(Below::of([&merged, &given_up]), false), ["runs"]);
    assert_eq!(parent(Below::of([&merged, &busy]), true), ["runs"]);
    assert_eq!(parent(Below::of([&merged, &busy]), false), ["runs_children"]);
    let strategizing = Facts { below: Below::of([&busy]), ..driven() };
    let strategizing = Facts { plan: at(Phase::Strategize, State::Processing).plan, ..strategizing };
    assert_eq!(codes(&strategizing), ["runs"]);
}

#[test]
fn whoever_runs_children_waits_for_no_place() {
    let full = Facts { places: Some(full(None)), ..driven() };
    assert_eq!(codes(&full), ["runs_children"]);
    let queued = Facts { plan: at(Phase::Execute, State::Queued).plan, ..full };
    assert_eq!(codes(&queued), ["held"]);
    let childless = Facts { below: Below::default(), ..queued };
    assert_eq!(codes(&childless), ["no_place"]);
}

#[test]
fn a_plan_that_waits_for_the_answers_of_its_children_leads_to_them() {
    let asks = asking(1);
    let prompt = format!("plan prompt {} \"…\"", asks.id);
    let conflicted = child(2, stage(Phase::Apply, State::Constrained), &[]);
    let mut facts = at(Phase::Execute, State::Queued);
    facts.plan.parked = Some(Parked { until: None, input: None, cause: "subplan `part-1` asks".to_owned() });
    let facts = Facts { below: Below::of([&asks, &conflicted]), ..facts };
    assert_eq!(codes(&facts), ["subplan_asks", "parked"]);
    assert_eq!(first(&facts).1, prompt);
    let errored = Facts { plan: at(Phase::Execute, State::Errored).plan, ..facts };
    assert_eq!(first(&errored), ("errored", of_parent("retry")));
}

#[test]
fn only_children_that_wait_for_a_person_stall() {
    let all: Vec<PlanRecord> = Stage::all().zip(0..).map(|(at, place)| child(place, at, &[])).collect();
    let below = Below::of(all.iter().chain([&asking(40)]));
    let stalled: Vec<_> = below
        .stalled
        .iter()
        .map(|stalled| (stalled.child.stage.to_string(), matches!(stalled.stall, Stall::Asks { .. })))
        .collect();
    let expected = [("apply/errored", false), ("apply/constrained", false), ("execute/queued", true)];
    assert_eq!(stalled, expected.map(|(stage, asks)| (stage.to_owned(), asks)));
    assert_eq!(below.tally.total(), 17);
    assert!(below.is_open());
}
