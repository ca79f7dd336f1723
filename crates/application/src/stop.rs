//! The request to end: made by whoever receives signals, heard by whatever runs.

use std::future::poll_fn;
use std::sync::Arc;
use std::task::Poll;

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
///
/// Below a hub there may be others, for a part of what runs: they hear what is asked for above, too.
#[derive(Debug, Clone)]
pub struct StopHub {
    own: watch::Sender<Option<StopCause>>,
    above: Option<Arc<StopHub>>,
}

impl Default for StopHub {
    fn default() -> Self {
        Self { own: watch::Sender::new(None), above: None }
    }
}

impl StopHub {
    /// A hub for a part of what runs.
    #[must_use]
    pub fn below(&self) -> Self {
        Self { own: watch::Sender::new(None), above: Some(Arc::new(self.clone())) }
    }

    /// Asks everything to end; the second time, at once.
    pub fn stop(&self) {
        self.own.send_modify(|cause| {
            *cause = Some(if cause.is_none() { StopCause::Shutdown } else { StopCause::Escalated });
        });
    }

    /// Asks what runs below this hub to let go of its plans.
    pub fn let_go(&self) {
        self.own.send_modify(|cause| *cause = cause.or(Some(StopCause::Asked)));
    }

    /// What was asked for so far; what was asked above goes first.
    pub fn requested(&self) -> Option<StopCause> {
        self.above.as_ref().and_then(|above| above.requested()).or(*self.own.borrow())
    }

    /// Resolves when a stop is asked for, or has been.
    pub async fn stopped(&self) -> StopCause {
        self.reached(|_| true).await
    }

    /// Resolves when a stop is asked for a second time.
    pub async fn escalated(&self) -> StopCause {
        self.reached(|cause| cause == StopCause::Escalated).await
    }

    fn reached(
        &self,
        wanted: impl Fn(StopCause) -> bool + Copy + Send + Sync,
    ) -> impl Future<Output = StopCause> + Send {
        let hear = |hub: &Self| {
            let mut receiver = hub.own.subscribe();
            async move {
                let found = receiver.wait_for(|cause| cause.is_some_and(wanted)).await;
                found.ok().and_then(|cause| *cause).unwrap_or(StopCause::Shutdown)
            }
        };
        let hubs = std::iter::successors(Some(self), |hub| hub.above.as_deref());
        let mut ears: Vec<_> = hubs.map(hear).collect();
        ears.reverse();
        first(ears)
    }
}

/// The output of whichever resolves first.
pub(crate) fn first<T, F: Future<Output = T> + Send>(futures: Vec<F>) -> impl Future<Output = T> + Send {
    let mut futures: Vec<_> = futures.into_iter().map(Box::pin).collect();
    poll_fn(move |context| {
        let ready = futures.iter_mut().find_map(|future| match future.as_mut().poll(context) {
            Poll::Ready(value) => Some(value),
            Poll::Pending => None,
        });
        ready.map_or(Poll::Pending, Poll::Ready)
    })
}
