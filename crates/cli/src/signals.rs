//! SIGINT and SIGTERM: the first asks everything to end, the second does not wait.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use agents_application::StopHub;
use tokio::signal::unix::{SignalKind, signal};

use crate::exit::Exit;
use crate::failure::Failure;

/// Listens for signals while a plan is driven.
pub struct Signals {
    terminated: Arc<AtomicBool>,
    task: tokio::task::JoinHandle<()>,
}

impl Signals {
    /// Passes signals of this process on to the hub. Needs the runtime.
    pub fn listen(stop: StopHub) -> Result<Self, Failure> {
        Self::each(move || stop.stop())
    }

    /// Passes the first signal on to one hub, and further ones to another. Needs the runtime.
    pub fn listen_in_steps(first: StopHub, then: StopHub) -> Result<Self, Failure> {
        Self::each(move || if first.requested().is_none() { first.stop() } else { then.stop() })
    }

    fn each(heard: impl Fn() + Send + 'static) -> Result<Self, Failure> {
        let failed = |error: std::io::Error| Failure::internal("signals cannot be heard").caused_by(&error);
        let mut interrupt = signal(SignalKind::interrupt()).map_err(failed)?;
        let mut terminate = signal(SignalKind::terminate()).map_err(failed)?;
        let terminated = Arc::new(AtomicBool::new(false));
        let flag = terminated.clone();
        let task = tokio::spawn(async move {
            loop {
                tokio::select! {
                    _ = interrupt.recv() => {}
                    _ = terminate.recv() => flag.store(true, Ordering::Relaxed),
                }
                heard();
            }
        });
        Ok(Self { terminated, task })
    }

    /// The exit code that says which signal ended the command.
    pub fn exit(&self) -> Exit {
        if self.terminated.load(Ordering::Relaxed) { Exit::Terminated } else { Exit::Interrupted }
    }
}

impl Drop for Signals {
    fn drop(&mut self) {
        self.task.abort();
    }
}
