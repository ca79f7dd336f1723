//! The store on one SQLite file.
//!
//! [`SqliteStore::open`] recognises the file; the adapters it hands out share its connections:
//!
//! ```text
//! reads ──────────────────────────────── read connection      any time, one moment each
//! plans, projects, actions, renewals ─┐
//!                                     ├─ gate ─ durable       waits for the disk
//! acquire, release, line, claims ─────┴─ gate ─ lease         does not (`connection.rs` says why)
//! looks of those who wait ──────────────── own           a read, many times a second
//! heartbeat's locks ──────────────────── turn ─ own           passes the queue, no runtime
//! heartbeat's look ─────────────────────────── own            a read, no runtime
//! ```
//!
//! Nothing but SQLite opens the database file: closing any other descriptor of it would drop the
//! locks that SQLite holds.

mod catalogue;
mod check;
mod connection;
mod failure;
mod feed;
mod filesystem;
mod gate;
mod lane;
mod line;
mod locks;
mod measures;
mod migrate;
mod moving;
mod open;
mod orders;
mod plans;
mod process;
mod reads;
mod renewal;
mod requests;
mod subplans;
mod views;
mod workers;

#[cfg(test)]
mod tests;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use agents_domain::plan::StoreError;
use agents_domain::time::Clock;

use crate::sqlite::connection::Purpose;
use crate::sqlite::filesystem::Identity;
use crate::sqlite::gate::Gate;
use crate::sqlite::lane::{Lane, Place, Site};
use crate::sqlite::locks::LeaseClock;
use crate::store::ParseAction;
use crate::store::check::CheckReport;
use crate::store::moving::{Address, Arrival, Departure, Restored};

pub use catalogue::{SqliteActions, SqliteProjects};
pub use feed::SqliteFeed;
pub use line::SqliteLine;
pub use locks::SqliteLocks;
pub use measures::SqliteMeasures;
pub use migrate::{Adoption, DatabaseStatus, status};
pub use open::{APPLICATION_ID, OpenError};
pub use orders::SqliteOrders;
pub use plans::SqlitePlans;
pub use reads::SqliteReads;
pub use requests::{SqlitePulse, SqliteRequests};
pub use workers::SqliteWorkers;

/// How long one waits for a turn to write (`locks.md`).
pub const GATE_TIMEOUT: Duration = Duration::from_secs(10);

/// How long a heartbeat waits for its turn: a fifth of the shortest lease.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);

/// Which file, and what the store needs to know of the world.
#[derive(Clone)]
pub struct SqliteOptions {
    /// The database file.
    pub path: PathBuf,
    /// Where time comes from.
    pub clock: Arc<dyn Clock>,
    /// This boot of this machine; leases of another one are over.
    pub boot_id: String,
    /// This machine; files of another one are refused.
    pub machine: String,
    /// Reads actions back from their text.
    pub parse_action: ParseAction,
    /// Whether plans that were never locked may be written without a fence.
    pub allow_unfenced: bool,
    /// How long one waits for a turn to write.
    pub gate_timeout: Duration,
    /// Whether what need not wait for other writers runs in the calling task.
    pub in_place: bool,
}

impl SqliteOptions {
    /// Fenced writes only, and the usual patience at the gate.
    pub fn new(
        path: impl Into<PathBuf>,
        clock: Arc<dyn Clock>,
        boot_id: impl Into<String>,
        machine: impl Into<String>,
        parse_action: ParseAction,
    ) -> Self {
        Self {
            path: path.into(),
            clock,
            boot_id: boot_id.into(),
            machine: machine.into(),
            parse_action,
            allow_unfenced: false,
            gate_timeout: GATE_TIMEOUT,
            in_place: false,
        }
    }

    /// Runs transactions in the calling task, as long as no other writer is in the way: reads, grants
    /// and releases, and plan writes, which wait for the disk. Faster, and for programs whose runtime
    /// serves one command at a time; elsewhere other tasks of that thread wait meanwhile.
    #[must_use]
    pub fn in_place(mut self) -> Self {
        self.in_place = true;
        self
    }

    /// Lets plans that were never locked be written without a fence: for tests, and for embedders
    /// with no second process.
    #[must_use]
    pub fn allow_unfenced(mut self) -> Self {
        self.allow_unfenced = true;
        self
    }
}

/// A database file in use.
pub struct SqliteStore {
    site: Arc<Site>,
    reads: Arc<Lane>,
    durable: Arc<Lane>,
    leases: Arc<Lane>,
    clock: LeaseClock,
    allow_unfenced: bool,
    parse_action: ParseAction,
}

impl SqliteStore {
    /// Opens a database that is there and current: one connection, two small queries.
    pub fn open(options: SqliteOptions) -> Result<Self, OpenError> {
        let connection = open::open(&options.path, &options.machine)?;
        let identity = Identity::of(&options.path).map_err(|error| OpenError::Unavailable {
            path: options.path.display().to_string(),
            reason: error.to_string(),
        })?;
        let bound = options.gate_timeout;
        let gate = Gate::new(&options.path, bound);
        let site = Arc::new(Site { path: options.path, identity, gate, bound });
        let quick = if options.in_place { Place::HereIfFree } else { Place::Aside };
        let durable = Lane::new(Arc::clone(&site), Purpose::Durable, quick, None);
        Ok(Self {
            reads: Arc::new(Lane::new(Arc::clone(&site), Purpose::Read, quick, Some(connection))),
            leases: Arc::new(Lane::beside(&durable, Purpose::Lease, quick)),
            durable: Arc::new(durable),
            site,
            clock: LeaseClock { clock: options.clock, boot_id: options.boot_id.into() },
            allow_unfenced: options.allow_unfenced,
            parse_action: options.parse_action,
        })
    }

