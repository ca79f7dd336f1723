//! A lane: some connections, and transactions that go through them, each of them whole.
//!
//! ```text
//! a connection free (bounded) → still there? → BEGIN → the work → COMMIT → the connection free
//! ```
//!
//! What fails before the COMMIT has written nothing, so it is begun anew where that helps: the
//! connection was lost, the server restarts, another transaction was in the way. That is bounded, and
//! then the store is unavailable. When the reply to the COMMIT is lost, nobody knows what it did, and
//! the error says so. A statement that is a transaction of its own ([`Lane::once`]) has no COMMIT: it
//! is sent once, and if its reply is lost, what it did is unknown. What can be repeated without harm is
//! repeated here until it is known ([`Lane::repeated`], [`Lane::settled`]); plan writes are by whoever decided them.
//! Once the reply to one try is lost, the whole is unknown unless a later one has an answer.
//!
//! Where it runs: everything here blocks, so a transaction runs whole in one `spawn_blocking`, and
//! goes on to its end even if its future is dropped. A server that stands still, without its network
//! being gone, is given up after [`Lane::GIVEN_UP`]: the thread stays behind with its connection, and
//! begins nothing anew, for nobody would hear of what it did. The heartbeat thread has no runtime; there
//! it runs in the calling thread, and is tried once.

mod hold;

use std::cell::RefCell;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use agents_domain::plan::StoreError;
use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;

use super::HandTime;
use super::connection::{Purpose, Setup};
use super::failure::{first_line, is_lost, is_standby, is_unnamed, lost_a_race, no_writes, took_too_long};
use crate::store::fault::Fault;

use hold::Hold;

/// Between the tries of a transaction that has lost its connection or a race, in milliseconds. A plan
/// write has them all, a minute: what is to be recorded was perhaps an hour's work, and a server that
/// fails over is away for so long. Whatever can be asked again by a person or a heartbeat has the first
/// ten seconds.
const PAUSES: [u64; 19] = [
    10, 50, 150, 400, 800, 1600, 2000, 2500, 2500, // ten seconds
    5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000, 5000,
];
const PAUSES_UNLESS_DURABLE: usize = 9;
/// How often what nobody has a name for is begun anew. A deadlock is over at the first time. A statement
/// that took too long has taken [`Setup::timeout`] each time: a minute, of plan writes.
const UNNAMED: usize = 5;
const UNNAMED_UNLESS_DURABLE: usize = 3;

/// Where the transactions of a lane run.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Place {
    /// On a thread for blocking work; patiently.
    Aside,
    /// In the calling thread; one try.
    Here,
}

/// Some connections and the way to them.
pub(crate) struct Lane {
    setup: Setup,
    place: Place,
    hand: Option<HandTime>,
    most: usize,
    state: Mutex<State>,
    freed: Condvar,
}

#[derive(Default)]
struct State {
    idle: Vec<PgConnection>,
    out: usize,
}

impl Lane {
    /// Longer than all tries of a transaction take unless the server stands still.
    const GIVEN_UP: Duration = Duration::from_secs(100);

    /// A lane of so many connections at most, opened when they are needed.
    pub(crate) fn new(setup: Setup, place: Place, most: usize, hand: Option<HandTime>) -> Self {
        Self { setup, place, hand, most, state: Mutex::default(), freed: Condvar::new() }
    }

    /// How its connections are set up.
    pub(crate) const fn setup(&self) -> &Setup {
        &self.setup
    }

    /// Gives it a connection that is open already.
    pub(crate) fn with(self, connection: PgConnection) -> Self {
        self.lock().idle.push(connection);
        self
    }

