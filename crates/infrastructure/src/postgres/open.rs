//! Recognising a database: ours, current, or why not.

use std::collections::HashMap;
use std::time::{Duration, Instant};

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Bool, Nullable, Text};
use thiserror::Error;

use super::PostgresOptions;
use super::connection::{Setup, Whereabouts, identity};
use super::failure::{is_hasty, may_pass, telling_line, way_in};
use super::lane::rest;
use super::statement::Statement;
use crate::store::SCHEMA_VERSION;
use crate::store::moving::MOVED_TO;
use crate::store::schema::meta;

/// The comment on our table `meta`, by which a database is known to be ours.
const MARK: &str = "agents";
/// The key in `meta` of the number of the last migration.
const VERSION: &str = "schema_version";
/// The oldest server that this program works with.
pub const OLDEST_SERVER: i64 = 14;

/// Why a database cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// There is nothing in it.
    #[error("there is nothing in the database {place}; run `agents init`")]
    NotInitialised {
        /// The database.
        place: String,
    },
    /// There are tables of others in it, and none of ours.
    #[error(
        "the schema {schema} of {place} holds tables of another program; give agents a database or a schema of its own, or have its tables made beside them with `agents db migrate`"
    )]
    ForeignDatabase {
        /// The database.
        place: String,
        /// The schema.
        schema: String,
    },
    /// The schema that new tables would go to does not exist.
    #[error("no schema of {place} is on the search path of this connection; make it, or name another")]
    NoSchema {
        /// The database.
        place: String,
    },
    /// Made by an earlier version and not migrated yet.
    #[error("the database is not up to date (schema {found} of {known}); run `agents db migrate`")]
    MigrationPending {
        /// The schema of the database.
        found: i64,
        /// The schema of this program.
        known: i64,
    },
    /// Made by a later version.
    #[error("the database has schema {found}, this program knows {known}; use a newer version of agents")]
    NewerSchema {
        /// The schema of the database.
        found: i64,
        /// The schema of this program.
        known: i64,
    },
    /// All that is in it is elsewhere now.
    #[error("the database {place} has been moved to {to}; use that one")]
    Moved {
        /// The database.
        place: String,
        /// Where to.
        to: String,
    },
    /// The server is too old.
    #[error("the server of {place} is PostgreSQL {found}; agents needs {OLDEST_SERVER} or newer")]
    OldServer {
        /// The database.
        place: String,
        /// Its server's major version.
        found: i64,
    },
    /// The server takes no writes.
    #[error("the server of {place} is a standby and takes no writes; name the primary")]
    Standby {
        /// The database.
        place: String,
    },
    /// It cannot be reached, or does not let us in.
    #[error("the database {place} is unavailable: {reason}")]
    Unavailable {
        /// The database.
        place: String,
        /// Why, for people.
        reason: String,
        /// What helps whoever cannot connect: the beginning of a sentence.
        remedy: Option<&'static str>,
    },
}

/// What a database says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    /// The server's version, as in `server_version_num`.
    pub(crate) server: i64,
    pub(crate) standby: bool,
    /// Where new tables go.
    pub(crate) schema: Option<String>,
    /// Whether it bears our mark.
    pub(crate) ours: bool,
    /// How many tables, views and the like there are in that schema.
    pub(crate) relations: i64,
    /// The last migration; 0: none.
    pub(crate) version: i64,
    /// Where all of it was moved to, if it was.
    pub(crate) moved_to: Option<String>,
}

/// What is to be made of a database that says this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// There is nothing in it.
    Empty,
    /// Another program's.
    Foreign,
    /// Ours, of a later version.
    Newer,
    /// Ours, and closed: all of it is elsewhere.
    Moved,
    /// Ours, not up to date.
    Pending,
    /// Ours and current.
    Current,
}

type Seen = (BigInt, Bool, Nullable<Text>, Bool, BigInt);

impl Facts {
    /// Asks an open connection.
    pub(crate) fn read(connection: &mut PgConnection) -> QueryResult<Self> {
        let seen = Statement::<Seen>::new(
            "SELECT current_setting('server_version_num')::bigint, pg_is_in_recovery(), \
             current_schema()::text, \
             coalesce(obj_description(to_regclass(quote_ident(current_schema()) || '.meta'), 'pg_class') = ?, false), \
             (SELECT count(*) FROM pg_class WHERE relkind IN ('r', 'p', 'v', 'm', 'f', 'S') AND relnamespace = \
             (SELECT oid FROM pg_namespace WHERE nspname = current_schema()))",
        );
        let (server, standby, schema, ours, relations) = seen.text(MARK).first(connection)?;
        let mut facts = if ours { facts(connection)? } else { HashMap::new() };
        let version = version(facts.get(VERSION));
        Ok(Self { server, standby, schema, ours, relations, version, moved_to: facts.remove(MOVED_TO) })
    }

