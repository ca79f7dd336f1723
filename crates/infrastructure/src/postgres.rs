//! The store on PostgreSQL, for any number of machines.
//!
//! [`PostgresStore::open`] recognises the database; the adapters it hands out share its connections:
//!
//! ```text
//! tasks: plans, locks, requests, reads ─── ordinary     some connections, shared
//! looks of those who wait in line ──────── listening    one of its own, opened by the first of them
//! heartbeat's renewals ─────────────────── heartbeat    one of its own, no runtime
//! heartbeat's looks ────────────────────── heartbeat    one of its own, no runtime
//! ```
//!
//! Leases are judged on the clock of the server (`agents_now()` of the schema), which is one for all
//! machines. They are rows, never advisory locks: those belong to a session, which a pooler shares
//! out, and they have no token.

mod acquire;
mod catalogue;
mod check;
mod connection;
mod failure;
mod feed;
mod lane;
mod line;
mod locks;
mod measures;
mod migrate;
mod moving;
mod open;
mod orders;
mod plans;
mod reads;
mod requests;
mod statement;
mod subplans;
mod url;
mod views;
mod workers;

use std::sync::Arc;
use std::time::Duration;

use agents_domain::plan::StoreError;
use agents_domain::time::Clock;

use crate::postgres::connection::{Purpose, Setup, Whereabouts};
use crate::postgres::lane::{Lane, Place};
use crate::store::ParseAction;
use crate::store::check::CheckReport;
use crate::store::moving::{Address, Arrival, Departure, Restored};

pub use catalogue::{PostgresActions, PostgresProjects};
pub use feed::PostgresFeed;
pub use line::PostgresLine;
pub use locks::PostgresLocks;
pub use measures::PostgresMeasures;
pub use migrate::{ServerStatus, status};
pub use open::{OLDEST_SERVER, OpenError};
pub use orders::PostgresOrders;
pub use plans::PostgresPlans;
pub use reads::PostgresReads;
pub use requests::{PostgresPulse, PostgresRequests};
pub use url::{InvalidUrl, PostgresUrl};
pub use workers::PostgresWorkers;

/// How many connections the tasks of one process share, unless told.
pub const CONNECTIONS: usize = 4;

/// How long a statement may take, unless told.
pub const PATIENCE: Duration = Duration::from_secs(10);

/// Which database, and what the store needs to know of the world.
#[derive(Clone)]
pub struct PostgresOptions {
    /// Where it is; there may be a pooler in between.
    pub url: PostgresUrl,
    /// The same database without a pooler, for what must hear of others at once. Given, the other one
    /// counts as pooled.
    pub direct_url: Option<PostgresUrl>,
    /// Whether `url` leads through a pooler in transaction mode.
    pub pooled: bool,
    /// How many connections the tasks of this process share, at least 1.
    pub connections: usize,
    /// How long a statement may take, its waits for others included, and how long one waits for a
    /// connection of this process to be free.
    pub patience: Duration,
    /// Reads actions back from their text.
    pub parse_action: ParseAction,
    /// Whether plans that were never locked may be written without a fence.
    pub allow_unfenced: bool,
    /// A clock in place of the server's; see [`PostgresOptions::on_clock`].
    pub hand: Option<HandTime>,
}

impl PostgresOptions {
    /// Fenced writes only, and no pooler.
    pub const fn new(url: PostgresUrl, parse_action: ParseAction) -> Self {
        Self {
            url,
            direct_url: None,
            pooled: false,
            connections: CONNECTIONS,
            patience: PATIENCE,
            parse_action,
            allow_unfenced: false,
            hand: None,
        }
    }

    /// Lets plans that were never locked be written without a fence: for tests, and for embedders
    /// with no second process.
    #[must_use]
    pub const fn allow_unfenced(mut self) -> Self {
        self.allow_unfenced = true;
        self
    }

    /// Says that the URL leads through a pooler in transaction mode.
    #[must_use]
    pub const fn pooled(mut self) -> Self {
        self.pooled = true;
        self
    }

    /// Judges leases on that clock, for tests, in a database made by [`PostgresStore::create`] with the
    /// same option: its `agents_now()` is told the time by each connection.
    #[must_use]
    pub fn on_clock(mut self, clock: Arc<dyn Clock>) -> Self {
        self.hand = Some(HandTime::new(clock));
        self
    }
}

/// A clock in place of the server's. It goes by time since boot, so that a wall clock that jumps
/// moves nothing.
#[derive(Clone)]
pub struct HandTime {
    clock: Arc<dyn Clock>,
    offset: i64,
}

impl HandTime {
    fn new(clock: Arc<dyn Clock>) -> Self {
        let offset = clock.now().as_millis() - clock.boottime().as_millis();
        Self { clock, offset }
    }

    fn now(&self) -> i64 {
        self.clock.boottime().as_millis() + self.offset
    }
}

/// A database in use.
pub struct PostgresStore {
    options: PostgresOptions,
    tasks: Arc<Lane>,
    whereabouts: Whereabouts,
}

