//! Somewhere a database can be, of either kind, and all that is done with one as a whole.

use std::sync::Arc;

use agents_domain::time::Clock;
use agents_infrastructure::clock::HandClock;
use agents_infrastructure::postgres::{self, PostgresOptions, PostgresStore};
use agents_infrastructure::sqlite::{self, SqliteOptions, SqliteStore};
use agents_infrastructure::store::moving::{Arrival, Departure, Restored};
use agents_testing::postgres::Database;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use tempfile::TempDir;

use crate::support::{Fixture, hand_clock, of_postgres, of_sqlite, postgres_options, sqlite_options};

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    File,
    Server,
}

/// Somewhere a database can be.
pub(super) struct Place {
    pub(super) at: At,
    clock: Arc<HandClock>,
}

pub(super) enum At {
    File(TempDir),
    Server(Database),
}

impl Place {
    pub(super) fn new(kind: Kind) -> Self {
        let at = match kind {
            Kind::File => At::File(tempfile::tempdir().expect("a directory")),
            Kind::Server => At::Server(Database::fresh()),
        };
        Self { at, clock: hand_clock() }
    }

    pub(super) fn file(&self, directory: &TempDir) -> SqliteOptions {
        sqlite_options(directory, &self.clock)
    }

    fn server(&self, database: &Database) -> PostgresOptions {
        postgres_options(&database.url()).on_clock(Arc::clone(&self.clock) as Arc<dyn Clock>)
    }

    pub(super) fn open(&self) -> Result<Fixture, String> {
        match &self.at {
            At::File(directory) => {
                let store = SqliteStore::open(self.file(directory)).map_err(|error| error.to_string())?;
                Ok(of_sqlite(&store, Arc::clone(&self.clock), Box::new(())))
            }
            At::Server(database) => {
                let store = PostgresStore::open(self.server(database)).map_err(|error| error.to_string())?;
                Ok(of_postgres(&store, Arc::clone(&self.clock), Box::new(())))
            }
        }
    }

    pub(super) fn create(&self) -> Fixture {
        match &self.at {
            At::File(directory) => drop(SqliteStore::create(self.file(directory)).expect("made")),
            At::Server(database) => drop(PostgresStore::create(self.server(database)).expect("made")),
        }
        self.open().expect("opened")
    }

    pub(super) fn leave(&self) -> Departure {
        match &self.at {
            At::File(directory) => SqliteStore::leave(&self.file(directory)).expect("left"),
            At::Server(database) => PostgresStore::leave(&self.server(database)).expect("left"),
        }
    }

    pub(super) fn arrive(&self) -> Arrival {
        match &self.at {
            At::File(directory) => SqliteStore::arrive(&self.file(directory)).expect("arrived"),
            At::Server(database) => PostgresStore::arrive(&self.server(database)).expect("arrived"),
        }
    }

    pub(super) fn restored(&self) -> Restored {
        match &self.at {
            At::File(directory) => SqliteStore::restored(&self.file(directory)).expect("restored"),
            At::Server(database) => PostgresStore::restored(&self.server(database)).expect("restored"),
        }
    }

    /// What a check finds wrong, and how many plans it replays.
    pub(super) fn checked(&self) -> (u64, Vec<String>) {
        let report = match &self.at {
            At::File(directory) => SqliteStore::open(self.file(directory)).expect("opened").check(),
            At::Server(database) => PostgresStore::open(self.server(database)).expect("opened").check(),
        };
        let report = report.expect("checked");
        (report.plans, report.problems)
    }

    pub(super) fn moved_to(&self) -> Option<String> {
        match &self.at {
            At::File(directory) => sqlite::status(&self.file(directory).path).expect("described").moved_to,
            At::Server(database) => postgres::status(&self.server(database)).expect("described").moved_to,
        }
    }

    pub(super) fn sql(&self, sql: &str) {
        match &self.at {
            At::File(directory) => {
                let path = self.file(directory).path.display().to_string();
                let mut connection = SqliteConnection::establish(&path).expect("opened");
                connection.batch_execute(sql).expect("done");
            }
            At::Server(database) => database.connect().batch_execute(sql).expect("done"),
        }
    }

    /// As if it had never been there.
    pub(super) fn wipe(&self) {
        match &self.at {
            At::File(directory) => {
                for file in std::fs::read_dir(directory.path()).expect("listed") {
                    std::fs::remove_file(file.expect("listed").path()).expect("removed");
                }
            }
            At::Server(_) => self.sql("DROP SCHEMA public CASCADE; CREATE SCHEMA public"),
        }
    }
}
