//! The causes of a plan of its own, one situation after the other.

use agents_domain::action::Automation;
use agents_domain::lock::{Liveness, LockKey};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Parked, Phase, State};
use agents_domain::request::Wish;
use agents_domain::time::Timestamp;
use agents_domain::why::{Cause, Facts, Held, Waiting, Why, causes};
use rstest::rstest;

use crate::support::{
    at, cancel, codes, failure, full, name, plan_held, plan_id, project_held, request, token,
};

#[rstest]
#[case(Phase::Strategize, State::Queued, Automation::Review, "not_ordered", "execute")]
#[case(Phase::Strategize, State::Complete, Automation::Manual, "awaits_approval", "execute")]
#[case(Phase::Strategize, State::Complete, Automation::Review, "not_ordered", "execute")]
#[case(Phase::Execute, State::Queued, Automation::Auto, "not_ordered", "execute")]
#[case(Phase::Execute, State::Complete, Automation::Manual, "awaits_approval", "apply")]
#[case(Phase::Execute, State::Complete, Automation::Review, "awaits_approval", "apply")]
#[case(Phase::Execute, State::Complete, Automation::Auto, "not_ordered", "apply")]
#[case(Phase::Apply, State::Queued, Automation::Review, "not_ordered", "apply")]
#[case(Phase::Execute, State::Errored, Automation::Review, "errored", "retry")]
#[case(Phase::Apply, State::Constrained, Automation::Review, "constrained", "retry")]
#[case(Phase::Apply, State::Applied, Automation::Review, "applied", "diff")]
#[case(Phase::Execute, State::Cancelled, Automation::Review, "cancelled", "events")]
fn a_plan_at_rest_says_what_it_waits_for(
    #[case] phase: Phase,
    #[case] state: State,
    #[case] level: Automation,
    #[case] code: &str,
    #[case] command: &str,
) {
    let mut facts = at(phase, state);
    facts.plan.automation = level;
    assert_eq!(codes(&facts), [code]);
    assert_eq!(causes(&facts)[0].remedy, format!("agents plan {command} {}", plan_id()));
}

#[rstest]
#[case(Some((false, Liveness::Alive)), "runs")]
#[case(Some((false, Liveness::Unknown)), "runs")]
#[case(Some((false, Liveness::Dead)), "no_driver")]
#[case(Some((true, Liveness::Alive)), "no_driver")]
#[case(Some((true, Liveness::Unknown)), "no_driver")]
#[case(None, "no_driver")]
fn a_phase_runs_as_long_as_its_driver_stands(#[case] holder: Option<(bool, Liveness)>, #[case] code: &str) {
    let holder = holder.map(|(stale, liveness)| plan_held(stale, liveness));
    assert_eq!(codes(&Facts { holder, ..at(Phase::Execute, State::Processing) }), [code]);
}

#[test]
fn whoever_has_it_in_hand_goes_before_what_the_plan_says() {
    let by = plan_held(false, Liveness::Alive);
    for state in [State::Queued, State::Errored, State::Complete] {
        let facts = Facts { holder: Some(by.clone()), ..at(Phase::Execute, state) };
        assert_eq!(codes(&facts), ["held"]);
    }
    let dead = Facts { holder: Some(plan_held(false, Liveness::Dead)), ..at(Phase::Execute, State::Errored) };
    assert_eq!(codes(&dead), ["errored"]);
}

#[test]
fn a_driver_at_apply_waits_for_the_projects_that_others_hold() {
    let by = plan_held(false, Liveness::Alive);
    let waits = |phase, held: Held| {
        let facts = Facts { holder: Some(by.clone()), projects: vec![held], ..at(phase, State::Queued) };
        let first = causes(&facts).remove(0);
        (first.why.code(), first.remedy)
    };
    let waiting = ("waits_in_line", "agents lock explain project/local/api".to_owned());
    assert_eq!(waits(Phase::Apply, project_held(2, Liveness::Alive)), waiting);
    assert_eq!(waits(Phase::Apply, project_held(2, Liveness::Dead)).0, "held");
    assert_eq!(waits(Phase::Apply, project_held(1, Liveness::Alive)).0, "held", "its own");
    assert_eq!(waits(Phase::Execute, project_held(2, Liveness::Alive)).0, "held", "it takes none yet");
}