impl PostgresStore {
    /// Opens a database that is there and current. Blocks for as long as it takes to connect.
    pub fn open(options: PostgresOptions) -> Result<Self, OpenError> {
        let (connection, whereabouts) = open::open(&options)?;
        let lane = Lane::new(
            Setup::ordinary(&options).to(&whereabouts),
            Place::Aside,
            options.connections.max(1),
            options.hand.clone(),
        );
        Ok(Self { tasks: Arc::new(lane.with(connection)), options, whereabouts })
    }

    /// Opens a database, first making its tables if there is nothing in it, or bringing them up to
    /// date. Safe with several at once; if the process dies in between, nothing has happened.
    pub fn create(options: PostgresOptions) -> Result<Self, OpenError> {
        migrate::create(&options)?;
        Self::open(options)
    }

    /// Brings a database up to date; makes the tables also beside those of others.
    pub fn migrate(options: &PostgresOptions) -> Result<ServerStatus, OpenError> {
        migrate::migrate(options)?;
        status(options)
    }

    /// Tells which database that is.
    pub fn address(options: &PostgresOptions) -> Result<Address, OpenError> {
        moving::address(options)
    }

    /// Begins to move away from that database: no writer gets in until it is dropped.
    pub fn leave(options: &PostgresOptions) -> Result<Departure, OpenError> {
        moving::leave(options)
    }

    /// Begins to move to that database, which is made if need be: no writer gets in until it is dropped.
    pub fn arrive(options: &PostgresOptions) -> Result<Arrival, OpenError> {
        moving::arrive(options)
    }

    /// Makes a restored backup safe to go on with, or a database that was moved and is to be used after
    /// all: no leases, no line, higher tokens.
    pub fn restored(options: &PostgresOptions) -> Result<Restored, OpenError> {
        moving::restored(options)
    }

    /// Checks everything that is stored. Blocks; reads the whole database.
    pub fn check(&self) -> Result<CheckReport, StoreError> {
        let found = self.tasks.transact_once(Purpose::Read, check::check);
        found.map_err(|fault| fault.into_store(failure::WORDS))
    }

    /// Where it is, without a password.
    pub fn url(&self) -> &PostgresUrl {
        &self.options.url
    }

    /// The locks, for tasks of a runtime.
    pub fn locks(&self) -> PostgresLocks {
        PostgresLocks { lane: Arc::clone(&self.tasks) }
    }

    /// The locks, for the heartbeat thread: over a connection of its own, in the calling thread, with
    /// no runtime. A statement may take a second: a thread that waits cannot look at its other leases.
    pub fn heartbeat_locks(&self) -> PostgresLocks {
        PostgresLocks { lane: Arc::new(self.heartbeat()) }
    }

    /// The line of those who wait for locks.
    pub fn line(&self) -> PostgresLine {
        let setup = Setup::listening(&self.options).to(&self.whereabouts);
        let looks = Lane::new(setup, Place::Aside, 1, self.options.hand.clone());
        PostgresLine::new(Arc::clone(&self.tasks), looks)
    }

    /// What is asked of the holders of locks.
    pub fn requests(&self) -> PostgresRequests {
        PostgresRequests { lane: Arc::clone(&self.tasks) }
    }

    /// The look of a heartbeat thread: over a connection of its own, in the calling thread.
    pub fn pulse(&self) -> PostgresPulse {
        PostgresPulse::new(self.heartbeat())
    }

    /// The plans.
    pub fn plans(&self) -> PostgresPlans {
        PostgresPlans {
            lane: Arc::clone(&self.tasks),
            allow_unfenced: self.options.allow_unfenced,
            parse_action: self.options.parse_action,
        }
    }

    /// The projects.
    pub fn projects(&self) -> PostgresProjects {
        PostgresProjects { lane: Arc::clone(&self.tasks) }
    }

    /// The actions.
    pub fn actions(&self) -> PostgresActions {
        PostgresActions { lane: Arc::clone(&self.tasks), parse_action: self.options.parse_action }
    }

    /// The plans as readers see them.
    pub fn reads(&self) -> PostgresReads {
        PostgresReads { lane: Arc::clone(&self.tasks) }
    }

    /// The events of all plans.
    pub fn feed(&self) -> PostgresFeed {
        PostgresFeed { lane: Arc::clone(&self.tasks) }
    }

    /// The numbers of the store.
    pub fn measures(&self) -> PostgresMeasures {
        PostgresMeasures { lane: Arc::clone(&self.tasks) }
    }

    /// What workers are to do.
    pub fn orders(&self) -> PostgresOrders {
        PostgresOrders { lane: Arc::clone(&self.tasks) }
    }

    /// Who takes it up.
    pub fn workers(&self) -> PostgresWorkers {
        PostgresWorkers { lane: Arc::clone(&self.tasks) }
    }

    fn heartbeat(&self) -> Lane {
        let setup = Setup::heartbeat(&self.options).to(&self.whereabouts);
        Lane::new(setup, Place::Here, 1, self.options.hand.clone())
    }
}
