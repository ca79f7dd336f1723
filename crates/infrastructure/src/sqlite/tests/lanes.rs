//! Transactions that fail on the way.

use agents_domain::plan::StoreError;
use diesel::connection::SimpleConnection as _;

use super::world::World;
use crate::sqlite::failure::WORDS;
use crate::store::fault::Fault;

const BIG: &str = "INSERT INTO actions VALUES ('local/big', hex(zeroblob(1000000)), 0)";

#[test]
fn a_full_disk_is_told_although_sqlite_has_rolled_back_by_itself() {
    let (_world, store) = World::new();
    let full = store.durable.transact(|connection| {
        connection.batch_execute("PRAGMA max_page_count = 1")?;
        Ok(connection.batch_execute(BIG)?)
    });
    let error = full.expect_err("no page is left").into_store(WORDS);
    assert!(
        matches!(&error, StoreError::Unavailable { reason } if reason.contains("disk is full")),
        "{error}"
    );
    store.durable.transact(|connection| Ok(connection.batch_execute(BIG)?)).expect("a fresh connection");
}

#[test]
fn a_transaction_that_cannot_be_undone_takes_its_connection_along() {
    let (_world, store) = World::new();
    let undone = store.durable.transact(|connection| {
        connection.batch_execute("ROLLBACK")?;
        Err::<(), _>(Fault::unavailable("an answer of a port"))
    });
    assert!(matches!(undone, Err(Fault::Database(_))), "{undone:?}");
    store.durable.transact(|connection| Ok(connection.batch_execute(BIG)?)).expect("a fresh connection");
}
