//! The peer on SQLite: a small C program that runs the script, linked with the SQLite that is built in.

use std::fs;
use std::io::{BufRead as _, BufReader, Write as _};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::SystemTime;

use tempfile::TempDir;

use crate::walk::Walk;
use crate::{ROUNDS, WARM, recorder, script};

const PEER: &str = include_str!("../shared/peer.c");

/// What was recorded, and where it is run again.
pub(crate) struct Recorded {
    directory: TempDir,
    database: PathBuf,
    script: PathBuf,
    /// For people.
    pub(crate) shown: String,
}

/// The process that runs the script.
pub(crate) struct Peer {
    process: Child,
    orders: ChildStdin,
    answers: BufReader<ChildStdout>,
    /// Of its SQLite.
    pub(crate) version: String,
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
    pub(crate) fn block(&mut self, transitions: usize) -> Vec<f64> {
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

/// Records as many transitions as will be compared. The database is kept as it was before them.
pub(crate) fn record() -> Recorded {
    let directory = tempfile::tempdir_in(env!("CARGO_TARGET_TMPDIR")).expect("a directory on disk");
    let (recorded, database) = (directory.path().join("recorded.db"), directory.path().join("peer.db"));
    recorder::record();
    let mut walk = Walk::new(&recorded.display().to_string(), true);
    for suffix in ["", "-wal"] {
        // Nobody writes now: file and log belong together.
        let (from, to) =
            (format!("{}{suffix}", recorded.display()), format!("{}{suffix}", database.display()));
        fs::copy(from, to).expect("copied");
    }
    for _ in 0..(WARM + ROUNDS.0) * ROUNDS.1 {
        recorder::transition();
        walk.step();
    }
    recorder::stop();
    let (text, shown) = script::script();
    let script = directory.path().join("script");
    fs::write(&script, text).expect("written");
    Recorded { directory, database, script, shown }
}

impl Recorded {
    /// Starts the peer; why there is none.
    pub(crate) fn peer(&self) -> Result<Peer, String> {
        let program = build(self.directory.path())?;
        Ok(Peer::start(&program, &self.database, &self.script))
    }
}
