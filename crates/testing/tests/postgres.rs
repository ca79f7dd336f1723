//! A database of one's own is empty, apart from all others, and gone when it is over.

use agents_testing::postgres::Database;
use diesel::connection::SimpleConnection as _;
use diesel::sql_types::{BigInt, Bool, Text};
use diesel::{PgConnection, QueryableByName, RunQueryDsl as _, sql_query};

#[derive(QueryableByName)]
struct Number {
    #[diesel(sql_type = BigInt)]
    number: i64,
}

#[derive(QueryableByName)]
struct Found {
    #[diesel(sql_type = Text)]
    database: String,
    #[diesel(sql_type = Bool)]
    superuser: bool,
}

fn number(connection: &mut PgConnection, query: &str) -> i64 {
    sql_query(query).get_result::<Number>(connection).expect("a number").number
}

#[test]
fn a_fresh_database_is_empty_and_nobody_elses() {
    let (mine, yours) = (Database::fresh(), Database::fresh());
    let (mut here, mut there) = (mine.connect(), yours.connect());
    here.batch_execute("CREATE TABLE things (id INT)").expect("the role may make tables");
    let tables = "SELECT count(*) AS number FROM pg_tables WHERE schemaname = 'public'";
    assert_eq!((number(&mut here, tables), number(&mut there, tables)), (1, 0));
}

#[test]
fn the_role_is_no_superuser() {
    let database = Database::fresh();
    let query = "SELECT current_database()::text AS database, rolsuper AS superuser \
                 FROM pg_roles WHERE rolname = current_user";
    let found: Found = sql_query(query).get_result(&mut database.connect()).expect("the role");
    assert_eq!((found.database.as_str(), found.superuser), (database.name(), false));
}

#[test]
fn a_database_goes_with_its_value_whoever_is_connected() {
    let (first, other) = (Database::fresh(), Database::fresh());
    let connection = first.connect();
    let query = format!("SELECT count(*) AS number FROM pg_database WHERE datname = '{}'", first.name());
    assert_eq!(number(&mut other.connect(), &query), 1);
    drop(first);
    assert_eq!(number(&mut other.connect(), &query), 0);
    drop(connection);
}
