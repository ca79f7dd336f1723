//! Locks on PostgreSQL.
//!
//! What is done often is one statement and one round trip: a grant that nothing stands in the way of, also
//! after a wait in line ([`super::acquire`]), a renewal, a release. Whoever locks rows locks them in the order of their
//! keys, so nobody waits crosswise.
//!
//! ```text
//! A: row locked: free, token 6 ─ agents_now() ─ held by A, token 7 ─ done
//! B:      waits for the row ─────────────────────────────────────────── held by A: nothing is granted
//! ```
//!
//! **How rows are locked** says who waits for whom. A write under a fence locks its row `FOR KEY SHARE`,
//! a renewal `FOR NO KEY UPDATE`, and whatever begins or ends a term `FOR UPDATE`:
//!
//! | waits for → | write | renewal | grant, release, eviction |
//! |---|---|---|---|
//! | write | | | ✓ |
//! | renewal | | ✓ | ✓ |
//! | grant, release, eviction | ✓ | ✓ | ✓ |
//!
//! So no term ends or begins under a write that has begun, and a holder can renew while it writes,
//! however long that takes. A term must not be ended by an `UPDATE` alone, which locks less.
//!
//! A term ends on the clock of the server, read once the rows are locked: a wait for them takes
//! nothing from it. Grants and releases do not wait for the disk, renewals do; the argument is in
//! [`super::connection`]. A release, and all else that lets others in, is told on the channel
//! `agents`, by the key: a hint to those who wait, who also look by themselves.

use std::collections::HashMap;
use std::sync::Arc;

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, FencingToken, HeldLock, Lease, LockError, LockFilter, LockKey, LockPort, Release,
    Renewal, Term,
};
use agents_domain::plan::StoreError;
use agents_domain::time::{BootInstant, Timestamp, Ttl};
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::acquire;
use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::statement::Statement;
use crate::store::column::{RowName, millis};
use crate::store::fault::Fault;
use crate::store::lock_row::{LockRow, Moment};
use crate::store::schema::locks;

/// The server's clock has no name: it is the only one.
pub(crate) const SERVER: &str = "";

/// The locks of one database.
pub struct PostgresLocks {
    pub(crate) lane: Arc<Lane>,
}

pub(crate) fn lock_error(fault: Fault) -> LockError {
    fault.into_lock(WORDS)
}

#[async_trait]
impl LockPort for PostgresLocks {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        let mut keys = request.keys.clone();
        keys.sort();
        keys.dedup();
        let request = AcquireRequest { keys, ..request.clone() };
        let asked = request.clone();
        let asking = move |connection: &mut PgConnection| match acquire::at_once(connection, &asked)? {
            None => acquire::look(connection, &asked).map(|()| None),
            granted => Ok(granted),
        };
        let granted = self.lane.repeated(Purpose::Lease, asking).await.map_err(lock_error)?;
        if let Some(leases) = granted {
            return Ok(leases);
        }
        let deciding = move |connection: &mut PgConnection, before: Option<&Vec<Lease>>| {
            acquire::in_turn(connection, &request, before)
        };
        self.lane.settled(Purpose::Lease, deciding).await.map_err(lock_error)
    }

    async fn renew(&self, owner: OwnerId, terms: &[Term], ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        let terms = terms.to_vec();
        let renewing = move |connection: &mut PgConnection| renew(connection, owner, &terms, ttl);
        self.lane.once(Purpose::Durable, renewing).await.map_err(lock_error)
    }

    async fn release(&self, owner: OwnerId, term: &Term) -> Result<Release, LockError> {
        let term = term.clone();
        let releasing = move |connection: &mut PgConnection| release(connection, Some(owner), &term);
        self.lane.once(Purpose::Lease, releasing).await.map_err(lock_error)
    }

    async fn release_all_for_owner(&self, owner: OwnerId) -> Result<u64, LockError> {
        let releasing = move |connection: &mut PgConnection| release_all(connection, owner);
        self.lane.once(Purpose::Lease, releasing).await.map_err(lock_error)
    }

    async fn evict(&self, term: &Term, by: OwnerId, reason: &str) -> Result<Release, LockError> {
        tracing::info!(key = %term.0, token = %term.1, %by, reason, "a lock is broken");
        let term = term.clone();
        let evicting = move |connection: &mut PgConnection| release(connection, None, &term);
        self.lane.once(Purpose::Lease, evicting).await.map_err(lock_error)
    }

    async fn list(&self, filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        let filter = filter.clone();
        let listing = move |connection: &mut PgConnection| list(connection, &filter);
        self.lane.once(Purpose::Read, listing).await.map_err(lock_error)
    }
}

