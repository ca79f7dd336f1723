//! Requests to the holders of locks on PostgreSQL, and the look by which holders hear of them.
//!
//! A holder looks at each beat of its heart, with one statement: what is asked of it, and which of its
//! terms are over. It does not listen for that: each word on a channel wakes all who listen at the
//! database, and holders are many where waiters are few.

use std::collections::HashSet;
use std::sync::Arc;

use agents_domain::id::{OwnerId, RequestId};
use agents_domain::lock::{LockError, LockKey, Term};
use agents_domain::plan::StoreError;
use agents_domain::request::{Closed, Look, Pulse, Request, Requests};
use async_trait::async_trait;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};

use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::locks::lock_error;
use super::statement::Statement;
use super::views::among_keys;
use crate::store::fault::Fault;
use crate::store::request_row::RequestRow;
use crate::store::schema::requests;

/// The requests of one database.
pub struct PostgresRequests {
    pub(crate) lane: Arc<Lane>,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl Requests for PostgresRequests {
    async fn make(&self, requests: &[Request]) -> Result<Vec<Request>, StoreError> {
        let rows: Vec<RequestRow> = requests.iter().map(RequestRow::from).collect();
        // What was asked before is found: it may be done again.
        let making = move |connection: &mut PgConnection, _: Option<&Vec<Request>>| {
            rows.iter().map(|row| make(connection, row)).collect::<Result<_, _>>()
        };
        self.lane.settled(Purpose::Durable, making).await.map_err(store_error)
    }

    async fn open(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        let key = key.clone();
        let reading = move |connection: &mut PgConnection| of_key(connection, &key, true);
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn close(&self, id: RequestId, closed: &Closed) -> Result<(), StoreError> {
        let closed = closed.clone();
        let closing = move |connection: &mut PgConnection, _: Option<&()>| close(connection, id, &closed);
        self.lane.settled(Purpose::Durable, closing).await.map_err(store_error)
    }

    async fn history(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        let key = key.clone();
        let reading = move |connection: &mut PgConnection| of_key(connection, &key, false);
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }
}

/// The one that is open: this, or the like that was there before.
fn make(connection: &mut PgConnection, row: &RequestRow) -> Result<Request, Fault> {
    diesel::insert_into(requests::table).values(row.clone()).on_conflict_do_nothing().execute(connection)?;
    let same_kind = requests::table
        .filter(requests::resource_type.eq(&row.resource_type))
        .filter(requests::resource_id.eq(&row.resource_id))
        .filter(requests::kind.eq(&row.kind))
        .filter(requests::token.is_not_distinct_from(row.token))
        .order(requests::closed_at.is_not_null())
        .then_order_by(requests::made_at.desc());
    let found: RequestRow = same_kind.select(RequestRow::as_select()).first(connection)?;
    Ok(found.request()?)
}

fn of_key(connection: &mut PgConnection, key: &LockKey, open_only: bool) -> Result<Vec<Request>, Fault> {
    let mut query = requests::table
        .filter(requests::resource_type.eq(key.resource_type()))
        .filter(requests::resource_id.eq(key.resource_id()))
        .into_boxed();
    if open_only {
        query = query.filter(requests::closed_at.is_null());
    }
    let query = query.order((requests::made_at, requests::id)).select(RequestRow::as_select());
    all(query.load(connection)?)
}

fn close(connection: &mut PgConnection, id: RequestId, closed: &Closed) -> Result<(), Fault> {
    let open = requests::table.find(id.as_str()).filter(requests::closed_at.is_null());
    diesel::update(open)
        .set((requests::closed_at.eq(closed.at.as_millis()), requests::outcome.eq(&closed.outcome)))
        .execute(connection)?;
    Ok(())
}

fn all(rows: Vec<RequestRow>) -> Result<Vec<Request>, Fault> {
    Ok(rows.into_iter().map(RequestRow::request).collect::<Result<_, _>>()?)
}

/// The look of one heartbeat.
pub struct PostgresPulse {
    lane: Lane,
}

impl PostgresPulse {
    /// A look through that lane, in the calling thread.
    pub(super) const fn new(lane: Lane) -> Self {
        Self { lane }
    }
}

#[async_trait]
impl Pulse for PostgresPulse {
    async fn look(&self, owner: OwnerId, terms: &[Term]) -> Result<Option<Look>, LockError> {
        let look = self.lane.state_once(Purpose::Read, |connection| {
            let requests = requests::table
                .filter(requests::closed_at.is_null())
                .filter(among_keys(terms.iter().map(|(key, _)| key)))
                .order((requests::made_at, requests::id))
                .select(RequestRow::as_select())
                .load(connection)?;
            Ok(Look { lost: lost(connection, owner, terms)?, requests: all(requests)? })
        });
        look.map(Some).map_err(lock_error)
    }
}

fn lost(connection: &mut PgConnection, owner: OwnerId, terms: &[Term]) -> Result<Vec<Term>, Fault> {
    let ours = Statement::<(Text, Text, BigInt)>::new(
        "SELECT resource_type, resource_id, token FROM locks WHERE owner_id = ? \
         AND (resource_type, resource_id, token) IN (SELECT * FROM unnest(?, ?, ?))",
    );
    let ours: Vec<(String, String, i64)> = ours.text(owner.as_str()).terms(terms).rows(connection)?;
    let ours: HashSet<(&str, &str, i64)> =
        ours.iter().map(|(kind, id, token)| (kind.as_str(), id.as_str(), *token)).collect();
    let stands =
        |(key, token): &&Term| ours.contains(&(key.resource_type(), key.resource_id(), token.value()));
    Ok(terms.iter().filter(|term| !stands(term)).cloned().collect())
}
