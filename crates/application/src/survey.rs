//! How the store stands, in numbers: for whoever watches over it.
//!
//! Reads only, and little: what the store keeps counted, what is held and waited for now, and of the
//! log only the events of the last while. Were there more of them than can be read in passing, the
//! while is made shorter, and said.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agents_domain::feed::Feed;
use agents_domain::id::PlanId;
use agents_domain::lock::{HeldLock, LockError, LockFilter, LockPort};
use agents_domain::measures::{Measured, Measures};
use agents_domain::plan::{Event, Phase, PlanStore, StoreError};
use agents_domain::time::{Clock, Timestamp};
use thiserror::Error;

use crate::lifecycle::history::{Outcome, attempts};

/// How far back one looks, unless too much has happened since.
const WHILES: [Duration; 4] =
    [Duration::from_hours(1), Duration::from_mins(10), Duration::from_mins(1), Duration::ZERO];
/// So many events are read at most.
const MOST: usize = 50_000;
/// So many of them at once.
const PAGE: u32 = 1_000;

/// What a [`Surveyor`] is made of.
#[derive(Clone)]
pub struct SurveyorParts {
    /// What the store keeps counted.
    pub measures: Arc<dyn Measures>,
    /// The events of all plans.
    pub feed: Arc<dyn Feed>,
    /// The logs of plans.
    pub plans: Arc<dyn PlanStore>,
    /// The locks.
    pub locks: Arc<dyn LockPort>,
    /// Time.
    pub clock: Arc<dyn Clock>,
}

/// Locks of one type.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct LockNumbers {
    /// How many are held.
    pub held: u64,
    /// How many of them beyond the end of their term.
    pub stale: u64,
    /// How long the one is held that has been held longest.
    pub longest: Duration,
}

/// What ended in the last while.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Recent {
    /// How long that while is.
    pub length: Duration,
    /// How long attempts took that ended in it, by phase and how they ended, the shortest first.
    pub phases: BTreeMap<(Phase, Outcome), Vec<Duration>>,
}

/// The numbers of one store.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Survey {
    /// What the store keeps counted, and what is open.
    pub measured: Measured,
    /// The locks that are held, by type of what is locked; both types are there.
    pub locks: BTreeMap<&'static str, LockNumbers>,
    /// How long the one waits that has waited longest for a lock.
    pub longest_wait: Duration,
    /// How long the order stands in line that has longest.
    pub longest_order: Duration,
    /// What ended in the last while.
    pub recent: Recent,
}

/// Why there are no numbers.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum SurveyError {
    /// The store could not be read.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// Its locks could not be read.
    #[error(transparent)]
    Locks(#[from] LockError),
}

/// Measures a store.
///
/// ```
/// # use std::sync::Arc;
/// # use agents_infrastructure::{clock::HandClock, memory::MemoryStore};
/// use agents_application::survey::{Surveyor, SurveyorParts};
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), agents_application::survey::SurveyError> {
/// # let clock = Arc::new(HandClock::default());
/// # let store = MemoryStore::new(clock.clone());
/// let surveyor = Surveyor::new(SurveyorParts {
///     measures: store.measures(),
///     feed: store.feed(),
///     plans: store.plans(),
///     locks: store.locks(),
///     clock,
/// });
/// let survey = surveyor.survey().await?;
/// assert_eq!((survey.measured.plans.len(), survey.locks["plan"].held), (0, 0));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Surveyor {
    parts: SurveyorParts,
}

impl Surveyor {
    /// A surveyor of these parts.
    pub const fn new(parts: SurveyorParts) -> Self {
        Self { parts }
    }

    /// The numbers as they are now.
    pub async fn survey(&self) -> Result<Survey, SurveyError> {
        let measured = self.parts.measures.measure().await?;
        let held = self.parts.locks.list(&LockFilter { key: None, stale_only: false }).await?;
        let now = self.parts.clock.now();
        let longest_wait = measured.waiting_since.map_or(Duration::ZERO, |since| between(since, now));
        let longest_order = measured.orders.since.map_or(Duration::ZERO, |since| between(since, now));
        let (locks, recent) = (locks(&held, now), self.recent(now).await?);
        Ok(Survey { measured, locks, longest_wait, longest_order, recent })
    }

    async fn recent(&self, now: Timestamp) -> Result<Recent, StoreError> {
        for length in WHILES {
            let from = before(now, length);
            if let Some(events) = self.events_since(from).await? {
                return Ok(Recent { length, phases: self.endings(events, from).await? });
            }
        }
        Ok(Recent::default())
    }

    /// The events since then by plan, unless there are too many.
    async fn events_since(&self, at: Timestamp) -> Result<Option<BTreeMap<PlanId, Vec<Event>>>, StoreError> {
        let mut place = self.parts.feed.since(at).await?;
        let (mut found, mut count): (BTreeMap<PlanId, Vec<Event>>, _) = (BTreeMap::new(), 0);
        loop {
            let page = self.parts.feed.after(place, PAGE).await?;
            place = page.next;
            count += page.events.len();
            if page.events.is_empty() {
                return Ok(Some(found));
            }
            if count > MOST {
                return Ok(None);
            }
            for event in page.events {
                found.entry(event.plan).or_default().push(event);
            }
        }
    }

    /// How long the attempts took that ended since then. What a plan did before is read if anything
    /// of it ended.
    async fn endings(
        &self,
        recent: BTreeMap<PlanId, Vec<Event>>,
        from: Timestamp,
    ) -> Result<BTreeMap<(Phase, Outcome), Vec<Duration>>, StoreError> {
        let mut found: BTreeMap<_, Vec<Duration>> = BTreeMap::new();
        for (plan, events) in recent {
            let ended: BTreeSet<u64> = events
                .iter()
                .filter(|event| event.at >= from && Outcome::of(&event.change).is_some())
                .map(|event| event.seq)
                .collect();
            if ended.is_empty() {
                continue;
            }
            let is_whole = events.first().is_some_and(|event| event.seq == 1);
            let log = if is_whole { events } else { self.parts.plans.events(plan).await? };
            for attempt in attempts(&log) {
                let Some(end) = attempt.end.filter(|end| end.at >= from) else { continue };
                let length = between(attempt.started_at, end.at);
                found.entry((attempt.phase, end.outcome)).or_default().push(length);
            }
        }
        for lengths in found.values_mut() {
            lengths.sort_unstable();
        }
        Ok(found)
    }
}

fn locks(held: &[HeldLock], now: Timestamp) -> BTreeMap<&'static str, LockNumbers> {
    let mut numbers = BTreeMap::from(["plan", "project"].map(|kind| (kind, LockNumbers::default())));
    for lock in held {
        let of_type = numbers.entry(lock.key.resource_type()).or_default();
        of_type.held += 1;
        of_type.stale += u64::from(lock.stale);
        of_type.longest = of_type.longest.max(between(lock.acquired_at, now));
    }
    numbers
}

/// How long it is from one moment to the other; none, if clocks went back.
fn between(from: Timestamp, to: Timestamp) -> Duration {
    Duration::from_millis(u64::try_from(to.as_millis() - from.as_millis()).unwrap_or(0))
}

/// The moment so long before another.
pub fn before(moment: Timestamp, length: Duration) -> Timestamp {
    let length = i64::try_from(length.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millis(moment.as_millis().saturating_sub(length))
}
