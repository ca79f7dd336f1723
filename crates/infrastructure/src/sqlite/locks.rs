//! Locks on SQLite.
//!
//! Every grant is decided by the pure [`LockRecord`](agents_domain::lock::LockRecord), inside
//! `BEGIN IMMEDIATE`, on rows read in the order of their keys. Nobody else can write between the
//! look and the deed, so a lost race is a `Conflict` like any other.
//!
//! ```text
//! A: BEGIN IMMEDIATE ─ row: free, token 6 ─ held by A, token 7 ─ COMMIT
//! B:         waits at the gate ──────────────────────────────────── row: held by A → Conflict
//! ```
//!
//! A lock that is free is still another's turn if others wait for it ([`super::line`]); where
//! nobody waits, that costs a look at an empty index.
//!
//! A term ends on the clock that counts since boot (`expires_boottime_ms`), so a wall clock that
//! jumps moves nothing; another boot of the same machine means that the holder is dead.
//!
//! Grants and releases do not wait for the disk, renewals do; the argument is in
//! [`super::connection`]. A renewal is one statement for however many terms: they go in as one
//! JSON parameter, so the prepared statement is the same each time.

use std::collections::HashMap;
use std::sync::Arc;

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, HeldLock, Lease, LockError, LockFilter, LockKey, LockPort, Release, Renewal, Term,
};
use agents_domain::time::{Clock, Ttl};
use async_trait::async_trait;
use diesel::prelude::*;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::line;
use crate::sqlite::renewal::{Renew, holders};
use crate::store::fault::Fault;
use crate::store::lock_row::{LockRow, Moment, TenureColumns};
use crate::store::schema::{locks, ticket_keys};

/// The clock that leases are judged on: that of this boot.
#[derive(Clone)]
pub(crate) struct LeaseClock {
    pub(crate) clock: Arc<dyn Clock>,
    pub(crate) boot_id: Arc<str>,
}

impl LeaseClock {
    /// Now.
    pub(crate) fn moment(&self) -> Moment<'_> {
        Moment { boot_id: &self.boot_id, now: self.clock.boottime(), wall: self.clock.now() }
    }
}

/// The locks of one database file.
pub struct SqliteLocks {
    pub(crate) leases: Arc<Lane>,
    pub(crate) renewals: Arc<Lane>,
    pub(crate) reads: Arc<Lane>,
    pub(crate) clock: LeaseClock,
}

fn lock_error(fault: Fault) -> LockError {
    fault.into_lock(WORDS)
}

#[async_trait]
impl LockPort for SqliteLocks {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        let (request, clock) = (request.clone(), self.clock.clone());
        self.leases.run(move |connection| acquire(connection, &clock, &request)).await.map_err(lock_error)
    }

    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        let (terms, clock) = (terms.to_vec(), self.clock.clone());
        let renewing = move |connection: &mut SqliteConnection| renew(connection, &clock, owner, &terms, ttl);
        self.renewals.run(renewing).await.map_err(lock_error)
    }

    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
        let term = term.clone();
        self.leases.run(move |connection| release(connection, owner, &term)).await.map_err(lock_error)
    }

    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError> {
        let releasing = move |connection: &mut SqliteConnection| {
            let held = locks::table.filter(locks::owner_id.eq(owner.as_str()));
            let count = diesel::update(held).set(TenureColumns::default()).execute(connection)?;
            line::leave_all(connection, owner)?;
            Ok(u64::try_from(count).unwrap_or(u64::MAX))
        };
        self.leases.run(releasing).await.map_err(lock_error)
    }

    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError> {
        tracing::info!(key = %term.0, token = %term.1, %by, reason, "a lock is broken");
        let term = term.clone();
        self.leases.run(move |connection| evict(connection, &term)).await.map_err(lock_error)
    }

    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        let (filter, clock) = (filter.clone(), self.clock.clone());
        self.reads.run(move |connection| list(connection, &clock, &filter)).await.map_err(lock_error)
    }
}

/// The row of a lock, if there is one.
pub(crate) fn find(connection: &mut SqliteConnection, key: &LockKey) -> QueryResult<Option<LockRow>> {
    locks::table
        .find((key.resource_type(), key.resource_id()))
        .select(LockRow::as_select())
        .get_result(connection)
        .optional()
}

