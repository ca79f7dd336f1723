//! A connection of a lane while it is in use: opened or replaced when it is asked for, and given back by
//! itself. What has gone wrong on it must not meet the next one: then it is discarded.

use diesel::connection::SimpleConnection as _;
use diesel::prelude::*;
use diesel::result::DatabaseErrorKind;

use super::Lane;
use crate::postgres::connection::{OTHER_DATABASE, Setup};
use crate::postgres::failure::{first_line, lasts};
use crate::store::fault::Fault;

/// A connection that is in use; goes back by itself, unless there was a panic.
pub(super) struct Hold<'a> {
    pub(super) lane: &'a Lane,
    pub(super) connection: Option<PgConnection>,
}

impl Hold<'_> {
    /// The connection. One that the server has ended meanwhile is replaced: nothing was sent yet. (One
    /// that listens is not asked, for what it says is not ours to hear; it only reads, and tries again.)
    pub(super) fn connection(&mut self) -> Result<&mut PgConnection, Fault> {
        let asked = !self.lane.setup.listens();
        if self.connection.as_mut().is_some_and(|connection| asked && !is_there(connection)) {
            self.connection = None;
            // Those that have lain there as long have ended with it.
            self.lane.lock().idle.clear();
        }
        if self.connection.is_none() {
            self.connection =
                Some(self.lane.setup.connect().map_err(|error| not_connected(&error, &self.lane.setup))?);
        }
        let connection = self.connection.as_mut().expect("it was just opened");
        if let Some(hand) = &self.lane.hand {
            connection.batch_execute(&format!("SET agents.now = '{}'", hand.now()))?;
        }
        Ok(connection)
    }

    pub(super) fn discard(&mut self) {
        self.connection = None;
    }
}

impl Drop for Hold<'_> {
    fn drop(&mut self) {
        if std::thread::panicking() {
            self.discard();
        }
        let mut state = self.lane.lock();
        state.out -= 1;
        state.idle.extend(self.connection.take());
        drop(state);
        self.lane.freed.notify_one();
    }
}

/// Whether the server has not ended it, as far as one can tell without asking. Its last words are read
/// first, and only then that nothing follows them.
fn is_there(connection: &mut PgConnection) -> bool {
    (0..2).all(|_| connection.notifications_iter().next().is_none_or(|heard| heard.is_ok()))
}

/// A server that does not answer may in a moment; one that refuses us will again.
fn not_connected(error: &ConnectionError, setup: &Setup) -> Fault {
    let message = error.to_string();
    let line = setup.masked(&first_line(&message));
    if lasts(&message) || message.contains(OTHER_DATABASE) {
        return Fault::unavailable(line);
    }
    Fault::Database(diesel::result::Error::DatabaseError(DatabaseErrorKind::ClosedConnection, Box::new(line)))
}
