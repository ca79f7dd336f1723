//! Making the tables, and bringing them up to date: in one transaction, one process at a time.
//!
//! The only advisory lock of this program is here. It is held for that transaction alone, so it does
//! not outlive it behind a pooler either.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use super::PostgresOptions;
use super::open::{Facts, OpenError, Verdict, examine, unavailable};
use crate::store::SCHEMA_VERSION;

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/postgres");

/// The letters `agnt`: the lock of those who make or change tables.
const MIGRATION_LOCK: i64 = 0x6167_6e74;

/// A database as `agents db status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ServerStatus {
    /// Where it is, without a password.
    pub place: String,
    /// The server's major version.
    pub server: i64,
    /// Where our tables are.
    pub schema: Option<String>,
    /// The schema version of the database.
    pub schema_version: i64,
    /// The schema version of this program.
    pub known_version: i64,
    /// Whether `agents db migrate` has something to do.
    pub pending: bool,
    /// Where all of it was moved to, if it was: then nothing else can be done here.
    pub moved_to: Option<String>,
}

/// Describes a database, also one that cannot be opened for work. Changes nothing.
pub fn status(options: &PostgresOptions) -> Result<ServerStatus, OpenError> {
    let (_, facts) = examine(options)?;
    let (verdict, place) = (facts.verdict(), options.url.to_string());
    if matches!(verdict, Verdict::Empty | Verdict::Foreign) {
        facts.refuse(&place, verdict)?;
    }
    Ok(ServerStatus {
        place,
        server: facts.server_major(),
        schema: facts.schema,
        schema_version: facts.version,
        known_version: SCHEMA_VERSION,
        pending: verdict == Verdict::Pending,
        moved_to: facts.moved_to,
    })
}

/// Makes the tables if there is nothing at all, and brings them up to date if they are ours.
pub(crate) fn create(options: &PostgresOptions) -> Result<(), OpenError> {
    bring_up(options, false)
}

/// The same, and makes them beside those of others, for one who has asked for it.
pub(crate) fn migrate(options: &PostgresOptions) -> Result<(), OpenError> {
    bring_up(options, true)
}

fn bring_up(options: &PostgresOptions, beside_others: bool) -> Result<(), OpenError> {
    let (mut connection, facts) = examine(options)?;
    let place = options.url.to_string();
    facts.check_server(&place)?;
    if facts.verdict() == Verdict::Current {
        return Ok(());
    }
    connection
        .transaction(|connection| {
            let lock =
                format!("SET LOCAL statement_timeout = 0; SELECT pg_advisory_xact_lock({MIGRATION_LOCK})");
            connection.batch_execute(&lock)?;
            // Whoever was at it before has perhaps done it all.
            let facts = Facts::read(connection)?;
            match facts.verdict() {
                Verdict::Empty | Verdict::Pending => {}
                Verdict::Foreign if beside_others => {}
                verdict => return Ok(facts.refuse(&place, verdict)?),
            }
            connection.run_pending_migrations(MIGRATIONS).map_err(|error| unavailable(options, &*error))?;
            if options.hand.is_some() {
                connection.batch_execute(TOLD_THE_TIME)?;
            }
            Ok(())
        })
        .map_err(|trouble| match trouble {
            Trouble::Open(error) => error,
            Trouble::Database(error) => unavailable(options, &error),
        })
}

/// What ends the transaction early.
enum Trouble {
    Open(OpenError),
    Database(diesel::result::Error),
}

impl From<diesel::result::Error> for Trouble {
    fn from(error: diesel::result::Error) -> Self {
        Self::Database(error)
    }
}

impl From<OpenError> for Trouble {
    fn from(error: OpenError) -> Self {
        Self::Open(error)
    }
}

/// For [`PostgresOptions::on_clock`].
const TOLD_THE_TIME: &str = "CREATE OR REPLACE FUNCTION agents_now() RETURNS BIGINT LANGUAGE sql VOLATILE \
     AS $$ SELECT current_setting('agents.now')::bigint $$";
