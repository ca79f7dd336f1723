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

use std::sync::Arc;
use std::time::Duration;

use agents_domain::id::{OwnerId, PlanId};
use agents_domain::lock::Processes;
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
    /// Knows whether a driver lives.
    pub processes: Arc<dyn Processes>,
    /// Time.
    pub clock: Arc<dyn Clock>,
    /// Who looks.
    pub owner: OwnerId,
    /// Between two looks.
    pub tick: Duration,
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
        // What was committed before the first look counts as seen only if it was read after it.
        let mut quiet = PATIENCE;
        loop {
            let driven = self.is_driven(&view);
            match standing(&view.record, driven, wanted) {
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
            quiet = if self.has_changed().await { PATIENCE } else { quiet + 1 };
            if quiet >= PATIENCE {
                quiet = 0;
                match self.parts.reads.status(plan).await? {
                    Some(read) => view = read,
                    None => return Ok(Awaited::Missing),
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

    /// A look that fails tells nothing: the read that follows says why.
    async fn has_changed(&self) -> bool {
        self.parts.pulse.look(self.parts.owner, &[]).await != Ok(None)
    }
}
