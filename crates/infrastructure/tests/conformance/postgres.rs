//! A fresh place on the PostgreSQL server of the tests: a schema for each.

use std::sync::atomic::{AtomicU32, Ordering};

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

/// A schema that goes when this is dropped.
pub(crate) struct Fresh {
    admin: String,
    schema: String,
    url: String,
}

pub(crate) fn fresh() -> Fresh {
    static NEXT: AtomicU32 = AtomicU32::new(0);
    #[expect(clippy::disallowed_methods, reason = "the way to the server of the tests")]
    let admin = std::env::var("AGENTS_TEST_POSTGRES_URL").expect("run ./scripts/postgres run cargo test …");
    let schema = format!("t_{}_{}", std::process::id(), NEXT.fetch_add(1, Ordering::Relaxed));
    let mut connection = PgConnection::establish(&admin).expect("a server");
    connection.batch_execute(&format!("CREATE SCHEMA {schema}")).expect("a schema");
    let url = format!("{admin}?options=-csearch_path%3D{schema}");
    Fresh { admin, schema, url }
}

impl Fresh {
    pub(crate) fn url(&self) -> &str {
        &self.url
    }
}

impl Drop for Fresh {
    fn drop(&mut self) {
        let mut connection = PgConnection::establish(&self.admin).expect("a server");
        connection.batch_execute(&format!("DROP SCHEMA {} CASCADE", self.schema)).expect("dropped");
    }
}
