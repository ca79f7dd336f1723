//! Failures of locks: who is in the way, and what to do about it.

use agents_domain::lock::{Conflict, HeldLock, Liveness, LockError, LockKey, Standing};

use crate::exit::Exit;
use crate::failure::Failure;
use crate::render::{holder_words, lock_details, rfc3339, turn_details};

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
            .hint(format!("look: `agents lock explain {key}`, or in short `agents lock show {key}`"))
            .detail(lock_details(lock, liveness))
            .retry();
        if ended { failure.hint("take over what its holder left: `agents recover`") } else { failure }
    }
}

impl Failure {
    /// Others come first, or the wait in line took too long: who holds, who is ahead, which place.
    /// `locked` says it of the holder, if there is one.
    pub fn queued(standing: &Standing, locked: impl FnOnce(&HeldLock) -> Self) -> Self {
        let key = &standing.key;
        let failure = standing.held.as_ref().map_or_else(|| Self::not_our_turn(key), locked);
        let since =
            standing.since.map_or_else(String::new, |since| format!(", waiting since {}", rfc3339(since)));
        let place = format!("place {} in line{since}", standing.position());
        let ahead = standing.ahead.iter().map(|ticket| {
            format!("ahead: {}, waiting since {}", holder_words(&ticket.holder), rfc3339(ticket.since))
        });
        let details = turn_details(standing, failure.details.as_deref());
        ahead.fold(failure.cause(place), Self::cause).detail(details)
    }

    fn not_our_turn(key: &LockKey) -> Self {
        let message = format!("{} {} is not ours to take yet", key.resource_type(), key.resource_id());
        Self::new(Exit::Conflict, "lock_conflict", message)
            .cause("nobody holds it, but others wait in line for it")
            .hint(format!("who waits for it: `agents lock explain {key}`"))
            .retry()
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
            LockError::Queued(standing) => {
                Self::queued(&standing, |held| Self::locked(held, Liveness::Unknown))
            }
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
    fn who_stands_in_line_is_told_who_comes_first_and_at_which_place() {
        let standing = samples::standing();
        let failure: Failure = LockError::Queued(Box::new(standing.clone())).into();
        assert_eq!(failure.message, "plan 01ARZ3NDEKTSV4RRFFQ69G5FAV is locked");
        assert!(
            failure.causes.contains(&"place 2 in line, waiting since 2026-01-02T03:04:05.678Z".to_owned())
        );
        assert!(
            failure.causes.iter().any(|cause| cause.starts_with("ahead: ada (pid 4711 on box), doing: "))
        );
        let details = failure.details.expect("given");
        assert_eq!((&details["position"], &details["ahead"][0]["ticket"]), (&json!(2), &json!(6)));
        assert_eq!(details["holder"]["pid"], 4711);
        let free = Failure::from(LockError::Queued(Box::new(Standing { held: None, ..standing })));
        assert_eq!((free.exit, free.code, free.retryable), (Exit::Conflict, "lock_conflict", true));
        assert!(free.message.ends_with("is not ours to take yet"), "{}", free.message);
        let details = free.details.expect("given");
        assert!(details["holder"].is_null() && details["key"] == "plan/01ARZ3NDEKTSV4RRFFQ69G5FAV");
        for hint in free.hints {
            crate::remedy::check_hint(&hint).expect("parses");
        }
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
