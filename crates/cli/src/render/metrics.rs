//! What `agents metrics` shows, and what a process that serves metrics adds of itself.
//!
//! Names and labels are a contract (`docs/reference/metrics.md`): they are only ever added to.

use std::time::Duration;

use agents_application::counters::Counted;
use agents_application::survey::Survey;
use agents_domain::plan::{Phase, Stage, State};

use crate::render::exposition::{Family, Kind, float};

/// Of what ended lately: the shortest half, …, and the longest.
const QUANTILES: [(&str, usize); 4] = [("0.5", 50), ("0.9", 90), ("0.99", 99), ("1", 100)];

/// What a store says of itself; without a survey that it could not be read.
pub fn of_store(survey: Option<&Survey>) -> Vec<Family> {
    let up = Family::new("agents_store_up", Kind::Gauge, "Whether the store could be read.");
    let mut families = vec![build(), up.with([], f64::from(u8::from(survey.is_some())))];
    let Some(survey) = survey else { return families };
    families.push(plans(survey));
    families.extend(locks(survey));
    families.extend(line(survey));
    families.extend(orders(survey));
    families.push(events(survey));
    families.extend(recent(survey));
    families
}

fn build() -> Family {
    let family =
        Family::new("agents_build_info", Kind::Gauge, "The version of agents that measures; always 1.");
    family.with([("version", env!("CARGO_PKG_VERSION"))], 1.0)
}

/// A stage that nobody is in is there all the same: what is missing cannot be told from what is not
/// measured.
fn plans(survey: &Survey) -> Family {
    let family = Family::new("agents_plans", Kind::Gauge, "Plans, subplans among them, by phase and state.");
    let pairs = Phase::ALL.into_iter().flat_map(|phase| State::ALL.map(|state| (phase, state)));
    pairs.filter_map(|(phase, state)| Stage::new(phase, state)).fold(family, |family, stage| {
        let count = survey.measured.plans.get(&stage).copied().unwrap_or(0);
        family.with([("phase", stage.phase().as_str()), ("state", stage.state().as_str())], float(count))
    })
}

fn locks(survey: &Survey) -> [Family; 3] {
    let held =
        Family::new("agents_locks_held", Kind::Gauge, "Locks that are held, by type of what is locked.");
    let stale =
        Family::new("agents_locks_stale", Kind::Gauge, "Locks that are held beyond the end of their lease.");
    let longest = Family::new(
        "agents_lock_longest_hold_seconds",
        Kind::Gauge,
        "Since when the lock that has been held longest is held.",
    );
    survey.locks.iter().fold([held, stale, longest], |[held, stale, longest], (kind, numbers)| {
        let labels = [("resource", *kind)];
        [
            held.with(labels, float(numbers.held)),
            stale.with(labels, float(numbers.stale)),
            longest.with(labels, numbers.longest.as_secs_f64()),
        ]
    })
}

fn line(survey: &Survey) -> [Family; 3] {
    let waiters = Family::new("agents_lock_waiters", Kind::Gauge, "Who stands in line for locks.");
    let longest = Family::new(
        "agents_lock_longest_wait_seconds",
        Kind::Gauge,
        "How long the one waits that has waited longest.",
    );
    let requests = Family::new(
        "agents_requests_open",
        Kind::Gauge,
        "Requests to the holders of locks that were not served yet.",
    );
    let count = |kind| float(survey.measured.requests.get(kind).copied().unwrap_or(0));
    [
        waiters.with([], float(survey.measured.waiting)),
        longest.with([], survey.longest_wait.as_secs_f64()),
        ["break", "cancel"]
            .into_iter()
            .fold(requests, |family, kind| family.with([("kind", kind)], count(kind))),
    ]
}

fn orders(survey: &Survey) -> [Family; 2] {
    let orders =
        Family::new("agents_orders_open", Kind::Gauge, "Open orders for workers, by where they are.");
    let longest = Family::new(
        "agents_order_longest_wait_seconds",
        Kind::Gauge,
        "How long the order stands in line that has longest.",
    );
    let of = &survey.measured.orders;
    let places = [("in_line", of.in_line), ("resting", of.resting), ("in_hand", of.in_hand)];
    [
        places
            .into_iter()
            .fold(orders, |family, (place, count)| family.with([("place", place)], float(count))),
        longest.with([], survey.longest_order.as_secs_f64()),
    ]
}

fn events(survey: &Survey) -> Family {
    let family =
        Family::new("agents_events_total", Kind::Counter, "Events in the logs of all plans, by kind.");
    survey
        .measured
        .events
        .iter()
        .fold(family, |family, (kind, count)| family.with([("kind", kind)], float(*count)))
}

