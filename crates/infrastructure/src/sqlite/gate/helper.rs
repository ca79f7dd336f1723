//! The thread that waits in the kernel, since `flock` knows no timeout.
//!
//! Whoever gives up leaves it behind, and the next one of the same gate takes it on, with the place
//! in the kernel's line that it has: however long somebody stands in the turn, one thread waits,
//! not one for each try. When its turn comes and nobody wants it, it gives it back at once.

use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::Duration;

use super::Turn;

/// What a wait came to.
pub(super) enum Waited {
    /// The turn, or why there is none.
    Arrived(io::Result<Turn>),
    /// It took too long.
    TooLong,
}

/// One thread at most.
#[derive(Debug, Default)]
pub(super) struct Helper {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Debug, Default)]
enum State {
    /// There is no thread.
    #[default]
    Idle,
    /// It waits, for somebody.
    Wanted,
    /// It waits, and nobody wants it any more.
    Abandoned,
    /// It has waited; whoever wants it is about to take it.
    Arrived(io::Result<Turn>),
}

impl Helper {
    /// Waits for what `wait` yields, for so long at most. A second one at the same time gets a
    /// thread of its own.
    pub(super) fn wait(
        self: &Arc<Self>,
        bound: Duration,
        wait: impl FnOnce() -> io::Result<Turn> + Send + 'static,
    ) -> io::Result<Waited> {
        let mut state = self.lock();
        match *state {
            State::Abandoned => *state = State::Wanted,
            State::Idle => {
                let helper = Arc::clone(self);
                let work = move || helper.arrive(wait());
                thread::Builder::new().name("sqlite-gate".to_owned()).spawn(work)?;
                *state = State::Wanted;
            }
            State::Wanted | State::Arrived(_) => {
                drop(state);
                return Arc::new(Self::default()).wait(bound, wait);
            }
        }
        let waits = |state: &mut State| matches!(state, State::Wanted);
        let waited = self.changed.wait_timeout_while(state, bound, waits);
        let (mut state, _) = waited.unwrap_or_else(PoisonError::into_inner);
        if let State::Arrived(turn) = std::mem::take(&mut *state) {
            return Ok(Waited::Arrived(turn));
        }
        *state = State::Abandoned;
        Ok(Waited::TooLong)
    }

    /// The thread has come to its turn.
    fn arrive(&self, turn: io::Result<Turn>) {
        let mut state = self.lock();
        *state = match *state {
            State::Wanted => State::Arrived(turn),
            // Nobody receives it: the turn ends here.
            _ => State::Idle,
        };
        self.changed.notify_all();
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
