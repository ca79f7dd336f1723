//! The store of one command, whichever database it is on: the ports, and nothing of how they work.
//!
//! Together with `app.rs` the only place that knows concrete stores.

use std::path::Path;
use std::sync::Arc;

use agents_domain::catalogue::{ActionStore, ProjectStore};
use agents_domain::feed::Feed;
use agents_domain::lock::{Line, LockPort, Processes as _};
use agents_domain::measures::Measures;
use agents_domain::orders::Orders;
use agents_domain::plan::{PlanStore, StoreError};
use agents_domain::reads::PlanReads;
use agents_domain::request::{Pulse, Requests};
use agents_domain::workers::Workers;
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
#[cfg(feature = "postgres")]
use agents_infrastructure::postgres::{self, PostgresOptions, PostgresStore, PostgresUrl, ServerStatus};
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::sqlite::{self, Adoption, DatabaseStatus, SqliteOptions, SqliteStore};
use agents_infrastructure::store::check::CheckReport;
use agents_infrastructure::store::moving::{Address, Arrival, Departure, Restored};
use serde_json::{Value, json};

use crate::config::{Database, Settings};
use crate::failure::Failure;

/// An open database.
pub enum Store {
    /// On a file.
    Sqlite(SqliteStore),
    /// On a server.
    #[cfg(feature = "postgres")]
    Postgres(PostgresStore),
}

/// Each port as an object, whichever adapter it is of.
macro_rules! ports {
    ($($(#[$doc:meta])* $name:ident -> $port:ident;)+) => {
        impl Store {$(
            $(#[$doc])*
            pub fn $name(&self) -> Arc<dyn $port> {
                match self {
                                    Self::Sqlite(store) => Arc::new(store.$name()),
                    #[cfg(feature = "postgres")]
                    Self::Postgres(store) => Arc::new(store.$name()),
                }
            }
        )+}
    };
}

ports! {
    /// The locks, for tasks of a runtime.
    locks -> LockPort;
    /// The locks, for the heartbeat thread.
    heartbeat_locks -> LockPort;
    /// The line of those who wait for locks.
    line -> Line;
    /// The look of a heartbeat thread.
    pulse -> Pulse;
    /// What is asked of the holders of locks.
    requests -> Requests;
    /// The plans.
    plans -> PlanStore;
    /// The projects.
    projects -> ProjectStore;
    /// The actions.
    actions -> ActionStore;
    /// The plans as readers see them.
    reads -> PlanReads;
    /// The events of all plans.
    feed -> Feed;
    /// What it keeps counted.
    measures -> Measures;
    /// What workers are to do.
    orders -> Orders;
    /// Who takes it up.
    workers -> Workers;
}

impl Store {
    /// Opens a database that is there and current.
    pub fn open(settings: &Settings) -> Result<Self, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => Self::Sqlite(SqliteStore::open(file(path))?),
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => Self::Postgres(PostgresStore::open(server(settings, url))?),
        })
    }

    /// Opens a database, making it or bringing it up to date as needed.
    pub fn create(settings: &Settings) -> Result<Self, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => Self::Sqlite(SqliteStore::create(file(path))?),
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => Self::Postgres(PostgresStore::create(server(settings, url))?),
        })
    }

    /// Brings a database up to date.
    pub fn migrate(settings: &Settings) -> Result<Described, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => SqliteStore::migrate(&file(path))?.into(),
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => PostgresStore::migrate(&server(settings, url))?.into(),
        })
    }

    /// Describes a database, also one that cannot be opened for work.
    pub fn describe(settings: &Settings) -> Result<Described, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => sqlite::status(path)?.into(),
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => postgres::status(&server(settings, url))?.into(),
        })
    }

    /// Makes a database that was moved here this machine's own.
    pub fn adopt(settings: &Settings) -> Result<Adoption, Failure> {
        match &settings.database {
            Database::Sqlite(path) => Ok(SqliteStore::adopt(&file(path))?),
            #[cfg(feature = "postgres")]
            Database::Postgres(_) => {
                let message = "a server belongs to no machine; only a database file is adopted";
                Err(Failure::new(crate::exit::Exit::Refused, "not_a_file", message)
                    .hint("if it was restored from a backup: `agents db adopt --restored`"))
            }
        }
    }

    /// Tells which database that is.
    pub fn address(settings: &Settings) -> Result<Address, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => SqliteStore::address(&file(path)),
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => PostgresStore::address(&server(settings, url))?,
        })
    }

    /// Begins to move away from it.
    pub fn leave(settings: &Settings) -> Result<Departure, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => SqliteStore::leave(&file(path))?,
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => PostgresStore::leave(&server(settings, url))?,
        })
    }

    /// Begins to move to it.
    pub fn arrive(settings: &Settings) -> Result<Arrival, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => SqliteStore::arrive(&file(path)).map_err(|error| match error {
                sqlite::OpenError::Moved { path, to } => Failure::closed_target(&path, &to),
                error => error.into(),
            })?,
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => {
                PostgresStore::arrive(&server(settings, url)).map_err(|error| match error {
                    postgres::OpenError::Moved { place, to } => Failure::closed_target(&place, &to),
                    error => error.into(),
                })?
            }
        })
    }

    /// Makes a restored backup safe to go on with.
    pub fn restored(settings: &Settings) -> Result<Restored, Failure> {
        Ok(match &settings.database {
            Database::Sqlite(path) => SqliteStore::restored(&file(path))?,
            #[cfg(feature = "postgres")]
            Database::Postgres(url) => PostgresStore::restored(&server(settings, url))?,
        })
    }

    /// Checks everything that is stored. Blocks; reads the whole database.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        match self {
            Self::Sqlite(store) => store.check(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.check(),
        }
    }

    /// Where it is, for people; no password is in it.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(store) => store.path().display().to_string(),
            #[cfg(feature = "postgres")]
            Self::Postgres(store) => store.url().to_string(),
        }
    }
}