    /// Judges them.
    pub(crate) fn verdict(&self) -> Verdict {
        if self.moved_to.is_some() {
            return Verdict::Moved;
        }
        match (self.ours, self.version) {
            (true, SCHEMA_VERSION) => Verdict::Current,
            (true, found) if found > SCHEMA_VERSION => Verdict::Newer,
            (true, _) => Verdict::Pending,
            (false, _) if self.relations == 0 => Verdict::Empty,
            (false, _) => Verdict::Foreign,
        }
    }

    /// The server's major version.
    pub(crate) const fn server_major(&self) -> i64 {
        self.server / 10_000
    }

    /// The error of a server that we cannot work with, whatever is stored there.
    pub(crate) fn check_server(&self, place: &str) -> Result<(), OpenError> {
        let (place, found) = (place.to_owned(), self.server_major());
        if found < OLDEST_SERVER {
            return Err(OpenError::OldServer { place, found });
        }
        if self.standby {
            return Err(OpenError::Standby { place });
        }
        if self.schema.is_none() { Err(OpenError::NoSchema { place }) } else { Ok(()) }
    }

    /// The error of a verdict that is not [`Verdict::Current`].
    pub(crate) fn refuse(&self, place: &str, verdict: Verdict) -> Result<(), OpenError> {
        let (found, known) = (self.version, SCHEMA_VERSION);
        let place = place.to_owned();
        Err(match verdict {
            Verdict::Current => return Ok(()),
            Verdict::Empty => OpenError::NotInitialised { place },
            Verdict::Foreign => {
                OpenError::ForeignDatabase { place, schema: self.schema.clone().unwrap_or_default() }
            }
            Verdict::Moved => OpenError::Moved { place, to: self.moved_to.clone().unwrap_or_default() },
            Verdict::Newer => OpenError::NewerSchema { found, known },
            Verdict::Pending => OpenError::MigrationPending { found, known },
        })
    }
}

fn facts(connection: &mut PgConnection) -> QueryResult<HashMap<String, String>> {
    Ok(meta::table.load::<(String, String)>(connection)?.into_iter().collect())
}

fn version(stored: Option<&String>) -> i64 {
    // A number that is none is newer than all we know: nobody writes there.
    stored.map_or(0, |text| text.parse().unwrap_or(i64::MAX))
}

/// The failure of that database, in a line.
pub(crate) fn unavailable(options: &PostgresOptions, error: &dyn std::error::Error) -> OpenError {
    let said = error.to_string();
    OpenError::Unavailable {
        place: options.url.to_string(),
        reason: telling_line(&said),
        remedy: way_in(&said),
    }
}

/// Connects and reads what the database says of itself. Tried again for three seconds where a server was
/// there and had no time for us, or was lost under the first words; one that is not there is told at once.
#[expect(clippy::disallowed_methods, reason = "a length that no lease hangs on, and no time of day")]
pub(crate) fn examine(options: &PostgresOptions) -> Result<(PgConnection, Facts), OpenError> {
    let mut pauses = [50, 150, 400, 800, 1600].into_iter().map(Duration::from_millis);
    loop {
        let began = Instant::now();
        let seen = look(options);
        match (&seen, pauses.next()) {
            (Err(OpenError::Unavailable { reason, .. }), Some(pause))
                if may_pass(reason) || is_hasty(reason, began.elapsed()) =>
            {
                rest(pause);
            }
            _ => return seen,
        }
    }
}

fn look(options: &PostgresOptions) -> Result<(PgConnection, Facts), OpenError> {
    let mut connection = Setup::ordinary(options).connect().map_err(|error| unavailable(options, &error))?;
    let facts = Facts::read(&mut connection).map_err(|error| unavailable(options, &error))?;
    Ok((connection, facts))
}

/// Connects to a database that is ours and current.
pub(crate) fn open(options: &PostgresOptions) -> Result<(PgConnection, Whereabouts), OpenError> {
    let (mut connection, facts) = examine(options)?;
    let place = options.url.to_string();
    facts.check_server(&place)?;
    facts.refuse(&place, facts.verdict())?;
    // With one way only nobody can end up elsewhere.
    let identity = options.direct_url.as_ref().and_then(|_| identity(&mut connection));
    Ok((connection, Whereabouts { schema: facts.schema.unwrap_or_default(), identity }))
}
