//! The line of those who wait, on PostgreSQL.
//!
//! ```text
//! waiter:  INSERT a ticket ─┐ nothing heard … nothing heard … heard: one query
//! holder:                   │        release, NOTIFY ──────────┘
//! waiter:                   └ first in line, lock free: acquire, and DELETE the ticket with it
//! ```
//!
//! Who comes first is decided by [`Passage`] in the transaction that grants. A look goes over a
//! connection of its own that listens; as long as nothing about its keys was heard there, it costs a
//! look at a socket. What is heard is a hint: a connection that has died silently, or one behind a
//! pooler, hears nothing, and the look without a mark, which every waiter takes now and then, asks the
//! database whatever was heard. Behind a pooler each waiter asks every [`UNHEARD`], however often it looks. Tickets, like grants, do not wait for the disk.
//! One whose reply is lost is asked for again, and found: a ticket that its owner does not know of would keep
//! the others back for its whole life.

use std::collections::{HashMap, HashSet};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, Caller, Line, LineView, LockError, LockKey, Mark, Passage, Standing, Ticket,
    TicketNumber, TicketRequest,
};
use agents_domain::time::Clock as _;
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use super::acquire::LockColumns;
use super::connection::Purpose;
use super::lane::Lane;
use super::locks::{SERVER, key, lock_error, moment};
use super::statement::Statement;
use crate::clock::SystemClock;
use crate::store::column::{millis, to_i64};
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::schema::{locks as lock_table, tickets};
use crate::store::ticket_row::{self, PlaceRow};

/// After so many keys of others what was heard of them is forgotten.
const REMEMBERED: usize = 10_000;
/// Between two looks of one who can hear nothing.
const UNHEARD: Duration = Duration::from_millis(20);

/// The line at one database.
pub struct PostgresLine {
    lane: Arc<Lane>,
    /// One connection, that listens if it can.
    looks: Arc<Lane>,
    heard: Arc<Mutex<Heard>>,
    /// The last ticket that was taken here. One is taken at a time: what its owner has beyond that is the
    /// ticket of a try whose reply was lost.
    last: tokio::sync::Mutex<TicketNumber>,
}

/// What was heard on the channel, by key: the number of the last word of it.
#[derive(Debug, Default)]
struct Heard {
    words: i64,
    of: HashMap<String, i64>,
}

impl Heard {
    /// Whether anything was said of those keys after that mark.
    fn since(&self, keys: &[LockKey], mark: Mark) -> bool {
        keys.iter().any(|key| self.of.get(&key.to_string()).is_some_and(|word| *word > mark.value()))
    }

    fn note(&mut self, key: String) {
        self.words += 1;
        if self.of.len() >= REMEMBERED {
            // Whoever waits looks anew before long.
            self.of.clear();
        }
        self.of.insert(key, self.words);
    }
}

impl PostgresLine {
    pub(super) fn new(lane: Arc<Lane>, looks: Lane) -> Self {
        let last = tokio::sync::Mutex::new(TicketNumber::from_storage(0));
        Self { lane, looks: Arc::new(looks), heard: Arc::default(), last }
    }

    /// Whether nothing was said of those keys since then. Costs no round trip.
    fn nothing_new(&self, keys: &[LockKey], seen: Option<Mark>) -> bool {
        let Some(mark) = seen else { return false };
        if !self.looks.setup().listens() {
            return just_now(now(), mark);
        }
        let mut heard = self.heard.lock().unwrap_or_else(PoisonError::into_inner);
        let listening = self.looks.hear(|key| heard.note(key));
        listening && !heard.since(keys, mark)
    }
}

#[async_trait]
impl Line for PostgresLine {
    async fn take(&self, request: &TicketRequest) -> Result<TicketNumber, LockError> {
        let (request, mut last) = (request.clone(), self.last.lock().await);
        let before = *last;
        let taking = move |connection: &mut PgConnection| take(connection, &request, before);
        *last = self.lane.repeated(Purpose::Lease, taking).await.map_err(lock_error)?;
        Ok(*last)
    }

