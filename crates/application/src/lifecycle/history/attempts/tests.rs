//! Attempts from logs: numbers, outcomes, and with what each began.

use agents_domain::action::Automation;
use agents_domain::id::{EventId, PlanId};
use agents_domain::plan::{Exit, InterruptCause, Origin, Saved};

use super::super::unfinished;
use super::*;

fn name(text: &str) -> Name {
    Name::parse(text).expect("valid")
}

fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).expect("valid")
}

fn driver(pid: u32) -> Holder {
    let text = || "x".to_owned();
    Holder {
        host: text(),
        boot_id: text(),
        pid_namespace: text(),
        pid,
        started: 1,
        user: text(),
        operation: text(),
    }
}

fn start(pid: u32) -> Change {
    let bases = [(name("api"), oid('0'))].into();
    Change::PhaseStarted { driver: driver(pid), bases, commanded: pid != 9 }
}

fn done() -> Change {
    Change::PhaseCompleted { tips: BTreeMap::new(), strategy: None, work: Vec::new() }
}

fn snapshot(digit: char) -> Vec<Work> {
    let saved = Saved::Snapshot { reference: "refs/x".to_owned(), commit: oid(digit), kept: None };
    vec![Work { project: name("api"), saved }]
}

fn failure() -> Failure {
    Failure { code: "exit_code".to_owned(), message: "3".to_owned(), hint: None, retryable: true }
}

fn fail(work: Vec<Work>) -> Change {
    Change::PhaseFailed { failure: failure(), exit: Some(Exit::Code(3)), work }
}

fn park(work: Vec<Work>) -> Change {
    Change::Parked { until: None, input: None, cause: "75".to_owned(), work }
}

fn to(phase: Phase) -> Change {
    Change::PhaseAdvanced { to: phase }
}

/// The log of a plan to which these changes happened, one a millisecond.
fn log(changes: impl IntoIterator<Item = Change>) -> Vec<Event> {
    let (action, automation) = (name("fix"), Automation::Review);
    let origin = Origin { name: None, action, automation, projects: vec![name("api")], subplan: None };
    let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    let all = std::iter::once(Change::Created(origin)).chain(changes);
    all.zip(1..)
        .map(|(change, seq)| Event {
            id: EventId::parse(&format!("01EVENT{seq:019}")).expect("valid"),
            plan,
            seq,
            at: Timestamp::from_millis(i64::try_from(seq).expect("small")),
            owner: None,
            token: None,
            change,
        })
        .collect()
}

fn outcomes(events: &[Event]) -> Vec<(u32, Phase, &'static str)> {
    let word = |attempt: &AttemptRecord| attempt.end.as_ref().map_or("under way", |end| end.outcome.as_str());
    attempts(events).iter().map(|attempt| (attempt.number, attempt.phase, word(attempt))).collect()
}

#[test]
fn every_start_is_an_attempt_with_its_phase_and_its_end() {
    let log = log([
        start(1),
        Change::Interrupted { cause: InterruptCause::OwnerDied, work: Vec::new() },
        Change::retried(),
        start(2),
        done(),
        to(Phase::Execute),
        start(2),
        fail(snapshot('a')),
        Change::Reverted { reason: None },
        start(2),
        done(),
        to(Phase::Execute),
        start(2),
        park(Vec::new()),
        start(2),
        done(),
        to(Phase::Apply),
        start(2),
        Change::Constrained { failure: failure(), validations: Vec::new() },
        Change::retried(),
        start(2),
        Change::Cancelled { reason: None, keep_landed: false, work: Vec::new(), given_up: None },
    ]);
    let expected = [
        (1, Phase::Strategize, "interrupted"),
        (2, Phase::Strategize, "complete"),
        (3, Phase::Execute, "failed"),
        (4, Phase::Strategize, "complete"),
        (5, Phase::Execute, "parked"),
        (6, Phase::Execute, "complete"),
        (7, Phase::Apply, "constrained"),
        (8, Phase::Apply, "cancelled"),
    ];
    assert_eq!(outcomes(&log), expected);
    let all = attempts(&log);
    let end = all[2].end.as_ref().expect("it ended");
    assert_eq!((end.failure.clone(), end.at), (Some(failure()), Timestamp::from_millis(9)));
    assert_eq!(
        (end.work.clone(), end.exit, all[2].started_at),
        (snapshot('a'), Some(Exit::Code(3)), Timestamp::from_millis(8))
    );
    let interrupted = all[0].end.as_ref().and_then(|end| end.failure.as_ref()).expect("it says why");
    assert_eq!(interrupted.code, "owner_died");
}

#[test]
fn what_runs_has_no_end_and_giving_up_later_ends_no_attempt_again() {
    assert_eq!(outcomes(&log([start(1)])), [(1, Phase::Strategize, "under way")]);
    let cancel = Change::Cancelled { reason: None, keep_landed: false, work: Vec::new(), given_up: None };
    assert_eq!(outcomes(&log([start(1), fail(Vec::new()), cancel])), [(1, Phase::Strategize, "failed")]);
    assert!(attempts(&[]).is_empty() && attempts(&log([])).is_empty());
}

#[test]
fn an_adopted_attempt_has_the_driver_that_drove_it_last() {
    let adopted = attempts(&log([start(9), Change::Adopted { driver: driver(7) }, done()]));
    assert_eq!((adopted.len(), adopted[0].driver.pid), (1, 7));
}

#[test]
fn an_attempt_knows_with_what_it_went_on() {
    let resume: BTreeMap<_, _> = [(name("api"), oid('a'))].into();
    let road = [start(1), done(), to(Phase::Execute), start(1), fail(snapshot('a'))];
    let on =
        [Change::Retried { resume: resume.clone(), anew: true }, start(1), park(snapshot('b')), start(1)];
    let anew = [fail(snapshot('c')), Change::retried(), start(1)];
    let resumed: Vec<_> = attempts(&log(road.into_iter().chain(on).chain(anew)))
        .into_iter()
        .map(|attempt| attempt.resumed.into_values().next())
        .collect();
    assert_eq!(resumed, [None, None, Some(oid('a')), Some(oid('b')), None]);
}

#[test]
fn unfinished_is_what_no_completed_phase_took_up() {
    let road =
        [start(1), done(), to(Phase::Execute), start(1), fail(snapshot('a')), Change::retried(), start(1)];
    let newest = |changes: Vec<Change>| unfinished(&log(road.clone().into_iter().chain(changes)));
    let (attempt, saved) = newest(vec![fail(Vec::new())]).remove(&name("api")).expect("attempt 2 left it");
    assert_eq!((attempt, saved), (2, snapshot('a').remove(0).saved));
    assert_eq!(newest(vec![park(snapshot('b'))])[&name("api")].0, 3);
    assert!(newest(vec![done()]).is_empty());
    assert!(newest(vec![fail(snapshot('b')), Change::Reverted { reason: None }]).is_empty());
}
