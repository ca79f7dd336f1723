//! Granting locks on PostgreSQL.
//!
//! Whoever is to be granted something mostly finds the locks free, and nobody before it in the line:
//! [`at_once`] is one statement for that; a short one if it is one lock, and nobody waits. It looks first, and locks rows only where all can be granted by
//! what it sees: whoever is refused has kept nobody from a row. Then it locks them in the order of their
//! keys, reads the clock, looks again, and writes. What it says of when a lock can be granted is
//! [`LockRecord::acquire`](agents_domain::lock::LockRecord::acquire) in SQL, held against it by the
//! conformance suite's random histories. Whatever else it finds it leaves as it is; then [`look`] says,
//! by the record itself and without locking anything, what is in the way, and if nothing is (the dead
//! are passed, an own hold is entered again past a line), [`in_turn`] grants in a transaction.
//!
//! Rows are locked `FOR UPDATE`, also where the write needs less: that is what keeps a new term out while
//! a write under the old one has its fence locked (`plans.rs`). All see the rows as they are once they
//! are locked, whatever has been committed meanwhile.

use std::collections::HashMap;

use agents_domain::lock::{AcquireRequest, Fence, FencingToken, Lease, LockKey, Overdue, Term, TicketNumber};
use agents_domain::time::Timestamp;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::line;
use super::locks::{key, moment};
use super::statement::Statement;
use crate::store::column::{millis, to_i64};
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::schema::locks;

type Granted = (Text, Text, BigInt, BigInt, BigInt, Bool);

/// Grants all of it, or nothing.
pub(crate) fn at_once(
    connection: &mut PgConnection,
    request: &AcquireRequest,
) -> Result<Option<Vec<Lease>>, Fault> {
    match request.keys.as_slice() {
        [key] if request.ticket.is_none() => free(connection, key, request),
        _ => unhindered(connection, request),
    }
}

/// Grants one lock that is free and for which nobody waits: what is asked for most often.
fn free(
    connection: &mut PgConnection,
    key: &LockKey,
    request: &AcquireRequest,
) -> Result<Option<Vec<Lease>>, Fault> {
    let grant = Statement::<(BigInt, BigInt, BigInt)>::new(
        "WITH free AS MATERIALIZED ( \
           SELECT resource_type, resource_id FROM locks \
           WHERE resource_type = ? AND resource_id = ? AND owner_id IS NULL \
           AND NOT EXISTS (SELECT FROM ticket_keys AS k \
             WHERE k.resource_type = locks.resource_type AND k.resource_id = locks.resource_id) \
           FOR UPDATE), \
         term AS MATERIALIZED ( \
           SELECT resource_type, resource_id, agents_now() AS now, set_config('synchronous_commit', 'off', true) \
           FROM free) \
         UPDATE locks SET owner_id = ?, boot_id = '', token = token + 1, acquired_at = now, \
           expires_at = now + ?, expires_boottime_ms = now + ?, operation = ?, host = ?, holder_boot_id = ?, \
           pid_namespace = ?, pid = ?, started = ?, \"user\" = ? \
         FROM term \
         WHERE locks.resource_type = term.resource_type AND locks.resource_id = term.resource_id \
         RETURNING locks.token, locks.acquired_at, locks.expires_at",
    );
    let (holder, ttl) = (&request.holder, millis(request.ttl.as_duration()));
    let grant = grant
        .text(key.resource_type())
        .text(key.resource_id())
        .text(request.owner.as_str())
        .number(ttl)
        .number(ttl)
        .text(&holder.operation)
        .text(&holder.host)
        .text(&holder.boot_id)
        .text(&holder.pid_namespace)
        .number(i64::from(holder.pid))
        .number(to_i64(holder.started))
        .text(&holder.user);
    let rows: Vec<(i64, i64, i64)> = grant.rows(connection)?;
    let lease = |(token, acquired_at, expires_at)| Lease {
        key: key.clone(),
        fence: Fence::Token { owner: request.owner, token: FencingToken::from_storage(token) },
        acquired_at: Timestamp::from_millis(acquired_at),
        expires_at: Timestamp::from_millis(expires_at),
        reentrant: false,
    };
    Ok(rows.into_iter().next().map(|row| vec![lease(row)]))
}

