//! Requests to the holders of locks, and the look by which holders hear of them.

use std::sync::Arc;

use agents_domain::id::{OwnerId, RequestId};
use agents_domain::lock::{LockError, LockKey, Term};
use agents_domain::plan::StoreError;
use agents_domain::request::{Closed, Look, Pulse, Request, Requests as RequestPort};
use async_trait::async_trait;

use super::{Shared, State};

/// The port to what is asked.
pub(super) struct Requests(pub(super) Arc<Shared>);

impl State {
    fn make(&mut self, request: &Request) -> Request {
        let alike = |other: &&Request| {
            other.closed.is_none() && other.key == request.key && same_kind(other, request)
        };
        if let Some(open) = self.requests.iter().find(alike) {
            return open.clone();
        }
        self.requests.push(request.clone());
        request.clone()
    }

    /// The open cancellation of that plan, or the like.
    pub(super) fn open_requests(&self, key: &LockKey) -> impl Iterator<Item = &Request> {
        let key = key.clone();
        self.requests.iter().filter(move |request| request.key == key && request.closed.is_none())
    }
}

/// Asking twice to cancel is asking once, whatever is to stay.
fn same_kind(one: &Request, other: &Request) -> bool {
    use agents_domain::request::Wish::{Cancel, LetGo};
    match (one.wish, other.wish) {
        (Cancel { .. }, Cancel { .. }) => true,
        (LetGo { token }, LetGo { token: other }) => token == other,
        _ => false,
    }
}

#[async_trait]
impl RequestPort for Requests {
    async fn make(&self, requests: &[Request]) -> Result<Vec<Request>, StoreError> {
        self.0.critical(|state, _| Ok(requests.iter().map(|request| state.make(request)).collect()))
    }

    async fn open(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        self.0.critical(|state, _| Ok(state.open_requests(key).cloned().collect()))
    }

    async fn close(&self, id: RequestId, closed: &Closed) -> Result<(), StoreError> {
        self.0.critical(|state, _| {
            let mut open = state.requests.iter_mut().filter(|request| request.closed.is_none());
            if let Some(request) = open.find(|request| request.id == id) {
                request.closed = Some(closed.clone());
            }
        });
        Ok(())
    }

    async fn history(&self, key: &LockKey) -> Result<Vec<Request>, StoreError> {
        self.0.critical(|state, _| {
            Ok(state.requests.iter().filter(|request| request.key == *key).cloned().collect())
        })
    }
}

#[async_trait]
impl Pulse for Requests {
    async fn look(&self, owner: OwnerId, terms: &[Term]) -> Result<Option<Look>, LockError> {
        self.0.critical(|state, _| {
            let lost = terms.iter().filter(|(key, token)| !state.locks.is_term(key, owner, *token));
            let requests = terms.iter().flat_map(|(key, _)| state.open_requests(key)).cloned();
            Ok(Some(Look { lost: lost.cloned().collect(), requests: requests.collect() }))
        })
    }
}
