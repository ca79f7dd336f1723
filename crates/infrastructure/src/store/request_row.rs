//! Rows of `requests`.

use agents_domain::id::RequestId;
use agents_domain::lock::{FencingToken, LockKey};
use agents_domain::plan::StoreError;
use agents_domain::request::{Asker, Closed, Request, Wish};
use agents_domain::time::Timestamp;
use diesel::prelude::*;

use crate::store::column::RowName;
use crate::store::schema::requests;

const CANCEL: &str = "cancel";
const BREAK: &str = "break";

/// One request, open or closed.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = requests)]
pub(crate) struct RequestRow {
    pub(crate) id: String,
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) kind: String,
    pub(crate) token: Option<i64>,
    pub(crate) keep_landed: bool,
    pub(crate) reason: Option<String>,
    pub(crate) host: String,
    pub(crate) pid: i64,
    pub(crate) user: String,
    pub(crate) made_at: i64,
    pub(crate) closed_at: Option<i64>,
    pub(crate) outcome: Option<String>,
}

impl From<&Request> for RequestRow {
    fn from(request: &Request) -> Self {
        let (kind, token, keep_landed) = match request.wish {
            Wish::Cancel { keep_landed } => (CANCEL, None, keep_landed),
            Wish::LetGo { token } => (BREAK, Some(token.value()), false),
        };
        Self {
            id: request.id.to_string(),
            resource_type: request.key.resource_type().to_owned(),
            resource_id: request.key.resource_id().to_owned(),
            kind: kind.to_owned(),
            token,
            keep_landed,
            reason: request.reason.clone(),
            host: request.by.host.clone(),
            pid: i64::from(request.by.pid),
            user: request.by.user.clone(),
            made_at: request.at.as_millis(),
            closed_at: request.closed.as_ref().map(|closed| closed.at.as_millis()),
            outcome: request.closed.as_ref().map(|closed| closed.outcome.clone()),
        }
    }
}

impl RequestRow {
    /// The request, if the row makes sense.
    pub(crate) fn request(self) -> Result<Request, StoreError> {
        let row = RowName::new("requests", &self.id);
        let wish = match (self.kind.as_str(), self.token) {
            (CANCEL, _) => Wish::Cancel { keep_landed: self.keep_landed },
            (BREAK, Some(token)) => Wish::LetGo { token: FencingToken::from_storage(token) },
            _ => return Err(row.corrupt(format_args!("kind is `{}`", self.kind))),
        };
        let key = LockKey::from_parts(&self.resource_type, &self.resource_id);
        let closed = self.closed_at.zip(self.outcome);
        Ok(Request {
            id: row.parsed("id", RequestId::parse(&self.id))?,
            key: row.need("a lock key", key)?,
            wish,
            by: Asker { host: self.host, pid: row.number("pid", self.pid)?, user: self.user },
            reason: self.reason,
            at: Timestamp::from_millis(self.made_at),
            closed: closed.map(|(at, outcome)| Closed { at: Timestamp::from_millis(at), outcome }),
        })
    }
}
