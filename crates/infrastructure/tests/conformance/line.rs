//! The line: tickets, and the grants that heed them.

use std::time::Duration;

use agents_domain::lock::{
    AcquireRequest, HeldLock, LineView, LockError, LockKey, Standing, Ticket, TicketNumber, TicketRequest,
};
use agents_domain::time::Clock as _;

use crate::support::{Fixture, MILLI, Opener, TERM, Unfenced, request, term};
use crate::values::{holder, owner, project};

/// One millisecond less than the life of a ticket.
const ALMOST_A_LIFE: Duration = Ticket::LIFE.saturating_sub(MILLI);

pub(crate) fn asking(who: u32, keys: &[&LockKey]) -> TicketRequest {
    let keys = keys.iter().map(|key| (*key).clone()).collect();
    TicketRequest { keys, owner: owner(who), life: Ticket::LIFE, holder: holder(who) }
}

impl Fixture {
    async fn join(&self, who: u32, keys: &[&LockKey]) -> TicketNumber {
        self.line.take(&asking(who, keys)).await.expect("a ticket")
    }

    async fn view(&self, keys: &[&LockKey]) -> LineView {
        let keys: Vec<LockKey> = keys.iter().map(|key| (*key).clone()).collect();
        self.line.look(&keys, None, None).await.expect("a look").expect("a first look")
    }

    /// The numbers of those who wait.
    async fn waiting(&self, key: &LockKey) -> Vec<TicketNumber> {
        self.view(&[key]).await.line.iter().map(|ticket| ticket.number).collect()
    }

    async fn queued(&self, request: &AcquireRequest) -> Standing {
        match self.locks.acquire(request).await {
            Err(LockError::Queued(standing)) => *standing,
            other => panic!("not queued: {other:?}"),
        }
    }
}

fn with(ticket: TicketNumber, request: AcquireRequest) -> AcquireRequest {
    AcquireRequest { ticket: Some(ticket), ..request }
}

fn numbers(standing: &Standing) -> Vec<TicketNumber> {
    standing.ahead.iter().map(|ticket| ticket.number).collect()
}

pub(crate) async fn tickets_are_numbered_in_the_order_of_arrival(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let first = store.join(1, &[&a]).await;
    let second = store.join(2, &[&b, &a, &b]).await;
    store.line.leave(owner(2), second).await.expect("left");
    let third = store.join(3, &[&a]).await;
    assert!(first < second && second < third, "a number is never given twice");
    store.clock.advance(MILLI);
    let ticket = Ticket {
        number: first,
        owner: owner(1),
        keys: vec![a.clone()],
        since: store.clock.now(),
        over: false,
        holder: holder(1),
    };
    let line = store.view(&[&a]).await.line;
    assert_eq!(line[0], Ticket { since: line[0].since, ..ticket });
    assert!(line[0].since < store.clock.now());
    assert_eq!(line.iter().map(|t| t.number).collect::<Vec<_>>(), [first, third]);
}

pub(crate) async fn a_caller_without_a_ticket_never_passes_a_line(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let ahead = [store.join(1, &[&b]).await, store.join(2, &[&b]).await];
    let standing = store.queued(&request(3, &[&a, &b])).await;
    assert_eq!((&standing.key, &standing.held, standing.position()), (&b, &None, 3));
    assert_eq!(numbers(&standing), ahead);
    assert_eq!(standing.ahead[0].holder, holder(1));
    assert_eq!(store.holder_of(&a).await, None, "nothing was taken");
    store.take_one(3, &a).await;
}

pub(crate) async fn the_first_in_line_is_granted_and_its_ticket_is_used_up(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let lease = store.take_one(1, &key).await;
    let (second, third) = (store.join(2, &[&key]).await, store.join(3, &[&key]).await);
    store.locks.release(owner(1), &term(&lease)).await.expect("released");
    let early = store.queued(&with(third, request(3, &[&key]))).await;
    assert_eq!((numbers(&early), early.ticket), (vec![second], Some(third)));
    let granted = store.locks.acquire(&with(second, request(2, &[&key]))).await.expect("its turn");
    assert_eq!(store.waiting(&key).await, [third]);
    store.locks.release(owner(2), &term(&granted[0])).await.expect("released");
    // Used up: it comes again at the end.
    assert_eq!(numbers(&store.queued(&with(second, request(2, &[&key]))).await), [third]);
    store.locks.acquire(&with(third, request(3, &[&key]))).await.expect("its turn");
    assert_eq!(store.waiting(&key).await, []);
}