fn recent(survey: &Survey) -> [Family; 3] {
    let recent = &survey.recent;
    let window = Family::new(
        "agents_recent_seconds",
        Kind::Gauge,
        "How long the last while is that agents_recent_… are of.",
    );
    let ended = Family::new(
        "agents_recent_attempts",
        Kind::Gauge,
        "Attempts that ended in the last while, by phase and how they ended.",
    );
    let lengths = Family::new(
        "agents_recent_attempt_seconds",
        Kind::Gauge,
        "How long those attempts took; the part that took no longer is the quantile.",
    );
    let families = [window.with([], recent.length.as_secs_f64()), ended, lengths];
    recent.phases.iter().fold(families, |[window, ended, lengths], ((phase, outcome), of)| {
        let (phase, outcome) = (phase.as_str(), outcome.as_str());
        let count = u64::try_from(of.len()).unwrap_or(u64::MAX);
        let ended = ended.with([("phase", phase), ("outcome", outcome)], float(count));
        let lengths = QUANTILES.iter().fold(lengths, |family, (quantile, percent)| {
            let labels = [("phase", phase), ("outcome", outcome), ("quantile", *quantile)];
            family.with(labels, within(of, *percent).as_secs_f64())
        });
        [window, ended, lengths]
    })
}

/// The length that so many of a hundred do not pass. The lengths are in order, and there is one.
fn within(lengths: &[Duration], percent: usize) -> Duration {
    let place = (lengths.len() * percent).div_ceil(100).saturating_sub(1);
    lengths.get(place).copied().unwrap_or_default()
}

/// What a process has counted since it began.
pub fn of_process(counted: &Counted) -> Vec<Family> {
    let waits = Family::new(
        "agents_process_lock_wait_seconds",
        Kind::Histogram,
        "How long locks were waited for until they were granted to this process.",
    );
    let holds = Family::new(
        "agents_process_lock_hold_seconds",
        Kind::Histogram,
        "How long locks were held by this process that it has given back.",
    );
    let phases = Family::new(
        "agents_process_attempt_seconds",
        Kind::Histogram,
        "How long attempts took whose end this process recorded.",
    );
    let phases = counted.phases.iter().fold(phases, |family, ((phase, outcome), of)| {
        family.with_durations([("phase", phase.as_str()), ("outcome", outcome.as_str())], of)
    });
    let mut families = vec![
        counted
            .waits
            .iter()
            .fold(waits, |family, (kind, of)| family.with_durations([("resource", kind)], of)),
        counted
            .holds
            .iter()
            .fold(holds, |family, (kind, of)| family.with_durations([("resource", kind)], of)),
        phases,
    ];
    families.extend(of_leases(counted));
    families
}

fn of_leases(counted: &Counted) -> [Family; 5] {
    let renewals = Family::new(
        "agents_process_lease_renewals_total",
        Kind::Counter,
        "Leases that were renewed, and renewals that failed.",
    );
    let takeovers = Family::new(
        "agents_process_lock_takeovers_total",
        Kind::Counter,
        "Locks that were taken from a holder that was proven dead.",
    );
    let lost = Family::new(
        "agents_process_leases_lost_total",
        Kind::Counter,
        "Leases that were lost while they were held.",
    );
    let rejected = Family::new(
        "agents_process_fence_rejections_total",
        Kind::Counter,
        "Writes that the store refused, for another had the lock by then.",
    );
    let moves = Family::new(
        "agents_process_transitions_total",
        Kind::Counter,
        "Transitions that this process wrote, by kind.",
    );
    let lost = ["plan", "project"].into_iter().fold(lost, |family, kind| {
        family.with([("resource", kind)], float(counted.lost.get(kind).copied().unwrap_or(0)))
    });
    let each =
        |family: Family, (kind, count): (&&'static str, &u64)| family.with([("kind", kind)], float(*count));
    [
        renewals
            .with([("result", "renewed")], float(counted.renewals))
            .with([("result", "failed")], float(counted.failed_renewals)),
        takeovers.with([], float(counted.takeovers)),
        lost,
        rejected.with([], float(counted.rejected)),
        counted.transitions.iter().fold(moves, each),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_quantile_is_a_length_that_occurred() {
        let lengths: Vec<Duration> = (1..=10).map(Duration::from_secs).collect();
        let found = QUANTILES.map(|(_, percent)| within(&lengths, percent).as_secs());
        assert_eq!(found, [5, 9, 10, 10]);
        assert_eq!(within(&lengths[..1], 50), Duration::from_secs(1));
    }
}
