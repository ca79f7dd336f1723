//! Places where a plan's command stops until the test lets it go on: named pipes, no sleeping.
//!
//! `pause NAME` in a script writes to one pipe, which the test waits for, and then reads from
//! another, which the test writes to. Only the first that comes to a pause stops there; told `no`
//! it fails.

use std::fs::OpenOptions;
use std::io::Write as _;
use std::os::unix::fs::{OpenOptionsExt as _, PermissionsExt as _};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::time::Duration;

use crate::job::Job;

/// No wait is longer than this; whatever takes longer hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_mins(2);
/// How often a waiting test looks whether the command it waits for has ended.
const LOOK: Duration = Duration::from_millis(100);

/// The program `pause` of one scenario.
#[derive(Debug, Clone)]
pub(crate) struct Pauses {
    directory: PathBuf,
}

impl Pauses {
    /// Puts the program into `bin`.
    pub(crate) fn install(root: &Path, bin: &Path) -> Self {
        let directory = root.join("pauses");
        std::fs::create_dir_all(&directory).expect("a directory for pauses");
        let here = directory.display();
        let script = format!(
            "#!/bin/sh\nmkdir '{here}'/\"$1\".used 2>/dev/null || exit 0\n\
             echo reached > '{here}'/\"$1\".reached\nread -r word < '{here}'/\"$1\".go\n[ \"$word\" != no ]\n"
        );
        let program = bin.join("pause");
        std::fs::write(&program, script).expect("the program is written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
        Self { directory }
    }

    /// Makes the pipes of every pause that a script names.
    pub(crate) fn prepare(&self, script: &str) {
        let words = script.split(|c: char| c.is_whitespace() || ";,|&'\"()[]".contains(c));
        let words: Vec<&str> = words.filter(|word| !word.is_empty()).collect();
        for name in words.windows(2).filter(|pair| pair[0] == "pause").map(|pair| pair[1]) {
            make(&self.pipe(name, "reached"));
            make(&self.pipe(name, "go"));
        }
    }

    /// Listens to a pipe; says when the last that can write to it has gone.
    pub(crate) fn listen(&self, name: &str) -> Receiver<()> {
        let pipe = self.directory.join(name);
        make(&pipe);
        within(move || drop(std::fs::read(pipe)))
    }

    fn pipe(&self, name: &str, end: &str) -> PathBuf {
        self.directory.join(format!("{name}.{end}"))
    }

    /// Waits until a command has come to this pause; `job`, if it runs in one.
    pub(crate) fn reached(&self, name: &str, mut job: Option<&mut Job>) {
        let pipe = self.pipe(name, "reached");
        let waiting = within(move || std::fs::read(pipe));
        let mut waited = Duration::ZERO;
        while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(LOOK) {
            waited += LOOK;
            let ended = job.as_mut().and_then(|job| job.ended());
            assert!(ended.is_none(), "the command ended before it came to `{name}`: {ended:?}");
            assert!(waited < WATCHDOG, "the command never came to `{name}`");
        }
    }

    /// Tells the command that stopped there to go on, or `no`.
    pub(crate) fn tell(&self, name: &str, word: &'static str) {
        let pipe = self.pipe(name, "go");
        let told = within(move || OpenOptions::new().write(true).open(pipe)?.write(word.as_bytes()));
        told.recv_timeout(WATCHDOG).expect("somebody waits there").expect("the pipe is written");
    }

    /// Ends whatever still stands at a pause.
    pub(crate) fn clear(&self) {
        let nonblocking = i32::try_from(rustix::fs::OFlags::NONBLOCK.bits()).expect("a small flag");
        for pipe in std::fs::read_dir(&self.directory).into_iter().flatten().flatten() {
            if pipe.path().extension().is_some_and(|end| end == "go") {
                let opened = OpenOptions::new().write(true).custom_flags(nonblocking).open(pipe.path());
                opened.and_then(|mut pipe| pipe.write(b"no\n")).ok();
            }
        }
    }
}

fn make(pipe: &Path) {
    if !pipe.exists() {
        let made = Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs");
        assert!(made.success(), "a named pipe is made");
    }
}

/// Runs what may block for ever in a thread of its own.
fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> Receiver<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work()).ok());
    receiver
}
