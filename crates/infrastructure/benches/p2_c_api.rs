//! P2: our whole transition (acquire, write, release) ÷ the same statements in the C API.
//!
//! Ours is one call of the service: locks, decision, gate, Diesel and all. The yardstick
//! (`shared/peer.c`, a process of its own) is a script that was recorded from the very same
//! transitions: same statements, values, connections, order, `PRAGMA`s and file, so the same
//! durability; linked with the SQLite that is built into this program; every statement prepared
//! once. It takes no gate, decides nothing, and has no heartbeat beside it. A recording cannot go
//! stale: it is made anew each time. `cargo bench -p agents-infrastructure --bench p2_c_api`;
//! `-- --statements` prints what is compared.
//!
//! Without a C compiler, or without the built SQLite beside this program, there is no ratio, and
//! the report says so.

#[path = "../../../benches/figures.rs"]
#[expect(dead_code, reason = "the peer times itself")]
mod figures;
#[path = "shared/script.rs"]
mod script;
#[path = "shared/store.rs"]
mod store;
#[path = "shared/walk.rs"]
mod walk;

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use figures::{Turns, say, wanted};
use walk::Walk;

/// Rounds, and transitions of either kind in a round.
const ROUNDS: (usize, usize) = (60, 20);
/// Rounds before it counts: connections, statements and the log are warm then.
const WARM: usize = 3;

const PEER: &str = include_str!("shared/peer.c");

/// The process that runs the script.
struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    version: String,
}

impl Peer {
    fn start(program: &Path, database: &Path, script: &Path) -> Self {
        let mut command = Command::new(program);
        command.args([database, script]).stdin(Stdio::piped()).stdout(Stdio::piped());
        let mut process = command.spawn().expect("the peer starts");
        let orders = process.stdin.take().expect("piped");
        let mut answers = BufReader::new(process.stdout.take().expect("piped"));
        let mut version = String::new();
        answers.read_line(&mut version).expect("the peer's version");
        Self { process, orders, answers, version: version.trim().to_owned() }
    }

    /// The times of so many transitions, in microseconds.
    fn block(&mut self, transitions: usize) -> Vec<f64> {
        writeln!(self.orders, "{transitions}").expect("the peer listens");
        let mut line = String::new();
        self.answers.read_line(&mut line).expect("the peer answers");
        let times: Vec<f64> =
            line.split_whitespace().map(|time| time.parse::<f64>().expect("a time") / 1_000.0).collect();
        assert_eq!(times.len(), transitions, "the peer ended: {line}");
        times
    }
}

impl Drop for Peer {
    fn drop(&mut self) {
        self.process.kill().ok();
        self.process.wait().ok();
    }
}

/// The peer, linked with the newest SQLite that cargo has built beside this program.
fn build(directory: &Path) -> Result<PathBuf, String> {
    let library = built_library().ok_or("the built-in SQLite (libsqlite3.a) is not beside this program")?;
    let (source, program) = (directory.join("peer.c"), directory.join("peer"));
    fs::write(&source, PEER).map_err(|error| error.to_string())?;
    let mut command = Command::new("cc");
    command.arg("-O2").arg("-o").arg(&program).arg(source).arg(library).args(["-lpthread", "-lm", "-ldl"]);
    let built = command.status().map_err(|error| format!("no C compiler: {error}"))?;
    if built.success() { Ok(program) } else { Err("the peer does not compile".to_owned()) }
}

/// `<target>/<profile>/build/libsqlite3-sys-*/out/libsqlite3.a`, from `<target>/<profile>/deps/…`.
fn built_library() -> Option<PathBuf> {
    let program = std::env::current_exe().ok()?;
    let build = program.parent()?.parent()?.join("build");
    let folders = fs::read_dir(build).ok()?.flatten();
    let ours = folders.filter(|folder| folder.file_name().to_string_lossy().starts_with("libsqlite3-sys-"));
    let libraries = ours.map(|folder| folder.path().join("out/libsqlite3.a"));
    let age = |path: &PathBuf| path.metadata().and_then(|found| found.modified()).ok();
    libraries
        .filter_map(|path| Some((age(&path)?, path)))
        .max_by_key(|(at, _): &(SystemTime, _)| *at)
        .map(|(_, path)| path)
}

/// Records so many transitions; the database as it was before them, and the script.
fn record(directory: &Path, transitions: usize) -> (PathBuf, PathBuf, String) {
    let (recorded, copy) = (directory.join("recorded.db"), directory.join("peer.db"));
    script::record();
    let mut walk = Walk::new(&recorded, true);
    for suffix in ["", "-wal"] {
        // Nobody writes now: file and log belong together.
        let (from, to) = (format!("{}{suffix}", recorded.display()), format!("{}{suffix}", copy.display()));
        fs::copy(from, to).expect("copied");
    }
    for _ in 0..transitions {
        script::transition();
        walk.step();
    }
    script::stop();
    let (text, shown) = script::script();
    let path = directory.join("script");
    fs::write(&path, text).expect("written");
    (copy, path, shown)
}

fn main() {
    if !wanted() {
        return;
    }
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
    let (database, script, shown) = record(directory.path(), (WARM + ROUNDS.0) * ROUNDS.1);
    if std::env::args().any(|argument| argument == "--statements") {
        return say(&shown);
    }
    let mut ours = Walk::new(&directory.path().join("ours.db"), true);
    let peer = build(directory.path()).map(|program| Peer::start(&program, &database, &script));
    let mut peer = match peer {
        Ok(peer) => peer,
        Err(reason) => return say(&format!("P2  no ratio: {reason}")),
    };
    let mut turns = |rounds| {
        let mut turns = Turns::default();
        for _ in 0..rounds {
            let plain = peer.block(ROUNDS.1);
            // One round of ours alone, timed as everywhere.
            turns.round(plain, figures::times(ROUNDS.1, &mut || ours.step()));
        }
        turns
    };
    turns(WARM);
    let turns = turns(ROUNDS.0);
    let (plain, whole) = turns.absolute();
    say(&format!("P2  SQLite {}, durable, {} transitions of either kind", peer.version, ROUNDS.0 * ROUNDS.1));
    say(&format!("    same statements, C API   {plain} µs"));
    say(&format!("    whole transition         {whole} µs"));
    say(&format!("    ratio, by rounds         {}   aim ≤ 1.5", turns.ratio()));
}
