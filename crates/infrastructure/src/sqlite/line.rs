//! The line of those who wait, on SQLite.
//!
//! ```text
//! waiter:  INSERT a ticket ─┐ PRAGMA data_version, the same … the same … another one: two queries
//! holder:                   │       release: COMMIT ───────────────────────┘
//! waiter:                   └ first in line, lock free: acquire, and DELETE the ticket with it
//! ```
//!
//! Who comes first is decided by [`Passage`] in the transaction that grants. A look is a read on a
//! connection of its own: it writes nothing and takes no gate, and as long as nobody has written it
//! costs one word of shared memory. Tickets, like grants, do not wait for the disk: after a power
//! cut nobody is left who waits.
//!
//! The version that a look is compared by is the connection's own. Should the connection be
//! replaced after a failure, another moment may bear the same number; the look without a number,
//! which every waiter takes now and then, heals that.

use std::sync::Arc;
use std::time::Duration;

use agents_domain::id::OwnerId;
use agents_domain::lock::{
    AcquireRequest, Caller, Line, LineView, LockError, LockKey, Mark, Passage, Standing, Ticket,
    TicketNumber, TicketRequest,
};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::locks::{self, LeaseClock};
use crate::sqlite::renewal::keys_of;
use crate::sqlite::requests::data_version;
use crate::store::fault::Fault;
use crate::store::schema::{locks as lock_table, ticket_keys, tickets};
use crate::store::ticket_row::{self, NewTicket, PlaceRow, TicketKeyRow};

/// The line at one database file.
pub struct SqliteLine {
    pub(crate) writes: Arc<Lane>,
    /// Over a connection that nobody else uses.
    pub(crate) looks: Arc<Lane>,
    pub(crate) clock: LeaseClock,
}

fn lock_error(fault: Fault) -> LockError {
    fault.into_lock(WORDS)
}

#[async_trait]
impl Line for SqliteLine {
    async fn take(&self, request: &TicketRequest) -> Result<TicketNumber, LockError> {
        let (request, clock) = (request.clone(), self.clock.clone());
        self.writes.run(move |connection| take(connection, &clock, &request)).await.map_err(lock_error)
    }

    async fn renew(&self, owner: OwnerId, number: TicketNumber, life: Duration) -> Result<bool, LockError> {
        let clock = self.clock.clone();
        let renewing = move |connection: &mut SqliteConnection| {
            let ends = ticket_row::end(clock.clock.boottime(), life);
            let ticket = tickets::table.find(number.value()).filter(tickets::owner_id.eq(owner.as_str()));
            let life = (tickets::boot_id.eq(&*clock.boot_id), tickets::expires_boottime_ms.eq(ends));
            Ok(diesel::update(ticket).set(life).execute(connection)? == 1)
        };
        self.writes.run(renewing).await.map_err(lock_error)
    }

    async fn leave(&self, owner: OwnerId, number: TicketNumber) -> Result<bool, LockError> {
        self.writes.run(move |connection| Ok(leave(connection, owner, number)?)).await.map_err(lock_error)
    }

    async fn look(
        &self,
        keys: &[LockKey],
        before: Option<TicketNumber>,
        seen: Option<Mark>,
    ) -> Result<Option<LineView>, LockError> {
        let (mut keys, clock) = (keys.to_vec(), self.clock.clone());
        keys.sort();
        keys.dedup();
        self.looks
            .run(move |connection| look(connection, &clock, &keys, before, seen))
            .await
            .map_err(lock_error)
    }
}

fn take(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    request: &TicketRequest,
) -> Result<TicketNumber, Fault> {
    let (now, wall) = (clock.clock.boottime(), clock.clock.now());
    let ticket = NewTicket::new(request, &clock.boot_id, now, wall);
    let number: i64 = diesel::insert_into(tickets::table)
        .values(ticket)
        .returning(tickets::number)
        .get_result(connection)?;
    let mut keys = request.keys.clone();
    keys.sort();
    keys.dedup();
    for key in keys {
        diesel::insert_into(ticket_keys::table)
            .values(TicketKeyRow::new(&key, number))
            .execute(connection)?;
    }
    Ok(TicketNumber::from_storage(number))
}

fn leave(connection: &mut SqliteConnection, owner: OwnerId, number: TicketNumber) -> QueryResult<bool> {
    let ticket = tickets::table.find(number.value()).filter(tickets::owner_id.eq(owner.as_str()));
    Ok(diesel::delete(ticket).execute(connection)? == 1)
}

