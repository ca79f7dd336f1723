//! Requests to the holders of locks on SQLite, and the look by which holders hear of them.
//!
//! ```text
//! asker:     INSERT OR IGNORE, waits for the disk ─┐
//! holder:    PRAGMA data_version, the same … the same … another one: two queries
//! ```
//!
//! The look is a read on a connection of its own: it takes no gate and no runtime, and as long as
//! nobody has written it costs one word of shared memory.

use std::collections::HashSet;
use std::sync::{Arc, Mutex, PoisonError};

use agents_domain::id::{OwnerId, RequestId};
use agents_domain::lock::{LockError, LockKey, Term};
use agents_domain::plan::StoreError;
use agents_domain::request::{Closed, Look, Pulse, Request, Requests};
use async_trait::async_trait;
use diesel::dsl::sql;
use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Text};

use crate::sqlite::failure::WORDS;
use crate::sqlite::lane::Lane;
use crate::sqlite::renewal::keys_parameter;
use crate::store::fault::Fault;
use crate::store::request_row::RequestRow;
use crate::store::schema::{locks, requests};

/// The requests of one database file.
pub struct SqliteRequests {
    pub(crate) writes: Arc<Lane>,
    pub(crate) reads: Arc<Lane>,
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

#[async_trait]
impl Requests for SqliteRequests {
    async fn make(&self, requests: &[Request]) -> Result<Vec<Request>, StoreError> {
        let rows: Vec<RequestRow> = requests.iter().map(RequestRow::from).collect();
        let making = move |connection: &mut SqliteConnection| {
            rows.iter().map(|row| make(connection, row)).collect::<Result<_, _>>()
        };
        self.writes.run(making).await.map_err(store_error)
    }

    async fn open(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        let key = key.clone();
        self.reads.run(move |connection| of_key(connection, &key, true)).await.map_err(store_error)
    }

    async fn close(&self, id: RequestId, closed: &Closed) -> Result<(), StoreError> {
        let closed = closed.clone();
        self.writes.run(move |connection| close(connection, id, &closed)).await.map_err(store_error)
    }

    async fn history(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        let key = key.clone();
        self.reads.run(move |connection| of_key(connection, &key, false)).await.map_err(store_error)
    }
}

/// The one that is open: this, or the like that was there before.
fn make(connection: &mut SqliteConnection, row: &RequestRow) -> Result<Request, Fault> {
    diesel::insert_or_ignore_into(requests::table).values(row.clone()).execute(connection)?;
    let same_kind = requests::table
        .filter(requests::resource_type.eq(&row.resource_type))
        .filter(requests::resource_id.eq(&row.resource_id))
        .filter(requests::kind.eq(&row.kind))
        .filter(requests::token.is(row.token))
        .order(requests::closed_at.is_not_null())
        .then_order_by(requests::made_at.desc());
    let found: RequestRow = same_kind.select(RequestRow::as_select()).first(connection)?;
    Ok(found.request()?)
}

fn of_key(connection: &mut SqliteConnection, key: &LockKey, open_only: bool) -> Result<Vec<Request>, Fault> {
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

fn close(connection: &mut SqliteConnection, id: RequestId, closed: &Closed) -> Result<(), Fault> {
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
pub struct SqlitePulse {
    reads: Lane,
    /// `PRAGMA data_version` at the last look; it changes when another connection has committed.
    seen: Mutex<Option<i64>>,
}

impl SqlitePulse {
    /// A look through that lane, whose connection nobody else uses.
    pub(crate) const fn new(reads: Lane) -> Self {
        Self { reads, seen: Mutex::new(None) }
    }

    fn take(&self, owner: OwnerId, terms: &[Term]) -> Result<Option<Look>, Fault> {
        let mut seen = self.seen.lock().unwrap_or_else(PoisonError::into_inner);
        let last = *seen;
        // A connection that failed is replaced by one that counts anew.
        *seen = None;
        let (version, look) = self.reads.transact(|connection| look(connection, owner, terms, last))?;
        *seen = Some(version);
        Ok(look)
    }
}

#[async_trait]
impl Pulse for SqlitePulse {
    async fn look(&self, owner: OwnerId, terms: &[Term]) -> Result<Option<Look>, LockError> {
        self.take(owner, terms).map_err(|fault| fault.into_lock(WORDS))
    }
}

#[derive(QueryableByName)]
struct Version {
    #[diesel(sql_type = BigInt)]
    data_version: i64,
}

/// Another number than before: another connection has committed meanwhile.
pub(crate) fn data_version(connection: &mut SqliteConnection) -> QueryResult<i64> {
    let version: Version = diesel::sql_query("PRAGMA data_version").get_result(connection)?;
    Ok(version.data_version)
}

/// The version first: what is committed after it is in the next look, if not in this one.
fn look(
    connection: &mut SqliteConnection,
    owner: OwnerId,
    terms: &[Term],
    last: Option<i64>,
) -> Result<(i64, Option<Look>), Fault> {
    let version = data_version(connection)?;
    if last == Some(version) {
        return Ok((version, None));
    }
    let keys = keys_parameter(terms);
    let rows = requests::table
        .filter(requests::closed_at.is_null())
        .filter(among(&keys))
        .order((requests::made_at, requests::id))
        .select(RequestRow::as_select())
        .load(connection)?;
    let look = Look { lost: lost(connection, owner, terms, &keys)?, requests: all(rows)? };
    Ok((version, Some(look)))
}

fn lost(
    connection: &mut SqliteConnection,
    owner: OwnerId,
    terms: &[Term],
    keys: &str,
) -> Result<Vec<Term>, Fault> {
    let ours: Vec<(String, String, i64)> = locks::table
        .filter(locks::owner_id.eq(owner.as_str()))
        .filter(among(keys))
        .select((locks::resource_type, locks::resource_id, locks::token))
        .load(connection)?;
    let ours: HashSet<(&str, &str, i64)> =
        ours.iter().map(|(kind, id, token)| (kind.as_str(), id.as_str(), *token)).collect();
    let stands =
        |(key, token): &Term| ours.contains(&(key.resource_type(), key.resource_id(), token.value()));
    Ok(terms.iter().filter(|term| !stands(term)).cloned().collect())
}

type Among = diesel::expression::SqlLiteral<
    Bool,
    diesel::expression::UncheckedBind<
        diesel::expression::SqlLiteral<Bool>,
        diesel::dsl::AsExprOf<String, Text>,
    >,
>;

/// `(resource_type, resource_id) IN (…)` for keys given as one JSON parameter.
fn among(keys: &str) -> Among {
    sql::<Bool>("(resource_type, resource_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(")
        .bind::<Text, _>(keys.to_owned())
        .sql("))")
}
