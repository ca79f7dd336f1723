//! Asking the holder of a lock: to cancel its plan, or to let go; and breaking a lock.
//!
//! A request is stored, and the holder's heartbeat hears of it within a tick. Whoever asked looks
//! what comes of it, holding nothing meanwhile. Nothing is taken from a holder that lives: only
//! from one that is dead beyond doubt, whose lease has run out, or by force.

use std::time::Duration;

use agents_domain::id::RequestId;
use agents_domain::lock::{HeldLock, Liveness, LockError, LockFilter, LockKey, Release};
use agents_domain::plan::StoreError;
use agents_domain::request::{Asker, Closed, Request, Wish};
use thiserror::Error;

use super::LockService;
use crate::observer::Observer;

/// What is asked of a lock that is to be broken.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BreakOrder {
    /// The lock.
    pub key: LockKey,
    /// The number of the term that is meant; a later one stays.
    pub token: i64,
    /// Why, for people.
    pub reason: String,
    /// Not to ask, but to take: the holder's commands may run on for a moment beside those of the
    /// next one. What the holder writes is refused.
    pub force: bool,
    /// How long the holder is waited for.
    pub patience: Duration,
}

/// How a lock came free.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Broken {
    /// Nobody held it.
    WasFree,
    /// Its holder let go of it.
    LetGo,
    /// It was taken from a holder that is dead, or whose lease has run out.
    Taken,
    /// It was taken from a holder that may live.
    Forced,
}

/// Why a lock was not broken.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum BreakError {
    /// It is held at another term than the one that was meant.
    #[error("{} is held at token {} by now", .0.key, .0.token)]
    MovedOn(Box<HeldLock>),
    /// Its holder was asked and has not let go so far. The request stays open.
    #[error("the holder of {} was asked to let go and has not answered", .0.key)]
    NoAnswer(Box<HeldLock>),
    /// The locks are out of reach.
    #[error(transparent)]
    Lock(#[from] LockError),
    /// The store failed.
    #[error(transparent)]
    Store(#[from] StoreError),
}

impl LockService {
    /// Asks the holder of a lock for something, whoever it is. If the same is asked already, that
    /// request stands.
    pub async fn ask(&self, key: LockKey, wish: Wish, reason: Option<String>) -> Result<Request, StoreError> {
        let asked = self.ask_all(vec![key], wish, reason).await?;
        asked.into_iter().next().ok_or_else(|| StoreError::Unavailable {
            reason: "a request was stored, and is not there".to_owned(),
        })
    }

    /// Asks the holders of several locks for the same, in one transaction and in that order.
    pub async fn ask_all(
        &self,
        keys: Vec<LockKey>,
        wish: Wish,
        reason: Option<String>,
    ) -> Result<Vec<Request>, StoreError> {
        let parts = &self.inner.parts;
        let myself = parts.processes.myself("ask");
        let request = |key| Request {
            id: RequestId::from(parts.ids.ulid()),
            key,
            wish,
            by: Asker { host: myself.host.clone(), pid: myself.pid, user: myself.user.clone() },
            reason: reason.clone(),
            at: parts.clock.now(),
            closed: None,
        };
        parts.requests.make(&keys.into_iter().map(request).collect::<Vec<_>>()).await
    }

    /// What is asked of the holder of that lock, oldest first.
    pub async fn open_requests(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        self.inner.parts.requests.open(key).await
    }

    /// Ends a request, with what came of it.
    pub async fn close(&self, request: &Request, outcome: &str) -> Result<(), StoreError> {
        let closed = Closed { at: self.inner.parts.clock.now(), outcome: outcome.to_owned() };
        self.inner.parts.requests.close(request.id, &closed).await
    }

    /// Breaks a lock: takes it at once from a holder that is dead or whose lease has run out, or
    /// by force; asks any other to let go, and waits for that. Who asked, and why, stays known.
    pub async fn break_lock(&self, order: BreakOrder, observer: &dyn Observer) -> Result<Broken, BreakError> {
        let Some(held) = self.meant(&order).await? else { return Ok(Broken::WasFree) };
        let (wish, reason) = (Wish::LetGo { token: held.token }, Some(order.reason.clone()));
        let request = self.ask(order.key.clone(), wish, reason).await?;
        if !order.force && !self.may_be_taken(&held) {
            observer.asked(&held);
        }
        let began = self.inner.parts.clock.boottime();
        loop {
            let held = match self.meant(&order).await {
                Ok(Some(held)) => held,
                // Gone, or held anew: that term is over.
                Ok(None) | Err(BreakError::MovedOn(_)) => {
                    self.close(&request, "let go").await?;
                    return Ok(Broken::LetGo);
                }
                Err(error) => return Err(error),
            };
            if order.force || self.may_be_taken(&held) {
                let (port, by) = (&self.inner.parts.port, self.owner());
                let evicted = port.evict(&(held.key.clone(), held.token), by, &order.reason).await?;
                let forced = order.force && !self.may_be_taken(&held);
                let outcome = if forced { "broken by force" } else { "broken" };
                self.close(&request, outcome).await?;
                return Ok(match evicted {
                    Release::NotHeld => Broken::LetGo,
                    Release::Released if forced => Broken::Forced,
                    Release::Released => Broken::Taken,
                });
            }
            if self.inner.parts.clock.boottime().since(began) >= order.patience {
                return Err(BreakError::NoAnswer(Box::new(held)));
            }
            self.inner.pause().await;
        }
    }

    /// Whether nobody who lives has a right to that lock any more.
    fn may_be_taken(&self, held: &HeldLock) -> bool {
        held.stale || self.liveness(held) == Liveness::Dead
    }

    /// The holder, if it is the one that was meant.
    async fn meant(&self, order: &BreakOrder) -> Result<Option<HeldLock>, BreakError> {
        let filter = LockFilter { key: Some(order.key.clone()), stale_only: false };
        match self.list(&filter).await?.into_iter().next() {
            Some(held) if held.token.value() != order.token => Err(BreakError::MovedOn(Box::new(held))),
            held => Ok(held),
        }
    }
}
