//! A place in the line as a value: kept while one waits, left when it is dropped.

use std::sync::Arc;

use agents_domain::lock::{LineView, LockError, Mark, Ticket, TicketNumber, TicketRequest};
use agents_domain::time::{BootInstant, Timestamp};

use super::Inner;
use super::acquire::{Wanted, detached};

/// A ticket of this process. Dropped in the middle (a cancelled future, a panic) it is left by a
/// task of its own; should that not run any more, the ticket keeps nobody back once this process is
/// gone, and for [`Ticket::LIFE`] at most.
pub(super) struct Place {
    inner: Arc<Inner>,
    number: Option<TicketNumber>,
    /// When the waiting began, wall time.
    pub(super) since: Timestamp,
    /// When the ticket was last known to be there; `None`: that is in doubt.
    kept: Option<BootInstant>,
    seen: Option<Mark>,
}

impl Place {
    /// Joins the line at its end. The ticket comes even if the caller is dropped; it is then left.
    pub(super) async fn join(inner: &Arc<Inner>, wanted: &Wanted) -> Result<Self, LockError> {
        let (since, kept) = (inner.parts.clock.now(), None);
        let place = Self { inner: inner.clone(), number: None, since, kept, seen: None };
        place.rejoin(wanted).await
    }

    async fn rejoin(mut self, wanted: &Wanted) -> Result<Self, LockError> {
        let parts = &self.inner.parts;
        let request = TicketRequest {
            keys: wanted.keys.clone(),
            owner: parts.owner,
            life: Ticket::LIFE,
            holder: parts.processes.myself(&wanted.operation),
        };
        detached(async move {
            self.kept = Some(self.inner.parts.clock.boottime());
            let number = self.inner.parts.line.take(&request).await?;
            tracing::debug!(%number, keys = ?request.keys, "in line");
            (self.number, self.seen) = (Some(number), None);
            Ok(self)
        })
        .await
    }

    /// The place.
    pub(super) const fn number(&self) -> Option<TicketNumber> {
        self.number
    }

    /// Says, each third of the ticket's life, that we wait still. If we were silent for so long that
    /// others have passed us, we join again at the end: they came while nobody was here.
    pub(super) async fn keep(mut self, wanted: &Wanted) -> Result<Self, LockError> {
        let (parts, now) = (&self.inner.parts, self.inner.parts.clock.boottime());
        let due = self.kept.is_none_or(|kept| now.since(kept) >= Ticket::LIFE / 3);
        let Some(number) = self.number.filter(|_| due) else { return Ok(self) };
        if parts.line.renew(parts.owner, number, Ticket::LIFE).await? {
            self.kept = Some(now);
            return Ok(self);
        }
        tracing::warn!(%number, "the place in line was lost: silent for too long");
        self.number = None;
        self.rejoin(wanted).await
    }

    /// It seemed to be our turn, and was not: perhaps the ticket is gone.
    pub(super) const fn doubt(&mut self) {
        self.kept = None;
    }

    /// Who holds and who waits before us; `None`: as at the last look. `anew`: whatever was seen before.
    pub(super) async fn look(&mut self, wanted: &Wanted, anew: bool) -> Result<Option<LineView>, LockError> {
        let seen = self.seen.filter(|_| !anew);
        let view = self.inner.parts.line.look(&wanted.keys, self.number, seen).await?;
        if let Some(view) = &view {
            self.seen = Some(view.mark);
        }
        Ok(view)
    }

    /// The grant has used it up.
    pub(super) fn used_up(mut self) {
        self.number = None;
    }

    /// Leaves the line.
    pub(super) async fn leave(mut self) {
        if let Some(number) = self.number.take() {
            leave(self.inner.clone(), number).await;
        }
    }
}

async fn leave(inner: Arc<Inner>, number: TicketNumber) {
    if let Err(error) = inner.parts.line.leave(inner.parts.owner, number).await {
        tracing::warn!(%number, %error, "the line could not be left; the ticket ends by itself");
    }
}

impl Drop for Place {
    fn drop(&mut self) {
        if let (Some(number), Ok(runtime)) = (self.number.take(), tokio::runtime::Handle::try_current()) {
            runtime.spawn(leave(self.inner.clone(), number));
        }
    }
}
