//! Plans and locks as tests of rendering need them, here and in features.

use std::time::Duration;

use agents_domain::action::Automation;
use agents_domain::id::{EventId, IntentId, OwnerId, PlanId};
use agents_domain::lock::{
    FencingToken, HeldLock, Holder, LockKey, LockRecord, Respect, Standing, Ticket, TicketNumber,
};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::places::{Occupant, PlacesCensus};
use agents_domain::plan::{
    Attempt, Change, Event, Failure, Origin, Parked, Plan, PlanLanding, PlanRecord, Stage, State, Validation,
};
use agents_domain::reads::PlanView;
use agents_domain::subplan::{Subplan, Tally};
use agents_domain::time::{BootInstant, Timestamp};
use agents_domain::workspace::Intent;

const VALID: &str = "samples are well formed";
/// 2026-01-02T03:04:05.678Z.
const THEN: Timestamp = Timestamp::from_millis(1_767_323_045_678);

/// The plan of all samples.
pub fn plan_id() -> PlanId {
    PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect(VALID)
}

/// A name.
pub fn name(text: &str) -> Name {
    Name::parse(text).expect(VALID)
}

/// An object id of one digit, repeated.
pub fn oid(digit: char) -> Oid {
    Oid::parse(&digit.to_string().repeat(40)).expect(VALID)
}

/// A process on another machine's terms.
pub fn holder() -> Holder {
    Holder {
        host: "box".to_owned(),
        boot_id: "boot".to_owned(),
        pid_namespace: "pid:[1]".to_owned(),
        pid: 4711,
        started: 1,
        user: "ada".to_owned(),
        operation: "plan execute".to_owned(),
    }
}

/// Who holds the plan's lock.
fn owner() -> OwnerId {
    OwnerId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB0").expect(VALID)
}

/// The token of the seventh grant of a lock: 7.
fn seventh_token() -> FencingToken {
    let granted_and_released = |record: LockRecord, _| {
        let grant = record
            .acquire(owner(), BootInstant::default(), Duration::ZERO, Respect::UntilItsEnd)
            .expect(VALID);
        grant.record.release(owner(), grant.token).expect(VALID)
    };
    (0..7).fold(LockRecord::new(), granted_and_released).token()
}

/// The plan's lock, held at token 7 for five minutes.
pub fn held() -> HeldLock {
    HeldLock {
        key: LockKey::Plan(plan_id()),
        owner: owner(),
        token: seventh_token(),
        acquired_at: THEN,
        expires_at: THEN.plus(Duration::from_mins(5)),
        stale: false,
        holder: holder(),
    }
}

/// Somebody at place 6 of the line for the plan.
pub fn ticket() -> Ticket {
    let number = TicketNumber::from_storage(6);
    let keys = vec![LockKey::Plan(plan_id())];
    Ticket { number, owner: owner(), keys, since: THEN, over: false, holder: holder() }
}

/// Second in line for the plan, which is held.
pub fn standing() -> Standing {
    let (key, ticket) = (LockKey::Plan(plan_id()), Some(TicketNumber::from_storage(7)));
    Standing { key, held: Some(held()), ahead: vec![self::ticket()], ticket, since: Some(THEN) }
}

/// What the plan was made of.
pub fn origin() -> Origin {
    Origin {
        name: Some("Lint".to_owned()),
        action: name("fix-lint"),
        automation: Automation::Review,
        projects: vec![name("api"), name("web")],
        subplan: None,
    }
}

/// An error of the plan's own work.
pub fn error() -> Failure {
    Failure {
        code: "exit_code".to_owned(),
        message: "the command ended with 1".to_owned(),
        hint: Some(format!("agents plan retry {}", plan_id())),
        retryable: false,
    }
}

/// One decision to move a branch of the project `api`.
pub fn intent() -> Intent {
    Intent {
        id: IntentId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB1").expect(VALID),
        project: name("api"),
        reference: "refs/heads/main".to_owned(),
        old: oid('a'),
        new: oid('b'),
    }
}

/// A check that passed.
pub fn validation() -> Validation {
    Validation {
        name: "clippy".to_owned(),
        project: name("api"),
        required: true,
        passed: true,
        message: None,
    }
}

/// A new plan, nobody holding its lock.
pub fn view() -> PlanView {
    PlanView {
        record: Plan::create(plan_id(), &origin(), THEN).into_record(),
        lock: None,
        cancel_requested: None,
        subplans: Tally::default(),
    }
}

/// A plan with every fact there is, errored in apply, half landed, its lock held.
pub fn full_view() -> PlanView {
    let mut record = view().record;
    fill(&mut record);
    PlanView { record, lock: Some(held()), cancel_requested: None, subplans: Tally::default() }
}

/// One place of four is taken.
pub fn places() -> PlacesCensus {
    let (by, plan, since) = (holder(), plan_id(), Timestamp::from_millis(0));
    let who = Occupant { by, plan, attempt: 2, purpose: "execute".to_owned(), since };
    PlacesCensus { total: 4, taken: vec![who] }
}

fn fill(record: &mut PlanRecord) {
    record.stage = Stage::new(agents_domain::plan::Phase::Apply, State::Errored).expect(VALID);
    record.attempt = 2;
    record.version = 9;
    record.reversion_count = 1;
    let above = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FA0").expect(VALID);
    record.subplan = Some(Subplan {
        parent: above,
        root: above,
        depth: 1,
        position: 0,
        name: "client".to_owned(),
        depends_on: vec!["api".to_owned()],
        failures: 1,
        given_up: None,
    });
    record.projects[0].base = Some(oid('a'));
    record.projects[0].landing = Some(PlanLanding { intent: intent(), landed: true });
    record.projects[1].landing =
        Some(PlanLanding { intent: Intent { project: name("web"), ..intent() }, landed: false });
    record.last_attempt = Some(Attempt { driver: holder(), started_at: THEN, commanded: true });
    record.failure = Some(error());
    record.parked =
        Some(Parked { until: Some(THEN), input: Some("which?".to_owned()), cause: "75".to_owned() });
    record.strategy = Some("first this".to_owned());
    record.validations = vec![validation()];
    record.cancel_reason = Some("no longer".to_owned());
}

/// A plan at that stage, valid enough to be decided on.
pub fn plan_at(stage: Stage) -> Plan {
    let mut record = view().record;
    record.stage = stage;
    record.last_attempt = Some(Attempt { driver: holder(), started_at: THEN, commanded: true });
    record.failure = Some(error());
    Plan::from_storage(record).expect(VALID)
}

/// The event of a change.
pub fn event(change: Change) -> Event {
    Event {
        id: EventId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB2").expect(VALID),
        plan: plan_id(),
        seq: 3,
        at: THEN,
        owner: Some(held().owner),
        token: Some(held().token),
        change,
    }
}
