//! The table of the module, row by row, over every state, hold and place.

use agents_domain::plan::Stage;

use super::*;

const HOLDS: [Hold; 6] = [
    Hold::Ours,
    Hold::Nobody,
    Hold::Stale,
    Hold::Standing(Liveness::Alive),
    Hold::Standing(Liveness::Unknown),
    Hold::Standing(Liveness::Dead),
];

fn far() -> Place {
    Place::Elsewhere("far".to_owned())
}

fn places_and_purposes() -> [(Place, bool); 4] {
    [(Place::Here, false), (Place::Here, true), (far(), false), (far(), true)]
}

/// Every combination of facts there is.
fn all() -> Vec<Facts> {
    let mut all = Vec::new();
    for stage in Stage::all() {
        for hold in HOLDS {
            for landing_is_open in [false, true] {
                for commanded in [false, true] {
                    for (place, drives) in places_and_purposes() {
                        let (phase, state) = (stage.phase(), stage.state());
                        all.push(Facts { phase, state, hold, landing_is_open, commanded, place, drives });
                    }
                }
            }
        }
    }
    all
}

/// The row of the table, written down a second time in its own words.
fn expected(facts: &Facts) -> Action {
    if facts.state != State::Processing {
        return Action::Nothing;
    }
    match facts.hold {
        Hold::Standing(Liveness::Alive | Liveness::Unknown) => return Action::LeaveAlone,
        Hold::Nobody | Hold::Stale | Hold::Standing(Liveness::Dead) => return Action::Take,
        Hold::Ours => {}
    }
    if facts.landing_is_open {
        return Action::FinishLanding;
    }
    if facts.drives && facts.phase == Phase::Execute && !facts.commanded {
        return Action::Adopt;
    }
    let worked = facts.commanded && facts.phase != Phase::Apply;
    Action::Interrupt(match (worked, &facts.place) {
        (false, _) => Saving::Nothing,
        (true, Place::Here) => Saving::Snapshots,
        (true, Place::Elsewhere(host)) => Saving::Pending(host.clone()),
    })
}

#[test]
fn every_combination_of_facts_is_decided_as_the_table_says() {
    let all = all();
    assert_eq!(all.len(), 16 * 6 * 16);
    for facts in all {
        assert_eq!(decide(&facts), expected(&facts), "{facts:?}");
    }
}

#[test]
fn nothing_is_done_to_a_plan_whose_lock_is_not_ours() {
    for facts in all().into_iter().filter(|facts| facts.hold != Hold::Ours) {
        let action = decide(&facts);
        assert!(
            matches!(action, Action::Nothing | Action::LeaveAlone | Action::Take),
            "{facts:?}: {action:?}"
        );
    }
}

#[test]
fn a_directory_on_another_machine_is_never_touched() {
    for facts in all().into_iter().filter(|facts| facts.place == far()) {
        assert_ne!(decide(&facts), Action::Interrupt(Saving::Snapshots), "{facts:?}");
    }
}

fn holder(host: &str, boot: &str) -> Holder {
    Holder {
        host: host.to_owned(),
        boot_id: boot.to_owned(),
        pid_namespace: String::new(),
        pid: 1,
        started: 1,
        user: String::new(),
        operation: String::new(),
    }
}

#[test]
fn a_machine_is_known_by_its_name_and_never_by_its_boot() {
    let here = holder("box", "b1");
    assert_eq!(place(&holder("box", "b1"), &here), Place::Here);
    assert_eq!(place(&holder("box", "b0"), &here), Place::Here, "it was booted since");
    assert_eq!(place(&holder("far", "b1"), &here), far(), "containers share a boot, not their directories");
    assert_eq!(place(&holder("far", "b2"), &here), far());
    assert_eq!(place(&holder("far", ""), &holder("box", "")), far(), "no boot proves nothing");
}

#[test]
fn only_who_drives_a_plan_on_adopts_it_and_only_where_no_command_of_its_own_ran() {
    let adopted: Vec<_> = all().into_iter().filter(|facts| decide(facts) == Action::Adopt).collect();
    assert_eq!(adopted.len(), 2, "one stage, ours, no landing open; on either machine");
    for facts in adopted {
        assert_eq!((facts.phase, facts.state), (Phase::Execute, State::Processing));
        assert!(facts.drives && !facts.commanded && !facts.landing_is_open, "{facts:?}");
    }
}
