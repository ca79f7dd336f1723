//! A lane: one connection, used by one transaction at a time, each of them whole.
//!
//! A transaction goes through a lane like this, and in no other order:
//!
//! ```text
//! lane free (bounded) → turn at the gate (bounded) → BEGIN IMMEDIATE → still the same file?
//!     → the work, nothing but SQL → COMMIT → turn and lane free
//! ```
//!
//! Whatever fails on the way, nothing was written, with one exception: when the disk fails at the
//! COMMIT nobody knows, and the error says so. After a failure of the database the connection is
//! closed and the next transaction opens a fresh one. Reads go the same way without the gate, in
//! a deferred transaction, so that all their queries see one moment.
//!
//! Where it runs ([`Place`]): a transaction blocks, so it runs whole in one `spawn_blocking`, and
//! goes on to its end even if its future is dropped. For the heartbeat thread, which has no
//! runtime, it runs in the calling thread. A program whose runtime serves one command may ask for
//! that too where nobody else is to be waited for: lane and gate are free. Two changes of threads cost
//! more than a grant, and a third of a plan write; for the disk itself the command would wait anyway,
//! and what must not wait for it (the heartbeat, the ending of commands) has threads of its own.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::sqlite::connection::{self, Purpose};
use crate::sqlite::failure;
use crate::sqlite::filesystem::Identity;
use crate::sqlite::gate::{Entrance, Gate, Turn};
use crate::store::fault::Fault;

/// The database file that the lanes of one store lead to.
#[derive(Debug)]
pub(crate) struct Site {
    pub(crate) path: PathBuf,
    pub(crate) identity: Identity,
    pub(crate) gate: Gate,
    pub(crate) bound: Duration,
}

impl Site {
    /// Fails if the path leads elsewhere by now: what is written would be lost, what is read old.
    fn still_there(&self) -> Result<(), Fault> {
        if Identity::of(&self.path).ok() == Some(self.identity) {
            return Ok(());
        }
        let path = self.path.display();
        Err(Fault::unavailable(format!("the database file {path} was deleted or replaced while in use")))
    }
}

/// One connection and the way to it.
pub(crate) struct Lane {
    site: Arc<Site>,
    purpose: Purpose,
    entrance: Entrance,
    place: Place,
    track: Arc<Track>,
}

/// Where a connection stands while nobody uses it. Lanes may share it: writers of one process go
/// one after the other anyway, and a connection that wrote last still knows the pages.
struct Track {
    slot: Mutex<Slot>,
    freed: Condvar,
}

/// Where the transactions of a lane run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a thread for blocking work.
    Aside,
    /// In the calling thread, if nothing is to be waited for; else aside.
    HereIfFree,
    /// In the calling thread.
    Here,
}

enum Slot {
    Idle(Option<Open>),
    Busy,
}

/// A connection, and what it is set up for.
struct Open {
    connection: Box<SqliteConnection>,
    purpose: Purpose,
}

impl Lane {
    /// A lane for tasks of a runtime; its connection is opened when it is first needed.
    pub(crate) fn new(
        site: Arc<Site>,
        purpose: Purpose,
        place: Place,
        connection: Option<SqliteConnection>,
    ) -> Self {
        let open = connection.map(|connection| Open { connection: Box::new(connection), purpose });
        let track = Arc::new(Track { slot: Mutex::new(Slot::Idle(open)), freed: Condvar::new() });
        Self { site, purpose, entrance: Entrance::Ordinary, place, track }
    }

    /// Where its transactions run.
    pub(crate) const fn place(&self) -> Place {
        self.place
    }

    /// A lane over the connection of another one.
    pub(crate) fn beside(other: &Self, purpose: Purpose, place: Place) -> Self {
        let (site, track) = (Arc::clone(&other.site), Arc::clone(&other.track));
        Self { site, purpose, entrance: other.entrance, place, track }
    }

    /// A lane for the heartbeat thread: passes the queue, runs in the calling thread.
    pub(crate) fn heartbeat(site: Arc<Site>) -> Self {
        let lane = Self::new(site, Purpose::Durable, Place::Here, None);
        Self { entrance: Entrance::Heartbeat, ..lane }
    }

