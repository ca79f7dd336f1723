//! `renew`, `release`, `release_all_for_owner`, `evict`: what happens to a term once begun.

use std::time::Duration;

use agents_domain::lock::{LockKey, Release, Renewal, Term};
use agents_domain::time::Clock as _;

use crate::support::{ALMOST_A_TERM, Fixture, MILLI, Opener, TERM, Unfenced, request, term, ttl};
use crate::values::{owner, project};

async fn renew(store: &Fixture, who: u32, terms: &[&Term]) -> Vec<Renewal> {
    let terms: Vec<Term> = terms.iter().map(|term| (*term).clone()).collect();
    store.locks.renew(owner(who), &terms, ttl(TERM)).await.expect("an answer")
}

fn extended(store: &Fixture) -> Renewal {
    Renewal::Extended { expires_at: store.clock.now().plus(TERM) }
}

pub(crate) async fn a_renewal_extends_and_never_shortens(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    store.clock.advance(Duration::from_secs(4));
    assert_eq!(renew(&store, 1, &[&term(&lease)]).await, [extended(&store)]);
    let expires_at = store.clock.now().plus(TERM);
    let shorter = store.locks.renew(owner(1), &[term(&lease)], ttl(Duration::from_secs(5))).await;
    assert_eq!(shorter, Ok(vec![Renewal::Extended { expires_at }]));
    store.clock.advance(ALMOST_A_TERM);
    let held = store.conflict(&request(2, &[&key])).await;
    assert_eq!(
        (held.expires_at, held.token, held.acquired_at),
        (expires_at, term(&lease).1, lease.acquired_at)
    );
    store.clock.advance(MILLI);
    store.take_one(2, &key).await;
}

pub(crate) async fn a_sleeper_renews_if_nobody_came(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    store.clock.advance(TERM * 10);
    assert_eq!(renew(&store, 1, &[&term(&lease)]).await, [extended(&store)]);
    store.conflict(&request(2, &[&key])).await;
}

pub(crate) async fn a_renewal_says_who_took_the_lock(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    store.clock.advance(TERM);
    let taken = store.take_one(2, &key).await;
    assert_eq!(renew(&store, 1, &[&term(&lease)]).await, [Renewal::Lost { by: owner(2) }]);
    assert_eq!(renew(&store, 1, &[&term(&taken)]).await, [Renewal::Lost { by: owner(2) }]);
    assert_eq!(store.conflict(&request(1, &[&key])).await.expires_at, taken.expires_at);
}

pub(crate) async fn an_earlier_term_of_the_same_owner_is_lost_too(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let first = store.take_one(1, &key).await;
    store.locks.release(owner(1), &term(&first)).await.expect("an answer");
    let second = store.take_one(1, &key).await;
    let answers = renew(&store, 1, &[&term(&first), &term(&second)]).await;
    assert_eq!(answers, [Renewal::Lost { by: owner(1) }, extended(&store)]);
}

pub(crate) async fn a_renewal_of_a_cleared_lock_says_so(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let (released, evicted) = (store.take_one(1, &a).await, store.take_one(1, &b).await);
    store.locks.release(owner(1), &term(&released)).await.expect("an answer");
    store.locks.evict(&term(&evicted), owner(2), "stuck").await.expect("an answer");
    let gone: Term = (LockKey::Project(project(9).name), term(&released).1);
    let answers = renew(&store, 1, &[&term(&released), &term(&evicted), &gone]).await;
    assert_eq!(answers, [Renewal::Expired, Renewal::Expired, Renewal::Expired]);
}

pub(crate) async fn many_terms_are_answered_in_the_order_given(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, c, d] = store.projects([1, 2, 3, 4]).await;
    let leases = store.take(1, &[&a, &b, &c, &d]).await;
    let terms: Vec<Term> = leases.iter().map(term).collect();
    store.locks.release(owner(1), &terms[2]).await.expect("an answer");
    store.locks.release(owner(1), &terms[0]).await.expect("an answer");
    store.take_one(2, &a).await;
    store.clock.advance(Duration::from_secs(1));
    let answers = renew(&store, 1, &[&terms[3], &terms[2], &terms[0], &terms[1], &terms[3]]).await;
    let (kept, lost) = (extended(&store), Renewal::Lost { by: owner(2) });
    assert_eq!(answers, [kept.clone(), Renewal::Expired, lost, kept.clone(), kept]);
    assert_eq!(renew(&store, 1, &[]).await, []);
    let held = store.conflict(&request(3, &[&a])).await;
    assert_eq!(held.expires_at, held.acquired_at.plus(TERM), "a rival's term is not extended");
}

pub(crate) async fn releasing_what_one_does_not_hold_harms_nobody(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let old = term(&store.take_one(1, &key).await);
    store.clock.advance(TERM);
    let current = term(&store.take_one(2, &key).await);
    let missing: Term = (LockKey::Project(project(9).name), current.1);
    for (who, term) in [(1, &old), (1, &current), (2, &old), (2, &missing)] {
        assert_eq!(store.locks.release(owner(who), term).await, Ok(Release::NotHeld));
    }
    assert_eq!(store.holder_of(&key).await, Some(owner(2)));
    assert_eq!(store.locks.release(owner(2), &current).await, Ok(Release::Released));
    assert_eq!(store.locks.release(owner(2), &current).await, Ok(Release::NotHeld));
    assert_eq!(store.holder_of(&key).await, None);
    store.take_one(3, &key).await;
}

pub(crate) async fn release_all_ends_the_terms_of_one_owner(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, c] = store.projects([1, 2, 3]).await;
    store.take(1, &[&a, &b]).await;
    store.take_one(2, &c).await;
    store.clock.advance(TERM * 2);
    assert_eq!(store.locks.release_all_for_owner(owner(1)).await, Ok(2), "also those that ran out");
    assert_eq!(store.locks.release_all_for_owner(owner(1)).await, Ok(0));
    assert_eq!((store.holder_of(&a).await, store.holder_of(&b).await), (None, None));
    assert_eq!(store.holder_of(&c).await, Some(owner(2)));
}

pub(crate) async fn an_eviction_ends_only_the_term_it_names(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let old = term(&store.take_one(1, &key).await);
    store.clock.advance(TERM);
    let current = term(&store.take_one(2, &key).await);
    let missing: Term = (LockKey::Project(project(9).name), current.1);
    for term in [&old, &missing] {
        assert_eq!(store.locks.evict(term, owner(3), "stuck").await, Ok(Release::NotHeld));
    }
    assert_eq!(store.holder_of(&key).await, Some(owner(2)));
    assert_eq!(store.locks.evict(&current, owner(3), "it's \"stuck\"").await, Ok(Release::Released));
    assert_eq!(store.locks.evict(&current, owner(3), "stuck").await, Ok(Release::NotHeld));
    assert_eq!(store.locks.release(owner(2), &current).await, Ok(Release::NotHeld));
    assert_eq!(term(&store.take_one(4, &key).await).1.value(), 3);
}
