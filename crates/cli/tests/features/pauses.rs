//! Places where a plan's command stops until the test lets it go on: named pipes, no sleeping.
//!
//! `pause NAME` in a script writes to one pipe, which the test waits for, and then reads from
//! another, which the test writes to. Only the first that comes to a pause stops there.

use std::io::{Read as _, Write as _};
use std::os::unix::fs::PermissionsExt as _;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{RecvTimeoutError, channel};
use std::time::Duration;

use crate::world::Job;

/// No wait is longer than this; whatever takes longer hangs.
pub(crate) const WATCHDOG: Duration = Duration::from_secs(120);
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
             echo reached > '{here}'/\"$1\".reached\nread -r _ < '{here}'/\"$1\".go\n"
        );
        let program = bin.join("pause");
        std::fs::write(&program, script).expect("the program is written");
        std::fs::set_permissions(&program, std::fs::Permissions::from_mode(0o755)).expect("executable");
        Self { directory }
    }

    /// Makes the pipes of every pause that a script names.
    pub(crate) fn prepare(&self, script: &str) {
        let words: Vec<&str> = script.split(|c: char| c.is_whitespace() || ";|&'\"()".contains(c)).collect();
        for name in words.windows(2).filter(|pair| pair[0] == "pause").map(|pair| pair[1]) {
            for end in ["reached", "go"] {
                let pipe = self.pipe(name, end);
                if !pipe.exists() {
                    let made = Command::new("mkfifo").arg(pipe).status().expect("mkfifo runs");
                    assert!(made.success(), "a named pipe is made");
                }
            }
        }
    }

    fn pipe(&self, name: &str, end: &str) -> PathBuf {
        self.directory.join(format!("{name}.{end}"))
    }

    /// Waits until a command has come to this pause.
    pub(crate) fn reached(&self, name: &str, job: &mut Job) {
        let pipe = self.pipe(name, "reached");
        let waiting = within(move || {
            let mut text = String::new();
            std::fs::File::open(pipe)?.read_to_string(&mut text)
        });
        let mut waited = Duration::ZERO;
        while let Err(RecvTimeoutError::Timeout) = waiting.recv_timeout(LOOK) {
            waited += LOOK;
            let ended = job.ended();
            assert!(ended.is_none(), "the command ended before it came to `{name}`: {ended:?}");
            assert!(waited < WATCHDOG, "the command never came to `{name}`");
        }
    }

    /// Lets the command that stopped there go on.
    pub(crate) fn go_on(&self, name: &str) {
        let pipe = self.pipe(name, "go");
        let waiting = within(move || std::fs::OpenOptions::new().write(true).open(pipe)?.write(b"\n"));
        waiting.recv_timeout(WATCHDOG).expect("somebody waits there").expect("the pipe is written");
    }
}

/// Runs what may block for ever in a thread of its own.
fn within<T: Send + 'static>(work: impl FnOnce() -> T + Send + 'static) -> std::sync::mpsc::Receiver<T> {
    let (sender, receiver) = channel();
    std::thread::spawn(move || sender.send(work()).ok());
    receiver
}
