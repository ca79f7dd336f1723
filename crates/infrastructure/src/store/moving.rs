//! Moving all that is stored to another database, so that at no time two of them can be worked with.
//!
//! ```text
//! old one                                       new one
//! no writer gets in; nobody alive holds a lock
//! "moved to …" written, every table closed      nothing is in it; no writer gets in
//!   rows, a batch at a time ──────────────────▶ rows: tokens, but no terms; orders, unclaimed
//!   counts ───────────────────────────────────▶ the same counts? every log replayed
//! COMMIT: closed
//!                                               COMMIT: there
//! ```
//!
//! Each side is one transaction. Readers of the old one go on all the while; its writers wait, and are
//! told by whom. Whoever dies before the first COMMIT has done nothing on either side. Between the two
//! the old one is closed and the new one empty: moving again, to the same place, finishes it, for what
//! is closed can be read. The other order would leave, in the same moment, two databases that both
//! let plans be driven, each knowing nothing of the landings of the other.
//!
//! Closed is not a word alone: triggers refuse every write, also of a process that had the database
//! open before, and of an older program. They are made with the mark and go with it
//! (`agents db adopt --restored`).
//!
//! A term is not moved: it is a promise on a clock that the new database does not know. Its token is:
//! the next holder gets a higher one. The process that drives a plan stands in the plan, so that a
//! recovery finds there what its death has left.

mod place;
pub(crate) mod rows;

use agents_domain::lock::HeldLock;
use agents_domain::plan::StoreError;
use diesel::result::QueryResult;
use thiserror::Error;

use crate::store::catalogue_row::{ActionRow, ProjectRow};
use crate::store::check::CheckReport;
use crate::store::fault::{Fault, Words};
use crate::store::moving::rows::{ChildRow, EventAt, PlanAt, Rows, Table, TokenRow};
use crate::store::order_row::OrderRow;
use crate::store::plan_row::{DefinitionRow, GuidanceRow};
use crate::store::project_row::PlanProjectRow;
use crate::store::request_row::RequestRow;

/// The tables that move, in an order in which each row finds what it refers to.
pub(crate) const MOVED: [&str; 11] = [
    "projects",
    "actions",
    "plans",
    "subplans",
    "plan_definitions",
    "plan_projects",
    "plan_guidance",
    "events",
    "locks",
    "requests",
    "orders",
];

/// The tables that do not: waiting ends with the move, workers begin anew, and triggers count anew.
pub(crate) const LEFT: [&str; 4] = ["plan_counts", "ticket_keys", "tickets", "workers"];

/// Key in `meta` of the place that a database was moved to.
pub(crate) const MOVED_TO: &str = "moved_to";
/// Key in `meta` of that move.
pub(crate) const DEPARTURE: &str = "departure";
/// Key in `meta` of the move by which a database was filled.
pub(crate) const ARRIVAL: &str = "arrival";

/// What a fencing token grows by when leases are cleared because history may have been lost: more than
/// was granted since the backup, were it a thousand times a second for thirty years. JSON readers that
/// keep numbers as floats still see it exactly, nine thousand times over.
pub(crate) const TOKEN_LEAP: i64 = 1_000_000_000_000;

/// The tables of a database that is closed: these, and those that only one kind of database has to keep
/// the order of events, or to count them.
pub(crate) fn closed_tables(own: &'static [&'static str]) -> impl Iterator<Item = &'static str> {
    MOVED.into_iter().chain(LEFT).chain(own.iter().copied())
}

/// What a writer to a database that was moved is told.
pub(crate) fn sentence(to: &str) -> String {
    format!("{SENTENCE} {to}")
}

/// How [`sentence`] begins.
pub(crate) const SENTENCE: &str = "the database has been moved to";

/// Which database that is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Address {
    /// As it is named to people, who may type it again: no password is in it.
    pub place: String,
    /// The same for two names of one; `None`: it is not there yet.
    pub identity: Option<String>,
}

/// One move.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Move {
    /// What tells it from others.
    pub id: String,
    /// Where to, for people: no password is in it.
    pub to: String,
}

/// A database in a transaction that no writer shares, as both sides of a move need it. Dropped without
/// [`Side::commit`], nothing has happened.
pub(crate) trait Side: Send {
    /// Its rows.
    fn rows(&mut self) -> &mut dyn Rows;

    /// Who holds which lock.
    fn held(&mut self) -> Result<Vec<HeldLock>, Fault>;

    /// Makes every table refuse writes.
    fn shut(&mut self, to: &str) -> QueryResult<()>;

    /// Undoes that.
    fn open_up(&mut self) -> QueryResult<()>;

    /// Checks everything that is stored, saying so now and then.
    fn check(&mut self, told: &mut dyn FnMut(u64) -> QueryResult<()>) -> Result<CheckReport, Fault>;

    /// Ends the transaction, waiting for the disk.
    fn commit(&mut self) -> Result<(), Fault>;

    /// How its failures are put.
    fn words(&self) -> Words;
}

/// The database that is moved away from.
pub struct Departure(Box<dyn Side>);

/// The database that is moved to.
pub struct Arrival(Box<dyn Side>);