    /// Opens a database, first making it and its directory, or bringing it up to date, as needed.
    /// Safe with several at once; if the process dies in between, calling it again goes on.
    pub fn create(options: SqliteOptions) -> Result<Self, OpenError> {
        migrate::create(&options.path, &options.machine, options.gate_timeout)?;
        Self::open(options)
    }

    /// Brings an existing database up to date.
    pub fn migrate(options: &SqliteOptions) -> Result<DatabaseStatus, OpenError> {
        migrate::migrate(&options.path, &options.machine, options.gate_timeout)?;
        status(&options.path)
    }

    /// Makes a database that was moved here this machine's own.
    pub fn adopt(options: &SqliteOptions) -> Result<Adoption, OpenError> {
        migrate::adopt(&options.path, &options.machine, options.gate_timeout)
    }

    /// Tells which database that is.
    pub fn address(options: &SqliteOptions) -> Address {
        moving::address(options)
    }

    /// Begins to move away from that database: no writer gets in until it is dropped.
    pub fn leave(options: &SqliteOptions) -> Result<Departure, OpenError> {
        moving::leave(options)
    }

    /// Begins to move to that database, which is made if need be: no writer gets in until it is dropped.
    pub fn arrive(options: &SqliteOptions) -> Result<Arrival, OpenError> {
        moving::arrive(options)
    }

    /// Makes a restored backup safe to go on with, or a database that was moved and is to be used after
    /// all: no leases, no line, higher tokens.
    pub fn restored(options: &SqliteOptions) -> Result<Restored, OpenError> {
        moving::restored(options)
    }

    /// Checks everything that is stored. Blocks; reads the whole database.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        self.reads.transact(check::check).map_err(|fault| fault.into_store(failure::WORDS))
    }

    /// The database file.
    pub fn path(&self) -> &Path {
        &self.site.path
    }

    /// The locks, for tasks of a runtime.
    pub fn locks(&self) -> SqliteLocks {
        SqliteLocks {
            leases: Arc::clone(&self.leases),
            renewals: Arc::clone(&self.durable),
            reads: Arc::clone(&self.reads),
            clock: self.clock.clone(),
        }
    }

    /// The locks, for the heartbeat thread: over a connection of its own, past the queue, and in
    /// the calling thread, with no runtime.
    ///
    /// Each call waits for its turn for a second at most: a thread that waits cannot look at its
    /// other leases.
    pub fn heartbeat_locks(&self) -> SqliteLocks {
        let bound = self.site.bound.min(HEARTBEAT_TIMEOUT);
        let (path, identity) = (self.site.path.clone(), self.site.identity);
        let site = Site { gate: Gate::new(&path, bound), path, identity, bound };
        let lane = Arc::new(Lane::heartbeat(Arc::new(site)));
        SqliteLocks {
            leases: Arc::clone(&lane),
            renewals: Arc::clone(&lane),
            reads: lane,
            clock: self.clock.clone(),
        }
    }

    /// The line of those who wait for locks. Looks go over a connection of its own, opened by the
    /// first of them.
    pub fn line(&self) -> SqliteLine {
        let place = self.reads.place();
        SqliteLine {
            writes: Arc::clone(&self.leases),
            looks: Arc::new(Lane::new(Arc::clone(&self.site), Purpose::Read, place, None)),
            clock: self.clock.clone(),
        }
    }

    /// What is asked of the holders of locks.
    pub fn requests(&self) -> SqliteRequests {
        SqliteRequests { writes: Arc::clone(&self.durable), reads: Arc::clone(&self.reads) }
    }

    /// What workers are to do.
    pub fn orders(&self) -> SqliteOrders {
        SqliteOrders {
            durable: Arc::clone(&self.durable),
            leases: Arc::clone(&self.leases),
            reads: Arc::clone(&self.reads),
            clock: self.clock.clone(),
        }
    }

    /// Who takes it up.
    pub fn workers(&self) -> SqliteWorkers {
        SqliteWorkers {
            writes: Arc::clone(&self.leases),
            reads: Arc::clone(&self.reads),
            clock: Arc::clone(&self.clock.clock),
        }
    }

    /// The look of a heartbeat thread: over a connection of its own, in the calling thread.
    pub fn pulse(&self) -> SqlitePulse {
        SqlitePulse::new(Lane::new(Arc::clone(&self.site), Purpose::Read, Place::Here, None))
    }

    /// The plans.
    pub fn plans(&self) -> SqlitePlans {
        SqlitePlans {
            writes: Arc::clone(&self.durable),
            reads: Arc::clone(&self.reads),
            clock: self.clock.clone(),
            allow_unfenced: self.allow_unfenced,
            parse_action: self.parse_action,
        }
    }

    /// The projects.
    pub fn projects(&self) -> SqliteProjects {
        let (writes, reads) = (Arc::clone(&self.durable), Arc::clone(&self.reads));
        SqliteProjects { writes, reads, clock: self.clock.clone() }
    }

    /// The actions.
    pub fn actions(&self) -> SqliteActions {
        let (writes, reads) = (Arc::clone(&self.durable), Arc::clone(&self.reads));
        SqliteActions { writes, reads, parse_action: self.parse_action }
    }

    /// The plans as readers see them.
    pub fn reads(&self) -> SqliteReads {
        SqliteReads { reads: Arc::clone(&self.reads), clock: self.clock.clone() }
    }

    /// The events of all plans.
    pub fn feed(&self) -> SqliteFeed {
        SqliteFeed { reads: Arc::clone(&self.reads) }
    }

    /// The numbers of the store.
    pub fn measures(&self) -> SqliteMeasures {
        SqliteMeasures { reads: Arc::clone(&self.reads), clock: self.clock.clone() }
    }
}
