//! The table of locks, and the port to it.
//!
//! Whether a lock is granted is decided by [`LockRecord`] alone; a row adds what people want to
//! see. Wall times are derived from the record's end on boot time, so that they agree with it
//! however the wall clock jumps.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, Conflict, Fence, FencingToken, Grant, HeldLock, Holder, Lease, LockError, LockFilter,
    LockKey, LockPort, LockRecord, Occupied, Release, Renewal, Term,
};
use agents_domain::time::{BootInstant, Timestamp, Ttl};
use async_trait::async_trait;

use super::line::LineTable;
use super::{Moment, Shared};

/// The port to the table.
pub(super) struct Locks(pub(super) Arc<Shared>);

/// One row for each plan and project, made and removed with it.
#[derive(Default)]
pub(super) struct LockTable(BTreeMap<LockKey, LockRow>);

#[derive(Default)]
struct LockRow {
    record: LockRecord,
    shown: Option<Shown>,
}

/// What a row shows of its term; there whenever the record has a tenure.
struct Shown {
    acquired_at: Timestamp,
    expires_at: Timestamp,
    holder: Holder,
}

impl LockRow {
    fn held(&self, key: &LockKey, now: Moment) -> Option<HeldLock> {
        let (tenure, shown) = (self.record.tenure()?, self.shown.as_ref()?);
        Some(HeldLock {
            key: key.clone(),
            owner: tenure.owner,
            token: self.record.token(),
            acquired_at: shown.acquired_at,
            expires_at: shown.expires_at,
            stale: self.record.is_stale(now.boot),
            holder: shown.holder.clone(),
        })
    }

    /// Takes over a record in which the same term goes on; returns its end on the wall clock.
    fn extend(&mut self, record: LockRecord, now: Moment) -> Timestamp {
        let expires_at = wall_end(&record, now);
        self.record = record;
        if let Some(shown) = &mut self.shown {
            shown.expires_at = expires_at;
        }
        expires_at
    }

    fn grant(&mut self, key: &LockKey, grant: &Grant, request: &AcquireRequest, now: Moment) -> Lease {
        if !grant.reentrant {
            let holder = request.holder.clone();
            self.shown = Some(Shown { acquired_at: now.wall, expires_at: now.wall, holder });
        }
        let expires_at = self.extend(grant.record, now);
        Lease {
            key: key.clone(),
            fence: Fence::Token { owner: request.owner, token: grant.token },
            acquired_at: self.shown.as_ref().map_or(now.wall, |shown| shown.acquired_at),
            expires_at,
            reentrant: grant.reentrant,
        }
    }

    fn clear(&mut self, record: Option<LockRecord>) -> Release {
        let Some(record) = record else { return Release::NotHeld };
        *self = Self { record, shown: None };
        Release::Released
    }

    fn renew(&mut self, owner: OwnerId, token: FencingToken, now: Moment, ttl: Ttl) -> Renewal {
        match self.record.renew(owner, token, now.boot, ttl.as_duration()) {
            Some(record) => Renewal::Extended { expires_at: self.extend(record, now) },
            None => match self.record.tenure() {
                Some(tenure) => Renewal::Lost { by: tenure.owner },
                None => Renewal::Expired,
            },
        }
    }
}

fn wall_end(record: &LockRecord, now: Moment) -> Timestamp {
    let end = record.tenure().map_or(now.boot, |tenure| tenure.expires);
    now.wall.plus(BootInstant::since(end, now.boot))
}

impl LockTable {
    /// Makes the row of a new plan or project.
    pub(super) fn add(&mut self, key: LockKey) {
        self.0.entry(key).or_default();
    }

    /// Removes the row of a project that is gone.
    pub(super) fn remove(&mut self, key: &LockKey) {
        self.0.remove(key);
    }

    /// Who holds that lock, stale or not.
    pub(super) fn held(&self, key: &LockKey, now: Moment) -> Option<HeldLock> {
        self.0.get(key)?.held(key, now)
    }

    /// Whether a write with that token is let through. Expired but untouched is not stale.
    pub(super) fn is_term(&self, key: &LockKey, owner: OwnerId, token: FencingToken) -> bool {
        self.0.get(key).is_some_and(|row| row.record.is_term(owner, token))
    }