    async fn renew(&self, owner: OwnerId, number: TicketNumber, life: Duration) -> Result<bool, LockError> {
        let renewing = move |connection: &mut PgConnection| renew(connection, owner, number, life);
        self.lane.repeated(Purpose::Lease, renewing).await.map_err(lock_error)
    }

    async fn leave(&self, owner: OwnerId, number: TicketNumber) -> Result<bool, LockError> {
        let leaving = move |connection: &mut PgConnection| leave(connection, owner, number);
        self.lane.repeated(Purpose::Lease, leaving).await.map_err(lock_error)
    }

    async fn look(
        &self,
        keys: &[LockKey],
        before: Option<TicketNumber>,
        seen: Option<Mark>,
    ) -> Result<Option<LineView>, LockError> {
        let mut keys = keys.to_vec();
        keys.sort();
        keys.dedup();
        if self.nothing_new(&keys, seen) {
            return Ok(None);
        }
        let heard = Arc::clone(&self.heard);
        let unheard = (!self.looks.setup().listens()).then(now);
        let looking = move |connection: &mut PgConnection| {
            // What is said after this is in the next look, if not in this one.
            let words = || heard.lock().unwrap_or_else(PoisonError::into_inner).words;
            look(connection, &keys, before, Mark::from_storage(unheard.unwrap_or_else(words)))
        };
        self.looks.once(Purpose::Read, looking).await.map(Some).map_err(lock_error)
    }
}

/// The mark of one who can hear nothing: this moment, in milliseconds.
fn now() -> i64 {
    SystemClock.boottime().as_millis()
}

/// Whether one who can hear nothing has looked just now.
fn just_now(now: i64, looked: Mark) -> bool {
    now - looked.value() < millis(UNHEARD)
}

/// Takes a ticket. One after `last` of that owner, and for all of it, was taken by an earlier try.
fn take(
    connection: &mut PgConnection,
    request: &TicketRequest,
    last: TicketNumber,
) -> Result<TicketNumber, Fault> {
    let ticket = Statement::<BigInt>::new(
        "WITH asked AS MATERIALIZED (SELECT DISTINCT * FROM unnest(?, ?) AS k (resource_type, resource_id)), \
         taken AS ( \
           UPDATE tickets SET expires_boottime_ms = agents_now() + ? WHERE number > ? AND owner_id = ? \
           AND ARRAY(SELECT resource_type || '/' || resource_id FROM ticket_keys \
             WHERE ticket_keys.number = tickets.number ORDER BY 1) \
             = ARRAY(SELECT resource_type || '/' || resource_id FROM asked ORDER BY 1) \
           RETURNING number), \
         ticket AS ( \
           INSERT INTO tickets (owner_id, since, boot_id, expires_boottime_ms, operation, host, \
             holder_boot_id, pid_namespace, pid, started, \"user\") \
           SELECT ?, now, '', now + ?, ?, ?, ?, ?, ?, ?, ? FROM (SELECT agents_now() AS now) AS moment \
           WHERE NOT EXISTS (SELECT FROM taken) RETURNING number), \
         keys AS ( \
           INSERT INTO ticket_keys SELECT resource_type, resource_id, number \
           FROM ticket, asked) \
         SELECT number FROM (SELECT number FROM ticket UNION ALL SELECT number FROM taken) AS t \
         WHERE set_config('synchronous_commit', 'off', true) = 'off'",
    );
    let holder = &request.holder;
    let ticket = ticket
        .keys(&request.keys)
        .number(millis(request.life))
        .number(last.value())
        .text(request.owner.as_str())
        .text(request.owner.as_str())
        .number(millis(request.life))
        .text(&holder.operation)
        .text(&holder.host)
        .text(&holder.boot_id)
        .text(&holder.pid_namespace)
        .number(i64::from(holder.pid))
        .number(to_i64(holder.started))
        .text(&holder.user);
    Ok(TicketNumber::from_storage(ticket.first(connection)?))
}

