//! Where a benchmark keeps its plans: a fresh place on either store, gone when it is dropped.
//!
//! SQLite is a file on a real disk. PostgreSQL is a database of its own on the server that
//! `scripts/postgres run --durable COMMAND…` brings up, which waits for its disk. A place has a name, a
//! path or a URL, under which other processes open it.

use std::path::PathBuf;
use std::sync::Arc;

use agents_domain::action::Action;
use agents_domain::catalogue::ProjectStore;
use agents_domain::lock::{Line, LockPort, Processes as _};
use agents_domain::measures::Measures;
use agents_domain::plan::PlanStore;
use agents_domain::reads::PlanReads;
use agents_domain::request::{Pulse, Requests};
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::postgres::{PostgresOptions, PostgresStore, PostgresUrl};
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use agents_infrastructure::store::check::CheckReport;
use agents_testing::postgres::Database;
use tempfile::TempDir;

/// The argument that chooses the server.
const POSTGRES: &str = "postgres";

/// Which store.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    /// A file.
    Sqlite,
    /// A server.
    Postgres,
}

impl Kind {
    /// The one that the arguments ask for: `postgres`, or else the file.
    pub(crate) fn told() -> Self {
        if std::env::args().any(|argument| argument == POSTGRES) { Self::Postgres } else { Self::Sqlite }
    }

    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Sqlite => "SQLite",
            Self::Postgres => "PostgreSQL",
        }
    }

    /// A place with nothing in it.
    pub(crate) fn fresh(self) -> Place {
        match self {
            Self::Sqlite => {
                let directory =
                    tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
                Place::File(directory)
            }
            Self::Postgres => Place::Server(Database::fresh()),
        }
    }
}

/// A place of a benchmark's own.
pub(crate) enum Place {
    /// The directory of a file.
    File(TempDir),
    /// A database of the server.
    Server(Database),
}

impl Place {
    /// The path or the URL.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::File(directory) => directory.path().join("agents.db").display().to_string(),
            Self::Server(database) => database.url(),
        }
    }
}

/// An open store.
pub(crate) enum Store {
    /// On a file.
    Sqlite(SqliteStore),
    /// On a server.
    Postgres(PostgresStore),
}

/// Each port as an object, whichever adapter it is of.
macro_rules! ports {
    ($($name:ident -> $port:ident;)+) => {
        impl Store {$(
            pub(crate) fn $name(&self) -> Arc<dyn $port> {
                match self {
                    Self::Sqlite(store) => Arc::new(store.$name()),
                    Self::Postgres(store) => Arc::new(store.$name()),
                }
            }
        )+}
    };
}

ports! {
    locks -> LockPort;
    heartbeat_locks -> LockPort;
    line -> Line;
    pulse -> Pulse;
    requests -> Requests;
    plans -> PlanStore;
    projects -> ProjectStore;
    reads -> PlanReads;
    measures -> Measures;
}

impl Store {
    /// Opens the place of that name as the command line does, making its tables first if there are none.
    pub(crate) fn open(place: &str) -> Self {
        Self::with(place, true)
    }

    /// The same; it takes plans that nobody locked, too.
    pub(crate) fn open_unfenced(place: &str) -> Self {
        Self::with(place, false)
    }

    /// Checks all that is stored.
    pub(crate) fn check(&self) -> CheckReport {
        match self {
            Self::Sqlite(store) => store.check(),
            Self::Postgres(store) => store.check(),
        }
        .expect("read")
    }

    fn with(place: &str, fenced: bool) -> Self {
        if let Ok(url) = PostgresUrl::parse(place) {
            let options = PostgresOptions::new(url, parse);
            let options = if fenced { options } else { options.allow_unfenced() };
            return Self::Postgres(PostgresStore::create(options).expect("a database"));
        }
        let boot = SystemProcesses::new().myself("").boot_id;
        let options = SqliteOptions::new(PathBuf::from(place), Arc::new(SystemClock), boot, machine(), parse);
        let options = if fenced { options.in_place() } else { options.in_place().allow_unfenced() };
        Self::Sqlite(SqliteStore::create(options).expect("a database"))
    }
}

/// This machine, as the command line names it, which else would refuse the file.
fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    match id.trim() {
        "" => SystemProcesses::new().myself("").host,
        id => id.to_owned(),
    }
}

fn parse(source: &str, origin: &str) -> Result<Action, String> {
    action_file::parse(source, origin).map_err(|error| error.to_string())
}
