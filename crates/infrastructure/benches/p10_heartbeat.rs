//! P10: one beat of the heartbeat with 1,000 locks held ÷ one with a single lock.
//!
//! A beat as it is when it has something to do: look for requests and losses, and renew every lease
//! in one statement that waits for the disk. Two owners with a database each; their clock is moved
//! on by a third of the lease before each beat, so that a renewal is due; nothing else beats.
//! `cargo bench -p agents-infrastructure --bench p10_heartbeat`.

#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "only files, and only locks")]
mod database;
#[path = "../../../benches/figures.rs"]
mod figures;
#[path = "shared/store.rs"]
mod store;

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use agents_application::observer::Unobserved;
use agents_application::{LockGuard, LockService, Wait};
use agents_domain::lock::LockKey;
use agents_domain::name::Name;
use agents_domain::time::{BootInstant, Clock, Timestamp, Ttl};
use agents_domain::workspace::Project;
use agents_infrastructure::clock::SystemClock;
use tokio::runtime::{Builder, Runtime};

use database::{Kind, Store};
use figures::{Turns, say, wanted};

/// Locks held by the busy owner.
const LOCKS: usize = 1_000;
/// Rounds, and beats of either kind in a round.
const ROUNDS: (usize, usize) = (60, 10);

/// The system's clock, moved on by hand.
#[derive(Default)]
struct Shifted(AtomicU64);

impl Shifted {
    fn by(&self) -> Duration {
        Duration::from_millis(self.0.load(Ordering::Relaxed))
    }

    fn move_on(&self, milliseconds: u64) {
        self.0.fetch_add(milliseconds, Ordering::Relaxed);
    }
}

impl Clock for Shifted {
    fn now(&self) -> Timestamp {
        SystemClock.now().plus(self.by())
    }

    fn boottime(&self) -> BootInstant {
        SystemClock.boottime().plus(self.by())
    }
}

/// An owner of so many locks.
struct Owner {
    runtime: Runtime,
    locks: LockService,
    clock: Arc<Shifted>,
    guard: LockGuard,
}

impl Owner {
    fn of(count: usize, place: &str) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let store = Store::open(place);
        let projects: Vec<Project> = (0..count).map(project).collect();
        for project in &projects {
            let added = runtime.block_on(store.projects().add(project, Timestamp::default()));
            added.expect("registered");
        }
        let clock = Arc::new(Shifted::default());
        let locks = store::locks(&store, clock.clone(), Ttl::default(), Duration::from_hours(1));
        let keys = projects.into_iter().map(|project| LockKey::Project(project.name)).collect();
        let taken = runtime.block_on(locks.acquire(keys, "bench", Wait::No, &Unobserved));
        Self { runtime, locks, clock, guard: taken.expect("free") }
    }

    fn beat(&self) {
        self.clock.move_on(100_000);
        self.runtime.block_on(self.locks.beat());
        assert!(!self.guard.is_lost(), "a renewal failed");
    }
}

fn project(number: usize) -> Project {
    let (name, path) =
        (Name::parse(&format!("local/p{number}")).expect("a name"), format!("/bench/{number}"));
    Project {
        name,
        common_dir: format!("{path}/.git").into(),
        path: path.into(),
        branch: "main".to_owned(),
        machine: None,
        remote: None,
    }
}

fn main() {
    if !wanted() {
        return;
    }
    let places = [Kind::Sqlite.fresh(), Kind::Sqlite.fresh()];
    let single = Owner::of(1, &places[0].name());
    let busy = Owner::of(LOCKS, &places[1].name());
    let turns = |rounds| Turns::take(rounds, ROUNDS.1, || single.beat(), || busy.beat());
    // Connections, statements and the log are warm before it counts.
    turns(3);
    let turns = turns(ROUNDS.0);
    let (one, all) = turns.absolute();
    say(&format!("P10 one beat: look, and renewal with the disk, {} of either kind", ROUNDS.0 * ROUNDS.1));
    say(&format!("    1 lock held          {one} µs"));
    say(&format!("    {LOCKS} locks held      {all} µs"));
    say(&format!("    ratio, by rounds     {}   aim ≤ 1.5", turns.ratio()));
}
