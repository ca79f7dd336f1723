//! What must hold when all is over: T1 to T5 of the trust table, from what the processes said, what
//! the commands wrote, what the witness in the database saw, and what git has.

mod answers;
mod fences;
mod landings;
mod lives;
mod trees;
mod work;

use std::collections::BTreeMap;

use agents_domain::id::PlanId;
use agents_domain::plan::{Change, Event, InterruptCause, Plan};

use crate::linux::journal::{self, Record};
use crate::linux::oracle::Seen;
use crate::linux::runs::Run;
use crate::linux::weather::{self, Weather};
use crate::linux::world::World;

/// All that is known of a run.
pub(crate) struct Evidence<'a> {
    world: &'a World,
    runs: Vec<Run>,
    seen: Vec<Seen>,
    histories: BTreeMap<String, (Plan, Vec<Event>)>,
    journal: BTreeMap<String, Vec<Record>>,
    weather: Vec<Weather>,
    /// What was committed too late.
    late: Vec<String>,
}

/// What came of it.
#[derive(Debug, Default)]
pub(crate) struct Verdict {
    pub(crate) violations: Vec<String>,
    pub(crate) plans: usize,
    pub(crate) processes: usize,
    pub(crate) faults: BTreeMap<&'static str, usize>,
    pub(crate) takeovers: usize,
    pub(crate) lost_leases: usize,
    pub(crate) recovered: usize,
    pub(crate) attempts: usize,
    pub(crate) landings: usize,
    pub(crate) commits: usize,
    pub(crate) answers: usize,
    pub(crate) trees: Trees,
    /// Milliseconds between the last sign of life of an attempt and the first of the next.
    pub(crate) margins: Vec<i64>,
}

/// What came of plans with children.
#[derive(Debug, Default)]
pub(crate) struct Trees {
    pub(crate) parents: usize,
    pub(crate) children: usize,
    pub(crate) merged: usize,
    pub(crate) given_up: usize,
    pub(crate) conflicts: usize,
    /// Schedulers that carried on for a dead one.
    pub(crate) adopted: usize,
}

/// What must be so once everything has been carried on to its end: nobody holds anything, but who was
/// killed with a lock in hand of which nobody has wanted anything since. It is free for whoever asks.
pub(crate) fn settled(world: &World) -> Vec<String> {
    let runs = world.runs.lock().expect("whole");
    let killed = |pid: i32| runs.iter().any(|run| run.pid == pid && run.exit.is_none());
    let left = world.oracle.holders().into_iter().filter(|(_, _, pid)| !killed(*pid));
    left.map(|(key, token, _)| format!("T1 {key} stays held, at token {token}")).collect()
}

/// Reads everything and judges it.
pub(crate) fn check(world: &World) -> Verdict {
    let mut verdict = Verdict::default();
    let evidence = gather(world, &mut verdict);
    fences::check(&evidence, &mut verdict);
    answers::check(&evidence, &mut verdict);
    landings::check(&evidence, &mut verdict);
    lives::check(&evidence, &mut verdict);
    work::check(&evidence, &mut verdict);
    trees::check(&evidence, &mut verdict);
    count(&evidence, &mut verdict);
    verdict
}

/// The database as it is, with the program's own check of it: every log replays to its plan.
fn gather<'a>(world: &'a World, verdict: &mut Verdict) -> Evidence<'a> {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().expect("a runtime");
    let (problems, plans) = world.oracle.place.open();
    verdict.violations.extend(problems.into_iter().map(|problem| format!("T2 {problem}")));
    let mut histories = BTreeMap::new();
    for row in world.oracle.plans() {
        let id = PlanId::parse(&row.id).expect("an id");
        let read = runtime.block_on(async { (plans.load(id).await, plans.events(id).await) });
        match read {
            (Ok(Some(plan)), Ok(events)) => drop(histories.insert(row.id, (plan, events))),
            other => verdict.violations.push(format!("T2 plan {id} cannot be read: {other:?}")),
        }
    }
    let mut runs = world.runs.lock().expect("whole").clone();
    runs.sort_by_key(|run| run.number);
    let (seen, journal) = (world.oracle.seen(), journal::read(&world.journal()));
    let mut weather = world.weather.lock().expect("whole").clone();
    if world.oracle.place.server().is_some() {
        weather.extend(weather::restarts());
    }
    let told: Vec<_> = weather.iter().map(|weather| format!("{weather:?}\n")).collect();
    std::fs::write(world.directory.join("weather"), told.concat()).expect("written");
    Evidence { world, runs, seen, histories, journal, weather, late: world.oracle.late() }
}

fn count(evidence: &Evidence<'_>, verdict: &mut Verdict) {
    verdict.plans = evidence.histories.len();
    verdict.processes = evidence.runs.len();
    for run in &evidence.runs {
        for fault in &run.faults {
            *verdict.faults.entry(fault.kind).or_default() += 1;
        }
        for weather in evidence.weather.iter().filter(|weather| weather.met(run, 0)) {
            *verdict.faults.entry(weather.fault.kind).or_default() += 1;
        }
        let document = run.document().unwrap_or_default();
        let lost = document["error"]["code"].as_str().is_some_and(|code| code == "lease_lost");
        verdict.lost_leases += usize::from(lost);
    }
    verdict.takeovers =
        evidence.seen.iter().filter(|seen| seen.kind == "grant" && seen.lock_owner.is_some()).count();
    for event in evidence.histories.values().flat_map(|(_, events)| events) {
        match &event.change {
            Change::Interrupted { cause: InterruptCause::OwnerDied, .. } => verdict.recovered += 1,
            Change::PhaseStarted { .. } => verdict.attempts += 1,
            Change::Landed { .. } => verdict.landings += 1,
            _ => {}
        }
    }
}
