//! Facts and short cuts for the tests of `why`.

use std::collections::BTreeMap;

use agents_domain::action::Automation;
use agents_domain::id::{OwnerId, PlanId, RequestId};
use agents_domain::lock::{FencingToken, HeldLock, Holder, Liveness, LockKey, LockRecord, Respect};
use agents_domain::name::Name;
use agents_domain::places::{Occupant, PlacesCensus};
use agents_domain::plan::{Failure, Origin, Parked, Phase, Plan, PlanRecord, Stage, State};
use agents_domain::request::{Asker, Request, Wish};
use agents_domain::subplan::Subplan;
use agents_domain::time::{BootInstant, Timestamp};
use agents_domain::why::{Above, Below, Cause, Facts, Held, causes};

pub(crate) const NOW: Timestamp = Timestamp::from_millis(1_000);

pub(crate) fn plan_id() -> PlanId {
    PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("a ULID")
}

pub(crate) fn owner(n: u8) -> OwnerId {
    OwnerId::parse(&format!("0000000000000000000000000{n}")).expect("a ULID")
}

pub(crate) fn name(text: &str) -> Name {
    Name::parse(text).expect("a name")
}

/// The token of the first grant, and of the second.
pub(crate) fn token(n: usize) -> FencingToken {
    let granted = |record: LockRecord, _| {
        let taken =
            record.acquire(owner(9), BootInstant::default(), std::time::Duration::ZERO, Respect::UntilItsEnd);
        let grant = taken.expect("free");
        grant.record.release(owner(9), grant.token).expect("held")
    };
    (0..n).fold(LockRecord::new(), granted).token()
}

pub(crate) fn held(key: LockKey, by: u8, stale: bool, liveness: Liveness) -> Held {
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

pub(crate) fn plan_held(stale: bool, liveness: Liveness) -> Held {
    held(LockKey::Plan(plan_id()), 1, stale, liveness)
}

pub(crate) fn project_held(by: u8, liveness: Liveness) -> Held {
    held(LockKey::Project(name("api")), by, false, liveness)
}

pub(crate) fn request(wish: Wish) -> Request {
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

pub(crate) fn cancel() -> Request {
    request(Wish::Cancel { keep_landed: false })
}

/// A plan there, or a part of one.
fn record(id: PlanId, stage: Stage, subplan: Option<Subplan>) -> PlanRecord {
    let (action, projects) = (name("fix"), vec![name("api")]);
    let origin = Origin { name: None, action, automation: Automation::Review, projects, subplan };
    let mut plan = Plan::create(id, &origin, Timestamp::default()).into_record();
    (plan.stage, plan.attempt) = (stage, 1);
    let failed = matches!(stage.state(), State::Errored | State::Constrained);
    plan.failure = failed.then(|| failure(None));
    plan
}

/// The facts of a plan that nobody is at, with nobody in the way.
fn alone(plan: PlanRecord) -> Facts {
    let (projects, waiting, requests) = (Vec::new(), Vec::new(), Vec::new());
    let below = Below::default();
    let (holder, places, above, ordered) = Default::default();
    Facts { plan, holder, projects, waiting, places, requests, above, below, ordered, now: NOW }
}

/// A plan at rest, nobody in the way.
pub(crate) fn facts(stage: Stage) -> Facts {
    alone(record(plan_id(), stage, None))
}

/// The part of plan [`plan_id`] with that place; its name is `part-<place>`.
pub(crate) fn child(place: u32, stage: Stage, depends_on: &[&str]) -> PlanRecord {
    let id = PlanId::parse(&format!("01CHJD{place:020}")).expect("a ULID");
    let subplan = Subplan {
        parent: plan_id(),
        root: plan_id(),
        depth: 1,
        position: place,
        name: format!("part-{place}"),
        depends_on: depends_on.iter().map(ToString::to_string).collect(),
        failures: 0,
        given_up: None,
    };
    record(id, stage, Some(subplan))
}

/// What is known of a part of a plan.
pub(crate) fn part(record: PlanRecord, above: Above) -> Facts {
    Facts { above: Some(Box::new(above)), ..alone(record) }
}

/// A child that asks.
pub(crate) fn asking(place: u32) -> PlanRecord {
    let mut record = child(place, stage(Phase::Execute, State::Queued), &[]);
    record.parked = Some(Parked { until: None, input: Some("which?".to_owned()), cause: "75".to_owned() });
    record
}

pub(crate) fn stage(phase: Phase, state: State) -> Stage {
    Stage::new(phase, state).expect("exists")
}

/// A plan that facts tell of.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Told {
    pub(crate) stage: Stage,
    /// Of a part of another plan: whether a person may run it.
    pub(crate) part: Option<bool>,
}

/// All plans that facts tell of.
pub(crate) fn told(facts: &Facts) -> BTreeMap<PlanId, Told> {
    let part = facts.above.as_ref().map(|above| above.lets_begin());
    let mut all = facts.above.as_ref().map(|above| told(&above.parent)).unwrap_or_default();
    let siblings = facts.above.iter().flat_map(|above| &above.waits_for);
    let children = facts.below.stalled.iter().map(|stalled| &stalled.child);
    for relative in siblings.chain(children) {
        all.insert(relative.plan, Told { stage: relative.stage, part: Some(false) });
    }
    all.insert(facts.plan.id, Told { stage: facts.plan.stage, part });
    all
}

pub(crate) fn failure(hint: Option<&str>) -> Failure {
    let (code, message) = ("exit_code".to_owned(), "it failed".to_owned());
    Failure { code, message, hint: hint.map(str::to_owned), retryable: true }
}

pub(crate) fn at(phase: Phase, state: State) -> Facts {
    facts(stage(phase, state))
}

/// One place, taken by a command of that plan, or of another one.
pub(crate) fn full(by: Option<PlanId>) -> PlacesCensus {
    let other = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FA0").expect("a ULID");
    let (plan, purpose) = (by.unwrap_or(other), "execute".to_owned());
    let by = plan_held(false, Liveness::Alive).lock.holder;
    PlacesCensus { total: 1, taken: vec![Occupant { by, plan, attempt: 2, purpose, since: NOW }] }
}

/// The words of all causes, the nearest first.
pub(crate) fn codes(facts: &Facts) -> Vec<&'static str> {
    causes(facts).iter().map(|cause| cause.why.code()).collect()
}

/// The word of the nearest cause, and its command without `agents`.
pub(crate) fn first(facts: &Facts) -> (&'static str, String) {
    let Cause { why, remedy } = causes(facts).remove(0);
    (why.code(), remedy.trim_start_matches("agents ").to_owned())
}