/// The server's time, for rows that are read beside it.
pub(crate) fn now() -> diesel::expression::SqlLiteral<BigInt> {
    sql::<BigInt>("agents_now()")
}

/// A moment of the server.
pub(crate) const fn moment(now: i64) -> Moment<'static> {
    Moment { boot_id: SERVER, now: BootInstant::from_millis(now), wall: Timestamp::from_millis(now) }
}

/// The key of a row.
pub(crate) fn key(kind: &str, id: &str) -> Result<LockKey, StoreError> {
    RowName::new("locks", id).need("a lock key", LockKey::from_parts(kind, id))
}

/// The row of a lock, if there is one.
pub(crate) fn find(connection: &mut PgConnection, key: &LockKey) -> QueryResult<Option<LockRow>> {
    locks::table
        .find((key.resource_type(), key.resource_id()))
        .select(LockRow::as_select())
        .first(connection)
        .optional()
}

fn renew(
    connection: &mut PgConnection,
    owner: OwnerId,
    terms: &[Term],
    ttl: Ttl,
) -> Result<Vec<Renewal>, Fault> {
    let renewal = Statement::<(Text, Text, BigInt, BigInt)>::new(
        "WITH term AS MATERIALIZED ( \
           SELECT resource_type, resource_id, agents_now() + ? AS expires FROM ( \
             SELECT resource_type, resource_id FROM locks WHERE owner_id = ? \
             AND (resource_type, resource_id, token) IN (SELECT * FROM unnest(?, ?, ?)) \
             ORDER BY resource_type, resource_id FOR NO KEY UPDATE) AS locked) \
         UPDATE locks SET expires_at = greatest(expires_at, expires), \
         expires_boottime_ms = greatest(expires_at, expires) FROM term \
         WHERE locks.resource_type = term.resource_type AND locks.resource_id = term.resource_id \
         RETURNING locks.resource_type, locks.resource_id, token, expires_at",
    );
    let renewal = renewal.number(millis(ttl.as_duration())).text(owner.as_str()).terms(terms);
    let rows: Vec<(String, String, i64, i64)> = renewal.rows(connection)?;
    let extended = rows.into_iter().map(|(kind, id, token, end)| {
        Ok(((key(&kind, &id)?, FencingToken::from_storage(token)), Timestamp::from_millis(end)))
    });
    let extended: HashMap<Term, Timestamp> = extended.collect::<Result<_, Fault>>()?;
    let all_extended = terms.iter().all(|term| extended.contains_key(term));
    let others = if all_extended { HashMap::new() } else { holders(connection, terms)? };
    let outcome = |term: &Term| match (extended.get(term), others.get(&term.0)) {
        (Some(end), _) => Renewal::Extended { expires_at: *end },
        (None, Some(by)) => Renewal::Lost { by: *by },
        (None, None) => Renewal::Expired,
    };
    Ok(terms.iter().map(outcome).collect())
}

/// Who holds the locks of those terms now; the free and the missing are left out.
fn holders(connection: &mut PgConnection, terms: &[Term]) -> Result<HashMap<LockKey, OwnerId>, Fault> {
    let held = Statement::<(Text, Text, Text)>::new(
        "SELECT resource_type, resource_id, owner_id FROM locks WHERE owner_id IS NOT NULL \
         AND (resource_type, resource_id) IN (SELECT * FROM unnest(?, ?))",
    );
    let rows: Vec<(String, String, String)> = held.keys(terms.iter().map(|(key, _)| key)).rows(connection)?;
    let holders = rows.into_iter().map(|(kind, id, owner)| {
        let owner = RowName::new("locks", &id).parsed("owner_id", OwnerId::parse(&owner))?;
        Ok((key(&kind, &id)?, owner))
    });
    holders.collect()
}

