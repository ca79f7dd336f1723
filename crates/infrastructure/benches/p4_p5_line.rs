//! P4: the next grant of one lock that eight processes want; P5: fairness of the line and of the gate.
//!
//! Processes, not threads: this program starts itself as workers, which share nothing but a database:
//! a SQLite file on a real disk, or with the argument `postgres` a schema of a server. Each writes down, on the clock that all of them share, when it asked, when
//! it was granted, and when it let go.
//!
//! **P4**: each worker takes one lock, holds it for nothing, and lets go, again and again. The next
//! grant is counted from the moment before the release is called to the moment after the acquire
//! has returned, where the next one was waiting by then. If `etcd` is there (Debian: `etcd-server`),
//! its lock is driven the same way, round by round in turn, through its gRPC-JSON gateway over one
//! connection for each worker: one lease a worker, `lock/lock` and `lock/unlock` each time.
//!
//! **P5**, with 8 and 32 workers: most ÷ fewest grants, and the worst wait ÷ (workers × mean hold).
//! For the line a hold takes 10 ms. For the gate a write is a durable renewal of a lock of the
//! worker's own, and a hold is the time the file was written ÷ the number of writes, since the gate
//! is never idle. PostgreSQL has no gate.
//!
//! `cargo bench -p agents-infrastructure --bench p4_p5_line -- [postgres] [p4|p5] [--seconds N]`: N seconds for
//! each figure of P5, 60 unless told, and a sixth of it for each round of P4.

#[path = "p4_p5_line/crowd.rs"]
mod crowd;
#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "nothing is listed")]
mod database;
#[path = "shared/etcd.rs"]
mod etcd;
#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "nothing is timed in turn within this process")]
mod figures;
#[path = "shared/store.rs"]
mod store;
#[path = "p4_p5_line/worker.rs"]
mod worker;

use std::time::Duration;

use crowd::{Crowd, Stint, Task};
use database::Kind;
use etcd::Etcd;
use figures::{Spread, say, wanted};

/// Rounds of P4, of each kind.
const ROUNDS: usize = 5;
const WORKERS: usize = 8;
const HOLD: Duration = Duration::from_millis(10);

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    if arguments.first().is_some_and(|first| first == worker::FLAG) {
        worker::run(&arguments[1..]);
        return;
    }
    if !wanted() {
        return;
    }
    let told = arguments.iter().position(|argument| argument == "--seconds");
    let seconds = told.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(60);
    let kind = Kind::told();
    let only = |name: &str| arguments.iter().any(|argument| argument == name);
    if !only("p5") {
        next_grant(kind, Duration::from_secs(seconds) / 6);
    }
    if !only("p4") {
        for workers in [8, 32] {
            fairness(kind, workers, Duration::from_secs(seconds));
        }
    }
}

/// P4.
fn next_grant(kind: Kind, round: Duration) {
    let name = kind.name();
    say(&format!("P4  {name}, {WORKERS} processes, one lock, {ROUNDS} rounds of {round:?} of each kind"));
    let etcd = Etcd::start();
    let (mut ours, mut theirs) = (Vec::new(), Vec::new());
    for _ in 0..ROUNDS {
        ours.push(Crowd::run(kind, &Task::Line { hold: Duration::ZERO }, WORKERS, round));
        if let Some(etcd) = &etcd {
            theirs.push(Crowd::run(kind, &Task::Etcd { address: etcd.address() }, WORKERS, round));
        }
    }
    let rates = rates("agents", &ours, round);
    if theirs.is_empty() {
        say("    etcd is not on PATH (Debian: etcd-server): no ratio");
        return;
    }
    let others = self::rates("etcd", &theirs, round);
    let ratios = rates.iter().zip(others).map(|(ours, theirs)| ours / theirs).collect();
    say(&format!("    ratio, by rounds    {}   aim ≥ 10", Spread::of(ratios)));
}

/// Grants per second of each round; said, with the time to the next grant over all rounds.
fn rates(name: &str, rounds: &[Vec<Vec<Stint>>], round: Duration) -> Vec<f64> {
    let rates: Vec<f64> =
        rounds.iter().map(|crowd| count(crowd.iter().map(Vec::len).sum()) / round.as_secs_f64()).collect();
    let mut gaps: Vec<f64> = rounds.iter().flat_map(|crowd| gaps(crowd)).collect();
    gaps.sort_by(f64::total_cmp);
    say(&format!("    {name:7} grants/s    {}", Spread::of(rates.clone())));
    let aim = if name == "agents" { "   aim p50 ≤ 5, p99 ≤ 25" } else { "" };
    let (half, most) = (quantile(&gaps, 50), quantile(&gaps, 99));
    say(&format!("    {name:7} next grant  p50 {half:.2} ms, p99 {most:.2} ms{aim}"));
    rates
}

/// From each release to the next grant, in milliseconds, where somebody was waiting.
fn gaps(crowd: &[Vec<Stint>]) -> Vec<f64> {
    let mut stints: Vec<&Stint> = crowd.iter().flatten().collect();
    stints.sort_by_key(|stint| stint.granted);
    let pairs = stints.windows(2).filter(|pair| pair[1].asked <= pair[0].leaving);
    pairs.map(|pair| millis(pair[1].granted - pair[0].leaving)).collect()
}

/// P5, of the line and of the gate.
fn fairness(kind: Kind, workers: usize, length: Duration) {
    say(&format!("P5  {}, {workers} processes, {length:?}", kind.name()));
    let line = Crowd::run(kind, &Task::Line { hold: HOLD }, workers, length);
    let held: f64 = line.iter().flatten().map(|stint| millis(stint.leaving - stint.granted)).sum();
    report("line", &line, held / count(line.iter().map(Vec::len).sum()));
    if kind == Kind::Postgres {
        return;
    }
    let gate = Crowd::run(kind, &Task::Gate, workers, length);
    report("gate", &gate, length.as_secs_f64() * 1e3 / count(gate.iter().map(Vec::len).sum()));
}

fn report(name: &str, crowd: &[Vec<Stint>], hold: f64) {
    let counts = crowd.iter().map(Vec::len);
    let (most, fewest) = (counts.clone().max().unwrap_or(0), counts.min().unwrap_or(0));
    let worst = crowd.iter().flatten().map(|stint| stint.granted - stint.asked).max().map_or(0.0, millis);
    let (ratio, share) = (count(most) / count(fewest), worst / (count(crowd.len()) * hold));
    say(&format!("    {name}  most ÷ fewest     {most} ÷ {fewest} = {ratio:.2}   aim ≤ 1.5"));
    say(&format!("    {name}  worst wait        {worst:.0} ms = {share:.2} × (N × {hold:.2} ms)   aim ≤ 5"));
}

fn quantile(sorted: &[f64], percent: usize) -> f64 {
    sorted
        .get((sorted.len() * percent / 100).min(sorted.len().saturating_sub(1)))
        .copied()
        .unwrap_or(f64::NAN)
}

#[expect(clippy::cast_precision_loss, reason = "2^53 of anything is enough")]
fn millis(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1e6
}

#[expect(clippy::cast_precision_loss, reason = "2^53 of anything is enough")]
fn count(number: usize) -> f64 {
    number as f64
}
