//! What a stage alone cannot tell: guards, acknowledgements, and the words of refusals.

use agents_domain::plan::{Change, MAX_REVERSIONS, Phase, Plan, State, Step, Verb};
use rstest::rstest;

use crate::support::{
    Story, adopt, advance, cancel, complete, constrain, fail, intend, land, park, plan_id, prompt, revert,
    start, start_from,
};

fn is_already_so(story: &Story, change: &Change) -> bool {
    story.try_change(change) == Ok(Step::AlreadySo)
}

fn command(words: &str) -> String {
    format!("agents plan {words} {}", plan_id(1))
}

#[rstest]
#[case(revert("why"))]
#[case(cancel(false))]
#[case(cancel(true))]
fn an_open_landing_forbids_to_go_back_or_give_up(#[case] change: Change) {
    let mut story = Story::applying([intend(&[("api", 1)]), fail("crash")]);
    let refusal = story.refusal(&change);
    assert!(refusal.reason.starts_with("a landing is open"), "{refusal}");
    assert_eq!(refusal.remedy, Some(command("retry")));
    story.go(Change::retried());
    assert_eq!(story.refusal(&change).remedy, Some(command("apply")), "retry is not legal in apply/queued");
}

#[test]
fn a_running_plan_with_an_open_landing_cannot_be_cancelled() {
    let story = Story::applying([intend(&[("api", 1)])]);
    assert_eq!(story.refusal(&cancel(true)).remedy, Some(command("status")));
}

#[test]
fn once_a_part_has_landed_only_keep_landed_gives_up() {
    let mut story = Story::applying([intend(&[("api", 1)]), land(1), fail("crash")]);
    for change in [revert("why"), cancel(false)] {
        let refusal = story.refusal(&change);
        assert_eq!(refusal.reason, "local/api has landed; finish it, or give up the rest");
        assert_eq!(refusal.remedy, Some(command("retry")));
        assert_eq!(refusal.otherwise, Some(format!("{} --keep-landed", command("cancel"))));
    }
    story.go(cancel(true));
    assert_eq!((story.plan.state(), story.plan.has_landed()), (State::Cancelled, true));
}

#[test]
fn a_running_plan_without_a_landing_is_cancelled() {
    assert_eq!(Story::of([start(), cancel(false)]).plan.state(), State::Cancelled);
    assert_eq!(Story::new().go(cancel(true)).plan.state(), State::Cancelled);
}

#[test]
fn a_plan_goes_back_three_times_and_no_more() {
    let mut story = Story::of([revert("a"), revert("b"), revert("c")]);
    assert_eq!(story.plan.reversion_count, MAX_REVERSIONS);
    let refusal = story.refusal(&revert("d"));
    assert_eq!((refusal.verb, refusal.reason.as_str()), (Verb::Revert, "it was reverted 3 times already"));
    story.go(cancel(false));
}

#[test]
fn a_question_is_answered_before_the_next_start() {
    let mut story = Story::of([start(), park(Some("which branch?"))]);
    let refusal = story.refusal(&start());
    assert_eq!(refusal.reason, "it awaits an answer to: which branch?");
    assert_eq!(refusal.remedy, Some(format!("agents plan prompt {} \"…\"", plan_id(1))));
    story.go(prompt("main")).go(start());
}

#[test]
fn a_plan_parked_for_a_while_may_be_started_at_once() {
    Story::of([start(), park(None), start()]);
}

#[test]
fn only_an_attempt_without_a_command_is_carried_on() {
    let refusal = Story::of([start_from('0', true)]).refusal(&adopt(2));
    assert!(refusal.reason.starts_with("its command ran already"), "{refusal}");
    assert_eq!(Story::of([start_from('0', false), adopt(2)]).plan.state(), State::Processing);
}

#[test]
fn a_plan_is_not_applied_before_all_has_landed() {
    let mut story = Story::applying([intend(&[("api", 1), ("web", 2)]), land(1)]);
    assert!(story.refusal(&Change::Applied).reason.contains("a landing is open"));
    story.go(land(2)).go(Change::Applied);
    assert_eq!(story.plan.state(), State::Applied);
}

#[test]
fn a_plan_whose_branch_is_the_result_lands_nowhere() {
    assert_eq!(Story::applying([intend(&[]), Change::Applied]).plan.state(), State::Applied);
}

#[rstest]
#[case::open_already(intend(&[("web", 2)]), "a landing is open already")]
#[case::unknown(land(7), "there is no intent")]
#[case::completed(complete(), "apply ends by landing")]
fn an_open_landing_is_carried_out_as_it_was_intended(#[case] change: Change, #[case] reason: &str) {
    let refusal = Story::applying([intend(&[("api", 1)])]).refusal(&change);
    assert!(refusal.reason.starts_with(reason), "{refusal}");
}

