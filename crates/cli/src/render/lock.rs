//! Locks as JSON, and for people.

use agents_domain::lock::{HeldLock, Holder, Liveness};
use agents_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::render::{Body, Grid, LivenessOf, Report, relative, rfc3339};

pub(super) fn holder_view(holder: &Holder, liveness: Liveness) -> Value {
    json!({
        "host": holder.host,
        "pid": holder.pid,
        "user": holder.user,
        "operation": holder.operation,
        "liveness": liveness.as_str(),
    })
}

/// The `details` of a `lock_conflict`.
pub fn lock_details(lock: &HeldLock, liveness: Liveness) -> Value {
    json!({
        "key": lock.key.to_string(),
        "owner_id": lock.owner.as_str(),
        "token": lock.token.value(),
        "acquired_at": rfc3339(lock.acquired_at),
        "expires_at": rfc3339(lock.expires_at),
        "holder": holder_view(&lock.holder, liveness),
    })
}

/// One lock of `lock.list`; also `lock.show`.
pub fn lock_view(lock: &HeldLock, liveness: LivenessOf<'_>) -> Value {
    json!({
        "resource_type": lock.key.resource_type(),
        "resource_id": lock.key.resource_id(),
        "owner_id": lock.owner.as_str(),
        "token": lock.token.value(),
        "acquired_at": rfc3339(lock.acquired_at),
        "expires_at": rfc3339(lock.expires_at),
        "stale": lock.stale,
        "holder": holder_view(&lock.holder, liveness(&lock.holder)),
    })
}

/// The `lock` of a plan.
pub(super) fn lock_of_plan(lock: &HeldLock, liveness: LivenessOf<'_>) -> Value {
    json!({
        "owner_id": lock.owner.as_str(),
        "token": lock.token.value(),
        "acquired_at": rfc3339(lock.acquired_at),
        "expires_at": rfc3339(lock.expires_at),
        "stale": lock.stale,
        "holder": holder_view(&lock.holder, liveness(&lock.holder)),
    })
}

/// A process and what it does, on one line.
pub fn holder_words(holder: &Holder) -> String {
    let Holder { user, pid, host, operation, .. } = holder;
    format!("{user} (pid {pid} on {host}), doing: {operation}")
}

/// Who holds a lock, on one line.
pub(super) fn holder_line(lock: &HeldLock, liveness: Liveness) -> String {
    let Holder { user, pid, host, operation, .. } = &lock.holder;
    let stale = if lock.stale { ", stale" } else { "" };
    format!("{user} (pid {pid} on {host}, {liveness}{stale}), doing: {operation}")
}

/// `lock list`.
pub fn locks_report(locks: &[HeldLock], liveness: LivenessOf<'_>, now: Timestamp) -> Report {
    let mut grid = Grid::new(&["KEY", "TOKEN", "USER", "HOST", "PID", "LIVENESS", "DOING", "SINCE", "UNTIL"]);
    for lock in locks {
        let until = if lock.stale { "stale".to_owned() } else { relative(lock.expires_at, now) };
        grid.row([
            lock.key.to_string(),
            lock.token.to_string(),
            lock.holder.user.clone(),
            lock.holder.host.clone(),
            lock.holder.pid.to_string(),
            liveness(&lock.holder).to_string(),
            lock.holder.operation.clone(),
            relative(lock.acquired_at, now),
            until,
        ]);
    }
    let views: Vec<Value> = locks.iter().map(|lock| lock_view(lock, liveness)).collect();
    let report = Report {
        body: Body::Table(grid),
        ids: locks.iter().map(|lock| lock.key.to_string()).collect(),
        ..Report::of(json!({ "locks": views }))
    };
    if locks.is_empty() { report.message("no locks are held") } else { report }
}

/// `lock show`.
pub fn lock_report(lock: &HeldLock, liveness: LivenessOf<'_>, now: Timestamp) -> Report {
    let when = |at| format!("{} ({})", rfc3339(at), relative(at, now));
    let facts = vec![
        ("key", lock.key.to_string()),
        ("held by", holder_line(lock, liveness(&lock.holder))),
        ("owner", lock.owner.to_string()),
        ("token", lock.token.to_string()),
        ("since", when(lock.acquired_at)),
        ("until", when(lock.expires_at)),
    ];
    let ids = vec![lock.key.to_string()];
    Report { body: Body::Facts(facts), ids, ..Report::of(lock_view(lock, liveness)) }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::render::samples;

    const ALIVE: LivenessOf<'static> = &|_| Liveness::Alive;

    #[test]
    fn a_listed_lock_has_the_fields_of_the_contract() {
        let report = locks_report(&[samples::held()], ALIVE, samples::held().acquired_at);
        let expected = json!({"locks": [{
            "resource_type": "plan", "resource_id": "01ARZ3NDEKTSV4RRFFQ69G5FAV",
            "owner_id": "01ARZ3NDEKTSV4RRFFQ69G5FB0", "token": 7,
            "acquired_at": "2026-01-02T03:04:05.678Z", "expires_at": "2026-01-02T03:09:05.678Z", "stale": false,
            "holder": {"host": "box", "pid": 4711, "user": "ada", "operation": "plan execute", "liveness": "alive"},
        }]});
        assert_eq!(report.data, expected);
        let Body::Table(grid) = report.body else { panic!("no table") };
        assert_eq!(
            grid.plain(),
            "plan/01ARZ3NDEKTSV4RRFFQ69G5FAV\t7\tada\tbox\t4711\talive\tplan execute\tnow\tin 5m\n"
        );
        assert_eq!(report.ids, ["plan/01ARZ3NDEKTSV4RRFFQ69G5FAV"]);
    }

    #[test]
    fn staleness_is_a_word_and_an_empty_list_says_so() {
        let stale = HeldLock { stale: true, ..samples::held() };
        let Body::Table(grid) = locks_report(std::slice::from_ref(&stale), ALIVE, stale.expires_at).body
        else {
            panic!("no table")
        };
        assert!(grid.plain().ends_with("\tstale\n"));
        assert!(holder_line(&stale, Liveness::Dead).contains("dead, stale"));
        assert_eq!(locks_report(&[], ALIVE, stale.expires_at).messages, ["no locks are held"]);
    }

    #[test]
    fn one_lock_is_shown_with_its_times() {
        let report = lock_report(&samples::held(), ALIVE, samples::held().expires_at);
        let Body::Facts(facts) = report.body else { panic!("no facts") };
        assert!(facts.contains(&("until", "2026-01-02T03:09:05.678Z (now)".to_owned())));
        assert_eq!(report.data["token"], 7);
    }
}
