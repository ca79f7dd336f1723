//! Every answer has words, details, and a command that parses.

use agents_domain::action::Automation;
use agents_domain::id::{PlanId, RequestId};
use agents_domain::lock::{HeldLock, Liveness};
use agents_domain::places::PlacesCensus;
use agents_domain::plan::{Parked, Stage, State};
use agents_domain::request::Asker;
use agents_domain::subplan::Mode;
use agents_domain::why::{Above, Below, Facts, causes};

use super::*;
use crate::render::samples;

fn held(stale: bool, liveness: Liveness) -> Held {
    Held { lock: HeldLock { stale, ..samples::held() }, liveness }
}

fn request(wish: Wish, reason: Option<&str>) -> Request {
    Request {
        id: RequestId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB3").expect("a ULID"),
        key: LockKey::Plan(samples::plan_id()),
        wish,
        by: Asker { host: "box".to_owned(), pid: 2, user: "bob".to_owned() },
        reason: reason.map(str::to_owned),
        at: samples::view().record.created_at,
        closed: None,
    }
}

fn at(stage: Stage) -> Facts {
    let plan = samples::plan_at(stage).into_record();
    let (projects, waiting, requests) = (Vec::new(), Vec::new(), Vec::new());
    let now = plan.created_at;
    Facts {
        plan,
        holder: None,
        projects,
        waiting,
        places: None,
        requests,
        above: None,
        ordered: None,
        below: Below::default(),
        now,
    }
}

fn stage(phase: Phase, state: State) -> Stage {
    Stage::new(phase, state).expect("exists")
}

fn line(position: Option<u32>) -> Waiting {
    Waiting {
        key: LockKey::Project(samples::name("api")),
        position,
        ahead: position.map(|_| samples::holder()).into_iter().collect(),
        holder: position.map(|_| held(false, Liveness::Alive)),
    }
}

fn said(facts: &Facts) -> Vec<String> {
    causes(facts).iter().map(|cause| reason(Some(&facts.plan), &cause.why, facts.now)).collect()
}

#[test]
fn every_remedy_parses_and_every_answer_is_whole() {
    let holders = [None, Some(held(false, Liveness::Alive)), Some(held(false, Liveness::Dead))];
    let parkings = [None, Some("which?")].map(|input| {
        let (input, cause) = (input.map(str::to_owned), "quota".to_owned());
        Some(Parked { until: None, input, cause })
    });
    let full = full_house();
    let asked = vec![
        request(Wish::Cancel { keep_landed: false }, None),
        request(Wish::LetGo { token: samples::held().token }, None),
    ];
    for stage in Stage::all() {
        for holder in &holders {
            for parked in [None].iter().chain(&parkings) {
                for waiting in [vec![], vec![line(None)]] {
                    let (holder, places) = (holder.clone(), Some(full.clone()));
                    let mut facts = Facts { holder, waiting, places, requests: asked.clone(), ..at(stage) };
                    facts.plan.parked.clone_from(parked);
                    let found = causes(&facts);
                    for cause in &found {
                        crate::remedy::check(&cause.remedy).expect("parses");
                    }
                    let report = why_report(&facts.plan, &found, facts.now);
                    assert_eq!(report.data["code"], report.data["causes"][0]["code"], "{stage}");
                    assert!(report.data["details"].is_object(), "{stage}");
                    assert!(!report.data["reason"].as_str().expect("words").is_empty(), "{stage}");
                }
            }
        }
    }
}

#[test]
fn the_answer_has_the_fields_of_the_contract() {
    let facts = at(stage(Phase::Execute, State::Complete));
    let report = why_report(&facts.plan, &causes(&facts), facts.now);
    let id = samples::plan_id();
    let words = "execute is complete; at the level review, apply needs its command";
    let details = json!({"next_phase": "apply", "automation": "review"});
    let cause = json!({
        "code": "awaits_approval", "reason": words, "remedy": format!("agents plan apply {id}"), "details": details,
    });
    let mut expected = cause.clone();
    (expected["plan_id"], expected["phase"], expected["state"]) =
        (id.as_str().into(), "execute".into(), "complete".into());
    expected["causes"] = json!([cause]);
    assert_eq!(report.data, expected);
    let Body::Facts(shown) = report.body else { panic!("no facts") };
    assert_eq!(shown[3], ("why", words.to_owned()));
    assert_eq!(shown[4], ("help", format!("agents plan apply {id}")));
}

#[test]
fn who_is_at_it_is_named_with_times() {
    let person = "ada (pid 4711 on box, alive), doing: plan execute";
    let then = "2026-01-02T03:04:05.678Z (now)";
    let running =
        Facts { holder: Some(held(false, Liveness::Alive)), ..at(stage(Phase::Execute, State::Processing)) };
    assert_eq!(said(&running), [format!("it runs: {person}, attempt 0 since {then}")]);
    let until = "until 2026-01-02T03:09:05.678Z (in 5m)";
    let busy =
        Facts { holder: Some(held(false, Liveness::Alive)), ..at(stage(Phase::Execute, State::Errored)) };
    assert_eq!(said(&busy), [format!("held by {person}, since {then}, {until}")]);
    for (stale, liveness, words) in [
        (false, Liveness::Dead, "its driver is dead: "),
        (true, Liveness::Alive, "its driver does not renew its lease: "),
    ] {
        let gone =
            Facts { holder: Some(held(stale, liveness)), ..at(stage(Phase::Execute, State::Processing)) };
        assert!(said(&gone)[0].starts_with(words), "{:?}", said(&gone));
    }
    let nobody = at(stage(Phase::Execute, State::Processing));
    assert_eq!(said(&nobody), ["it is in the middle of a phase, and nobody drives it"]);
}

