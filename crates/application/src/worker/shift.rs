//! The loop of one worker.

use std::collections::HashMap;
use std::time::Duration;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::{Liveness, LockError, LockFilter};
use agents_domain::orders::{Claim, PutBack, WorkOrder};
use agents_domain::plan::{Plan, StoreError};
use agents_domain::request::Closed;
use agents_domain::time::{BootInstant, Timestamp};
use agents_domain::workers::{REMEMBRANCE, ROLL_CALL, Worker};
use tokio::task::{Id, JoinError, JoinSet};

use super::WorkerParts;
use super::answered::Answered;
use super::outcome::After;
use crate::driver::{DriveError, DriverParts, PhaseDriver};
use crate::lock_service::{LockService, Wait};

/// After so many ticks without a change the store is asked all the same: a process that dies, and
/// time that passes, change nothing in it.
const PATIENCE: u32 = 4;
/// Between two tries to reach the store: at first, doubled each time, and at most.
const AWAY: (Duration, Duration) = (Duration::from_millis(500), Duration::from_secs(30));

type Turn = Result<Plan, DriveError>;

/// A worker at work.
pub(super) struct Shift {
    parts: WorkerParts,
    me: Worker,
    running: JoinSet<Turn>,
    /// What each task drives.
    driving: HashMap<Id, WorkOrder>,
    /// Turns that are over, and of which the store does not know.
    over: Vec<(WorkOrder, After)>,
    /// When the last roll call was answered; `None`: none was.
    called: Option<BootInstant>,
    /// The moment of the last report or claim: see [`Claim::since`].
    last: Timestamp,
    /// Whether it ever was.
    enlisted: bool,
    /// For how long the store has answered.
    answered: Answered,
    /// Who is silent, and may have to be counted out.
    doubted: Vec<OwnerId>,
    /// How many looks have found nothing new.
    idle: u32,
    weather: Weather,
}

/// Whether the store is within reach.
#[derive(Default)]
struct Weather {
    /// How often it was tried in vain.
    tries: u32,
    error: Option<StoreError>,
}

impl Shift {
    pub(super) fn new(parts: WorkerParts) -> Self {
        let locks = parts.driver.lifecycle.locks();
        let now = parts.driver.clock.now();
        let me = Worker {
            id: locks.owner(),
            process: locks.myself("worker run"),
            since: now,
            seen: now,
            concurrency: parts.terms.concurrency.max(1),
            draining: false,
            lost: None,
        };
        Self {
            parts,
            me,
            running: JoinSet::new(),
            driving: HashMap::new(),
            over: Vec::new(),
            called: None,
            last: now,
            enlisted: false,
            answered: Answered::default(),
            doubted: Vec::new(),
            idle: PATIENCE,
            weather: Weather::default(),
        }
    }

    /// Works to the end of the shift.
    pub(super) async fn work(mut self) -> Result<(), StoreError> {
        loop {
            self.hear();
            let round = self.round().await;
            let done = self.running.is_empty() && self.over.is_empty();
            match round {
                Ok(()) => self.weather_clears(),
                Err(error) if self.parts.terms.once && self.running.is_empty() => return Err(error),
                Err(error) => self.weather_worsens(error),
            }
            // Who is to end does not wait for a store that is away: its claims go with its death.
            let ends = self.me.draining && self.running.is_empty();
            if ends || (done && self.doubted.is_empty() && self.parts.terms.once) {
                break;
            }
            self.wait().await;
        }
        if let Err(error) = self.parts.workers.leave(self.me.id).await {
            tracing::warn!(%error, "a worker stays in the list until it is counted out");
        }
        Ok(())
    }

    /// Whether it was asked to end.
    fn hear(&mut self) {
        let asked = self.parts.drain.requested().or_else(|| self.parts.driver.stop.requested()).is_some();
        if asked && !self.me.draining {
            self.me.draining = true;
            self.called = None;
            self.parts.overseer.draining(self.running.len());
        }
    }

    async fn round(&mut self) -> Result<(), StoreError> {
        self.answer_roll_call().await?;
        self.settle().await?;
        if !self.is_worth_a_look().await {
            return Ok(());
        }
        // Also by one who takes up nothing more: what it drives may wait for what a dead one has in hand.
        self.count_out().await?;
        if self.me.draining { Ok(()) } else { self.fill().await }
    }

