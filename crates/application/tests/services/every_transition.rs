//! No public method of the lifecycle service commits without holding the plan's lock.
//!
//! Each is driven with a mocked lock port and a mocked store that write down what they are asked,
//! in order. The list is compared with the source, so that a new method cannot be left out.

use std::collections::BTreeMap;
use std::pin::Pin;
use std::sync::{Arc, Mutex};

use agents_application::lifecycle::{NewChild, Strategized};
use agents_application::{LifecycleError, LockService, PlanLifecycleService};
use agents_domain::id::{IntentId, OwnerId, PlanId};
use agents_domain::lock::{
    Conflict, Fence, FencingToken, HeldLock, Lease, LockError, LockKey, MockLockPort, NoopLock, Processes,
    Release,
};
use agents_domain::name::Name;
use agents_domain::oid::Oid;
use agents_domain::plan::{
    Attempt, CommitOutcome, Failure, InterruptCause, MockPlanStore, NewPlan, Opening, Origin, Parked, Phase,
    Plan, PlanLanding, Stage, State, StoreError,
};
use agents_domain::request::NoRequests;
use agents_domain::runner::NoChildren;
use agents_domain::subplan::{GivenUp, Subplan};
use agents_domain::time::Timestamp;
use agents_domain::workspace::Intent;
use rstest::rstest;

use crate::support::{World, order};

fn later() -> Parked {
    Parked { until: None, input: None, cause: "later".to_owned() }
}

pub(crate) type Trace = Arc<Mutex<Vec<&'static str>>>;
type Call = fn(PlanLifecycleService, PlanId) -> Pin<Box<dyn Future<Output = Result<Plan, LifecycleError>>>>;

/// Every transition: its name, where it is legal, and the call.
const TRANSITIONS: [(&str, Phase, State, Call); 29] = [
    ("start", Phase::Execute, State::Queued, |s, p| {
        Box::pin(async move { s.start(p, BTreeMap::new(), true).await })
    }),
    ("complete", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.complete(p, BTreeMap::new(), None, vec![]).await })
    }),
    ("fail", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.fail(p, failure(), None, vec![]).await })
    }),
    ("park", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.park(p, later(), vec![]).await })
    }),
    ("execute", Phase::Strategize, State::Complete, |s, p| Box::pin(async move { s.execute(p).await })),
    ("apply", Phase::Execute, State::Complete, |s, p| Box::pin(async move { s.apply(p).await })),
    ("constrain", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move { s.constrain(p, failure(), vec![]).await })
    }),
    ("retry", Phase::Execute, State::Errored, |s, p| Box::pin(async move { s.retry(p).await })),
    ("retry_from", Phase::Execute, State::Errored, |s, p| {
        let resume = [(intent().project, intent().new)].into();
        Box::pin(async move { s.retry_from(p, resume, true).await })
    }),
    ("revert", Phase::Execute, State::Errored, |s, p| Box::pin(async move { s.revert(p, None).await })),
    ("interrupt", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.interrupt(p, InterruptCause::OwnerDied, vec![]).await })
    }),
    ("adopt", Phase::Execute, State::Processing, |s, p| Box::pin(async move { s.adopt(p).await })),
    ("cancel", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.cancel(p, None, false, vec![]).await })
    }),
    ("prompt", Phase::Execute, State::Queued, |s, p| {
        Box::pin(async move { s.prompt(p, "go on".into()).await })
    }),
    ("saved", Phase::Execute, State::Errored, |s, p| Box::pin(async move { s.saved(p, 1, vec![]).await })),
    ("intend", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move {
            let held = s.hold(p, "plan apply", agents_application::Wait::No).await?;
            let outcome = s.intend(p, vec![], vec![], &held).await;
            std::mem::forget(held);
            outcome
        })
    }),
    ("landed", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move { s.landed(p, intent().id).await })
    }),
    ("landed_last", Phase::Apply, State::Processing, |s, p| {
        Box::pin(async move { s.landed_last(p, intent().id).await })
    }),
    ("pass_strategize", Phase::Strategize, State::Queued, |s, p| {
        Box::pin(async move { s.pass_strategize(p, BTreeMap::new(), vec![], true).await })
    }),
    ("begin_apply", Phase::Execute, State::Complete, |s, p| Box::pin(async move { s.begin_apply(p).await })),
    ("pass_apply", Phase::Execute, State::Complete, |s, p| {
        Box::pin(async move {
            let held = s.hold(p, "plan apply", agents_application::Wait::No).await?;
            let outcome = s.pass_apply(p, &held).await;
            std::mem::forget(held);
            outcome
        })
    }),
    ("applied", Phase::Apply, State::Processing, |s, p| Box::pin(async move { s.applied(p).await })),
    ("complete_strategize", Phase::Strategize, State::Processing, |s, p| {
        let made = Strategized { children: vec![child_of(p)], ..Strategized::default() };
        Box::pin(async move { s.complete_strategize(p, made).await })
    }),
    ("spawn", Phase::Strategize, State::Queued, |s, p| {
        Box::pin(async move { s.spawn(p, vec![child_of(p)], &BTreeMap::new()).await })
    }),
    ("merged", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.merged(p, child_of(p).id, "docs".into(), BTreeMap::new()).await })
    }),
    ("conflicted", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.conflicted(p, child_of(p).id, "docs".into(), failure()).await })
    }),
    ("command_started", Phase::Execute, State::Processing, |s, p| {
        Box::pin(async move { s.command_started(p).await })
    }),
    ("give_up", Phase::Execute, State::Queued, |s, p| {
        Box::pin(async move {
            // The parent's lock in earnest; here any that is held.
            let held = s.hold(p, "plan execute", agents_application::Wait::No).await?;
            let outcome = s.give_up(p, GivenUp::Skipped { by: "docs".into() }, &held).await;
            std::mem::forget(held);
            outcome
        })
    }),
    ("create", Phase::Strategize, State::Queued, |s, _| {
        Box::pin(async move {
            let (plan, guard) = s.create(order(), "plan use").await?;
            guard.release().await.expect("released");
            Ok(plan)
        })
    }),
];