    /// Runs one transaction, in the lane's place.
    pub(crate) async fn run<T, F>(self: &Arc<Self>, purpose: Purpose, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, Fault> + Send + 'static,
    {
        let lane = Arc::clone(self);
        self.aside(purpose, move |waited_for| lane.transact(purpose, waited_for, work)).await
    }

    /// Runs one statement that is a transaction of its own, in the lane's place.
    pub(crate) async fn once<T, F>(self: &Arc<Self>, purpose: Purpose, statement: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, Fault> + Send + 'static,
    {
        let lane = Arc::clone(self);
        self.aside(purpose, move |waited_for| lane.state(purpose, waited_for, false, statement)).await
    }

    /// The same for a statement that comes to the same if it is done twice, such as a grant to one owner:
    /// if its reply is lost, it is asked again.
    pub(crate) async fn repeated<T, F>(self: &Arc<Self>, purpose: Purpose, statement: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: Fn(&mut PgConnection) -> Result<T, Fault> + Send + 'static,
    {
        let lane = Arc::clone(self);
        self.aside(purpose, move |waited_for| lane.state(purpose, waited_for, true, statement)).await
    }

    /// Runs one transaction until it is known what it did. Its work is told what an earlier try had come to
    /// whose COMMIT had no answer: it finds out whether that was done, and if not, does it.
    pub(crate) async fn settled<T, F>(self: &Arc<Self>, purpose: Purpose, work: F) -> Result<T, Fault>
    where
        T: Clone + Send + 'static,
        F: Fn(&mut PgConnection, Option<&T>) -> Result<T, Fault> + Send + 'static,
    {
        let lane = Arc::clone(self);
        self.aside(purpose, move |waited_for| lane.settle(purpose, waited_for, work)).await
    }

    async fn aside<T, F>(&self, purpose: Purpose, work: F) -> Result<T, Fault>
    where
        T: Send + 'static,
        F: FnOnce(&AtomicBool) -> Result<T, Fault> + Send + 'static,
    {
        let waited_for = Arc::new(AtomicBool::new(true));
        if self.place == Place::Here {
            return work(&waited_for);
        }
        let waits = Arc::clone(&waited_for);
        let work = tokio::task::spawn_blocking(move || work(&waits));
        let still = || format!("the database server has not answered for {:?}", Self::GIVEN_UP);
        let outcome = tokio::time::timeout(Self::GIVEN_UP, work).await;
        waited_for.store(false, Ordering::SeqCst);
        match outcome {
            Err(_) if purpose == Purpose::Read => Err(Fault::unavailable(still())),
            Err(_) => Err(StoreError::Unknown { reason: still() }.into()),
            Ok(Ok(result)) => result,
            Ok(Err(error)) => match error.try_into_panic() {
                Ok(panic) => std::panic::resume_unwind(panic),
                Err(_) => Err(Fault::unavailable("the program is shutting down")),
            },
        }
    }

    /// Runs one transaction here and now.
    pub(crate) fn transact_once<T>(
        &self,
        purpose: Purpose,
        work: impl Fn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.transact(purpose, &AtomicBool::new(true), work)
    }

    fn transact<T>(
        &self,
        purpose: Purpose,
        waited_for: &AtomicBool,
        work: impl Fn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let begin = self.setup.begin(purpose);
        self.patiently(purpose, waited_for, false, |connection| whole(connection, &begin, purpose, &work))
    }

    fn settle<T: Clone>(
        &self,
        purpose: Purpose,
        waited_for: &AtomicBool,
        work: impl Fn(&mut PgConnection, Option<&T>) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let begin = self.setup.begin(purpose);
        let in_doubt: RefCell<Option<T>> = RefCell::new(None);
        self.patiently(purpose, waited_for, true, |connection| {
            let reached = RefCell::new(None);
            let outcome = whole(connection, &begin, purpose, &|connection: &mut PgConnection| {
                let value = work(connection, in_doubt.borrow().as_ref())?;
                reached.replace(Some(value.clone()));
                Ok(value)
            });
            if matches!(&outcome, Err(Fault::AtCommit(error)) if is_lost(error)) {
                in_doubt.replace(reached.take());
            }
            outcome
        })
    }

    /// Runs one statement here and now. Behind a pooler it needs a transaction around it, for its
    /// settings.
    pub(crate) fn state_once<T>(
        &self,
        purpose: Purpose,
        statement: impl Fn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        self.state(purpose, &AtomicBool::new(true), false, statement)
    }

    fn state<T>(
        &self,
        purpose: Purpose,
        waited_for: &AtomicBool,
        repeats: bool,
        statement: impl Fn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        if self.setup.pooled() {
            let begin = self.setup.begin(purpose);
            return self.patiently(purpose, waited_for, repeats, |connection| {
                whole(connection, &begin, purpose, &statement)
            });
        }
        let reads = purpose == Purpose::Read;
        self.patiently(purpose, waited_for, repeats, |connection| match statement(connection) {
            Err(Fault::Database(error)) if !reads && is_lost(&error) => Err(Fault::AtCommit(error)),
            outcome => outcome,
        })
    }

    /// Tries until it has an answer: one that another try would not change. `settles`: also where nobody
    /// knows what the last one did. Begins none that nobody waits for any more.
    fn patiently<T>(
        &self,
        purpose: Purpose,
        waited_for: &AtomicBool,
        settles: bool,
        work: impl Fn(&mut PgConnection) -> Result<T, Fault>,
    ) -> Result<T, Fault> {
        let (tries, mut unnamed) = match (self.place, purpose) {
            (Place::Here, _) => (0, 0),
            (Place::Aside, Purpose::Durable) => (PAUSES.len(), UNNAMED),
            (Place::Aside, Purpose::Read | Purpose::Lease) => (PAUSES_UNLESS_DURABLE, UNNAMED_UNLESS_DURABLE),
        };
        let (mut pauses, mut doubtful) = (PAUSES.iter().take(tries), false);
        while waited_for.load(Ordering::SeqCst) {
            let mut hold = match self.take() {
                Ok(hold) => hold,
                Err(fault) => return Err(in_doubt(doubtful, fault)),
            };
            let outcome = hold.connection().and_then(&work);
            let again = match &outcome {
                Err(Fault::Database(error)) if is_unnamed(error) => {
                    let left = unnamed > 0 && (purpose == Purpose::Durable || !took_too_long(error));
                    unnamed = unnamed.saturating_sub(1);
                    left
                }
                Err(Fault::Database(error)) => is_lost(error) || lost_a_race(error) || is_standby(error),
                Err(Fault::AtCommit(error)) => lost_a_race(error) || settles && is_lost(error),
                _ => false,
            };
            if matches!(outcome, Err(Fault::Database(_) | Fault::AtCommit(_))) {
                hold.discard();
            }
            drop(hold);
            match pauses.next() {
                Some(pause) if again => rest(Duration::from_millis(*pause)),
                _ => return outcome.map_err(|fault| in_doubt(doubtful, fault)),
            }
            doubtful |= matches!(&outcome, Err(Fault::AtCommit(error)) if is_lost(error));
        }
        Err(in_doubt(doubtful, Fault::unavailable("nobody waits for it any more")))
    }

    /// Hands on what the idle connections have heard on their channel, without asking the server.
    /// `false`: there is none that listens now, or it has been lost.
    pub(crate) fn hear(&self, mut heard: impl FnMut(String)) -> bool {
        let mut state = self.lock();
        let mut lost = false;
        for connection in &mut state.idle {
            for word in connection.notifications_iter() {
                // One that is lost says so for ever, whoever asks.
                let Ok(word) = word else {
                    lost = true;
                    break;
                };
                heard(word.payload);
            }
        }
        if lost {
            state.idle.clear();
        }
        !state.idle.is_empty() && self.setup.listens()
    }

    fn take(&self) -> Result<Hold<'_>, Fault> {
        let none = |state: &mut State| state.idle.is_empty() && state.out >= self.most;
        let waited = self.freed.wait_timeout_while(self.lock(), self.setup.timeout(), none);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if none(&mut state) {
            let (most, waited) = (self.most, self.setup.timeout());
            return Err(Fault::unavailable(format!(
                "all {most} connections of this process have been busy for {waited:?}"
            )));
        }
        state.out += 1;
        let connection = state.idle.pop();
        Ok(Hold { lane: self, connection })
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// Why there is no answer, if nobody knows what an earlier try has done: that the store is not there now, or
/// refuses the repetition, does not tell.
fn in_doubt(doubtful: bool, fault: Fault) -> Fault {
    let reason = match &fault {
        Fault::Database(error) | Fault::AtCommit(error) if doubtful => first_line(&error.to_string()),
        Fault::Store(StoreError::Unavailable { reason }) if doubtful => reason.clone(),
        _ => return fault,
    };
    StoreError::Unknown { reason }.into()
}

/// One transaction from its beginning to its end.
fn whole<T>(
    connection: &mut PgConnection,
    begin: &str,
    purpose: Purpose,
    work: &impl Fn(&mut PgConnection) -> Result<T, Fault>,
) -> Result<T, Fault> {
    connection.batch_execute(begin).map_err(no_writes)?;
    match work(connection) {
        Ok(value) => match connection.batch_execute("COMMIT") {
            Ok(()) => Ok(value),
            // Of who has only read nothing can be unknown: it reads again.
            Err(error) if purpose == Purpose::Read => Err(error.into()),
            Err(error) => Err(Fault::AtCommit(error)),
        },
        Err(fault) => match (connection.batch_execute("ROLLBACK"), fault) {
            (_, fault @ Fault::Database(_)) | (Ok(()), fault) => Err(fault),
            (Err(error), _) => Err(error.into()),
        },
    }
}

#[expect(
    clippy::disallowed_methods,
    reason = "nobody can tell when a server is back; who waits is told to give up elsewhere"
)]
pub(crate) fn rest(pause: Duration) {
    std::thread::sleep(pause);
}
