//! Waiting for a plan: until it comes to rest, or is in the state that is waited for.
//!
//! It takes no lock and writes nothing. Between two looks it holds nothing either; a look at a
//! store in which nothing has changed costs next to nothing, and the plan is read again only when
//! something has.
//!
//! ```text
//! read ── there, or at rest elsewhere? ── the end
//!  ▲                 └── no ── a tick ── has anything changed? ── no ── does its driver live? ─┐
//!  └───────────────────────────────────────────┴ yes                        a tick ◄───────────┘
//! ```

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::Processes;
use agents_domain::orders::Orders;
use agents_domain::plan::{State, StoreError};
use agents_domain::reads::{PlanReads, PlanView};
use agents_domain::request::Pulse;
use agents_domain::time::Clock;
use agents_domain::why::{Held, Standing, standing};

use crate::observer::Observer;

/// After so many looks at a store in which nothing changes the plan is read all the same: a lease
/// that runs out changes nothing.
const PATIENCE: u32 = 20;

/// What a [`Vigil`] is made of.
#[derive(Clone)]
pub struct VigilParts {
    /// Reads plans.
    pub reads: Arc<dyn PlanReads>,
    /// Says whether anything has changed.
    pub pulse: Arc<dyn Pulse>,
    /// What workers are to do: a plan that is ordered does not rest, unless it waits for a person.
    pub orders: Arc<dyn Orders>,
    /// Knows whether a driver lives.
    pub processes: Arc<dyn Processes>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who looks.
    pub owner: OwnerId,
    /// Between two looks.
    pub tick: Duration,
}

/// How many looks have found nothing new.
struct Patience(u32);

impl Default for Patience {
    /// What was committed before the first look counts as seen only if it was read after it.
    fn default() -> Self {
        Self(PATIENCE)
    }
}

impl Patience {
    /// Whether it is time to read again, after one more look.
    const fn ends(&mut self, has_changed: bool) -> bool {
        self.0 = if has_changed { PATIENCE } else { self.0 + 1 };
        let over = self.0 >= PATIENCE;
        if over {
            self.0 = 0;
        }
        over
    }
}

/// How a wait ended, and the plan as it was then.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Awaited {
    /// The plan is where it was waited for.
    Reached(PlanView),
    /// It came to rest elsewhere.
    Elsewhere(PlanView),
    /// The time was over.
    TimedOut(PlanView),
    /// There is no such plan.
    Missing,
}

/// Waits for plans.
///
/// ```
/// # use std::{sync::Arc, time::Duration};
/// # use agents_domain::id::{Ids, OwnerId, PlanId};
/// # use agents_infrastructure::{clock::HandClock, ids::CountingIds, memory::MemoryStore};
/// # use agents_infrastructure::scripted::Census;
/// use agents_application::observer::Unobserved;
/// use agents_application::vigil::{Awaited, Vigil, VigilParts};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), agents_domain::plan::StoreError> {
/// # let clock = Arc::new(HandClock::default());
/// # let (store, ids) = (MemoryStore::new(clock.clone()), CountingIds::default());
/// let vigil = Vigil::new(VigilParts {
///     reads: store.reads(),
///     pulse: store.pulse(),
///     orders: store.orders(),
///     processes: Arc::new(Census::default().citizen(1)),
///     clock,
///     owner: OwnerId::from(ids.ulid()),
///     tick: Duration::from_millis(250),
/// });
/// let awaited = vigil.keep(PlanId::from(ids.ulid()), None, None, &Unobserved).await?;
/// assert_eq!(awaited, Awaited::Missing);
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Vigil {
    parts: VigilParts,
}

impl Vigil {
    /// A vigil of these parts.
    pub const fn new(parts: VigilParts) -> Self {
        Self { parts }
    }

    /// Waits until the plan is in that state, or has come to rest; for so long, if there is a
    /// limit.
    pub async fn keep(
        &self,
        plan: PlanId,
        wanted: Option<State>,
        limit: Option<Duration>,
        observer: &dyn Observer,
    ) -> Result<Awaited, StoreError> {
        let started = self.parts.clock.boottime();
        let mut told = false;
        let Some(mut view) = self.parts.reads.status(plan).await? else { return Ok(Awaited::Missing) };
        let mut patience = Patience::default();
        loop {
            let driven = self.is_driven(&view);
            let moves = driven || self.is_ordered(&view).await?;
            match standing(&view.record, moves, wanted) {
                Standing::Reached => return Ok(Awaited::Reached(view)),
                Standing::Elsewhere => return Ok(Awaited::Elsewhere(view)),
                Standing::NotYet => {}
            }
            let elapsed = self.parts.clock.boottime().since(started);
            let left = limit.map(|limit| limit.saturating_sub(elapsed));
            if left == Some(Duration::ZERO) {
                return Ok(Awaited::TimedOut(view));
            }
            if !driven && !told {
                observer.undriven(&view);
            }
            told = !driven;
            tokio::time::sleep(self.parts.tick.min(left.unwrap_or(self.parts.tick))).await;
            if patience.ends(self.has_changed().await) {
                match self.parts.reads.status(plan).await? {
                    Some(read) => view = read,
                    None => return Ok(Awaited::Missing),
                }
            }
        }
    }

    /// Shows a plan with all that are below it, and again whenever anything has changed, until the
    /// plan has come to rest; what it was then has been shown. Ends early, with what was seen last,
    /// if `show` says that nobody looks any more.
    pub async fn follow(
        &self,
        plan: PlanId,
        observer: &dyn Observer,
        mut show: impl FnMut(&PlanView, &[PlanView]) -> ControlFlow<()>,
    ) -> Result<Awaited, StoreError> {
        let (mut told, mut patience) = (false, Patience::default());
        loop {
            let Some(view) = self.parts.reads.status(plan).await? else { return Ok(Awaited::Missing) };
            let below = self.parts.reads.family(plan).await?;
            let driven = self.is_driven(&view);
            let moves = driven || self.is_ordered(&view).await?;
            if show(&view, &below).is_break() || standing(&view.record, moves, None) != Standing::NotYet {
                return Ok(Awaited::Reached(view));
            }
            if !driven && !told {
                observer.undriven(&view);
            }
            told = !driven;
            loop {
                tokio::time::sleep(self.parts.tick).await;
                if patience.ends(self.has_changed().await) {
                    break;
                }
            }
        }
    }

    /// Whether somebody validly holds it. Its driver may die without a word to the store.
    fn is_driven(&self, view: &PlanView) -> bool {
        view.lock.as_ref().is_some_and(|lock| {
            let liveness = self.parts.processes.liveness(&lock.holder);
            Held { lock: lock.clone(), liveness }.stands()
        })
    }

    /// Whether a worker is to move it on, and need not wait for a person.
    async fn is_ordered(&self, view: &PlanView) -> Result<bool, StoreError> {
        let asks = view.record.parked.as_ref().is_some_and(|parked| parked.until.is_none());
        if asks || view.record.state().is_terminal() {
            return Ok(false);
        }
        Ok(self.parts.orders.of(view.record.id).await?.is_some_and(|order| order.is_open()))
    }

    /// A look that fails tells nothing: the read that follows says why.
    async fn has_changed(&self) -> bool {
        self.parts.pulse.look(self.parts.owner, &[]).await != Ok(None)
    }
}
