//! Making, migrating, adopting and describing a database file.
//!
//! All that writes happens under the gate, so two `agents init` at once make one database: the
//! second finds the work done. Each migration is one transaction. The first thing written to an
//! empty file is our mark, so that a crash in between leaves a file that is known to be ours.

use std::path::{Path, PathBuf};
use std::thread;
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel_migrations::{EmbeddedMigrations, MigrationHarness as _, embed_migrations};

use crate::sqlite::connection::{self, Purpose};
use crate::sqlite::filesystem;
use crate::sqlite::gate::{Entrance, Gate};
use crate::sqlite::open::{APPLICATION_ID, Facts, MACHINE, OpenError, Verdict, examine};
use crate::store::SCHEMA_VERSION;
use crate::store::schema::{locks, meta, plan_projects, projects};

const MIGRATIONS: EmbeddedMigrations = embed_migrations!("../../migrations/sqlite");

/// How often, and with what pause, the switch to a write-ahead log is tried: SQLite does not wait
/// for readers there, and readers of a database that has just been made are quick.
const WAL_TRIES: (u32, Duration) = (100, Duration::from_millis(20));

/// A database file as `agents db status` shows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct DatabaseStatus {
    /// The file.
    pub path: PathBuf,
    /// Its size in bytes, without its log.
    pub size: u64,
    /// The schema of the file.
    pub schema_version: i64,
    /// The schema of this program.
    pub known_version: i64,
    /// Whether `agents db migrate` has something to do.
    pub pending: bool,
    /// SQLite's journal mode; `wal` in a healthy database.
    pub journal_mode: String,
    /// The machine the file belongs to; `None` before the first migration.
    pub machine: Option<String>,
    /// Where all of it was moved to, if it was: then nothing else can be done here.
    pub moved_to: Option<String>,
}

/// What `agents db adopt` did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Adoption {
    /// The machine the file belonged to.
    pub from: Option<String>,
    /// How many locks of its processes were cleared. Their tokens stay.
    pub cleared: u64,
}

/// Describes a file, also one that cannot be opened for work. Changes nothing.
pub fn status(path: &Path) -> Result<DatabaseStatus, OpenError> {
    let (_, facts) = examine(path, Purpose::Read)?;
    let verdict = facts.verdict(facts.machine.as_deref().unwrap_or_default());
    if matches!(verdict, Verdict::Empty | Verdict::Foreign) {
        facts.refuse(path, verdict)?;
    }
    let size = path.metadata().map_err(|error| unavailable(path, error.to_string()))?.len();
    Ok(DatabaseStatus {
        path: path.to_owned(),
        size,
        schema_version: facts.header.schema_version,
        known_version: SCHEMA_VERSION,
        pending: verdict == Verdict::Pending,
        journal_mode: facts.header.journal_mode,
        machine: facts.machine,
        moved_to: facts.moved_to,
    })
}

/// Makes the file if there is none, or nothing in it, and brings it up to date.
pub(crate) fn create(path: &Path, machine: &str, bound: Duration) -> Result<(), OpenError> {
    filesystem::make_directory(path)?;
    let _turn = enter(path, bound)?;
    let existed = path.exists();
    if existed {
        filesystem::check_file(path)?;
    }
    let mut connection =
        connection::connect_or_make(path).map_err(|message| OpenError::from_message(path, &message))?;
    if !existed {
        filesystem::make_private(path).map_err(|error| unavailable(path, error.to_string()))?;
    }
    bring_up(&mut connection, path, machine)
}

/// Brings an existing file up to date.
pub(crate) fn migrate(path: &Path, machine: &str, bound: Duration) -> Result<(), OpenError> {
    filesystem::check_file(path)?;
    let _turn = enter(path, bound)?;
    let (mut connection, facts) = examine(path, Purpose::Durable)?;
    if facts.verdict(machine) == Verdict::Empty {
        return facts.refuse(path, Verdict::Empty);
    }
    bring_up(&mut connection, path, machine)
}

