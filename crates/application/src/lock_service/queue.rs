//! Standing in line until it is one's turn.
//!
//! ```text
//! refused ── take a ticket ──┬─ look ── others ahead, or held ── told, if that is news ── pause ─┐
//!                            │   └───── first in line, and free ── acquire, uses up the ticket   │
//!                            └───────────────────────────────────────────────────────────────────┘
//! ```
//!
//! Waiting holds nothing but the ticket: no lock, no transaction, no connection of a pool. A look
//! reads, and reads one word as long as nothing has changed; only whoever is first tries to
//! acquire. A waiter writes when it joins, each third of its ticket's life, and when it leaves.
//!
//! **How often it looks.** Some times a millisecond at first, since the time from a release to the
//! next grant is half of that and more; less often the longer it waits, up to every 10 ms: who has waited for
//! a minute does not mind; and further back about twice in the time that those ahead will take, going
//! by those it has seen served. What time alone brings (a death, a lease or a life that runs out)
//! shows in no version of the store, so now and then it looks whatever the version says: every 20 ms if it
//! is first or second, and further back every 200, or a server would have more to do the longer the line.

use std::sync::Arc;
use std::sync::mpsc::channel;
use std::time::Duration;

use agents_domain::lock::{
    Caller, HeldLock, LineView, Liveness, LockError, LockKey, Passage, Standing, Ticket, TicketNumber,
};

use super::acquire::{Entry, Wanted};
use super::place::Place;
use super::{Inner, LockGuard};
use crate::observer::Observer;

/// Between two looks of one who is first or second and has not waited for long.
const LOOK: Duration = Duration::from_micros(200);
/// The finest that the runtime's timer tells apart.
const TICK: Duration = Duration::from_millis(1);
/// Between two looks of one who is first or second, at most.
const LONGEST: Duration = Duration::from_millis(10);
/// Between two looks of one who is further back, at most.
const FURTHER_BACK: Duration = Duration::from_millis(50);
/// After so long, the dead and the late are looked for, whether the store has changed or not, by one who is
/// first or second.
const ANEW: Duration = Duration::from_millis(20);
/// The same by one who is further back.
const ANEW_FURTHER_BACK: Duration = Duration::from_millis(200);

/// What a look has shown.
enum Turn {
    /// It is our turn, and nobody who lives holds anything; these waiters are dead.
    Now(Vec<TicketNumber>),
    /// Not yet.
    Later(Box<Standing>),
}

impl Inner {
    /// Waits in line, for so long at most. The observer is told at first, and at each change.
    pub(super) async fn stand_in_line(
        self: &Arc<Self>,
        wanted: Wanted,
        limit: Option<Duration>,
        observer: &dyn Observer,
    ) -> Result<LockGuard, LockError> {
        let began = self.parts.clock.boottime();
        let mut place = Place::join(self, &wanted).await?;
        let mut standing: Option<Box<Standing>> = None;
        let (mut refused, mut unseen, mut at_first) = (None, ANEW_FURTHER_BACK, None);
        loop {
            place = place.keep(&wanted).await?;
            let ahead = standing.as_ref().map_or(0, |standing| standing.ahead.len());
            let view = place.look(&wanted, unseen >= anew(ahead)).await?;
            if let Some(view) = view {
                unseen = Duration::ZERO;
                match self.turn(&wanted, &view, &place) {
                    Turn::Now(dead) => match self.try_acquire(&wanted, place.number(), dead).await {
                        Ok(guard) => {
                            place.used_up();
                            return Ok(guard);
                        }
                        // Somebody entered a hold of its own again, or took ours for dead.
                        Err(error @ (LockError::Conflict(_) | LockError::Queued(_))) => {
                            (refused, unseen) = (Some(error), ANEW_FURTHER_BACK);
                            place.doubt();
                        }
                        Err(error) => return Err(error),
                    },
                    Turn::Later(now) => {
                        if standing.as_ref().is_none_or(|before| news(before, &now)) {
                            observer.waiting(&now);
                        }
                        at_first.get_or_insert(now.ahead.len());
                        (standing, refused) = (Some(now), None);
                    }
                }
            }
            let so_far = self.parts.clock.boottime().since(began);
            if limit.is_some_and(|limit| so_far >= limit)
                && let Some(error) = refused.take().or_else(|| standing.take().map(LockError::Queued))
            {
                place.leave().await;
                return Err(error);
            }
            let ahead = standing.as_ref().map_or(0, |standing| standing.ahead.len());
            let pause = pause(so_far, ahead, at_first.unwrap_or(ahead));
            let pause = pause / 2 + self.parts.ids.jitter(pause);
            rest(pause).await;
            unseen += pause;
        }
    }

