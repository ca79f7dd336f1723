//! Plans on PostgreSQL: the aggregate with its log, written under a fence.
//!
//! Most commits are one statement ([`at_once`]). What it does not write, or not have written, is told
//! by a transaction:
//!
//! ```text
//! commit: BEGIN
//!   the lock rows of these owners and tokens FOR KEY SHARE, in the order of their keys; then, in a
//!     statement that begins only now, whether they are these owners' still; the plan
//!   no such plan                          → Missing
//!   a lock row with another owner, token; another version
//!     this event is there already         → Applied   (a retry after a lost reply)
//!     else                                → Stale
//!   UPDATE plan, its projects; INSERT events
//!   children of its past out of the way; INSERT new children, their locks free
//! COMMIT (waits for the disk)             → Applied
//! ```
//!
//! The lock rows stay locked until the end, so nobody can take a lock over between the check of its
//! fence and the write. The first try of a commit whose reply was lost may still be on its way: then
//! its repetition waits for it at the plan's row, and only afterwards looks for its event.

mod at_once;
mod insert;

use std::collections::HashSet;
use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::{Fence, Lease, LockKey, Term};
use agents_domain::plan::{
    CommitOutcome, Definition, Event, NewPlan, Opening, Plan, PlanRecord, PlanStore, PlanWrite, StoreError,
};
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use diesel::dsl::{exists, sql};
use diesel::prelude::*;
use diesel::result::{DatabaseErrorKind, Error};
use diesel::sql_types::{Array, BigInt, Text};

use super::acquire;
use super::connection::Purpose;
use super::failure::WORDS;
use super::lane::Lane;
use super::locks::moment;
use super::statement::Statement;
use super::subplans;
use crate::kin;
use crate::store::ParseAction;
use crate::store::arguments;
use crate::store::column::RowName;
use crate::store::event_row::EventRow;
use crate::store::fault::Fault;
use crate::store::lock_row::LockRow;
use crate::store::plan_row::{DefinitionRow, FactColumns, GuidanceRow, PlanRow};
use crate::store::project_row::{PlanProjectRow, ProgressColumns};
use crate::store::schema::{
    events, locks as lock_rows, plan_definitions, plan_guidance, plan_projects, plans,
    subplans as subplan_rows,
};
use crate::store::subplan_row::SubplanRow;

pub(crate) use insert::AT_ONCE;

/// The plans of one database.
pub struct PostgresPlans {
    pub(crate) lane: Arc<Lane>,
    pub(crate) allow_unfenced: bool,
    pub(crate) parse_action: ParseAction,
}

#[async_trait]
impl PlanStore for PostgresPlans {
    async fn create(&self, new: &NewPlan, opening: &Opening) -> Result<Lease, StoreError> {
        if matches!(opening, Opening::Unfenced) && !self.allow_unfenced {
            return Err(StoreError::UnfencedRefused);
        }
        let (new, opening) = (new.clone(), opening.clone());
        let work = move |connection: &mut PgConnection| create(connection, &new, &opening);
        match self.lane.run(Purpose::Durable, work.clone()).await {
            // A first try whose reply was lost was on its way still, and has come in now.
            Err(Fault::Database(Error::DatabaseError(DatabaseErrorKind::UniqueViolation, _))) => {
                self.lane.run(Purpose::Durable, work).await.map_err(store_error)
            }
            outcome => outcome.map_err(store_error),
        }
    }

