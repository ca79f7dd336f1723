//! Who held which lock when, read from the events that were written under those locks.

use std::collections::BTreeMap;
use std::time::Duration;

use agents_domain::plan::{Change, Event, Phase};
use agents_domain::reads::PlanFilter;
use agents_domain::time::Timestamp;
use serde_json::{Value, json};

use crate::app::Base;
use crate::failure::Failure;
use crate::render::{Grid, rfc3339};

use super::scene::Scene;

/// One stretch of time in which one process held one lock, by what it wrote meanwhile.
pub(super) struct Term {
    lock: String,
    token: Option<i64>,
    pid: Option<u32>,
    from: Timestamp,
    to: Timestamp,
    writes: usize,
}

/// All terms of the demo, in the order of their beginning.
pub(super) fn terms(base: &Base, scene: &Scene) -> Result<Vec<Term>, Failure> {
    let app = scene.open(base)?;
    let page = app.block_on(app.store.reads().list(&PlanFilter::default()))?;
    let mut terms = Vec::new();
    for view in &page.plans {
        let events = app.block_on(app.store.plans().events(view.record.id))?;
        terms.extend(plan_terms(&events));
        for project in &view.record.projects {
            terms.extend(landing_term(&format!("project/{}", project.name), &events));
        }
    }
    terms.sort_by_key(|term| (term.from, term.to));
    Ok(terms)
}

/// Events under one token belong to one term.
fn plan_terms(events: &[Event]) -> Vec<Term> {
    let mut terms: BTreeMap<i64, Term> = BTreeMap::new();
    for event in events {
        let Some(token) = event.token else { continue };
        let term = terms.entry(token.value()).or_insert_with(|| Term {
            lock: format!("plan/{}", event.plan),
            token: Some(token.value()),
            pid: None,
            from: event.at,
            to: event.at,
            writes: 0,
        });
        term.to = event.at;
        term.writes += 1;
        term.pid = term.pid.or(driver(event));
    }
    terms.into_values().collect()
}

/// The project's lock is held at least from the start of apply to its end.
fn landing_term(lock: &str, events: &[Event]) -> Option<Term> {
    let advanced =
        events.iter().position(|event| matches!(event.change, Change::PhaseAdvanced { to: Phase::Apply }))?;
    let during = &events[advanced + 1..];
    let (first, last) = (during.first()?, during.last()?);
    let (pid, writes) = (driver(first), during.len());
    Some(Term { lock: lock.to_owned(), token: None, pid, from: first.at, to: last.at, writes })
}

fn driver(event: &Event) -> Option<u32> {
    match &event.change {
        Change::PhaseStarted { driver, .. } | Change::Adopted { driver } => Some(driver.pid),
        _ => None,
    }
}

/// For people: times count from the first moment.
pub(super) fn table(terms: &[Term]) -> Grid {
    let mut grid = Grid::new(&["LOCK", "TOKEN", "HELD BY", "FROM", "TO", "WRITES"]);
    let zero = terms.first().map(|term| term.from).unwrap_or_default();
    let since = |at: Timestamp| {
        let millis = at.as_millis() - zero.as_millis();
        format!("{:.2}s", Duration::from_millis(u64::try_from(millis).unwrap_or(0)).as_secs_f64())
    };
    for term in terms {
        let token = term.token.map_or_else(String::new, |token| token.to_string());
        let pid = term.pid.map_or_else(String::new, |pid| format!("pid {pid}"));
        grid.row([term.lock.clone(), token, pid, since(term.from), since(term.to), term.writes.to_string()]);
    }
    grid
}

/// For programs.
pub(super) fn data(terms: &[Term]) -> Vec<Value> {
    terms
        .iter()
        .map(|term| {
            json!({
                "lock": term.lock, "token": term.token, "pid": term.pid,
                "from": rfc3339(term.from), "to": rfc3339(term.to), "writes": term.writes,
            })
        })
        .collect()
}
