//! P1: a fenced, locked transition (acquire, write, release) ÷ the same one with no lock.
//!
//! Both go through [`PlanLifecycleService`] to a SQLite file of their own on a real disk, and wait
//! for that disk at the write. The plan alternates between `start` and `park`, so that its row
//! does not grow with the number of transitions. `cargo bench -p agents-infrastructure`.

#[path = "../../../benches/figures.rs"]
mod figures;

use std::collections::BTreeMap;
use std::path::Path;
use std::sync::Arc;

use agents_application::lock_service::LockParts;
use agents_application::order::Order;
use agents_application::{LockService, PlanLifecycleService};
use agents_domain::action::{Arguments, Automation};
use agents_domain::id::{Ids as _, OwnerId, PlanId};
use agents_domain::lock::Processes as _;
use agents_domain::name::Name;
use agents_domain::plan::Definition;
use agents_domain::runner::NoChildren;
use agents_domain::time::Ttl;
use agents_domain::workspace::Project;
use agents_infrastructure::action_file;
use agents_infrastructure::clock::SystemClock;
use agents_infrastructure::ids::SystemIds;
use agents_infrastructure::process::SystemProcesses;
use agents_infrastructure::sqlite::{SqliteOptions, SqliteStore};
use tokio::runtime::{Builder, Runtime};

use figures::{Turns, say, wanted};

const ACTION: &str = "name: bench\nexecute: { run: [\"true\"] }\n";
/// Rounds, and transitions of either kind in a round.
const ROUNDS: (usize, usize) = (60, 20);

/// A plan that is moved to and fro.
struct Walk {
    runtime: Runtime,
    service: PlanLifecycleService,
    plan: PlanId,
    running: bool,
}

impl Walk {
    fn new(directory: &Path, fenced: bool) -> Self {
        let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
        let (clock, ids) = (Arc::new(SystemClock), Arc::new(SystemIds::new()));
        let processes = Arc::new(SystemProcesses::new().on_one_machine());
        let path = directory.join(if fenced { "fenced.db" } else { "unfenced.db" });
        let boot = processes.myself("").boot_id;
        let options = SqliteOptions::new(path, clock.clone(), boot, "bench", |source, origin| {
            action_file::parse(source, origin).map_err(|error| error.to_string())
        });
        let options = options.in_place();
        let options = if fenced { options } else { options.allow_unfenced() };
        let store = SqliteStore::create(options).expect("a database");
        let mut service =
            PlanLifecycleService::new(Arc::new(store.plans()), clock.clone(), ids.clone(), processes.clone());
        if fenced {
            service = service.with_locks(LockService::new(LockParts {
                port: Arc::new(store.locks()),
                heartbeat: Arc::new(store.heartbeat_locks()),
                line: Arc::new(store.line()),
                pulse: Arc::new(store.pulse()),
                requests: Arc::new(store.requests()),
                children: Arc::new(NoChildren),
                owner: OwnerId::from(ids.ulid()),
                ttl: Ttl::default(),
                tick: LockService::TICK,
                processes,
                clock,
                ids,
            }));
        }
        let created = runtime.block_on(async {
            let (plan, guard) = service.create(order(), "plan use").await.expect("created");
            guard.release().await.expect("released");
            plan.id
        });
        Self { runtime, service, plan: created, running: false }
    }

    /// One transition, however it is locked.
    fn step(&mut self) {
        let (service, plan) = (&self.service, self.plan);
        let moved = if self.running {
            self.runtime.block_on(service.park(plan, "bench".to_owned(), Vec::new()))
        } else {
            self.runtime.block_on(service.start(plan, BTreeMap::new(), false))
        };
        moved.expect("moved");
        self.running = !self.running;
    }
}

fn order() -> Order {
    let name = Name::parse("local/bench").expect("a name");
    let definition = Definition {
        action: action_file::parse(ACTION, "bench").expect("an action"),
        action_source: ACTION.to_owned(),
        arguments: Arguments::new(),
        projects: vec![Project {
            name,
            path: "/bench".into(),
            common_dir: "/bench/.git".into(),
            branch: "main".to_owned(),
        }],
    };
    Order { definition, automation: Automation::Manual, name: None }
}

fn main() {
    if !wanted() {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
    let mut unfenced = Walk::new(directory.path(), false);
    let mut fenced = Walk::new(directory.path(), true);
    let mut turns = |rounds| Turns::take(rounds, ROUNDS.1, || unfenced.step(), || fenced.step());
    // Connections, statements and the log are warm before it counts.
    turns(3);
    let turns = turns(ROUNDS.0);
    let (plain, ours) = turns.absolute();
    say(&format!("P1  SQLite, durable, {} transitions of either kind", ROUNDS.0 * ROUNDS.1));
    say(&format!("    no lock             {plain} µs"));
    say(&format!("    fenced and locked   {ours} µs"));
    say(&format!("    ratio, by rounds    {}   aim ≤ 1.5", turns.ratio()));
}
