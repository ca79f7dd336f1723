//! The events of all plans: in one order, whole, and each once.

use std::collections::BTreeMap;
use std::time::Duration;

use agents_domain::feed::FeedPosition;
use agents_domain::id::PlanId;
use agents_domain::lock::Fence;
use agents_domain::plan::{CommitOutcome, Event, Opening, Plan, PlanWrite};
use agents_domain::time::{Clock as _, Timestamp};

use crate::support::{Fixture, Opener, Unfenced};
use crate::values::{new_plan, plan_id, prompt};

const SECOND: Duration = Duration::from_secs(1);

impl Fixture {
    /// Everything after that place, read in pages of that size, and the place behind it.
    pub(crate) async fn feed_after(&self, place: FeedPosition, page: u32) -> (Vec<Event>, FeedPosition) {
        let (mut events, mut place) = (Vec::new(), place);
        loop {
            let found = self.feed.after(place, page).await.expect("a page");
            assert!(found.events.len() <= usize::try_from(page).expect("a few"));
            place = found.next;
            if found.events.is_empty() && !found.held {
                return (events, place);
            }
            events.extend(found.events);
            tokio::task::yield_now().await;
        }
    }

    async fn create(&self, number: u32) -> Plan {
        let new = new_plan(number, self.clock.now());
        self.plans.create(&new, &Opening::Unfenced).await.expect("a new plan");
        new.plan
    }

    async fn commit(&self, write: &PlanWrite) {
        assert_eq!(self.plans.commit(write, &Fence::Unfenced).await, Ok(CommitOutcome::Applied));
    }

    /// Something happens to that plan.
    async fn prompted(&self, plan: Plan) -> Plan {
        let write = prompt(&plan, "on", self.clock.now());
        self.commit(&write).await;
        write.plan
    }
}

/// Which event it is.
fn names(events: &[Event]) -> Vec<(PlanId, u64)> {
    events.iter().map(|event| (event.plan, event.seq)).collect()
}

pub(crate) async fn events_come_in_the_order_of_their_commits(open: Opener) {
    let store = open(Unfenced::Allowed);
    let younger = store.create(2).await;
    let older = store.create(1).await;
    store.prompted(younger).await;
    let older = store.prompted(older).await;
    let expected = [(plan_id(2), 1), (plan_id(1), 1), (plan_id(2), 2), (plan_id(1), 2)];
    let (all, end) = store.feed_after(FeedPosition::START, 100).await;
    assert_eq!(names(&all), expected);
    for page in [1, 3] {
        let (found, same) = store.feed_after(FeedPosition::START, page).await;
        assert_eq!((found, same), (all.clone(), end), "however much is read at once");
    }
    let log = store.plans.events(plan_id(1)).await.expect("a log");
    assert_eq!([&all[1], &all[3]], [&log[0], &log[1]], "as in the log");
    assert_eq!(store.feed_after(end, 9).await, (vec![], end));
    store.prompted(older).await;
    let (more, _) = store.feed_after(end, 9).await;
    assert_eq!(names(&more), [(plan_id(1), 3)], "who goes on sees what is new, and nothing twice");
}

pub(crate) async fn a_place_in_time_is_before_the_first_event_that_is_late_enough(open: Opener) {
    let store = open(Unfenced::Allowed);
    assert_eq!(store.feed.since(Timestamp::default()).await, Ok(FeedPosition::START), "nothing is there");
    let noon = store.clock.now();
    let mut plan = store.create(1).await;
    // The third event is written by one whose clock is an hour slow.
    let slow = Timestamp::from_millis(noon.as_millis() - 3_600_000);
    for at in [noon.plus(SECOND), slow, noon.plus(SECOND * 2), noon.plus(SECOND * 2)] {
        let write = prompt(&plan, "on", at);
        store.commit(&write).await;
        plan = write.plan;
    }
    for (since, first) in [
        (Timestamp::default(), 1),
        (noon, 1),
        (noon.plus(Duration::from_millis(1)), 2),
        (noon.plus(SECOND), 2),
        (noon.plus(Duration::from_millis(1001)), 4),
        (noon.plus(SECOND * 2), 4),
        (noon.plus(SECOND * 3), 6),
    ] {
        let place = store.feed.since(since).await.expect("a place");
        let (found, _) = store.feed_after(place, 10).await;
        let seqs: Vec<u64> = found.iter().map(|event| event.seq).collect();
        assert_eq!(seqs, (first..=5).collect::<Vec<_>>(), "since {since:?}");
    }
}

const WRITERS: u32 = 8;
const STEPS: u64 = 12;

pub(crate) async fn a_reader_beside_many_writers_misses_nothing(open: Opener) {
    let store = open(Unfenced::Allowed);
    let writing = async |number: u32| {
        let mut plan = store.create(number).await;
        while plan.version < STEPS {
            plan = store.prompted(plan).await;
        }
    };
    let (mut read, mut place) = (Vec::new(), FeedPosition::START);
    let all = usize::try_from(u64::from(WRITERS) * STEPS).expect("a few");
    let reading = async {
        while read.len() < all {
            let page = store.feed.after(place, 5).await.expect("a page");
            place = page.next;
            read.extend(names(&page.events));
            tokio::task::yield_now().await;
        }
    };
    let writers = async {
        tokio::join!(
            writing(1),
            writing(2),
            writing(3),
            writing(4),
            writing(5),
            writing(6),
            writing(7),
            writing(8)
        )
    };
    tokio::time::timeout(Duration::from_mins(1), Box::pin(async { tokio::join!(writers, reading) }))
        .await
        .expect("everything is seen in the end");
    let mut logs: BTreeMap<PlanId, Vec<u64>> = BTreeMap::new();
    for (plan, seq) in read {
        logs.entry(plan).or_default().push(seq);
    }
    assert_eq!(logs.len(), usize::try_from(WRITERS).expect("a few"));
    assert!(logs.values().all(|log| log.iter().copied().eq(1..=STEPS)), "{logs:?}");
}