/// How far a move is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Step {
    /// So many rows of a table are written, of so many.
    Copied {
        /// The table.
        table: &'static str,
        /// Rows written.
        rows: u64,
        /// Rows in all.
        of: u64,
    },
    /// So many logs are replayed in the new database, of so many.
    Replayed {
        /// Plans replayed.
        plans: u64,
        /// Plans in all.
        of: u64,
    },
}

/// What a move did.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Moved {
    /// The tables and how many rows of each.
    pub tables: Vec<(&'static str, u64)>,
    /// How many logs were replayed; 0 if it was done before.
    pub replayed: u64,
    /// It was done before: nothing was left to do.
    pub already: bool,
}

/// Why a database was not moved. Unless it says so, nothing has happened on either side.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum MoveError {
    /// There is something in the new one.
    #[error("the target is not empty: there are {rows} rows in {table}")]
    Occupied {
        /// A table.
        table: &'static str,
        /// How many rows.
        rows: u64,
    },
    /// The old one was moved before, elsewhere.
    #[error("the database has been moved already, to {to}")]
    Elsewhere {
        /// Where to.
        to: String,
    },
    /// What arrived is not what left, or cannot be true.
    #[error("what arrived in the target is not right; nothing was moved")]
    Unsound {
        /// What is wrong, for people.
        problems: Vec<String>,
    },
    /// The old one cannot be read, or closed.
    #[error("the database that is moved: {0}")]
    Source(StoreError),
    /// The new one cannot be written.
    #[error("the database that it is moved to: {0}")]
    Target(StoreError),
    /// The old one is closed, and the new one has not confirmed.
    #[error("the target has not confirmed that it has everything: {0}")]
    Unconfirmed(StoreError),
}

impl Departure {
    /// One of these.
    pub(crate) fn new(side: impl Side + 'static) -> Self {
        Self(Box::new(side))
    }

    /// Who holds which lock; nobody else will before this is dropped.
    pub fn held(&mut self) -> Result<Vec<HeldLock>, StoreError> {
        let words = self.0.words();
        self.0.held().map_err(|fault| fault.into_store(words))
    }

    fn try_to<T>(&mut self, work: impl FnOnce(&mut dyn Side) -> Result<T, Fault>) -> Result<T, MoveError> {
        let words = self.0.words();
        work(&mut *self.0).map_err(|fault| MoveError::Source(fault.into_store(words)))
    }

    fn before(&mut self) -> Result<Option<Move>, MoveError> {
        self.try_to(|side| {
            let (to, id) = (side.rows().fact(MOVED_TO)?, side.rows().fact(DEPARTURE)?);
            Ok(to.map(|to| Move { to, id: id.unwrap_or_default() }))
        })
    }

    fn close(&mut self, mark: &Move) -> Result<(), MoveError> {
        self.try_to(|side| {
            side.rows().set_fact(MOVED_TO, Some(&mark.to))?;
            side.rows().set_fact(DEPARTURE, Some(&mark.id))?;
            Ok(side.shut(&mark.to)?)
        })
    }
}

impl Arrival {
    /// One of these.
    pub(crate) fn new(side: impl Side + 'static) -> Self {
        Self(Box::new(side))
    }

    fn try_to<T>(&mut self, work: impl FnOnce(&mut dyn Side) -> Result<T, Fault>) -> Result<T, MoveError> {
        let words = self.0.words();
        work(&mut *self.0).map_err(|fault| MoveError::Target(fault.into_store(words)))
    }
}

/// Moves everything. `held` of the departure must have been looked at: whoever holds a lock loses it.
/// `told` is told how far it is.
pub fn carry_out(
    mut from: Departure,
    mut to: Arrival,
    mark: &Move,
    told: &mut dyn FnMut(Step),
) -> Result<Moved, MoveError> {
    let before = from.before()?;
    let mark = match &before {
        Some(before) if !place::is_same(&before.to, &mark.to) => {
            return Err(MoveError::Elsewhere { to: before.to.clone() });
        }
        Some(before) => before,
        None => mark,
    };
    let counts = from.try_to(|side| Ok(side.rows().counts()?))?;
    if before.is_some() && to.try_to(|side| Ok(side.rows().fact(ARRIVAL)?))?.as_ref() == Some(&mark.id) {
        return Ok(Moved { tables: named(&counts), replayed: 0, already: true });
    }
    if let Some((table, rows)) =
        named(&to.try_to(|side| Ok(side.rows().counts()?))?).into_iter().find(|(_, rows)| *rows > 0)
    {
        return Err(MoveError::Occupied { table, rows });
    }
    if before.is_none() {
        from.close(mark)?;
    }
    let tables = named(&counts);
    copy_all(&mut from, &mut to, &tables, told)?;
    let replayed = verify(&mut from, &mut to, &tables, told)?;
    to.try_to(|side| Ok(side.rows().set_fact(ARRIVAL, Some(&mark.id))?))?;
    from.try_to(|side| side.commit())?;
    let words = to.0.words();
    to.0.commit().map_err(|fault| MoveError::Unconfirmed(fault.into_store(words)))?;
    Ok(Moved { tables, replayed, already: false })
}

