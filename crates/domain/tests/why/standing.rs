//! How a wait for a plan stands.

use agents_domain::action::Automation;
use agents_domain::plan::{Parked, Phase, State};
use agents_domain::why::{Facts, Standing, standing};
use rstest::rstest;

use crate::support::{at, child, stage};

/// How a wait stands for a plan that nobody drives: until it rests, and for each state.
fn waits(facts: &Facts) -> (Standing, Vec<State>, Vec<State>) {
    let of = |wanted| standing(&facts.plan, false, Some(wanted));
    let which = |how| State::ALL.into_iter().filter(|wanted| of(*wanted) == how).collect();
    (standing(&facts.plan, false, None), which(Standing::Reached), which(Standing::Elsewhere))
}

#[rstest]
#[case(Phase::Strategize, State::Queued, Standing::NotYet, &[State::Queued], false)]
#[case(Phase::Execute, State::Processing, Standing::NotYet, &[State::Processing], false)]
#[case(Phase::Strategize, State::Complete, Standing::NotYet, &[], false)]
#[case(Phase::Execute, State::Complete, Standing::Reached, &[State::Complete], false)]
#[case(Phase::Execute, State::Errored, Standing::Reached, &[State::Errored], true)]
#[case(Phase::Apply, State::Constrained, Standing::Reached, &[State::Complete, State::Constrained], true)]
#[case(Phase::Apply, State::Applied, Standing::Reached, &[State::Complete, State::Applied], true)]
#[case(Phase::Apply, State::Cancelled, Standing::Reached, &[State::Cancelled], true)]
fn a_wait_ends_where_the_plan_rests(
    #[case] phase: Phase,
    #[case] state: State,
    #[case] at_all: Standing,
    #[case] reached: &[State],
    #[case] elsewhere: bool,
) {
    let (rest, there, over) = waits(&at(phase, state));
    assert_eq!((rest, &there[..]), (at_all, reached));
    assert_eq!(over.len(), if elsewhere { State::ALL.len() - reached.len() } else { 0 });
}

#[test]
fn the_level_decides_whether_a_complete_phase_is_a_rest() {
    let mut facts = at(Phase::Strategize, State::Complete);
    facts.plan.automation = Automation::Manual;
    assert_eq!(waits(&facts).0, Standing::Reached);
    assert_eq!(standing(&facts.plan, false, Some(State::Complete)), Standing::Reached);
    let mut facts = at(Phase::Execute, State::Complete);
    facts.plan.automation = Automation::Auto;
    assert_eq!(waits(&facts).0, Standing::NotYet);
}

#[test]
fn a_parked_plan_rests_and_one_in_hand_does_not() {
    let mut facts = at(Phase::Execute, State::Queued);
    facts.plan.parked = Some(Parked { until: None, input: None, cause: "quota".to_owned() });
    assert_eq!(waits(&facts).0, Standing::Reached);
    assert_eq!(standing(&facts.plan, false, Some(State::Applied)), Standing::Elsewhere);
    for state in [State::Errored, State::Complete, State::Queued] {
        assert_eq!(standing(&at(Phase::Execute, state).plan, true, None), Standing::NotYet);
    }
    let errored = at(Phase::Execute, State::Errored);
    assert_eq!(standing(&errored.plan, true, Some(State::Applied)), Standing::NotYet, "it may be retried");
    assert_eq!(standing(&errored.plan, true, Some(State::Errored)), Standing::Reached);
    let applied = at(Phase::Apply, State::Applied);
    assert_eq!(standing(&applied.plan, true, Some(State::Errored)), Standing::Elsewhere);
}

#[test]
fn a_child_does_not_rest_where_its_parent_goes_on_whatever_its_level() {
    for phase in [Phase::Strategize, Phase::Execute] {
        let mut record = child(1, stage(phase, State::Complete), &[]);
        record.automation = Automation::Manual;
        assert_eq!(standing(&record, false, None), Standing::NotYet);
        assert_eq!(standing(&record, false, Some(State::Applied)), Standing::NotYet);
    }
    let executed = child(1, stage(Phase::Execute, State::Complete), &[]);
    assert_eq!(standing(&executed, false, Some(State::Complete)), Standing::Reached);
}
