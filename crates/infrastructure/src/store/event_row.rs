//! Rows of `events`.

use agents_domain::id::{EventId, OwnerId, PlanId};
use agents_domain::lock::{Fence, FencingToken};
use agents_domain::plan::{Event, StoreError};
use agents_domain::time::Timestamp;
use diesel::prelude::*;

use crate::store::column::{RowName, to_i64};
use crate::store::document::{self, SCHEMA_VERSION};
use crate::store::schema::events;

/// One event.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = events)]
pub(crate) struct EventRow {
    pub(crate) plan_id: String,
    pub(crate) seq: i64,
    pub(crate) event_id: String,
    pub(crate) kind: String,
    pub(crate) at: i64,
    pub(crate) owner_id: Option<String>,
    pub(crate) token: Option<i64>,
    pub(crate) schema_version: i64,
    pub(crate) payload: String,
}

impl EventRow {
    /// The row of an event. Owner and token are the event's own, else those of the fence under
    /// which it is written: the maker of a plan does not know its first token yet.
    pub(crate) fn new(event: &Event, fence: &Fence) -> Self {
        Self {
            plan_id: event.plan.to_string(),
            seq: to_i64(event.seq),
            event_id: event.id.to_string(),
            kind: event.change.event_name().to_owned(),
            at: event.at.as_millis(),
            owner_id: event.owner.or(fence.owner()).map(|owner| owner.to_string()),
            token: event.token.or(fence.token()).map(FencingToken::value),
            schema_version: SCHEMA_VERSION,
            payload: document::change_to_json(&event.change),
        }
    }
}

impl TryFrom<EventRow> for Event {
    type Error = StoreError;

    fn try_from(row: EventRow) -> Result<Self, StoreError> {
        let key = format!("{}/{}", row.plan_id, row.seq);
        let name = RowName::new("events", &key);
        if row.schema_version != SCHEMA_VERSION {
            return Err(name.corrupt(format_args!("schema_version is {}", row.schema_version)));
        }
        let change = name.parsed("payload", document::change_from_json(&row.payload))?;
        if change.event_name() != row.kind {
            return Err(name.corrupt(format_args!("kind is `{}`, its payload another's", row.kind)));
        }
        Ok(Self {
            id: name.parsed("event_id", EventId::parse(&row.event_id))?,
            plan: name.parsed("plan_id", PlanId::parse(&row.plan_id))?,
            seq: name.number("seq", row.seq)?,
            at: Timestamp::from_millis(row.at),
            owner: name.parsed("owner_id", row.owner_id.as_deref().map(OwnerId::parse).transpose())?,
            token: row.token.map(FencingToken::from_storage),
            change,
        })
    }
}
