//! What both databases share: the schema, the rows, and the way from a row to a domain value.
//!
//! Nothing here opens a connection or knows which database it is. A row that the domain cannot
//! express becomes [`StoreError::Corrupt`](agents_domain::plan::StoreError::Corrupt), which names
//! the row; nothing is repaired silently.

pub(crate) mod arguments;
pub(crate) mod catalogue_row;
pub mod check;
pub(crate) mod column;
pub(crate) mod document;
pub(crate) mod event_row;
pub(crate) mod fault;
pub(crate) mod home_columns;
pub(crate) mod lock_row;
pub(crate) mod measured;
pub mod moving;
pub(crate) mod order_row;
pub(crate) mod plan_row;
pub(crate) mod project_row;
pub(crate) mod request_row;
pub(crate) mod schema;
pub(crate) mod subplan_row;
pub(crate) mod ticket_row;
pub(crate) mod worker_row;

/// The schema that this program knows: the number of the last migration, on either database.
pub const SCHEMA_VERSION: i64 = 7;

/// Reads an action back from its text. The second argument says where the text comes from, for
/// messages; the error is for people.
pub type ParseAction = fn(&str, &str) -> Result<agents_domain::action::Action, String>;
