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
//! Where it runs: a transaction blocks, so it runs whole in one `spawn_blocking`, and goes on to
//! its end even if its future is dropped. An *inline* lane runs it in the calling thread, for the
//! heartbeat thread, which has no runtime.

use std::path::PathBuf;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use crate::sqlite::connection::{self, Purpose};
use crate::sqlite::failure;
use crate::sqlite::filesystem::Identity;
use crate::sqlite::gate::{Entrance, Gate};
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
    inline: bool,
    slot: Mutex<Slot>,
    freed: Condvar,
}

enum Slot {
    Idle(Option<Box<SqliteConnection>>),
    Busy,
}

impl Lane {
    /// A lane for tasks of a runtime; its connection is opened when it is first needed.
    pub(crate) fn new(site: Arc<Site>, purpose: Purpose, connection: Option<SqliteConnection>) -> Self {
        let slot = Mutex::new(Slot::Idle(connection.map(Box::new)));
        Self { site, purpose, entrance: Entrance::Ordinary, inline: false, slot, freed: Condvar::new() }
    }

    /// A lane for the heartbeat thread: passes the queue, runs in the calling thread.
    pub(crate) fn heartbeat(site: Arc<Site>) -> Self {
        let lane = Self::new(site, Purpose::Durable, None);
        Self { entrance: Entrance::Heartbeat, inline: true, ..lane }
    }

    /// Runs one transaction, off the runtime's threads unless the lane is inline.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&mut SqliteConnection) -> Result<T, Fault> + Send + 'static,
    {
        if self.inline {
            return self.transact(work);
        }
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
        let mut hold = self.take()?;
        let reads = self.purpose == Purpose::Read;
        let turn = if reads { None } else { Some(self.site.gate.enter(self.entrance)) };
        let _turn = turn.transpose().map_err(Fault::unavailable)?;
        let begin = if reads { "BEGIN" } else { "BEGIN IMMEDIATE" };
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
        let waited = self.freed.wait_timeout_while(self.lock(), self.site.bound, busy);
        let (mut slot, _) = waited.unwrap_or_else(PoisonError::into_inner);
        match std::mem::replace(&mut *slot, Slot::Busy) {
            Slot::Idle(connection) => Ok(Hold { lane: self, connection }),
            Slot::Busy => {
                let waited = self.site.bound;
                Err(Fault::unavailable(format!(
                    "this process has been writing for {waited:?} without a pause"
                )))
            }
        }
    }

    fn lock(&self) -> MutexGuard<'_, Slot> {
        self.slot.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The lane's connection while a transaction runs; goes back by itself, unless there was a panic.
struct Hold<'a> {
    lane: &'a Lane,
    connection: Option<Box<SqliteConnection>>,
}

impl Hold<'_> {
    fn connection(&mut self) -> Result<&mut SqliteConnection, Fault> {
        if self.connection.is_none() {
            let site = &self.lane.site;
            site.still_there()?;
            let opened = connection::connect(&site.path, self.lane.purpose);
            let opened = opened.map_err(|message| Fault::unavailable(failure::sentence(&message)))?;
            self.connection = Some(Box::new(opened));
        }
        Ok(self.connection.as_deref_mut().expect("it was just opened"))
    }

    fn discard(&mut self) {
        self.connection = None;
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.discard();
        }
        *self.lane.lock() = Slot::Idle(self.connection.take());
        self.lane.freed.notify_one();
    }
}