#[test]
fn a_line_that_is_known_says_the_place_in_it() {
    let line = Waiting {
        key: LockKey::Project(name("api")),
        position: Some(3),
        ahead: vec![project_held(3, Liveness::Alive).lock.holder],
        holder: Some(project_held(2, Liveness::Alive)),
    };
    let facts = Facts {
        holder: Some(plan_held(false, Liveness::Alive)),
        projects: vec![project_held(2, Liveness::Alive)],
        waiting: vec![line.clone()],
        ..at(Phase::Apply, State::Queued)
    };
    let found = causes(&facts);
    assert!(matches!(&found[..], [Cause { why: Why::Waits { line: told, .. }, .. }] if **told == line));
}

#[test]
fn a_full_house_is_the_answer_unless_a_place_is_the_plans_own() {
    let running = |places| Facts {
        holder: Some(plan_held(false, Liveness::Alive)),
        places: Some(places),
        ..at(Phase::Execute, State::Processing)
    };
    assert_eq!(codes(&running(full(None))), ["no_place"]);
    assert_eq!(codes(&running(full(Some(plan_id())))), ["runs"]);
    let queued = Facts { plan: at(Phase::Execute, State::Queued).plan, ..running(full(None)) };
    assert_eq!(codes(&queued), ["no_place"]);
    let complete = Facts { plan: at(Phase::Execute, State::Complete).plan, ..running(full(None)) };
    assert_eq!(codes(&complete), ["held"]);
    assert_eq!(codes(&running(PlacesCensus { total: 2, ..full(None) })), ["runs"]);
}

#[test]
fn what_was_asked_and_not_served_is_told_as_well() {
    let by = || Some(plan_held(false, Liveness::Alive));
    let (now, earlier) = (request(Wish::LetGo { token: token(1) }), request(Wish::LetGo { token: token(2) }));
    let asked = vec![earlier, now, cancel()];
    let running = Facts { holder: by(), requests: asked.clone(), ..at(Phase::Execute, State::Processing) };
    assert_eq!(codes(&running), ["runs", "break_requested", "cancel_requested"]);
    let dead = Facts { holder: None, ..running };
    assert_eq!(codes(&dead), ["no_driver", "cancel_requested"]);
    let queued = Facts { requests: asked, ..at(Phase::Execute, State::Queued) };
    assert_eq!(codes(&queued), ["cancel_requested", "not_ordered"]);
}

#[test]
fn a_parked_plan_says_until_when_or_what_it_asks() {
    let parked = |until: Option<i64>, input: Option<&str>| {
        let mut facts = at(Phase::Execute, State::Queued);
        facts.plan.parked = Some(Parked {
            until: until.map(Timestamp::from_millis),
            input: input.map(str::to_owned),
            cause: "quota".to_owned(),
        });
        let first = causes(&facts).remove(0);
        (first.why.code(), first.remedy)
    };
    assert_eq!(parked(Some(1_001), None), ("parked", format!("agents plan execute {}", plan_id())));
    assert_eq!(parked(None, None).0, "parked");
    assert_eq!(parked(Some(1_000), None).0, "not_ordered", "its time has come");
    let asks = ("awaits_input", format!("agents plan prompt {} \"…\"", plan_id()));
    assert_eq!(parked(Some(9), Some("which?")), asks);
}

#[test]
fn a_failure_that_knows_a_better_retry_is_heard() {
    let mut facts = at(Phase::Apply, State::Constrained);
    facts.plan.failure = Some(failure(Some("agents plan retry X --allow-empty")));
    assert_eq!(causes(&facts)[0].remedy, "agents plan retry X --allow-empty");
    facts.plan.failure = Some(failure(Some("agents plan log X")));
    assert_eq!(causes(&facts)[0].remedy, format!("agents plan retry {}", plan_id()));
    facts.plan.failure = None;
    assert_eq!(codes(&facts), ["constrained"]);
}
