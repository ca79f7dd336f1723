//! The store of one command, whichever database it is on: the ports, and nothing of how they work.

use std::sync::Arc;

use agents_domain::catalogue::{ActionStore, ProjectStore};
use agents_domain::lock::{Line, LockPort};
use agents_domain::orders::Orders;
use agents_domain::plan::{PlanStore, StoreError};
use agents_domain::reads::PlanReads;
use agents_domain::request::{Pulse, Requests};
use agents_domain::workers::Workers;
use agents_infrastructure::sqlite::{CheckReport, SqliteStore};

use crate::app::Base;
use crate::config::Database;
use crate::failure::Failure;

/// An open database.
pub enum Store {
    /// On a file.
    Sqlite(SqliteStore),
}

/// Each port as an object, whichever adapter it is of.
macro_rules! ports {
    ($($(#[$doc:meta])* $name:ident -> $port:ident;)+) => {
        impl Store {$(
            $(#[$doc])*
            pub fn $name(&self) -> Arc<dyn $port> {
                match self {
                    Self::Sqlite(store) => Arc::new(store.$name()),
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
    /// What workers are to do.
    orders -> Orders;
    /// Who takes it up.
    workers -> Workers;
}

impl Store {
    /// Opens a database that is there and current.
    pub fn open(base: &Base) -> Result<Self, Failure> {
        match &base.settings.database {
            Database::Sqlite(path) => Ok(Self::Sqlite(SqliteStore::open(base.sqlite_options(path))?)),
        }
    }

    /// Opens a database, making it or bringing it up to date as needed.
    pub fn create(base: &Base) -> Result<Self, Failure> {
        match &base.settings.database {
            Database::Sqlite(path) => Ok(Self::Sqlite(SqliteStore::create(base.sqlite_options(path))?)),
        }
    }

    /// Checks everything that is stored. Blocks; reads the whole database.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        match self {
            Self::Sqlite(store) => store.check(),
        }
    }

    /// Where it is, for people; no password is in it.
    pub fn place(&self) -> String {
        match self {
            Self::Sqlite(store) => store.path().display().to_string(),
        }
    }
}
