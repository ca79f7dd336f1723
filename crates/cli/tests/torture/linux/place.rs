//! Where the database lives: in a file, or on a server of the tests.

use std::path::{Path, PathBuf};
use std::sync::Arc;

use agents_domain::plan::PlanStore;
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use agents_testing::postgres::Database;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

/// Which database a run is on.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum On {
    Sqlite,
    Postgres,
}

impl On {
    /// As the command line has it.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "sqlite",
            Self::Postgres => "postgres",
        }
    }
}

/// A connection to either.
#[derive(diesel::MultiConnection)]
pub(crate) enum Link {
    Sqlite(SqliteConnection),
    Postgres(PgConnection),
}

/// The database of one run.
pub(crate) enum Place {
    File(PathBuf),
    Server(Database),
}

impl Place {
    /// A new one; the file is made by who opens it first.
    pub(crate) fn new(on: On, file: &Path) -> Self {
        match on {
            On::Sqlite => Self::File(file.to_owned()),
            On::Postgres => Self::Server(Database::fresh()),
        }
    }

    pub(crate) const fn server(&self) -> Option<&Database> {
        match self {
            Self::File(_) => None,
            Self::Server(database) => Some(database),
        }
    }

    /// Past whatever is in the way of others.
    pub(crate) fn connect(&self) -> ConnectionResult<Link> {
        match self {
            Self::File(path) => {
                let mut connection = SqliteConnection::establish(&path.display().to_string())?;
                let patient = connection.batch_execute("PRAGMA busy_timeout = 30000");
                patient.map_err(ConnectionError::CouldntSetupConfiguration)?;
                Ok(Link::Sqlite(connection))
            }
            Self::Server(database) => PgConnection::establish(&database.url()).map(Link::Postgres),
        }
    }

    /// What `agents db check` finds wrong, and the plans with their logs, as the program reads them.
    pub(crate) fn open(&self) -> (Vec<String>, Arc<dyn PlanStore>) {
        match self {
            Self::File(path) => {
                let options = SqliteOptions::new(path.clone(), Arc::new(SystemClock), "", machine(), parse);
                let store = SqliteStore::open(options).expect("the database opens");
                (store.check().expect("the database can be read").problems, Arc::new(store.plans()))
            }
            Self::Server(database) => {
                let url = PostgresUrl::parse(&database.url()).expect("a URL");
                let store =
                    PostgresStore::open(PostgresOptions::new(url, parse)).expect("the database opens");
                (store.check().expect("the database can be read").problems, Arc::new(store.plans()))
            }
        }
    }
}

fn parse(source: &str, origin: &str) -> Result<agents_domain::action::Action, String> {
    action_file::parse(source, origin).map_err(|error| error.to_string())
}

/// As the program names the machine in a file.
fn machine() -> String {
    match std::fs::read_to_string("/etc/machine-id").unwrap_or_default().trim() {
        "" => rustix::system::uname().nodename().to_string_lossy().into_owned(),
        id => id.to_owned(),
    }
}
