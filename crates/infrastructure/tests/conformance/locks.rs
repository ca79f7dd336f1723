//! `acquire` and `list`.

use std::time::Duration;

use agents_domain::lock::{AcquireRequest, Fence, HeldLock, LockError, LockFilter, LockKey, Overdue, Term};
use agents_domain::time::{Clock as _, Timestamp};

use crate::support::{ALMOST_A_TERM, Fixture, MILLI, Opener, TERM, Unfenced, request, term, ttl};
use crate::values::{holder, owner, plan_id, project};

async fn list(store: &Fixture, stale_only: bool) -> Vec<HeldLock> {
    store.locks.list(&LockFilter { key: None, stale_only }).await.expect("a list")
}

pub(crate) async fn a_lock_is_made_with_its_project_and_first_granted_at_token_one(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    assert!(
        matches!(lease.fence, Fence::Token { owner: who, token } if who == owner(1) && token.value() == 1)
    );
    assert_eq!((lease.key, lease.reentrant), (key, false));
    assert_eq!(lease.acquired_at, store.clock.now());
    assert_eq!(lease.expires_at, store.clock.now().plus(TERM));
}

pub(crate) async fn all_keys_are_granted_or_none(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, c] = store.projects([1, 2, 3]).await;
    store.take_one(1, &b).await;
    assert_eq!(store.conflict(&request(2, &[&a, &b, &c])).await.key, b);
    assert_eq!((store.holder_of(&a).await, store.holder_of(&c).await), (None, None));
    let tokens = store.take(3, &[&a, &c]).await.iter().map(|lease| term(lease).1.value()).collect::<Vec<_>>();
    assert_eq!(tokens, [1, 1], "a refused request uses up no token");
}

pub(crate) async fn the_order_and_the_number_of_mentions_of_a_key_do_not_matter(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let (plan, lease) = store.plan(1, 1).await;
    let p = LockKey::Plan(plan.id);
    let leases = store.take(1, &[&b, &p, &a, &b]).await;
    let keys: Vec<&LockKey> = leases.iter().map(|lease| &lease.key).collect();
    assert_eq!(keys, [&p, &a, &b], "plans first, then projects by name, each once");
    assert_eq!((leases[0].fence, leases[0].reentrant), (lease.fence, true));
    assert_eq!(term(&leases[2]).1.value(), 1);
}

pub(crate) async fn a_conflict_shows_who_is_in_the_way(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    store.clock.advance(Duration::from_secs(3));
    let expected = HeldLock {
        owner: owner(1),
        token: term(&lease).1,
        acquired_at: lease.acquired_at,
        expires_at: lease.expires_at,
        stale: false,
        holder: holder(1),
        key: key.clone(),
    };
    assert_eq!(store.conflict(&request(2, &[&key])).await, expected);
    assert_eq!(list(&store, false).await, [expected]);
}

pub(crate) async fn the_same_owner_keeps_its_token_and_never_loses_time(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let first = store.take_one(1, &key).await;
    store.clock.advance(Duration::from_secs(1));
    let short = AcquireRequest { ttl: ttl(Duration::from_secs(5)), ..request(1, &[&key]) };
    let again = store.locks.acquire(&short).await.expect("its own").remove(0);
    assert_eq!((again.fence, again.reentrant, again.expires_at), (first.fence, true, first.expires_at));
    assert_eq!(again.acquired_at, first.acquired_at, "the term goes on");
    let longer = store.take_one(1, &key).await;
    assert_eq!((longer.fence, longer.expires_at), (first.fence, store.clock.now().plus(TERM)));
    store.clock.advance(TERM * 3);
    let late = store.take_one(1, &key).await;
    assert_eq!((late.fence, late.reentrant), (first.fence, true), "it ran out, and nobody came");
    assert_eq!(store.conflict(&request(2, &[&key])).await.expires_at, late.expires_at);
}

pub(crate) async fn new_and_held_keys_are_granted_in_one_request(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    store.take_one(1, &b).await;
    let leases = store.take(1, &[&a, &b]).await;
    assert_eq!(leases.iter().map(|lease| lease.reentrant).collect::<Vec<_>>(), [false, true]);
}

pub(crate) async fn a_term_ends_at_its_very_end_and_not_before(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let first = store.take_one(1, &key).await;
    store.clock.advance(ALMOST_A_TERM);
    store.conflict(&request(2, &[&key])).await;
    store.clock.advance(MILLI);
    let lease = store.take_one(2, &key).await;
    assert_eq!((term(&lease).1.value(), lease.reentrant), (2, false));
    assert!(term(&lease).1 > term(&first).1 && lease.acquired_at == store.clock.now());
    let held = store.conflict(&request(1, &[&key])).await;
    assert_eq!((held.owner, held.holder), (owner(2), holder(2)));
}

pub(crate) async fn a_jump_of_the_wall_clock_ends_no_term(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    store.take_one(1, &key).await;
    for jump in [7_200_000, -14_400_000] {
        store.clock.set_wall(Timestamp::from_millis(store.clock.now().as_millis() + jump));
        assert!(!store.conflict(&request(2, &[&key])).await.stale);
    }
    store.clock.advance(TERM);
    store.take_one(2, &key).await;
}

