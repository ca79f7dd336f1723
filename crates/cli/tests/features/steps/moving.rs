//! Steps that move from one database to another, and put a backup back.

use agents_testing::postgres::Database;
use cucumber::{given, then, when};
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::world::World;

/// The word stands for its URL.
#[given(expr = "an empty database {word} on a server")]
async fn server(world: &mut World, name: String) {
    let database = tokio::task::spawn_blocking(Database::fresh).await.expect("made");
    world.words.insert(name, database.url());
    world.databases.push(database);
}

#[when(expr = "commands use the database {string}")]
#[given(expr = "commands use the database {string} all along")]
fn used(world: &mut World, url: String) {
    let url = world.said(&url);
    world.variables.insert("AGENTS_DATABASE_URL".to_owned(), url);
}

/// What nobody remembers the asking of, so that there is something to copy.
#[given(expr = "{int} requests of old times")]
fn old_requests(world: &mut World, count: u32) {
    let path = world.database();
    let mut connection = SqliteConnection::establish(path.to_str().expect("utf-8")).expect("opens");
    let sql = format!(
        "WITH RECURSIVE n (n) AS (SELECT 1 UNION ALL SELECT n + 1 FROM n WHERE n < {count}) \
         INSERT INTO requests SELECT printf('01ARZ3NDEKTSV4RRFF%08d', n), 'project', 'local/site', 'cancel', NULL, 0, \
         'long ago', 'box', 7, 'ada', 1790000000000, 1790000000001, 'served' FROM n"
    );
    connection.batch_execute(&sql).expect("written");
}

/// As of one moment, with an empty log. A thread of the command before may be about to close the file.
#[when("a backup is made")]
fn backup(world: &mut World) {
    let path = world.database();
    let mut connection = SqliteConnection::establish(path.to_str().expect("utf-8")).expect("opens");
    connection
        .batch_execute("PRAGMA busy_timeout = 10000; PRAGMA wal_checkpoint(TRUNCATE)")
        .expect("an empty log");
    drop(connection);
    std::fs::copy(&path, path.with_file_name("backup.db")).expect("copied");
}

#[when("the backup is put back")]
fn put_back(world: &mut World) {
    let path = world.database();
    for log in ["agents.db-wal", "agents.db-shm"] {
        std::fs::remove_file(path.with_file_name(log)).ok();
    }
    std::fs::rename(path.with_file_name("backup.db"), path).expect("put back");
}

#[then("there is nothing on the server")]
fn nothing(world: &mut World) {
    #[derive(QueryableByName)]
    struct Count {
        #[diesel(sql_type = diesel::sql_types::BigInt)]
        rows: i64,
    }
    let database = world.databases.last().expect("a database");
    let count: Count = diesel::sql_query(
        "SELECT (SELECT count(*) FROM plans) + (SELECT count(*) FROM events) + (SELECT count(*) FROM requests) AS rows",
    )
    .get_result(&mut database.connect())
    .expect("the tables are there");
    assert_eq!(count.rows, 0);
}
