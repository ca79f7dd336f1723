//! One run of `agents`, beside the test or over.

use std::sync::mpsc::{Receiver, TryRecvError};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::pauses::WATCHDOG;
use crate::stream::Stream;

/// A command that has ended.
#[derive(Debug, Clone, Default)]
pub(crate) struct Outcome {
    pub(crate) exit: u8,
    pub(crate) out: String,
    pub(crate) err: String,
}

impl Outcome {
    /// The one document on stdout.
    pub(crate) fn json(&self) -> Value {
        serde_json::from_str(&self.out).unwrap_or_else(|error| panic!("no JSON document: {error}: {self:?}"))
    }
}

/// A command that was started.
pub(crate) struct Job {
    pid: Option<Pid>,
    pub(crate) err: Stream,
    pub(crate) out: Stream,
    done: Receiver<u8>,
    exit: Option<u8>,
}

impl Job {
    /// A command that says on `done` how it ended; `pid`, if it is a process of its own.
    pub(crate) fn new(pid: Option<Pid>, out: Stream, err: Stream, done: Receiver<u8>) -> Self {
        Self { pid, err, out, done, exit: None }
    }

    /// The number of its process.
    pub(crate) fn pid(&self) -> u32 {
        let pid = self.pid.expect("it is a process").as_raw_nonzero().get();
        u32::try_from(pid).expect("positive")
    }

    /// What came of it, if it has ended.
    pub(crate) fn ended(&mut self) -> Option<Outcome> {
        if self.exit.is_none() {
            self.exit = match self.done.try_recv() {
                Ok(exit) => Some(exit),
                Err(TryRecvError::Empty) => None,
                Err(TryRecvError::Disconnected) => panic!("the command panicked: {}", self.err.text()),
            };
        }
        self.exit.map(|exit| Outcome { exit, out: self.out.text(), err: self.err.text() })
    }

    /// Waits for its end.
    pub(crate) fn wait(&mut self) -> Outcome {
        if self.exit.is_none() {
            let exit = self.done.recv_timeout(WATCHDOG);
            let why = |error| panic!("the command does not end ({error}): {}", self.err.text());
            self.exit = Some(exit.unwrap_or_else(why));
        }
        self.ended().expect("it has ended")
    }

    /// Ends it, if it is a process that runs.
    pub(crate) fn kill(&mut self) {
        if let (None, Some(pid)) = (self.exit, self.pid)
            && matches!(self.done.try_recv(), Err(TryRecvError::Empty))
        {
            kill_process(pid, Signal::KILL).ok();
        }
    }

    pub(crate) fn signal(&self, signal: Signal) {
        kill_process(self.pid.expect("a process of its own"), signal).expect("it is there");
    }
}