pub(crate) async fn a_wide_ticket_keeps_back_later_ones_on_every_key(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, c] = store.projects([1, 2, 3]).await;
    let lease = store.take_one(1, &a).await;
    let wide = store.join(2, &[&a, &b]).await;
    let later = store.join(3, &[&b, &c]).await;
    assert_eq!(numbers(&store.queued(&with(later, request(3, &[&b, &c]))).await), [wide], "b is free");
    store.locks.release(owner(1), &term(&lease)).await.expect("released");
    let granted = store.locks.acquire(&with(wide, request(2, &[&a, &b]))).await.expect("its turn");
    assert_eq!(granted.len(), 2);
}

pub(crate) async fn who_holds_it_already_does_not_queue(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b, c] = store.projects([1, 2, 3]).await;
    let lease = store.take_one(1, &a).await;
    store.join(2, &[&a]).await;
    let waits_for_b = store.join(3, &[&b]).await;
    let again = store.take_one(1, &a).await;
    assert_eq!((again.fence, again.reentrant), (lease.fence, true));
    assert_eq!(numbers(&store.queued(&request(1, &[&a, &b])).await), [waits_for_b]);
    store.take(1, &[&a, &c]).await;
}

pub(crate) async fn a_ticket_that_waits_for_the_caller_does_not_keep_it_back(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    store.take_one(1, &a).await;
    store.join(2, &[&a, &b]).await;
    store.take_one(1, &b).await;
}

pub(crate) async fn a_held_lock_comes_before_the_line(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    store.take_one(1, &key).await;
    store.join(2, &[&key]).await;
    assert_eq!(store.conflict(&request(3, &[&key])).await.owner, owner(1));
    // A term that ran out is no free pass either.
    store.clock.advance(TERM);
    let third = store.join(3, &[&key]).await;
    assert_eq!(store.queued(&request(4, &[&key])).await.position(), 2, "the first was silent for too long");
    store.locks.acquire(&with(third, request(3, &[&key]))).await.expect("its turn");
}

pub(crate) async fn a_dead_waiter_keeps_nobody_back_and_goes_when_it_is_passed(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    let dead = [store.join(1, &[&a]).await, store.join(1, &[&b]).await];
    let asked = AcquireRequest { dead_tickets: dead.to_vec(), ..request(2, &[&a]) };
    store.locks.acquire(&asked).await.expect("nobody who lives is ahead");
    assert_eq!((store.waiting(&a).await, store.waiting(&b).await), (vec![], vec![dead[1]]));
}

pub(crate) async fn a_silent_waiter_keeps_nobody_back_from_the_end_of_its_life(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let silent = store.join(1, &[&key]).await;
    store.clock.advance(ALMOST_A_LIFE);
    assert_eq!(numbers(&store.queued(&request(2, &[&key])).await), [silent]);
    assert!(!store.view(&[&key]).await.line[0].over);
    store.clock.advance(MILLI);
    assert!(store.view(&[&key]).await.line[0].over);
    store.take_one(2, &key).await;
    assert_eq!(store.line.renew(owner(1), silent, Ticket::LIFE).await, Ok(false), "passed");
}

pub(crate) async fn a_silent_waiter_keeps_its_number_until_somebody_passes(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let first = store.join(1, &[&key]).await;
    store.clock.advance(Ticket::LIFE * 3);
    let second = store.join(2, &[&key]).await;
    assert_eq!(store.line.renew(owner(2), first, Ticket::LIFE).await, Ok(false), "not its own");
    assert_eq!(store.line.renew(owner(1), first, Ticket::LIFE).await, Ok(true));
    assert_eq!(numbers(&store.queued(&with(second, request(2, &[&key]))).await), [first]);
    store.clock.advance(ALMOST_A_LIFE);
    assert_eq!(numbers(&store.queued(&with(second, request(2, &[&key]))).await), [first]);
    store.locks.acquire(&with(first, request(1, &[&key]))).await.expect("its turn");
}

