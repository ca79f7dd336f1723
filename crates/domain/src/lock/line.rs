//! The line: who waits for locks, and the one rule that says who comes first.
//!
//! A ticket is a place in one line for everything: numbers are given in the order of arrival, and a
//! ticket keeps back whoever comes later on *every* key it names. So a request for many keys is
//! served like any other: nobody who came later takes one of its keys while it waits for the rest.
//!
//! ```text
//! line:   5 {a}    6 {a, b}    7 {b}         8 {c}
//!                  after 5     after 6       nobody before it
//! no ticket, wants b: after 6 and 7          no ticket, wants d: nobody before it
//! ```
//!
//! Kept back by nobody: whoever asks only for what it holds already. Keeping nobody back: a ticket
//! whose life is over or whose process is proven dead, and a ticket that names something the caller
//! itself holds. The last one cannot be served before the caller lets go, so letting the caller
//! pass costs it nothing, and two who hold and wait crosswise do not wait for ever.
//!
//! **No deadlock.** Whoever waits for projects waits for holders of projects, who wait for nobody,
//! and for earlier tickets. Whoever waits for plans may hold plans that are parents of them, and
//! waits besides for holders of plans and for earlier tickets. That needs the order of [`LockKey`]
//! kept between requests, too: plans first, in a request of their own, then all projects in one.

use std::fmt;
use std::time::Duration;

use async_trait::async_trait;

use crate::id::OwnerId;
use crate::lock::{HeldLock, Holder, LockError, LockKey};
use crate::time::Timestamp;

/// The number of a ticket: grows with each one, and is never given twice.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct TicketNumber(i64);

impl TicketNumber {
    /// What a store read from its row.
    pub const fn from_storage(value: i64) -> Self {
        Self(value)
    }

    /// The number, for rows and people.
    pub const fn value(self) -> i64 {
        self.0
    }
}

impl fmt::Display for TicketNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.0)
    }
}

/// A place in the line.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Ticket {
    /// Its number.
    pub number: TicketNumber,
    /// Who waits.
    pub owner: OwnerId,
    /// For what, all of it at once; in the order of keys.
    pub keys: Vec<LockKey>,
    /// Since when, wall time.
    pub since: Timestamp,
    /// Whether its life is over (`now >= expires` on the store's own clock): its waiter has not
    /// said for too long that it waits still.
    pub over: bool,
    /// The process that waits.
    pub holder: Holder,
}

impl Ticket {
    /// How long a ticket counts without a word of its waiter: 10 s.
    ///
    /// So long a waiter that is frozen at the head of a line keeps the others from a free lock. A
    /// waiter says every third of it that it is there, and may be kept from writing for the rest:
    /// by the gate of a crowded database (35 ms in the worst case measured, 10 s at most), by a
    /// disk that stalls, by a machine that swaps. Losing a place in line to one of these is worse
    /// than ten seconds of a line that stands still, which needs somebody to stop a process by
    /// hand. A waiter that is *dead* is passed at once, whatever its ticket says.
    pub const LIFE: Duration = Duration::from_secs(10);
}

/// Who asks for locks, as the line sees it.
#[derive(Debug, Clone, Copy)]
pub struct Caller<'a> {
    /// Who.
    pub owner: OwnerId,
    /// What it asks for.
    pub keys: &'a [LockKey],
    /// What it holds already.
    pub holds: &'a [LockKey],
    /// Its place in the line, if it has one.
    pub ticket: Option<TicketNumber>,
    /// Tickets whose waiters are dead beyond doubt.
    pub dead: &'a [TicketNumber],
}

/// What the line says to a caller.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Passage<'a> {
    /// Those who come first, the first of them first. Empty: it is the caller's turn.
    pub ahead: Vec<&'a Ticket>,
    /// Those who would come first, but are dead or have not spoken for too long: whoever passes
    /// them removes their tickets.
    pub passed: Vec<&'a Ticket>,
}

impl<'a> Passage<'a> {
    /// The one rule. `line` is in the order of its numbers; tickets of other keys do no harm.
    pub fn of(line: &'a [Ticket], caller: &Caller<'_>) -> Self {
        let own = line.iter().find(|t| Some(t.number) == caller.ticket && t.owner == caller.owner);
        let (passed, ahead) = line
            .iter()
            .filter(|ticket| caller.comes_after(ticket, own))
            .partition(|ticket| ticket.over || caller.dead.contains(&ticket.number));
        Self { ahead, passed }
    }
}

impl Caller<'_> {
    /// Whether that ticket, if its waiter lives, comes before this caller.
    fn comes_after(&self, ticket: &Ticket, own: Option<&Ticket>) -> bool {
        let is_own = own.is_some_and(|own| own.number == ticket.number);
        let earlier_at =
            |key: &LockKey| own.is_none_or(|own| !own.keys.contains(key) || ticket.number < own.number);
        let wanted = |key: &&LockKey| !self.holds.contains(key);
        let waits_for_us = ticket.keys.iter().any(|key| self.holds.contains(key));
        !is_own
            && !waits_for_us
            && self.keys.iter().filter(wanted).any(|key| ticket.keys.contains(key) && earlier_at(key))
    }
}

