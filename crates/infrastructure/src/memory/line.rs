//! The line of those who wait, and the port to it.
//!
//! Who comes first is decided by [`Passage`] alone, in the section that grants.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;
use std::time::Duration;

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, Caller, Holder, Line, LineView, LockError, LockKey, Mark, Passage, Standing, Ticket,
    TicketNumber, TicketRequest,
};
use agents_domain::time::{BootInstant, Timestamp};
use async_trait::async_trait;

use super::{Moment, Shared, State};

/// The port to the line.
pub(super) struct MemoryLine(pub(super) Arc<Shared>);

/// The tickets by number.
#[derive(Default)]
pub(super) struct LineTable {
    last: i64,
    tickets: BTreeMap<TicketNumber, Place>,
}

struct Place {
    owner: OwnerId,
    keys: BTreeSet<LockKey>,
    since: Timestamp,
    expires: BootInstant,
    holder: Holder,
}

impl Place {
    fn ticket(&self, number: TicketNumber, now: Moment) -> Ticket {
        Ticket {
            number,
            owner: self.owner,
            keys: self.keys.iter().cloned().collect(),
            since: self.since,
            over: now.boot >= self.expires,
            holder: self.holder.clone(),
        }
    }
}

impl LineTable {
    fn take(&mut self, request: &TicketRequest, now: Moment) -> TicketNumber {
        self.last += 1;
        let number = TicketNumber::from_storage(self.last);
        let place = Place {
            owner: request.owner,
            keys: request.keys.iter().cloned().collect(),
            since: now.wall,
            expires: now.boot.plus(request.life),
            holder: request.holder.clone(),
        };
        self.tickets.insert(number, place);
        number
    }

    fn of(&mut self, owner: OwnerId, number: TicketNumber) -> Option<&mut Place> {
        self.tickets.get_mut(&number).filter(|place| place.owner == owner)
    }

    fn leave(&mut self, owner: OwnerId, number: TicketNumber) -> bool {
        self.of(owner, number).is_some() && self.tickets.remove(&number).is_some()
    }

    /// Ends all the waiting of an owner.
    pub(super) fn leave_all(&mut self, owner: OwnerId) {
        self.tickets.retain(|_, place| place.owner != owner);
    }

    /// How many wait, and since when the first of them does.
    pub(super) fn waiting(&self, now: Moment) -> (usize, Option<Timestamp>) {
        let living = self.tickets.values().filter(|place| now.boot < place.expires);
        (living.clone().count(), living.map(|place| place.since).min())
    }

    /// Every ticket that names one of those keys.
    fn tickets(&self, keys: &[LockKey], now: Moment) -> Vec<Ticket> {
        let named = |place: &Place| keys.iter().any(|key| place.keys.contains(key));
        let found = self.tickets.iter().filter(|(_, place)| named(place));
        found.map(|(number, place)| place.ticket(*number, now)).collect()
    }

    /// Whether it is the turn of whoever asks; the tickets that a grant would use up.
    pub(super) fn turn(
        &self,
        request: &AcquireRequest,
        holds: &[LockKey],
        now: Moment,
    ) -> Result<Vec<TicketNumber>, LockError> {
        let line = self.tickets(&request.keys, now);
        let caller = Caller {
            owner: request.owner,
            keys: &request.keys,
            holds,
            ticket: request.ticket,
            dead: &request.dead_tickets,
        };
        let passage = Passage::of(&line, &caller);
        match Standing::before(&passage, &caller) {
            Some(standing) => Err(LockError::Queued(Box::new(standing))),
            None => Ok(passage.passed.iter().map(|ticket| ticket.number).collect()),
        }
    }

    /// A grant was made: its ticket and those it has passed are gone.
    pub(super) fn granted(&mut self, request: &AcquireRequest, passed: &[TicketNumber]) {
        for number in passed {
            self.tickets.remove(number);
        }
        if let Some(number) = request.ticket {
            self.leave(request.owner, number);
        }
    }
}

#[async_trait]
impl Line for MemoryLine {
    async fn take(&self, request: &TicketRequest) -> Result<TicketNumber, LockError> {
        Ok(self.0.critical(|state, now| state.line.take(request, now)))
    }

    async fn renew(&self, owner: OwnerId, number: TicketNumber, life: Duration) -> Result<bool, LockError> {
        Ok(self.0.critical(|state, now| {
            let Some(place) = state.line.of(owner, number) else { return false };
            place.expires = place.expires.max(now.boot.plus(life));
            true
        }))
    }

    async fn leave(&self, owner: OwnerId, number: TicketNumber) -> Result<bool, LockError> {
        Ok(self.0.critical(|state, _| state.line.leave(owner, number)))
    }

    /// Never answers that nothing has changed: a look costs next to nothing here.
    async fn look(
        &self,
        keys: &[LockKey],
        before: Option<TicketNumber>,
        _seen: Option<Mark>,
    ) -> Result<Option<LineView>, LockError> {
        let mut view = self.0.critical(|state, now| state.look(keys, now))?;
        view.line.retain(|ticket| before.is_none_or(|before| ticket.number < before));
        Ok(Some(view))
    }
}

impl State {
    fn look(&self, keys: &[LockKey], now: Moment) -> Result<LineView, LockError> {
        let keys: BTreeSet<&LockKey> = keys.iter().collect();
        if let Some(key) = keys.iter().find(|key| !self.locks.has(key)) {
            return Err(LockError::NoSuchLock { key: (**key).clone() });
        }
        let held = keys.iter().filter_map(|key| self.locks.held(key, now)).collect();
        let keys: Vec<LockKey> = keys.into_iter().cloned().collect();
        Ok(LineView { mark: Mark::from_storage(0), held, line: self.line.tickets(&keys, now) })
    }
}