/// Grants all of it where nobody else is in the way: also at one's turn, and what has run out.
fn unhindered(connection: &mut PgConnection, request: &AcquireRequest) -> Result<Option<Vec<Lease>>, Fault> {
    let grant = Statement::<Granted>::new(
        "WITH asked AS MATERIALIZED (SELECT * FROM unnest(?, ?) AS k (resource_type, resource_id)), \
         dead AS MATERIALIZED (SELECT * FROM unnest(?, ?, ?) AS d (resource_type, resource_id, token)), \
         judged AS MATERIALIZED (SELECT * FROM unnest(?, ?, ?) AS j (resource_type, resource_id, token)), \
         me AS MATERIALIZED (SELECT ? AS owner_id, ?::bigint AS ttl, ? AS operation, ? AS host, \
           ? AS holder_boot_id, ? AS pid_namespace, ?::bigint AS pid, ?::bigint AS started, ? AS who, \
           ?::bigint = 1 AS spares), \
         own AS MATERIALIZED ( \
           SELECT number FROM tickets, me WHERE number = ? AND tickets.owner_id = me.owner_id), \
         open AS MATERIALIZED ( \
           SELECT FROM me \
           WHERE NOT EXISTS (SELECT FROM locks WHERE (resource_type, resource_id) IN (SELECT * FROM asked) \
             AND locks.owner_id <> me.owner_id AND (expires_at > agents_now() OR spares \
               AND (resource_type, resource_id, token) NOT IN (SELECT * FROM judged)) \
             AND (resource_type, resource_id, token) NOT IN (SELECT * FROM dead)) \
           AND NOT EXISTS (SELECT FROM ticket_keys AS k \
             WHERE (k.resource_type, k.resource_id) IN (SELECT * FROM asked) \
             AND NOT EXISTS (SELECT FROM ticket_keys AS o JOIN own USING (number) \
               WHERE o.resource_type = k.resource_type AND o.resource_id = k.resource_id \
               AND o.number <= k.number))), \
         found AS MATERIALIZED ( \
           SELECT resource_type, resource_id, owner_id, token, acquired_at, expires_at FROM locks \
           WHERE (resource_type, resource_id) IN (SELECT * FROM asked) AND EXISTS (SELECT FROM open) \
           ORDER BY resource_type, resource_id FOR UPDATE), \
         moment AS MATERIALIZED ( \
           SELECT n, agents_now() AS now, set_config('synchronous_commit', 'off', true) \
           FROM (SELECT count(*) AS n FROM found) AS f), \
         may AS MATERIALIZED ( \
           SELECT now FROM moment, me \
           WHERE n = (SELECT count(*) FROM asked) \
           AND NOT EXISTS (SELECT FROM found WHERE found.owner_id <> me.owner_id AND (expires_at > now OR spares \
               AND (resource_type, resource_id, token) NOT IN (SELECT * FROM judged)) \
             AND (resource_type, resource_id, token) NOT IN (SELECT * FROM dead))), \
         term AS ( \
           SELECT found.*, now, now + ttl AS ends, coalesce(found.owner_id = me.owner_id, false) AS again \
           FROM found, may, me), \
         granted AS ( \
         UPDATE locks SET owner_id = me.owner_id, boot_id = '', \
           token = CASE WHEN again THEN term.token ELSE term.token + 1 END, \
           acquired_at = CASE WHEN again THEN term.acquired_at ELSE now END, \
           expires_at = CASE WHEN again THEN greatest(term.expires_at, ends) ELSE ends END, \
           expires_boottime_ms = CASE WHEN again THEN greatest(term.expires_at, ends) ELSE ends END, \
           operation = CASE WHEN again THEN locks.operation ELSE me.operation END, \
           host = CASE WHEN again THEN locks.host ELSE me.host END, \
           holder_boot_id = CASE WHEN again THEN locks.holder_boot_id ELSE me.holder_boot_id END, \
           pid_namespace = CASE WHEN again THEN locks.pid_namespace ELSE me.pid_namespace END, \
           pid = CASE WHEN again THEN locks.pid ELSE me.pid END, \
           started = CASE WHEN again THEN locks.started ELSE me.started END, \
           \"user\" = CASE WHEN again THEN locks.\"user\" ELSE me.who END \
         FROM term, me \
         WHERE locks.resource_type = term.resource_type AND locks.resource_id = term.resource_id \
         RETURNING locks.resource_type, locks.resource_id, locks.token, locks.acquired_at, \
           locks.expires_at, again), \
         gone AS ( \
           DELETE FROM tickets WHERE number IN (SELECT number FROM own) AND EXISTS (SELECT FROM granted)) \
         SELECT * FROM granted",
    );
    let holder = &request.holder;
    let (spares, judged): (_, &[Term]) = match &request.overdue {
        Overdue::Spared { but } => (1, but),
        Overdue::Replaced => (0, &[]),
    };
    let grant = grant
        .keys(&request.keys)
        .terms(&request.proven_dead)
        .terms(judged)
        .text(request.owner.as_str())
        .number(millis(request.ttl.as_duration()))
        .text(&holder.operation)
        .text(&holder.host)
        .text(&holder.boot_id)
        .text(&holder.pid_namespace)
        .number(i64::from(holder.pid))
        .number(to_i64(holder.started))
        .text(&holder.user)
        .number(spares)
        .number(request.ticket.map_or(0, TicketNumber::value));
    let rows: Vec<(String, String, i64, i64, i64, bool)> = grant.rows(connection)?;
    if rows.len() != request.keys.len() {
        return Ok(None);
    }
    let mut leases = Vec::with_capacity(rows.len());
    for (kind, id, token, acquired_at, expires_at, reentrant) in rows {
        let fence = Fence::Token { owner: request.owner, token: FencingToken::from_storage(token) };
        leases.push(Lease {
            key: key(&kind, &id)?,
            fence,
            acquired_at: Timestamp::from_millis(acquired_at),
            expires_at: Timestamp::from_millis(expires_at),
            reentrant,
        });
    }
    leases.sort_by(|one, other| one.key.cmp(&other.key));
    Ok(Some(leases))
}