/// The version first: what is committed after it is in the next look, if not in this one.
fn look(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    keys: &[LockKey],
    before: Option<TicketNumber>,
    seen: Option<Mark>,
) -> Result<Option<LineView>, Fault> {
    let mark = Mark::from_storage(data_version(connection)?);
    if seen == Some(mark) {
        return Ok(None);
    }
    let now = clock.clock.boottime();
    let mut held = Vec::new();
    for key in keys {
        let row = locks::find(connection, key)?.ok_or_else(|| Fault::NoSuchLock(key.clone()))?;
        held.extend(row.held(&clock.boot_id, now)?);
    }
    Ok(Some(LineView { mark, held, line: load(connection, clock, keys, before)? }))
}

/// Every ticket, or every earlier one, that names one of those keys, with all of its keys.
fn load(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    keys: &[LockKey],
    before: Option<TicketNumber>,
) -> Result<Vec<Ticket>, Fault> {
    let before = before.map_or(i64::MAX, TicketNumber::value);
    let rows = Waiting { keys: keys_of(keys), before }.load(connection)?;
    Ok(ticket_row::tickets(rows, &clock.boot_id, clock.clock.boottime())?)
}

/// Whether it is the turn of whoever asks; the tickets that a grant uses up.
pub(crate) fn turn(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    request: &AcquireRequest,
) -> Result<Vec<TicketNumber>, Fault> {
    let line = line_before(connection, clock, request)?;
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

/// What may come before that request: up to its own ticket, if it has one for all it wants; long
/// lines are not read for nothing.
fn line_before(
    connection: &mut SqliteConnection,
    clock: &LeaseClock,
    request: &AcquireRequest,
) -> Result<Vec<Ticket>, Fault> {
    if let Some(number) = request.ticket {
        let after = TicketNumber::from_storage(number.value().saturating_add(1));
        let line = load(connection, clock, &request.keys, Some(after))?;
        let names_all = |own: &Ticket| request.keys.iter().all(|key| own.keys.contains(key));
        if line.last().is_some_and(|own| own.number == number && own.owner == request.owner && names_all(own))
        {
            return Ok(line);
        }
    }
    load(connection, clock, &request.keys, None)
}

/// A grant is being made: its ticket and those it has passed are gone.
pub(crate) fn granted(
    connection: &mut SqliteConnection,
    request: &AcquireRequest,
    passed: &[TicketNumber],
) -> QueryResult<()> {
    for number in passed {
        diesel::delete(tickets::table.find(number.value())).execute(connection)?;
    }
    if let Some(number) = request.ticket {
        leave(connection, request.owner, number)?;
    }
    Ok(())
}

/// Ends all the waiting of an owner.
pub(crate) fn leave_all(connection: &mut SqliteConnection, owner: OwnerId) -> QueryResult<()> {
    diesel::delete(tickets::table.filter(tickets::owner_id.eq(owner.as_str()))).execute(connection)?;
    Ok(())
}

fn held_by(connection: &mut SqliteConnection, owner: OwnerId) -> Result<Vec<LockKey>, Fault> {
    let rows: Vec<(String, String)> = lock_table::table
        .filter(lock_table::owner_id.eq(owner.as_str()))
        .select((lock_table::resource_type, lock_table::resource_id))
        .load(connection)?;
    // A row that names no key is reported by whoever asks for it.
    Ok(rows.iter().filter_map(|(kind, id)| LockKey::from_parts(kind, id)).collect())
}

/// The tickets that name one of some keys, a row for each of their keys.
#[derive(Debug, QueryId)]
struct Waiting {
    keys: String,
    before: i64,
}

impl Query for Waiting {
    type SqlType =
        (BigInt, Text, BigInt, Text, BigInt, Text, Text, Text, Text, BigInt, BigInt, Text, Text, Text);
}

impl RunQueryDsl<SqliteConnection> for Waiting {}

impl QueryFragment<Sqlite> for Waiting {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT t.number, t.owner_id, t.since, t.boot_id, t.expires_boottime_ms, t.operation, t.host, \
             t.holder_boot_id, t.pid_namespace, t.pid, t.started, t.user, k.resource_type, k.resource_id \
             FROM tickets t JOIN ticket_keys k ON k.number = t.number \
             WHERE t.number IN (SELECT number FROM ticket_keys WHERE (resource_type, resource_id) IN \
             (SELECT value ->> 0, value ->> 1 FROM json_each(",
        );
        out.push_bind_param::<Text, _>(&self.keys)?;
        out.push_sql(")) AND number < ");
        out.push_bind_param::<BigInt, _>(&self.before)?;
        out.push_sql(") ORDER BY t.number, k.resource_type, k.resource_id");
        Ok(())
    }
}

impl Waiting {
    fn load(self, connection: &mut SqliteConnection) -> QueryResult<Vec<PlaceRow>> {
        RunQueryDsl::load(self, connection)
    }
}
