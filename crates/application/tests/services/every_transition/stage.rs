//! The service on a mocked lock port and a mocked store that write down what they are asked, in order.

use std::sync::{Arc, Mutex};

use agents_application::{LockService, PlanLifecycleService};
use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::{Fence, FencingToken, Lease, LockKey, MockLockPort, NoopLock, Processes, Release};
use agents_domain::plan::{
    Attempt, CommitOutcome, MockPlanStore, NewPlan, Opening, Phase, Plan, PlanLanding, Stage, State,
    StoreError,
};
use agents_domain::request::NoRequests;
use agents_domain::runner::NoChildren;
use agents_domain::time::Timestamp;

use super::list::{failure, intent, origin};
use crate::support::{World, order};

pub(crate) type Trace = Arc<Mutex<Vec<&'static str>>>;

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
