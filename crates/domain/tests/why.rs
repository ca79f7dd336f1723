//! Why a plan is not running: an answer in every stage and situation, and one that leads on.

use agents_domain::action::Automation;
use agents_domain::id::{OwnerId, PlanId, RequestId};
use agents_domain::lock::{FencingToken, HeldLock, Holder, Liveness, LockKey, LockRecord};
use agents_domain::name::Name;
use agents_domain::places::{Occupant, PlacesCensus};
use agents_domain::plan::{Failure, Origin, Parked, Phase, Plan, Stage, State, Verb, target};
use agents_domain::request::{Asker, Request, Wish};
use agents_domain::time::{BootInstant, Timestamp};
use agents_domain::why::{Cause, Facts, Held, Standing, Waiting, Why, causes, standing};
use rstest::rstest;

const NOW: Timestamp = Timestamp::from_millis(1_000);

fn plan_id() -> PlanId {
    PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID")
}

fn owner(n: u8) -> OwnerId {
    OwnerId::parse(&format!("0000000000000000000000000{n}")).expect("a ULID")
}

fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// The token of the first grant, and of the second.
fn token(n: usize) -> FencingToken {
    let granted = |record: LockRecord, _| {
        let taken = record.acquire(owner(9), BootInstant::default(), std::time::Duration::ZERO, None);
        let grant = taken.expect("free");
        grant.record.release(owner(9), grant.token).expect("held")
    };
    (0..n).fold(LockRecord::new(), granted).token()
}

fn held(key: LockKey, by: u8, stale: bool, liveness: Liveness) -> Held {
    let holder = Holder {
        host: "box".to_owned(),
        boot_id: "boot".to_owned(),
        pid_namespace: "pid:[1]".to_owned(),
        pid: u32::from(by),
        started: 1,
        user: "ada".to_owned(),
        operation: "plan apply".to_owned(),
    };
    let (acquired_at, expires_at) = (Timestamp::from_millis(0), Timestamp::from_millis(9_000));
    let lock = HeldLock { key, owner: owner(by), token: token(1), acquired_at, expires_at, stale, holder };
    Held { lock, liveness }
}

fn plan_held(stale: bool, liveness: Liveness) -> Held {
    held(LockKey::Plan(plan_id()), 1, stale, liveness)
}

fn project_held(by: u8, liveness: Liveness) -> Held {
    held(LockKey::Project(name("api")), by, false, liveness)
}

fn request(wish: Wish) -> Request {
    Request {
        id: RequestId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB3").expect("a ULID"),
        key: LockKey::Plan(plan_id()),
        wish,
        by: Asker { host: "box".to_owned(), pid: 2, user: "bob".to_owned() },
        reason: None,
        at: NOW,
        closed: None,
    }
}

fn cancel() -> Request {
    request(Wish::Cancel { keep_landed: false })
}

/// A plan at rest, nobody in the way.
fn facts(stage: Stage) -> Facts {
    let origin = Origin {
        name: None,
        action: name("fix"),
        automation: Automation::Review,
        projects: vec![name("api")],
        subplan: None,
    };
    let mut plan = Plan::create(plan_id(), &origin, Timestamp::default()).into_record();
    plan.stage = stage;
    let failed = matches!(stage.state(), State::Errored | State::Constrained);
    plan.failure = failed.then(|| failure(None));
    let (projects, waiting, requests) = (Vec::new(), Vec::new(), Vec::new());
    Facts { plan, holder: None, projects, waiting, places: None, requests, now: NOW }
}

fn failure(hint: Option<&str>) -> Failure {
    let (code, message) = ("exit_code".to_owned(), "it failed".to_owned());
    Failure { code, message, hint: hint.map(str::to_owned), retryable: true }
}

fn at(phase: Phase, state: State) -> Facts {
    facts(Stage::new(phase, state).expect("exists"))
}

/// One place, taken by a command of that plan, or of another one.
fn full(by: Option<PlanId>) -> PlacesCensus {
    let other = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FA0").expect("a ULID");
    let (plan, purpose) = (by.unwrap_or(other), "execute".to_owned());
    let by = plan_held(false, Liveness::Alive).lock.holder;
    PlacesCensus { total: 1, taken: vec![Occupant { by, plan, attempt: 2, purpose, since: NOW }] }
}