    async fn load(&self, plan: PlanId) -> Result<Option<Plan>, StoreError> {
        let reading = move |connection: &mut PgConnection| load(connection, plan);
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn definition(&self, plan: PlanId) -> Result<Option<Definition>, StoreError> {
        let parse = self.parse_action;
        let reading = move |connection: &mut PgConnection| definition(connection, plan, parse);
        self.lane.run(Purpose::Read, reading).await.map_err(store_error)
    }

    async fn commit(&self, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, StoreError> {
        let fences = write.also.iter().map(|(_, fence)| fence).chain([fence]);
        if !self.allow_unfenced && fences.into_iter().any(|fence| *fence == Fence::Unfenced) {
            return Err(StoreError::UnfencedRefused);
        }
        let (write, fence) = (Arc::new(write.clone()), *fence);
        if at_once::is_plain(&write) {
            let write = Arc::clone(&write);
            let work = move |connection: &mut PgConnection| at_once::commit(connection, &write, &fence);
            if self.lane.once(Purpose::Durable, work).await.map_err(store_error)? {
                return Ok(CommitOutcome::Applied);
            }
        }
        let work = move |connection: &mut PgConnection| commit(connection, &write, &fence);
        self.lane.run(Purpose::Durable, work).await.map_err(store_error)
    }

    async fn events(&self, plan: PlanId) -> Result<Vec<Event>, StoreError> {
        let reading = move |connection: &mut PgConnection| log(connection, plan);
        self.lane.once(Purpose::Read, reading).await.map_err(store_error)
    }
}

fn store_error(fault: Fault) -> StoreError {
    fault.into_store(WORDS)
}

fn create(connection: &mut PgConnection, new: &NewPlan, opening: &Opening) -> Result<Lease, Fault> {
    let key = LockKey::Plan(new.plan.id);
    // Locked: what is granted again below is written on this very row.
    let found = acquire::locked(connection, std::slice::from_ref(&key))?.pop();
    let now: i64 = Statement::<BigInt>::new("SELECT agents_now()").first(connection)?;
    if let Some(found) = found {
        return created_before(connection, now, new, opening, found);
    }
    let (lock, lease) = match opening {
        Opening::Held(request) => LockRow::free(&key).grant(&key, moment(now), request)?,
        Opening::Unfenced => (LockRow::free(&key), unfenced(&key, now)),
    };
    insert::plans(connection, vec![(new, lock)], &lease.fence, &lease.fence)?;
    Ok(lease)
}

/// The same plan was stored before: the reply to the first try was lost, or the id is taken. In
/// the first case the maker gets its lock again, at the same token if it still stands.
fn created_before(
    connection: &mut PgConnection,
    now: i64,
    new: &NewPlan,
    opening: &Opening,
    found: LockRow,
) -> Result<Lease, Fault> {
    if !is_written(connection, &new.event)? {
        return Err(id_taken(new).into());
    }
    let key = LockKey::Plan(new.plan.id);
    let Opening::Held(request) = opening else { return Ok(unfenced(&key, now)) };
    let (row, lease) = found.grant(&key, moment(now), request)?;
    acquire::write(connection, &key, &row)?;
    Ok(lease)
}

/// The lease of the no-op lock: over as soon as it begins.
fn unfenced(key: &LockKey, now: i64) -> Lease {
    let now = Timestamp::from_millis(now);
    let fence = Fence::Unfenced;
    Lease { key: key.clone(), fence, acquired_at: now, expires_at: now, reentrant: false }
}

fn commit(connection: &mut PgConnection, write: &PlanWrite, fence: &Fence) -> Result<CommitOutcome, Fault> {
    let id = write.plan.id.as_str();
    let own = (LockKey::Plan(write.plan.id), *fence);
    let fenced = stand(connection, write.also.iter().chain([&own]))?;
    let found = plans::table.find(id).select((plans::version, plans::token)).for_no_key_update();
    let Some((version, token)) = found.first::<(i64, Option<i64>)>(connection).optional()? else {
        return Ok(CommitOutcome::Missing);
    };
    let expected = u64::try_from(version).ok() == Some(write.expected_version);
    if !fenced || !expected {
        let written = is_written(connection, write.last_event())?;
        return Ok(if written { CommitOutcome::Applied } else { CommitOutcome::Stale });
    }
    if *fence == Fence::Unfenced && token.is_some() {
        return Err(StoreError::UnfencedRefused.into());
    }
    diesel::update(plans::table.find(id)).set(FactColumns::new(&write.plan, fence)).execute(connection)?;
    update_projects(connection, &write.plan)?;
    add_guidance(connection, &write.plan)?;
    subplans::update(connection, &write.plan)?;
    let rows: Vec<EventRow> = write.events.iter().map(|event| EventRow::new(event, fence)).collect();
    diesel::insert_into(events::table).values(rows).execute(connection)?;
    for event in &write.events {
        subplans::retire(connection, event)?;
    }
    spawn(connection, write, fence)?;
    Ok(CommitOutcome::Applied)
}

/// The children come to be, nobody's yet: of the fence of their parent only their events know.
fn spawn(connection: &mut PgConnection, write: &PlanWrite, fence: &Fence) -> Result<(), Fault> {
    if write.spawn.is_empty() {
        return Ok(());
    }
    for child in &write.spawn {
        if let Some(reason) = kin::misfit(&child.plan, &write.plan) {
            return Err(RowName::new("plans", child.plan.id.as_str()).corrupt(reason).into());
        }
    }
    let ids: HashSet<String> = write.spawn.iter().map(|child| child.plan.id.to_string()).collect();
    let taken = lock_rows::table
        .filter(lock_rows::resource_type.eq(LockKey::Plan(write.plan.id).resource_type()))
        .filter(lock_rows::resource_id.eq_any(&ids))
        .select(lock_rows::resource_id);
    let mut taken: HashSet<String> = taken.load(connection)?.into_iter().collect();
    // Also by another of them.
    if let Some(child) = write.spawn.iter().find(|child| !taken.insert(child.plan.id.to_string())) {
        return Err(id_taken(child).into());
    }
    let born = write.spawn.iter().map(|child| (child, LockRow::free(&LockKey::Plan(child.plan.id))));
    insert::plans(connection, born.collect(), &Fence::Unfenced, fence)
}

fn id_taken(new: &NewPlan) -> StoreError {
    StoreError::Taken { what: format!("the plan id {}", new.plan.id), by: "another plan".to_owned() }
}

fn is_written(connection: &mut PgConnection, event: &Event) -> QueryResult<bool> {
    let same = events::table
        .filter(events::event_id.eq(event.id.as_str()))
        .filter(events::plan_id.eq(event.plan.as_str()));
    diesel::select(exists(same)).get_result(connection)
}

/// The terms that a write must be under, and whose they are. An unfenced write is under none.
fn terms<'f>(fences: impl Iterator<Item = &'f (LockKey, Fence)>) -> (Vec<Term>, Vec<String>) {
    let under = fences.filter_map(|(key, fence)| match fence {
        Fence::Token { owner, token } => Some(((key.clone(), *token), owner.to_string())),
        Fence::Unfenced => None,
    });
    under.unzip()
}

/// Whether all these locks are still these owners' at these tokens, until the transaction ends. They are
/// locked first, and judged by a statement that begins after that.
fn stand<'f>(
    connection: &mut PgConnection,
    fences: impl Iterator<Item = &'f (LockKey, Fence)>,
) -> QueryResult<bool> {
    let (terms, owners) = terms(fences);
    if terms.is_empty() {
        return Ok(true);
    }
    let lock = Statement::<BigInt>::new(
        "SELECT count(*) FROM ( \
           SELECT FROM locks WHERE (resource_type, resource_id) IN (SELECT * FROM unnest(?, ?)) \
           ORDER BY resource_type, resource_id FOR KEY SHARE) AS fence",
    );
    lock.keys(terms.iter().map(|(key, _)| key)).first::<i64>(connection)?;
    let standing = Statement::<BigInt>::new(
        "SELECT count(*) FROM locks WHERE (resource_type, resource_id, token, owner_id) IN \
         (SELECT * FROM unnest(?, ?, ?, ?))",
    );
    let count: i64 = standing.terms(&terms).texts(owners).first(connection)?;
    Ok(usize::try_from(count) == Ok(terms.len()))
}

