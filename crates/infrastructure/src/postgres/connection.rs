//! One connection: how it is opened, what it promises, and how its transactions begin.
//!
//! **Durability.** Plans, their logs and renewals wait for the disk at their commit; grants, releases
//! and tickets do not (`synchronous_commit = off`, set within the transaction and gone with it). That
//! is safe for the reason that it is safe on SQLite (`sqlite/connection.rs`): both kinds append to one
//! write-ahead log, and what is flushed takes everything before it along. So a plan write that is
//! durable implies a grant that is; a grant that a crash of the server forgets has written nothing,
//! and its token, granted anew, goes to another owner, with whom it is checked together. A release
//! that is forgotten leaves a lock that its process, if it has ended, is proven not to hold; else its
//! term runs out.
//!
//! **Poolers.** Between a pooler in transaction mode and us nothing outlives a transaction: there, no
//! statement is prepared by name, every setting is set anew in each transaction, and nothing listens.

use std::time::Duration;

use diesel::connection::{CacheSize, SimpleConnection as _};
use diesel::prelude::*;

use super::PostgresOptions;
use super::url::PostgresUrl;

/// How long a statement of the heartbeat may take: a fifth of the shortest lease.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// After so long without a word, a transaction that a process has begun and then slept in is ended by
/// the server: it keeps others from the rows that it has locked.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// What a transaction is for.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Purpose {
    /// Reads, all its queries at one moment.
    Read,
    /// Writes that wait for the disk.
    Durable,
    /// Grants and releases of locks, and the line.
    Lease,
}

/// How connections of one kind are set up.
#[derive(Debug, Clone)]
pub(crate) struct Setup {
    url: PostgresUrl,
    pooled: bool,
    timeout: Duration,
    listens: bool,
}

impl Setup {
    /// For tasks of a runtime.
    pub(crate) fn ordinary(options: &PostgresOptions) -> Self {
        let pooled = options.pooled || options.direct_url.is_some();
        Self { url: options.url.clone(), pooled, timeout: options.patience, listens: false }
    }

    /// For the heartbeat thread.
    pub(crate) fn heartbeat(options: &PostgresOptions) -> Self {
        Self { timeout: HEARTBEAT_TIMEOUT, ..Self::ordinary(options) }
    }

    /// For one that hears what others do, where one can.
    pub(crate) fn listening(options: &PostgresOptions) -> Self {
        let ordinary = Self::ordinary(options);
        match &options.direct_url {
            Some(url) => Self { url: url.clone(), pooled: false, listens: true, ..ordinary },
            None => Self { listens: !ordinary.pooled, ..ordinary },
        }
    }

    /// For one long transaction, past the pooler if there is a way. Nothing is prepared by name, for
    /// nobody says whether another server's URL leads through one.
    pub(crate) fn lasting(options: &PostgresOptions) -> Self {
        let ordinary = Self::ordinary(options);
        Self { url: options.direct_url.clone().unwrap_or(ordinary.url), pooled: true, ..ordinary }
    }

    /// Whether it hears what others do.
    pub(crate) const fn listens(&self) -> bool {
        self.listens
    }

    /// How long a statement may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// Whether a pooler may be in between.
    pub(crate) const fn pooled(&self) -> bool {
        self.pooled
    }

    /// Opens one.
    ///
    /// Unless told, OpenSSL cleans up when the process exits, under the hands of a thread that is just
    /// connecting (the heartbeat's), which ends the process by a signal instead. Its bindings tell it, once.
    pub(crate) fn connect(&self) -> ConnectionResult<PgConnection> {
        openssl_sys::init();
        let mut connection = PgConnection::establish(&self.url.for_libpq())?;
        if self.pooled {
            connection.set_prepared_statement_cache_size(CacheSize::Disabled);
        } else {
            let listen = if self.listens { "LISTEN agents;" } else { "" };
            let settings = format!("{} {listen}", self.settings("SET"));
            connection.batch_execute(&settings).map_err(ConnectionError::CouldntSetupConfiguration)?;
        }
        Ok(connection)
    }

    /// What begins a transaction, in one round trip.
    pub(crate) fn begin(&self, purpose: Purpose) -> String {
        let settings = if self.pooled { self.settings("SET LOCAL") } else { String::new() };
        match purpose {
            Purpose::Read => format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {settings}"),
            Purpose::Durable => format!("BEGIN; {settings}"),
            Purpose::Lease => format!(
                "BEGIN; {settings} SET LOCAL synchronous_commit = off; \
                 SET LOCAL idle_in_transaction_session_timeout = {};",
                HEARTBEAT_TIMEOUT.as_millis()
            ),
        }
    }

    /// A server that does not wait for its disk unless told is told.
    fn settings(&self, set: &str) -> String {
        let (statement, idle) = (self.timeout.as_millis(), IDLE_TIMEOUT.as_millis());
        let local = set.ends_with("LOCAL");
        format!(
            "{set} statement_timeout = {statement}; {set} idle_in_transaction_session_timeout = {idle}; \
             SELECT set_config('synchronous_commit', 'on', {local}) \
             WHERE current_setting('synchronous_commit') = 'off';"
        )
    }
}
