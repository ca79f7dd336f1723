//! The request to end: made by whoever receives signals, heard by whatever runs.

use agents_domain::runner::StopCause;
use tokio::sync::watch;

/// Passes a request to stop on to everything that runs in this process.
///
/// ```
/// use agents_application::StopHub;
/// use agents_domain::runner::StopCause;
///
/// let hub = StopHub::default();
/// hub.stop();
/// assert_eq!(hub.requested(), Some(StopCause::Shutdown));
/// hub.stop();
/// assert_eq!(hub.requested(), Some(StopCause::Escalated));
/// ```
#[derive(Debug, Clone)]
pub struct StopHub(watch::Sender<Option<StopCause>>);

impl Default for StopHub {
    fn default() -> Self {
        Self(watch::Sender::new(None))
    }
}

impl StopHub {
    /// Asks everything to end; the second time, at once.
    pub fn stop(&self) {
        self.0.send_modify(|cause| {
            *cause = Some(if cause.is_none() { StopCause::Shutdown } else { StopCause::Escalated });
        });
    }

    /// What was asked for so far.
    pub fn requested(&self) -> Option<StopCause> {
        *self.0.borrow()
    }

    /// Resolves when a stop is asked for, or has been.
    pub async fn stopped(&self) -> StopCause {
        self.reached(|_| true).await
    }

    /// Resolves when a stop is asked for a second time.
    pub async fn escalated(&self) -> StopCause {
        self.reached(|cause| cause == StopCause::Escalated).await
    }

    async fn reached(&self, wanted: impl Fn(StopCause) -> bool) -> StopCause {
        let mut receiver = self.0.subscribe();
        let found = receiver.wait_for(|cause| cause.is_some_and(&wanted)).await;
        found.ok().and_then(|cause| *cause).unwrap_or(StopCause::Shutdown)
    }
}