/// Writes those projects in which something changed.
fn update_projects(connection: &mut PgConnection, plan: &PlanRecord) -> Result<(), Fault> {
    for row in project_rows(connection, plan.id)? {
        let facts = plan.projects.iter().find(|project| project.name.as_str() == row.project);
        let Some(progress) = facts.map(ProgressColumns::from) else { continue };
        if progress != row.progress {
            let row = plan_projects::table.find((row.plan_id, row.position));
            diesel::update(row).set(progress).execute(connection)?;
        }
    }
    Ok(())
}

/// Guidance only grows.
fn add_guidance(connection: &mut PgConnection, plan: &PlanRecord) -> Result<(), Fault> {
    if plan.guidance.is_empty() {
        return Ok(());
    }
    let stored = plan_guidance::table.filter(plan_guidance::plan_id.eq(plan.id.as_str()));
    let stored: i64 = stored.count().get_result(connection)?;
    let rows = GuidanceRow::of(plan, usize::try_from(stored).unwrap_or(0));
    diesel::insert_into(plan_guidance::table).values(rows).execute(connection)?;
    Ok(())
}

/// The rows of a plan's projects, in order.
pub(crate) fn project_rows(connection: &mut PgConnection, plan: PlanId) -> QueryResult<Vec<PlanProjectRow>> {
    plan_projects::table
        .filter(plan_projects::plan_id.eq(plan.as_str()))
        .order(plan_projects::position)
        .select(PlanProjectRow::as_select())
        .load(connection)
}

