//! A commit in one statement.
//!
//! ```text
//! the lock rows of these owners and tokens FOR KEY SHARE ─ all of them are there
//!   ─ UPDATE the plan, if it is at that version ─ its projects, its guidance, its row as a child
//!   ─ INSERT its events
//! ```
//!
//! Nothing is written unless the plan is, and the plan is only under all of its fences: what each part
//! writes hangs on the row that the `UPDATE` of the plan returns. Where nothing is returned, somebody has
//! to say why (stale, missing, written before by the same event), and that is the transaction in
//! `plans.rs`, which also has the rare writes: those by which children come to be or belong to the past.
//!
//! **The fence.** The statement sees the database as it was when it began, and may then wait: for a fence
//! whose term is being ended, for a first try of the same commit at the plan's row. Whatever it waited for
//! is read anew before it is judged. It must also be read anew if a term was ended and another begun after
//! the statement began, and *before* it came to that fence: then there is nobody to wait for, and the row it
//! knows is an old one. PostgreSQL reads it anew if the two locks are at odds, and `FOR KEY SHARE` is at odds
//! only with rows that were locked `FOR UPDATE` by whoever changed them, as all do that begin or end a term
//! (`locks.rs`). An `UPDATE` alone would go by unseen.

use agents_domain::lock::{Fence, LockKey};
use agents_domain::plan::{Change, PlanWrite};
use diesel::prelude::*;
use diesel::sql_types::BigInt;

use crate::postgres::statement::Statement;
use crate::store::column::to_i64;
use crate::store::event_row::EventRow;
use crate::store::fault::Fault;
use crate::store::plan_row::FactColumns;
use crate::store::project_row::ProgressColumns;
use crate::store::subplan_row::StandingColumns;

/// Whether one statement can write that.
pub(super) fn is_plain(write: &PlanWrite) -> bool {
    let plain = |change: &Change| match change {
        Change::Reverted { .. } => false,
        Change::Spawned { children } => children.iter().all(|child| child.replaces.is_none()),
        _ => true,
    };
    write.spawn.is_empty() && write.events.iter().all(|event| plain(&event.change))
}

/// Writes it, if all is as it was hoped; `false`: nothing was written.
pub(super) fn commit(connection: &mut PgConnection, write: &PlanWrite, fence: &Fence) -> Result<bool, Fault> {
    let own = (LockKey::Plan(write.plan.id), *fence);
    let (terms, owners) = super::terms(write.also.iter().chain([&own]));
    let statement = Statement::<BigInt>::new(
        "WITH fence AS MATERIALIZED ( \
           SELECT FROM locks WHERE (resource_type, resource_id, token, owner_id) IN \
             (SELECT * FROM unnest(?, ?, ?, ?)) ORDER BY resource_type, resource_id FOR KEY SHARE), \
         standing AS MATERIALIZED (SELECT count(*) AS n FROM fence), ",
    );
    let statement = statement
        .terms(&terms)
        .texts(owners)
        .and(
            "written AS ( \
               UPDATE plans SET ? FROM standing \
               WHERE plans.id = ? AND plans.version = ? AND standing.n = ? AND (? = 1 OR plans.token IS NULL) \
               RETURNING plans.id), ",
        )
        .part(FactColumns::new(&write.plan, fence).as_changeset())
        .text(write.plan.id.as_str())
        .number(to_i64(write.expected_version))
        .number(to_i64(terms.len() as u64))
        .number(i64::from(*fence != Fence::Unfenced));
    let statement = guidance(progress(standing(statement, write), write), write);
    let statement = events(statement, write, fence).and("SELECT count(*) FROM written");
    Ok(statement.first::<i64>(connection)? == 1)
}

/// How a child stands in its family.
fn standing(statement: Statement<BigInt>, write: &PlanWrite) -> Statement<BigInt> {
    let Some(child) = &write.plan.subplan else { return statement };
    let row = "child AS (UPDATE subplans SET ? FROM written WHERE subplans.plan_id = written.id), ";
    statement.and(row).part(StandingColumns::from(child).as_changeset())
}