/// Where somebody stands who wants locks and does not get them now.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// The first lock in the way: held, or another's turn.
    pub key: LockKey,
    /// Who holds it; `None`: nobody, but others come first.
    pub held: Option<HeldLock>,
    /// Those who come first, the first of them first.
    pub ahead: Vec<Ticket>,
    /// The own place in the line; `None`: not in line.
    pub ticket: Option<TicketNumber>,
    /// Since when one waits, wall time; `None`: not in line.
    pub since: Option<Timestamp>,
}

impl Standing {
    /// Of a caller whom others come before, though nobody holds what it wants; `None`: it is its
    /// turn.
    pub fn before(passage: &Passage<'_>, caller: &Caller<'_>) -> Option<Self> {
        let first = passage.ahead.first()?;
        let contested =
            caller.keys.iter().find(|key| first.keys.contains(key) && !caller.holds.contains(key));
        let ahead = passage.ahead.iter().map(|ticket| (*ticket).clone()).collect();
        Some(Self { key: contested?.clone(), held: None, ahead, ticket: caller.ticket, since: None })
    }

    /// The place in line, from 1: the one that is had, or the one that would be.
    pub const fn position(&self) -> usize {
        self.ahead.len() + 1
    }
}

impl fmt::Display for Standing {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let who = |f: &mut fmt::Formatter<'_>, holder: &Holder| {
            write!(f, "{} (pid {} on {})", holder.user, holder.pid, holder.host)
        };
        write!(f, "{}", self.key)?;
        match (&self.held, self.ahead.first()) {
            (Some(held), _) => {
                f.write_str(" is held by ")?;
                who(f, &held.holder)?;
            }
            (None, Some(first)) => {
                f.write_str(" is free, but it is the turn of ")?;
                who(f, &first.holder)?;
            }
            (None, None) => f.write_str(" was not free")?,
        }
        if self.ticket.is_some() { write!(f, "; place {} in line", self.position()) } else { Ok(()) }
    }
}

/// Who joins the line, and for what.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct TicketRequest {
    /// In any order.
    pub keys: Vec<LockKey>,
    /// Who waits.
    pub owner: OwnerId,
    /// How long the ticket counts without a renewal.
    pub life: Duration,
    /// What is recorded of the waiter, for people and for proofs of death.
    pub holder: Holder,
}

/// A moment of the store, as far as one who looks again can tell it from another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Mark(i64);

impl Mark {
    /// What a store tells its own moments by.
    pub const fn from_storage(value: i64) -> Self {
        Self(value)
    }

    /// The same, for the store.
    pub const fn value(self) -> i64 {
        self.0
    }
}

/// Who holds and who waits for some keys, at one moment.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct LineView {
    /// Which moment.
    pub mark: Mark,
    /// The holders of those keys, in the order of the keys.
    pub held: Vec<HeldLock>,
    /// The tickets that name one of those keys, over or not, in the order of the numbers.
    pub line: Vec<Ticket>,
}

/// Stores the line. Each method makes one attempt and never waits for a turn. That a ticket is
/// used up by the grant it waited for is part of
/// [`LockPort::acquire`](crate::lock::LockPort::acquire), and that a process' tickets end with it
/// of [`release_all_for_owner`](crate::lock::LockPort::release_all_for_owner).
#[cfg_attr(feature = "mock", mockall::automock)]
#[async_trait]
pub trait Line: Send + Sync {
    /// Joins the line at its end. If the process dies right after, the ticket keeps nobody back:
    /// its death is proved, or the ticket's life ends.
    async fn take(&self, request: &TicketRequest) -> Result<TicketNumber, LockError>;

    /// Says that the waiter is there still: the ticket counts for so long from now, also if it had
    /// run out and nobody has passed it. `false`: it is gone.
    async fn renew(&self, owner: OwnerId, number: TicketNumber, life: Duration) -> Result<bool, LockError>;

    /// Leaves the line. `false`: the ticket was gone. Repeating it is harmless.
    async fn leave(&self, owner: OwnerId, number: TicketNumber) -> Result<bool, LockError>;

    /// Holders and waiters of those keys, with `before` only the tickets of lower numbers; `None`:
    /// nothing has happened since `seen` that lets anybody in: no release, and nobody has left. (What
    /// lets nobody in, a grant or a newcomer, may go unsaid.) Cheap in that case: it is asked many times
    /// a second by everybody who waits. What passes by time alone (lives, leases) is no event, and word
    /// of one may be lost: look without `seen` now and then.
    async fn look(
        &self,
        keys: &[LockKey],
        before: Option<TicketNumber>,
        seen: Option<Mark>,
    ) -> Result<Option<LineView>, LockError>;
}

#[cfg(test)]
#[path = "line/tests.rs"]
mod tests;
