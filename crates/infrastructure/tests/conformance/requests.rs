//! Requests to the holders of locks, and the look by which holders hear of them.

use std::time::Duration;

use agents_domain::id::RequestId;
use agents_domain::lock::{LockKey, Term};
use agents_domain::request::{Asker, Closed, Look, Request, Wish};

use crate::support::{Fixture, Opener, Unfenced, term};
use crate::values::owner;

const CANCEL: Wish = Wish::Cancel { keep_landed: false };

fn request(store: &Fixture, number: u32, key: &LockKey, wish: Wish) -> Request {
    store.clock.advance(Duration::from_millis(1));
    Request {
        id: RequestId::parse(&format!("01ARZ3NDEKTSV4RRFFQ69{number:05}")).expect("valid"),
        key: key.clone(),
        wish,
        by: Asker { host: "box".into(), pid: 7, user: "ada".into() },
        reason: Some("it's \"stuck\"".into()),
        at: agents_domain::time::Clock::now(&*store.clock),
        closed: None,
    }
}

async fn make(store: &Fixture, request: &Request) -> Request {
    let made = store.requests.make(std::slice::from_ref(request)).await.expect("stored");
    assert_eq!(made.len(), 1);
    made[0].clone()
}

async fn open_ones(store: &Fixture, key: &LockKey) -> Vec<Request> {
    store.requests.open(key).await.expect("read")
}

async fn close(store: &Fixture, request: &Request, outcome: &str) -> Closed {
    let closed = Closed { at: request.at.plus(Duration::from_secs(1)), outcome: outcome.into() };
    store.requests.close(request.id, &closed).await.expect("closed");
    closed
}

pub(crate) async fn a_request_is_open_until_it_is_closed_and_stays_known(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key, other] = store.projects([1, 2]).await;
    let asked = request(&store, 1, &key, Wish::Cancel { keep_landed: true });
    assert_eq!(make(&store, &asked).await, asked);
    assert_eq!(
        (open_ones(&store, &key).await, open_ones(&store, &other).await),
        (vec![asked.clone()], vec![])
    );
    let closed = close(&store, &asked, "cancelled").await;
    close(&store, &asked, "another answer").await;
    assert_eq!(open_ones(&store, &key).await, []);
    let known = store.requests.history(&key).await.expect("read");
    assert_eq!(known, [Request { closed: Some(closed), ..asked }]);
}

pub(crate) async fn asking_twice_is_asking_once(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let first = make(&store, &request(&store, 1, &key, CANCEL)).await;
    let again = request(&store, 2, &key, Wish::Cancel { keep_landed: true });
    assert_eq!(make(&store, &again).await, first, "the one that is open");
    assert_eq!(make(&store, &first).await, first, "also after a lost reply");
    close(&store, &first, "refused").await;
    assert_eq!(make(&store, &again).await, again, "after an answer one may ask again");
    assert_eq!(store.requests.history(&key).await.expect("read").len(), 2);
}

/// As for a tree: the root first, and one of its parts is to be cancelled already.
pub(crate) async fn many_are_asked_at_once_and_answered_in_their_order(open: Opener) {
    let store = open(Unfenced::Refused);
    let [root, part, leaf] = store.projects([3, 1, 2]).await;
    let asked = [(1, &root), (2, &part), (3, &leaf)].map(|(n, key)| request(&store, n, key, CANCEL));
    let before = make(&store, &request(&store, 4, &part, CANCEL)).await;
    let expected = vec![asked[0].clone(), before.clone(), asked[2].clone()];
    for _ in 0..2 {
        assert_eq!(store.requests.make(&asked).await, Ok(expected.clone()), "also after a lost reply");
    }
    for (key, request) in [&root, &part, &leaf].into_iter().zip(&expected) {
        assert_eq!(open_ones(&store, key).await, std::slice::from_ref(request));
    }
    let twice = [request(&store, 5, &root, CANCEL), request(&store, 6, &root, CANCEL)];
    close(&store, &expected[0], "cancelled").await;
    assert_eq!(store.requests.make(&twice).await, Ok(vec![twice[0].clone(); 2]), "the same, twice in one");
    assert_eq!(store.requests.make(&[]).await, Ok(Vec::new()));
}

