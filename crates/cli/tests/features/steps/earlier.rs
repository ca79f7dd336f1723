//! A database as the program of an earlier schema left it.

use cucumber::given;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::world::World;

/// Its tables, as its migrations made them, with the notes that say which were made.
const TABLES: &str = concat!(
    include_str!("../../../../../migrations/sqlite/0001_core/up.sql"),
    include_str!("../../../../../migrations/sqlite/0002_requests_and_lines/up.sql"),
    "CREATE TABLE __diesel_schema_migrations (version VARCHAR(50) PRIMARY KEY NOT NULL, \
     run_on TIMESTAMP NOT NULL DEFAULT CURRENT_TIMESTAMP); \
     INSERT INTO __diesel_schema_migrations (version) VALUES ('0001'), ('0002');"
);
const CONTENT: &str = include_str!("../../../../infrastructure/tests/data/schema_2.sql");
/// The mark of our databases: `PRAGMA application_id`.
const MARK: &str = "SELECT application_id AS number, value AS machine \
    FROM pragma_application_id, meta WHERE key = 'machine'";

#[derive(QueryableByName)]
struct Mark {
    #[diesel(sql_type = diesel::sql_types::BigInt)]
    number: i64,
    #[diesel(sql_type = diesel::sql_types::Text)]
    machine: String,
}

/// In place of the database of today, and of the same machine.
#[given("the database is of schema 2, with plans in it")]
fn earlier(world: &mut World) {
    let path = world.database();
    let connect = || SqliteConnection::establish(path.to_str().expect("utf-8")).expect("opens");
    let mark: Mark = diesel::sql_query(MARK).get_result(&mut connect()).expect("a database of today");
    std::fs::remove_file(&path).expect("removed");
    let mark = format!(
        "PRAGMA application_id = {}; INSERT INTO meta VALUES ('machine', '{}')",
        mark.number, mark.machine
    );
    let sql = format!("PRAGMA journal_mode = WAL; {TABLES} {CONTENT} {mark}");
    connect().batch_execute(&sql).expect("made");
}
