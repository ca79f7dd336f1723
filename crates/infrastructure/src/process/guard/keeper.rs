//! The guard's one loop: what happens next, and how urgently the tree is to end.

#![expect(
    clippy::disallowed_methods,
    reason = "the guard is a process of its own: only its own time counts for a grace"
)]

use std::io::Write;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender};
use std::time::{Duration, Instant};

use super::super::protocol::{self, Order, Report};
use super::tree::Tree;

/// How often to look for those who fell back meanwhile, while a tree is being killed …
const KILL_TICK: Duration = Duration::from_millis(10);
/// … and during the grace, which may be long.
const TERM_TICK: Duration = Duration::from_millis(100);

/// What the guard waits for.
pub(super) enum Event {
    /// The driver's word.
    Order(Order),
    /// The driver is gone, or has dropped the run.
    LineEnded,
    /// A child waits to be reaped.
    Zombie,
    /// There is no child any more.
    Childless,
}

/// How urgent the end is. Never decreases.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Pressure {
    None,
    /// TERM; KILL is due then.
    Term(Instant),
    Kill,
}

/// Keeps one tree until it is gone.
pub(super) struct Keeper<L> {
    line: L,
    tree: Tree,
    grace: Duration,
    pressure: Pressure,
    childless: bool,
}

impl<L: Write> Keeper<L> {
    /// Keeps `tree`, reporting on `line`.
    pub(super) fn new(line: L, tree: Tree, grace: Duration) -> Self {
        Self { line, tree, grace, pressure: Pressure::None, childless: false }
    }

    /// Returns when no process of the tree is left, and that is reported.
    pub(super) fn run(mut self, events: &Receiver<Event>, reaped: &Sender<()>) {
        while !(self.childless && self.tree.is_gone()) {
            match self.next(events) {
                Some(Event::Childless) => self.childless = true,
                Some(Event::Zombie) => {
                    self.reap();
                    let _ = reaped.send(());
                }
                Some(Event::Order(Order::Term)) => self.wind_down(),
                Some(Event::Order(_) | Event::LineEnded) => self.pressure = Pressure::Kill,
                None => {}
            }
            self.press();
        }
        self.report(&Report::Gone);
    }

    /// The next event; `None` after a tick, if the tree is to end.
    fn next(&self, events: &Receiver<Event>) -> Option<Event> {
        let waited = match self.pressure {
            Pressure::None => events.recv().map_err(|_| RecvTimeoutError::Disconnected),
            Pressure::Term(deadline) => {
                events.recv_timeout(TERM_TICK.min(deadline.saturating_duration_since(Instant::now())))
            }
            Pressure::Kill => events.recv_timeout(KILL_TICK),
        };
        match waited {
            Ok(event) => Some(event),
            Err(RecvTimeoutError::Timeout) => None,
            // Both threads have ended, so the one that watches children has seen none.
            Err(RecvTimeoutError::Disconnected) => Some(Event::Childless),
        }
    }

    /// Reaps who has ended; leftovers of a command that has ended are to end as well.
    fn reap(&mut self) {
        let (status, left) = self.tree.reap();
        if let Some(status) = status {
            let by_itself = self.pressure == Pressure::None;
            self.report(&Report::ChildEnded { status, by_itself });
            if left {
                self.wind_down();
            }
        }
    }

    /// TERM now and KILL after the grace, unless the end is that urgent already.
    fn wind_down(&mut self) {
        if self.pressure == Pressure::None {
            self.pressure = Pressure::Term(Instant::now() + self.grace);
        }
    }

    fn press(&mut self) {
        if matches!(self.pressure, Pressure::Term(deadline) if deadline <= Instant::now()) {
            self.pressure = Pressure::Kill;
        }
        match self.pressure {
            Pressure::None => {}
            Pressure::Term(_) => self.tree.term(),
            Pressure::Kill => self.tree.kill(),
        }
    }

    /// A driver that is gone does not read it; the end of the line says so better.
    fn report(&mut self, report: &Report) {
        let _ = protocol::send(&mut self.line, report);
    }
}