/// How far the plan is in each of its projects.
fn progress(statement: Statement<BigInt>, write: &PlanWrite) -> Statement<BigInt> {
    let projects = &write.plan.projects;
    if projects.is_empty() {
        return statement;
    }
    let facts: Vec<ProgressColumns> = projects.iter().map(ProgressColumns::from).collect();
    let column =
        |of: fn(&ProgressColumns) -> &Option<String>| facts.iter().map(move |facts| of(facts).clone());
    let rows = "progress AS ( \
       UPDATE plan_projects AS p SET base = f.base, tip = f.tip, snapshot = f.snapshot, resume = f.resume, \
         intent_id = f.intent_id, landing_ref = f.landing_ref, landing_old = f.landing_old, \
         landing_new = f.landing_new, landed = f.landed = 1 \
       FROM written, unnest(?, ?, ?, ?, ?, ?, ?, ?, ?, ?) AS f (project, base, tip, snapshot, resume, \
         intent_id, landing_ref, landing_old, landing_new, landed) \
       WHERE p.plan_id = written.id AND p.project = f.project \
       AND (p.base, p.tip, p.snapshot, p.resume, p.intent_id, p.landing_ref, p.landing_old, p.landing_new, \
         p.landed) IS DISTINCT FROM (f.base, f.tip, f.snapshot, f.resume, f.intent_id, f.landing_ref, \
         f.landing_old, f.landing_new, f.landed = 1)), ";
    statement
        .and(rows)
        .texts(projects.iter().map(|project| project.name.as_str()))
        .texts_or_null(column(|facts| &facts.base))
        .texts_or_null(column(|facts| &facts.tip))
        .texts_or_null(column(|facts| &facts.snapshot))
        .texts_or_null(column(|facts| &facts.resume))
        .texts_or_null(column(|facts| &facts.intent_id))
        .texts_or_null(column(|facts| &facts.landing_ref))
        .texts_or_null(column(|facts| &facts.landing_old))
        .texts_or_null(column(|facts| &facts.landing_new))
        .numbers(facts.iter().map(|facts| i64::from(facts.landed)))
}

/// Guidance only grows.
fn guidance(statement: Statement<BigInt>, write: &PlanWrite) -> Statement<BigInt> {
    if write.plan.guidance.is_empty() {
        return statement;
    }
    let rows = "advice AS ( \
       INSERT INTO plan_guidance (plan_id, position, text) SELECT id, place - 1, text \
       FROM written, unnest(?) WITH ORDINALITY AS g (text, place) \
       WHERE place > (SELECT count(*) FROM plan_guidance WHERE plan_id = ?)), ";
    let texts = write.plan.guidance.iter().map(String::as_str);
    statement.and(rows).texts(texts).text(write.plan.id.as_str())
}

fn events(statement: Statement<BigInt>, write: &PlanWrite, fence: &Fence) -> Statement<BigInt> {
    let rows: Vec<EventRow> = write.events.iter().map(|event| EventRow::new(event, fence)).collect();
    let log = "log AS ( \
       INSERT INTO events (plan_id, seq, event_id, kind, at, owner_id, token, schema_version, payload) \
       SELECT id, e.* FROM written, unnest(?, ?, ?, ?, ?, ?, ?, ?) AS e) ";
    statement
        .and(log)
        .numbers(rows.iter().map(|row| row.seq))
        .texts(rows.iter().map(|row| row.event_id.as_str()))
        .texts(rows.iter().map(|row| row.kind.as_str()))
        .numbers(rows.iter().map(|row| row.at))
        .texts_or_null(rows.iter().map(|row| row.owner_id.clone()))
        .numbers_or_null(rows.iter().map(|row| row.token))
        .numbers(rows.iter().map(|row| row.schema_version))
        .texts(rows.iter().map(|row| row.payload.as_str()))
}