pub(crate) async fn a_request_to_let_go_is_for_one_term(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let one = term(&store.take_one(1, &key).await);
    store.locks.release(owner(1), &one).await.expect("released");
    let two = term(&store.take_one(2, &key).await);
    let earlier = make(&store, &request(&store, 1, &key, Wish::LetGo { token: one.1 })).await;
    let later = make(&store, &request(&store, 2, &key, Wish::LetGo { token: two.1 })).await;
    let cancel = make(&store, &request(&store, 3, &key, CANCEL)).await;
    assert_eq!(open_ones(&store, &key).await, [earlier, later, cancel]);
}

pub(crate) async fn a_plan_shows_that_it_is_to_be_cancelled(open: Opener) {
    let store = open(Unfenced::Refused);
    let (plan, lease) = store.plan(1, 1).await;
    let filter = agents_domain::reads::PlanFilter::default();
    let shown = async || {
        let view = store.reads.status(plan.id).await.expect("read").expect("there");
        let page = store.reads.list(&filter).await.expect("read");
        assert_eq!(page.plans, std::slice::from_ref(&view));
        view.cancel_requested
    };
    assert_eq!(shown().await, None);
    let (_, token) = term(&lease);
    make(&store, &request(&store, 1, &lease.key, Wish::LetGo { token })).await;
    assert_eq!(shown().await, None);
    let asked = make(&store, &request(&store, 2, &lease.key, CANCEL)).await;
    assert_eq!(shown().await, Some(asked.clone()));
    close(&store, &asked, "cancelled").await;
    assert_eq!(shown().await, None);
}

/// What the pulse shows, or what it showed last if nothing has changed.
async fn look(store: &Fixture, terms: &[Term], last: &mut Look) -> Look {
    if let Some(look) = store.pulse.look(owner(1), terms).await.expect("looks") {
        *last = look;
    }
    last.clone()
}

pub(crate) async fn a_look_shows_what_is_lost_and_what_is_asked(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, c, d] = store.projects([1, 2, 3, 4]).await;
    let terms: Vec<Term> = store.take(1, &[&a, &b, &c]).await.iter().map(term).collect();
    let mut last = Look::default();
    assert_eq!(look(&store, &terms, &mut last).await, Look::default());
    store.locks.evict(&terms[1], owner(2), "stuck").await.expect("evicted");
    store.take_one(2, &b).await;
    store.locks.release(owner(1), &terms[2]).await.expect("released");
    let asked = make(&store, &request(&store, 1, &a, CANCEL)).await;
    make(&store, &request(&store, 2, &d, CANCEL)).await;
    let expected = Look { lost: terms[1..].to_vec(), requests: vec![asked] };
    assert_eq!(look(&store, &terms, &mut last).await, expected);
    assert_eq!(look(&store, &terms, &mut last).await, expected, "nothing has changed");
}

pub(crate) async fn a_look_after_every_change_misses_nothing(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let mut last = Look::default();
    for number in 1..20 {
        let terms = [term(&store.take_one(1, &key).await)];
        assert_eq!(look(&store, &terms, &mut last).await, Look::default());
        let asked = make(&store, &request(&store, number, &key, CANCEL)).await;
        assert_eq!(look(&store, &terms, &mut last).await.requests, std::slice::from_ref(&asked));
        close(&store, &asked, "refused").await;
        assert_eq!(look(&store, &terms, &mut last).await, Look::default());
        store.locks.evict(&terms[0], owner(2), "stuck").await.expect("evicted");
        assert_eq!(look(&store, &terms, &mut last).await.lost, terms);
    }
}