/// What is granted, row by row, and the tickets that are passed.
type Decided = (Vec<(LockRow, Lease)>, Vec<TicketNumber>);

/// Decides as the record and the line do, on rows that were read at that time.
fn decide(
    connection: &mut PgConnection,
    request: &AcquireRequest,
    rows: Vec<LockRow>,
    now: i64,
) -> Result<Decided, Fault> {
    let mut by_key: HashMap<_, _> = HashMap::new();
    for row in rows {
        by_key.insert(key(&row.resource_type, &row.resource_id)?, row);
    }
    let mut granted = Vec::with_capacity(request.keys.len());
    for key in &request.keys {
        let row = by_key.remove(key).ok_or_else(|| Fault::NoSuchLock(key.clone()))?;
        granted.push(row.grant(key, moment(now), request)?);
    }
    let passed = line::turn(connection, now, request)?;
    Ok((granted, passed))
}

/// Says what stands in the way, if anything does. Locks nothing.
pub(crate) fn look(connection: &mut PgConnection, request: &AcquireRequest) -> Result<(), Fault> {
    let all = Statement::new(
        "SELECT resource_type, resource_id, token, owner_id, acquired_at, expires_at, boot_id, \
         expires_boottime_ms, operation, host, holder_boot_id, pid_namespace, pid, started, \"user\", agents_now() \
         FROM locks WHERE (resource_type, resource_id) IN (SELECT * FROM unnest(?, ?))",
    );
    let all: Statement<(LockColumns, BigInt)> = all;
    let rows: Vec<(LockRow, i64)> = all.keys(&request.keys).rows(connection)?;
    let now = rows.last().map_or(0, |(_, now)| *now);
    decide(connection, request, rows.into_iter().map(|(row, _)| row).collect(), now).map(drop)
}

/// Grants what seems to be grantable though there is a line, or says what stands in the way after all.
/// `before`: what an earlier try has perhaps granted, which nobody knows.
pub(crate) fn in_turn(
    connection: &mut PgConnection,
    request: &AcquireRequest,
    before: Option<&Vec<Lease>>,
) -> Result<Vec<Lease>, Fault> {
    let rows = locked(connection, &request.keys)?;
    // Terms that stood before tell nothing: for them it is decided anew, which comes to the same.
    let told = |leases: &&Vec<Lease>| {
        leases.iter().any(|lease| !lease.reentrant) && leases.iter().all(|lease| stands(lease, &rows))
    };
    if let Some(leases) = before.filter(told) {
        return Ok(leases.clone());
    }
    let now: i64 = Statement::<BigInt>::new("SELECT agents_now()").first(connection)?;
    let (granted, passed) = decide(connection, request, rows, now)?;
    line::granted(connection, request, &passed)?;
    for (row, lease) in &granted {
        write(connection, &lease.key, row)?;
    }
    Ok(granted.into_iter().map(|(_, lease)| lease).collect())
}

/// Whether that term is in one of those rows.
fn stands(lease: &Lease, rows: &[LockRow]) -> bool {
    let Fence::Token { owner, token } = lease.fence else { return false };
    let (kind, id) = (lease.key.resource_type(), lease.key.resource_id());
    let row = rows.iter().find(|row| row.resource_type == kind && row.resource_id == id);
    row.is_some_and(|row| {
        row.token == token.value() && row.tenure.owner_id.as_deref() == Some(owner.as_str())
    })
}

/// The SQL types of a [`LockRow`].
pub(crate) type LockColumns = diesel::dsl::SqlTypeOf<diesel::dsl::AsSelect<LockRow, diesel::pg::Pg>>;

/// The rows of those keys, in their order, locked until the transaction ends.
pub(crate) fn locked(connection: &mut PgConnection, keys: &[LockKey]) -> QueryResult<Vec<LockRow>> {
    let all = Statement::<LockColumns>::new(
        "SELECT resource_type, resource_id, token, owner_id, acquired_at, expires_at, boot_id, \
         expires_boottime_ms, operation, host, holder_boot_id, pid_namespace, pid, started, \"user\" \
         FROM locks WHERE (resource_type, resource_id) IN (SELECT * FROM unnest(?, ?)) \
         ORDER BY resource_type, resource_id FOR UPDATE",
    );
    all.keys(keys).rows(connection)
}

/// Writes token and tenure of a lock that was granted.
pub(crate) fn write(connection: &mut PgConnection, key: &LockKey, row: &LockRow) -> QueryResult<()> {
    let stored = locks::table.find((key.resource_type(), key.resource_id()));
    diesel::update(stored).set((locks::token.eq(row.token), &row.tenure)).execute(connection)?;
    Ok(())
}
