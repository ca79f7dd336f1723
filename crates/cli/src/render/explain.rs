//! `lock explain`, and how waiting is shown: who holds, who waits, and how that is known.

use agents_domain::lock::{HeldLock, Holder, LineView, Liveness, LockKey, Standing, Ticket};
use agents_domain::request::{Request, Wish};
use agents_domain::time::Timestamp;
use serde_json::{Map, Value, json};

use crate::render::lock::{holder_line, holder_view, holder_words, lock_view};
use crate::render::{Body, LivenessOf, Report, relative, request_view, rfc3339};

/// What is known of one lock.
#[derive(Debug)]
pub struct Explanation {
    /// Which.
    pub key: LockKey,
    /// Who holds it and who waits for it.
    pub view: LineView,
    /// What is asked of its holder.
    pub requests: Vec<Request>,
    /// This process: what can be proved depends on where one looks from.
    pub myself: Holder,
}

/// `lock explain`.
pub fn explain_report(explained: &Explanation, liveness: LivenessOf<'_>, now: Timestamp) -> Report {
    let held = explained.view.held.first();
    let advice = advice(explained, liveness);
    let waiting: Vec<Value> = numbered(explained).map(|(at, t)| waiter_view(at, t, liveness)).collect();
    let data = json!({
        "resource_type": explained.key.resource_type(),
        "resource_id": explained.key.resource_id(),
        "state": state(held),
        "lock": held.map(|held| lock_view(held, liveness)),
        "known_by": held.map(|held| known_by(&held.holder, liveness(&held.holder), &explained.myself)),
        "waiting": waiting,
        "requests": explained.requests.iter().map(request_view).collect::<Vec<_>>(),
        "help": advice,
    });
    let mut facts = vec![("key", explained.key.to_string()), ("state", state(held).to_owned())];
    facts.extend(held.into_iter().flat_map(|held| holder_facts(held, explained, liveness, now)));
    for (at, ticket) in numbered(explained) {
        facts.push(("waits", waiter_line(at, ticket, liveness(&ticket.holder), now)));
    }
    facts.extend(explained.requests.iter().map(|request| ("asked", request_line(request, now))));
    facts.extend(advice.into_iter().map(|line| ("help", line)));
    let ids = vec![explained.key.to_string()];
    Report { body: Body::Facts(facts), ids, ..Report::of(data) }
}

fn numbered(explained: &Explanation) -> impl Iterator<Item = (usize, &Ticket)> {
    (1..).zip(&explained.view.line)
}

const fn state(held: Option<&HeldLock>) -> &'static str {
    match held {
        None => "free",
        Some(held) if held.stale => "stale",
        Some(_) => "held",
    }
}

fn holder_facts(
    held: &HeldLock,
    explained: &Explanation,
    liveness: LivenessOf<'_>,
    now: Timestamp,
) -> Vec<(&'static str, String)> {
    let alive = liveness(&held.holder);
    let when = |at| format!("{} ({})", rfc3339(at), relative(at, now));
    let until = if held.stale { "ran out" } else { "until" };
    vec![
        ("held by", holder_line(held, alive)),
        ("known by", known_by(&held.holder, alive, &explained.myself)),
        ("token", held.token.to_string()),
        ("since", when(held.acquired_at)),
        (until, when(held.expires_at)),
    ]
}

/// How it is known whether a process lives.
fn known_by(holder: &Holder, liveness: Liveness, myself: &Holder) -> String {
    let pid = holder.pid;
    match liveness {
        Liveness::Alive => format!("process {pid} runs on this machine, and is the one that took the lock"),
        Liveness::Dead => format!("process {pid} of this machine has ended"),
        Liveness::Unknown if holder.host != myself.host => {
            format!("it is on {}; from here only its lease can tell", holder.host)
        }
        Liveness::Unknown => format!("process {pid} cannot be seen from here; only its lease can tell"),
    }
}

fn waiter_line(place: usize, ticket: &Ticket, liveness: Liveness, now: Timestamp) -> String {
    let Holder { user, pid, host, operation, .. } = &ticket.holder;
    let silent = if ticket.over { ", silent for too long: is passed" } else { "" };
    let dead = if liveness == Liveness::Dead { ": is passed" } else { "" };
    format!(
        "{place}. {user} (pid {pid} on {host}, {liveness}{dead}{silent}), doing: {operation}; ticket {}, since {} ({})",
        ticket.number,
        rfc3339(ticket.since),
        relative(ticket.since, now)
    )
}

