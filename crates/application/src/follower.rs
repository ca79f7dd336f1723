//! Following the events of all plans.
//!
//! It takes no lock and writes nothing. Between two reads it holds nothing but its place; a look at a
//! store in which nothing has changed costs next to nothing.
//!
//! ```text
//! read ── some ──► shown, and read on
//!  ▲  ├── some that cannot be read yet ──► a tick, and read again
//!  │  └── none ──► (to the end only: done) a tick ── has anything changed? ── no ──┐
//!  └──────────────────────────────────────────────┴ yes             a tick ◄───────┘
//! ```
//!
//! Who reads to the end waits for what cannot be read yet, but not for long: what holds it back may be
//! another program's, and take hours.

use std::ops::ControlFlow;
use std::sync::Arc;
use std::time::Duration;

use agents_domain::feed::{Feed, FeedPosition};
use agents_domain::id::OwnerId;
use agents_domain::plan::{Event, StoreError};
use agents_domain::request::Pulse;

/// After so many looks at a store in which nothing changes it is read all the same; and so often is
/// read, to the end, what cannot be read yet.
const PATIENCE: u32 = 20;
/// So many events are read at once.
const PAGE: u32 = 256;

/// How far one reads.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reach {
    /// What is there.
    ToTheEnd,
    /// That, and all that comes.
    OnAndOn,
}

/// What a [`Follower`] is made of.
#[derive(Clone)]
pub struct FollowerParts {
    /// Reads the events.
    pub feed: Arc<dyn Feed>,
    /// Says whether anything has changed.
    pub pulse: Arc<dyn Pulse>,
    /// Who looks.
    pub owner: OwnerId,
    /// Between two looks.
    pub tick: Duration,
}

/// Reads the events of all plans in their order, and goes on as they come.
///
/// ```
/// # use std::{ops::ControlFlow, sync::Arc, time::Duration};
/// # use agents_domain::id::{Ids, OwnerId};
/// # use agents_infrastructure::{clock::HandClock, ids::CountingIds, memory::MemoryStore};
/// use agents_application::follower::{Follower, FollowerParts, Reach};
/// use agents_domain::feed::FeedPosition;
///
/// # #[tokio::main(flavor = "current_thread")]
/// # async fn main() -> Result<(), agents_domain::plan::StoreError> {
/// # let store = MemoryStore::new(Arc::new(HandClock::default()));
/// # let ids = CountingIds::default();
/// let follower = Follower::new(FollowerParts {
///     feed: store.feed(),
///     pulse: store.pulse(),
///     owner: OwnerId::from(ids.ulid()),
///     tick: Duration::from_millis(250),
/// });
/// let mut count = 0;
/// let place = follower
///     .follow(FeedPosition::START, Reach::ToTheEnd, |events| {
///         count += events.len();
///         ControlFlow::Continue(())
///     })
///     .await?;
/// assert_eq!((count, place), (0, FeedPosition::START));
/// # Ok(())
/// # }
/// ```
#[derive(Clone)]
pub struct Follower {
    parts: FollowerParts,
}

impl Follower {
    /// A follower of these parts.
    pub const fn new(parts: FollowerParts) -> Self {
        Self { parts }
    }

    /// Shows the events after that place, some at a time and each once, until there are no more or
    /// `show` says that nobody looks any more; where to go on. May be dropped at any time: what was
    /// shown was shown whole.
    pub async fn follow(
        &self,
        from: FeedPosition,
        reach: Reach,
        mut show: impl FnMut(&[Event]) -> ControlFlow<()>,
    ) -> Result<FeedPosition, StoreError> {
        let (mut place, mut in_vain) = (from, 0);
        loop {
            let page = self.parts.feed.after(place, PAGE).await?;
            place = page.next;
            match (page.events.is_empty(), reach) {
                (false, _) if show(&page.events).is_break() => return Ok(place),
                (false, _) => {
                    in_vain = 0;
                    // A store may answer at once; others of this runtime want a turn, too.
                    tokio::task::yield_now().await;
                }
                (true, Reach::ToTheEnd) if !page.held || in_vain == PATIENCE => return Ok(place),
                (true, _) if page.held => {
                    in_vain += 1;
                    tokio::time::sleep(self.parts.tick).await;
                }
                (true, _) => self.news().await,
            }
        }
    }

    /// Waits until something has changed, or for a while.
    async fn news(&self) {
        for _ in 0..PATIENCE {
            tokio::time::sleep(self.parts.tick).await;
            // A look that fails tells nothing: the read that follows says why.
            if self.parts.pulse.look(self.parts.owner, &[]).await != Ok(None) {
                return;
            }
        }
    }
}