    /// Writes that it lives, and what it does.
    async fn answer_roll_call(&mut self) -> Result<(), StoreError> {
        let now = self.parts.driver.clock.boottime();
        if self.called.is_some_and(|last| now.since(last) < ROLL_CALL) {
            return Ok(());
        }
        let doing: Vec<PlanId> = self.in_hand().map(|order| order.wanted.plan).collect();
        let me = Worker { seen: self.moment(), ..self.me.clone() };
        self.parts.workers.report(&me, &doing).await?;
        self.answered.again(self.parts.driver.clock.boottime());
        if !std::mem::replace(&mut self.enlisted, true) {
            self.parts.overseer.begun(&self.me);
        }
        self.called = Some(now);
        Ok(())
    }

    /// Now, and later than ever before: the clock may have been set back.
    fn moment(&mut self) -> Timestamp {
        self.last = self.parts.driver.clock.now().max(self.last.plus(Duration::from_millis(1)));
        self.last
    }

    fn in_hand(&self) -> impl Iterator<Item = &WorkOrder> {
        self.driving.values().chain(self.over.iter().map(|(order, _)| order))
    }

    /// Tells the store of the turns that are over.
    async fn settle(&mut self) -> Result<(), StoreError> {
        while let Some((order, after)) = self.over.last().cloned() {
            self.tell(&order, after).await?;
            self.over.pop();
            // There may be room, or another turn for the same plan.
            self.idle = PATIENCE;
        }
        Ok(())
    }

    async fn tell(&self, order: &WorkOrder, after: After) -> Result<(), StoreError> {
        let (plan, now) = (order.wanted.plan, self.parts.driver.clock.now());
        let (why, rest, trouble) = match after {
            After::Void(outcome) => {
                let closed = Closed { at: now, outcome };
                self.parts.orders.end(plan, order.revision, &closed).await?;
                ("something was added to it".to_owned(), None, None)
            }
            After::Back { why, rest, trouble } => (why, rest, trouble),
        };
        let rest = rest.map(|rest| rest + self.parts.driver.ids.jitter(rest / 4));
        let claim = order.claim.expect("it was claimed");
        self.parts.orders.put_back(&PutBack { plan, claim, at: now, rest, trouble }).await?;
        let found = self.parts.orders.of(plan).await?;
        if let Some(closed) = found.as_ref().and_then(|order| order.closed.as_ref()) {
            self.parts.overseer.ended(plan, &closed.outcome);
        } else {
            let until = found.filter(|_| rest.is_some()).and_then(|order| order.not_before);
            self.parts.overseer.given_back(plan, &why, until);
        }
        Ok(())
    }

    /// Whether anything may have come up since the last look.
    async fn is_worth_a_look(&mut self) -> bool {
        self.idle += 1;
        let over = self.idle >= PATIENCE;
        // A look that fails tells nothing: what follows says why.
        let worth = over || self.parts.pulse.look(self.me.id, &[]).await != Ok(None);
        if worth {
            self.idle = 0;
        }
        worth
    }

    /// Workers that are no more have nothing in hand.
    async fn count_out(&mut self) -> Result<(), StoreError> {
        let (mut lost, mut doubted, mut stale) = (Vec::new(), Vec::new(), false);
        let others = self.parts.workers.list().await?;
        // In this order: had all of us slept in between, they would only seem silent.
        let (now, boot) = (self.parts.driver.clock.now(), self.parts.driver.clock.boottime());
        let answered = self.answered.length(boot);
        for other in others {
            let proved = self.parts.processes.liveness(&other.worker.process);
            stale |= other.worker.lost.is_some_and(|lost| lost.plus(REMEMBRANCE) < now);
            if other.worker.id == self.me.id {
                continue;
            }
            if other.is_gone(proved, answered) {
                lost.push(other.worker);
            } else if other.is_in_doubt(proved, answered) {
                doubted.push(other.worker);
            }
        }
        if stale || !lost.is_empty() {
            self.parts.workers.bury(&lost, now).await?;
            for worker in &lost {
                self.parts.overseer.lost(worker);
            }
        }
        self.doubt(&doubted);
        Ok(())
    }

    /// Only who would end otherwise stays because of it, and says so.
    fn doubt(&mut self, doubted: &[Worker]) {
        let known = std::mem::replace(&mut self.doubted, doubted.iter().map(|worker| worker.id).collect());
        if self.parts.terms.once {
            for worker in doubted.iter().filter(|worker| !known.contains(&worker.id)) {
                self.parts.overseer.doubted(worker);
            }
        }
    }