    /// Whether it is our turn.
    fn turn(&self, wanted: &Wanted, view: &LineView, place: &Place) -> Turn {
        let holds = self.holds.keys();
        let ticket = place.number();
        let mut dead = Vec::new();
        let ahead = loop {
            let caller =
                Caller { owner: self.parts.owner, keys: &wanted.keys, holds: &holds, ticket, dead: &dead };
            let ahead = Passage::of(&view.line, &caller).ahead;
            // Who comes after one that lives is told to us by its own death or turn, later.
            match ahead.first().filter(|first| self.is_dead(first)) {
                Some(first) => dead.push(first.number),
                None => break ahead,
            }
        };
        let held = view.held.iter().find(|held| self.is_in_the_way(held, wanted));
        let waits_for_the_living = held.is_some_and(|held| !self.may_be_replaced(held));
        if ahead.is_empty() && !waits_for_the_living {
            return Turn::Now(dead);
        }
        Turn::Later(Box::new(Standing {
            key: contested(wanted, held, &ahead),
            held: held.cloned(),
            ahead: ahead.into_iter().cloned().collect(),
            ticket,
            since: Some(place.since),
        }))
    }

    fn is_dead(&self, ticket: &Ticket) -> bool {
        self.parts.processes.liveness(&ticket.holder) == Liveness::Dead
    }

    fn is_in_the_way(&self, held: &HeldLock, wanted: &Wanted) -> bool {
        let ours = held.owner == self.parts.owner;
        !ours || (wanted.entry == Entry::Alone && self.holds.contains(&held.key))
    }

    /// Whether a try may replace that holder: dead, or its lease has run out. The try is patient
    /// with one that lives.
    fn may_be_replaced(&self, held: &HeldLock) -> bool {
        held.owner != self.parts.owner
            && (held.stale || self.parts.processes.liveness(&held.holder) == Liveness::Dead)
    }
}

/// Sleeps, also for less than the runtime's timer can.
async fn rest(pause: Duration) {
    if pause >= TICK {
        return tokio::time::sleep(pause).await;
    }
    let (_open, silence) = channel::<()>();
    tokio::task::spawn_blocking(move || silence.recv_timeout(pause)).await.ok();
}

/// How long to go by what the store says of changes.
const fn anew(ahead: usize) -> Duration {
    if ahead < 2 { ANEW } else { ANEW_FURTHER_BACK }
}

/// How long not to look, more or less. Whoever is first or second is on the watch; whoever is
/// further back has that many turns before it is second, each of them as long as those it has seen.
fn pause(so_far: Duration, ahead: usize, at_first: usize) -> Duration {
    let many = |turns: usize| u32::try_from(turns).unwrap_or(u32::MAX);
    match ahead {
        0 | 1 => (so_far / 1_000).clamp(LOOK, LONGEST),
        _ => {
            let seen = many(at_first.saturating_sub(ahead));
            let turn = so_far / seen.saturating_add(1);
            (turn.saturating_mul(many(ahead - 1)) / 2).clamp(LOOK, FURTHER_BACK)
        }
    }
}

/// The first lock in the way.
fn contested(wanted: &Wanted, held: Option<&HeldLock>, ahead: &[&Ticket]) -> LockKey {
    let of_first = || {
        let first = ahead.first()?;
        wanted.keys.iter().find(|key| first.keys.contains(key))
    };
    let key = held.map(|held| &held.key).or_else(of_first).or_else(|| wanted.keys.first());
    key.expect("nobody waits for nothing").clone()
}

/// Whether a person would want to know: another holder, or another place.
fn news(before: &Standing, now: &Standing) -> bool {
    let held = |standing: &Standing| standing.held.as_ref().map(|held| (held.key.clone(), held.token));
    let first = |standing: &Standing| standing.ahead.first().map(|ticket| ticket.number);
    held(before) != held(now) || before.position() != now.position() || first(before) != first(now)
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: Duration = Duration::from_secs(1);

    #[test]
    fn the_first_two_are_on_the_watch_and_the_patient_less() {
        assert_eq!(pause(Duration::ZERO, 0, 0), LOOK);
        assert_eq!(pause(SECOND * 5, 1, 9), Duration::from_millis(5));
        assert_eq!(pause(SECOND * 60, 0, 0), LONGEST);
    }

    #[test]
    fn the_dead_are_looked_for_by_the_first_two_and_now_and_then_by_all() {
        assert_eq!([anew(0), anew(1), anew(2)], [ANEW, ANEW, ANEW_FURTHER_BACK]);
    }

    #[test]
    fn further_back_one_looks_twice_until_one_is_second() {
        // Eight were served in 90 ms: the next four take about 40.
        assert_eq!(pause(Duration::from_millis(90), 5, 13), Duration::from_millis(20));
        assert_eq!(pause(Duration::ZERO, 5, 5), LOOK);
        assert_eq!(pause(SECOND * 60, 5, 6), FURTHER_BACK);
        assert_eq!(pause(Duration::MAX, usize::MAX, 0), FURTHER_BACK);
    }
}