fn renew(
    connection: &mut PgConnection,
    owner: OwnerId,
    number: TicketNumber,
    life: Duration,
) -> Result<bool, Fault> {
    let renewal = Statement::<BigInt>::new(
        "WITH renewed AS ( \
           UPDATE tickets SET expires_boottime_ms = agents_now() + ? WHERE number = ? AND owner_id = ? \
           RETURNING set_config('synchronous_commit', 'off', true)) \
         SELECT count(*) FROM renewed",
    );
    let renewed = renewal.number(millis(life)).number(number.value()).text(owner.as_str());
    Ok(renewed.first::<i64>(connection)? == 1)
}

/// Tells the others whose turn comes earlier for that.
fn leave(connection: &mut PgConnection, owner: OwnerId, number: TicketNumber) -> Result<bool, Fault> {
    let leaving = Statement::<BigInt>::new(
        "WITH waited AS MATERIALIZED ( \
           SELECT resource_type || '/' || resource_id AS key FROM ticket_keys WHERE number = ?), \
         gone AS (DELETE FROM tickets WHERE number = ? AND owner_id = ? RETURNING number), \
         told AS MATERIALIZED ( \
           SELECT pg_notify('agents', key), set_config('synchronous_commit', 'off', true) FROM waited, gone) \
         SELECT (SELECT count(*) FROM gone) + 0 * (SELECT count(*) FROM told)",
    );
    let left = leaving.number(number.value()).number(number.value()).text(owner.as_str());
    Ok(left.first::<i64>(connection)? == 1)
}

/// Whether a row is of one who waits, the time, and the row; a ticket's is read like a lock's.
type Seen = (Bool, BigInt, LockColumns);

/// Holders and waiters in one statement, and so of one moment.
fn look(
    connection: &mut PgConnection,
    keys: &[LockKey],
    before: Option<TicketNumber>,
    mark: Mark,
) -> Result<LineView, Fault> {
    let seen = Statement::<Seen>::new(
        "WITH asked AS MATERIALIZED (SELECT * FROM unnest(?, ?) AS k (resource_type, resource_id)), \
         moment AS MATERIALIZED (SELECT agents_now() AS now), \
         seen AS ( \
           SELECT false AS waits, resource_type, resource_id, token, owner_id, acquired_at, expires_at, boot_id, \
             expires_boottime_ms, operation, host, holder_boot_id, pid_namespace, pid, started, \"user\" \
           FROM locks WHERE (resource_type, resource_id) IN (SELECT * FROM asked) \
           UNION ALL \
           SELECT true, k.resource_type, k.resource_id, t.number, t.owner_id, t.since, NULL, t.boot_id, \
             t.expires_boottime_ms, t.operation, t.host, t.holder_boot_id, t.pid_namespace, t.pid, t.started, t.\"user\" \
           FROM tickets AS t JOIN ticket_keys AS k ON k.number = t.number \
           WHERE t.number IN (SELECT number FROM ticket_keys \
             WHERE (resource_type, resource_id) IN (SELECT * FROM asked) AND number < ?)) \
         SELECT waits, now, resource_type, resource_id, token, owner_id, acquired_at, expires_at, boot_id, \
           expires_boottime_ms, operation, host, holder_boot_id, pid_namespace, pid, started, \"user\" \
         FROM seen, moment ORDER BY waits, CASE WHEN waits THEN token END, resource_type, resource_id",
    );
    let before = before.map_or(i64::MAX, TicketNumber::value);
    let seen: Vec<(bool, i64, LockRow)> = seen.keys(keys).number(before).rows(connection)?;
    let now = seen.first().map_or(0, |(_, now, _)| *now);
    let (mut held, mut places, mut missing) = (Vec::new(), Vec::new(), keys.iter().collect::<HashSet<_>>());
    for (waits, _, row) in seen {
        if waits {
            places.push(PlaceRow::try_from(row)?);
        } else {
            missing.remove(&key(&row.resource_type, &row.resource_id)?);
            held.extend(row.held(SERVER, moment(now).now)?);
        }
    }
    if let Some(key) = keys.iter().find(|key| missing.contains(key)) {
        return Err(Fault::NoSuchLock(key.clone()));
    }
    Ok(LineView { mark, held, line: ticket_row::tickets(places, SERVER, moment(now).now)? })
}

