//! P6: from the `kill -9` of a holder to the next grant, same machine, lease of 30 s.
//!
//! Two processes of this program: one holds the lock of a project, the other waits for it in line
//! (`Wait::Forever`), both through [`LockService`]. The holder is killed a while after the other
//! has begun to wait, another while in each round, so that whatever rhythm the waiting has is met
//! at all of its points. The one that waited says at which moment of the machine's monotonic clock
//! its `acquire` returned; it is the next holder. Nobody may be granted anything before the kill.
//! `cargo bench -p agents-infrastructure --bench p6_takeover`.

#[path = "../../../benches/database.rs"]
#[expect(dead_code, reason = "only a file, and only locks")]
mod database;
#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "this is a time, no ratio")]
mod figures;
#[path = "shared/store.rs"]
mod store;

use std::io::{BufRead as _, BufReader, Write as _};
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use agents_application::{LockService, Observer, Wait};
use agents_domain::lock::{LockKey, Standing};
use agents_domain::name::Name;
use agents_domain::time::{Timestamp, Ttl};
use agents_domain::workspace::Project;
use agents_infrastructure::clock::SystemClock;
use rustix::time::{ClockId, clock_gettime};
use tokio::runtime::{Builder, Runtime};

use database::{Kind, Store};
use figures::{say, wanted};

const ROUNDS: u64 = 300;
const TTL: Duration = Duration::from_secs(30);
/// The argument that makes a process one of the two.
const CONTENDER: &str = "contender";
/// The waits before a kill are spread over so many milliseconds, in steps of a number that has no
/// divisor in common with it.
const SPREAD: (u64, u64) = (211, 37);

fn now() -> i64 {
    let time = clock_gettime(ClockId::Monotonic);
    time.tv_sec * 1_000_000_000 + time.tv_nsec
}

fn project() -> Project {
    let name = Name::parse("local/bench").expect("a name");
    let (path, common_dir) = ("/bench".into(), "/bench/.git".into());
    Project { name, path, common_dir, branch: "main".to_owned(), machine: None, remote: None }
}

/// Says on stdout that it waits.
struct Aloud;

impl Observer for Aloud {
    fn waiting(&self, _standing: &Standing) {
        say("waits");
        std::io::stdout().flush().ok();
    }
}

fn runtime() -> Runtime {
    Builder::new_current_thread().enable_all().build().expect("a runtime")
}

/// Takes the lock, says when it was granted, and holds it until it is killed.
fn contend(path: &str) {
    let store = Store::open(path);
    let ttl = Ttl::new(TTL).expect("within the bounds");
    let locks = store::locks(&store, Arc::new(SystemClock), ttl, LockService::TICK);
    let keys = vec![LockKey::Project(project().name)];
    let runtime = runtime();
    let guard = runtime.block_on(locks.acquire(keys, "bench", Wait::Forever, &Aloud)).expect("granted");
    say(&now().to_string());
    std::io::stdout().flush().ok();
    // The parent holds the other end: if it ends without a word, so does this.
    let mut nothing = String::new();
    std::io::stdin().read_line(&mut nothing).ok();
    runtime.block_on(guard.release()).ok();
}

/// One of the two processes.
struct Contender {
    process: Child,
    said: Receiver<String>,
}

impl Contender {
    fn start(database: &str) -> Self {
        let program = std::env::current_exe().expect("this program");
        let mut command = Command::new(program);
        command.arg(CONTENDER).arg(database).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("it starts");
        let lines = BufReader::new(process.stdout.take().expect("piped")).lines();
        let (sender, said) = channel();
        std::thread::spawn(move || {
            for line in lines.map_while(Result::ok) {
                sender.send(line).ok();
            }
        });
        Self { process, said }
    }

    fn says(&self) -> String {
        self.said.recv().expect("it lives")
    }

    /// When it was killed.
    fn kill(&mut self) -> i64 {
        let killed = now();
        self.process.kill().expect("it lives");
        killed
    }
}

impl Drop for Contender {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// Milliseconds from each kill to the next grant.
fn takeovers(database: &str) -> Vec<f64> {
    let mut holder = Contender::start(database);
    holder.says();
    let mut times = Vec::new();
    for round in 0..ROUNDS {
        let next = Contender::start(database);
        assert_eq!(next.says(), "waits");
        let a_while = Duration::from_millis(round * SPREAD.1 % SPREAD.0);
        assert_eq!(
            next.said.recv_timeout(a_while),
            Err(RecvTimeoutError::Timeout),
            "granted beside a holder"
        );
        let killed = holder.kill();
        let granted = loop {
            // Told again whenever the holder in the way is another one.
            let line = next.says();
            if let Ok(at) = line.parse::<i64>() {
                break at;
            }
        };
        times.push(milliseconds(granted - killed));
        holder = next;
    }
    times
}

#[expect(clippy::cast_precision_loss, reason = "2^53 nanoseconds are a hundred days")]
fn milliseconds(nanoseconds: i64) -> f64 {
    nanoseconds as f64 / 1_000_000.0
}

/// The least of the sorted times that so many hundredths of them do not exceed.
fn percentile(times: &[f64], hundredths: usize) -> f64 {
    times[(times.len() * hundredths).div_ceil(100).saturating_sub(1)]
}

fn main() {
    let arguments: Vec<String> = std::env::args().collect();
    if let [_, role, database] = &arguments[..]
        && role == CONTENDER
    {
        return contend(database);
    }
    if !wanted() {
        return;
    }
    let place = Kind::Sqlite.fresh();
    let database = place.name();
    let store = Store::open(&database);
    let added = runtime().block_on(store.projects().add(&project(), Timestamp::default()));
    added.expect("registered");
    let mut times = takeovers(&database);
    times.sort_by(f64::total_cmp);
    let (p50, p99, most) = (percentile(&times, 50), percentile(&times, 99), percentile(&times, 100));
    say(&format!("P6  kill -9 of the holder to the next grant, {ROUNDS} times, lease of {TTL:?}"));
    say(&format!("    p50 {p50:.1} ms   p99 {p99:.1} ms   max {most:.1} ms   aim p99 ≤ 100 ms"));
}
