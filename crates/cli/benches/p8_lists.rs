//! P8: `plan list --limit 50`, `plan status` and `lock list` with a million plans ÷ the same with a
//! hundred, through the ports and through the binary.
//!
//! Two places of the same store begin alike: a hundred plans that went through their lives by the
//! service, about ten events each (`p8_lists/lives.rs`). In one of them they are then multiplied by the
//! database itself, with all its indices and triggers (`p8_lists/copies.rs`). Twenty locks are held in
//! either. Each round asks both the same; a status is of another plan each time. `agents db check` of the
//! small one, or with `--check` of both, says whether such plans can exist.
//!
//! `cargo bench -p agents --bench p8_lists -- [postgres] [--plans N] [--check]`: N plans, a million unless
//! told, in hundreds.

#[path = "p8_lists/copies.rs"]
mod copies;
#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "all plans here are locked")]
mod database;
#[path = "../../../benches/figures.rs"]
mod figures;
#[path = "p8_lists/lives.rs"]
mod lives;
#[path = "../../infrastructure/benches/shared/store.rs"]
mod store;

use std::process::{Command, Stdio};

use agents_application::LockGuard;
use agents_domain::id::PlanId;
use agents_domain::lock::LockFilter;
use agents_domain::reads::PlanFilter;
use tempfile::TempDir;
use tokio::runtime::{Builder, Runtime};

use database::{Kind, Place, Store};
use figures::{Turns, nanoseconds, say, wanted};

/// Rounds, and calls of either kind in a round.
const ROUNDS: (usize, usize) = (30, 10);
/// Rounds before it counts: connections, statements and pages are warm then.
const WARM: usize = 3;
/// The plans that every place begins with.
const SEEDS: usize = 100;
/// What the command line asks for.
const LIMIT: u32 = 50;

/// A database with so many plans, and a way to ask it.
struct Library {
    plans: usize,
    asked: usize,
    seeds: Vec<PlanId>,
    store: Store,
    home: TempDir,
    _held: LockGuard,
    place: Place,
}

impl Library {
    fn of(kind: Kind, plans: usize, runtime: &Runtime) -> Self {
        let place = kind.fresh();
        let store = Store::open(&place.name());
        let seeds = runtime.block_on(lives::live(&store, SEEDS));
        let copies = plans / SEEDS;
        let taken = nanoseconds(|| copies::multiply(&place.name(), copies));
        if copies > 1 {
            let (seconds, size) = (taken / 1_000_000_000, copies::size(&place.name()) >> 20);
            say(&format!(
                "    {} plans in {seconds} s, {size} MiB, {}",
                copies * SEEDS,
                copies::facts(&place.name())
            ));
        }
        let held = runtime.block_on(lives::hold(&store, &seeds));
        let home = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
        Self { plans: copies.max(1) * SEEDS, asked: 0, seeds, store, home, _held: held, place }
    }

    /// Another plan each time, from all over the database.
    fn next(&mut self) -> PlanId {
        self.asked += 7_919;
        let at = self.asked % self.plans;
        copies::copy_of(self.seeds[at % SEEDS], at / SEEDS)
    }

    fn list(&self, runtime: &Runtime) {
        let filter = PlanFilter { limit: Some(LIMIT), ..PlanFilter::default() };
        let page = runtime.block_on(self.store.reads().list(&filter)).expect("read");
        assert_eq!(page.plans.len(), LIMIT as usize, "a page");
    }

    fn status(&mut self, runtime: &Runtime) {
        let plan = self.next();
        let found = runtime.block_on(self.store.reads().status(plan)).expect("read");
        assert!(found.is_some(), "there is no plan {plan}");
    }

    fn measure(&self, runtime: &Runtime) {
        let measured = runtime.block_on(self.store.measures().measure()).expect("read");
        assert!(measured.events.values().sum::<u64>() > 0, "they are counted");
    }

    fn locks(&self, runtime: &Runtime) {
        let held = runtime.block_on(self.store.locks().list(&LockFilter::default())).expect("read");
        assert_eq!(held.len(), lives::HELD, "all that are held");
    }

    /// One command, from its start to its end.
    fn command(&self, words: &[&str]) {
        let mut command = Command::new(env!("CARGO_BIN_EXE_agents"));
        command
            .args(words)
            .env("AGENTS_HOME", self.home.path())
            .env("AGENTS_DATABASE_URL", self.place.name());
        let ended = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null()).status();
        assert!(ended.expect("started").success(), "{command:?} failed");
    }

    fn status_command(&mut self) {
        let plan = self.next().to_string();
        self.command(&["plan", "status", &plan]);
    }

    fn check(&self) {
        let report = self.store.check();
        assert!(report.problems.is_empty(), "{:?}", report.problems);
        say(&format!("    checked: {} plans", report.plans));
    }
}

/// Rounds of one question to either.
fn compare(what: &str, small: &mut Library, large: &mut Library, ask: impl Fn(&mut Library)) {
    Turns::take(WARM, ROUNDS.1, || ask(small), || ask(large));
    let turns = Turns::take(ROUNDS.0, ROUNDS.1, || ask(small), || ask(large));
    let (few, many) = turns.absolute();
    say(&format!(
        "    {what:28} {:8.0} µs and {:8.0} µs, ratio {}   aim ≤ 2",
        few.median,
        many.median,
        turns.ratio()
    ));
}

fn main() {
    if !wanted() {
        return;
    }
    let arguments: Vec<String> = std::env::args().collect();
    let told = arguments.iter().position(|argument| argument == "--plans");
    let plans = told.and_then(|at| arguments.get(at + 1)?.parse().ok()).unwrap_or(1_000_000);
    let kind = Kind::told();
    let runtime = Builder::new_current_thread().enable_all().build().expect("a runtime");
    say(&format!("P8  {}, {SEEDS} plans and {plans}, {} of either kind", kind.name(), ROUNDS.0 * ROUNDS.1));
    let mut small = Library::of(kind, SEEDS, &runtime);
    let mut large = Library::of(kind, plans, &runtime);
    small.check();
    if arguments.iter().any(|argument| argument == "--check") {
        large.check();
    }
    let pair = (&mut small, &mut large);
    compare("list of 50, port", pair.0, pair.1, |library| library.list(&runtime));
    compare("status, port", pair.0, pair.1, |library| library.status(&runtime));
    compare("locks, port", pair.0, pair.1, |library| library.locks(&runtime));
    compare("metrics, port", pair.0, pair.1, |library| library.measure(&runtime));
    compare("agents plan list --limit 50", pair.0, pair.1, |library| {
        library.command(&["plan", "list", "--limit", "50"]);
    });
    compare("agents plan status ID", pair.0, pair.1, Library::status_command);
    compare("agents lock list", pair.0, pair.1, |library| library.command(&["lock", "list"]));
}