/// What was done to a database that is in use again after its history may have been lost.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Restored {
    /// How many leases were cleared.
    pub cleared: u64,
    /// How many places in line were.
    pub tickets: u64,
    /// Where it had been moved to, if it was closed.
    pub reopened: Option<String>,
}

/// Makes a restored backup, or a database that was moved and is to be used after all, safe to go on
/// with: nobody holds a lock or stands in line; every token is [`TOKEN_LEAP`] higher, so that none is
/// given a second time; a mark that it was moved is gone.
///
/// A holder from before the restoration may live on. Its owner is in no row, so whatever it renews,
/// releases or commits finds another owner or none, and does nothing; that holds without the leap, for
/// owner and token are compared together and no owner comes twice. The leap is for what goes by the
/// token alone: a proof of death or a `lock break` that names a term of the lost history must not meet
/// a term of today with the same number, and whoever fences with the token elsewhere must never see it
/// fall.
pub(crate) fn restore<S: Side>(
    side: &mut S,
    besides: impl FnOnce(&mut S) -> QueryResult<()>,
) -> Result<Restored, Fault> {
    let reopened = side.rows().fact(MOVED_TO)?;
    if reopened.is_some() {
        side.open_up()?;
        side.rows().set_fact(MOVED_TO, None)?;
        side.rows().set_fact(DEPARTURE, None)?;
    }
    let (cleared, tickets) = side.rows().forget_leases()?;
    besides(side)?;
    side.commit()?;
    let count = |rows: usize| rows.try_into().unwrap_or(u64::MAX);
    Ok(Restored { cleared: count(cleared), tickets: count(tickets), reopened })
}

fn named(counts: &[i64]) -> Vec<(&'static str, u64)> {
    let counts = counts.iter().map(|count| u64::try_from(*count).unwrap_or(0));
    MOVED.into_iter().zip(counts).collect()
}

fn copy_all(
    from: &mut Departure,
    to: &mut Arrival,
    tables: &[(&'static str, u64)],
    told: &mut dyn FnMut(Step),
) -> Result<(), MoveError> {
    for (table, of) in tables.iter().copied() {
        let told = &mut |rows| told(Step::Copied { table, rows, of });
        match table {
            "projects" => copy::<ProjectRow>(from, to, |row| row, told),
            "actions" => copy::<ActionRow>(from, to, |row| row, told),
            "plans" => copy::<PlanAt>(from, to, |row| row, told),
            "subplans" => copy::<ChildRow>(from, to, |row| row, told),
            "plan_definitions" => copy::<DefinitionRow>(from, to, |row| row, told),
            "plan_projects" => copy::<PlanProjectRow>(from, to, |row| row, told),
            "plan_guidance" => copy::<GuidanceRow>(from, to, |row| row, told),
            "events" => copy::<EventAt>(from, to, |row| row, told),
            "locks" => copy::<TokenRow>(from, to, |row| row, told),
            "requests" => copy::<RequestRow>(from, to, |row| row, told),
            // A claim is the word of a worker of the old place.
            "orders" => copy(from, to, OrderRow::unclaimed, told),
            other => unreachable!("{other} moves, and nobody says how"),
        }?;
    }
    Ok(())
}

fn copy<Row: Clone>(
    from: &mut Departure,
    to: &mut Arrival,
    change: fn(Row) -> Row,
    told: &mut dyn FnMut(u64),
) -> Result<(), MoveError>
where
    for<'a> dyn Rows + 'a: Table<Row>,
{
    let (mut last, mut done) = (None::<Row>, 0);
    loop {
        let rows = from.try_to(|side| Ok(Table::<Row>::read(side.rows(), last.as_ref())?))?;
        let Some(newest) = rows.last() else { return Ok(()) };
        last = Some(newest.clone());
        done += rows.len() as u64;
        let rows = rows.into_iter().map(change).collect();
        to.try_to(|side| Ok(Table::<Row>::write(side.rows(), rows)?))?;
        told(done);
    }
}

/// Whether what arrived is what left, and can be true; how many logs were replayed.
fn verify(
    from: &mut Departure,
    to: &mut Arrival,
    tables: &[(&'static str, u64)],
    told: &mut dyn FnMut(Step),
) -> Result<u64, MoveError> {
    let arrived = named(&to.try_to(|side| Ok(side.rows().counts()?))?);
    let differing = tables.iter().zip(&arrived).filter(|(left, arrived)| left != arrived);
    let mut problems: Vec<String> = differing
        .map(|((table, left), (_, arrived))| format!("{table}: {left} rows left, {arrived} arrived"))
        .collect();
    let of = tables.iter().find(|(table, _)| *table == "plans").map_or(0, |(_, plans)| *plans);
    let report = to.try_to(|side| {
        side.check(&mut |plans| {
            told(Step::Replayed { plans, of });
            from.0.rows().touch()
        })
    })?;
    problems.extend(report.problems);
    if problems.is_empty() { Ok(report.plans) } else { Err(MoveError::Unsound { problems }) }
}