pub(crate) async fn a_proof_of_death_counts_only_at_the_term_it_was_made_for(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let (old, other) = (store.take_one(1, &a).await, store.take_one(1, &b).await);
    assert_eq!(term(&old).1, term(&other).1);
    store.clock.advance(TERM);
    let current = store.take_one(2, &a).await;
    let asking = |dead| AcquireRequest { proven_dead: vec![dead], ..request(3, &[&a]) };
    store.conflict(&asking(term(&old))).await;
    store.conflict(&asking((b.clone(), term(&current).1))).await;
    let lease = store.locks.acquire(&asking(term(&current))).await.expect("dead").remove(0);
    assert_eq!((term(&lease).1.value(), lease.fence.owner()), (3, Some(owner(3))));
}

fn sparing_but(but: &[Term], asked: AcquireRequest) -> AcquireRequest {
    AcquireRequest { overdue: Overdue::Spared { but: but.to_vec() }, ..asked }
}

pub(crate) async fn a_holder_whose_term_ran_out_is_spared_if_that_is_asked(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, free] = store.projects([1, 2, 3]).await;
    let (first, second) = (store.take_one(1, &a).await, store.take_one(2, &b).await);
    let all = || request(3, &[&a, &b, &free]);
    store.clock.advance(TERM);
    let spared = store.conflict(&sparing_but(&[], all())).await;
    assert!(spared.stale && [owner(1), owner(2)].contains(&spared.owner), "{spared:?}");
    let spared = store.conflict(&sparing_but(&[term(&first)], all())).await;
    assert_eq!((spared.key, spared.owner, spared.stale), (b.clone(), owner(2), true));
    assert_eq!(store.holder_of(&free).await, None, "all or none");
    let own = store.locks.acquire(&sparing_but(&[], request(1, &[&a]))).await.expect("its own").remove(0);
    assert_eq!((own.fence, own.reentrant), (first.fence, true));
    let both = [term(&first), term(&second)];
    let renewed = store.conflict(&sparing_but(&both, all())).await;
    assert_eq!((renewed.owner, renewed.stale), (owner(1), false), "it has renewed meanwhile");
    store.clock.advance(TERM);
    let dead = AcquireRequest { proven_dead: vec![term(&second)], ..all() };
    let leases =
        store.locks.acquire(&sparing_but(&[term(&first)], dead)).await.expect("nobody is in the way");
    let taken = leases.iter().map(|lease| (lease.reentrant, term(lease).1.value())).collect::<Vec<_>>();
    assert_eq!(taken, [(false, 2), (false, 2), (false, 1)]);
}

pub(crate) async fn only_the_very_term_that_was_judged_is_not_spared(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let (old, other) = (store.take_one(1, &a).await, store.take_one(1, &b).await);
    store.clock.advance(TERM);
    let current = store.take_one(2, &a).await;
    store.clock.advance(TERM);
    for judged in [term(&old), (b.clone(), term(&current).1)] {
        assert!(store.conflict(&sparing_but(&[judged], request(3, &[&a]))).await.stale);
    }
    let granted = store.locks.acquire(&sparing_but(&[term(&current)], request(3, &[&a]))).await;
    assert_eq!(term(&granted.expect("its term is over")[0]).1.value(), 3);
    store.locks.release(owner(1), &term(&other)).await.expect("an answer");
    let free = store.locks.acquire(&sparing_but(&[], request(3, &[&b]))).await;
    assert_eq!(free.expect("nobody to spare").len(), 1);
}

pub(crate) async fn a_lock_of_nothing_is_not_granted(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    for missing in [LockKey::Project(project(9).name), LockKey::Plan(plan_id(9))] {
        let answer = store.locks.acquire(&request(1, &[&key, &missing])).await;
        assert_eq!(answer, Err(LockError::NoSuchLock { key: missing }));
        assert_eq!(store.holder_of(&key).await, None, "all or none");
    }
}

pub(crate) async fn tokens_never_restart(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    for expected in 1..=4 {
        let lease = store.take_one(1, &key).await;
        assert_eq!(term(&lease).1.value(), expected);
        store.locks.release(owner(1), &term(&lease)).await.expect("an answer");
    }
}

pub(crate) async fn the_holders_are_listed_by_key(open: Opener) {
    let store = open(Unfenced::Refused);
    assert_eq!(list(&store, false).await, []);
    let [b, a, _free] = store.projects([2, 1, 3]).await;
    store.take_one(2, &b).await;
    store.take_one(1, &a).await;
    let (plan, _) = store.plan(3, 1).await;
    let keys: Vec<LockKey> = list(&store, false).await.into_iter().map(|lock| lock.key).collect();
    assert_eq!(keys, [LockKey::Plan(plan.id), a.clone(), b.clone()]);
    assert_eq!(store.holder_of(&b).await, Some(owner(2)));
    assert_eq!(store.holder_of(&LockKey::Project(project(9).name)).await, None);
}

pub(crate) async fn a_term_is_listed_as_stale_from_its_very_end(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    store.take_one(1, &a).await;
    store.clock.advance(MILLI);
    store.take_one(1, &b).await;
    store.clock.advance(ALMOST_A_TERM.saturating_sub(MILLI));
    assert_eq!(list(&store, true).await, []);
    store.clock.advance(MILLI);
    let stale = list(&store, true).await;
    assert_eq!(stale.iter().map(|lock| (&lock.key, lock.stale)).collect::<Vec<_>>(), [(&a, true)]);
    let all: Vec<bool> = list(&store, false).await.iter().map(|lock| lock.stale).collect();
    assert_eq!(all, [true, false]);
    let filter = LockFilter { key: Some(b), stale_only: true };
    assert_eq!(store.locks.list(&filter).await, Ok(Vec::new()));
}
