//! The lock that locks nothing: for tests, and for embedders whose store is theirs alone.

use std::time::Duration;

use async_trait::async_trait;

use crate::id::OwnerId;
use crate::lock::{
    AcquireRequest, Fence, HeldLock, Lease, Line, LineView, LockError, LockFilter, LockKey, LockPort, Mark,
    Release, Renewal, Term, TicketNumber, TicketRequest,
};
use crate::time::{Timestamp, Ttl};

/// Grants everything, with [`Fence::Unfenced`]. Stores that last refuse such writes unless they
/// were opened for them, and always for a plan that already carries a token; so this lock cannot
/// stand in for a real one by accident.
#[derive(Debug, Clone, Copy, Default)]
pub struct NoopLock;

#[async_trait]
impl LockPort for NoopLock {
    async fn acquire(&self, request: &AcquireRequest) -> Result<Vec<Lease>, LockError> {
        let lease = |key| Lease {
            key,
            fence: Fence::Unfenced,
            acquired_at: Timestamp::default(),
            expires_at: Timestamp::from_millis(i64::MAX),
            reentrant: false,
        };
        Ok(request.keys.iter().cloned().map(lease).collect())
    }

    async fn renew(&self, _owner: OwnerId, terms: &[Term], _ttl: Ttl) -> Result<Vec<Renewal>, LockError> {
        let expires_at = Timestamp::from_millis(i64::MAX);
        Ok(terms.iter().map(|_| Renewal::Extended { expires_at }).collect())
    }

    async fn release(&self, _owner: OwnerId, _term: &Term) -> Result<Release, LockError> {
        Ok(Release::Released)
    }

    async fn release_all_for_owner(&self, _owner: OwnerId) -> Result<u64, LockError> {
        Ok(0)
    }

    async fn evict(&self, _term: &Term, _by: OwnerId, _reason: &str) -> Result<Release, LockError> {
        Ok(Release::NotHeld)
    }

    async fn list(&self, _filter: &LockFilter) -> Result<Vec<HeldLock>, LockError> {
        Ok(Vec::new())
    }
}

/// Nobody ever waits.
#[async_trait]
impl Line for NoopLock {
    async fn take(&self, _request: &TicketRequest) -> Result<TicketNumber, LockError> {
        Ok(TicketNumber::from_storage(0))
    }

    async fn renew(&self, _: OwnerId, _: TicketNumber, _: Duration) -> Result<bool, LockError> {
        Ok(true)
    }

    async fn leave(&self, _owner: OwnerId, _number: TicketNumber) -> Result<bool, LockError> {
        Ok(true)
    }

    async fn look(
        &self,
        _keys: &[LockKey],
        _before: Option<TicketNumber>,
        _seen: Option<Mark>,
    ) -> Result<Option<LineView>, LockError> {
        Ok(Some(LineView { mark: Mark::from_storage(0), held: Vec::new(), line: Vec::new() }))
    }
}
