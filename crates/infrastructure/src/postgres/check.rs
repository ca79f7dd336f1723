//! `agents db check`: whether what is stored can be true.
//!
//! PostgreSQL looks after its pages and references. What only we can tell: every plan's log, replayed
//! through the transition function, must yield the plan; every plan and project has its lock, and
//! every lock its plan or project; the kept counts are right; every subplan is in its place below
//! its parent, whose log tells of it. Reads only, plan by plan.

use agents_domain::id::PlanId;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::failure::WORDS;
use super::plans::{load, log};
use crate::store::check::{self, CheckReport, Children};
use crate::store::fault::Fault;
use crate::store::schema::{plans, subplans};

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Each query yields a sentence for each thing that is wrong.
const QUERIES: [&str; 6] = [
    "SELECT 'plan/' || id || ' has no lock' AS line FROM plans WHERE NOT EXISTS \
     (SELECT FROM locks WHERE resource_type = 'plan' AND resource_id = id) \
     UNION ALL SELECT 'project/' || name || ' has no lock' FROM projects WHERE NOT EXISTS \
     (SELECT FROM locks WHERE resource_type = 'project' AND resource_id = name)",
    "SELECT 'the lock ' || resource_type || '/' || resource_id || ' belongs to nothing' AS line FROM locks \
     WHERE resource_type = 'plan' AND NOT EXISTS (SELECT FROM plans WHERE id = resource_id) \
     OR resource_type = 'project' AND NOT EXISTS (SELECT FROM projects WHERE name = resource_id)",
    "SELECT 'the count of ' || action || ' in ' || phase || '/' || state || ' is wrong' AS line FROM \
     (SELECT action, phase, state, parent IS NOT NULL AS subplan, count(*) AS n FROM plans GROUP BY 1, 2, 3, 4) AS p \
     FULL JOIN (SELECT action, phase, state, subplan, sum(plans) AS n FROM plan_counts GROUP BY 1, 2, 3, 4) AS c \
     USING (action, phase, state, subplan) WHERE coalesce(p.n, 0) <> coalesce(c.n, 0)",
    "SELECT 'plan/' || id || ' and its row of subplans name different parents' AS line \
     FROM plans LEFT JOIN subplans ON plan_id = id WHERE plans.parent IS DISTINCT FROM subplans.parent",
    "SELECT 'plan/' || child.plan_id || ' is not one level below its parent, under the same root' AS line \
     FROM subplans AS child LEFT JOIN subplans AS above ON above.plan_id = child.parent WHERE \
     (child.root, child.depth) IS DISTINCT FROM (coalesce(above.root, child.parent), coalesce(above.depth, 0) + 1)",
    "SELECT 'plan/' || parent || ' has several subplans of the name ' || name AS line \
     FROM subplans WHERE current GROUP BY parent, name HAVING count(*) > 1",
];

/// Checks everything, in one read transaction.
pub(crate) fn check(connection: &mut PgConnection) -> Result<CheckReport, Fault> {
    // It takes as long as it takes.
    connection.batch_execute("SET LOCAL statement_timeout = 0")?;
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
fn problem(connection: &mut PgConnection, id: &str) -> Option<String> {
    let Ok(id) = PlanId::parse(id) else { return Some("its id is no ULID".to_owned()) };
    check::problem(load(connection, id), log(connection, id), children(connection, id), WORDS)
}

fn children(connection: &mut PgConnection, parent: PlanId) -> Result<Children, Fault> {
    let below = plans::table.filter(plans::parent.eq(parent.to_string())).select(plans::id);
    let rows = subplans::table.filter(subplans::plan_id.eq_any(below));
    let rows = rows.select((subplans::plan_id, subplans::name, subplans::current));
    let rows: Vec<(String, String, bool)> = rows.load(connection)?;
    Ok(rows.into_iter().map(|(id, name, current)| (id, (name, current))).collect())
}