pub(crate) async fn a_ticket_is_left_by_its_owner_alone(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let ticket = store.join(1, &[&key]).await;
    assert_eq!(store.line.leave(owner(2), ticket).await, Ok(false));
    // Nor does it serve another, or is used up by it.
    assert_eq!(store.queued(&with(ticket, request(2, &[&key]))).await.position(), 2);
    assert_eq!(store.waiting(&key).await, [ticket]);
    assert_eq!(store.line.leave(owner(1), ticket).await, Ok(true));
    assert_eq!(store.line.leave(owner(1), ticket).await, Ok(false));
    assert_eq!(store.line.renew(owner(1), ticket, Ticket::LIFE).await, Ok(false));
    store.take_one(2, &key).await;
}

pub(crate) async fn release_all_ends_the_waiting_of_one_owner(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    store.take_one(1, &a).await;
    store.join(1, &[&b]).await;
    let other = store.join(2, &[&b]).await;
    assert_eq!(store.locks.release_all_for_owner(owner(1)).await, Ok(1), "terms are counted");
    assert_eq!(store.waiting(&b).await, [other]);
}

pub(crate) async fn a_look_shows_holders_and_waiters(open: Opener) {
    let store = open(Unfenced::Refused);
    let [a, b] = store.projects([1, 2]).await;
    store.take_one(1, &b).await;
    let ticket = store.join(2, &[&b, &a]).await;
    let view = store.view(&[&b, &a]).await;
    let held: Vec<(&LockKey, u32)> =
        view.held.iter().map(|held: &HeldLock| (&held.key, held.holder.pid)).collect();
    assert_eq!(held, [(&b, holder(1).pid)]);
    assert_eq!(view.line.iter().map(|t| (t.number, t.keys.len())).collect::<Vec<_>>(), [(ticket, 2)]);
    let later = store.join(3, &[&a]).await;
    let before = store.line.look(&[a.clone(), b.clone()], Some(later), None).await;
    let earlier: Vec<_> = before.expect("a look").expect("a first look").line;
    assert_eq!(earlier.iter().map(|t| (t.number, t.keys.len())).collect::<Vec<_>>(), [(ticket, 2)]);
    let nothing = LockKey::Project(project(9).name);
    let looked = store.line.look(&[a.clone(), nothing.clone()], None, None).await;
    assert_eq!(looked, Err(LockError::NoSuchLock { key: nothing }));
}

pub(crate) async fn a_look_after_every_change_of_the_line_misses_nothing(open: Opener) {
    let store = open(Unfenced::Refused);
    let [key] = store.projects([1]).await;
    let keys = [key.clone()];
    let anew = async || {
        let view = store.view(&[&key]).await;
        ((view.held.len(), view.line.len()), view.mark)
    };
    let lease = store.take_one(1, &key).await;
    assert_eq!(anew().await.0, (1, 0), "a grant");
    let ticket = store.join(2, &[&key]).await;
    assert_eq!(anew().await.0, (1, 1), "a ticket");
    store.clock.advance(MILLI);
    store.line.renew(owner(2), ticket, Ticket::LIFE).await.expect("renewed");
    let (seen, mut mark) = anew().await;
    assert_eq!(seen, (1, 1), "a renewal");
    // What lets others in is seen also by one who asks only for news. It may take its time to arrive.
    let mut news = async || loop {
        if let Some(view) = store.line.look(&keys, None, Some(mark)).await.expect("a look") {
            mark = view.mark;
            return (view.held.len(), view.line.len());
        }
        tokio::task::yield_now().await;
    };
    store.locks.release(owner(1), &term(&lease)).await.expect("released");
    assert_eq!(news().await, (0, 1), "a release");
    store.line.leave(owner(2), ticket).await.expect("left");
    assert_eq!(news().await, (0, 0), "a leaving");
}