    /// Takes up orders while there is room.
    async fn fill(&mut self) -> Result<(), StoreError> {
        let room = usize::try_from(self.me.concurrency).unwrap_or(usize::MAX);
        if self.running.len() >= room || self.is_crowded().await {
            return Ok(());
        }
        let claim = Claim {
            worker: self.me.id,
            now: self.parts.driver.clock.now(),
            since: self.moment(),
            dead: self.dead().await?,
            projects: self.parts.terms.projects.clone(),
            machine: self.parts.driver.machine.id.clone(),
        };
        while self.running.len() < room {
            let Some(order) = self.parts.orders.claim(&claim).await? else { break };
            self.begin(order);
        }
        Ok(())
    }

    /// Whether what is taken up now would wait for one of this machine's places, where another worker
    /// may have room. Whoever has nothing in hand takes something up all the same.
    async fn is_crowded(&self) -> bool {
        let full = || async { self.parts.driver.places.census().await.is_ok_and(|census| census.is_full()) };
        !self.running.is_empty() && full().await
    }

    /// Owners of locks that are beyond doubt no more: their plans need not be waited for.
    async fn dead(&self) -> Result<Vec<OwnerId>, StoreError> {
        let held = self.locks().list(&LockFilter::default()).await;
        let held = held.map_err(|error| match error {
            LockError::Unavailable { reason } => StoreError::Unavailable { reason },
            error => StoreError::Unavailable { reason: error.to_string() },
        })?;
        let dead = held.iter().filter(|lock| self.locks().liveness(lock) == Liveness::Dead);
        let mut owners: Vec<OwnerId> = dead.map(|lock| lock.owner).collect();
        owners.sort_unstable();
        owners.dedup();
        Ok(owners)
    }

    fn locks(&self) -> &LockService {
        self.parts.driver.lifecycle.locks()
    }

    fn begin(&mut self, order: WorkOrder) {
        self.parts.overseer.taken(&order);
        let parts = &self.parts.driver;
        // A plan that another holds is put back; whoever waits for it elsewhere is not in a worker.
        let driver = DriverParts { stop: parts.stop.below(), wait_for_plan: Wait::No, ..parts.clone() };
        let (orders, plan) = (self.parts.orders.clone(), order.wanted.plan);
        let driver = PhaseDriver::new(driver).sharing(orders.clone());
        let turn = async move { driver.work_off(plan, &*orders).await };
        let task = self.running.spawn(turn);
        self.driving.insert(task.id(), order);
    }

    /// Waits until something may be to do.
    async fn wait(&mut self) {
        let pause = self.pause();
        let (drain, stop, draining) =
            (self.parts.drain.clone(), self.parts.driver.stop.clone(), self.me.draining);
        let asked = async move {
            if draining {
                return std::future::pending().await;
            }
            tokio::select! {
                cause = drain.stopped() => cause,
                cause = stop.stopped() => cause,
            }
        };
        tokio::select! {
            biased;
            Some(ended) = self.running.join_next_with_id() => self.take_in(ended),
            _ = asked => {}
            () = tokio::time::sleep(pause) => {}
        }
    }

    fn take_in(&mut self, ended: Result<(Id, Turn), JoinError>) {
        let id = ended.as_ref().map_or_else(JoinError::id, |(id, _)| *id);
        let Some(order) = self.driving.remove(&id) else { return };
        let after = match ended {
            Ok((_, outcome)) => After::turn(&outcome, order.troubles),
            Err(error) => After::broken(&error, order.troubles),
        };
        self.over.push((order, after));
    }

    fn pause(&self) -> Duration {
        let (tick, ids) = (self.parts.terms.tick, &self.parts.driver.ids);
        if self.weather.error.is_none() {
            return tick + ids.jitter(tick / 4);
        }
        let (first, most) = AWAY;
        let pause = first.saturating_mul(1 << self.weather.tries.min(16)).min(most);
        pause / 2 + ids.jitter(pause / 2)
    }

    fn weather_worsens(&mut self, error: StoreError) {
        self.weather.tries += 1;
        if self.weather.error.as_ref() != Some(&error) {
            self.parts.overseer.away(&error);
        }
        self.weather.error = Some(error);
        // Whatever was changed meanwhile is looked for at once.
        self.idle = PATIENCE;
    }

    fn weather_clears(&mut self) {
        if std::mem::take(&mut self.weather).error.is_some() {
            self.parts.overseer.back();
        }
    }
}