type Waiting = (BigInt, Text, BigInt, Text, BigInt, Text, Text, Text, Text, BigInt, BigInt, Text, Text, Text);

/// Every ticket that names one of those keys, with all of its keys.
fn load(connection: &mut PgConnection, now: i64, keys: &[LockKey]) -> Result<Vec<Ticket>, Fault> {
    let waiting = Statement::<Waiting>::new(
        "SELECT t.number, t.owner_id, t.since, t.boot_id, t.expires_boottime_ms, t.operation, t.host, \
         t.holder_boot_id, t.pid_namespace, t.pid, t.started, t.\"user\", k.resource_type, k.resource_id \
         FROM tickets t JOIN ticket_keys k ON k.number = t.number \
         WHERE t.number IN (SELECT number FROM ticket_keys \
           WHERE (resource_type, resource_id) IN (SELECT * FROM unnest(?, ?))) \
         ORDER BY t.number, k.resource_type, k.resource_id",
    );
    let rows: Vec<PlaceRow> = waiting.keys(keys).rows(connection)?;
    Ok(ticket_row::tickets(rows, SERVER, moment(now).now)?)
}

/// Whether it is the turn of whoever asks; the tickets that a grant uses up.
pub(crate) fn turn(
    connection: &mut PgConnection,
    now: i64,
    request: &AcquireRequest,
) -> Result<Vec<TicketNumber>, Fault> {
    let line = load(connection, now, &request.keys)?;
    if line.is_empty() {
        return Ok(Vec::new());
    }
    let holds = held_by(connection, request.owner)?;
    let caller = Caller {
        owner: request.owner,
        keys: &request.keys,
        holds: &holds,
        ticket: request.ticket,
        dead: &request.dead_tickets,
    };
    let passage = Passage::of(&line, &caller);
    match Standing::before(&passage, &caller) {
        Some(standing) => Err(Fault::Queued(Box::new(standing))),
        None => Ok(passage.passed.iter().map(|ticket| ticket.number).collect()),
    }
}

/// A grant is being made: its ticket and those it has passed are gone.
pub(crate) fn granted(
    connection: &mut PgConnection,
    request: &AcquireRequest,
    passed: &[TicketNumber],
) -> QueryResult<()> {
    for number in passed {
        diesel::delete(tickets::table.find(number.value())).execute(connection)?;
    }
    if let Some(number) = request.ticket {
        let own = tickets::table.find(number.value()).filter(tickets::owner_id.eq(request.owner.as_str()));
        diesel::delete(own).execute(connection)?;
    }
    Ok(())
}

fn held_by(connection: &mut PgConnection, owner: OwnerId) -> Result<Vec<LockKey>, Fault> {
    let rows: Vec<(String, String)> = lock_table::table
        .filter(lock_table::owner_id.eq(owner.as_str()))
        .select((lock_table::resource_type, lock_table::resource_id))
        .load(connection)?;
    // A row that names no key is reported by whoever asks for it.
    Ok(rows.iter().filter_map(|(kind, id)| LockKey::from_parts(kind, id)).collect())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn one_who_can_hear_nothing_asks_the_server_now_and_then() {
        let looked = Mark::from_storage(1_000);
        let asks = |now| !just_now(now, looked);
        assert_eq!([1_000, 1_019, 1_020, 9_000].map(asks), [false, false, true, true]);
    }
}
