//! Many more of the plans that are there: row by row the same, but for ids and ages, written by the
//! database itself with all its indices, triggers and checks.
//!
//! The number of a copy takes the place of the mark in every text, so that a log tells of the children of
//! its own copy; and each copy is an hour older than the one before. The columns are asked of the
//! database, which knows them all.

use agents_domain::id::PlanId;
use diesel::connection::SimpleConnection;
use diesel::prelude::*;
use diesel::sql_query;
use diesel::sql_types::{BigInt, Text};

use crate::lives::{MARK, range};

/// The tables of a plan and the column that names it, in the order in which they refer to each other.
const TABLES: [(&str, &str); 7] = [
    ("plans", "id"),
    ("subplans", "plan_id"),
    ("plan_definitions", "plan_id"),
    ("plan_projects", "plan_id"),
    ("plan_guidance", "plan_id"),
    ("events", "plan_id"),
    ("locks", "resource_id"),
];
/// Columns that are moments.
const MOMENTS: [&str; 4] = ["created_at", "updated_at", "attempt_started_at", "at"];
/// Between a copy and the next, in milliseconds.
const AGE: u64 = 3_600_000;
/// Copies of one transaction.
const AT_ONCE: usize = 50;

#[derive(QueryableByName)]
struct Column {
    #[diesel(sql_type = Text)]
    name: String,
    #[diesel(sql_type = Text)]
    kind: String,
}

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

/// A connection to either database.
enum Database {
    File(SqliteConnection),
    Server(PgConnection),
}

impl Database {
    fn at(place: &str) -> Self {
        if place.starts_with("postgres") {
            return Self::Server(PgConnection::establish(place).expect("a server"));
        }
        Self::File(SqliteConnection::establish(place).expect("a file"))
    }

    fn run(&mut self, text: &str) {
        let ran = match self {
            Self::File(connection) => connection.batch_execute(text),
            Self::Server(connection) => connection.batch_execute(text),
        };
        ran.unwrap_or_else(|error| panic!("{error}: {text}"));
    }

    fn number(&mut self, query: &str) -> i64 {
        let query = sql_query(query);
        let found: QueryResult<Number> = match self {
            Self::File(connection) => query.get_result(connection),
            Self::Server(connection) => query.get_result(connection),
        };
        found.expect("a number").number
    }

    fn columns(&mut self, table: &str) -> Vec<Column> {
        let found = match self {
            Self::File(connection) => {
                let query = format!("SELECT name, type AS kind FROM pragma_table_info('{table}')");
                sql_query(query).load(connection)
            }
            Self::Server(connection) => sql_query(format!(
                "SELECT column_name::text AS name, data_type::text AS kind FROM information_schema.columns \
                 WHERE table_schema = current_schema() AND table_name = '{table}' AND column_name <> 'tx'"
            ))
            .load(connection),
        };
        found.expect("columns")
    }
}

/// The id of a plan in the copy of that number; 0: the plan itself.
pub(crate) fn copy_of(plan: PlanId, copy: usize) -> PlanId {
    let id = if copy == 0 { plan.to_string() } else { plan.as_str().replace(MARK, &format!("{copy:06}")) };
    PlanId::parse(&id).expect("an id")
}

/// Copies all plans, so that there are so many of each.
pub(crate) fn multiply(place: &str, times: usize) {
    if times < 2 {
        return;
    }
    let mut database = Database::at(place);
    let careless = match database {
        // Nothing here is worth a wait for the disk.
        Database::File(_) => {
            "PRAGMA foreign_keys = ON; PRAGMA synchronous = OFF; PRAGMA cache_size = -200000"
        }
        Database::Server(_) => "SET synchronous_commit = off",
    };
    database.run(careless);
    let tables: Vec<Table> = TABLES.iter().map(|(name, key)| Table::of(&mut database, name, key)).collect();
    for first in (1..times).step_by(AT_ONCE) {
        let last = (first + AT_ONCE).min(times) - 1;
        let copies = tables.iter().map(|table| table.copies(first, last)).collect::<String>();
        database.run(&format!("BEGIN; {copies} COMMIT;"));
    }
    match database {
        Database::File(_) => database.run("PRAGMA wal_checkpoint(TRUNCATE)"),
        // What the server does by itself before long.
        Database::Server(_) => {
            let names = TABLES.map(|(name, _)| name).join(", ");
            database.run(&format!("VACUUM ANALYZE {names}, plan_counts"));
        }
    }
}

struct Table {
    name: &'static str,
    key: &'static str,
    columns: String,
    values: String,
}

impl Table {
    fn of(database: &mut Database, name: &'static str, key: &'static str) -> Self {
        let columns = database.columns(name);
        let value = |column: &Column| {
            let quoted = format!("\"{}\"", column.name);
            if MOMENTS.contains(&column.name.as_str()) {
                format!("{quoted} - CAST(k AS BIGINT) * {AGE}")
            } else if column.kind.eq_ignore_ascii_case("text") {
                // Six digits.
                format!("replace({quoted}, '{MARK}', substr(CAST(1000000 + k AS TEXT), 2))")
            } else {
                quoted
            }
        };
        let values = columns.iter().map(value).collect::<Vec<_>>().join(", ");
        let columns =
            columns.iter().map(|column| format!("\"{}\"", column.name)).collect::<Vec<_>>().join(", ");
        Self { name, key, columns, values }
    }

    /// The statement that makes the copies of these numbers.
    fn copies(&self, first: usize, last: usize) -> String {
        let Self { name, key, columns, values } = self;
        let (from, to) = range();
        format!(
            "WITH RECURSIVE copies (k) AS (SELECT {first} UNION ALL SELECT k + 1 FROM copies WHERE k < {last}) \
             INSERT INTO {name} ({columns}) SELECT {values} FROM copies, {name} \
             WHERE {key} >= '{from}' AND {key} < '{to}' ORDER BY k, {key};\n"
        )
    }
}

/// How much of the disk it takes, in bytes.
pub(crate) fn size(place: &str) -> i64 {
    let mut database = Database::at(place);
    match database {
        Database::File(_) => database
            .number("SELECT page_count * page_size AS number FROM pragma_page_count, pragma_page_size"),
        Database::Server(_) => database.number(
            "SELECT coalesce(sum(pg_total_relation_size(c.oid)), 0)::bigint AS number FROM pg_class AS c \
             WHERE c.relkind = 'r' AND c.relnamespace = current_schema()::regnamespace",
        ),
    }
}

/// What is in it.
pub(crate) fn facts(place: &str) -> String {
    let events = Database::at(place).number("SELECT count(*) AS number FROM events");
    format!("{events} events")
}
