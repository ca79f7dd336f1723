//! `agents db check`: whether what is stored can be true.
//!
//! PostgreSQL looks after its pages and references. What only we can tell: every plan's log, replayed
//! through the transition function, must yield the plan; every plan and project has its lock, and
//! every lock its plan or project; the kept counts are right; every subplan is in its place below
//! its parent, whose log tells of it. Reads only, some plans at a time.

use diesel::connection::SimpleConnection as _;
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
const QUERIES: [&str; 7] = [
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
    "SELECT 'the count of the events ' || kind || ' is wrong' AS line FROM ( \
     SELECT kind, events FROM event_counts UNION ALL SELECT kind, -count(*) FROM events \
     WHERE (era, tx, plan_id, seq) <= (SELECT c.era, c.tx, c.plan_id, c.seq FROM counted_events AS c) \
     GROUP BY kind) AS counted GROUP BY kind HAVING sum(events) <> 0",
];

facts!(PgConnection);

/// Checks everything, in one read transaction.
pub(crate) fn check(connection: &mut PgConnection) -> Result<CheckReport, Fault> {
    // It takes as long as it takes.
    connection.batch_execute("SET LOCAL statement_timeout = 0")?;
    check_telling(connection, &mut |_| Ok(()))
}

/// The same within a transaction of the caller's, who is told how many logs are replayed.
pub(crate) fn check_telling(
    connection: &mut PgConnection,
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
