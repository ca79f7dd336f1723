//! Recognising a database file: ours, current, of this machine, or why not.
//!
//! The fast path of every command: one connection, one query for what SQLite keeps in the file's
//! header, one for our own marker. No migration harness runs when nothing is pending.

use std::collections::HashMap;
use std::path::Path;

use diesel::prelude::*;
use diesel::sql_types::{BigInt, Text};
use thiserror::Error;

use crate::sqlite::connection::{self, Purpose};
use crate::sqlite::failure::{self, Kind};
use crate::sqlite::filesystem;
use crate::store::SCHEMA_VERSION;
use crate::store::moving::MOVED_TO;
use crate::store::schema::meta;

/// `PRAGMA application_id` of our files: the letters `agnt`.
pub const APPLICATION_ID: i64 = 0x6167_6e74;
/// The key in `meta` of the machine whose boots the leases are judged by.
pub(crate) const MACHINE: &str = "machine";

/// Why a database file cannot be used.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum OpenError {
    /// There is no such file, or an empty one.
    #[error("there is no database at {path}; run `agents init`")]
    NotInitialised {
        /// The file.
        path: String,
    },
    /// The directory of the file is not there.
    #[error("the directory {path} does not exist and cannot be made")]
    MissingDirectory {
        /// The directory.
        path: String,
    },
    /// A file of another kind.
    #[error("{path} is not a SQLite database")]
    NotADatabase {
        /// The file.
        path: String,
    },
    /// A SQLite database whose pages contradict each other.
    #[error(
        "the database {path} is damaged; put a copy of it back, or move it away and start again with `agents init`"
    )]
    Damaged {
        /// The file.
        path: String,
    },
    /// A SQLite database of another program.
    #[error("{path} is a database, but not one of agents")]
    ForeignDatabase {
        /// The file.
        path: String,
    },
    /// File or directory cannot be written.
    #[error("{path} is read-only; agents needs to write the database and its directory")]
    ReadOnly {
        /// The file or directory.
        path: String,
    },
    /// Made by an earlier version and not migrated yet, or without its write-ahead log.
    #[error("the database is not up to date (schema {found} of {known}); run `agents db migrate`")]
    MigrationPending {
        /// The schema of the file.
        found: i64,
        /// The schema of this program.
        known: i64,
    },
    /// Made by a later version.
    #[error("the database has schema {found}, this program knows {known}; use a newer version of agents")]
    NewerSchema {
        /// The schema of the file.
        found: i64,
        /// The schema of this program.
        known: i64,
    },
    /// On a file system that other machines reach too, where SQLite's locks cannot be relied on.
    #[error("{path} is on a network file system ({kind}), where locks are not reliable; use a local path")]
    NetworkFilesystem {
        /// The directory.
        path: String,
        /// The file system.
        kind: String,
    },
    /// The file came from another machine, so its leases cannot be judged here.
    #[error(
        "the database belongs to the machine {found}; if it was moved here for good, run `agents db adopt`"
    )]
    OtherMachine {
        /// The machine in the file.
        found: String,
    },
    /// All that is in it is elsewhere now.
    #[error("the database {path} has been moved to {to}; use that one")]
    Moved {
        /// The file.
        path: String,
        /// Where to.
        to: String,
    },
    /// It cannot be read or written now.
    #[error("the database {path} is unavailable: {reason}")]
    Unavailable {
        /// The file.
        path: String,
        /// Why, for people.
        reason: String,
    },
}

impl OpenError {
    /// What SQLite's message about that file means.
    pub(crate) fn from_message(path: &Path, message: &str) -> Self {
        let path = path.display().to_string();
        match failure::kind(message) {
            Kind::NotADatabase => Self::NotADatabase { path },
            Kind::Corrupt => Self::Damaged { path },
            Kind::ReadOnly => Self::ReadOnly { path },
            _ => Self::Unavailable { path, reason: failure::sentence(message) },
        }
    }
}

/// What a file says of itself.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) header: Header,
    /// The machine it belongs to; `None` before its first migration is complete.
    pub(crate) machine: Option<String>,
    /// Where all of it was moved to, if it was.
    pub(crate) moved_to: Option<String>,
}