fn waiter_view(place: usize, ticket: &Ticket, liveness: LivenessOf<'_>) -> Value {
    json!({
        "position": place,
        "ticket": ticket.number.value(),
        "owner_id": ticket.owner.as_str(),
        "keys": ticket.keys.iter().map(LockKey::to_string).collect::<Vec<_>>(),
        "since": rfc3339(ticket.since),
        "stale": ticket.over,
        "holder": holder_view(&ticket.holder, liveness(&ticket.holder)),
    })
}

fn request_line(request: &Request, now: Timestamp) -> String {
    let wish = match request.wish {
        Wish::Cancel { .. } => "to cancel the plan".to_owned(),
        Wish::LetGo { token } => format!("to let go of token {token}"),
    };
    let by = &request.by;
    let reason = request.reason.as_ref().map_or_else(String::new, |reason| format!(": {reason}"));
    format!("{wish}, by {} (pid {} on {}) {}{reason}", by.user, by.pid, by.host, relative(request.at, now))
}

/// What to do, with commands that parse.
fn advice(explained: &Explanation, liveness: LivenessOf<'_>) -> Vec<String> {
    let Some(held) = explained.view.held.first() else { return Vec::new() };
    let (key, token) = (&explained.key, held.token);
    let take = |reason: &str| format!("`agents lock break {key} --token {token} --reason \"{reason}\"`");
    if held.stale || liveness(&held.holder) == Liveness::Dead {
        return vec![
            "take over what its holder left: `agents recover`".to_owned(),
            format!("or take the lock away: {}", take("its holder is gone")),
        ];
    }
    match key {
        LockKey::Plan(plan) => vec![
            format!("wait in line: `agents --wait 5m plan execute {plan}`"),
            format!("give the plan up: `agents plan cancel {plan}`"),
        ],
        LockKey::Project(name) => vec![
            "commands that need it wait in line by themselves, and show their place".to_owned(),
            format!("what is under way: `agents plan list --project {name} --state processing`"),
        ],
    }
}

/// A wait, on one line.
pub fn waiting_line(standing: &Standing) -> String {
    let since =
        standing.since.map_or_else(String::new, |since| format!(", waiting since {}", rfc3339(since)));
    let place = format!("; place {} in line{since}", standing.position());
    let key = &standing.key;
    match (&standing.held, standing.ahead.first()) {
        (Some(held), _) => {
            let (at, who) = (rfc3339(held.acquired_at), holder_words(&held.holder));
            format!("waiting for {key}, held since {at} by {who}{place}")
        }
        (None, Some(first)) => {
            format!("waiting for {key}; next is {}{place}", holder_words(&first.holder))
        }
        (None, None) => format!("waiting for {key}{place}"),
    }
}

