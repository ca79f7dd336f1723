//! Processes of the binary: started, signalled, waited for, and written down with what came of them.

use std::collections::BTreeMap;
use std::fs::File;
use std::os::unix::process::ExitStatusExt as _;
use std::path::PathBuf;
use std::process::{Child, Stdio};
use std::sync::Mutex;
use std::sync::atomic::Ordering;
use std::time::Duration;

use rustix::process::{Pid, Signal, WaitId, WaitIdOptions, waitid};
use serde_json::Value;

use crate::linux::clock;
use crate::linux::procs::Process;
use crate::linux::world::World;

/// In milliseconds: nothing here takes so long, neither a frozen process nor those that wait for it.
const HANGS: i64 = 180_000;
/// How often a process is looked at.
const LOOK: Duration = Duration::from_millis(10);

/// A fault that a process met.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Fault {
    pub(crate) kind: &'static str,
    /// From when to when, in milliseconds since boot.
    pub(crate) from: i64,
    pub(crate) to: i64,
}

/// A process that has ended.
#[derive(Debug, Clone)]
pub(crate) struct Run {
    pub(crate) number: usize,
    /// Where it ran.
    pub(crate) machine: usize,
    pub(crate) words: Vec<String>,
    pub(crate) pid: i32,
    pub(crate) from: i64,
    pub(crate) to: i64,
    /// `None`: it was killed.
    pub(crate) exit: Option<i32>,
    pub(crate) out: String,
    pub(crate) err: String,
    pub(crate) faults: Vec<Fault>,
}

impl Run {
    /// The one document on stdout.
    pub(crate) fn document(&self) -> Option<Value> {
        serde_json::from_str(&self.out).ok()
    }

    /// Whether it is a worker, which says a line for each thing that happens.
    pub(crate) fn is_worker(&self) -> bool {
        self.words.iter().any(|word| word == "worker") && self.words.iter().any(|word| word == "run")
    }

    pub(crate) fn line(&self) -> String {
        format!("run {} (pid {}): agents {}", self.number, self.pid, self.words.join(" "))
    }
}

/// What runs now. Whoever signals holds this table, so that nobody is reaped meanwhile.
#[derive(Default)]
pub(crate) struct Running(Mutex<BTreeMap<i32, Vec<Fault>>>);

impl Running {
    pub(crate) fn pids(&self) -> Vec<i32> {
        self.0.lock().expect("whole").keys().copied().collect()
    }

    /// Notes a fault of a process that runs.
    pub(crate) fn note(&self, pid: i32, fault: Fault) {
        if let Some(faults) = self.0.lock().expect("whole").get_mut(&pid) {
            faults.push(fault);
        }
    }

    /// Signals a process that runs; whether it did.
    pub(crate) fn signal(&self, pid: i32, signal: Signal) -> bool {
        let table = self.0.lock().expect("whole");
        table.contains_key(&pid) && Process::of(pid).is_some_and(|process| process.signal(signal))
    }
}

/// A process that was started.
pub(crate) struct Started<'a> {
    world: &'a World,
    child: Child,
    run: Run,
}

/// What a process did next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Next {
    Stopped,
    Ended,
}

impl World {
    /// Starts a process, with variables beside those that all have.
    pub(crate) fn start(&self, words: &[&str], variables: &[(&str, &str)]) -> Started<'_> {
        self.start_on(0, words, variables)
    }

    /// The same on one of several machines.
    pub(crate) fn start_on(&self, machine: usize, words: &[&str], variables: &[(&str, &str)]) -> Started<'_> {
        let number = self.started.fetch_add(1, Ordering::SeqCst);
        let words: Vec<String> =
            std::iter::once("--json").chain(words.iter().copied()).map(str::to_owned).collect();
        let mut command = self.command(machine, &words.iter().map(String::as_str).collect::<Vec<_>>());
        command.envs(variables.iter().copied()).stdin(Stdio::null());
        let file = |end| File::create(self.output(number, end)).expect("a file for output");
        command.stdout(file("out")).stderr(file("err"));
        let from = clock::now();
        // The table first: the nemesis must find what runs.
        let mut table = self.running.0.lock().expect("whole");
        let child = command.spawn().expect("the binary starts");
        let pid = i32::try_from(child.id()).expect("a pid");
        table.insert(pid, Vec::new());
        let (out, err, faults) = (String::new(), String::new(), Vec::new());
        let run = Run { number, machine, words, pid, from, to: from, exit: None, out, err, faults };
        Started { world: self, child, run }
    }

    fn output(&self, number: usize, end: &str) -> PathBuf {
        self.directory.join(format!("outputs/{number:06}.{end}"))
    }

    /// Runs a process to its end.
    pub(crate) fn run(&self, words: &[&str]) -> Run {
        self.start(words, &[]).wait()
    }
}

impl Started<'_> {
    pub(crate) fn pid(&self) -> i32 {
        self.run.pid
    }

    pub(crate) fn signal(&self, signal: Signal) {
        self.world.running.signal(self.run.pid, signal);
    }

    /// Waits until it stops or ends.
    pub(crate) fn next(&self) -> Next {
        let pid = Pid::from_raw(self.run.pid).expect("a pid");
        let options = WaitIdOptions::EXITED | WaitIdOptions::STOPPED | WaitIdOptions::NOWAIT;
        let status = waitid(WaitId::Pid(pid), options).expect("our child").expect("waited");
        if status.stopped() { Next::Stopped } else { Next::Ended }
    }

    /// Whether it has ended; it is still to be waited for.
    pub(crate) fn has_ended(&self) -> bool {
        let pid = Pid::from_raw(self.run.pid).expect("a pid");
        let options = WaitIdOptions::EXITED | WaitIdOptions::NOWAIT | WaitIdOptions::NOHANG;
        waitid(WaitId::Pid(pid), options).expect("our child").is_some()
    }

    /// Waits for its end, and writes it down.
    pub(crate) fn wait(mut self) -> Run {
        let from = clock::now();
        while !self.has_ended() {
            let now = clock::now();
            if now - from > HANGS {
                self.world.running.note(self.run.pid, Fault { kind: "hang", from: now, to: now });
                self.signal(Signal::KILL);
            }
            clock::pass(LOOK);
        }
        self.run.to = clock::now();
        // Not reaped yet: nobody else has its number.
        let faults = self.world.running.0.lock().expect("whole").remove(&self.run.pid);
        let status = self.child.wait().expect("our child");
        self.run.faults = faults.unwrap_or_default();
        self.run.exit = status.code();
        let signal = status.signal();
        let read = |end| std::fs::read(self.world.output(self.run.number, end)).unwrap_or_default();
        self.run.out = String::from_utf8_lossy(&read("out")).into_owned();
        self.run.err = String::from_utf8_lossy(&read("err")).into_owned();
        let fate = format!(
            "{} ms {}..{} exit {:?} signal {signal:?} faults {:?}\n",
            self.run.line(),
            self.run.from,
            self.run.to,
            self.run.exit,
            self.run.faults
        );
        std::fs::write(self.world.output(self.run.number, "fate"), fate).expect("written");
        self.world.runs.lock().expect("whole").push(self.run.clone());
        self.run
    }
}