#[test]
fn a_line_and_a_full_house_say_who_is_before_it() {
    let waiting = |position| Facts {
        holder: Some(held(false, Liveness::Alive)),
        waiting: vec![line(position)],
        ..at(stage(Phase::Apply, State::Queued))
    };
    let words = &said(&waiting(Some(2)))[0];
    assert!(
        words.contains("waits for project local/api, as number 2 in line, behind ada (pid 4711"),
        "{words}"
    );
    assert!(words.contains(", held by ada"), "{words}");
    assert!(said(&waiting(None))[0].ends_with("waits for project local/api"));
}

/// One place, taken by a command of another plan.
fn full_house() -> PlacesCensus {
    let mut census = PlacesCensus { total: 1, ..samples::places() };
    census.taken[0].plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FA0").expect("a ULID");
    census
}

#[test]
fn who_has_the_places_is_told() {
    let holder = Some(held(false, Liveness::Alive));
    let stage = Stage::new(Phase::Execute, State::Processing).expect("exists");
    let words = &said(&Facts { holder, places: Some(full_house()), ..at(stage) })[0];
    assert!(words.contains("waits for a place: 1 of 1 places are taken: ada (pid 4711"), "{words}");
    assert!(words.contains("runs execute of plan 01ARZ3NDEKTSV4RRFFQ69G5FA0"), "{words}");
}

#[test]
fn what_was_asked_is_told_with_who_and_why() {
    let now = samples::view().record.created_at;
    let cancel = request(Wish::Cancel { keep_landed: false }, Some("no longer needed"));
    let told = asked(&cancel, now);
    assert_eq!(told, "bob (pid 2 on box) asked now to cancel it, which is not done yet: no longer needed");
    let let_go = request(Wish::LetGo { token: samples::held().token }, None);
    assert!(asked(&let_go, now).ends_with("asked now to let go of it, which is not done yet"));
}

#[test]
fn a_plan_that_waits_or_failed_says_why() {
    let mut facts = at(stage(Phase::Strategize, State::Complete));
    facts.plan.automation = Automation::Manual;
    assert_eq!(said(&facts), ["strategize is complete; at the level manual, execute needs its command"]);
    let parked = |until: bool, input: Option<&str>| {
        let mut facts = at(stage(Phase::Execute, State::Queued));
        let later = facts.now.plus(std::time::Duration::from_mins(5));
        facts.plan.parked = Some(Parked {
            until: until.then_some(later),
            input: input.map(str::to_owned),
            cause: "quota".to_owned(),
        });
        said(&facts).remove(0)
    };
    assert_eq!(parked(true, None), "parked until 2026-01-02T03:09:05.678Z (in 5m): quota");
    assert_eq!(parked(false, None), "parked until somebody goes on: quota");
    assert_eq!(parked(false, Some("which?")), "it awaits an answer to: which?");
    let errored = at(stage(Phase::Execute, State::Errored));
    assert_eq!(said(&errored), ["it failed: exit_code: the command ended with 1"]);
    let mut failure = samples::error();
    failure.hint = Some("look at it".to_owned());
    assert_eq!(failed(&failure), "exit_code: the command ended with 1 (look at it)");
    let mut cancelled = at(stage(Phase::Execute, State::Cancelled));
    assert_eq!(said(&cancelled), ["it was cancelled"]);
    cancelled.plan.cancel_reason = Some("no longer".to_owned());
    assert_eq!(said(&cancelled), ["it was cancelled: no longer"]);
}

/// A child at that stage, in its seventh attempt, below a parent with these facts.
fn child(at_stage: Stage, parent: Facts) -> Facts {
    let mut facts = at(at_stage);
    facts.plan.attempt = 7;
    facts.plan.subplan = samples::full_view().record.subplan;
    facts.above = Some(Box::new(Above::new(&facts.plan, parent, [], Mode::Parallel)));
    facts
}

#[test]
fn what_a_parent_does_is_not_told_as_if_its_child_did_it() {
    let runs =
        Facts { holder: Some(held(false, Liveness::Alive)), ..at(stage(Phase::Execute, State::Processing)) };
    let words = said(&child(stage(Phase::Strategize, State::Queued), runs)).remove(0);
    let person = "ada (pid 4711 on box, alive), doing: plan execute since 2026";
    let id = samples::plan_id();
    assert!(
        words.starts_with(&format!("its parent {id} (execute/processing) begins it: it runs: {person}")),
        "{words}"
    );
    assert!(!words.contains("attempt"), "{words}");
    let failed = at(stage(Phase::Execute, State::Errored));
    let words = said(&child(stage(Phase::Execute, State::Complete), failed)).remove(0);
    assert!(words.contains("merges it; it was tried: exit_code"), "{words}");
    assert!(words.ends_with("of that: it failed: exit_code: the command ended with 1"), "{words}");
}

#[test]
fn a_parent_says_what_its_children_wait_for() {
    let mut asks = samples::full_view().record;
    asks.stage = stage(Phase::Execute, State::Queued);
    let mut facts =
        Facts { holder: Some(held(false, Liveness::Alive)), ..at(stage(Phase::Execute, State::Processing)) };
    facts.plan.last_attempt.as_mut().expect("it runs").commanded = false;
    facts.below = Below::of([&asks, &samples::full_view().record]);
    let words = said(&facts);
    assert!(words[0].starts_with("its subplans run: 2: 1 queued, 1 errored; ada"), "{words:?}");
    assert_eq!(words[1], "its subplan `client` awaits an answer to: which?");
    assert!(words[2].starts_with("its subplan `client` could not be merged: exit_code"), "{words:?}");
}