/// What SQLite keeps for us in the file's header, and whether anything else is in the file.
#[derive(Debug, Clone, PartialEq, Eq, QueryableByName)]
pub(crate) struct Header {
    #[diesel(sql_type = BigInt)]
    pub(crate) application_id: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) schema_version: i64,
    #[diesel(sql_type = BigInt)]
    pub(crate) tables: i64,
    #[diesel(sql_type = Text)]
    pub(crate) journal_mode: String,
}

/// What is to be made of a file that says this.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    /// Nobody's: there is nothing in it.
    Empty,
    /// Another program's.
    Foreign,
    /// Ours, of a later version.
    Newer,
    /// Ours, and closed: all of it is elsewhere.
    Moved,
    /// Ours, not complete yet.
    Pending,
    /// Ours and current, of another machine.
    OtherMachine,
    /// Ours, current, of this machine.
    Current,
}

impl Facts {
    /// Asks an open connection.
    pub(crate) fn read(connection: &mut SqliteConnection) -> QueryResult<Self> {
        let header: Header = diesel::sql_query(
            "SELECT a.application_id, u.user_version AS schema_version, j.journal_mode, \
             (SELECT count(*) FROM sqlite_schema) AS tables \
             FROM pragma_application_id a, pragma_user_version u, pragma_journal_mode j",
        )
        .get_result(connection)?;
        let migrated = header.application_id == APPLICATION_ID && header.schema_version > 0;
        let mut facts = if migrated { facts(connection)? } else { HashMap::new() };
        let (machine, moved_to) = (facts.remove(MACHINE), facts.remove(MOVED_TO));
        Ok(Self { header, machine, moved_to })
    }

    /// Judges them, seen from that machine.
    pub(crate) fn verdict(&self, machine: &str) -> Verdict {
        let header = &self.header;
        if self.moved_to.is_some() {
            return Verdict::Moved;
        }
        match (header.application_id, header.schema_version) {
            (APPLICATION_ID, version) if version > SCHEMA_VERSION => Verdict::Newer,
            (APPLICATION_ID, SCHEMA_VERSION) if header.journal_mode == "wal" => match self.machine.as_deref()
            {
                None => Verdict::Pending,
                Some(found) if found == machine => Verdict::Current,
                Some(_) => Verdict::OtherMachine,
            },
            (APPLICATION_ID, _) => Verdict::Pending,
            (0, 0) if header.tables == 0 => Verdict::Empty,
            _ => Verdict::Foreign,
        }
    }

    /// The error of a verdict that is not [`Verdict::Current`].
    pub(crate) fn refuse(&self, path: &Path, verdict: Verdict) -> Result<(), OpenError> {
        let (found, known) = (self.header.schema_version, SCHEMA_VERSION);
        let path = path.display().to_string();
        Err(match verdict {
            Verdict::Current => return Ok(()),
            Verdict::Empty => OpenError::NotInitialised { path },
            Verdict::Foreign => OpenError::ForeignDatabase { path },
            Verdict::Newer => OpenError::NewerSchema { found, known },
            Verdict::Moved => OpenError::Moved { path, to: self.moved_to.clone().unwrap_or_default() },
            Verdict::Pending => OpenError::MigrationPending { found, known },
            Verdict::OtherMachine => {
                OpenError::OtherMachine { found: self.machine.clone().unwrap_or_default() }
            }
        })
    }
}

fn facts(connection: &mut SqliteConnection) -> QueryResult<HashMap<String, String>> {
    Ok(meta::table.load::<(String, String)>(connection)?.into_iter().collect())
}

/// Opens an existing file for that purpose and reads what it says of itself.
pub(crate) fn examine(path: &Path, purpose: Purpose) -> Result<(SqliteConnection, Facts), OpenError> {
    filesystem::check_file(path)?;
    let connection = connection::connect(path, purpose);
    let mut connection = connection.map_err(|message| OpenError::from_message(path, &message))?;
    let facts = Facts::read(&mut connection).map_err(|e| OpenError::from_message(path, &e.to_string()))?;
    Ok((connection, facts))
}

/// Opens an existing file that is ours, current, and of this machine.
pub(crate) fn open(path: &Path, machine: &str) -> Result<SqliteConnection, OpenError> {
    let (connection, facts) = examine(path, Purpose::Read)?;
    facts.refuse(path, facts.verdict(machine))?;
    Ok(connection)
}
