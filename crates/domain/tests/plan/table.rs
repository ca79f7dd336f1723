//! The table of `docs/lifecycle.md` is the table of the code: every verb, every stage.

use std::collections::BTreeMap;
use std::fmt::Write as _;
use std::path::Path;

use agents_domain::plan::{Change, Phase, Stage, State, Verb, target};
use rstest::rstest;

use crate::support::{Story, samples};

const FENCE: &str = "```transitions\n";

/// The fenced table of the documentation.
fn documented() -> String {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../docs/lifecycle.md");
    let text = std::fs::read_to_string(path).expect("docs/lifecycle.md");
    let (_, table) = text.split_once(FENCE).expect("a fenced table of transitions");
    table.split_once("```").expect("the end of the table").0.to_owned()
}

/// The table of the code, in the same form.
fn coded() -> String {
    let mut table = String::from("use: - -> strategize/queued\n");
    for verb in Verb::ALL {
        for from in Stage::all() {
            if let Some(to) = target(verb, from) {
                writeln!(table, "{}: {from} -> {to}", verb.as_str()).expect("a string");
            }
        }
    }
    table
}

fn stage(text: &str) -> Stage {
    let (phase, state) = text.split_once('/').expect("phase/state");
    let (phase, state) = (Phase::parse(phase).expect("a phase"), State::parse(state).expect("a state"));
    Stage::new(phase, state).expect("a stage that exists")
}

#[test]
fn the_documented_table_is_the_table_of_the_code() {
    assert_eq!(documented(), coded());
}

#[test]
fn every_verb_at_every_stage_does_what_the_documentation_says() {
    let text = documented();
    let mut table: BTreeMap<(&str, Stage), Stage> = BTreeMap::new();
    for line in text.lines().filter(|line| !line.starts_with("use:")) {
        let (verb, road) = line.split_once(": ").expect("verb: from -> to");
        let (from, to) = road.split_once(" -> ").expect("from -> to");
        assert_eq!(table.insert((verb, stage(from)), stage(to)), None, "{line} is there twice");
    }
    for verb in Verb::ALL {
        for from in Stage::all() {
            let expected = table.remove(&(verb.as_str(), from));
            assert_eq!(target(verb, from), expected, "{} at {from}", verb.as_str());
        }
    }
    assert!(table.is_empty(), "rows with unknown verbs: {table:?}");
}

#[rstest]
#[case(Verb::Start, "execute/queued", Some("execute/processing"))]
#[case(Verb::Complete, "apply/processing", Some("apply/applied"))]
#[case(Verb::Complete, "execute/processing", Some("execute/complete"))]
#[case(Verb::Retry, "apply/constrained", Some("apply/queued"))]
#[case(Verb::Revert, "apply/errored", Some("strategize/queued"))]
#[case(Verb::Revert, "apply/processing", None)]
#[case(Verb::Cancel, "execute/processing", Some("execute/cancelled"))]
#[case(Verb::Constrain, "execute/processing", None)]
#[case(Verb::Apply, "strategize/complete", None)]
#[case(Verb::Use, "strategize/queued", None)]
#[case(Verb::Prompt, "apply/applied", None)]
#[case(Verb::Spawn, "strategize/queued", Some("strategize/queued"))]
#[case(Verb::Spawn, "strategize/processing", Some("strategize/processing"))]
#[case(Verb::Spawn, "strategize/cancelled", None)]
#[case(Verb::Spawn, "execute/queued", Some("execute/queued"))]
#[case(Verb::Spawn, "execute/errored", Some("execute/errored"))]
#[case(Verb::Spawn, "execute/processing", None)]
#[case(Verb::Spawn, "execute/complete", None)]
#[case(Verb::Spawn, "apply/queued", None)]
#[case(Verb::Merge, "execute/processing", Some("execute/processing"))]
#[case(Verb::Merge, "strategize/processing", None)]
#[case(Verb::Conflict, "execute/queued", None)]
#[case(Verb::Command, "apply/processing", None)]
#[case(Verb::Save, "execute/errored", Some("execute/errored"))]
#[case(Verb::Save, "execute/processing", None)]
fn single_rows(#[case] verb: Verb, #[case] from: &str, #[case] to: Option<&str>) {
    assert_eq!(target(verb, stage(from)), to.map(stage));
}

#[rstest]
fn nothing_leads_out_of_a_terminal_state(#[values(State::Applied, State::Cancelled)] state: State) {
    for from in Stage::all().filter(|stage| stage.state() == state) {
        assert!(Verb::ALL.into_iter().all(|verb| target(verb, from).is_none()), "{from}");
    }
}

#[test]
fn every_verb_has_a_change_and_every_event_a_name_of_its_own() {
    let changes = samples();
    for verb in Verb::ALL {
        assert!(changes.iter().any(|change| change.verb() == verb), "{}", verb.as_str());
    }
    let names: BTreeMap<&str, Verb> = changes.iter().map(|c| (c.event_name(), c.verb())).collect();
    assert_eq!(names.len(), 21, "{names:?}");
    let of_subplans = |verb: &Verb| matches!(verb, Verb::Spawn | Verb::Merge | Verb::Conflict);
    let area = |verb: &Verb| if of_subplans(verb) { "subplan." } else { "plan." };
    assert!(names.iter().all(|(name, verb)| name.starts_with(area(verb))), "{names:?}");
    assert_eq!(Change::Applied.event_name(), "plan.applied");
}

#[test]
fn a_plan_that_exists_cannot_be_made_again() {
    let story = Story::new();
    let refusal = story.refusal(&story.events[0].change);
    assert_eq!((refusal.verb, refusal.stage), (Verb::Use, Stage::FIRST));
}
