//! `agents db check`: whether what is stored can be true.
//!
//! SQLite looks after its pages and references. What only we can tell: every plan's log, replayed
//! through the transition function, must yield the plan; every plan and project has its lock, and
//! every lock its plan or project; the kept counts are right; every subplan is in its place below
//! its parent, whose log tells of it. Reads only, plan by plan.

use agents_domain::id::PlanId;
use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::sqlite::failure::WORDS;
use crate::sqlite::plans::{load, log};
use crate::store::check::{self, CheckReport, Children};
use crate::store::fault::Fault;
use crate::store::schema::{plans, subplans};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Each query yields a sentence for each thing that is wrong.
const QUERIES: [&str; 8] = [
    "SELECT 'SQLite: ' || integrity_check AS line FROM pragma_integrity_check WHERE integrity_check <> 'ok'",
    "SELECT 'a row of ' || \"table\" || ' refers to a missing row of ' || parent AS line \
     FROM pragma_foreign_key_check",
    "SELECT 'plan/' || id || ' has no lock' AS line FROM plans WHERE id NOT IN \
     (SELECT resource_id FROM locks WHERE resource_type = 'plan') \
     UNION ALL SELECT 'project/' || name || ' has no lock' FROM projects WHERE name NOT IN \
     (SELECT resource_id FROM locks WHERE resource_type = 'project')",
    "SELECT 'the lock ' || resource_type || '/' || resource_id || ' belongs to nothing' AS line FROM locks \
     WHERE CASE resource_type WHEN 'plan' THEN resource_id NOT IN (SELECT id FROM plans) \
     ELSE resource_id NOT IN (SELECT name FROM projects) END",
    "SELECT 'the count of ' || action || ' in ' || phase || '/' || state || ' is wrong' AS line FROM \
     (SELECT action, phase, state, parent IS NOT NULL AS sub, count(*) AS n FROM plans GROUP BY 1, 2, 3, 4) \
     LEFT JOIN plan_counts USING (action, phase, state) WHERE subplan = sub AND n <> plans",
    "SELECT 'plan/' || id || ' and its row of subplans name different parents' AS line \
     FROM plans LEFT JOIN subplans ON plan_id = id WHERE plans.parent IS NOT subplans.parent",
    "SELECT 'plan/' || child.plan_id || ' is not one level below its parent, under the same root' AS line \
     FROM subplans AS child LEFT JOIN subplans AS above ON above.plan_id = child.parent WHERE \
     (child.root, child.depth) IS NOT (coalesce(above.root, child.parent), coalesce(above.depth, 0) + 1)",
    "SELECT 'plan/' || parent || ' has several subplans of the name ' || name AS line \
     FROM subplans WHERE current = 1 GROUP BY parent, name HAVING count(*) > 1",
];

/// Checks everything, in one read transaction.
pub(crate) fn check(connection: &mut SqliteConnection) -> Result<CheckReport, Fault> {
    let mut report = CheckReport::default();
    for query in QUERIES {
        let lines: Vec<Line> = diesel::sql_query(query).load(connection)?;
        report.problems.extend(lines.into_iter().map(|line| line.line));
    }
    let ids: Vec<String> = plans::table.select(plans::id).order(plans::id).load(connection)?;
    for id in &ids {
        let problem = problem(connection, id);
        report.note(id, problem);
    }
    Ok(report)
}

/// What is wrong with one plan.
fn problem(connection: &mut SqliteConnection, id: &str) -> Option<String> {
    let Ok(id) = PlanId::parse(id) else { return Some("its id is no ULID".to_owned()) };
    check::problem(load(connection, id), log(connection, id), children(connection, id), WORDS)
}

fn children(connection: &mut SqliteConnection, parent: PlanId) -> Result<Children, Fault> {
    let below = plans::table.filter(plans::parent.eq(parent.to_string())).select(plans::id);
    let rows = subplans::table.filter(subplans::plan_id.eq_any(below));
    let rows = rows.select((subplans::plan_id, subplans::name, subplans::current));
    let rows: Vec<(String, String, bool)> = rows.load(connection)?;
    Ok(rows.into_iter().map(|(id, name, current)| (id, (name, current))).collect())
}
