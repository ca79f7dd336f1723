//! The two statements of a renewal, each one and the same however many terms there are.

use std::collections::HashMap;

use agents_domain::id::OwnerId;
use agents_domain::lock::{FencingToken, LockKey, Term};
use agents_domain::plan::StoreError;
use agents_domain::time::{BootInstant, Timestamp};
use diesel::prelude::*;
use diesel::query_builder::{AstPass, Query, QueryFragment, QueryId};
use diesel::sql_types::{BigInt, Text};
use diesel::sqlite::Sqlite;

use crate::store::column::RowName;
use crate::store::fault::Fault;

/// Moves the ends of those terms that still carry this owner and token, never back.
#[derive(Debug, QueryId)]
pub(crate) struct Renew {
    owner: String,
    terms: String,
    boot_id: String,
    expires_boottime: i64,
    expires_at: i64,
}

impl Renew {
    /// Terms of that owner, to last until then on both clocks.
    pub(crate) fn new(
        owner: OwnerId,
        terms: &[Term],
        boot_id: &str,
        expires: BootInstant,
        expires_at: Timestamp,
    ) -> Self {
        let with_token = |(key, token): &Term| row(key, Some(token.value()));
        Self {
            owner: owner.to_string(),
            terms: array(terms.iter().map(with_token)),
            boot_id: boot_id.to_owned(),
            expires_boottime: expires.as_millis(),
            expires_at: expires_at.as_millis(),
        }
    }
}

impl Query for Renew {
    type SqlType = (Text, Text, BigInt, BigInt);
}

impl RunQueryDsl<SqliteConnection> for Renew {}

impl Renew {
    /// Runs it: the terms that were extended, and where each now ends, wall time.
    pub(crate) fn run(self, connection: &mut SqliteConnection) -> Result<HashMap<Term, Timestamp>, Fault> {
        let rows: Vec<(String, String, i64, i64)> = self.load(connection)?;
        let extended = rows.into_iter().map(|(kind, id, token, end)| {
            let term = (key(&kind, &id)?, FencingToken::from_storage(token));
            Ok((term, Timestamp::from_millis(end)))
        });
        extended.collect()
    }
}

impl QueryFragment<Sqlite> for Renew {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        let later = |out: &mut AstPass<'_, 'b, Sqlite>| -> QueryResult<()> {
            out.push_sql("CASE WHEN boot_id = ");
            out.push_bind_param::<Text, _>(&self.boot_id)?;
            out.push_sql(" AND expires_boottime_ms > ");
            out.push_bind_param::<BigInt, _>(&self.expires_boottime)
        };
        out.push_sql("UPDATE locks SET expires_at = ");
        later(&mut out)?;
        out.push_sql(" THEN expires_at ELSE ");
        out.push_bind_param::<BigInt, _>(&self.expires_at)?;
        out.push_sql(" END, expires_boottime_ms = ");
        later(&mut out)?;
        out.push_sql(" THEN expires_boottime_ms ELSE ");
        out.push_bind_param::<BigInt, _>(&self.expires_boottime)?;
        out.push_sql(" END, boot_id = ");
        out.push_bind_param::<Text, _>(&self.boot_id)?;
        out.push_sql(" WHERE owner_id = ");
        out.push_bind_param::<Text, _>(&self.owner)?;
        out.push_sql(
            " AND (resource_type, resource_id, token) IN \
             (SELECT value ->> 0, value ->> 1, value ->> 2 FROM json_each(",
        );
        out.push_bind_param::<Text, _>(&self.terms)?;
        out.push_sql(")) RETURNING resource_type, resource_id, token, expires_at");
        Ok(())
    }
}

/// Who holds these locks.
#[derive(Debug, QueryId)]
struct Holders {
    keys: String,
}

impl Query for Holders {
    type SqlType = (Text, Text, Text);
}

impl RunQueryDsl<SqliteConnection> for Holders {}

impl QueryFragment<Sqlite> for Holders {
    fn walk_ast<'b>(&'b self, mut out: AstPass<'_, 'b, Sqlite>) -> QueryResult<()> {
        out.push_sql(
            "SELECT resource_type, resource_id, owner_id FROM locks \
             WHERE owner_id IS NOT NULL AND (resource_type, resource_id) IN (SELECT value ->> 0, value ->> 1 FROM json_each(",
        );
        out.push_bind_param::<Text, _>(&self.keys)?;
        out.push_sql("))");
        Ok(())
    }
}

/// Who holds the locks of those terms now; the free and the missing are left out.
pub(crate) fn holders(
    connection: &mut SqliteConnection,
    terms: &[Term],
) -> Result<HashMap<LockKey, OwnerId>, Fault> {
    let keys = keys_parameter(terms);
    let rows: Vec<(String, String, String)> = Holders { keys }.load(connection)?;
    let holders = rows.into_iter().map(|(kind, id, owner)| {
        let owner = RowName::new("locks", &id).parsed("owner_id", OwnerId::parse(&owner))?;
        Ok((key(&kind, &id)?, owner))
    });
    holders.collect()
}

/// The keys of those terms as one JSON parameter.
pub(crate) fn keys_parameter(terms: &[Term]) -> String {
    array(terms.iter().map(|(key, _)| row(key, None)))
}

/// Keys as one JSON parameter.
pub(crate) fn keys_of(keys: &[LockKey]) -> String {
    array(keys.iter().map(|key| row(key, None)))
}

fn key(kind: &str, id: &str) -> Result<LockKey, StoreError> {
    RowName::new("locks", id).need("a lock key", LockKey::from_parts(kind, id))
}

fn row(key: &LockKey, token: Option<i64>) -> serde_json::Value {
    serde_json::json!([key.resource_type(), key.resource_id(), token])
}

fn array(rows: impl Iterator<Item = serde_json::Value>) -> String {
    serde_json::Value::Array(rows.collect()).to_string()
}
