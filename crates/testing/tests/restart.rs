//! The server can be restarted as if it had crashed. Alone in its target: nobody else is connected.

use agents_testing::postgres::{Database, restart};
use diesel::connection::SimpleConnection as _;

#[test]
fn a_restart_cuts_connections_and_keeps_what_was_committed() {
    let database = Database::fresh();
    let mut before = database.connect();
    before.batch_execute("CREATE TABLE things (id INT)").expect("a table");
    restart();
    before.batch_execute("SELECT 1").expect_err("the connection is lost");
    database.connect().batch_execute("SELECT * FROM things").expect("the table is there");
}