/// Everything that can be known of a plan beside its own facts, in all combinations.
fn situations() -> Vec<impl Fn(Facts) -> Facts> {
    let living = [Liveness::Alive, Liveness::Dead, Liveness::Unknown];
    let holders = living.into_iter().flat_map(|l| [false, true].map(|stale| Some(plan_held(stale, l))));
    let holders: Vec<_> = holders.chain([None]).collect();
    let projects = [vec![], vec![project_held(1, Liveness::Alive)], vec![project_held(2, Liveness::Alive)]];
    let line = |ahead| Waiting {
        key: LockKey::Project(name("api")),
        position: Some(2),
        ahead,
        holder: Some(project_held(2, Liveness::Unknown)),
    };
    let lines = [vec![], vec![line(vec![plan_held(false, Liveness::Alive).lock.holder])]];
    let places = [None, Some(full(None)), Some(full(Some(plan_id())))];
    let let_go = request(Wish::LetGo { token: token(1) });
    let asked = [vec![], vec![cancel()], vec![let_go.clone(), cancel()], vec![let_go]];
    let parked = |until, input: Option<&str>| Parked {
        until,
        input: input.map(str::to_owned),
        cause: "quota".to_owned(),
    };
    let parkings =
        [None, Some(parked(None, None)), Some(parked(Some(NOW), None)), Some(parked(None, Some("?")))];
    let mut all = Vec::new();
    for holder in &holders {
        for projects in &projects {
            for waiting in &lines {
                for places in &places {
                    for requests in &asked {
                        for parked in &parkings {
                            let (holder, projects, waiting) =
                                (holder.clone(), projects.clone(), waiting.clone());
                            let (places, requests, parked) =
                                (places.clone(), requests.clone(), parked.clone());
                            all.push(move |mut facts: Facts| {
                                facts.plan.parked.clone_from(&parked);
                                Facts {
                                    holder: holder.clone(),
                                    projects: projects.clone(),
                                    waiting: waiting.clone(),
                                    places: places.clone(),
                                    requests: requests.clone(),
                                    ..facts
                                }
                            });
                        }
                    }
                }
            }
        }
    }
    all
}

/// Whether the command of a remedy is legal in that stage, by the table of transitions. Commands
/// that only read are legal everywhere, `recover` where there is something to recover.
fn is_legal(remedy: &str, stage: Stage) -> bool {
    let can = |verb| target(verb, stage).is_some();
    let words: Vec<&str> = remedy.split(' ').collect();
    match words[1..] {
        ["recover"] => stage.state() == State::Processing,
        ["lock", "show" | "explain", _] | ["plan", "list" | "wait" | "diff" | "events", ..] => true,
        ["plan", "execute", _] => stage.phase() != Phase::Apply && (can(Verb::Execute) || can(Verb::Start)),
        ["plan", "apply", _] => can(Verb::Apply) || (stage.phase() == Phase::Apply && can(Verb::Start)),
        ["plan", "retry", ..] => can(Verb::Retry),
        ["plan", "cancel", ..] => can(Verb::Cancel),
        ["plan", "prompt", ..] => can(Verb::Prompt),
        _ => panic!("what is `{remedy}`?"),
    }
}

#[test]
fn every_stage_has_an_answer_in_every_situation_and_its_command_is_legal_there() {
    for stage in Stage::all() {
        for level in Automation::ALL {
            for situation in situations() {
                let mut facts = situation(facts(stage));
                facts.plan.automation = level;
                let found = causes(&facts);
                assert!(!found.is_empty(), "{stage}: {facts:?}");
                for Cause { why, remedy } in found {
                    assert!(is_legal(&remedy, stage), "{stage} {}: {remedy}: {facts:?}", why.code());
                }
            }
        }
    }
}

#[test]
fn a_command_that_is_not_legal_is_seen() {
    let complete = Stage::new(Phase::Execute, State::Complete).expect("exists");
    assert!(is_legal("agents plan apply X", complete) && !is_legal("agents plan execute X", complete));
    assert!(!is_legal("agents recover", complete) && !is_legal("agents plan retry X", complete));
}

fn codes(facts: &Facts) -> Vec<&'static str> {
    causes(facts).iter().map(|cause| cause.why.code()).collect()
}

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