/// Ends a term, of that owner or of whoever has it.
fn release(connection: &mut PgConnection, owner: Option<OwnerId>, term: &Term) -> Result<Release, Fault> {
    let (key, token) = term;
    let release = Statement::<BigInt>::new(
        "WITH held AS MATERIALIZED ( \
           SELECT resource_type, resource_id FROM locks \
           WHERE resource_type = ? AND resource_id = ? AND token = ? AND owner_id IS NOT NULL \
           AND (? = '' OR owner_id = ?) FOR UPDATE), \
         freed AS ( \
           UPDATE locks SET owner_id = NULL, acquired_at = NULL, expires_at = NULL, boot_id = NULL, \
           expires_boottime_ms = NULL, operation = NULL, host = NULL, holder_boot_id = NULL, \
           pid_namespace = NULL, pid = NULL, started = NULL, \"user\" = NULL FROM held \
           WHERE locks.resource_type = held.resource_type AND locks.resource_id = held.resource_id \
           RETURNING locks.resource_type || '/' || locks.resource_id AS key) \
         SELECT count(*) FROM (SELECT pg_notify('agents', key), \
           set_config('synchronous_commit', 'off', true) FROM freed) AS told",
    );
    let owner = owner.map(|owner| owner.to_string()).unwrap_or_default();
    let release = release.text(key.resource_type()).text(key.resource_id()).number(token.value());
    let count: i64 = release.text(owner.clone()).text(owner).first(connection)?;
    Ok(if count == 1 { Release::Released } else { Release::NotHeld })
}

/// Ends all terms and all waiting of an owner.
fn release_all(connection: &mut PgConnection, owner: OwnerId) -> Result<u64, Fault> {
    let release = Statement::<BigInt>::new(
        "WITH held AS MATERIALIZED ( \
           SELECT resource_type, resource_id FROM locks WHERE owner_id = ? \
           ORDER BY resource_type, resource_id FOR UPDATE), \
         freed AS ( \
           UPDATE locks SET owner_id = NULL, acquired_at = NULL, expires_at = NULL, boot_id = NULL, \
           expires_boottime_ms = NULL, operation = NULL, host = NULL, holder_boot_id = NULL, \
           pid_namespace = NULL, pid = NULL, started = NULL, \"user\" = NULL FROM held \
           WHERE locks.resource_type = held.resource_type AND locks.resource_id = held.resource_id \
           RETURNING locks.resource_type || '/' || locks.resource_id AS key), \
         waited AS ( \
           SELECT resource_type || '/' || resource_id AS key FROM ticket_keys \
           WHERE number IN (SELECT number FROM tickets WHERE owner_id = ?)), \
         gone AS (DELETE FROM tickets WHERE owner_id = ?), \
         told AS MATERIALIZED ( \
           SELECT pg_notify('agents', key), set_config('synchronous_commit', 'off', true) \
           FROM (SELECT key FROM freed UNION SELECT key FROM waited) AS keys) \
         SELECT (SELECT count(*) FROM freed) + 0 * (SELECT count(*) FROM told)",
    );
    let owner = owner.to_string();
    let count: i64 = release.text(owner.clone()).text(owner.clone()).text(owner).first(connection)?;
    Ok(u64::try_from(count).unwrap_or(0))
}

/// The locks that are held.
pub(crate) fn list(connection: &mut PgConnection, filter: &LockFilter) -> Result<Vec<HeldLock>, Fault> {
    let held = locks::table.filter(locks::owner_id.is_not_null());
    let mut query = held.select((LockRow::as_select(), now())).into_boxed();
    if let Some(key) = &filter.key {
        query = query.filter(locks::resource_type.eq(key.resource_type()));
        query = query.filter(locks::resource_id.eq(key.resource_id()));
    }
    let rows: Vec<(LockRow, i64)> =
        query.order((locks::resource_type, locks::resource_id)).load(connection)?;
    let mut found = Vec::with_capacity(rows.len());
    for (row, now) in rows {
        found.extend(row.held(SERVER, BootInstant::from_millis(now))?);
    }
    found.retain(|lock| lock.stale || !filter.stale_only);
    Ok(found)
}