/// Makes a file that was moved here this machine's own. Its leases lie on the clock of another
/// machine, whose processes cannot hold anything here: they are cleared, their tokens kept.
pub(crate) fn adopt(path: &Path, machine: &str, bound: Duration) -> Result<Adoption, OpenError> {
    filesystem::check_file(path)?;
    let _turn = enter(path, bound)?;
    let (mut connection, facts) = examine(path, Purpose::Durable)?;
    match facts.verdict(machine) {
        Verdict::Current => return Ok(Adoption { from: facts.machine, cleared: 0 }),
        Verdict::OtherMachine => {}
        verdict => facts.refuse(path, verdict)?,
    }
    let cleared = connection.immediate_transaction(|connection| {
        diesel::replace_into(meta::table)
            .values((meta::key.eq(MACHINE), meta::value.eq(machine)))
            .execute(connection)?;
        rehome(connection, facts.machine.as_deref(), machine)?;
        diesel::update(locks::table.filter(locks::owner_id.is_not_null()))
            .set(crate::store::lock_row::TenureColumns::default())
            .execute(connection)
    });
    let cleared = cleared.map_err(|error| failed(path, &error))?;
    Ok(Adoption { from: facts.machine, cleared: cleared.try_into().unwrap_or(u64::MAX) })
}

/// What was at home on the machine that a file comes from is so on this one.
pub(crate) fn rehome(
    connection: &mut SqliteConnection,
    from: Option<&str>,
    machine: &str,
) -> QueryResult<()> {
    diesel::update(projects::table.filter(projects::machine_id.eq(from)))
        .set(projects::machine_id.eq(machine))
        .execute(connection)?;
    diesel::update(plan_projects::table.filter(plan_projects::machine_id.eq(from)))
        .set(plan_projects::machine_id.eq(machine))
        .execute(connection)?;
    Ok(())
}

fn bring_up(connection: &mut SqliteConnection, path: &Path, machine: &str) -> Result<(), OpenError> {
    let failed = |error| failed(path, &error);
    let facts = Facts::read(connection).map_err(failed)?;
    match facts.verdict(machine) {
        Verdict::Empty => {
            let mark = format!("PRAGMA application_id = {APPLICATION_ID}");
            connection.batch_execute(&mark).map_err(failed)?;
        }
        Verdict::Pending => {}
        verdict => return facts.refuse(path, verdict),
    }
    write_ahead(connection, path)?;
    let applied = connection.run_pending_migrations(MIGRATIONS).map(|_| ());
    applied.map_err(|error| OpenError::from_message(path, &error.to_string()))?;
    diesel::insert_or_ignore_into(meta::table)
        .values((meta::key.eq(MACHINE), meta::value.eq(machine)))
        .execute(connection)
        .map_err(failed)?;
    let facts = Facts::read(connection).map_err(failed)?;
    facts.refuse(path, facts.verdict(machine))
}

#[expect(
    clippy::disallowed_methods,
    reason = "SQLite has no signal to wait for here; the gate bounds who comes"
)]
fn write_ahead(connection: &mut SqliteConnection, path: &Path) -> Result<(), OpenError> {
    let (tries, pause) = WAL_TRIES;
    let mut last = String::new();
    for _ in 0..tries {
        match connection.batch_execute("PRAGMA journal_mode = WAL") {
            Ok(()) => return Ok(()),
            Err(error) => last = error.to_string(),
        }
        thread::sleep(pause);
    }
    Err(OpenError::from_message(path, &last))
}

pub(crate) fn enter(path: &Path, bound: Duration) -> Result<crate::sqlite::gate::Turn, OpenError> {
    Gate::new(path, bound).enter(Entrance::Ordinary).map_err(|reason| unavailable(path, reason))
}

pub(crate) fn failed(path: &Path, error: &diesel::result::Error) -> OpenError {
    OpenError::from_message(path, &error.to_string())
}

fn unavailable(path: &Path, reason: String) -> OpenError {
    OpenError::Unavailable { path: path.display().to_string(), reason }
}