type Loaded = (PlanRow, Option<SubplanRow>, Option<PlanProjectRow>, Vec<String>);

/// A plan's facts, in one statement: so all of it is of one moment, for one round trip. A row for each
/// project, each with the rest of the plan.
pub(crate) fn load_record(connection: &mut PgConnection, plan: PlanId) -> Result<Option<PlanRecord>, Fault> {
    let guidance = sql::<Array<Text>>(
        "ARRAY(SELECT g.text FROM plan_guidance AS g WHERE g.plan_id = plans.id ORDER BY g.position)",
    );
    let rows: Vec<Loaded> = plans::table
        .left_join(subplan_rows::table.on(subplan_rows::plan_id.eq(plans::id)))
        .left_join(plan_projects::table.on(plan_projects::plan_id.eq(plans::id)))
        .filter(plans::id.eq(plan.as_str()))
        .order(plan_projects::position)
        .select((
            PlanRow::as_select(),
            Option::<SubplanRow>::as_select(),
            Option::<PlanProjectRow>::as_select(),
            guidance,
        ))
        .load(connection)?;
    let projects = rows.iter().filter_map(|(_, _, project, _)| project.as_ref());
    let projects = projects.map(PlanProjectRow::facts).collect::<Result<_, _>>()?;
    let Some((row, subplan, _, guidance)) = rows.into_iter().next() else { return Ok(None) };
    Ok(Some(row.into_record(projects, guidance, subplan)?))
}

/// A plan, if its row can exist.
pub(crate) fn load(connection: &mut PgConnection, plan: PlanId) -> Result<Option<Plan>, Fault> {
    let Some(record) = load_record(connection, plan)? else { return Ok(None) };
    let invalid = Plan::from_storage(record);
    Ok(Some(invalid.map_err(|error| RowName::new("plans", plan.as_str()).corrupt(error.reason))?))
}

fn definition(
    connection: &mut PgConnection,
    plan: PlanId,
    parse: ParseAction,
) -> Result<Option<Definition>, Fault> {
    let row =
        plan_definitions::table.find(plan.as_str()).select(DefinitionRow::as_select()).first(connection);
    let Some(row) = row.optional()? else { return Ok(None) };
    let name = RowName::new("plan_definitions", &row.plan_id);
    let action = parse(&row.action_source, &format!("the action of plan {plan}"));
    let mut action = name.parsed("action_source", action)?;
    if let Some(inherited) = row.definition_of_done {
        action.definition_of_done = inherited;
    }
    let projects =
        project_rows(connection, plan)?.iter().map(PlanProjectRow::ordered).collect::<Result<_, _>>()?;
    Ok(Some(Definition {
        action,
        arguments: name.parsed("arguments", arguments::from_json(&row.arguments))?,
        projects,
        action_source: row.action_source,
    }))
}

/// A plan's log, from its beginning.
pub(crate) fn log(connection: &mut PgConnection, plan: PlanId) -> Result<Vec<Event>, Fault> {
    let rows = events::table
        .filter(events::plan_id.eq(plan.as_str()))
        .order(events::seq)
        .select(EventRow::as_select())
        .load(connection)?;
    Ok(rows.into_iter().map(Event::try_from).collect::<Result<_, _>>()?)
}