/// What reads, or only takes the lock.
const OTHERS: [&str; 6] = ["hold", "load", "definition", "events", "works", "unfinished"];

/// A child that is about to be stored.
fn child_of(parent: PlanId) -> NewChild {
    let subplan = Subplan {
        parent,
        root: parent,
        depth: 1,
        position: 0,
        name: "docs".into(),
        depends_on: vec![],
        failures: 0,
        given_up: None,
    };
    let origin = Origin { subplan: Some(subplan), ..origin() };
    let id = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB1").expect("valid");
    NewChild { id, origin, definition: order().definition }
}

fn origin() -> Origin {
    Origin {
        name: None,
        action: Name::parse("fix").expect("valid"),
        automation: agents_domain::action::Automation::Review,
        projects: vec![Name::parse("api").expect("valid")],
        subplan: None,
    }
}

fn failure() -> Failure {
    Failure { code: "x".into(), message: "x".into(), hint: None, retryable: true }
}

fn intent() -> Intent {
    let oid = |digit: &str| Oid::parse(&digit.repeat(40)).expect("valid");
    Intent {
        id: IntentId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid"),
        project: Name::parse("api").expect("valid"),
        reference: "refs/heads/main".into(),
        old: oid("1"),
        new: oid("2"),
    }
}

/// A plan at that stage; with an open landing where `landed` needs one.
fn plan_at(id: PlanId, phase: Phase, state: State, transition: &str, driver: &dyn Processes) -> Plan {
    let mut record = Plan::create(id, &origin(), Timestamp::default()).into_record();
    record.stage = Stage::new(phase, state).expect("exists");
    record.failure = (state == State::Errored).then(failure);
    let commanded = !["adopt", "command_started"].contains(&transition);
    record.last_attempt =
        Some(Attempt { driver: driver.myself("x"), started_at: Timestamp::default(), commanded });
    if transition.starts_with("landed") {
        record.projects[0].landing = Some(PlanLanding { intent: intent(), landed: false });
    }
    Plan::from_storage(record).expect("valid")
}

fn note(trace: &Trace, word: &'static str) {
    trace.lock().expect("unpoisoned").push(word);
}

/// A port that grants everything at token 7 and writes it down.
fn port(trace: &Trace, owner: OwnerId) -> MockLockPort {
    let mut port = MockLockPort::new();
    let (acquired, released) = (trace.clone(), trace.clone());
    port.expect_list().returning(|_| Ok(Vec::new()));
    port.expect_acquire().returning(move |request| {
        note(&acquired, "acquire");
        let fence = Fence::Token { owner, token: FencingToken::from_storage(7) };
        let lease = |key: &LockKey| Lease {
            key: key.clone(),
            fence,
            acquired_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            reentrant: false,
        };
        Ok(request.keys.iter().map(lease).collect())
    });
    port.expect_release().returning(move |_, (_, token)| {
        note(&released, "release");
        assert_eq!(token.value(), 7);
        Ok(Release::Released)
    });
    port
}

