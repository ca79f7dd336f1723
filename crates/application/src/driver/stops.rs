//! What stops a command: its lock is lost, somebody asks for it, or this process is to end.

use agents_domain::request::{Request, Wish};
use agents_domain::runner::{StopCause, StopSignal};

use super::PhaseDriver;
use crate::lock_service::LockGuard;

/// The holds under which a command runs.
#[derive(Clone, Copy)]
pub(super) struct Under<'a> {
    /// Of the plan.
    pub(super) hold: &'a LockGuard,
    /// Of its projects, while it lands.
    pub(super) projects: Option<&'a LockGuard>,
}

impl<'a> From<&'a LockGuard> for Under<'a> {
    fn from(hold: &'a LockGuard) -> Self {
        Self { hold, projects: None }
    }
}

impl Under<'_> {
    /// What is asked of the holder.
    pub(super) fn request(&self) -> Option<Request> {
        self.hold.request().or_else(|| self.projects?.request())
    }
}

/// Why a command stops of which that is asked.
pub(super) const fn stop_cause(request: &Request) -> StopCause {
    match request.wish {
        Wish::Cancel { .. } => StopCause::Cancelled,
        Wish::LetGo { .. } => StopCause::Asked,
    }
}

impl PhaseDriver {
    /// Resolves when whatever runs under these holds must stop.
    pub(super) fn stop_signal(&self, under: Under<'_>) -> StopSignal {
        let lost = under.hold.lost();
        let (asked, of_projects) = (under.hold.asked(), under.projects.map(LockGuard::asked));
        let stop = self.parts.stop.clone();
        let asked = async move {
            tokio::select! {
                request = asked => request,
                request = async { match of_projects {
                    Some(asked) => asked.await,
                    None => std::future::pending().await,
                } } => request,
            }
        };
        Box::pin(async move {
            tokio::select! {
                // Whoever lost the plan writes nothing, whatever else it is asked.
                biased;
                cause = lost => cause,
                cause = stop.stopped() => cause,
                request = asked => stop_cause(&request),
            }
        })
    }
}