/// The `details` of a `lock_conflict` in which a line is in the way; `held` are those of its holder.
pub fn turn_details(standing: &Standing, held: Option<&Value>) -> Value {
    let nobody = || {
        let fields = ["owner_id", "token", "acquired_at", "expires_at", "holder"];
        let mut nobody: Map<_, _> = fields.map(|field| (field.to_owned(), Value::Null)).into_iter().collect();
        nobody.insert("key".to_owned(), standing.key.to_string().into());
        nobody
    };
    let mut details = held.and_then(Value::as_object).cloned().unwrap_or_else(nobody);
    let ahead = standing.ahead.iter().map(|ticket| {
        let holder = &ticket.holder;
        json!({
            "ticket": ticket.number.value(),
            "since": rfc3339(ticket.since),
            "holder": { "host": holder.host, "pid": holder.pid, "user": holder.user, "operation": holder.operation },
        })
    });
    details.insert("position".to_owned(), standing.position().into());
    details.insert("ahead".to_owned(), ahead.collect());
    Value::Object(details)
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use agents_domain::lock::Mark;

    use super::*;
    use crate::remedy;
    use crate::render::samples;

    fn explained(held: Option<HeldLock>) -> Explanation {
        let view = LineView {
            mark: Mark::from_storage(0),
            held: held.into_iter().collect(),
            line: vec![samples::ticket(), Ticket { over: true, ..samples::ticket() }],
        };
        Explanation { key: samples::held().key, view, requests: Vec::new(), myself: samples::held().holder }
    }

    fn facts(explained: &Explanation, liveness: Liveness) -> Vec<(&'static str, String)> {
        let now = samples::held().acquired_at.plus(Duration::from_mins(1));
        match explain_report(explained, &|_| liveness, now).body {
            Body::Facts(facts) => facts,
            other => panic!("{other:?}"),
        }
    }

    fn fact(facts: &[(&'static str, String)], name: &str) -> String {
        let found: Vec<&str> = facts.iter().filter(|(n, _)| *n == name).map(|(_, text)| &**text).collect();
        found.join("\n")
    }

    #[test]
    fn holder_and_waiters_are_shown_with_how_it_is_known_that_they_live() {
        let facts = facts(&explained(Some(samples::held())), Liveness::Alive);
        assert_eq!(fact(&facts, "state"), "held");
        assert!(fact(&facts, "held by").contains("ada (pid 4711 on box, alive)"));
        assert!(fact(&facts, "known by").contains("process 4711 runs on this machine"));
        let waits = fact(&facts, "waits");
        assert!(
            waits.starts_with("1. ada (pid 4711 on box, alive), doing: plan execute; ticket 6, since 2026"),
            "{waits}"
        );
        assert!(waits.contains("\n2. ada (pid 4711 on box, alive, silent for too long"), "{waits}");
        assert!(fact(&facts, "help").contains("agents plan cancel"));
    }

    #[test]
    fn the_dead_the_stale_and_the_free_are_told_apart() {
        let mut stale = samples::held();
        stale.stale = true;
        for (held, liveness, state) in [
            (Some(samples::held()), Liveness::Dead, "held"),
            (Some(stale), Liveness::Unknown, "stale"),
            (None, Liveness::Alive, "free"),
        ] {
            let explained = explained(held);
            let facts = facts(&explained, liveness);
            assert_eq!(fact(&facts, "state"), state);
            assert_eq!(fact(&facts, "help").contains("agents lock break"), state != "free");
            for hint in advice(&explained, &|_| liveness) {
                remedy::check_hint(&hint).expect("parses");
            }
        }
    }

    #[test]
    fn what_cannot_be_seen_from_here_is_said_to_be_so() {
        let here = samples::held().holder;
        let away = Holder { host: "elsewhere".to_owned(), ..here.clone() };
        assert!(known_by(&away, Liveness::Unknown, &here).starts_with("it is on elsewhere"));
        assert!(known_by(&here, Liveness::Unknown, &here).contains("cannot be seen from here"));
    }

    #[test]
    fn for_a_project_the_way_on_is_to_wait_in_line() {
        let name = agents_domain::name::Name::parse("local/api").expect("valid");
        let held = HeldLock { key: LockKey::Project(name), ..samples::held() };
        let explained = Explanation { key: held.key.clone(), ..explained(Some(held)) };
        let lines = advice(&explained, &|_| Liveness::Alive);
        assert!(lines[0].contains("wait in line by themselves"));
        for line in lines {
            remedy::check_hint(&line).expect("parses");
        }
    }

    #[test]
    fn a_wait_names_holder_and_place_or_who_is_next() {
        let standing = samples::standing();
        let line = waiting_line(&standing);
        assert!(line.starts_with(
            "waiting for plan/01ARZ3NDEKTSV4RRFFQ69G5FAV, held since 2026-01-02T03:04:05.678Z by ada"
        ));
        assert!(
            line.ends_with("doing: plan execute; place 2 in line, waiting since 2026-01-02T03:04:05.678Z")
        );
        let free = Standing { held: None, ..standing };
        assert!(waiting_line(&free).contains("; next is ada (pid 4711 on box)"));
        let last = Standing { ahead: Vec::new(), since: None, ..free };
        assert!(waiting_line(&last).ends_with("; place 1 in line"));
    }

    #[test]
    fn the_json_has_everything() {
        let explained = explained(Some(samples::held()));
        let now = samples::held().acquired_at;
        let data = explain_report(&explained, &|_| Liveness::Alive, now).data;
        assert_eq!((&data["state"], &data["lock"]["token"]), (&json!("held"), &json!(7)));
        assert_eq!(data["waiting"][0]["position"], 1);
        assert_eq!(data["waiting"][0]["holder"]["liveness"], "alive");
        assert_eq!((&data["waiting"][1]["stale"], &data["requests"]), (&json!(true), &json!([])));
    }
}