    /// Whether there is such a lock.
    pub(super) fn has(&self, key: &LockKey) -> bool {
        self.0.contains_key(key)
    }

    fn held_by(&self, owner: OwnerId) -> Vec<LockKey> {
        let its = |row: &LockRow| row.record.tenure().is_some_and(|tenure| tenure.owner == owner);
        self.0.iter().filter(|(_, row)| its(row)).map(|(key, _)| key.clone()).collect()
    }

    /// All or none: decides on every key in order, and then on the turn, before it writes the first.
    pub(super) fn acquire(
        &mut self,
        line: &mut LineTable,
        request: &AcquireRequest,
        now: Moment,
    ) -> Result<Vec<Lease>, LockError> {
        let keys: BTreeSet<&LockKey> = request.keys.iter().collect();
        let grants = keys.iter().map(|key| self.decide(key, request, now)).collect::<Result<Vec<_>, _>>()?;
        let passed = line.turn(request, &self.held_by(request.owner), now)?;
        line.granted(request, &passed);
        let granted = keys.into_iter().zip(grants);
        Ok(granted
            .filter_map(|(key, grant)| Some(self.0.get_mut(key)?.grant(key, &grant, request, now)))
            .collect())
    }

    fn decide(&self, key: &LockKey, request: &AcquireRequest, now: Moment) -> Result<Grant, LockError> {
        let row = self.0.get(key).ok_or_else(|| LockError::NoSuchLock { key: key.clone() })?;
        let (owner, ttl) = (request.owner, request.ttl.as_duration());
        let respect = request.respect(key, row.record.token());
        row.record.acquire(owner, now.boot, ttl, respect).map_err(|Occupied { .. }| {
            let held = row.held(key, now).expect("an occupied lock has a holder to show");
            LockError::Conflict(Conflict(Box::new(held)))
        })
    }

    fn renew(&mut self, owner: OwnerId, (key, token): &Term, now: Moment, ttl: Ttl) -> Renewal {
        self.0.get_mut(key).map_or(Renewal::Expired, |row| row.renew(owner, *token, now, ttl))
    }

    fn release(&mut self, owner: OwnerId, (key, token): &Term) -> Release {
        self.0.get_mut(key).map_or(Release::NotHeld, |row| row.clear(row.record.release(owner, *token)))
    }

    fn release_all(&mut self, owner: OwnerId) -> u64 {
        let release = |row: &mut LockRow| row.clear(row.record.release(owner, row.record.token()));
        let released = self.0.values_mut().map(release).filter(|release| *release == Release::Released);
        released.map(|_| 1).sum()
    }

    fn evict(&mut self, (key, token): &Term) -> Release {
        self.0.get_mut(key).map_or(Release::NotHeld, |row| row.clear(row.record.evict(*token)))
    }

    fn list(&self, filter: &LockFilter, now: Moment) -> Vec<HeldLock> {
        let wanted = |key: &LockKey| filter.key.as_ref().is_none_or(|only| only == key);
        let held = self.0.iter().filter(|(key, _)| wanted(key)).filter_map(|(key, row)| row.held(key, now));
        held.filter(|lock| lock.stale || !filter.stale_only).collect()
    }
}

#[async_trait]
impl LockPort for Locks {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        self.0.critical(|state, now| state.locks.acquire(&mut state.line, request, now))
    }

    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        self.0.critical(|state, now| {
            Ok(terms.iter().map(|term| state.locks.renew(owner, term, now, ttl)).collect())
        })
    }

    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
        self.0.critical(|state, _| Ok(state.locks.release(owner, term)))
    }

    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError> {
        self.0.critical(|state, _| {
            state.line.leave_all(owner);
            Ok(state.locks.release_all(owner))
        })
    }

    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError> {
        let outcome = self.0.critical(|state, _| state.locks.evict(term));
        tracing::info!(key = %term.0, token = %term.1, %by, reason, ?outcome, "a lock was to be broken");
        Ok(outcome)
    }

    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        self.0.critical(|state, now| Ok(state.locks.list(filter, now)))
    }
}
