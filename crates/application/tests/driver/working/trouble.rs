//! What is in the way of a worker, and is not the fault of a plan.

use std::sync::{Arc, Mutex};
use std::time::Duration;

use agents_domain::id::PlanId;
use agents_domain::name::Name;
use agents_domain::orders::{Claim, NewOrder, Orders, PutBack, TRIES, WorkOrder};
use agents_domain::plan::{Phase, State, StoreError};
use agents_domain::request::Closed;
use agents_domain::time::{Clock as _, Timestamp};
use agents_domain::workers::ROLL_CALL;
use agents_domain::workspace::WorkspaceError;
use agents_infrastructure::scripted::Gate;
use agents_infrastructure::scripted::Scripted;
use async_trait::async_trait;
use rstest::rstest;

use super::{is_at, order_of, ordered, outcome, work_once, work_with};
use crate::world::{PLAINLY, World, git_error, pass};

/// Lets time pass until the order of a plan is due again; for how long it rested.
async fn sit_out(world: &World, plan: PlanId) -> Duration {
    let until = order_of(world, plan).await.not_before.expect("it rests");
    let rest = until.since(world.clock.now());
    world.clock.advance(rest);
    rest
}

#[tokio::test(start_paused = true)]
async fn trouble_that_is_not_the_plans_lets_the_order_rest_longer_each_time() {
    let world = World::new();
    let plan = ordered(&world, false).await;
    for nth in 1..=3 {
        world.workspace.fail("head", nth, git_error());
    }
    let mut rests = Vec::new();
    for _ in 0..3 {
        let heard = work_once(&world, 1).await;
        assert!(heard.iter().any(|line| line.starts_with("given back for later")), "{heard:?}");
        let order = order_of(&world, plan).await;
        assert!(order.trouble.as_ref().is_some_and(|trouble| trouble.contains("disk full")), "{order:?}");
        assert_eq!(work_once(&world, 1).await.len(), 1, "it rests");
        rests.push(sit_out(&world, plan).await);
    }
    assert!(rests.windows(2).all(|pair| pair[0] < pair[1]), "{rests:?}");
    work_once(&world, 1).await;
    is_at(&world, plan, Phase::Execute, State::Complete).await;
    world.check(plan).await;
}

fn no_answer() -> WorkspaceError {
    let project = Name::parse("team/one").expect("a name");
    WorkspaceError::Remote { project, url: "ssh://host/one".into(), reason: "no answer".into() }
}

fn no_answer_to_a_landing() -> WorkspaceError {
    let project = Name::parse("team/one").expect("a name");
    let reference = "refs/heads/main".into();
    WorkspaceError::LandingUnknown { project, reference, reason: "no answer".into() }
}

#[rstest]
#[case("merge", no_answer())]
#[case("land", no_answer())]
#[case("land", no_answer_to_a_landing())]
#[tokio::test(start_paused = true)]
async fn a_remote_that_does_not_answer_lets_the_order_rest(
    #[case] method: &'static str,
    #[case] error: WorkspaceError,
) {
    let world = World::new();
    let plan = ordered(&world, true).await;
    for nth in 1..=2 {
        world.workspace.fail(method, nth, error.clone());
    }
    for _ in 0..2 {
        let heard = work_once(&world, 1).await;
        assert!(heard.iter().any(|line| line.starts_with("given back for later")), "{heard:?}");
        is_at(&world, plan, Phase::Apply, State::Errored).await;
        let trouble = order_of(&world, plan).await.trouble.expect("it is said");
        assert!(trouble.contains("no answer"), "{trouble}");
        sit_out(&world, plan).await;
    }
    work_once(&world, 1).await;
    is_at(&world, plan, Phase::Apply, State::Applied).await;
    assert_eq!(outcome(&world, plan).await.as_deref(), Some("applied"));
    world.check(plan).await;
}

fn never() -> WorkspaceError {
    let project = Name::parse("team/one").expect("a name");
    let (reason, remedy) = ("hook declined".into(), "see to its hook".into());
    WorkspaceError::RemoteRefused { project, url: "ssh://host/one".into(), reason, remedy }
}