/// The same, and whether anybody waits for it, dead or alive: one statement, for most find no line.
fn find_with_line(connection: &mut SqliteConnection, key: &LockKey) -> QueryResult<Option<(LockRow, bool)>> {
    let tickets = ticket_keys::table
        .filter(ticket_keys::resource_type.eq(key.resource_type()))
        .filter(ticket_keys::resource_id.eq(key.resource_id()));
    locks::table
        .find((key.resource_type(), key.resource_id()))
        .select((LockRow::as_select(), diesel::dsl::exists(tickets)))
        .get_result(connection)
        .optional()
}

/// Writes token and tenure of a lock that was granted.
pub(crate) fn write(connection: &mut SqliteConnection, key: &LockKey, row: &LockRow) -> QueryResult<()> {
    let stored = locks::table.find((key.resource_type(), key.resource_id()));
    diesel::update(stored).set((locks::token.eq(row.token), &row.tenure)).execute(connection)?;
    Ok(())
}

fn acquire(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    request: &AcquireRequest,
) -> Result<Vec<Lease>, Fault> {
    let mut keys = request.keys.clone();
    keys.sort();
    keys.dedup();
    let moment = clock.moment();
    let (mut granted, mut line) = (Vec::with_capacity(keys.len()), false);
    for key in keys {
        let found = find_with_line(connection, &key)?;
        let (row, waited_for) = found.ok_or_else(|| Fault::NoSuchLock(key.clone()))?;
        granted.push(row.grant(&key, moment, request)?);
        line |= waited_for;
    }
    if line || request.ticket.is_some() {
        let passed = line::turn(connection, clock, request)?;
        line::granted(connection, request, &passed)?;
    }
    for (row, lease) in &granted {
        write(connection, &lease.key, row)?;
    }
    Ok(granted.into_iter().map(|(_, lease)| lease).collect())
}

fn renew(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    owner: OwnerId,
    terms: &[Term],
    ttl: Ttl,
) -> Result<Vec<Renewal>, Fault> {
    let (now, wall) = (clock.clock.boottime(), clock.clock.now());
    let length = ttl.as_duration();
    let renew = Renew::new(owner, terms, &clock.boot_id, now.plus(length), wall.plus(length));
    let extended = renew.run(connection)?;
    let all_extended = terms.iter().all(|term| extended.contains_key(term));
    let others = if all_extended { HashMap::new() } else { holders(connection, terms)? };
    let outcome = |term: &Term| match (extended.get(term), others.get(&term.0)) {
        (Some(end), _) => Renewal::Extended { expires_at: *end },
        (None, Some(by)) => Renewal::Lost { by: *by },
        (None, None) => Renewal::Expired,
    };
    Ok(terms.iter().map(outcome).collect())
}

fn release(connection: &mut SqliteConnection, owner: OwnerId, term: &Term) -> Result<Release, Fault> {
    let (key, token) = term;
    let row = locks::table
        .find((key.resource_type(), key.resource_id()))
        .filter(locks::owner_id.eq(owner.as_str()))
        .filter(locks::token.eq(token.value()));
    Ok(released(diesel::update(row).set(TenureColumns::default()).execute(connection)?))
}

fn evict(connection: &mut SqliteConnection, term: &Term) -> Result<Release, Fault> {
    let (key, token) = term;
    let row = locks::table
        .find((key.resource_type(), key.resource_id()))
        .filter(locks::owner_id.is_not_null())
        .filter(locks::token.eq(token.value()));
    Ok(released(diesel::update(row).set(TenureColumns::default()).execute(connection)?))
}

fn released(count: usize) -> Release {
    if count == 1 { Release::Released } else { Release::NotHeld }
}

/// The locks that are held.
pub(crate) fn list(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    filter: &LockFilter,
) -> Result<Vec<HeldLock>, Fault> {
    let held = locks::table.filter(locks::owner_id.is_not_null());
    let mut query = held.select(LockRow::as_select()).into_boxed();
    if let Some(key) = &filter.key {
        query = query.filter(locks::resource_type.eq(key.resource_type()));
        query = query.filter(locks::resource_id.eq(key.resource_id()));
    }
    // Sorted here: asked for the order of the keys, SQLite reads all rows along them, free ones too.
    let mut rows: Vec<LockRow> = query.load(connection)?;
    rows.sort_by(|one, other| {
        (&one.resource_type, &one.resource_id).cmp(&(&other.resource_type, &other.resource_id))
    });
    let now = clock.clock.boottime();
    let mut found = Vec::with_capacity(rows.len());
    for row in rows {
        found.extend(row.held(&clock.boot_id, now)?);
    }
    found.retain(|lock| lock.stale || !filter.stale_only);
    Ok(found)
}