    /// Runs one transaction, in the lane's place.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Fault> + Send + 'static,
    {
        let work = match self.place {
            Place::Aside => work,
            Place::Here => return self.transact(work),
            Place::HereIfFree => match self.transact_if_free(work) {
                Ok(result) => return result,
                Err(work) => work,
            },
        };
        let lane = Arc::clone(self);
        match tokio::task::spawn_blocking(move || lane.transact(work)).await {
            Ok(result) => result,
            Err(error) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Fault::unavailable("the program is shutting down")),
            },
        }
    }

    /// Runs one transaction here and now.
    pub(crate) fn transact<T>(
        &self,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let hold = self.take()?;
        let turn = if self.reads() { None } else { Some(self.site.gate.enter(self.entrance)) };
        self.carry_out(hold, turn.transpose().map_err(Fault::unavailable)?, work)
    }

    /// Runs one transaction here and now, or gives the work back if it had to wait for its turn.
    fn transact_if_free<T, F>(&self, work: F) -> Result<Result<T, Fault>, F>
    where
        F: FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    {
        let Some(hold) = self.take_if_free() else { return Err(work) };
        let turn = if self.reads() { None } else { Some(self.site.gate.try_enter(self.entrance)) };
        // What is wrong with the gate is said by the one who waits at it.
        match turn.transpose() {
            Ok(None) => Ok(self.carry_out(hold, None, work)),
            Ok(Some(Some(turn))) => Ok(self.carry_out(hold, Some(turn), work)),
            Ok(Some(None)) | Err(_) => Err(work),
        }
    }

    fn reads(&self) -> bool {
        self.purpose == Purpose::Read
    }

    /// The turn ends before the lane is free, so that the next one in this process finds it open.
    fn carry_out<T>(
        &self,
        mut hold: Hold<'_>,
        _turn: Option<Turn>,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let begin = if self.reads() { "BEGIN" } else { "BEGIN IMMEDIATE" };
        let result = hold.connection().and_then(|connection| self.attempt(connection, begin, work));
        if matches!(result, Err(Fault::Database(_) | Fault::AtCommit(_))) {
            hold.discard();
        }
        result
    }

    fn attempt<T>(
        &self,
        connection: &mut SqliteConnection,
        begin: &str,
        work: impl FnOnce(&mut SqliteConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        connection.batch_execute(begin)?;
        match self.site.still_there().and_then(|()| work(connection)) {
            Ok(value) => {
                connection.batch_execute("COMMIT").map_err(Fault::AtCommit)?;
                Ok(value)
            }
            Err(fault) => match (connection.batch_execute("ROLLBACK"), fault) {
                // After a failure of its own SQLite may have rolled back already, and says so.
                (_, fault @ Fault::Database(_)) | (Ok(()), fault) => Err(fault),
                (Err(error), _) => Err(error.into()),
            },
        }
    }

    fn take(&self) -> Result<Hold<'_>, Fault> {
        let busy = |slot: &mut Slot| matches!(slot, Slot::Busy);
        let waited = self.track.freed.wait_timeout_while(self.lock(), self.site.bound, busy);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Busy) {
            Slot::Idle(open) => Ok(Hold { lane: self, open }),
            Slot::Busy => {
                let waited = self.site.bound;
                Err(Fault::unavailable(format!(
                    "this process has been writing for {waited:?} without a pause"
                )))
            }
        }
    }

    fn take_if_free(&self) -> Option<Hold<'_>> {
        match std::mem::replace(&mut *self.lock(), Slot::Busy) {
            Slot::Idle(open) => Some(Hold { lane: self, open }),
            Slot::Busy => None,
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.track.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lane's connection while a transaction runs; goes back by itself, unless there was a panic.
struct Hold<'a> {
    lane: &'a Lane,
    open: Option<Open>,
}

impl Hold<'_> {
    /// The connection, opened or set up for this lane as needed.
    fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        let purpose = self.lane.purpose;
        if self.open.is_none() {
            let site = &self.lane.site;
            site.still_there()?;
            let opened = connection::connect(&site.path, purpose);
            let opened = opened.map_err(|message| Fault::unavailable(failure::sentence(&message)))?;
            self.open = Some(Open { connection: Box::new(opened), purpose });
        }
        let open = self.open.as_mut().expect("it was just opened");
        if open.purpose != purpose {
            open.connection.batch_execute(purpose.own_pragmas())?;
            open.purpose = purpose;
        }
        Ok(&mut open.connection)
    }

    fn discard(&mut self) {
        self.open = None;
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.discard();
        }
        *self.lane.lock() = Slot::Idle(self.open.take());
        self.lane.track.freed.notify_one();
    }
}
