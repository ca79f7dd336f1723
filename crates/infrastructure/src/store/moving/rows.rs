//! The rows that move, table by table: read in the order of their keys, a batch at a time, and written.
//!
//! But for the events, the queries are the same on both databases, but Diesel's types for them are not, so a macro writes
//! them out for each kind of connection. A new table is added here, and to [`super::MOVED`]; a test
//! holds that list against what the migrations make.

use diesel::prelude::*;

use crate::store::catalogue_row::{ActionRow, ProjectRow};
use crate::store::event_row::EventRow;
use crate::store::order_row::OrderRow;
use crate::store::plan_row::{DefinitionRow, GuidanceRow, PlanRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::request_row::RequestRow;
use crate::store::schema::{locks, subplans};
use crate::store::subplan_row::SubplanRow;

/// How many rows are read and written at once. Memory holds that many, and no more.
pub(crate) const BATCH: i64 = 500;

/// A lock as it moves: its token, and nobody who holds it.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = locks)]
pub(crate) struct TokenRow {
    pub(crate) resource_type: String,
    pub(crate) resource_id: String,
    pub(crate) token: i64,
}

/// A child as it moves: also one of its parent's past.
#[derive(Debug, Clone, Queryable, Selectable, Insertable)]
#[diesel(table_name = subplans)]
pub(crate) struct ChildRow {
    #[diesel(embed)]
    pub(crate) row: SubplanRow,
    pub(crate) current: bool,
}

/// A plan as it moves: no plan before its parent.
#[derive(Debug, Clone)]
pub(crate) struct PlanAt {
    pub(crate) depth: i64,
    pub(crate) row: PlanRow,
}

/// An event as it moves: all plans' in the order of their commits, which the new database keeps.
#[derive(Debug, Clone)]
pub(crate) struct EventAt {
    /// Its era, and its number in it.
    pub(crate) place: (i64, i64),
    pub(crate) row: EventRow,
}

/// One table of a database.
pub(crate) trait Table<Row> {
    /// The rows after that one, or from the beginning: at most [`BATCH`], and none at the end.
    fn read(&mut self, after: Option<&Row>) -> QueryResult<Vec<Row>>;

    /// Adds rows.
    fn write(&mut self, rows: Vec<Row>) -> QueryResult<()>;
}

/// All that moves.
pub(crate) trait Rows:
    Table<ProjectRow>
    + Table<ActionRow>
    + Table<PlanAt>
    + Table<ChildRow>
    + Table<DefinitionRow>
    + Table<PlanProjectRow>
    + Table<GuidanceRow>
    + Table<EventAt>
    + Table<TokenRow>
    + Table<RequestRow>
    + Table<OrderRow>
{
    /// How many rows there are in each table of [`super::MOVED`], in its order.
    fn counts(&mut self) -> QueryResult<Vec<i64>>;

    /// Ends all terms and all waiting, and lifts every token: how many terms and how many tickets.
    fn forget_leases(&mut self) -> QueryResult<(usize, usize)>;

    /// Says something, so that a server does not take us for asleep.
    fn touch(&mut self) -> QueryResult<()>;

    /// A fact about the store itself.
    fn fact(&mut self, key: &str) -> QueryResult<Option<String>>;

    /// Writes one; `None`: it is no longer so.
    fn set_fact(&mut self, key: &str, value: Option<&str>) -> QueryResult<()>;
}

/// [`Rows`] for a kind of connection.
macro_rules! rows {
    ($connection:ty) => {
        rows!(@text $connection, $crate::store::catalogue_row::ProjectRow, projects, name);
        rows!(@text $connection, $crate::store::catalogue_row::ActionRow, actions, name);
        rows!(@text $connection, $crate::store::plan_row::DefinitionRow, plan_definitions, plan_id);
        rows!(@text $connection, $crate::store::request_row::RequestRow, requests, id);
        rows!(@text $connection, $crate::store::order_row::OrderRow, orders, plan_id);
        rows!(@pair $connection, $crate::store::project_row::PlanProjectRow, plan_projects, plan_id, position, i64::MIN);
        rows!(@pair $connection, $crate::store::plan_row::GuidanceRow, plan_guidance, plan_id, position, i64::MIN);
        rows!(@pair $connection, $crate::store::moving::rows::TokenRow, locks, resource_type, resource_id, String::new());

        impl $crate::store::moving::rows::Table<$crate::store::moving::rows::PlanAt> for $connection {
            fn read(
                &mut self,
                after: Option<&$crate::store::moving::rows::PlanAt>,
            ) -> QueryResult<Vec<$crate::store::moving::rows::PlanAt>> {
                use $crate::store::moving::rows::{BATCH, PlanAt};
                use $crate::store::plan_row::PlanRow;
                use $crate::store::schema::{plans, subplans};

                let (mut depth, mut id) = after.map_or((0, ""), |at| (at.depth, at.row.id.as_str()));
                let deepest: Option<i64> =
                    subplans::table.select(diesel::dsl::max(subplans::depth)).first(self)?;
                while depth <= deepest.unwrap_or(0) {
                    let rows: Vec<PlanRow> = if depth == 0 {
                        let roots = plans::table.filter(plans::parent.is_null()).filter(plans::id.gt(id));
                        roots.order(plans::id).limit(BATCH).select(PlanRow::as_select()).load(self)?
                    } else {
                        let children = plans::table.inner_join(subplans::table.on(subplans::plan_id.eq(plans::id)));
                        let children = children.filter(subplans::depth.eq(depth)).filter(plans::id.gt(id));
                        children.order(plans::id).limit(BATCH).select(PlanRow::as_select()).load(self)?
                    };
                    if !rows.is_empty() {
                        return Ok(rows.into_iter().map(|row| PlanAt { depth, row }).collect());
                    }
                    (depth, id) = (depth + 1, "");
                }
                Ok(Vec::new())
            }

            fn write(&mut self, rows: Vec<$crate::store::moving::rows::PlanAt>) -> QueryResult<()> {
                let rows: Vec<_> = rows.into_iter().map(|at| at.row).collect();
                diesel::insert_into($crate::store::schema::plans::table).values(rows).execute(self).map(|_| ())
            }
        }

        impl $crate::store::moving::rows::Table<$crate::store::moving::rows::ChildRow> for $connection {
            fn read(
                &mut self,
                after: Option<&$crate::store::moving::rows::ChildRow>,
            ) -> QueryResult<Vec<$crate::store::moving::rows::ChildRow>> {
                use $crate::store::moving::rows::{BATCH, ChildRow};
                use $crate::store::schema::subplans;

                let (mut depth, mut id) =
                    after.map_or((1, ""), |child| (child.row.depth, child.row.plan_id.as_str()));
                let deepest: Option<i64> =
                    subplans::table.select(diesel::dsl::max(subplans::depth)).first(self)?;
                while depth <= deepest.unwrap_or(0) {
                    let rows = subplans::table.filter(subplans::depth.eq(depth)).filter(subplans::plan_id.gt(id));
                    let rows: Vec<ChildRow> =
                        rows.order(subplans::plan_id).limit(BATCH).select(ChildRow::as_select()).load(self)?;
                    if !rows.is_empty() {
                        return Ok(rows);
                    }
                    (depth, id) = (depth + 1, "");
                }
                Ok(Vec::new())
            }

            fn write(&mut self, rows: Vec<$crate::store::moving::rows::ChildRow>) -> QueryResult<()> {
                diesel::insert_into($crate::store::schema::subplans::table).values(rows).execute(self).map(|_| ())
            }
        }

        impl $crate::store::moving::rows::Rows for $connection {
            fn counts(&mut self) -> QueryResult<Vec<i64>> {
                use $crate::store::schema::*;

                Ok(vec![
                    projects::table.count().get_result(self)?,
                    actions::table.count().get_result(self)?,
                    plans::table.count().get_result(self)?,
                    subplans::table.count().get_result(self)?,
                    plan_definitions::table.count().get_result(self)?,
                    plan_projects::table.count().get_result(self)?,
                    plan_guidance::table.count().get_result(self)?,
                    events::table.count().get_result(self)?,
                    locks::table.count().get_result(self)?,
                    requests::table.count().get_result(self)?,
                    orders::table.count().get_result(self)?,
                ])
            }

            fn forget_leases(&mut self) -> QueryResult<(usize, usize)> {
                use $crate::store::lock_row::TenureColumns;
                use $crate::store::moving::TOKEN_LEAP;
                use $crate::store::schema::{locks, tickets};

                let held = locks::table.filter(locks::owner_id.is_not_null());
                let cleared = diesel::update(held).set(TenureColumns::default()).execute(self)?;
                diesel::update(locks::table).set(locks::token.eq(locks::token + TOKEN_LEAP)).execute(self)?;
                Ok((cleared, diesel::delete(tickets::table).execute(self)?))
            }

            fn touch(&mut self) -> QueryResult<()> {
                diesel::connection::SimpleConnection::batch_execute(self, "SELECT 1")
            }

            fn fact(&mut self, key: &str) -> QueryResult<Option<String>> {
                use $crate::store::schema::meta;

                meta::table.find(key).select(meta::value).first(self).optional()
            }

            fn set_fact(&mut self, key: &str, value: Option<&str>) -> QueryResult<()> {
                use $crate::store::schema::meta;

                diesel::delete(meta::table.find(key)).execute(self)?;
                if let Some(value) = value {
                    let row = (meta::key.eq(key), meta::value.eq(value));
                    diesel::insert_into(meta::table).values(row).execute(self)?;
                }
                Ok(())
            }
        }
    };
    (@text $connection:ty, $row:ty, $table:ident, $key:ident) => {
        impl $crate::store::moving::rows::Table<$row> for $connection {
            fn read(&mut self, after: Option<&$row>) -> QueryResult<Vec<$row>> {
                use $crate::store::schema::$table;

                // No key is empty.
                let after = after.map_or("", |row| row.$key.as_str());
                $table::table
                    .filter($table::$key.gt(after))
                    .order($table::$key)
                    .limit($crate::store::moving::rows::BATCH)
                    .select(<$row>::as_select())
                    .load(self)
            }

            fn write(&mut self, rows: Vec<$row>) -> QueryResult<()> {
                diesel::insert_into($crate::store::schema::$table::table).values(rows).execute(self).map(|_| ())
            }
        }
    };
    (@pair $connection:ty, $row:ty, $table:ident, $first:ident, $second:ident, $least:expr) => {
        impl $crate::store::moving::rows::Table<$row> for $connection {
            fn read(&mut self, after: Option<&$row>) -> QueryResult<Vec<$row>> {
                use $crate::store::schema::$table;

                let (first, second) =
                    after.map_or((String::new(), $least), |row| (row.$first.clone(), row.$second.clone()));
                // The first condition is implied by the second, and is what an index can use.
                $table::table
                    .filter($table::$first.ge(&first))
                    .filter($table::$first.gt(&first).or($table::$second.gt(&second)))
                    .order(($table::$first, $table::$second))
                    .limit($crate::store::moving::rows::BATCH)
                    .select(<$row>::as_select())
                    .load(self)
            }

            fn write(&mut self, rows: Vec<$row>) -> QueryResult<()> {
                diesel::insert_into($crate::store::schema::$table::table).values(rows).execute(self).map(|_| ())
            }
        }
    };
}

pub(crate) use rows;
