//! Many at once: threads with a runtime each, let go together.

use std::sync::Barrier;

use agents_domain::lock::{FencingToken, LockError};
use agents_domain::plan::CommitOutcome;
use agents_domain::time::Clock as _;

use crate::support::{Opener, Unfenced, request};
use crate::values::{event_id, owner, prompt};

const RIVALS: u32 = 8;
const ROUNDS: u32 = 10;

/// What the rivals, numbered from 1, came to, all having begun at once.
fn at_once<T: Send>(race: impl Fn(u32) -> T + Sync) -> Vec<T> {
    let barrier = Barrier::new(usize::try_from(RIVALS).expect("a few"));
    std::thread::scope(|scope| {
        let (barrier, race) = (&barrier, &race);
        let begin = |who: u32| {
            scope.spawn(move || {
                barrier.wait();
                race(who)
            })
        };
        let rivals: Vec<_> = (1..=RIVALS).map(begin).collect();
        rivals.into_iter().map(|rival| rival.join().expect("a rival that ends")).collect()
    })
}

fn wait_for<T>(future: impl Future<Output = T>) -> T {
    tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime").block_on(future)
}

pub(crate) async fn of_many_who_ask_at_once_one_is_granted(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let locks = &store.locks;
    for round in 1..=ROUNDS {
        // Half of them name the keys the other way round, as if to deadlock.
        let answers = at_once(|who| {
            let asked = if who % 2 == 0 { request(who, &[&a, &b]) } else { request(who, &[&b, &a]) };
            wait_for(locks.acquire(&asked))
        });
        let (granted, refused): (Vec<_>, Vec<_>) = answers.into_iter().partition(Result::is_ok);
        assert!(refused.iter().all(|answer| matches!(answer, Err(LockError::Conflict(_)))), "{refused:?}");
        assert_eq!(granted.len(), 1);
        let leases = granted.into_iter().flatten().next().expect("one");
        let tokens: Vec<_> =
            leases.iter().map(|lease| lease.fence.token().map(FencingToken::value)).collect();
        assert_eq!(tokens, [Some(i64::from(round)), Some(i64::from(round))], "none was lost on a rival");
        let winner = leases[0].fence.owner().expect("fenced");
        assert_eq!(locks.release_all_for_owner(winner).await, Ok(2));
    }
}

pub(crate) async fn of_many_writers_of_one_version_one_is_applied(open: Opener) {
    let store = open(Unfenced::Refused);
    let (mut plan, lease) = store.plan(1, 1).await;
    let (plans, at) = (&store.plans, store.clock.now());
    for round in 1..=ROUNDS {
        let before = plan;
        let outcomes = at_once(|who| {
            let mut write = prompt(&before, &format!("from {who}"), at);
            let id = event_id(before.id, u64::from(round * 100 + who));
            write.events[0].id = id;
            wait_for(plans.commit(&write, &lease.fence))
        });
        let applied = outcomes.iter().filter(|outcome| **outcome == Ok(CommitOutcome::Applied)).count();
        let stale = outcomes.iter().filter(|outcome| **outcome == Ok(CommitOutcome::Stale)).count();
        assert_eq!((applied, stale), (1, outcomes.len() - 1), "{outcomes:?}");
        plan = store.stored(&before).await;
        assert_eq!(plan.version, before.version + 1);
    }
    let events = store.plans.events(plan.id).await.expect("a log");
    assert!(events.iter().all(|event| event.owner == Some(owner(1))));
    assert_eq!(agents_domain::plan::replay(&events), Ok(plan));
}
