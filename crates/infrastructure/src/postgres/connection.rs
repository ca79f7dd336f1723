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
//!
//! **Settings of others.** What we rely on is set, whatever role, database or another user of the pooler
//! has set: transactions see what is committed (`READ COMMITTED`) and may write, and names mean what is in
//! the schema in which the database was recognised.

use std::time::Duration;

use diesel::connection::{CacheSize, SimpleConnection as _};
use diesel::prelude::*;
use diesel::sql_types::Text;

use super::PostgresOptions;
use super::statement::Statement;
use super::url::PostgresUrl;

/// How long a statement of the heartbeat may take: a fifth of the shortest lease.
const HEARTBEAT_TIMEOUT: Duration = Duration::from_secs(1);
/// After so long without a word, a transaction that a process has begun and then slept in is ended by
/// the server: it keeps others from the rows that it has locked.
const IDLE_TIMEOUT: Duration = Duration::from_secs(5);

/// What is said of a connection past the pooler that ends somewhere else.
pub(crate) const OTHER_DATABASE: &str = "database_direct_url leads to another database than database_url";

/// Which database it is that was opened.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Whereabouts {
    /// Where our tables are.
    pub(crate) schema: String,
    /// The cluster and the database, if that needs to be known: it stays the same when a standby takes over.
    pub(crate) identity: Option<String>,
}

/// The cluster and the database of a connection; `None`: the server does not tell us.
pub(crate) fn identity(connection: &mut PgConnection) -> Option<String> {
    let identity = Statement::<Text>::new(
        "SELECT concat_ws('/', system_identifier, current_database()) FROM pg_control_system()",
    );
    identity.first(connection).ok()
}

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
    /// Whether it leads past a pooler.
    direct: bool,
    whereabouts: Option<Whereabouts>,
}

impl Setup {
    /// For tasks of a runtime.
    pub(crate) fn ordinary(options: &PostgresOptions) -> Self {
        let pooled = options.pooled || options.direct_url.is_some();
        Self {
            url: options.url.clone(),
            pooled,
            timeout: options.patience,
            listens: false,
            direct: false,
            whereabouts: None,
        }
    }

    /// For the heartbeat thread.
    pub(crate) fn heartbeat(options: &PostgresOptions) -> Self {
        Self { timeout: HEARTBEAT_TIMEOUT, ..Self::ordinary(options) }
    }

    /// For one that hears what others do, where one can.
    pub(crate) fn listening(options: &PostgresOptions) -> Self {
        let ordinary = Self::ordinary(options);
        match &options.direct_url {
            Some(url) => Self { url: url.clone(), pooled: false, listens: true, direct: true, ..ordinary },
            None => Self { listens: !ordinary.pooled, ..ordinary },
        }
    }

    /// For one long transaction, past the pooler if there is a way. Nothing is prepared by name, for
    /// nobody says whether another server's URL leads through one.
    pub(crate) fn lasting(options: &PostgresOptions) -> Self {
        let ordinary = Self::ordinary(options);
        let direct = options.direct_url.is_some();
        Self { url: options.direct_url.clone().unwrap_or(ordinary.url), pooled: true, direct, ..ordinary }
    }

    /// The same, to that database and no other.
    pub(crate) fn to(self, whereabouts: &Whereabouts) -> Self {
        Self { whereabouts: Some(whereabouts.clone()), ..self }
    }

    /// Whether it hears what others do.
    pub(crate) const fn listens(&self) -> bool {
        self.listens
    }

    /// How long a statement may take.
    pub(crate) const fn timeout(&self) -> Duration {
        self.timeout
    }

    /// What is said of its server, without the password.
    pub(crate) fn masked(&self, text: &str) -> String {
        self.url.masked(text)
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
            // In a pooled transaction these stand at its beginning.
            let settings = format!(
                "{} SET default_transaction_isolation = 'read committed'; \
                 SET default_transaction_read_only = off; {listen}",
                self.settings("SET")
            );
            connection.batch_execute(&settings).map_err(ConnectionError::CouldntSetupConfiguration)?;
        }
        self.check_where(&mut connection)?;
        Ok(connection)
    }

    /// Whether a connection past the pooler has come to the same database.
    fn check_where(&self, connection: &mut PgConnection) -> ConnectionResult<()> {
        let expected = self.whereabouts.as_ref().filter(|_| self.direct).and_then(|it| it.identity.as_ref());
        let Some(expected) = expected else { return Ok(()) };
        match identity(connection) {
            Some(found) if found != *expected => {
                Err(ConnectionError::BadConnection(OTHER_DATABASE.to_owned()))
            }
            _ => Ok(()),
        }
    }

    /// What begins a transaction, in one round trip.
    pub(crate) fn begin(&self, purpose: Purpose) -> String {
        let settings = if self.pooled { self.settings("SET LOCAL") } else { String::new() };
        let begin = if self.pooled { "BEGIN ISOLATION LEVEL READ COMMITTED READ WRITE" } else { "BEGIN" };
        match purpose {
            Purpose::Read => format!("BEGIN ISOLATION LEVEL REPEATABLE READ READ ONLY; {settings}"),
            Purpose::Durable => format!("{begin}; {settings}"),
            Purpose::Lease => format!(
                "{begin}; {settings} SET LOCAL synchronous_commit = off; \
                 SET LOCAL idle_in_transaction_session_timeout = {};",
                HEARTBEAT_TIMEOUT.as_millis()
            ),
        }
    }

    /// A server that does not wait for its disk unless told is told.
    fn settings(&self, set: &str) -> String {
        let (statement, idle) = (self.timeout.as_millis(), IDLE_TIMEOUT.as_millis());
        let local = set.ends_with("LOCAL");
        let path = self.whereabouts.as_ref().map_or_else(String::new, |it| {
            format!("{set} search_path = \"{}\", pg_temp;", it.schema.replace('"', "\"\""))
        });
        format!(
            "{path} {set} statement_timeout = {statement}; {set} idle_in_transaction_session_timeout = {idle}; \
             SELECT set_config('synchronous_commit', 'on', {local}) \
             WHERE current_setting('synchronous_commit') = 'off';"
        )
    }
}
