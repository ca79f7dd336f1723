//! The gate: who writes next to one database file, among many processes.
//!
//! SQLite lets one writer in at a time and has the others poll. Under load that starves: of eight
//! writers the luckiest made thousands of transactions while the unluckiest made one, and waits of
//! seconds end in "database is locked". So writers line up before they touch the database, at two
//! lock files beside it, which the kernel guards (`flock`) and releases when a process dies:
//!
//! ```text
//!            <db>-queue            <db>-turn
//! A  ─ take ─ drop ─┐            hold ── BEGIN IMMEDIATE … COMMIT ── drop, comes again
//! B        take ────┼─ waits ─────────────────────────────────────── turn ─ drop queue …
//! C           waits for queue ──────────────────────────────────────────── queue ─ waits …
//! A                                                              waits for queue, behind C
//! heartbeat ──────── waits for turn only: never behind more than the one in it and B
//! ```
//!
//! An ordinary writer takes `queue`, then `turn`, and drops `queue` once it has the turn. The order
//! is what makes it fair: whoever leaves its turn finds the queue taken by the one who is next,
//! so it cannot come round again before that one has begun; and those who wait for the queue are
//! woken in the order in which they came. Were `queue` dropped before `turn` is held, the one who
//! leaves could walk straight in again; were it held to the end, it would be one lock and no line.
//!
//! A heartbeat takes `turn` only, so that a crowd of writers cannot let leases run out.
//!
//! Always gate, then database, and nothing but SQL inside: no git, no children, no second lock.
//! The gate is for fairness and patience only. What protects the data is SQLite's own locking;
//! should somebody delete the lock files, at worst two writers meet at SQLite's busy timeout.
//!
//! Waiting is bounded. `flock` knows no timeout, so the first try does not wait, and after that a
//! helper thread waits and hands the file over; one for each gate, however often somebody gives up
//! (`gate/helper.rs`).

use std::fs::{File, OpenOptions, TryLockError};
use std::io;
use std::os::unix::fs::{FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use crate::sqlite::process;

mod helper;

use helper::{Helper, Waited};

/// How one enters.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Entrance {
    /// By the queue.
    Ordinary,
    /// Past the queue.
    Heartbeat,
}

/// The gate of one database file.
#[derive(Debug, Clone)]
pub(crate) struct Gate {
    queue: PathBuf,
    turn: PathBuf,
    bound: Duration,
    /// By the queue, and past it.
    helpers: [Arc<Helper>; 2],
}

/// A lock file that is held, until dropped; the one named `turn` is the right to write.
#[derive(Debug)]
pub(crate) struct Turn(File);

impl Drop for Turn {
    /// Closing would do, unless a child that is just being started still shares the descriptor.
    fn drop(&mut self) {
        let _ = self.0.unlock();
    }
}

impl Gate {
    /// The gate of that database; waits at most so long.
    pub(crate) fn new(database: &Path, bound: Duration) -> Self {
        let beside = |suffix: &str| {
            let mut path = database.as_os_str().to_owned();
            path.push(suffix);
            PathBuf::from(path)
        };
        Self { queue: beside("-queue"), turn: beside("-turn"), bound, helpers: Default::default() }
    }

    /// Waits for the turn. The error is a sentence that names who is in the way.
    pub(crate) fn enter(&self, entrance: Entrance) -> Result<Turn, String> {
        match self.try_enter(entrance) {
            Ok(Some(turn)) => return Ok(turn),
            Ok(None) => {}
            Err(error) => return Err(self.broken(&error)),
        }
        let [ordinary, heartbeat] = &self.helpers;
        let helper = if entrance == Entrance::Ordinary { ordinary } else { heartbeat };
        let (queue, turn) = (self.queue.clone(), self.turn.clone());
        let queue = (entrance == Entrance::Ordinary).then_some(queue);
        match helper.wait(self.bound, move || wait(queue.as_deref(), &turn)) {
            Ok(Waited::Arrived(entered)) => entered.map_err(|error| self.broken(&error)),
            Ok(Waited::TooLong) => Err(self.blocked()),
            Err(error) => Err(self.broken(&error)),
        }
    }

    /// The turn, if it is free now.
    pub(crate) fn try_enter(&self, entrance: Entrance) -> io::Result<Option<Turn>> {
        let queue = match entrance {
            Entrance::Heartbeat => None,
            Entrance::Ordinary => match try_lock(&self.queue)? {
                Some(queue) => Some(queue),
                None => return Ok(None),
            },
        };
        let turn = try_lock(&self.turn)?;
        drop(queue);
        turn.map(sign).transpose()
    }

    fn broken(&self, error: &io::Error) -> String {
        format!("the lock files beside the database ({}) cannot be used: {error}", self.turn.display())
    }

    /// Whoever is in the turn is in the way; if nobody is, whoever stands in the queue.
    fn blocked(&self) -> String {
        let turn_is_free = matches!(try_lock(&self.turn), Ok(Some(_)));
        let file = if turn_is_free { &self.queue } else { &self.turn };
        let pid = std::fs::read_to_string(file).ok().and_then(|text| text.trim().parse().ok());
        let who = pid.map_or_else(|| "another process".to_owned(), process::describe);
        format!("{who} has kept the database from being written for {:?}", self.bound)
    }
}

/// Waits as long as it takes; by the queue, if there is one to take.
fn wait(queue: Option<&Path>, turn: &Path) -> io::Result<Turn> {
    let queue = queue.map(|queue| sign(lock(queue)?)).transpose()?;
    let turn = sign(lock(turn)?)?;
    drop(queue);
    Ok(turn)
}

fn open(path: &Path) -> io::Result<File> {
    OpenOptions::new().read(true).write(true).create(true).truncate(false).mode(0o600).open(path)
}

fn lock(path: &Path) -> io::Result<Turn> {
    let file = open(path)?;
    file.lock()?;
    Ok(Turn(file))
}

fn try_lock(path: &Path) -> io::Result<Option<Turn>> {
    let file = open(path)?;
    match file.try_lock() {
        Ok(()) => Ok(Some(Turn(file))),
        Err(TryLockError::WouldBlock) => Ok(None),
        Err(TryLockError::Error(error)) => Err(error),
    }
}

/// Leaves our pid for whoever waits; of fixed width, so that it replaces a longer one. Whoever
/// finds its own there writes nothing: a write would dirty the file for the next sync of the disk.
fn sign(turn: Turn) -> io::Result<Turn> {
    let ours = format!("{:>10}\n", std::process::id());
    let mut found = [0; 11];
    let read = turn.0.read_at(&mut found, 0)?;
    if &found[..read] != ours.as_bytes() {
        turn.0.write_all_at(ours.as_bytes(), 0)?;
    }
    Ok(turn)
}

#[cfg(test)]
#[path = "gate/tests.rs"]
mod tests;