#[rstest]
#[case("merge")]
#[case("land")]
#[tokio::test(start_paused = true)]
async fn what_a_remote_refuses_for_good_ends_the_order_at_once(#[case] method: &'static str) {
    let world = World::new();
    let plan = ordered(&world, true).await;
    world.workspace.fail(method, 1, never());
    work_once(&world, 1).await;
    is_at(&world, plan, Phase::Apply, State::Errored).await;
    assert_eq!(outcome(&world, plan).await.as_deref(), Some("failed: remote_refused"));
    let failure = world.load(plan).await.failure.clone().expect("told");
    assert_eq!(failure.hint, Some(format!("see to its hook; then: agents plan retry {plan}")));
    world.process(1).driver.retry(plan, PLAINLY).await.expect("driven");
    is_at(&world, plan, Phase::Apply, State::Applied).await;
    assert_eq!(world.workspace.moves().len(), 1);
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn what_a_remote_refuses_for_good_before_a_plan_begins_ends_the_order_too() {
    let world = World::new();
    let plan = ordered(&world, false).await;
    world.workspace.fail("head", 1, never());
    work_once(&world, 1).await;
    is_at(&world, plan, Phase::Strategize, State::Queued).await;
    let told = outcome(&world, plan).await.expect("it has ended");
    assert!(told.starts_with("refused: ") && told.ends_with("hook declined; see to its hook"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_remote_that_never_answers_is_given_up_after_a_night() {
    let world = World::new();
    let plan = ordered(&world, true).await;
    let (began, mut turns) = (world.clock.now(), 0);
    for nth in 1..=2 * TRIES {
        world.workspace.fail("merge", nth, no_answer());
    }
    while order_of(&world, plan).await.is_open() {
        work_once(&world, 1).await;
        turns += 1;
        if order_of(&world, plan).await.is_open() {
            sit_out(&world, plan).await;
        }
    }
    assert_eq!((turns, outcome(&world, plan).await.as_deref()), (TRIES + 1, Some("failed: remote")));
    let tried = world.clock.now().since(began);
    assert!((Duration::from_hours(8)..=Duration::from_hours(16)).contains(&tried), "{tried:?}");
    is_at(&world, plan, Phase::Apply, State::Errored).await;
}

/// A store that is away as long as it is told to be.
pub(super) struct Flaky {
    orders: Arc<dyn Orders>,
    /// Whether claims are made whose answers are lost.
    loses: Mutex<bool>,
    away: Mutex<bool>,
    tries: Mutex<u32>,
}

impl Flaky {
    pub(super) fn of(world: &World) -> Arc<Self> {
        Arc::new(Self {
            orders: world.store.orders(),
            loses: Mutex::new(false),
            away: Mutex::new(true),
            tries: Mutex::new(0),
        })
    }

    fn loses_answers(&self, loses: bool) {
        *self.loses.lock().expect("unpoisoned") = loses;
    }

    pub(super) fn is_away(&self, away: bool) {
        *self.away.lock().expect("unpoisoned") = away;
    }

    fn is_there(&self) -> Result<(), StoreError> {
        *self.tries.lock().expect("unpoisoned") += 1;
        let away = *self.away.lock().expect("unpoisoned");
        if away { Err(StoreError::Unavailable { reason: "no network".to_owned() }) } else { Ok(()) }
    }
}

#[async_trait]
impl Orders for Flaky {
    async fn place(&self, order: &NewOrder) -> Result<WorkOrder, StoreError> {
        self.orders.place(order).await
    }
    async fn of(&self, plan: PlanId) -> Result<Option<WorkOrder>, StoreError> {
        self.orders.of(plan).await
    }
    async fn claim(&self, claim: &Claim) -> Result<Option<WorkOrder>, StoreError> {
        self.is_there()?;
        let claimed = self.orders.claim(claim).await;
        let lost = *self.loses.lock().expect("unpoisoned");
        if lost { Err(StoreError::Unknown { reason: "no answer".to_owned() }) } else { claimed }
    }
    async fn put_back(&self, back: &PutBack) -> Result<(), StoreError> {
        self.is_there()?;
        self.orders.put_back(back).await
    }
    async fn withdraw(&self, seen: &WorkOrder, closed: &Closed) -> Result<bool, StoreError> {
        self.orders.withdraw(seen, closed).await
    }
    async fn end(&self, plan: PlanId, revision: u32, closed: &Closed) -> Result<bool, StoreError> {
        self.orders.end(plan, revision, closed).await
    }
    async fn list(&self) -> Result<Vec<WorkOrder>, StoreError> {
        self.orders.list().await
    }
}

#[tokio::test(start_paused = true)]
async fn a_store_that_is_away_is_tried_less_and_less_and_nothing_is_lost() {
    let world = World::new();
    let plan = ordered(&world, false).await;
    let (process, flaky) = (world.process(1), Flaky::of(&world));
    let hand = work_with(&world, &process, false, flaky.clone());
    pass(Duration::from_mins(5)).await;
    let tries = *flaky.tries.lock().expect("unpoisoned");
    assert!((8..=25).contains(&tries), "{tries} tries in five minutes");
    assert_eq!((hand.heard.count("away"), hand.heard.count("taken")), (1, 0), "said once");
    flaky.is_away(false);
    pass(Duration::from_mins(1)).await;
    is_at(&world, plan, Phase::Execute, State::Complete).await;
    assert_eq!((hand.heard.count("back"), hand.heard.count("ended: reached")), (1, 1));
    hand.drained().await;
    world.check(plan).await;
}

#[tokio::test(start_paused = true)]
async fn who_is_to_end_does_not_wait_for_a_store_that_is_away() {
    let world = World::new();
    let (process, flaky) = (world.process(1), Flaky::of(&world));
    let hand = work_with(&world, &process, false, flaky.clone());
    pass(Duration::from_mins(5)).await;
    hand.drained().await;
    let once = work_with(&world, &process, true, flaky).work.await.expect("no panic");
    assert_eq!(once, Err(StoreError::Unavailable { reason: "no network".to_owned() }));
}

#[tokio::test(start_paused = true)]
async fn a_turn_of_which_the_store_heard_nothing_is_told_later() {
    let world = World::new();
    let (plan, gate) = (ordered(&world, false).await, Gate::default());
    world.runner.on("execute", Scripted::exits(0).behind(&gate));
    let (process, flaky) = (world.process(1), Flaky::of(&world));
    flaky.is_away(false);
    let hand = work_with(&world, &process, false, flaky.clone());
    gate.reached().await;
    process.stop.stop();
    flaky.is_away(true);
    hand.work.await.expect("no panic").expect("it ends all the same");
    let order = order_of(&world, plan).await;
    assert!(order.is_open() && order.claim.is_none(), "it has left, and nothing is in its hand: {order:?}");
}

#[tokio::test(start_paused = true)]
async fn what_was_claimed_without_an_answer_goes_back_also_if_the_clock_was_set_back() {
    let world = World::new();
    let (process, flaky) = (world.process(1), Flaky::of(&world));
    flaky.is_away(false);
    flaky.loses_answers(true);
    let hand = work_with(&world, &process, false, flaky.clone());
    let plan = ordered(&world, false).await;
    pass(Duration::from_secs(3)).await;
    assert!(order_of(&world, plan).await.claim.is_some(), "it does not know that it has it");
    world.clock.set_wall(Timestamp::from_millis(world.clock.now().as_millis() - 7_200_000));
    flaky.loses_answers(false);
    for _ in 0..3 {
        world.clock.set_boottime(world.clock.boottime().plus(ROLL_CALL));
        pass(Duration::from_mins(1)).await;
    }
    is_at(&world, plan, Phase::Execute, State::Complete).await;
    assert_eq!(hand.drained().await.iter().filter(|line| *line == "ended: reached").count(), 1);
}