#[rstest]
#[case::has_landed(intend(&[("api", 2)]), "local/api would land twice")]
#[case::id_used_before(intend(&[("web", 1)]), "local/web would land twice")]
#[case::project_named_twice(intend(&[("web", 2), ("web", 3)]), "local/web would land twice")]
#[case::id_given_twice(intend(&[("web", 2), ("api", 2)]), "local/api would land twice")]
#[case::stranger(intend(&[("elsewhere", 2)]), "local/elsewhere is not one of its projects")]
fn an_intent_moves_one_branch_of_the_plan_once(#[case] change: Change, #[case] reason: &str) {
    let refusal = Story::applying([intend(&[("api", 1)]), land(1)]).refusal(&change);
    assert!(refusal.reason.starts_with(reason), "{refusal}");
}

#[test]
fn facts_about_other_projects_are_refused() {
    let elsewhere =
        || std::collections::BTreeMap::from([(crate::support::name("other"), crate::support::oid('1'))]);
    let start_there =
        Change::PhaseStarted { driver: crate::support::holder(1), bases: elsewhere(), commanded: true };
    assert_eq!(Story::new().refusal(&start_there).reason, "local/other is not one of its projects");
    let tips_there = Change::PhaseCompleted { tips: elsewhere(), strategy: None, work: Vec::new() };
    assert_eq!(Story::of([start()]).refusal(&tips_there).reason, "local/other is not one of its projects");
}

#[test]
fn changes_of_another_phase_are_refused() {
    let story = Story::of([start()]);
    assert_eq!(story.refusal(&Change::Applied).reason, "only apply ends with everything landed");
    let story = Story::of([start(), complete()]);
    assert_eq!(story.refusal(&advance(Phase::Strategize)).reason, "nothing leads on to strategize");
    let story = Story::of([start(), complete(), advance(Phase::Execute)]);
    assert!(!is_already_so(&story, &advance(Phase::Strategize)));
}

#[test]
fn a_command_whose_effect_is_there_is_acknowledged() {
    let executing = Story::of([start(), complete(), advance(Phase::Execute)]);
    assert!(is_already_so(&executing, &advance(Phase::Execute)));
    let mut applying = executing.clone();
    applying.go(start()).go(complete()).go(advance(Phase::Apply));
    assert!(is_already_so(&applying, &advance(Phase::Apply)));
    assert!(!is_already_so(&applying, &advance(Phase::Execute)));
    applying.go(start()).go(intend(&[("api", 1)])).go(land(1));
    assert!(is_already_so(&applying, &land(1)));
    applying.go(Change::Applied);
    assert!(is_already_so(&applying, &advance(Phase::Apply)) && !is_already_so(&applying, &cancel(false)));
    let cancelled = Story::of([cancel(false)]);
    assert!(is_already_so(&cancelled, &cancel(true)) && !is_already_so(&cancelled, &prompt("x")));
}

#[rstest]
#[case(Story::new(), advance(Phase::Apply), "start, revert, cancel, prompt, spawn", "execute")]
#[case(Story::of([start()]), Change::retried(), "cancel, prompt, spawn", "status")]
#[case(Story::of([start(), complete()]), start(), "execute, revert, cancel, prompt, spawn", "execute")]
#[case(Story::of([start(), fail("x")]), advance(Phase::Execute), "retry, revert, cancel, prompt, spawn", "retry")]
#[case(Story::applying([constrain()]), advance(Phase::Apply), "retry, revert, cancel, prompt", "retry")]
fn a_refusal_names_the_stage_what_is_legal_and_the_way_on(
    #[case] story: Story,
    #[case] change: Change,
    #[case] legal: &str,
    #[case] way_on: &str,
) {
    let (refusal, plan): (_, &Plan) = (story.refusal(&change), &story.plan);
    assert_eq!((refusal.plan, refusal.verb, refusal.stage), (plan.id, change.verb(), plan.stage));
    assert_eq!(refusal.reason, format!("legal here: {legal}"));
    assert_eq!(refusal.remedy, Some(command(way_on)));
    let verb = change.verb().as_str();
    assert_eq!(
        refusal.to_string(),
        format!("cannot {verb} plan {} in {}: legal here: {legal}", plan.id, plan.stage)
    );
}

#[test]
fn an_executed_plan_is_led_on_to_apply() {
    let mut story = Story::of([start(), complete(), advance(Phase::Execute), start(), complete()]);
    assert_eq!(story.refusal(&start()).remedy, Some(command("apply")));
    story.go(advance(Phase::Apply));
    assert_eq!(story.refusal(&Change::retried()).remedy, Some(command("apply")));
}

#[test]
fn at_its_end_nothing_is_legal() {
    let refusal = Story::of([cancel(false)]).refusal(&Change::retried());
    assert_eq!(refusal.reason, "this is the end of its road");
    assert_eq!(refusal.remedy, Some(command("status")));
}