/// A database as it describes itself.
pub struct Described {
    /// For people, in order.
    pub facts: Vec<(&'static str, String)>,
    /// The same for programs.
    pub data: Value,
    /// The schema it has.
    pub schema_version: i64,
    /// The schema that this program knows.
    pub known_version: i64,
    /// Whether it must be brought up to date.
    pub pending: bool,
}

impl From<DatabaseStatus> for Described {
    fn from(status: DatabaseStatus) -> Self {
        let (schema_version, known_version, pending) =
            (status.schema_version, status.known_version, status.pending);
        let path = status.path.display().to_string();
        let facts = vec![
            ("path", path.clone()),
            ("size", status.size.to_string()),
            ("schema", format!("{schema_version} (known: {known_version})")),
            ("pending", pending.to_string()),
            ("journal", status.journal_mode.clone()),
            ("machine", status.machine.clone().unwrap_or_default()),
        ];
        let facts = with_move(facts, status.moved_to.as_ref());
        let data = json!({
            "path": path,
            "size": status.size,
            "schema_version": schema_version,
            "known_version": known_version,
            "pending": pending,
            "journal_mode": status.journal_mode,
            "machine": status.machine,
            "moved_to": status.moved_to,
        });
        Self { facts, data, schema_version, known_version, pending }
    }
}

#[cfg(feature = "postgres")]
impl From<ServerStatus> for Described {
    fn from(status: ServerStatus) -> Self {
        let (schema_version, known_version, pending) =
            (status.schema_version, status.known_version, status.pending);
        let facts = vec![
            ("server", format!("PostgreSQL {} at {}", status.server, status.place)),
            ("tables in", status.schema.clone().unwrap_or_default()),
            ("schema", format!("{schema_version} (known: {known_version})")),
            ("pending", pending.to_string()),
        ];
        let facts = with_move(facts, status.moved_to.as_ref());
        let data = json!({
            "url": status.place,
            "server_version": status.server,
            "namespace": status.schema,
            "schema_version": schema_version,
            "known_version": known_version,
            "pending": pending,
            "moved_to": status.moved_to,
        });
        Self { facts, data, schema_version, known_version, pending }
    }
}

/// Of a database that was moved, where to.
fn with_move(
    mut facts: Vec<(&'static str, String)>,
    moved_to: Option<&String>,
) -> Vec<(&'static str, String)> {
    facts.extend(moved_to.map(|to| ("moved to", to.clone())));
    facts
}

fn parse(source: &str, origin: &str) -> Result<agents_domain::action::Action, String> {
    action_file::parse(source, origin).map_err(|error| error.to_string())
}

fn file(path: &Path) -> SqliteOptions {
    let boot = SystemProcesses::new().myself("").boot_id;
    SqliteOptions::new(path, Arc::new(SystemClock), boot, machine(), parse).in_place()
}

#[cfg(feature = "postgres")]
fn server(settings: &Settings, url: &PostgresUrl) -> PostgresOptions {
    let direct_url = settings.direct.as_ref().and_then(|database| match database {
        Database::Postgres(url) => Some(url.clone()),
        Database::Sqlite(_) => None,
    });
    PostgresOptions { direct_url, pooled: settings.pooled, ..PostgresOptions::new(url.clone(), parse) }
}

/// What tells this machine from others: the system's machine id, or else its name.
pub fn machine() -> String {
    let id = std::fs::read_to_string("/etc/machine-id").unwrap_or_default();
    match id.trim() {
        "" => SystemProcesses::new().myself("").host,
        id => id.to_owned(),
    }
}