/// A store that has one plan, answers commits as told, and writes it down.
fn store(
    trace: &Trace,
    plan: Option<Plan>,
    commit: impl Fn() -> Result<CommitOutcome, StoreError> + Send + 'static,
    owner: OwnerId,
) -> MockPlanStore {
    let mut store = MockPlanStore::new();
    let (loads, commits, creates) = (trace.clone(), trace.clone(), trace.clone());
    store.expect_load().returning(move |_| {
        note(&loads, "load");
        Ok(plan.clone())
    });
    store.expect_definition().returning(|_| Ok(Some(order().definition)));
    store.expect_commit().returning(move |write, fence| {
        note(&commits, "commit");
        assert_eq!(*fence, Fence::Token { owner, token: FencingToken::from_storage(7) });
        let events = write.events.iter().chain(write.spawn.iter().map(|child| &child.event));
        for event in events {
            assert_eq!((event.owner, event.token), (fence.owner(), fence.token()));
        }
        commit()
    });
    store.expect_create().returning(move |NewPlan { plan, .. }, opening| {
        note(&creates, "create held");
        let Opening::Held(request) = opening else { panic!("a new plan is held from the first moment") };
        assert_eq!(request.keys, [LockKey::Plan(plan.id)]);
        Ok(Lease {
            key: LockKey::Plan(plan.id),
            fence: Fence::Token { owner, token: FencingToken::from_storage(7) },
            acquired_at: Timestamp::default(),
            expires_at: Timestamp::default(),
            reentrant: false,
        })
    });
    store
}

pub(crate) struct Stage1 {
    pub(crate) service: PlanLifecycleService,
    pub(crate) plan: PlanId,
    pub(crate) trace: Trace,
}

/// The service on mocks, with a plan where the transition is legal.
pub(crate) fn stage(
    transition: &str,
    phase: Phase,
    state: State,
    commit: impl Fn() -> Result<CommitOutcome, StoreError> + Send + 'static,
) -> Stage1 {
    let (world, trace) = (World::new(), Trace::default());
    let owner = OwnerId::parse("01ARZ3NDEKTSV4RRFFQ69G5FAV").expect("valid");
    let plan = PlanId::parse("01ARZ3NDEKTSV4RRFFQ69G5FB0").expect("valid");
    let there = plan_at(plan, phase, state, transition, &*world.processes(1));
    let locks = LockService::new(agents_application::lock_service::LockParts {
        port: Arc::new(port(&trace, owner)),
        heartbeat: Arc::new(MockLockPort::new()),
        line: Arc::new(NoopLock),
        pulse: Arc::new(NoRequests),
        requests: Arc::new(NoRequests),
        children: Arc::new(NoChildren),
        owner,
        ttl: agents_domain::time::Ttl::default(),
        tick: LockService::TICK,
        processes: world.processes(1),
        clock: world.clock.clone(),
        ids: world.ids.clone(),
    });
    let store = Arc::new(store(&trace, Some(there), commit, owner));
    let service =
        PlanLifecycleService::new(store, world.clock.clone(), world.ids.clone(), world.processes(1));
    Stage1 { service: service.with_locks(locks), plan, trace }
}

#[tokio::test]
async fn every_public_method_commits_only_while_it_holds() {
    for (name, phase, state, call) in TRANSITIONS {
        let stage = stage(name, phase, state, || Ok(CommitOutcome::Applied));
        call(stage.service, stage.plan).await.unwrap_or_else(|error| panic!("{name}: {error}"));
        let expected: &[&str] = match name {
            "create" => &["create held", "release"],
            // Inside a hold: the inner release leaves it to the outer one.
            "intend" | "pass_apply" | "give_up" => &["acquire", "load", "commit"],
            _ => &["acquire", "load", "commit", "release"],
        };
        assert_eq!(*stage.trace.lock().expect("unpoisoned"), expected, "{name}");
    }
}

#[tokio::test]
async fn the_lock_is_released_when_the_write_is_refused() {
    for (name, phase, state, call) in TRANSITIONS.into_iter().filter(|t| t.0 != "create") {
        let stage = stage(name, phase, state, || Ok(CommitOutcome::Stale));
        let refused = call(stage.service, stage.plan).await;
        assert!(matches!(refused, Err(LifecycleError::LeaseLost { .. })), "{name}: {refused:?}");
        let last = if matches!(name, "intend" | "pass_apply" | "give_up") { "commit" } else { "release" };
        assert_eq!(stage.trace.lock().expect("unpoisoned").last(), Some(&last), "{name}");
    }
}

/// The public methods that these sources have, by name.
pub(crate) fn methods<'a>(sources: &[&'a str]) -> Vec<&'a str> {
    let lines = sources.iter().flat_map(|source| source.lines());
    let found = lines.filter_map(|line| line.trim().strip_prefix("pub async fn "));
    let mut found: Vec<&str> = found.map(|rest| rest.split('(').next().unwrap_or_default()).collect();
    found.sort_unstable();
    found
}

