//! Failures of locks: who is in the way, and what to do about it.

use agents_domain::lock::{Conflict, HeldLock, Liveness, LockError};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{lock_details, rfc3339};

impl Failure {
    /// A lock that another process holds: who, doing what, since when, until when.
    pub fn locked(lock: &HeldLock, liveness: Liveness) -> Self {
        let (key, holder) = (&lock.key, &lock.holder);
        let message = format!("{} {} is locked", key.resource_type(), key.resource_id());
        let ended = lock.stale || liveness == Liveness::Dead;
        let until = if lock.stale { "ran out at" } else { "until" };
        let failure = Self::new(Exit::Conflict, "lock_conflict", message)
            .cause(format!(
                "held by {} (pid {} on {}, {liveness}), doing: {}",
                holder.user, holder.pid, holder.host, holder.operation
            ))
            .cause(format!("since {}, {until} {}", rfc3339(lock.acquired_at), rfc3339(lock.expires_at)))
            .hint(format!("look: `agents lock show {key}`"))
            .detail(lock_details(lock, liveness))
            .retry();
        if ended { failure.hint("take over what its holder left: `agents recover`") } else { failure }
    }
}

impl From<Conflict> for Failure {
    /// For callers that cannot see the holder's process.
    fn from(Conflict(lock): Conflict) -> Self {
        Self::locked(&lock, Liveness::Unknown)
    }
}

impl From<LockError> for Failure {
    fn from(error: LockError) -> Self {
        match error {
            LockError::Conflict(conflict) => conflict.into(),
            LockError::NoSuchLock { .. } => {
                Self::not_found("no_such_lock", error.to_string()).hint("agents lock list")
            }
            LockError::Unavailable { .. } => {
                Self::new(Exit::Store, "store_unavailable", error.to_string()).retry()
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;
    use serde_json::json;

    #[test]
    fn a_conflict_names_the_holder_and_carries_the_details_of_the_contract() {
        let failure = Failure::locked(&samples::held(), Liveness::Alive);
        assert_eq!(failure.message, "plan 01ARZ3NDEKTSV4RRFFQ69G5FAV is locked");
        assert_eq!(
            failure.causes,
            [
                "held by ada (pid 4711 on box, alive), doing: plan execute",
                "since 2026-01-02T03:04:05.678Z, until 2026-01-02T03:09:05.678Z"
            ]
        );
        let details = failure.details.expect("given");
        assert_eq!(
            *details,
            json!({
                "key": "plan/01ARZ3NDEKTSV4RRFFQ69G5FAV", "owner_id": "01ARZ3NDEKTSV4RRFFQ69G5FB0", "token": 7,
                "acquired_at": "2026-01-02T03:04:05.678Z", "expires_at": "2026-01-02T03:09:05.678Z",
                "holder": {"host": "box", "pid": 4711, "user": "ada", "operation": "plan execute",
                           "liveness": "alive"},
            })
        );
        assert_eq!((failure.exit, failure.retryable, failure.hints.len()), (Exit::Conflict, true, 1));
    }

    #[test]
    fn what_an_ended_holder_left_can_be_recovered() {
        let dead = Failure::locked(&samples::held(), Liveness::Dead);
        let mut lock = samples::held();
        lock.stale = true;
        let stale: Failure = LockError::Conflict(Conflict(Box::new(lock))).into();
        assert!(stale.causes[1].contains("ran out at"));
        for failure in [dead, stale] {
            assert!(failure.hints.iter().any(|hint| hint.contains("agents recover")));
            failure.hints.iter().for_each(|hint| crate::remedy::check_hint(hint).expect("parses"));
        }
    }

    #[test]
    fn no_lock_is_not_found_and_no_answer_is_the_store() {
        let none: Failure = LockError::NoSuchLock { key: samples::held().key }.into();
        assert_eq!((none.exit, none.code), (Exit::NotFound, "no_such_lock"));
        let away: Failure = LockError::Unavailable { reason: "gone".to_owned() }.into();
        assert_eq!((away.exit, away.code, away.retryable), (Exit::Store, "store_unavailable", true));
    }
}
