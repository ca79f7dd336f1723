//! Processes of one run, as the kernel shows them: found by their environment and their parents,
//! signalled through descriptors, so that no stranger is hit who has a number by reuse.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use rustix::process::{Pid, PidfdFlags, Signal, pidfd_open, pidfd_send_signal};

/// A process.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: i32,
    pub(crate) parent: i32,
    /// In ticks since boot.
    pub(crate) started: u64,
    state: char,
}

impl Process {
    /// That process, unless it has ended.
    pub(crate) fn of(pid: i32) -> Option<Self> {
        let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
        let fields: Vec<&str> = stat.rsplit_once(')')?.1.split_whitespace().collect();
        let found = Self {
            pid,
            state: fields.first()?.chars().next()?,
            parent: fields.get(1)?.parse().ok()?,
            started: fields.get(19)?.parse().ok()?,
        };
        (!matches!(found.state, 'Z' | 'X' | 'x')).then_some(found)
    }

    /// Whether its command line holds that word.
    pub(crate) fn says(&self, word: &str) -> bool {
        let line = fs::read(format!("/proc/{}/cmdline", self.pid)).unwrap_or_default();
        line.split(|byte| *byte == 0).any(|part| part == word.as_bytes())
    }

    /// Whether it is a git.
    pub(crate) fn is_git(&self) -> bool {
        fs::read_to_string(format!("/proc/{}/comm", self.pid)).is_ok_and(|name| name.trim() == "git")
    }

    /// A variable of the environment that it was started with.
    pub(crate) fn variable(&self, name: &str) -> Option<String> {
        let all = fs::read(format!("/proc/{}/environ", self.pid)).ok()?;
        let prefix = format!("{name}=");
        let found = all.split(|byte| *byte == 0).find_map(|line| line.strip_prefix(prefix.as_bytes()))?;
        Some(String::from_utf8_lossy(found).into_owned())
    }

    /// Whether it belongs to the run with that home.
    pub(crate) fn is_of(&self, home: &Path) -> bool {
        self.variable("AGENTS_HOME").is_some_and(|found| Path::new(&found) == home)
    }

    /// Sends a signal; whether it was still there.
    pub(crate) fn signal(&self, signal: Signal) -> bool {
        let Some(pid) = Pid::from_raw(self.pid) else { return false };
        let Ok(descriptor) = pidfd_open(pid, PidfdFlags::empty()) else { return false };
        Self::of(self.pid).is_some_and(|now| now.started == self.started)
            && pidfd_send_signal(&descriptor, signal).is_ok()
    }
}

/// All processes that have not ended.
pub(crate) fn all() -> Vec<Process> {
    let numbers = fs::read_dir("/proc").into_iter().flatten().flatten();
    let numbers = numbers.filter_map(|entry| entry.file_name().to_str()?.parse().ok());
    numbers.filter_map(Process::of).collect()
}

/// Those of the run with that home.
pub(crate) fn of_run(home: &Path) -> Vec<Process> {
    all().into_iter().filter(|process| process.is_of(home)).collect()
}

/// A process and everything below it.
pub(crate) fn tree(root: i32) -> Vec<Process> {
    let all = all();
    let mut inside = BTreeSet::from([root]);
    let mut known = 0;
    while known < inside.len() {
        known = inside.len();
        let below: Vec<_> =
            all.iter().filter(|one| inside.contains(&one.parent)).map(|one| one.pid).collect();
        inside.extend(below);
    }
    all.into_iter().filter(|process| inside.contains(&process.pid)).collect()
}

/// The living commands of other attempts of a plan.
pub(crate) fn of_other_attempts(plan: &str, attempt: u32) -> Vec<i32> {
    let other = |process: &Process| {
        let marker = process.variable("AGENTS_RUN_MARKER")?;
        let (of, number) = marker.split_once('/')?;
        (of == plan && number.parse() != Ok(attempt)).then_some(process.pid)
    };
    all().iter().filter_map(other).collect()
}