#[test]
fn no_public_method_is_missing_from_the_list() {
    let mut listed: Vec<&str> = TRANSITIONS.iter().map(|t| t.0).chain(OTHERS).collect();
    listed.sort_unstable();
    let found = methods(&[
        include_str!("../../src/lifecycle.rs"),
        include_str!("../../src/lifecycle/commit.rs"),
        include_str!("../../src/lifecycle/history.rs"),
        include_str!("../../src/lifecycle/strides.rs"),
        include_str!("../../src/lifecycle/subplans.rs"),
    ]);
    assert_eq!(found, listed);
}

#[rstest]
#[case(CommitOutcome::Missing)]
#[tokio::test]
async fn a_plan_that_is_gone_is_said_to_be_gone(#[case] outcome: CommitOutcome) {
    let stage = stage("retry", Phase::Execute, State::Errored, move || Ok(outcome));
    assert_eq!(stage.service.retry(stage.plan).await, Err(LifecycleError::NoSuchPlan { plan: stage.plan }));
}

#[tokio::test(start_paused = true)]
async fn an_unknown_outcome_is_asked_about_again_with_the_same_event() {
    let left = Arc::new(Mutex::new(2));
    let counter = left.clone();
    let stage = stage("retry", Phase::Execute, State::Errored, move || {
        let mut left = counter.lock().expect("unpoisoned");
        if *left == 0 {
            return Ok(CommitOutcome::Applied);
        }
        *left -= 1;
        Err(StoreError::Unknown { reason: "connection lost".into() })
    });
    stage.service.retry(stage.plan).await.expect("written");
    assert_eq!(
        *stage.trace.lock().expect("unpoisoned"),
        ["acquire", "load", "commit", "commit", "commit", "release"]
    );
}

#[tokio::test(start_paused = true)]
async fn a_store_that_goes_away_leaves_an_unknown_outcome_unknown() {
    let tries = Arc::new(Mutex::new(0));
    let counter = tries.clone();
    let stage = stage("retry", Phase::Execute, State::Errored, move || {
        let mut tries = counter.lock().expect("unpoisoned");
        *tries += 1;
        match *tries {
            1 => Err(StoreError::Unknown { reason: "connection lost".into() }),
            2 | 3 => Err(StoreError::Unavailable { reason: "it restarts".into() }),
            _ => Ok(CommitOutcome::Applied),
        }
    });
    stage.service.retry(stage.plan).await.expect("written");
    assert_eq!(*tries.lock().expect("unpoisoned"), 4);
}

#[tokio::test(start_paused = true)]
async fn an_outcome_that_stays_unknown_is_an_error_of_its_own() {
    let stage = stage("retry", Phase::Execute, State::Errored, || {
        Err(StoreError::Unknown { reason: "connection lost".into() })
    });
    let unknown = stage.service.retry(stage.plan).await;
    assert!(matches!(unknown, Err(LifecycleError::Store(StoreError::Unknown { .. }))));
    assert_eq!(stage.trace.lock().expect("unpoisoned").last(), Some(&"release"));
}

#[tokio::test]
async fn a_refusal_by_state_writes_nothing_and_releases() {
    let stage = stage("apply", Phase::Strategize, State::Queued, || panic!("nothing to commit"));
    let Err(LifecycleError::Refused(refusal)) = stage.service.apply(stage.plan).await else {
        panic!("refused")
    };
    assert_eq!(refusal.remedy, Some(format!("agents plan execute {}", stage.plan)));
    assert_eq!(*stage.trace.lock().expect("unpoisoned"), ["acquire", "load", "release"]);
}

#[tokio::test]
async fn a_conflict_outranks_a_refusal_and_nothing_is_even_read() {
    let world = World::new();
    let by = HeldLock {
        key: world.key().await,
        owner: world.locks(1).owner(),
        token: FencingToken::from_storage(7),
        acquired_at: Timestamp::default(),
        expires_at: Timestamp::default(),
        stale: false,
        holder: world.processes(5).myself("plan execute"),
    };
    let mut port = MockLockPort::new();
    port.expect_list().returning(|_| Ok(Vec::new()));
    port.expect_acquire().returning(move |_| Err(LockError::Conflict(Conflict(Box::new(by.clone())))));
    let mut store = MockPlanStore::new();
    store.expect_load().never();
    let locks = world.locks_on(1, Arc::new(port));
    let service = PlanLifecycleService::new(
        Arc::new(store),
        world.clock.clone(),
        world.ids.clone(),
        world.processes(1),
    )
    .with_locks(locks);
    let refused = service.apply(world.plan().await).await;
    assert!(matches!(refused, Err(LifecycleError::Lock { source: LockError::Conflict(_), .. })));
}
