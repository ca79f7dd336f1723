//! Places as locked files below the state directory: one file for each, `flock`ed by its occupant.
//!
//! ```text
//! <state>/places/000   locked by pid 4711; holds one line of JSON: who, for what, since when
//! <state>/places/001   free; empty, or with what one left that died here
//! ```
//!
//! What counts is the lock, which the kernel ends with the last descriptor of its file: when the
//! occupant dies, however that happens. No child has that descriptor: it is closed on exec, and
//! given up with an unlock, which ends it for a child that is just being started, too.
//!
//! What is written in a file is for people. Nothing is locked to read it, so that a look at the
//! places never stands in the way of who wants one: an occupant is whoever is named there and not
//! proven dead. The lowest number is taken first; a process that is told of fewer places than others
//! thus waits while so many are taken.

use std::fs::{DirBuilder, File, OpenOptions, TryLockError};
use std::io::{self, Read as _};
use std::os::unix::fs::{DirBuilderExt as _, FileExt as _, OpenOptionsExt as _};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use agents_domain::id::PlanId;
use agents_domain::lock::{Holder, Liveness, Processes};
use agents_domain::places::{Occupant, Place, Places, PlacesCensus, PlacesError};
use agents_domain::time::Timestamp;
use async_trait::async_trait;
use serde::{Deserialize, Serialize};

/// What is read of a file at most; an occupant takes a few hundred bytes.
const LONGEST: u64 = 16 << 10;

/// The places below one state directory.
#[derive(Clone)]
pub struct FilePlaces {
    directory: PathBuf,
    total: u32,
    processes: Arc<dyn Processes>,
}

/// A file that is locked, until dropped.
struct Locked(File);

impl Place for Locked {}

impl Drop for Locked {
    fn drop(&mut self) {
        // First the name, or the next one's would go; a name that stays is that of a dead process soon.
        let _ = self.0.set_len(0);
        let _ = self.0.unlock();
    }
}

impl FilePlaces {
    /// So many places below `state`; `processes` tell who of those named is dead.
    pub fn new(state: &Path, total: u32, processes: Arc<dyn Processes>) -> Self {
        Self { directory: state.join("places"), total, processes }
    }

    fn file(&self, number: u32) -> PathBuf {
        self.directory.join(format!("{number:03}"))
    }

    fn try_take(&self, occupant: &Occupant) -> io::Result<Option<Locked>> {
        DirBuilder::new().recursive(true).mode(0o700).create(&self.directory)?;
        for number in 0..self.total {
            let mut options = OpenOptions::new();
            let file = options.read(true).write(true).create(true).truncate(false).mode(0o600);
            let file = file.open(self.file(number))?;
            match file.try_lock() {
                Ok(()) => {
                    let place = Locked(file);
                    // A full disk keeps nobody from working: the lock is what counts.
                    if let Err(error) = sign(&place.0, occupant) {
                        tracing::warn!(%error, number, "a place could not be signed");
                    }
                    return Ok(Some(place));
                }
                Err(TryLockError::WouldBlock) => {}
                Err(TryLockError::Error(error)) => return Err(error),
            }
        }
        Ok(None)
    }

    fn occupants(&self) -> io::Result<Vec<Occupant>> {
        let mut found = Vec::new();
        for number in 0..self.total {
            let mut text = String::new();
            match File::open(self.file(number)) {
                Err(error) if error.kind() == io::ErrorKind::NotFound => continue,
                opened => opened?.take(LONGEST).read_to_string(&mut text).ok(),
            };
            // Half a line is that of somebody who signs just now.
            let named = serde_json::from_str::<Signature>(&text).ok().and_then(Signature::occupant);
            found.extend(named.filter(|who| self.processes.liveness(&who.by) != Liveness::Dead));
        }
        Ok(found)
    }

    fn broken(&self, error: &io::Error) -> PlacesError {
        PlacesError { path: self.directory.display().to_string(), reason: error.to_string() }
    }
}

#[async_trait]
impl Places for FilePlaces {
    async fn take(&self, occupant: &Occupant) -> Result<Option<Box<dyn Place>>, PlacesError> {
        let taken = self.try_take(occupant).map_err(|error| self.broken(&error))?;
        Ok(taken.map(|place| -> Box<dyn Place> { Box::new(place) }))
    }

    async fn census(&self) -> Result<PlacesCensus, PlacesError> {
        let taken = self.occupants().map_err(|error| self.broken(&error))?;
        Ok(PlacesCensus { total: self.total, taken })
    }
}

fn sign(file: &File, occupant: &Occupant) -> io::Result<()> {
    let mut line = serde_json::to_vec(&Signature::of(occupant))?;
    line.push(b'\n');
    // It is empty unless somebody died here.
    if file.metadata()?.len() > 0 {
        file.set_len(0)?;
    }
    file.write_all_at(&line, 0)
}

/// An occupant, as a file names it.
#[derive(Serialize, Deserialize)]
struct Signature {
    plan: String,
    attempt: u32,
    purpose: String,
    since: i64,
    pid: u32,
    started: u64,
    host: String,
    boot_id: String,
    pid_namespace: String,
    user: String,
    operation: String,
}

impl Signature {
    fn of(occupant: &Occupant) -> Self {
        let by = occupant.by.clone();
        Self {
            plan: occupant.plan.to_string(),
            attempt: occupant.attempt,
            purpose: occupant.purpose.clone(),
            since: occupant.since.as_millis(),
            pid: by.pid,
            started: by.started,
            host: by.host,
            boot_id: by.boot_id,
            pid_namespace: by.pid_namespace,
            user: by.user,
            operation: by.operation,
        }
    }

    fn occupant(self) -> Option<Occupant> {
        let by = Holder {
            host: self.host,
            boot_id: self.boot_id,
            pid_namespace: self.pid_namespace,
            pid: self.pid,
            started: self.started,
            user: self.user,
            operation: self.operation,
        };
        let plan = PlanId::parse(&self.plan).ok()?;
        let since = Timestamp::from_millis(self.since);
        Some(Occupant { by, plan, attempt: self.attempt, purpose: self.purpose, since })
    }
}
