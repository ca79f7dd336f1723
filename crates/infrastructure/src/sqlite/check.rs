//! `agents db check`: whether what is stored can be true.
//!
//! SQLite looks after its pages and references. What only we can tell: every plan's log, replayed
//! through the transition function, must yield the plan; every plan and project has its lock, and
//! every lock its plan or project; the kept counts are right; every subplan is in its place below
//! its parent, whose log tells of it. Reads only, some plans at a time.

use diesel::prelude::*;
use diesel::sql_types::Text;

use crate::store::check::facts::facts;
use crate::store::check::{self, CheckReport};
use crate::store::fault::Fault;

#[derive(QueryableByName)]
struct Line {
    #[diesel(sql_type = Text)]
    line: String,
}

/// Each query yields a sentence for each thing that is wrong.
const QUERIES: [&str; 10] = [
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
    "SELECT 'the feed does not hold every event once, without a gap' AS line WHERE \
     (SELECT count(*) FROM events) <> (SELECT count(*) FROM feed JOIN events USING (plan_id, seq)) OR \
     (SELECT count(*) FROM events) <> (SELECT coalesce(max(position), 0) FROM feed) OR \
     EXISTS (SELECT 1 FROM feed GROUP BY plan_id, seq HAVING count(*) > 1)",
    "SELECT 'the count of the events ' || kind || ' is wrong' AS line FROM ( \
     SELECT kind, events FROM event_counts UNION ALL SELECT kind, 1 FROM feed JOIN events USING (plan_id, seq) \
     WHERE position > (SELECT max(position) / 1024 * 1024 FROM feed) UNION ALL SELECT kind, -1 FROM events) \
     GROUP BY kind HAVING sum(events) <> 0",
];

facts!(SqliteConnection);

/// Checks everything, in one read transaction.
pub(crate) fn check(connection: &mut SqliteConnection) -> Result<CheckReport, Fault> {
    check_telling(connection, &mut |_| Ok(()))
}

/// The same within a transaction of the caller's, who is told how many logs are replayed.
pub(crate) fn check_telling(
    connection: &mut SqliteConnection,
    told: &mut dyn FnMut(u64) -> QueryResult<()>,
) -> Result<CheckReport, Fault> {
    let mut report = CheckReport::default();
    for query in QUERIES {
        let lines: Vec<Line> = diesel::sql_query(query).load(connection)?;
        report.problems.extend(lines.into_iter().map(|line| line.line));
    }
    check::replay_all(connection, &mut report, told)?;
    Ok(report)
}
