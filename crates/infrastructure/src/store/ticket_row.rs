//! Rows of `tickets` with their `ticket_keys`: the line.

use std::time::Duration;

use agents_domain::id::OwnerId;
use agents_domain::lock::{Holder, LockKey, Ticket, TicketNumber, TicketRequest};
use agents_domain::plan::StoreError;
use agents_domain::time::{BootInstant, Timestamp};
use diesel::prelude::*;

use crate::store::column::{RowName, to_i64};
use crate::store::lock_row::LockRow;
use crate::store::schema::{ticket_keys, tickets};

/// A ticket that is about to be written; the database gives the number.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = tickets)]
pub(crate) struct NewTicket {
    owner_id: String,
    since: i64,
    boot_id: String,
    expires_boottime_ms: i64,
    operation: String,
    host: String,
    holder_boot_id: String,
    pid_namespace: String,
    pid: i64,
    started: i64,
    user: String,
}

impl NewTicket {
    /// One that counts from now, on the clock of that boot.
    pub(crate) fn new(request: &TicketRequest, boot_id: &str, now: BootInstant, wall: Timestamp) -> Self {
        let holder = &request.holder;
        Self {
            owner_id: request.owner.to_string(),
            since: wall.as_millis(),
            boot_id: boot_id.to_owned(),
            expires_boottime_ms: end(now, request.life),
            operation: holder.operation.clone(),
            host: holder.host.clone(),
            holder_boot_id: holder.boot_id.clone(),
            pid_namespace: holder.pid_namespace.clone(),
            pid: i64::from(holder.pid),
            started: to_i64(holder.started),
            user: holder.user.clone(),
        }
    }
}

/// The end of a life that begins now.
pub(crate) fn end(now: BootInstant, life: Duration) -> i64 {
    now.plus(life).as_millis()
}

/// One key of a ticket.
#[derive(Debug, Clone, Insertable)]
#[diesel(table_name = ticket_keys)]
pub(crate) struct TicketKeyRow {
    resource_type: &'static str,
    resource_id: String,
    number: i64,
}

impl TicketKeyRow {
    /// What that ticket waits for.
    pub(crate) fn new(key: &LockKey, number: i64) -> Self {
        Self { resource_type: key.resource_type(), resource_id: key.resource_id().to_owned(), number }
    }
}

/// A ticket and one of its keys, as the line is read.
#[derive(Debug, Clone, Queryable)]
pub(crate) struct PlaceRow {
    number: i64,
    owner_id: String,
    since: i64,
    boot_id: String,
    expires_boottime_ms: i64,
    operation: String,
    host: String,
    holder_boot_id: String,
    pid_namespace: String,
    pid: i64,
    started: i64,
    user: String,
    resource_type: String,
    resource_id: String,
}

/// A ticket and one of its keys in the columns of a lock, which are the same but for three: its number is in
/// those of the token, and what it waits since in that of the beginning; no end is told to people.
impl TryFrom<LockRow> for PlaceRow {
    type Error = StoreError;

    fn try_from(row: LockRow) -> Result<Self, StoreError> {
        let number = row.token.to_string();
        let (name, columns) = (RowName::new("tickets", &number), row.tenure);
        Ok(Self {
            number: row.token,
            owner_id: name.need("owner_id", columns.owner_id)?,
            since: name.need("since", columns.acquired_at)?,
            boot_id: name.need("boot_id", columns.boot_id)?,
            expires_boottime_ms: name.need("expires_boottime_ms", columns.expires_boottime_ms)?,
            operation: name.need("operation", columns.operation)?,
            host: name.need("host", columns.host)?,
            holder_boot_id: name.need("holder_boot_id", columns.holder_boot_id)?,
            pid_namespace: name.need("pid_namespace", columns.pid_namespace)?,
            pid: name.need("pid", columns.pid)?,
            started: name.need("started", columns.started)?,
            user: name.need("user", columns.user)?,
            resource_type: row.resource_type,
            resource_id: row.resource_id,
        })
    }
}

impl PlaceRow {
    fn key(&self) -> Result<LockKey, StoreError> {
        let number = self.number.to_string();
        let key = LockKey::from_parts(&self.resource_type, &self.resource_id);
        RowName::new("ticket_keys", &number).need("a lock key", key)
    }

    fn ticket(self, boot_id: &str, now: BootInstant) -> Result<Ticket, StoreError> {
        let (key, number) = (self.key()?, self.number.to_string());
        let row = RowName::new("tickets", &number);
        // Seen from another boot its process is dead, and its life over.
        let over = self.boot_id != boot_id || now.as_millis() >= self.expires_boottime_ms;
        Ok(Ticket {
            number: TicketNumber::from_storage(self.number),
            owner: row.parsed("owner_id", OwnerId::parse(&self.owner_id))?,
            keys: vec![key],
            since: Timestamp::from_millis(self.since),
            over,
            holder: Holder {
                host: self.host,
                boot_id: self.holder_boot_id,
                pid_namespace: self.pid_namespace,
                pid: row.number("pid", self.pid)?,
                started: row.number("started", self.started)?,
                user: self.user,
                operation: self.operation,
            },
        })
    }
}

/// The tickets of rows that are in the order of number and key.
pub(crate) fn tickets(
    rows: Vec<PlaceRow>,
    boot_id: &str,
    now: BootInstant,
) -> Result<Vec<Ticket>, StoreError> {
    let mut line: Vec<Ticket> = Vec::new();
    for row in rows {
        match line.last_mut().filter(|last| last.number.value() == row.number) {
            Some(last) => last.keys.push(row.key()?),
            None => line.push(row.ticket(boot_id, now)?),
        }
    }
    Ok(line)
}
