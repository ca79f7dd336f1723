//! A database file as one side of a move: nobody else writes to it, at the gate and in SQLite, and what
//! is read and written is one transaction.

use agents_domain::lock::{HeldLock, LockFilter};
use diesel::connection::{AnsiTransactionManager, SimpleConnection as _, TransactionManager as _};
use diesel::prelude::*;

use crate::sqlite::SqliteOptions;
use crate::sqlite::check;
use crate::sqlite::connection::Purpose;
use crate::sqlite::failure::WORDS;
use crate::sqlite::feed;
use crate::sqlite::filesystem::Identity;
use crate::sqlite::gate::Turn;
use crate::sqlite::locks::{self, LeaseClock};
use crate::sqlite::migrate::{enter, failed};
use crate::sqlite::open::{Facts, MACHINE, OpenError, Verdict, examine};
use crate::store::check::CheckReport;
use crate::store::fault::{Fault, Words};
use crate::store::moving::rows::{BATCH, EventAt, Rows, Table, rows};
use crate::store::moving::{Address, Arrival, Departure, Restored, Side, closed_tables, restore, sentence};
use crate::store::schema::events;

rows!(SqliteConnection);

/// The feed has them in the order in which they are written.
impl Table<EventAt> for SqliteConnection {
    fn read(&mut self, after: Option<&EventAt>) -> QueryResult<Vec<EventAt>> {
        let rows = feed::rows(self, after.map_or(0, |at| at.place.1), BATCH)?;
        Ok(rows.into_iter().map(|(number, row)| EventAt { place: (0, number), row }).collect())
    }

    fn write(&mut self, rows: Vec<EventAt>) -> QueryResult<()> {
        let rows: Vec<_> = rows.into_iter().map(|at| at.row).collect();
        diesel::insert_into(events::table).values(rows).execute(self).map(|_| ())
    }
}

/// Tables that only a file has.
const OWN_TABLES: [&str; 2] = ["event_counts", "feed"];

/// One file. The connection goes before the turn does.
struct FileSide {
    connection: SqliteConnection,
    clock: LeaseClock,
    _turn: Turn,
}

/// Which file a path leads to.
pub(crate) fn address(options: &SqliteOptions) -> Address {
    let identity = Identity::of(&options.path).ok().map(|identity| format!("{identity:?}"));
    Address { place: options.path.display().to_string(), identity }
}

/// The file to move away from: ours, or closed by an earlier move.
pub(crate) fn leave(options: &SqliteOptions) -> Result<Departure, OpenError> {
    enter_with(options, &[Verdict::Current, Verdict::Moved]).map(Departure::new)
}

/// The file to move to; made, if need be.
pub(crate) fn arrive(options: &SqliteOptions) -> Result<Arrival, OpenError> {
    super::migrate::create(&options.path, &options.machine, options.gate_timeout)?;
    enter_with(options, &[Verdict::Current]).map(Arrival::new)
}

/// Makes a restored file safe to go on with, and this machine's own.
pub(crate) fn restored(options: &SqliteOptions) -> Result<Restored, OpenError> {
    let allowed = [Verdict::Current, Verdict::Moved, Verdict::OtherMachine];
    let mut side = enter_with(options, &allowed)?;
    let found = at_home(&mut side, &options.machine);
    found.map_err(|fault| OpenError::Unavailable {
        path: options.path.display().to_string(),
        reason: fault.into_store(WORDS).to_string(),
    })
}

/// Restores it, and has it belong to this machine with all that was at home where it comes from.
fn at_home(side: &mut FileSide, machine: &str) -> Result<Restored, Fault> {
    let from = side.connection.fact(MACHINE)?;
    side.connection.set_fact(MACHINE, Some(machine))?;
    restore(side, |side| super::migrate::rehome(&mut side.connection, from.as_deref(), machine))
}

fn enter_with(options: &SqliteOptions, allowed: &[Verdict]) -> Result<FileSide, OpenError> {
    let path = &options.path;
    let refuse = |facts: &Facts| match facts.verdict(&options.machine) {
        verdict if allowed.contains(&verdict) => Ok(()),
        verdict => facts.refuse(path, verdict),
    };
    // What is refused is refused at once, whoever writes.
    refuse(&examine(path, Purpose::Read)?.1)?;
    let turn = enter(path, options.gate_timeout)?;
    let (mut connection, _) = examine(path, Purpose::Durable)?;
    // Diesel is told of it: many rows it adds in a transaction of their own, or here within this one.
    AnsiTransactionManager::begin_transaction_sql(&mut connection, "BEGIN IMMEDIATE")
        .map_err(|error| failed(path, &error))?;
    refuse(&Facts::read(&mut connection).map_err(|error| failed(path, &error))?)?;
    let clock = LeaseClock { clock: options.clock.clone(), boot_id: options.boot_id.as_str().into() };
    Ok(FileSide { connection, clock, _turn: turn })
}

const WRITES: [&str; 3] = ["INSERT", "UPDATE", "DELETE"];

impl Side for FileSide {
    fn rows(&mut self) -> &mut dyn Rows {
        &mut self.connection
    }

    fn held(&mut self) -> Result<Vec<HeldLock>, Fault> {
        locks::list(&mut self.connection, &self.clock, &LockFilter::default())
    }

    fn shut(&mut self, to: &str) -> QueryResult<()> {
        let words = sentence(to).replace('\'', "''");
        for table in closed_tables(&OWN_TABLES) {
            for write in WRITES {
                self.connection.batch_execute(&format!(
                    "CREATE TRIGGER {table}_moved_{write} BEFORE {write} ON {table} \
                     BEGIN SELECT raise(ABORT, '{words}'); END"
                ))?;
            }
        }
        Ok(())
    }

    fn open_up(&mut self) -> QueryResult<()> {
        for table in closed_tables(&OWN_TABLES) {
            for write in WRITES {
                self.connection.batch_execute(&format!("DROP TRIGGER IF EXISTS {table}_moved_{write}"))?;
            }
        }
        Ok(())
    }

    fn check(&mut self, told: &mut dyn FnMut(u64) -> QueryResult<()>) -> Result<CheckReport, Fault> {
        check::check_telling(&mut self.connection, told)
    }

    fn commit(&mut self) -> Result<(), Fault> {
        AnsiTransactionManager::commit_transaction(&mut self.connection).map_err(Fault::AtCommit)
    }

    fn words(&self) -> Words {
        WORDS
    }
}
